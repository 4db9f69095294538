//! A panel: scale, bars in groups, limits.
//!
//! ```text
//!   |<- AXIS ->|<----------- plot ----------->|
//!              nodes of 1 MiB                       ^ HEAD
//!   MB/s 10,000|-------------------------------     v
//!         5,000|--- - - -----------------------     ^ PLOT_HEIGHT
//!             0|___[][][]____[][][]____________     v
//!                    2         5                    ^ FOOT
//!                   nodes in the ring               v
//! ```

use super::frame::{ALARM, GAP, INK, PALE, cross, limit_line, round, text, title, width_of};
use super::scale::{Scale, with_commas};
use super::series::{Group as NodeCount, Panel, Series, Sweep, parties};
use crate::bench::model::Run;
use crate::bench::report::ring_of;
use crate::segment::Size;
use svg::node::element::{Group, Line, Rectangle};

const AXIS: f64 = 66.0;
const HEAD: f64 = 42.0;
const PLOT_HEIGHT: f64 = 270.0;
const FOOT: f64 = 48.0;
const PANEL_HEIGHT: f64 = HEAD + PLOT_HEIGHT + FOOT;
/// A picture's width without its margins, where the bars do not need more.
const USUAL_WIDTH: f64 = 1040.0;
/// Of a picture with few bars.
const SMALL_WIDTH: f64 = 720.0;
/// A bar is no thinner; the picture grows instead.
const THINNEST: f64 = 5.0;
const THICKEST: f64 = 64.0;
/// A bar so thick has room for a usual figure above it.
const LABELLED: f64 = 38.0;
const LABEL_SIZE: f64 = 12.0;
/// The numbers on a scale above its 0, about.
const NUMBERS: u32 = 5;

/// Where the panels stand.
pub(super) struct Places {
    panels: usize,
    columns: usize,
    plot_width: f64,
}

impl Places {
    /// Two panels side by side where their bars have room, else one below the other.
    pub fn of(sweep: &Sweep) -> Places {
        let groups = sweep.panels.iter().map(|panel| panel.groups.len()).max();
        let bars = groups.unwrap_or(0) as f64 * bars_of_group(sweep);
        let panels = sweep.panels.len();
        let half = (USUAL_WIDTH - GAP) / 2.0 - AXIS;
        let (columns, room) = match panels {
            0 | 1 if bars * LABELLED <= SMALL_WIDTH - AXIS => (1, SMALL_WIDTH - AXIS),
            2.. if bars * 2.0 * THINNEST <= half => (2, half),
            _ => (1, USUAL_WIDTH - AXIS),
        };
        Places {
            panels,
            columns,
            plot_width: room.max(bars * THINNEST),
        }
    }

    pub fn width(&self) -> f64 {
        let columns = self.columns as f64;
        columns * (AXIS + self.plot_width) + (columns - 1.0) * GAP
    }

    pub fn height(&self) -> f64 {
        let rows = self.panels.div_ceil(self.columns) as f64;
        rows * PANEL_HEIGHT + (rows - 1.0).max(0.0) * GAP
    }

    /// A panel's left and top edge.
    pub fn of_panel(&self, at: usize) -> (f64, f64) {
        let (row, column) = ((at / self.columns) as f64, (at % self.columns) as f64);
        (
            column * (AXIS + self.plot_width + GAP),
            row * (PANEL_HEIGHT + GAP),
        )
    }
}

/// How many bars' widths a group takes, with the gap to the next one.
fn bars_of_group(sweep: &Sweep) -> f64 {
    let series = sweep.series.len() as f64;
    series + (0.15 * series).max(1.0)
}

/// Draws a panel, its left and top edge being there.
pub(super) fn drawn(panel: &Panel, sweep: &Sweep, places: &Places, left: f64, top: f64) -> Group {
    let of_group = places.plot_width / panel.groups.len().max(1) as f64;
    let bar = (of_group / bars_of_group(sweep)).min(THICKEST);
    let plot = Plot {
        scale: Scale::up_to(panel.highest(), NUMBERS),
        left: left + AXIS,
        right: left + AXIS + places.plot_width,
        floor: top + HEAD + PLOT_HEIGHT,
        bar,
        labelled: width_of(&whole(panel.highest()), LABEL_SIZE) < bar,
    };
    let heading = format!("nodes of {}", Size(panel.node_size));
    let heading = text(&heading, plot.left, top + 14.0, 15.0).set("font-weight", "bold");
    let mut group = Group::new().add(heading).add(plot.axes(left));
    // Where groups are narrower than their numbers, only every so many have theirs.
    let widest = panel.groups.iter().map(|group| number(group).len()).max();
    let widest = widest.unwrap_or(1) as f64 * 13.0 * 0.6 + 6.0;
    let every = (widest / of_group).ceil().max(1.0) as usize;
    for (at, count) in panel.groups.iter().enumerate() {
        let middle = plot.left + (at as f64 + 0.5) * of_group;
        if at % every == 0 {
            let label = text(&number(count), middle, plot.floor + 19.0, 13.0);
            group = group.add(label.set("text-anchor", "middle"));
        }
        group = group.add(plot.group(count, panel.node_size, &sweep.series, middle));
    }
    group
}

fn number(group: &NodeCount) -> String {
    with_commas(&group.nodes.to_string())
}

/// The part of a panel that has a scale.
struct Plot {
    scale: Scale,
    left: f64,
    right: f64,
    floor: f64,
    /// A bar's width, with the gap to the next.
    bar: f64,
    /// Whether all figures have room above their bars.
    labelled: bool,
}

impl Plot {
    fn y(&self, value: f64) -> f64 {
        self.floor - PLOT_HEIGHT * (value / self.scale.top).clamp(0.0, 1.0)
    }

    /// Lines, numbers and units.
    fn axes(&self, left: f64) -> Group {
        let mut axes = Group::new();
        for number in self.scale.numbers() {
            let y = self.y(number);
            let line = Line::new()
                .set("x1", round(self.left))
                .set("x2", round(self.right))
                .set("y1", round(y))
                .set("y2", round(y))
                .set("stroke", if number == 0.0 { INK } else { "#dddddd" });
            let label = text(&self.scale.words(number), self.left - 8.0, y + 4.5, 13.0);
            axes = axes.add(line).add(label.set("text-anchor", "end"));
        }
        let (x, y) = (left + 10.0, self.floor - PLOT_HEIGHT / 2.0);
        let unit = text("MB/s", x, y, 13.0)
            .set("fill", PALE)
            .set("text-anchor", "middle")
            .set(
                "transform",
                format!("rotate(-90 {} {})", round(x), round(y)),
            );
        let middle = (self.left + self.right) / 2.0;
        let nodes = text("nodes in the ring", middle, self.floor + 40.0, 13.0);
        let nodes = nodes.set("fill", PALE).set("text-anchor", "middle");
        axes.add(unit).add(nodes)
    }

    /// The bars of a node count, and its limit over all of them.
    fn group(&self, count: &NodeCount, node_size: u64, series: &[Series], middle: f64) -> Group {
        let mut group = Group::new();
        let width = self.bar * series.len() as f64;
        let from = middle - width / 2.0;
        for (at, (run, series)) in count.bars.iter().zip(series).enumerate() {
            let Some(run) = run else { continue };
            let x = from + at as f64 * self.bar;
            group = group.add(self.bar(run, count.limit, series, x));
        }
        if let Some(limit) = count.limit {
            let over = (0.35 * self.bar).min(10.0);
            let line = limit_line(from - over, from + width + over, self.y(limit));
            let ring = ring_of(count.nodes, node_size);
            let words = format!("{ring}, ideal pipeline: {} MB/s", whole(limit));
            group = group.add(line.add(title(&words)));
        }
        group
    }

    fn bar(&self, run: &Run, limit: Option<f64>, series: &Series, x: f64) -> Group {
        let thick = (self.bar * 0.86).max(self.bar - 4.0);
        let x = x + (self.bar - thick) / 2.0;
        let mut group = Group::new().add(title(&describe(run)));
        if run.repeats > 0 && run.mb_per_s.is_finite() {
            let y = self.y(run.mb_per_s);
            let body = || {
                Rectangle::new()
                    .set("x", round(x))
                    .set("y", round(y))
                    .set("width", round(thick))
                    .set("height", round(self.floor - y))
            };
            if series.opacity < 1.0 {
                // Or else the lines of the scale would be seen through it.
                group = group.add(body().set("fill", "#ffffff"));
            }
            let fill = body().set("fill", series.colour);
            let fill = fill.set("fill-opacity", series.opacity);
            group = group.add(fill.set("stroke", series.colour));
            let highest = self.y(run.mb_per_s_spread.highest.max(run.mb_per_s));
            if run.repeats > 1 {
                let lowest = self.y(run.mb_per_s_spread.lowest);
                group = group.add(whisker(x + thick / 2.0, lowest, highest, thick));
            }
            if self.labelled {
                group = group.add(self.label(run, limit, x + thick / 2.0, highest));
            }
        }
        if run.failed.is_some() {
            let arm = (0.3 * thick).clamp(2.0, 6.0);
            group = group.add(cross(x + thick / 2.0, self.floor - arm - 4.0, arm));
        }
        group
    }

    /// A bar's figure, above it, or above the limit if that is where it would be.
    fn label(&self, run: &Run, limit: Option<f64>, x: f64, highest: f64) -> Group {
        let mut y = highest - 6.0;
        let limit = limit.map(|limit| self.y(limit));
        if let Some(limit) = limit.filter(|limit| (y - LABEL_SIZE..=highest).contains(limit)) {
            y = limit - 6.0;
        }
        let words = whole(run.mb_per_s);
        let label = text(&words, x, y, LABEL_SIZE).set("text-anchor", "middle");
        let colour = if run.failed.is_some() { ALARM } else { INK };
        Group::new().add(label.set("fill", colour))
    }
}

/// From the lowest to the highest repeat.
fn whisker(x: f64, lowest: f64, highest: f64, thick: f64) -> Group {
    let half = (thick / 4.0).min(6.0);
    let line = |x1: f64, x2: f64, y1: f64, y2: f64| {
        Line::new()
            .set("x1", round(x1))
            .set("x2", round(x2))
            .set("y1", round(y1))
            .set("y2", round(y2))
    };
    Group::new()
        .set("stroke", INK)
        .set("stroke-width", 1.2)
        .add(line(x, x, lowest, highest))
        .add(line(x - half, x + half, lowest, lowest))
        .add(line(x - half, x + half, highest, highest))
}

/// What is shown when a bar is pointed at.
fn describe(run: &Run) -> String {
    let cell = &run.cell;
    let ring = ring_of(cell.nodes, cell.node_size);
    let mut words = format!("{ring}, {}, {}", parties(cell), cell.wait);
    if run.repeats > 0 {
        let spread = &run.mb_per_s_spread;
        let (lowest, highest) = (whole(spread.lowest), whole(spread.highest));
        words += &format!(": {} MB/s ({lowest} to {highest})", whole(run.mb_per_s));
    }
    if let Some(part) = run.fraction_of_pipeline {
        words += &format!(", {part:.2} of the ideal pipeline");
    }
    match &run.failed {
        Some(reason) => format!("{words}; failed: {reason}"),
        None => words,
    }
}

/// A figure without decimals, where it has at least two digits.
fn whole(value: f64) -> String {
    match value {
        ..9.95 => format!("{value:.1}"),
        _ => with_commas(&format!("{value:.0}")),
    }
}
