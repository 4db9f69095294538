//! The table of participants.
//!
//! Columns have fixed widths, so that figures do not jump; those that do not fit
//! are left out, the least telling first, and the command takes what is left.

use super::super::track::{Member, Track};
use super::super::ui::{Sort, Table};
use super::{Page, Setting, Tint, mb, padded};
use shmkit::inspect::{Role, text};
use std::cmp::Ordering;

/// A column: its heading, its width (negative: words, to the left), the least
/// width of a screen that shows it, what it is sorted by, and its cell.
struct Column {
    heading: &'static str,
    width: i16,
    from: u16,
    sort: Option<Sort>,
    cell: fn(&Member) -> String,
}

const fn column(
    heading: &'static str,
    width: i16,
    from: u16,
    sort: Option<Sort>,
    cell: fn(&Member) -> String,
) -> Column {
    Column {
        heading,
        width,
        from,
        sort,
        cell,
    }
}

const RING: [Column; 9] = [
    column(" ", -1, 0, None, |m| m.mark.to_string()),
    column("SLOT", 5, 60, Some(Sort::Order), |m| {
        m.participant.slot.to_string()
    }),
    column("ROLE", -6, 0, None, |m| {
        m.participant.role.as_str().to_owned()
    }),
    column("PID", 7, 0, None, |m| m.participant.pid.to_string()),
    column("MB/s", 7, 0, Some(Sort::Rate), |m| mb(m.mb)),
    column("LAG", 7, 0, Some(Sort::Diff), lag),
    column("HOLDS", 6, 100, None, |m| {
        m.participant.held_nodes.to_string()
    }),
    column("WAITS/s", 8, 60, Some(Sort::Other), |m| {
        format!("{:.0}", m.waits)
    }),
    column("STATE", -7, 0, None, |m| {
        text::liveness(&m.participant).to_owned()
    }),
];

const LOCK: [Column; 9] = [
    column(" ", -1, 0, None, |m| m.mark.to_string()),
    column("SLOT", 5, 60, Some(Sort::Order), |m| {
        m.participant.slot.to_string()
    }),
    column("ROLE", -6, 0, None, |m| {
        m.participant.role.as_str().to_owned()
    }),
    column("PID", 7, 0, None, |m| m.participant.pid.to_string()),
    column("MB/s", 7, 0, Some(Sort::Rate), |m| mb(m.mb)),
    column("HOLDS", 6, 0, Some(Sort::Diff), |m| {
        m.participant.held_nodes.to_string()
    }),
    column("LOCKED", 7, 100, None, |m| m.participant.nodes.to_string()),
    column("WAITS/s", 8, 60, Some(Sort::Other), |m| {
        format!("{:.0}", m.waits)
    }),
    column("STATE", -7, 0, None, |m| {
        text::liveness(&m.participant).to_owned()
    }),
];

/// How far behind: readers alone are.
fn lag(member: &Member) -> String {
    match member.participant.role {
        Role::Reader => member.participant.diff_nodes.to_string(),
        Role::Writer => String::new(),
    }
}

/// Draws the table, in all lines that are left but `below`.
pub fn draw(
    page: &mut Page<'_>,
    track: &Track,
    setting: &Setting<'_>,
    titled: bool,
    below: u16,
) -> Table {
    let mut members: Vec<&Member> = track.members.iter().collect();
    members.sort_by(|a, b| order(setting.ui.sort, a, b));
    let height = page.left().saturating_sub(below + u16::from(titled) + 1);
    let shown = usize::from(height);
    let first = setting.ui.scroll.min(members.len().saturating_sub(shown));
    let rows = &members[first..members.len().min(first + shown)];
    if titled {
        let total = members.len();
        let part = match rows.len() == total {
            true => String::new(),
            false => format!("{} to {} of {total}", first + 1, first + rows.len()),
        };
        page.rule(&format!("participants {total}"), &part);
    }
    let columns = if track.now.snapshot.lock.is_some() {
        &LOCK
    } else {
        &RING
    };
    heading(page, columns, setting.ui.sort);
    if members.is_empty() {
        page.line("nobody is attached", Tint::Dim);
    }
    for member in rows {
        line(page, columns, member);
    }
    Table {
        rows: members.len(),
        shown,
    }
}

fn order(sort: Sort, a: &Member, b: &Member) -> Ordering {
    match sort {
        Sort::Order => Ordering::Equal,
        Sort::Rate => b.mb.total_cmp(&a.mb),
        Sort::Diff => {
            let behind = b.participant.diff_nodes.cmp(&a.participant.diff_nodes);
            behind.then(b.participant.held_nodes.cmp(&a.participant.held_nodes))
        }
        Sort::Other => b.waits.total_cmp(&a.waits),
    }
}

/// The columns that are shown, and where they begin.
fn places(columns: &[Column], width: u16) -> impl Iterator<Item = (u16, &Column)> {
    let shown = columns.iter().filter(move |column| column.from <= width);
    shown.scan(1, |x, column| {
        let place = (*x, column);
        *x += column.width.unsigned_abs() + 1;
        Some(place)
    })
}

/// Where the command begins: behind all columns.
fn end(columns: &[Column], width: u16) -> u16 {
    let last = places(columns, width).last();
    last.map_or(1, |(x, column)| x + column.width.unsigned_abs() + 1)
}

fn heading(page: &mut Page<'_>, columns: &[Column], sort: Sort) {
    let width = page.width();
    for (x, column) in places(columns, width) {
        let sorted = column.sort == Some(sort);
        let mark = if sorted { "▾" } else { "" };
        let text = padded(&format!("{mark}{}", column.heading), column.width);
        page.put(x, &text, if sorted { Tint::Strong } else { Tint::Dim });
    }
    page.put(end(columns, width), "COMMAND", Tint::Dim);
    page.y += 1;
}

fn line(page: &mut Page<'_>, columns: &[Column], member: &Member) {
    let role = match (member.participant.alive, member.participant.role) {
        (false, _) => Tint::Wrong,
        (true, Role::Writer) => Tint::Writer,
        (true, Role::Reader) => Tint::Reader,
    };
    let width = page.width();
    for (x, column) in places(columns, width) {
        let tint = match column.heading {
            " " | "ROLE" | "STATE" => role,
            _ => Tint::Plain,
        };
        page.put(x, &padded(&(column.cell)(member), column.width), tint);
    }
    page.put(end(columns, width), &member.command, Tint::Dim);
    page.y += 1;
}
