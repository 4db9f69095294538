//! What stands around the panels: title, machine, legend; and how text, lines and
//! marks look everywhere in the picture.
//!
//! ```text
//!   Bandwidth through a ring, one way
//!   machine, kernel, date                    wrapped at commas
//!   what all rows share
//!   [] 1 writer, 1 reader   [] ...           in one row, or in columns of equal
//!   - - ideal pipeline      x failed         width where one is not enough
//! ```
//!
//! The legend has only what is in the picture. An SVG cannot say how wide a text
//! is: the font is chosen where it is shown. So widths are estimated, generously:
//! lines break early rather than run out of the picture.
//!
//! All text passes through [`text`] or [`title`], which drop what XML cannot carry;
//! `<` and `&` are escaped when the picture is written.

use super::series::{Series, Sweep};
use crate::bench::model::Report;
use crate::bench::report::{date, machine_words, plain, shared_words};
use svg::node::element::{Group, Line, Rectangle, Text, Title};

/// Around everything.
pub(super) const MARGIN: f64 = 24.0;
/// Between panels.
pub(super) const GAP: f64 = 28.0;
/// Of text and bars' outlines.
pub(super) const INK: &str = "#222222";
/// Of what is less important.
pub(super) const PALE: &str = "#666666";
/// Of what failed.
pub(super) const ALARM: &str = "#cc0000";

const TITLE_SIZE: f64 = 20.0;
const SMALL_SIZE: f64 = 13.0;
const LINE: f64 = 19.0;
/// A sample of colour in the legend, with the room to its right.
const SAMPLE: f64 = 14.0;
const SAMPLE_GAP: f64 = 6.0;
const ENTRY_GAP: f64 = 22.0;

/// A text's width, rather too much than too little.
pub(super) fn width_of(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.56
}

/// Text at a place; the place is at its left, on its base line.
pub(super) fn text(words: &str, x: f64, y: f64, size: f64) -> Text {
    Text::new(plain(words))
        .set("x", round(x))
        .set("y", round(y))
        .set("font-size", size)
}

/// What is shown when the element it is in is pointed at.
pub(super) fn title(words: &str) -> Title {
    Title::new(plain(words))
}

/// To a tenth of a pixel: more would only be longer.
pub(super) fn round(value: f64) -> f64 {
    (10.0 * value).round() / 10.0
}

/// The lines above the panels.
pub(super) struct Frame {
    title: &'static str,
    lines: Vec<String>,
    legend: Vec<(Entry, f64, f64)>,
    legend_rows: usize,
}

enum Entry {
    Bar(&'static str, f64, String),
    Limit,
    Failed,
}

impl Frame {
    /// For a picture of this width.
    pub fn of(report: &Report, sweep: &Sweep, width: f64) -> Frame {
        let mut machine = machine_words(&report.machine);
        machine.push(date(report.machine.unix_ns));
        let mut rows = shared_words(&report.runs);
        if report.runs.is_empty() {
            rows.push("no rows were measured".into());
        }
        if !report.complete {
            rows.push("interrupted: the sweep has more rows".into());
        }
        let room = width - 2.0 * MARGIN;
        let mut lines = wrapped(&machine, room);
        lines.extend(wrapped(&rows, room));

        let bar = |series: &Series| Entry::Bar(series.colour, series.opacity, series.label.clone());
        let mut entries: Vec<Entry> = sweep.series.iter().map(bar).collect();
        if sweep.has_limit() {
            entries.push(Entry::Limit);
        }
        if sweep.runs().any(|run| run.failed.is_some()) {
            entries.push(Entry::Failed);
        }
        let widths: Vec<f64> = entries.iter().map(Entry::width).collect();
        // In columns, where one row is not enough.
        let one_row = widths.iter().map(|width| width + ENTRY_GAP).sum::<f64>() - ENTRY_GAP <= room;
        let widest = widths.iter().copied().fold(0.0, f64::max);
        let (mut x, mut row) = (0.0, 0);
        let mut legend = Vec::new();
        for (entry, width) in entries.into_iter().zip(widths) {
            let width = if one_row { width } else { widest };
            if x > 0.0 && x + width > room {
                (x, row) = (0.0, row + 1);
            }
            legend.push((entry, x, row as f64));
            x += width + ENTRY_GAP;
        }
        Frame {
            title: "Bandwidth through a ring, one way",
            lines,
            legend_rows: if legend.is_empty() { 0 } else { row + 1 },
            legend,
        }
    }

    /// Down to where the panels begin.
    pub fn height(&self) -> f64 {
        let lines = self.lines.len() + self.legend_rows;
        MARGIN + TITLE_SIZE + 10.0 + lines as f64 * LINE + 20.0
    }

    pub fn drawn(&self) -> Group {
        let mut y = MARGIN + TITLE_SIZE - 4.0;
        let title = text(self.title, MARGIN, y, TITLE_SIZE).set("font-weight", "bold");
        let mut group = Group::new().add(title);
        y += 6.0;
        for line in &self.lines {
            y += LINE;
            group = group.add(text(line, MARGIN, y, SMALL_SIZE).set("fill", PALE));
        }
        y += 8.0 + LINE;
        for (entry, x, row) in &self.legend {
            group = group.add(entry.drawn(MARGIN + x, y + row * LINE));
        }
        group
    }
}

impl Entry {
    fn label(&self) -> &str {
        match self {
            Entry::Bar(_, _, label) => label,
            Entry::Limit => "ideal pipeline of that ring",
            Entry::Failed => "failed",
        }
    }

    fn width(&self) -> f64 {
        SAMPLE + SAMPLE_GAP + width_of(self.label(), SMALL_SIZE)
    }

    fn drawn(&self, x: f64, y: f64) -> Group {
        let label = text(self.label(), x + SAMPLE + SAMPLE_GAP, y, SMALL_SIZE);
        let group = Group::new().add(label);
        match self {
            Entry::Bar(colour, opacity, _) => group.add(
                Rectangle::new()
                    .set("x", round(x))
                    .set("y", round(y - 11.0))
                    .set("width", SAMPLE)
                    .set("height", SAMPLE - 2.0)
                    .set("fill", *colour)
                    .set("fill-opacity", *opacity)
                    .set("stroke", *colour),
            ),
            Entry::Limit => group.add(limit_line(x - 2.0, x + SAMPLE + 2.0, y - 4.5)),
            Entry::Failed => group.add(cross(x + SAMPLE / 2.0, y - 4.5, 4.5)),
        }
    }
}

/// How the ideal pipeline is drawn.
pub(super) fn limit_line(from: f64, to: f64, y: f64) -> Line {
    Line::new()
        .set("x1", round(from))
        .set("x2", round(to))
        .set("y1", round(y))
        .set("y2", round(y))
        .set("stroke", "#000000")
        .set("stroke-width", 2)
        .set("stroke-dasharray", "5 2.5")
}

/// How a row that failed is drawn: in red, on white, to be seen on any bar.
pub(super) fn cross(x: f64, y: f64, arm: f64) -> Group {
    let stroke = |from: f64, to: f64| {
        Line::new()
            .set("x1", round(x - arm))
            .set("x2", round(x + arm))
            .set("y1", round(y + from))
            .set("y2", round(y + to))
    };
    let strokes = |colour: &str, width: f64| {
        Group::new()
            .set("stroke", colour)
            .set("stroke-width", width)
            .set("stroke-linecap", "round")
            .add(stroke(-arm, arm))
            .add(stroke(arm, -arm))
    };
    Group::new()
        .add(strokes("#ffffff", 5.5))
        .add(strokes(ALARM, 2.5))
}

/// Words with commas between them, in lines of at most this width.
fn wrapped(words: &[String], room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if width_of(&format!("{line}, {word}"), SMALL_SIZE) <= room => {
                line.push_str(", ");
                line.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}
