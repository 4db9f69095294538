//! Panels, groups and bars: what the rows of a sweep are in a picture.
//!
//! ```text
//!   Sweep
//!    +- series   what bars are told apart by: writers, readers, ways to wait
//!    +- panels   a node size each, from small to large
//!        +- groups   a node count each, from few to many
//!            +- limit   the ideal pipeline of that ring
//!            +- bars    a row each, or none, in the order of the series
//! ```

use crate::bench::model::{Cell, Report, Run};

/// All of a picture's content.
pub(super) struct Sweep<'a> {
    pub series: Vec<Series>,
    pub panels: Vec<Panel<'a>>,
}

/// Rows that differ in the ring's geometry only.
pub(super) struct Series {
    pub label: String,
    pub colour: &'static str,
    /// Of its fill: ways to wait differ in this.
    pub opacity: f64,
}

/// A node size.
pub(super) struct Panel<'a> {
    pub node_size: u64,
    pub groups: Vec<Group<'a>>,
}

/// A node count.
pub(super) struct Group<'a> {
    pub nodes: u32,
    /// MB/s of the ideal pipeline.
    pub limit: Option<f64>,
    /// As many as there are series.
    pub bars: Vec<Option<&'a Run>>,
}

/// Told apart also by those who do not see all colours (Paul Tol's bright scheme).
const COLOURS: [&str; 7] = [
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#888888",
];
const OPACITIES: [f64; 4] = [1.0, 0.6, 0.35, 0.15];

impl<'a> Sweep<'a> {
    /// Finds them in the rows. The series come by writers and readers, and then in
    /// the order of the rows, whichever rows are missing.
    pub fn of(report: &'a Report) -> Sweep<'a> {
        let mut cells: Vec<&Cell> = Vec::new();
        for run in &report.runs {
            if !cells.iter().any(|cell| same_series(cell, &run.cell)) {
                cells.push(&run.cell);
            }
        }
        cells.sort_by_key(|cell| (cell.writers, cell.readers));
        let sizes = sorted(report.runs.iter().map(|run| run.cell.node_size));
        let panel = |node_size| {
            let of_size = || {
                report
                    .runs
                    .iter()
                    .filter(move |r| r.cell.node_size == node_size)
            };
            let counts = sorted(of_size().map(|run| run.cell.nodes));
            let group = |nodes| Group {
                nodes,
                limit: limit_of(report, nodes, node_size),
                bars: cells
                    .iter()
                    .map(|cell| {
                        let mut runs = of_size().filter(|run| run.cell.nodes == nodes);
                        runs.find(|run| same_series(cell, &run.cell))
                    })
                    .collect(),
            };
            Panel {
                node_size,
                groups: counts.into_iter().map(group).collect(),
            }
        };
        Sweep {
            series: series_of(&cells),
            panels: sizes.into_iter().map(panel).collect(),
        }
    }

    /// Whether a limit is drawn anywhere.
    pub fn has_limit(&self) -> bool {
        let mut groups = self.panels.iter().flat_map(|panel| &panel.groups);
        groups.any(|group| group.limit.is_some())
    }

    /// All rows.
    pub fn runs(&self) -> impl Iterator<Item = &'a Run> {
        let groups = self.panels.iter().flat_map(|panel| &panel.groups);
        groups.flat_map(|group| group.bars.iter().copied().flatten())
    }
}

impl Panel<'_> {
    /// The highest figure that is drawn.
    pub fn highest(&self) -> f64 {
        let of_group = |group: &Group| {
            let runs = group.bars.iter().flatten();
            let tops = runs.map(|run| run.mb_per_s.max(run.mb_per_s_spread.highest));
            let limits = group.limit.into_iter();
            tops.chain(limits)
                .filter(|top| top.is_finite())
                .fold(0.0, f64::max)
        };
        self.groups.iter().map(of_group).fold(0.0, f64::max)
    }
}

/// Colours for writers and readers, and lighter ones for each further way of doing
/// the same with them.
fn series_of(cells: &[&Cell]) -> Vec<Series> {
    let shared = |same: fn(&Cell, &Cell) -> bool| cells.windows(2).all(|w| same(w[0], w[1]));
    let one_wait = shared(|a, b| a.wait == b.wait);
    let one_delivery = shared(|a, b| a.delivery == b.delivery);
    let one_mode = shared(|a, b| a.mode == b.mode);
    let one_copy = shared(|a, b| a.in_place == b.in_place);
    let pair = |cell: &Cell| (cell.writers, cell.readers);
    let way = |cell: &Cell| {
        let (wait, delivery) = (cell.wait.clone(), cell.delivery.clone());
        (wait, delivery, cell.mode.clone(), cell.in_place)
    };
    let (pairs, ways) = (
        distinct(cells.iter().map(|cell| pair(cell))),
        distinct(cells.iter().map(|cell| way(cell))),
    );
    let series = |cell: &&Cell| {
        let colour = position(&pairs, &pair(cell));
        let lap = colour / COLOURS.len() + position(&ways, &way(cell));
        let mut words = vec![parties(cell)];
        let mut say = |shared: bool, word: &str| {
            if !shared {
                words.push(word.to_owned());
            }
        };
        say(one_wait, &cell.wait);
        say(one_delivery, &cell.delivery);
        say(one_mode, &cell.mode);
        say(one_copy, if cell.in_place { "in place" } else { "copied" });
        Series {
            label: words.join(", "),
            colour: COLOURS[colour % COLOURS.len()],
            opacity: OPACITIES[lap % OPACITIES.len()],
        }
    };
    cells.iter().map(series).collect()
}

/// `1 writer, 2 readers`.
pub(super) fn parties(cell: &Cell) -> String {
    let count = |count: u32, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    format!(
        "{}, {}",
        count(cell.writers, "writer"),
        count(cell.readers, "reader")
    )
}

fn same_series(a: &Cell, b: &Cell) -> bool {
    (a.writers, a.readers, a.in_place) == (b.writers, b.readers, b.in_place)
        && (&a.wait, &a.delivery, &a.mode) == (&b.wait, &b.delivery, &b.mode)
}

fn limit_of(report: &Report, nodes: u32, node_size: u64) -> Option<f64> {
    let mut pipelines = report
        .baselines
        .iter()
        .filter(|limit| limit.name == "pipeline");
    let limit =
        pipelines.find(|limit| limit.nodes == Some(nodes) && limit.node_size == node_size)?;
    (limit.mb_per_s.is_finite() && limit.mb_per_s > 0.0).then_some(limit.mb_per_s)
}

fn sorted<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

fn position<T: PartialEq>(values: &[T], wanted: &T) -> usize {
    values.iter().position(|value| value == wanted).unwrap_or(0)
}
