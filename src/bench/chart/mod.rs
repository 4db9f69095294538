//! The picture of a sweep: an SVG, to look at and to put beside a README's tables.
//!
//! ```text
//!   MB/s through a ring                              title
//!   machine, date, what all rows share
//!   [] 1 writer 1 reader  [] 1 writer 2 readers ..   legend
//!
//!   nodes of 1 KiB               nodes of 1 MiB      a panel per node size
//!   |      - -                   |        - -        - - the ideal pipeline
//!   |      []                    |  - -   [][]
//!   |  - - [][] x                |  [][]  [][]       [] a bar per row, I its spread
//!   |  [][][][]                  |  [][]  [][]       x  a row that failed
//!   +---2----5---                +---2-----5---
//!       nodes in the ring
//! ```
//!
//! The bars of one node count stand together, one for each combination of writers
//! and readers (and of ways to wait, where several were asked for), and always in
//! the same place and colour: what is missing leaves a gap. Each panel has a scale
//! of its own, from 0, since small and large nodes are far apart.
//!
//! - `series` finds panels, groups and bars in the rows; nothing is drawn there.
//! - `scale` chooses a scale's round numbers.
//! - `panel` and `frame` draw.
//!
//! Any report makes a picture that is well-formed XML: without rows it says so, a
//! single row is a single bar, many rows make it wider. Figures that are not finite
//! are not drawn. No figure depends on a font being there: the widths of texts are
//! estimated, on the safe side. Text is text, so it can be searched and selected,
//! and browsers show a bar's figures when it is pointed at.

mod frame;
mod panel;
mod scale;
mod series;
#[cfg(test)]
mod tests;

use super::model::Report;
use frame::{Frame, MARGIN};
use series::Sweep;
use svg::Document;
use svg::node::element::{Rectangle, Title};

/// The picture of a report.
pub fn svg(report: &Report) -> String {
    let sweep = Sweep::of(report);
    let places = panel::Places::of(&sweep);
    let width = places.width() + 2.0 * MARGIN;
    let frame = Frame::of(report, &sweep, width);
    let mut document = Document::new()
        .set("width", width)
        .set("height", frame.height() + places.height() + MARGIN)
        .set(
            "viewBox",
            (0, 0, width, frame.height() + places.height() + MARGIN),
        )
        .set("font-family", "Helvetica, Arial, 'DejaVu Sans', sans-serif")
        .set("fill", frame::INK)
        .set("role", "img")
        .add(Title::new("shm bench: MB/s by nodes, writers and readers"))
        .add(
            Rectangle::new()
                .set("width", "100%")
                .set("height", "100%")
                .set("fill", "#ffffff"),
        )
        .add(frame.drawn());
    for (at, panel) in sweep.panels.iter().enumerate() {
        let (left, top) = places.of_panel(at);
        let (left, top) = (left + MARGIN, top + frame.height());
        document = document.add(panel::drawn(panel, &sweep, &places, left, top));
    }
    format!("{document}\n")
}
