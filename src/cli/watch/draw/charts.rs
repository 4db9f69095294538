//! Three charts over time, one below the other: in, out, and what is between.
//!
//! ```text
//!  in     1523 MB/s   ▁▂▄▆██████████ 2000     the newest at the right
//!         1523 nodes/s                  0
//!  ^label             ^a column a look  ^scale
//! ```
//!
//! In and out share one scale, so that they can be compared; it is a round number,
//! so that it rarely changes. The diff's scale is the ring.

use super::super::track::{Sample, Track};
use super::{Page, Tint, mb, row};
use ratatui::layout::Rect;
use ratatui::widgets::{RenderDirection, Sparkline, Widget};
use shmkit::segment::Size;
use std::time::Duration;

/// Columns of the scale at the right.
const SCALE: u16 = 8;
/// Steps of a chart's column, per row: what block elements can show.
const STEPS: u64 = 8;

/// Columns of the labels at the left.
fn label_width(width: u16) -> u16 {
    if width >= 60 { 21 } else { 19 }
}

/// Columns of a chart: looks that it shows.
fn columns(width: u16) -> u16 {
    width.saturating_sub(label_width(width) + SCALE)
}

/// How far back the charts go.
pub fn span(width: u16, every: Duration) -> Duration {
    let span = every * u32::from(columns(width));
    // "15s", not "15s 600ms".
    Duration::from_secs(span.as_secs().max(1))
}

/// One chart.
struct Chart {
    tint: Tint,
    /// The lines of its label, the most telling first.
    label: [String; 3],
    value: fn(&Sample) -> f64,
    most: f64,
}

/// Draws the charts, each of `height` rows.
pub fn draw(page: &mut Page<'_>, track: &Track, height: u16) {
    let columns = usize::from(columns(page.width()));
    let shown = || track.history.iter().rev().take(columns);
    let largest = |value: fn(&Sample) -> f64| shown().map(value).fold(0.0, f64::max);
    let written: fn(&Sample) -> f64 = |sample| sample.written_mb;
    let read: fn(&Sample) -> f64 = |sample| sample.read_mb;
    let third: fn(&Sample) -> f64 = |sample| sample.third;
    let most = round_up(largest(written).max(largest(read)));
    let rates = track.rates.unwrap_or_default();
    let now = |rate| match track.rates {
        Some(_) => mb(rate),
        None => "-".to_owned(),
    };
    let peak = |value| format!("     {:>6} peak", mb(largest(value)));
    let ring = track.now.snapshot.ring.as_ref();
    let noun = if ring.is_some() { "nodes/s" } else { "locks/s" };
    let charts = [
        Chart {
            tint: Tint::Writer,
            label: [
                format!("in   {:>6} MB/s", now(rates.written_mb)),
                format!("     {:>6.0} {noun}", rates.written_nodes),
                peak(written),
            ],
            value: written,
            most,
        },
        Chart {
            tint: Tint::Reader,
            label: [
                format!("out  {:>6} MB/s", now(rates.read_mb)),
                format!("     {:>6.0} {noun}", rates.read_nodes),
                peak(read),
            ],
            value: read,
            most,
        },
        match ring {
            Some(ring) => Chart {
                tint: Tint::Ready,
                label: [
                    format!("diff {:>6} nodes", ring.diff_nodes),
                    format!("     {:>10}", Size(ring.diff_bytes).to_string()),
                    format!("     {:>6} peak", largest(third)),
                ],
                value: third,
                most: f64::from(ring.nodes),
            },
            None => Chart {
                tint: Tint::Ready,
                label: [
                    format!("locks {:>5.0} /s", rates.written_nodes + rates.read_nodes),
                    String::new(),
                    peak(third),
                ],
                value: third,
                most: round_up(largest(third)),
            },
        },
    ];
    for chart in charts {
        let data: Vec<f64> = shown().map(chart.value).collect();
        draw_one(page, &chart, &data, height);
    }
}

fn draw_one(page: &mut Page<'_>, chart: &Chart, data: &[f64], height: u16) {
    let width = page.width();
    let (left, columns) = (label_width(width), columns(width));
    let area: Rect = row(page, left, columns, height);
    let top = page.y;
    for (i, line) in chart.label.iter().take(height.into()).enumerate() {
        page.y = top + i as u16;
        page.put(1, line, if i == 0 { chart.tint } else { Tint::Dim });
    }
    let scale = left + columns + 1;
    page.y = top;
    page.put(scale, &short(chart.most), Tint::Dim);
    if height > 1 {
        page.y = top + height - 1;
        page.put(scale, "0", Tint::Dim);
    }
    let steps = STEPS * u64::from(height);
    let bar = |value: &f64| match *value {
        0.0 => 0,
        value => ((value / chart.most * steps as f64).round() as u64).clamp(1, steps),
    };
    let style = page.palette.style(chart.tint);
    Sparkline::default()
        .data(data.iter().map(bar).collect::<Vec<u64>>())
        .max(steps)
        .direction(RenderDirection::RightToLeft)
        .style(style)
        .render(area, page.buffer);
    page.y = top + height;
}

/// The least of 1, 2, 5, 10, ... that is not below `value`; below 1 the same
/// downwards, and never 0.
fn round_up(value: f64) -> f64 {
    if value <= 0.001 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let step = steps
        .into_iter()
        .find(|step| power * step >= value * (1.0 - 1e-9));
    power * step.unwrap_or(10.0)
}

/// A scale's number in few columns.
fn short(value: f64) -> String {
    if value < 1.0 {
        format!("{value}")
    } else if value < 1e6 {
        format!("{value:.0}")
    } else {
        format!("{:.1}M", value / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_a_round_number_that_holds_all_values() {
        let cases = [
            (0.0, 1.0),
            (0.04, 0.05),
            (1.0, 1.0),
            (1.1, 2.0),
            (2.0, 2.0),
            (999.0, 1000.0),
            (1523.0, 2000.0),
        ];
        for (value, scale) in cases {
            let rounded = round_up(value);
            assert!((rounded - scale).abs() < 1e-9 * scale, "{value}: {rounded}");
        }
        assert_eq!([1.0, 0.05, 1048576.0].map(short), ["1", "0.05", "1.0M"]);
    }
}
