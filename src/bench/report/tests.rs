use super::*;
use crate::bench::fake;
use crate::bench::model::{Cell, Run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn written(format: Format, report: &Report) -> String {
    let mut out = Vec::new();
    write(format, report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_table_has_the_machine_its_limits_the_rows_and_why_one_failed() {
    let expected = "\
Imagined Processor 9, 4 processors, 8 GiB of memory, Linux 6.1.0, x86_64
shm 1.2.3, 2026-11-23 03:52 UTC

limits of this machine

  LIMIT     OF      MB/S  SPREAD
  memcpy    20x1M  15200      2%
  pipeline  20x1M   4000      2%
  pipe      1M      1710      2%

queue, wait futex, in processes, copied in and out, medians of 3

  RING    W/R    MB/S  SPREAD   BOTH  PIPELINE  NODES/S  DIFF  MAX  END  WAITS W/R  CPU S
  20x1M   1/1    5000      2%  10000      1.25     4768  7.25   20    0   12.3k/67   1.98
  20x1M!  2/2  failed       -      -         -        -     -    -    -          -      -

20x1M! 2/2 futex failed: a writer was killed
";
    assert_eq!(written(Format::Table, &fake::small()), expected);
}

#[test]
fn markdown_has_the_same_in_tables() {
    let expected = "\
Measured on 2026-11-23 03:52 UTC on Imagined Processor 9, 4 processors, 8 GiB of memory, \
Linux 6.1.0, x86\\_64, by shm 1.2.3.
Rings: queue, wait futex, in processes, copied in and out, medians of 3.

| limit | of | MB/s | spread |
|---|---|---:|---:|
| memcpy | 20x1M | 15200 | 2% |
| pipeline | 20x1M | 4000 | 2% |
| pipe | 1M | 1710 | 2% |

| ring | w/r | MB/s | spread | MB/s both ways | of pipeline | nodes/s | diff mean | max | end | \
waits w/r | CPU s |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
| 20x1M | 1/1 | 5000 | 2% | 10000 | 1.25 | 4768 | 7.25 | 20 | 0 | 12.3k/67 | 1.98 |
| 20x1M! | 2/2 | failed | - | - | - | - | - | - | - | - | - |

- 20x1M! 2/2 futex failed: a writer was killed
";
    assert_eq!(written(Format::Markdown, &fake::small()), expected);
}

#[test]
fn csv_is_a_line_of_names_then_limits_then_rows() {
    let machine = "Imagined Processor 9,4,6.1.0,x86_64,8589934592,1.2.3,1795405921000000000";
    let mut small = fake::small();
    small.baselines.remove(0);
    small.runs[0] = fake::run(fake::cell(20, 1 << 20, 1, 1), &[1048.576]);
    let text = written(Format::Csv, &small);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[0].starts_with("kind,name,nodes,node_size,writers,readers,wait,delivery,"));
    assert_eq!(
        lines[2],
        format!(
            "baseline,pipe,,1048576,,,,,,,,,,,1710.0,1710.0,1675.8,1744.2,,,,,,,,,,,,,,,,,,,,,{machine}\n"
        )
    );
    assert_eq!(
        lines[3],
        format!(
            "run,,20,1048576,1,1,futex,queue,process,false,1,1.0,1048576000,1000,1048.576,1048.576,\
             1048.576,1048.576,1048.576,2097.152,1000.0,0.262144,7.25,20,0,12345,67,,,,,,,,,1.98,,,{machine}\n"
        )
    );
    assert!(
        lines[4].contains(",a writer was killed,Imagined"),
        "{}",
        lines[4]
    );
}

/// Every value of a JSON object by its path, joined by `_`.
fn flattened(value: &Value, path: &str, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}_{name}")
                };
                flattened(value, &path, into);
            }
        }
        value => drop(into.insert(path.to_owned(), value.clone())),
    }
}

#[test]
fn csv_has_every_field_of_the_json_and_reads_back_as_the_same() {
    let mut report = fake::full();
    report.runs[0].failed = Some("said \"no\",\nand died".into());
    report.runs.extend(fake::sweep().runs);
    let json: Value = serde_json::from_str(&written(Format::Json, &report)).unwrap();
    let text = written(Format::Csv, &report);
    let mut csv = ::csv::Reader::from_reader(text.as_bytes());
    let names: Vec<String> = csv.headers().unwrap().iter().map(str::to_owned).collect();
    let lines: Vec<::csv::StringRecord> = csv.records().collect::<Result<_, _>>().unwrap();
    assert_eq!(lines.len(), 3 + 41);

    let rows = json["baselines"].as_array().unwrap().iter();
    for (line, row) in lines
        .iter()
        .zip(rows.chain(json["runs"].as_array().unwrap()))
    {
        let mut expected = BTreeMap::new();
        flattened(row, "", &mut expected);
        flattened(&json["machine"], "machine", &mut expected);
        let by_name: BTreeMap<&str, &str> = names.iter().map(String::as_str).zip(line).collect();
        for (name, value) in expected {
            // A limit's rate has its spread where a row's has.
            let name = match (by_name["kind"], name.strip_prefix("spread_")) {
                ("baseline", Some(rest)) => format!("mb_per_s_spread_{rest}"),
                _ => name,
            };
            // An object that was not measured has no names within it.
            let nested = ["latency_ns", "one_way_ns"].contains(&&*name);
            let found = match nested {
                true => by_name[&*format!("{name}_p50")],
                false => by_name
                    .get(&*name)
                    .unwrap_or_else(|| panic!("{name} is not in the CSV")),
            };
            match &value {
                Value::Null => assert_eq!(found, "", "{name}"),
                Value::String(text) => assert_eq!(found, text, "{name}"),
                Value::Number(number) => {
                    assert_eq!(found.parse::<f64>().ok(), number.as_f64(), "{name}");
                }
                value => assert_eq!(found, value.to_string(), "{name}"),
            }
        }
    }
}

#[test]
fn json_has_the_names_that_scripts_rely_on() {
    let text = written(Format::Json, &fake::full());
    assert!(text.ends_with("}\n") && text.lines().count() == 1);
    let json: Value = serde_json::from_str(&text).unwrap();
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let set = |names: &str| names.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(names(&json), set("machine baselines runs complete"));
    assert_eq!(
        names(&json["machine"]),
        set("cpu cpus kernel arch memory_bytes version unix_ns")
    );
    assert_eq!(
        names(&json["baselines"][0]),
        set("name nodes node_size mb_per_s spread latency_ns")
    );
    let run = &json["runs"][0];
    assert_eq!(
        names(run),
        set(
            "nodes node_size writers readers wait delivery mode in_place seconds bytes nodes_moved \
             mb_per_s mb_per_s_both_ways fraction_of_pipeline diff_mean diff_max diff_final \
             writer_waits reader_waits latency_ns cpu_seconds verified \
             repeats mb_per_s_spread mb_per_s_per_reader nodes_per_s one_way_ns failed"
        )
    );
    assert_eq!(names(&run["latency_ns"]), set("p50 p99 p999 max"));
    assert_eq!(names(&run["mb_per_s_spread"]), set("median lowest highest"));
    assert_eq!(run["latency_ns"]["p999"], 3100);
    assert_eq!(run["mode"], "process");
    assert_eq!(json["complete"], true);
}

#[test]
fn json_says_null_for_what_was_not_measured() {
    let json: Value = serde_json::from_str(&written(Format::Json, &fake::small())).unwrap();
    assert_eq!(json["runs"][0]["latency_ns"], Value::Null);
    assert_eq!(json["runs"][0]["failed"], Value::Null);
    assert_eq!(json["runs"][1]["fraction_of_pipeline"], Value::Null);
    assert_eq!(json["runs"][1]["repeats"], 0);
    assert_eq!(json["runs"][1]["failed"], "a writer was killed");
}

#[test]
fn a_table_is_never_wider_than_a_hundred_columns() {
    let mut wide = fake::full();
    wide.machine.cpu = "Imagined Processor of the Most Verbose Series @ 99.99 GHz".into();
    wide.machine.kernel = "6.18.0-with-a-long-name-of-its-own".into();
    let cell = Cell {
        wait: "event".into(),
        delivery: "broadcast".into(),
        mode: "thread".into(),
        in_place: true,
        ..fake::cell(1_048_576, 123_456_789, 128, 128)
    };
    wide.runs.push(fake::run(cell, &[99_999.0, 88_888.0]));
    let text = written(Format::Table, &wide);
    for line in text.lines() {
        assert!(line.chars().count() <= table::WIDTH, "{line}");
        assert_eq!(line.trim_end(), line);
    }
    // Every block names both rows.
    let blocks = text.matches("RING  ").count();
    assert!(blocks > 1, "{text}");
    assert_eq!(
        text.matches("1048576x123456789  128/128").count(),
        blocks,
        "{text}"
    );
    // Once of the limits, once of the rows.
    assert_eq!(text.matches("ROUND TRIP US").count(), 2, "{text}");
}

#[test]
fn columns_are_there_only_if_they_say_something() {
    let heading = |report: &Report| -> String {
        let text = written(Format::Table, report);
        text.lines()
            .filter(|line| line.contains("RING  "))
            .collect()
    };
    let plain = heading(&fake::small());
    for absent in ["WAIT ", "DELIVERY", "MODE", "IN PLACE", "VERIFIED", "US:"] {
        assert!(!plain.contains(absent), "{absent}: {plain}");
    }
    let full = heading(&fake::full());
    for present in ["VERIFIED", "ROUND TRIP US", "ONE WAY US"] {
        assert!(full.contains(present), "{present}: {full}");
    }
    assert!(!full.contains("SPREAD"), "measured once: {full}");

    let mut waits = fake::small();
    waits.runs[1].cell.wait = "spin".into();
    waits.runs[0].fraction_of_pipeline = None;
    let waits = heading(&waits);
    assert!(
        waits.contains("WAIT ") && !waits.contains("PIPELINE"),
        "{waits}"
    );
}

#[test]
fn a_reader_is_told_what_to_know_before_believing_a_row() {
    let notes = |change: fn(&mut Report)| -> Vec<String> {
        let mut report = fake::report(vec![fake::run(fake::cell(2, 1024, 1, 1), &[100.0, 101.0])]);
        assert_eq!(notes::of(&report), [""; 0]);
        change(&mut report);
        notes::of(&report)
    };
    assert!(notes(|report| report.complete = false)[0].starts_with("interrupted"));
    assert!(notes(|report| report.runs[0].diff_final = 1)[0].starts_with("1 row with a diff"));
    assert!(notes(|report| report.runs[0].verified = Some(false))[0].contains("NO under verified"));
    let spread = notes(|report| {
        report.runs[0].mb_per_s_spread.highest = 300.0;
        report.runs.push(report.runs[0].clone());
    });
    assert!(
        spread[0].starts_with("2 rows with a spread above 15%"),
        "{spread:?}"
    );
    let limit = notes(|report| report.baselines[1].spread.lowest = 0.0);
    assert!(
        limit[0].starts_with("1 limit with a spread above 15%"),
        "{limit:?}"
    );
    let in_place = notes(|report| report.runs[0].cell.in_place = true);
    assert!(in_place[0].starts_with("1 row in place"), "{in_place:?}");
    let alone = notes(|report| report.machine.cpus = 1);
    assert!(alone[0].starts_with("one processor"), "{alone:?}");
    let failed = notes(|report| report.runs[0].failed = Some("a reader\nwas killed".into()));
    assert_eq!(
        failed,
        ["2x1K! 1/1 futex failed after 2 repeats: a reader was killed"]
    );
}

#[test]
fn a_report_without_rows_is_written_in_every_format() {
    let mut empty = fake::report(Vec::new());
    empty.baselines.clear();
    empty.complete = false;
    let table = written(Format::Table, &empty);
    assert!(
        table.contains("Imagined") && table.ends_with("more cells than these\n"),
        "{table}"
    );
    let markdown = written(Format::Markdown, &empty);
    assert!(
        markdown.starts_with("Measured on") && !markdown.contains('|'),
        "{markdown}"
    );
    let csv = written(Format::Csv, &empty);
    assert_eq!(csv.lines().count(), 1);
    let json: Value = serde_json::from_str(&written(Format::Json, &empty)).unwrap();
    assert_eq!(json["runs"], Value::Array(Vec::new()));
    assert_eq!(json["complete"], false);
}

#[test]
fn words_from_elsewhere_do_not_break_a_format() {
    let mut report = fake::small();
    report.machine.cpu = "A|B, \"C\"\x1b[2J\n<D>".into();
    report.runs[1].failed = Some("one\r\ntwo|\u{7}three, \"four\"".into());
    for format in [Format::Table, Format::Markdown] {
        let text = written(format, &report);
        assert!(
            !text.chars().any(|c| c.is_control() && c != '\n'),
            "{text:?}"
        );
        assert_eq!(
            text.lines().count(),
            written(format, &fake::small()).lines().count()
        );
    }
    assert!(written(Format::Markdown, &report).contains(r"one two\| three"));
    let csv = written(Format::Csv, &report);
    let mut lines = ::csv::Reader::from_reader(csv.as_bytes());
    assert!(lines.records().all(|line| line.unwrap().len() == 45));
}

#[test]
fn a_format_is_known_by_its_name_only() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    let error = "xml".parse::<Format>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "xml: not a format; there are table, json, csv and markdown"
    );
}

#[test]
fn an_output_that_fails_is_an_error_and_nothing_else() {
    /// Takes so many bytes.
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 < bytes.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for format in Format::ALL {
        for room in [0, 100, 300] {
            let error = write(format, &fake::sweep(), &mut Full(room)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{format}, {room}");
        }
    }
}

#[test]
fn a_row_that_failed_late_keeps_its_figures_and_is_marked() {
    let mut report = fake::sweep();
    report.runs[0].failed = Some("a reader was killed".into());
    let text = written(Format::Table, &report);
    let row: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("2x1K!  1/1 "))
        .collect();
    assert!(row[0].contains("  3002 "), "{row:?}");
    let failed: Vec<&Run> = report
        .runs
        .iter()
        .filter(|run| run.failed.is_some())
        .collect();
    assert_eq!(text.matches('!').count(), 2 * failed.len());
}

#[test]
fn a_report_is_read_back_as_it_was_written() {
    let mut both = fake::full();
    both.runs.extend(fake::small().runs);
    both.complete = false;
    let text = written(Format::Json, &both);
    assert_eq!(read(&mut text.as_bytes()).unwrap(), both);
    // To the last digit, whatever the digits are.
    let sweep = fake::sweep();
    let text_of_sweep = written(Format::Json, &sweep);
    assert_eq!(read(&mut text_of_sweep.as_bytes()).unwrap(), sweep);
    // A field that a later version added.
    let text = text.replacen("{\"machine\"", "{\"later\":[1],\"machine\"", 1);
    assert_eq!(read(&mut text.as_bytes()).unwrap(), both);
}

#[test]
fn what_is_no_report_is_not_read_as_one() {
    let text = written(Format::Json, &fake::full());
    let kind = |text: &str| read(&mut text.as_bytes()).unwrap_err().kind();
    assert_eq!(kind(""), io::ErrorKind::UnexpectedEof);
    assert_eq!(kind(&text[..text.len() / 2]), io::ErrorKind::UnexpectedEof);
    for other in ["[]", "{}", "kind,name", "\u{0}", &format!("{text}{text}")] {
        assert_eq!(kind(other), io::ErrorKind::InvalidData, "{other}");
    }
    let negative = text.replace("\"nodes_moved\":", "\"nodes_moved\":-");
    assert_eq!(kind(&negative), io::ErrorKind::InvalidData);
}

#[test]
fn a_limit_that_was_measured_once_has_no_spread() {
    let mut once = fake::small();
    for limit in &mut once.baselines {
        limit.spread.lowest = limit.spread.median;
        limit.spread.highest = limit.spread.median;
    }
    let table = written(Format::Table, &once);
    assert!(
        table.contains("  LIMIT     OF      MB/S\n  memcpy    20x1M  15200\n"),
        "{table}"
    );
    let markdown = written(Format::Markdown, &once);
    assert!(
        markdown.contains("| limit | of | MB/s |\n|---|---|---:|\n| memcpy | 20x1M | 15200 |\n")
    );
}
