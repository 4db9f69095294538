//! What elements look like: every type at its extremes through every format,
//! in both directions. What is expected was put down here as bytes and texts,
//! and for `.npy` by NumPy's description of the format.

mod harness;

use harness::{Store, npy, npy_with, parse_npy};
use serde_json::{Value, json};
use std::mem::{offset_of, size_of};

// ---- values at the ends of their types --------------------------------------

/// A value in each of its forms.
struct Known {
    /// As it may be written in text and csv.
    text: String,
    /// As it may be written in json, and must be read.
    json: Value,
    bytes: Vec<u8>,
}

fn integers<T: std::fmt::Display + Copy, const N: usize>(
    values: &[T],
    bytes: fn(T) -> [u8; N],
) -> Vec<Known> {
    let known = |&value: &T| Known {
        text: value.to_string(),
        json: value.to_string().parse().unwrap(),
        bytes: bytes(value).to_vec(),
    };
    values.iter().map(known).collect()
}

fn doubles() -> Vec<f64> {
    vec![
        0.0,
        -0.0,
        1.0,
        -1.5,
        0.1,
        1.0 / 3.0,
        1e300,
        -1e-300,
        1e15,
        1e16,
        1e17,
        123_456_789.125,
        9_007_199_254_740_993.0,
        f64::EPSILON,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        f64::from_bits(0x000f_ffff_ffff_ffff),
        5e-324,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ]
}

fn singles() -> Vec<f32> {
    vec![
        0.0,
        -0.0,
        1.0,
        -1.5,
        0.1,
        1.0 / 3.0,
        1e30,
        -1e-30,
        1e7,
        1e8,
        16_777_216.0,
        16_777_217.0,
        f32::EPSILON,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        f32::from_bits(0x007f_ffff),
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ]
}

fn name_of_no_number(value: f64) -> Option<&'static str> {
    match value {
        v if v.is_nan() => Some("NaN"),
        f64::INFINITY => Some("inf"),
        f64::NEG_INFINITY => Some("-inf"),
        _ => None,
    }
}

/// The values of `scalar` at its extremes.
fn extremes(scalar: &str) -> Vec<Known> {
    match scalar {
        "i8" => integers(&[i8::MIN, -1, 0, 1, i8::MAX], i8::to_le_bytes),
        "i16" => integers(&[i16::MIN, -1, 0, 1, i16::MAX], i16::to_le_bytes),
        "i32" => integers(&[i32::MIN, -1, 0, 1, i32::MAX], i32::to_le_bytes),
        "i64" => integers(
            &[i64::MIN, -1, 0, 1, (1 << 53) + 1, i64::MAX],
            i64::to_le_bytes,
        ),
        "u8" => integers(&[0, 1, 127, 128, u8::MAX], u8::to_le_bytes),
        "u16" => integers(&[0, 1, 32767, 32768, u16::MAX], u16::to_le_bytes),
        "u32" => integers(&[0, 1, 1 << 31, u32::MAX], u32::to_le_bytes),
        "u64" => integers(&[0, 1, (1 << 53) + 1, 1 << 63, u64::MAX], u64::to_le_bytes),
        "bool" => [false, true]
            .map(|value| Known {
                text: value.to_string(),
                json: json!(value),
                bytes: vec![u8::from(value)],
            })
            .into(),
        "f64" => doubles()
            .into_iter()
            .map(|value| Known {
                text: value.to_string(),
                json: name_of_no_number(value).map_or_else(|| json!(value), |name| json!(name)),
                bytes: value.to_le_bytes().to_vec(),
            })
            .collect(),
        "f32" => singles()
            .into_iter()
            .map(|value| Known {
                text: value.to_string(),
                json: match name_of_no_number(value.into()) {
                    None => json!(f64::from(value)),
                    Some(name) => json!(name),
                },
                bytes: value.to_le_bytes().to_vec(),
            })
            .collect(),
        _ => panic!("{scalar}"),
    }
}

/// Type, its dtype in NumPy, its size.
const SCALARS: [(&str, &str, usize); 11] = [
    ("i8", "|i1", 1),
    ("i16", "<i2", 2),
    ("i32", "<i4", 4),
    ("i64", "<i8", 8),
    ("u8", "|u1", 1),
    ("u16", "<u2", 2),
    ("u32", "<u4", 4),
    ("u64", "<u8", 8),
    ("f32", "<f4", 4),
    ("f64", "<f8", 8),
    ("bool", "|b1", 1),
];

fn bytes_of(values: &[Known]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|known| known.bytes.clone())
        .collect()
}

/// The same values: bit by bit, but that all NaNs are the same.
#[track_caller]
fn same(scalar: &str, found: &[u8], expected: &[u8]) {
    assert_eq!(found.len(), expected.len(), "{scalar}");
    let width = SCALARS.iter().find(|known| known.0 == scalar).unwrap().2;
    for (at, (found, expected)) in found.chunks(width).zip(expected.chunks(width)).enumerate() {
        let is_nan = |bytes: &[u8]| match scalar {
            "f32" => f32::from_le_bytes(bytes.try_into().unwrap()).is_nan(),
            "f64" => f64::from_le_bytes(bytes.try_into().unwrap()).is_nan(),
            _ => false,
        };
        let nans = is_nan(found) && is_nan(expected);
        assert!(
            nans || found == expected,
            "{scalar}, value {at}: {found:?}, not {expected:?}"
        );
    }
}

/// An array with the extremes of `scalar` in it.
fn array_of_extremes(scalar: &str) -> (Store, Vec<Known>) {
    let known = extremes(scalar);
    let array = Store::array(scalar, known.len() as u64);
    array.poke(0, &bytes_of(&known));
    (array, known)
}

/// The digits that count, without sign, point, exponent and zeros around.
fn digits(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

/// Is `text` the shortest decimal that reads back as `known`?
#[track_caller]
fn is_the_text_of(scalar: &str, text: &str, known: &Known) {
    let (bytes, shortest) = match scalar {
        "f64" => {
            let value = f64::from_le_bytes(known.bytes[..].try_into().unwrap());
            if let Some(name) = name_of_no_number(value) {
                return assert_eq!(text, name);
            }
            (
                text.parse::<f64>().unwrap().to_le_bytes().to_vec(),
                format!("{value:e}"),
            )
        }
        "f32" => {
            let value = f32::from_le_bytes(known.bytes[..].try_into().unwrap());
            if let Some(name) = name_of_no_number(value.into()) {
                return assert_eq!(text, name);
            }
            (
                text.parse::<f32>().unwrap().to_le_bytes().to_vec(),
                format!("{value:e}"),
            )
        }
        _ => return assert_eq!(text, known.text, "{scalar}"),
    };
    assert_eq!(
        bytes, known.bytes,
        "{scalar}: {text} reads back as another value"
    );
    assert_eq!(
        digits(text),
        digits(&shortest),
        "{scalar}: {text} is not the shortest"
    );
    assert!(text.len() <= 26, "{scalar}: {text}: no strings of zeros");
    assert!(
        text.contains(['.', 'e']),
        "{scalar}: {text} looks like an integer"
    );
}

// ---- every type, every format, both ways ------------------------------------

#[test]
fn every_type_at_its_extremes_is_read_as_text() {
    for (scalar, ..) in SCALARS {
        let (array, known) = array_of_extremes(scalar);
        let text = String::from_utf8(array.load("text")).unwrap();
        assert!(text.ends_with('\n'));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), known.len(), "{scalar}: one element a line");
        for (line, known) in lines.iter().zip(&known) {
            is_the_text_of(scalar, line, known);
        }
        assert_eq!(text, array.text(), "text is what one gets without --format");
        array.store("text", text);
        same(scalar, &array.bytes(), &bytes_of(&known));
    }
}

#[test]
fn every_type_at_its_extremes_is_written_as_text() {
    for (scalar, ..) in SCALARS {
        let known = extremes(scalar);
        let texts: Vec<&str> = known.iter().map(|known| known.text.as_str()).collect();
        for separator in ["\n", " ", "\t", "\r\n", "  \n\n "] {
            let array = Store::array(scalar, known.len() as u64);
            array.store("text", texts.join(separator));
            same(scalar, &array.bytes(), &bytes_of(&known));
        }
        // And as arguments.
        let array = Store::array(scalar, known.len() as u64);
        array.write(&texts).run().exits(0).silent();
        same(scalar, &array.bytes(), &bytes_of(&known));
    }
}

#[test]
fn every_type_at_its_extremes_goes_through_json() {
    for (scalar, ..) in SCALARS {
        let (array, known) = array_of_extremes(scalar);
        let printed = String::from_utf8(array.load("json")).unwrap();
        assert_eq!(
            printed.matches('\n').count(),
            1,
            "{scalar}: one line: {printed}"
        );
        assert!(printed.ends_with('\n'));
        let parsed: Vec<Value> = serde_json::from_str(&printed).unwrap();
        assert_eq!(parsed.len(), known.len());
        for (found, known) in parsed.iter().zip(&known) {
            match (scalar, &known.json) {
                ("f32", Value::Number(number)) => {
                    // The shortest for an f32, which is another f64.
                    let found = found.as_f64().unwrap() as f32;
                    assert_eq!(found.to_bits(), (number.as_f64().unwrap() as f32).to_bits());
                }
                ("f64", Value::Number(number)) => {
                    let found = found.as_f64().unwrap();
                    assert_eq!(found.to_bits(), number.as_f64().unwrap().to_bits());
                }
                (_, expected) => assert_eq!(found, expected, "{scalar}"),
            }
        }
        let inputs = [
            printed,
            serde_json::to_string_pretty(
                &known.iter().map(|known| &known.json).collect::<Vec<_>>(),
            )
            .unwrap(),
        ];
        for input in inputs {
            let array = Store::array(scalar, known.len() as u64);
            array.store("json", input);
            same(scalar, &array.bytes(), &bytes_of(&known));
        }
    }
}

#[test]
fn every_type_at_its_extremes_goes_through_csv() {
    for (scalar, ..) in SCALARS {
        let (array, known) = array_of_extremes(scalar);
        let printed = String::from_utf8(array.load("csv")).unwrap();
        let rows: Vec<&str> = printed.lines().collect();
        assert_eq!(
            rows.len(),
            known.len(),
            "{scalar}: a row for each, no header"
        );
        for (row, known) in rows.iter().zip(&known) {
            is_the_text_of(scalar, row, known);
        }
        let texts: Vec<&str> = known.iter().map(|known| known.text.as_str()).collect();
        let quoted: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
        for input in [
            printed.clone(),
            texts.join("\r\n"),
            quoted.join("\n"),
            texts.join(" \n "),
        ] {
            let array = Store::array(scalar, known.len() as u64);
            array.store("csv", input);
            same(scalar, &array.bytes(), &bytes_of(&known));
        }
    }
}

#[test]
fn every_type_at_its_extremes_goes_through_raw_as_it_is() {
    for (scalar, ..) in SCALARS {
        let (array, known) = array_of_extremes(scalar);
        assert_eq!(array.load("raw"), bytes_of(&known), "{scalar}");
        // From a pipe and from a file, which are read in different ways.
        for from_file in [false, true] {
            let array = Store::array(scalar, known.len() as u64);
            let write = array.write(&["--format", "raw"]);
            let write = match from_file {
                true => write.input_file(bytes_of(&known)),
                false => write.input(bytes_of(&known)),
            };
            write.run().exits(0).silent();
            assert_eq!(array.bytes(), bytes_of(&known), "{scalar}");
        }
    }
}

#[test]
fn every_type_at_its_extremes_goes_through_npy() {
    for (scalar, descr, _) in SCALARS {
        let (array, known) = array_of_extremes(scalar);
        let bytes = bytes_of(&known);
        let found = parse_npy(&array.load("npy"));
        assert_eq!(found.descr, descr);
        assert_eq!(found.shape, [known.len() as u64]);
        assert_eq!(found.data, bytes, "{scalar}");
        let array = Store::array(scalar, known.len() as u64);
        array.store("npy", npy(descr, &format!("({},)", known.len()), &bytes));
        assert_eq!(array.bytes(), bytes, "{scalar}");
    }
}

#[test]
fn every_type_at_its_extremes_is_a_field_of_a_record_and_an_element_of_an_array() {
    for (scalar, _, size) in SCALARS {
        let known = extremes(scalar);
        let record = Store::array(
            &format!("before:u8,v:[{scalar};2],after:u8"),
            known.len() as u64,
        );
        // The layout of a C struct, by hand.
        let mut expected = Vec::new();
        for value in &known {
            let mut element = vec![0; 1usize.next_multiple_of(size)];
            element[0] = 11;
            element.extend(&value.bytes);
            element.extend(&known[0].bytes);
            element.push(22);
            element.resize(element.len().next_multiple_of(size), 0);
            expected.extend(element);
        }
        let first = &known[0];
        let text: String = known
            .iter()
            .map(|v| format!("11 {} {} 22\n", v.text, first.text))
            .collect();
        let csv: String = known
            .iter()
            .map(|v| format!("11,{},{},22\n", v.text, first.text))
            .collect();
        let objects: Vec<Value> = known
            .iter()
            .map(|v| json!({"before": 11, "v": [v.json, first.json], "after": 22}))
            .collect();
        for (format, input) in [
            ("text", text),
            ("csv", format!("before,v[0],v[1],after\n{csv}")),
            ("json", json!(objects).to_string()),
        ] {
            record.poke(0, &vec![0; expected.len()]);
            record.store(format, input);
            let found = record.bytes();
            if scalar.starts_with('f') {
                // NaN may have other bits: leave it to the test of f32 and f64 alone.
                assert_eq!(found.len(), expected.len());
                let stride = expected.len() / known.len();
                for (at, value) in known
                    .iter()
                    .enumerate()
                    .filter(|(_, v)| !v.text.contains("NaN"))
                {
                    let range = at * stride..(at + 1) * stride;
                    assert_eq!(
                        found[range.clone()],
                        expected[range],
                        "{format}: {}",
                        value.text
                    );
                }
            } else {
                assert_eq!(found, expected, "{scalar} as {format}");
            }
            let again = Store::array(
                &format!("before:u8,v:[{scalar};2],after:u8"),
                known.len() as u64,
            );
            again.store(format, record.load(format));
            assert_eq!(
                again.load("text"),
                record.load("text"),
                "{scalar} as {format}"
            );
        }
    }
}

// ---- what is written in one format is read in all others --------------------

/// Deterministic, and a new one each time.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn what_is_written_in_one_format_is_the_same_in_all_others() {
    let types = [
        "i8",
        "i16",
        "i32",
        "i64",
        "u8",
        "u16",
        "u32",
        "u64",
        "f32",
        "f64",
        "bool",
        "[f32;3]",
        "[[i16;2];3]",
        "[u8;1]",
        "id:u32,position:[f32;3],alive:bool",
        "a:u8,b:u64,c:{x:i8,y:f64},d:[{p:u16,q:bool};2],e:[[i8;2];2]",
        "only:f64",
        "[{x:f32,y:f32};4]",
    ];
    let mut state = 88_172_645_463_325_252;
    for element in types {
        const LEN: u64 = 37;
        let original = Store::array(element, LEN);
        let parsed: shmkit::array::ElementType = element.parse().unwrap();
        let mut bytes = vec![0; parsed.size() * LEN as usize];
        for one in bytes.chunks_mut(parsed.size()) {
            for leaf in parsed.leaves() {
                let value = match leaf.scalar.as_str() {
                    "bool" => random(&mut state) & 1,
                    // Any but NaN, whose bits texts do not tell.
                    "f32" => random(&mut state) & 0xbf7f_ffff,
                    "f64" => random(&mut state) & 0xbfef_ffff_ffff_ffff,
                    _ => random(&mut state),
                };
                let size = leaf.scalar.size();
                one[leaf.offset..leaf.offset + size].copy_from_slice(&value.to_le_bytes()[..size]);
            }
        }
        original.store("raw", bytes.clone());
        assert_eq!(original.bytes(), bytes);
        let has_npy = !element.contains(':');
        let formats = ["text", "json", "csv", "raw", "npy"];
        let formats = formats.iter().filter(|&&format| has_npy || format != "npy");
        let seen: Vec<_> = formats
            .map(|format| (*format, original.load(format)))
            .collect();
        for (format, output) in &seen {
            let copy = Store::array(element, LEN);
            copy.store(format, output.clone());
            assert_eq!(copy.bytes(), bytes, "{element} through {format}");
            for (other, expected) in &seen {
                assert_eq!(
                    copy.load(other),
                    *expected,
                    "{element}: {format}, then {other}"
                );
            }
        }
    }
}

#[test]
fn a_part_is_read_and_written_in_every_format() {
    for format in ["text", "json", "csv", "raw", "npy"] {
        let array = Store::array("[i16;2]", 5);
        array
            .write(&["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"])
            .run()
            .exits(0);
        let part = ["--at", "2", "--count", "2", "--format", format];
        let middle = array.read(&part).run().exits(0).silent().stdout;
        array
            .write(&["--at", "0", "--format", format])
            .input(middle.clone())
            .run()
            .exits(0)
            .silent();
        assert_eq!(array.text(), "5 6\n7 8\n5 6\n7 8\n9 10\n", "{format}");
        array
            .write(&["--at", "4", "--format", format])
            .input(middle)
            .run()
            .fails(1);
        let none = array
            .read(&["--count", "0", "--format", format])
            .run()
            .exits(0)
            .stdout;
        let expected: &[u8] = match format {
            "json" => b"[]\n",
            "npy" => {
                assert_eq!(parse_npy(&none).shape, [0, 2]);
                &none
            }
            _ => b"",
        };
        assert_eq!(none, expected, "{format}");
    }
}

#[test]
fn input_that_comes_a_byte_at_a_time_is_the_same() {
    // A number, a quoted cell, a header: each is cut in all its places.
    for (format, input) in [
        ("text", b"12345 -678\n+9\t0x10\r\n".to_vec()),
        ("json", b" [12345, -678,\n 9 , 16 ] \n".to_vec()),
        ("csv", b"12345\n\"-678\"\r\n 9\n0x10".to_vec()),
        (
            "raw",
            [12345i32, -678, 9, 16]
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        ),
        (
            "npy",
            npy(
                "<i4",
                "(4,)",
                &[12345i32, -678, 9, 16].map(i32::to_le_bytes).concat(),
            ),
        ),
    ] {
        let array = Store::array("i32", 4);
        let mut writer = array.write(&["--format", format]).held_stdin().start();
        for byte in input {
            writer.feed(&[byte]);
            // It may read on before the next, or not: both must do.
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
        writer.close_stdin();
        writer.finish().exits(0).silent();
        assert_eq!(array.text(), "12345\n-678\n9\n16\n", "{format}");
    }
}

#[test]
fn large_arrays_come_through_every_format_whole() {
    // More than any buffer on the way, in numbers of all lengths, so that
    // each seam is somewhere within one.
    const LEN: usize = 300_000;
    let mut state = 88_172_645_463_325_252;
    let values: Vec<i64> = (0..LEN)
        .map(|_| {
            let shift = random(&mut state) % 64;
            (random(&mut state) >> shift) as i64
        })
        .collect();
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let array = Store::array("i64", LEN as u64);
    let lines: String = values.iter().map(|value| format!("{value}\n")).collect();
    let commas = values
        .iter()
        .map(i64::to_string)
        .collect::<Vec<_>>()
        .join(",");
    for (format, expected) in [
        ("text", lines.clone().into_bytes()),
        ("csv", lines.into_bytes()),
        ("json", format!("[{commas}]\n").into_bytes()),
        ("raw", bytes.clone()),
        ("npy", npy("<i8", &format!("({LEN},)"), &bytes)),
    ] {
        for from_file in [false, true] {
            array.poke(0, &vec![0; bytes.len()]);
            let write = array.write(&["--format", format]);
            let write = match from_file {
                true => write.input_file(&expected),
                false => write.input(expected.clone()),
            };
            write.run().exits(0).silent();
            assert!(array.bytes() == bytes, "{format}, from a file: {from_file}");
        }
        let found = array.load(format);
        match format {
            "npy" => assert!(parse_npy(&found).data == bytes, "{format}"),
            _ => assert!(found == expected, "{format}"),
        }
    }
}

#[test]
fn more_than_is_copied_aside_is_printed_whole() {
    // 20 MiB: written out under the lock, in pieces.
    let array = Store::array("[u8;5]", 4 << 20);
    let pattern = harness::Pattern::new(5, 20 << 20);
    let file = pattern.file();
    let stdin = file.reopen().unwrap();
    array
        .write(&["--format", "raw"])
        .stdin(stdin)
        .run()
        .exits(0)
        .silent();
    let read = array
        .read(&["--format", "raw"])
        .verify(&pattern)
        .run()
        .exits(0)
        .silent();
    read.verdict.unwrap().is_whole(&pattern);
    let bytes = pattern.bytes();
    let text = array.load("text");
    let mut lines = text.split(|&byte| byte == b'\n');
    for element in bytes.chunks(5) {
        let [a, b, c, d, e] = element else {
            panic!("pieces of 5")
        };
        assert_eq!(
            lines.next().unwrap(),
            format!("{a} {b} {c} {d} {e}").as_bytes()
        );
    }
    assert_eq!(lines.collect::<Vec<_>>(), [b""]);
    let part = array
        .read(&["--at", "3500000", "--count", "3", "--format", "raw"])
        .run()
        .exits(0);
    assert_eq!(part.stdout, bytes[17_500_000..17_500_015]);
}

// ---- text -------------------------------------------------------------------

#[test]
fn numbers_look_as_promised() {
    let array = Store::array("f64", 9);
    array
        .write(&[
            "1", "1e300", "nan", "inf", "-inf", "0.1", "-0", "100", "5e-324",
        ])
        .run()
        .exits(0);
    assert_eq!(
        array.text(),
        "1.0\n1e300\nNaN\ninf\n-inf\n0.1\n-0.0\n100.0\n5e-324\n"
    );
    let array = Store::array("f32", 3);
    array
        .write(&["0.1", "16777216", "3.4028235e38"])
        .run()
        .exits(0);
    assert_eq!(array.text(), "0.1\n16777216.0\n3.4028235e38\n");
    let array = Store::array("bool", 2);
    array.write(&["true", "0"]).run().exits(0);
    assert_eq!(array.text(), "true\nfalse\n");
}

/// Each text is, of that type, the same as the other.
#[track_caller]
fn means(element: &str, table: &[(&str, &str)]) {
    let array = Store::array(element, 1);
    for (typed, printed) in table {
        for input in [
            (*typed).to_owned(),
            format!("{typed}\n"),
            format!("\n \t{typed} \r\n"),
        ] {
            array.store("text", input);
            assert_eq!(array.text(), format!("{printed}\n"), "{element}: {typed}");
        }
        array.store("csv", *typed);
        assert_eq!(
            array.text(),
            format!("{printed}\n"),
            "{element} as csv: {typed}"
        );
        array.write(&[typed]).run().exits(0).silent();
        assert_eq!(
            array.text(),
            format!("{printed}\n"),
            "{element} as argument: {typed}"
        );
    }
}

#[test]
fn integers_are_decimal_or_hexadecimal_with_a_sign_or_without() {
    means(
        "u8",
        &[
            ("0", "0"),
            ("+5", "5"),
            ("007", "7"),
            ("0xff", "255"),
            ("0x0", "0"),
            ("0xFf", "255"),
            ("+0x10", "16"),
        ],
    );
    means(
        "i8",
        &[
            ("-0", "0"),
            ("-0x80", "-128"),
            ("0x7f", "127"),
            ("+127", "127"),
            ("-000128", "-128"),
        ],
    );
    means("u64", &[("0xffffffffffffffff", "18446744073709551615")]);
    means("i64", &[("-0x8000000000000000", "-9223372036854775808")]);
}

#[test]
fn floats_are_decimal_with_an_exponent_or_without_or_no_numbers_in_any_case() {
    let table = [
        ("1", "1.0"),
        ("+1", "1.0"),
        ("-1", "-1.0"),
        (".5", "0.5"),
        ("5.", "5.0"),
        ("1e2", "100.0"),
        ("1E2", "100.0"),
        ("1e+2", "100.0"),
        ("25e-2", "0.25"),
        ("-.5e1", "-5.0"),
        ("inf", "inf"),
        ("+inf", "inf"),
        ("-INF", "-inf"),
        ("Infinity", "inf"),
        ("-infinity", "-inf"),
        ("nan", "NaN"),
        ("NaN", "NaN"),
        ("NAN", "NaN"),
        ("+nan", "NaN"),
        ("-nan", "NaN"),
        ("000001.5000", "1.5"),
        ("-0", "-0.0"),
        // Too small is 0, with its sign.
        ("1e-400", "0.0"),
        ("-1e-400", "-0.0"),
        ("1e-999999999999", "0.0"),
        ("0e999999999999", "0.0"),
    ];
    means("f64", &table);
    means("f32", &table);
    means(
        "f32",
        &[
            ("1e-50", "0.0"),
            ("3.4028235e38", "3.4028235e38"),
            ("3.40282349e38", "3.4028235e38"),
            ("1e-45", "1e-45"),
        ],
    );
    means(
        "f64",
        &[
            ("1.7976931348623157e308", "1.7976931348623157e308"),
            ("4.9e-324", "5e-324"),
        ],
    );
}

#[test]
fn an_f32_is_rounded_once() {
    // Just below the middle of two f32; as an f64 it is the middle, which
    // goes to the other neighbour.
    let typed = "1.00000017881393432617187499";
    let expected = typed.parse::<f32>().unwrap().to_le_bytes();
    for format in ["text", "csv", "json"] {
        let array = Store::array("f32", 1);
        array.store(format, typed);
        assert_eq!(array.bytes(), expected, "{format}");
    }
}

#[test]
fn truth_is_a_word_or_a_digit_and_any_byte_but_0_is_true() {
    means(
        "bool",
        &[
            ("true", "true"),
            ("false", "false"),
            ("1", "true"),
            ("0", "false"),
        ],
    );
    let array = Store::array("bool", 3);
    array.store("raw", [0, 1, 7]);
    assert_eq!(array.text(), "false\ntrue\ntrue\n");
    assert_eq!(array.load("json"), b"[false,true,true]\n");
}

#[test]
fn line_ends_mean_nothing_more_than_blanks_in_text() {
    let array = Store::array("x:i32,y:i32", 3);
    array.store("text", "1 2 3\n4\n\n5\r\n6");
    assert_eq!(array.text(), "1 2\n3 4\n5 6\n");
    array.store("text", "9 9");
    assert_eq!(
        array.text(),
        "9 9\n3 4\n5 6\n",
        "fewer than there is room for"
    );
}

// ---- records and arrays as elements -----------------------------------------

#[repr(C)]
struct Inner {
    x: i8,
    y: f64,
}

#[repr(C)]
struct Outer {
    a: u8,
    b: u64,
    c: Inner,
    d: [u16; 3],
    e: bool,
}

const OUTER: &str = "a:u8,b:u64,c:{x:i8,y:f64},d:[u16;3],e:bool";

/// An element as a C compiler lays it out: a = 1, b = 2, ... e = true.
fn outer() -> Vec<u8> {
    let mut bytes = vec![0; size_of::<Outer>()];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(offset_of!(Outer, a), &[1]);
    put(offset_of!(Outer, b), &2u64.to_le_bytes());
    put(offset_of!(Outer, c) + offset_of!(Inner, x), &[253]);
    put(
        offset_of!(Outer, c) + offset_of!(Inner, y),
        &4.5f64.to_le_bytes(),
    );
    for (i, value) in [5u16, 6, 7].into_iter().enumerate() {
        put(offset_of!(Outer, d) + 2 * i, &value.to_le_bytes());
    }
    put(offset_of!(Outer, e), &[1]);
    bytes
}

#[test]
fn a_record_lies_as_a_c_compiler_would_lay_it_and_is_shown_by_its_fields() {
    let array = Store::array(OUTER, 2);
    assert_eq!(array.inspect()["array"]["element_size"], size_of::<Outer>());
    let zero = vec![0; size_of::<Outer>()];
    let object = r#"{"a":1,"b":2,"c":{"x":-3,"y":4.5},"d":[5,6,7],"e":true}"#;
    let csv = "a,b,c.x,c.y,d[0],d[1],d[2],e\n1,2,-3,4.5,5,6,7,true\n";
    for (format, input) in [
        ("text", "1 2 -3 4.5 5 6 7 true"),
        ("json", object),
        ("csv", csv),
    ] {
        array.poke(0, &zero);
        array.store(format, input);
        assert_eq!(array.bytes(), [outer(), zero.clone()].concat(), "{format}");
    }
    assert_eq!(
        array.text(),
        "1 2 -3 4.5 5 6 7 true\n0 0 0 0.0 0 0 0 false\n"
    );
    assert_eq!(
        String::from_utf8(array.load("csv")).unwrap(),
        format!("{csv}0,0,0,0.0,0,0,0,false\n")
    );
    let printed = String::from_utf8(array.load("json")).unwrap();
    let parsed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(parsed[0], serde_json::from_str::<Value>(object).unwrap());
    assert_eq!(parsed[1]["c"], json!({"x": 0, "y": 0.0}));
    let order = [
        "\"a\"", "\"b\"", "\"c\"", "\"x\"", "\"y\"", "\"d\"", "\"e\"",
    ]
    .map(|key| printed.find(key).unwrap());
    assert!(order.is_sorted(), "fields in their order: {printed}");
}

#[test]
fn fields_may_come_in_any_order_in_json_and_in_csv() {
    let array = Store::array("id:u32,position:[f32;2],alive:bool", 2);
    array.store(
        "json",
        r#"[ {"alive": true, "position": [1, 2.5], "id": 7},
             {"position": [-1, 0], "id": 8, "alive": false} ]"#,
    );
    let expected = "7 1.0 2.5 true\n8 -1.0 0.0 false\n";
    assert_eq!(array.text(), expected);
    array.poke(0, &[0; 32]);
    array.store(
        "csv",
        "position[1],alive, id ,\"position[0]\"\r\n2.5,true,7,1\r\n0 , 0,\"8\", -1\r\n",
    );
    assert_eq!(array.text(), expected);
    array.store("csv", "id,position[0],position[1],alive\n");
    assert_eq!(array.text(), expected, "a header alone is no element");
}

#[test]
fn json_is_an_array_of_elements_or_one_element() {
    let array = Store::array("u8", 3);
    array.store("json", "9");
    assert_eq!(array.text(), "9\n0\n0\n");
    array.store("json", "\n[1,\n2, 3 ]\n\n");
    assert_eq!(array.text(), "1\n2\n3\n");
    let array = Store::array("[u8;3]", 2);
    array.store("json", "[1,2,3]");
    assert_eq!(array.text(), "1 2 3\n0 0 0\n");
    array.store("json", "[[4,5,6],[7,8,9]]");
    assert_eq!(array.text(), "4 5 6\n7 8 9\n");
    let array = Store::array("x:u8", 2);
    array.store("json", r#"{"x":1}"#);
    array
        .write(&["--at", "1", "--format", "json", r#"[{"x":2}]"#])
        .run()
        .exits(0);
    assert_eq!(array.text(), "1\n2\n");
}

#[test]
fn json_arguments_are_elements_or_arrays_of_them() {
    let array = Store::array("i32", 5);
    array
        .write(&["--format", "json", "[-1,-2]", "-3", "[]", "[-4]"])
        .run()
        .exits(0)
        .silent();
    assert_eq!(array.text(), "-1\n-2\n-3\n-4\n0\n");
}

#[test]
fn what_is_no_number_is_a_string_in_json() {
    let array = Store::array("f64", 3);
    array.store("json", r#"["NaN","inf","-inf"]"#);
    assert_eq!(array.text(), "NaN\ninf\n-inf\n");
    assert_eq!(array.load("json"), b"[\"NaN\",\"inf\",\"-inf\"]\n");
    array.store("json", r#"["nan","Infinity","-infinity"]"#);
    assert_eq!(array.text(), "NaN\ninf\n-inf\n");
    array.store("json", "[1, -0.0, 1e-400]");
    assert_eq!(array.text(), "1.0\n-0.0\n0.0\n");
}

// ---- npy --------------------------------------------------------------------

#[test]
fn arrays_of_arrays_have_as_many_dimensions_in_npy() {
    for (element, shape, descr, size) in [
        ("[f32;3]", vec![4, 3], "<f4", 12),
        ("[[i16;2];5]", vec![4, 5, 2], "<i2", 20),
        ("[[[bool;1];2];3]", vec![4, 3, 2, 1], "|b1", 6),
    ] {
        let array = Store::array(element, 4);
        let bytes: Vec<u8> = match descr {
            "|b1" => (0..4 * size).map(|i| i as u8 % 2).collect(),
            _ => (0..4 * size).map(|i| i as u8).collect(),
        };
        array.store("raw", bytes.clone());
        let found = parse_npy(&array.load("npy"));
        assert_eq!(
            (found.descr.as_str(), &found.shape, &found.data),
            (descr, &shape, &bytes),
            "{element}"
        );
        let shape = format!(
            "({})",
            shape
                .iter()
                .map(u64::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        );
        let copy = Store::array(element, 4);
        copy.store("npy", npy(descr, &shape, &bytes));
        assert_eq!(copy.bytes(), bytes, "{element}");
    }
}

#[test]
fn npy_files_of_other_writers_are_read() {
    let data: Vec<u8> = [1.5f64, -2.0, 3.25]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let file = |version: u8, header: &str| npy_with(version, header, &data);
    for (what, input) in [
        (
            "version 1",
            file(
                1,
                "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n",
            ),
        ),
        (
            "version 2",
            file(
                2,
                "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }   \n",
            ),
        ),
        (
            "version 3",
            file(
                3,
                "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n",
            ),
        ),
        (
            "no blanks",
            file(1, "{'descr':'<f8','fortran_order':False,'shape':(3,)}\n"),
        ),
        (
            "another order",
            file(
                1,
                "{ 'shape' : (3, ) , 'fortran_order' : False , 'descr' : '<f8' }  \n",
            ),
        ),
        (
            "double quotes",
            file(
                1,
                "{\"descr\": \"<f8\", \"fortran_order\": False, \"shape\": (3,)}\n",
            ),
        ),
        (
            "column by column, of one dimension",
            file(
                1,
                "{'descr': '<f8', 'fortran_order': True, 'shape': (3,), }\n",
            ),
        ),
        (
            "native order",
            file(
                1,
                "{'descr': '=f8', 'fortran_order': False, 'shape': (3,), }\n",
            ),
        ),
    ] {
        let array = Store::array("f64", 3);
        array.store("npy", input);
        assert_eq!(array.text(), "1.5\n-2.0\n3.25\n", "{what}");
    }
    let array = Store::array("f64", 3);
    array.store("npy", npy("<f8", "()", &data[..8]));
    assert_eq!(array.text(), "1.5\n0.0\n0.0\n", "no dimension: one element");
    array.store("npy", npy("<f8", "(0,)", &[]));
    array
        .write(&["--format", "npy", "--at", "2"])
        .input(npy("<f8", "(1,)", &data[8..16]))
        .run()
        .exits(0);
    assert_eq!(array.text(), "1.5\n0.0\n-2.0\n");
}
