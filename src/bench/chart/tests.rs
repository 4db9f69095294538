use super::*;
use crate::bench::fake;
use crate::bench::model::{Baseline, Run};
use roxmltree::Node;

/// A picture, taken apart.
struct Picture {
    text: String,
}

impl Picture {
    fn of(report: &Report) -> Picture {
        let text = svg(report);
        let picture = Picture { text };
        picture.check();
        picture
    }

    fn parsed(&self) -> roxmltree::Document<'_> {
        roxmltree::Document::parse(&self.text).unwrap_or_else(|error| {
            panic!("not well-formed: {error}\n{}", self.text);
        })
    }

    /// What holds for all of them: well-formed, the right namespace, only finite
    /// figures, and nothing outside the picture.
    fn check(&self) {
        let document = self.parsed();
        let root = document.root_element();
        assert_eq!(root.tag_name().name(), "svg");
        assert_eq!(
            root.tag_name().namespace(),
            Some("http://www.w3.org/2000/svg")
        );
        let size = |name: &str| root.attribute(name).unwrap().parse::<f64>().unwrap();
        let (width, height) = (size("width"), size("height"));
        for node in root.descendants().filter(Node::is_element) {
            for name in ["x", "x1", "x2", "y", "y1", "y2", "width", "height"] {
                let Some(value) = node.attribute(name).filter(|value| *value != "100%") else {
                    continue;
                };
                let value: f64 = value.parse().unwrap();
                let most = if name.starts_with(['x', 'w']) {
                    width
                } else {
                    height
                };
                assert!((0.0..=most).contains(&value), "{name}={value} of {node:?}");
            }
        }
    }

    fn texts(&self, tag: &str) -> Vec<String> {
        let document = self.parsed();
        let nodes = document
            .descendants()
            .filter(|node| node.has_tag_name(tag_of(tag)));
        let words = nodes.map(|node| node.text().unwrap_or_default().trim().to_owned());
        words.collect()
    }

    fn has(&self, words: &str) -> bool {
        self.texts("text").iter().any(|text| text == words)
    }

    /// How many bars have figures, by what is shown when they are pointed at.
    fn bars(&self) -> usize {
        let titles = self.texts("title");
        titles
            .iter()
            .filter(|title| title.contains("writer") && title.contains(" MB/s ("))
            .count()
    }
}

fn tag_of(name: &str) -> (&str, &str) {
    ("http://www.w3.org/2000/svg", name)
}

#[test]
fn a_sweep_has_a_panel_per_node_size_a_group_per_count_and_a_bar_per_row() {
    let picture = Picture::of(&fake::sweep());
    for words in [
        "Bandwidth through a ring, one way",
        "Imagined Processor 9, 4 processors, 8 GiB of memory, Linux 6.1.0, x86_64, \
         2026-11-23 03:52 UTC",
        "queue, wait futex, in processes, copied in and out, medians of 3",
        "nodes of 1 KiB",
        "nodes of 1 MiB",
        "1 writer, 1 reader",
        "1 writer, 2 readers",
        "2 writers, 1 reader",
        "2 writers, 2 readers",
        "ideal pipeline of that ring",
    ] {
        assert!(picture.has(words), "{words}: {:?}", picture.texts("text"));
    }
    let count = |words: &str| {
        picture
            .texts("text")
            .iter()
            .filter(|text| *text == words)
            .count()
    };
    for words in ["2", "5", "10", "20", "50", "MB/s", "nodes in the ring", "0"] {
        assert_eq!(count(words), 2, "{words}");
    }
    assert_eq!(picture.bars(), 40);
    let limits = picture.texts("title");
    assert_eq!(
        limits
            .iter()
            .filter(|title| title.contains("ideal pipeline: "))
            .count(),
        10
    );
    assert!(
        limits.contains(&"50x1M, ideal pipeline: 8,000 MB/s".to_owned()),
        "{limits:?}"
    );
    assert!(!picture.has("failed"));
}

#[test]
fn a_bar_is_as_high_as_its_rate() {
    let rows = [1000.0, 2000.0, 4000.0].into_iter().zip([2, 20, 50]);
    let rows: Vec<Run> = rows
        .map(|(rate, nodes)| fake::run(fake::cell(nodes, 1000, 1, 1), &[rate]))
        .collect();
    let picture = Picture::of(&fake::report(rows));
    let document = picture.parsed();
    let blue = |node: &Node| node.attribute("fill") == Some("#4477aa");
    let heights: Vec<f64> = document
        .descendants()
        .filter(|node| node.has_tag_name(tag_of("rect")) && blue(node))
        .map(|node| node.attribute("height").unwrap().parse().unwrap())
        .skip(1) // the legend's
        .collect();
    assert_eq!(heights.len(), 3);
    assert!((heights[1] / heights[0] - 2.0).abs() < 0.01, "{heights:?}");
    assert!((heights[2] / heights[0] - 4.0).abs() < 0.01, "{heights:?}");
}

#[test]
fn a_limit_is_drawn_as_high_as_a_bar_of_the_same_rate_and_over_all_bars() {
    let combinations = [(1, 1), (2, 2)];
    let runs = combinations.map(|(w, r)| fake::run(fake::cell(20, 1 << 20, w, r), &[4000.0]));
    let picture = Picture::of(&fake::report(runs.to_vec()));
    let document = picture.parsed();
    let number = |node: &Node, name: &str| node.attribute(name).unwrap().parse::<f64>().unwrap();
    let elements = document.descendants().filter(Node::is_element);
    let (mut bars, mut limits) = (Vec::new(), Vec::new());
    for node in elements {
        // The legend's come first.
        if node.has_tag_name(tag_of("rect")) && node.attribute("stroke").is_some() {
            bars.push((
                number(&node, "x"),
                number(&node, "width"),
                number(&node, "y"),
            ));
        } else if node.attribute("stroke-dasharray").is_some() {
            limits.push((
                number(&node, "x1"),
                number(&node, "x2"),
                number(&node, "y1"),
            ));
        }
    }
    assert_eq!((bars.len(), limits.len()), (4, 2));
    let (first, last, (from, to, y)) = (bars[2], bars[3], limits[1]);
    assert_eq!((first.2, last.2), (y, y));
    assert!(
        from < first.0 && last.0 + last.1 < to,
        "{bars:?} {limits:?}"
    );
}

/// How many elements have this attribute.
fn with(picture: &Picture, name: &str, value: &str) -> usize {
    let document = picture.parsed();
    let nodes = document.descendants();
    nodes
        .filter(|node| node.attribute(name) == Some(value))
        .count()
}

#[test]
fn a_bar_that_was_measured_more_than_once_shows_its_spread() {
    assert_eq!(
        with(&Picture::of(&fake::sweep()), "stroke-width", "1.2"),
        40
    );
    assert_eq!(with(&Picture::of(&fake::full()), "stroke-width", "1.2"), 0);
}

#[test]
fn a_figure_never_lies_on_the_line_of_the_limit() {
    for beside in [3600.0, 3900.0, 4000.0, 4100.0] {
        let row = fake::run(
            fake::cell(20, 1 << 20, 1, 1),
            &[beside, beside - 10.0, beside + 10.0],
        );
        let picture = Picture::of(&fake::report(vec![row]));
        let document = picture.parsed();
        let number =
            |node: &Node, name: &str| node.attribute(name).unwrap().parse::<f64>().unwrap();
        let mut nodes = document.descendants();
        let label = nodes
            .find(|node| node.attribute("font-size") == Some("12"))
            .unwrap();
        let mut nodes = document.descendants();
        let limit = nodes
            .rfind(|node| node.attribute("stroke-dasharray").is_some())
            .unwrap();
        let (base, line) = (number(&label, "y"), number(&limit, "y1"));
        // Twelve pixels of digits stand on the base line.
        assert!(
            line > base || line < base - 10.0,
            "{beside}: {base}, {line}"
        );
    }
}

#[test]
fn one_row_is_one_bar_with_its_figure_above_it() {
    let report = fake::report(vec![fake::run(
        fake::cell(20, 1 << 20, 1, 1),
        &[5000.0, 5100.0],
    )]);
    let picture = Picture::of(&report);
    assert_eq!(picture.bars(), 1);
    assert!(picture.has("5,050") && picture.has("nodes of 1 MiB"));
    let titles = picture.texts("title");
    let expected = "20x1M, 1 writer, 1 reader, futex: 5,050 MB/s (5,000 to 5,100), \
                    1.26 of the ideal pipeline";
    assert!(titles.iter().any(|title| title == expected), "{titles:?}");
}

#[test]
fn figures_stand_above_bars_only_where_all_of_them_fit() {
    let picture = Picture::of(&fake::sweep());
    assert!(!picture.has("3,002"), "no room at 40 bars");
    let panel = fake::sweep()
        .runs
        .into_iter()
        .filter(|run| run.cell.node_size == 1024);
    let picture = Picture::of(&fake::report(panel.collect()));
    assert!(picture.has("3,002"));
}

#[test]
fn a_row_that_failed_is_marked_and_says_why() {
    let mut report = fake::small();
    report.runs[1].failed = Some("killed & <gone>".into());
    let picture = Picture::of(&report);
    assert!(picture.has("failed"));
    assert_eq!(picture.bars(), 1);
    // In the legend, and where its bar would be.
    assert_eq!(with(&picture, "stroke", "#cc0000"), 2);
    let titles = picture.texts("title");
    let expected = "20x1M, 2 writers, 2 readers, futex; failed: killed & <gone>";
    assert!(titles.iter().any(|title| title == expected), "{titles:?}");
}

#[test]
fn without_a_pipeline_none_is_drawn_nor_in_the_legend() {
    let mut report = fake::sweep();
    report.baselines.clear();
    let without = Picture::of(&report);
    assert!(!without.has("ideal pipeline of that ring"));
    assert!(!without.text.contains("dasharray"));
    assert_eq!(without.bars(), 40);
    // One of another geometry is no limit of these.
    report.baselines = vec![fake::limit("pipeline", Some(7), 1024, 5000.0)];
    assert!(!Picture::of(&report).text.contains("dasharray"));
}

#[test]
fn ways_to_wait_stand_side_by_side_in_the_same_colour() {
    let mut runs = Vec::new();
    for wait in ["futex", "spin"] {
        let mut cell = fake::cell(20, 1024, 1, 1);
        cell.wait = wait.into();
        runs.push(fake::run(cell, &[1000.0]));
    }
    let sweep_report = fake::report(runs);
    let sweep = Sweep::of(&sweep_report);
    let series: Vec<(&str, &str)> = sweep.series.iter().map(|s| (&*s.label, s.colour)).collect();
    let blue = "#4477aa";
    assert_eq!(
        series,
        [
            ("1 writer, 1 reader, futex", blue),
            ("1 writer, 1 reader, spin", blue)
        ]
    );
    assert!(sweep.series[0].opacity > sweep.series[1].opacity);
    let picture = Picture::of(&sweep_report);
    assert!(picture.has("1 writer, 1 reader, spin"));
    assert!(picture.has("queue, in processes, copied in and out, measured once"));
}

#[test]
fn no_two_of_many_series_look_alike() {
    let combinations = (1..=4).flat_map(|w| (1..=4).map(move |r| (w, r)));
    let runs = combinations.map(|(w, r)| fake::run(fake::cell(20, 1024, w, r), &[1000.0]));
    let report = fake::report(runs.collect());
    let sweep = Sweep::of(&report);
    let mut looks: Vec<String> = sweep
        .series
        .iter()
        .map(|series| format!("{} {}", series.colour, series.opacity))
        .collect();
    looks.sort();
    looks.dedup();
    assert_eq!(looks.len(), 16);
    Picture::of(&report);
}

#[test]
fn a_gap_stays_where_a_row_is_missing() {
    let mut report = fake::sweep();
    report.runs.remove(1);
    let sweep = Sweep::of(&report);
    let first = &sweep.panels[0].groups[0];
    let there: Vec<bool> = first.bars.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, false, true, true]);
}

#[test]
fn a_wide_sweep_makes_a_wide_picture_with_fewer_numbers() {
    let runs = (2..300).map(|nodes| fake::run(fake::cell(nodes * 1000, 64, 1, 1), &[50.0]));
    let picture = Picture::of(&fake::report(runs.collect()));
    assert_eq!(picture.bars(), 298);
    let document = picture.parsed();
    let blue = |node: &Node| node.attribute("fill") == Some("#4477aa");
    let bars = document.descendants().filter(blue);
    let widths = bars.map(|bar| bar.attribute("width").unwrap().parse::<f64>().unwrap());
    assert!(widths.fold(f64::MAX, f64::min) > 4.0);
    let numbers = picture
        .texts("text")
        .iter()
        .filter(|text| text.ends_with(",000"))
        .count();
    assert!((10..100).contains(&numbers), "{numbers}");
}

#[test]
fn an_interrupted_sweep_without_rows_says_so() {
    let mut report = fake::report(Vec::new());
    report.complete = false;
    let picture = Picture::of(&report);
    assert!(picture.has("no rows were measured, interrupted: the sweep has more rows"));
}

#[test]
fn figures_that_are_no_numbers_and_words_that_are_no_words_are_survived() {
    let strange = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e300];
    for rate in strange {
        let mut report = fake::small();
        report.machine.cpu = "<&\"'\u{0}\u{1b}]]>".into();
        report.runs[0].mb_per_s = rate;
        report.runs[0].mb_per_s_spread.highest = rate;
        report.runs[0].mb_per_s_spread.lowest = rate;
        report.runs[0].fraction_of_pipeline = Some(rate);
        report.runs[0].cell.wait = "\u{1}<wait>".into();
        report.runs[1].failed = Some("\u{8}".into());
        let pipeline: &mut Baseline = &mut report.baselines[1];
        pipeline.mb_per_s = rate;
        let picture = Picture::of(&report);
        assert!(!picture.text.contains("NaN\""), "{rate}");
    }
}

#[test]
fn the_same_report_makes_the_same_picture() {
    assert_eq!(svg(&fake::sweep()), svg(&fake::sweep()));
}
