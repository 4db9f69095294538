//! What the screens look like: functions from what is known to cells.
//!
//! ```text
//! segment.rs   inspect --watch: header, remarks, and these in their places
//!   map.rs       nodes, or how many to a cell
//!   charts.rs    in, out, diff over time
//!   members.rs   the table of participants
//! list.rs      list --watch
//! help.rs      what the keys and the signs mean, over any of them
//! ```
//!
//! Nothing here reads a clock or asks anybody, and nothing keeps state. What does
//! not fit is left out, the least telling first; on the smallest of terminals the
//! first lines are what one needs most. Rectangles are cut out of a page by hand:
//! there is nothing here that a layout solver would be needed for.
//!
//! Colours are the terminal's own sixteen, which people have set to what they can
//! read. They repeat what signs and words say, so a screen without them
//! (`NO_COLOR`) says the same.

mod charts;
mod help;
pub mod list;
mod map;
mod members;
pub mod segment;

pub use map::nodes_per_cell;

use super::super::summary::rate;
use super::ui::Ui;
use super::verdict::{Mood, Remark};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use std::time::Duration;

/// What a screen is drawn with, besides what there is to show.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// What the person has set.
    pub ui: &'a Ui,
    /// With which colours.
    pub palette: Palette,
    /// The time from look to look.
    pub every: Duration,
}

/// The colours, or their absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// Whether there are any.
    pub colours: bool,
}

/// What a thing is, as far as its colour is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tint {
    /// Writers, and what they do.
    Writer,
    /// Readers, and what they do.
    Reader,
    /// What has been written and not yet been read.
    Ready,
    /// What is wrong, or dead.
    Wrong,
    /// What may be overlooked.
    Dim,
    /// What is to be seen first.
    Strong,
    /// Everything else.
    Plain,
}

impl Palette {
    /// Without colours where NO_COLOR says so (<https://no-color.org>).
    pub fn from_environment() -> Palette {
        let none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Palette { colours: !none }
    }

    /// How a thing is shown.
    pub fn style(self, tint: Tint) -> Style {
        let colour = |colour| match self.colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        };
        match tint {
            Tint::Writer => colour(Color::Green),
            Tint::Reader => colour(Color::Cyan),
            Tint::Ready => colour(Color::Yellow),
            Tint::Wrong => colour(Color::Red).add_modifier(Modifier::BOLD),
            Tint::Dim => Style::new().add_modifier(Modifier::DIM),
            Tint::Strong => Style::new().add_modifier(Modifier::BOLD),
            Tint::Plain => Style::new(),
        }
    }
}

/// The keys that the last line names.
const FOOT: [(&str, &str); 5] = [
    ("q", "quit"),
    ("?", "help"),
    ("space", "pause"),
    ("s", "sort"),
    ("↑↓", "scroll"),
];

/// A page, written line by line.
struct Page<'a> {
    buffer: &'a mut Buffer,
    palette: Palette,
    /// The next line that is free.
    y: u16,
}

impl Page<'_> {
    fn new<'a>(buffer: &'a mut Buffer, palette: Palette) -> Page<'a> {
        Page {
            y: buffer.area.y,
            buffer,
            palette,
        }
    }

    fn width(&self) -> u16 {
        self.buffer.area.width
    }

    /// Lines that are left.
    fn left(&self) -> u16 {
        self.buffer.area.bottom().saturating_sub(self.y)
    }

    /// Writes from column `x` on, at most up to the page's edge; the column behind.
    fn put(&mut self, x: u16, text: &str, tint: Tint) -> u16 {
        let width = self.width();
        if self.left() == 0 || x >= width {
            return x;
        }
        let style = self.palette.style(tint);
        let room = usize::from(width - x);
        self.buffer.set_stringn(x, self.y, text, room, style).0
    }

    /// Writes so that the text ends at the page's edge, if there is room behind
    /// column `least`.
    fn put_right(&mut self, least: u16, text: &str, tint: Tint) {
        let length = text.chars().count() as u16;
        if let Some(x) = self.width().checked_sub(length + 1).filter(|x| *x >= least) {
            self.put(x, text, tint);
        }
    }

    /// A line of its own.
    fn line(&mut self, text: &str, tint: Tint) {
        self.put(1, text, tint);
        self.y += 1;
    }

    /// A rule across the page, with words at both ends.
    fn rule(&mut self, left: &str, right: &str) {
        let width = usize::from(self.width());
        self.put(0, &"─".repeat(width), Tint::Dim);
        let x = self.put(2, &format!(" {left} "), Tint::Strong);
        if !right.is_empty() {
            let right = format!(" {right} ");
            let length = right.chars().count() as u16;
            let at = self.width().checked_sub(length + 2);
            if let Some(at) = at.filter(|at| *at > x) {
                self.put(at, &right, Tint::Dim);
            }
        }
        self.y += 1;
    }

    /// The sentences about who waits, and what is wrong: `most` of them, each in
    /// two lines at most.
    fn remarks(&mut self, remarks: &[Remark], most: usize) {
        let room = usize::from(self.width().saturating_sub(4));
        for remark in remarks.iter().take(most) {
            let (sign, tint) = match remark.mood {
                Mood::Calm => ("·", Tint::Plain),
                Mood::Waits => ("▸", Tint::Ready),
                Mood::Wrong => ("!", Tint::Wrong),
            };
            self.put(1, sign, tint);
            let (first, rest) = broken(&remark.text, room);
            for line in [first, rest].into_iter().filter(|line| !line.is_empty()) {
                self.put(3, line, tint);
                self.y += 1;
            }
        }
    }

    /// The last line: what keys there are.
    fn footer(&mut self) {
        self.y = self.buffer.area.bottom().saturating_sub(1);
        let mut x = 1;
        for (key, what) in FOOT {
            x = self.put(x, key, Tint::Strong);
            x = self.put(x + 1, what, Tint::Dim) + 2;
        }
    }
}

/// A text, broken before the last word that does not fit into `room` columns.
fn broken(text: &str, room: usize) -> (&str, &str) {
    let Some((end, next)) = text.char_indices().nth(room) else {
        return (text, "");
    };
    match text[..end + next.len_utf8()].rsplit_once(' ') {
        Some((first, _)) => (first, &text[first.len() + 1..]),
        None => (text, ""),
    }
}

/// `200ms`, `1s`, and whether the watch is paused.
fn pace(setting: &Setting<'_>) -> (String, Tint) {
    match setting.ui.paused {
        true => ("PAUSED".to_owned(), Tint::Wrong),
        false => {
            let every = humantime::format_duration(setting.every);
            (format!("every {every}"), Tint::Dim)
        }
    }
}

/// A rate in few columns; none at all is not "0.00".
fn mb(mb_per_s: f64) -> String {
    match mb_per_s {
        0.0 => "0".to_owned(),
        some => rate(some),
    }
}

/// A cell of a table: figures to the right, and words (a negative width) to the left.
fn padded(text: &str, width: i16) -> String {
    let columns = usize::from(width.unsigned_abs());
    match width < 0 {
        true => format!("{text:<columns$}"),
        false => format!("{text:>columns$}"),
    }
}

/// A line's worth of room in a page.
fn row(page: &Page<'_>, x: u16, width: u16, height: u16) -> Rect {
    Rect::new(x, page.y, width, height).intersection(page.buffer.area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_broken_between_words() {
        assert_eq!(broken("one two", 7), ("one two", ""));
        assert_eq!(broken("one two", 6), ("one", "two"));
        assert_eq!(broken("one two three", 7), ("one two", "three"));
        assert_eq!(broken("äöüäöü ßß", 7), ("äöüäöü", "ßß"));
        assert_eq!(broken("unbreakable", 3), ("unbreakable", ""));
    }
}
