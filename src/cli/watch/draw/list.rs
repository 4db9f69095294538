//! The screen of `list --watch`.

use super::super::roll::{Line, Roll};
use super::super::ui::{Sort, Table};
use super::{Page, Setting, Tint, help, mb, pace, padded};
use ratatui::buffer::Buffer;
use shmkit::inspect::units::Age;
use shmkit::inspect::{Role, Snapshot, list};
use shmkit::segment::Size;
use std::cmp::Ordering;

/// Headings, widths (negative: words, to the left), and the least width of a
/// screen that shows the column; and what sorting by it is (by GEOMETRY: by how
/// much memory that takes). The name takes what is left.
const COLUMNS: [(&str, i16, u16, Option<Sort>); 8] = [
    ("KIND", -6, 50, None),
    ("GEOMETRY", 10, 60, Some(Sort::Other)),
    ("WRITERS", 8, 60, None),
    ("READERS", 8, 60, None),
    ("DIFF", 7, 0, Some(Sort::Diff)),
    ("IN", 6, 0, Some(Sort::Rate)),
    ("OUT", 6, 0, None),
    ("AGE", 4, 50, None),
];

/// Draws it.
pub fn draw(buffer: &mut Buffer, roll: &Roll, setting: &Setting<'_>, now_unix_ns: u64) -> Table {
    let height = buffer.area.height;
    let roomy = height >= 12;
    let mut page = Page::new(buffer, setting.palette);
    let present = roll.present().count();
    let snapshots = roll.present().filter_map(|(_, line)| snapshot(line));
    let bytes: u64 = snapshots.map(|snapshot| snapshot.size_bytes).sum();
    let noun = if present == 1 { "segment" } else { "segments" };
    let x = page.put(1, &format!("{present} {noun}"), Tint::Strong);
    let x = page.put(x, &format!(", {} of /dev/shm", Size(bytes)), Tint::Plain);
    let (pace, tint) = pace(setting);
    page.put_right(x + 1, &pace, tint);
    page.y += 1;
    if roomy {
        page.rule("segments", "IN and OUT are MB/s");
    }
    heading(&mut page, setting.ui.sort);
    let mut lines: Vec<(&String, &Line)> = roll.lines.iter().collect();
    lines.sort_by(|a, b| order(setting.ui.sort, a.1, b.1));
    let shown = usize::from(page.left().saturating_sub(u16::from(roomy)));
    let first = setting.ui.scroll.min(lines.len().saturating_sub(shown));
    if lines.is_empty() {
        page.line("none; 'shm create' makes one", Tint::Dim);
    }
    for (name, line) in lines.iter().skip(first).take(shown) {
        draw_line(&mut page, name, line, now_unix_ns);
    }
    if roomy {
        page.footer();
    }
    if setting.ui.help {
        help::draw(buffer, setting.palette, help::LIST);
    }
    Table {
        rows: roll.lines.len(),
        shown,
    }
}

fn snapshot(line: &Line) -> Option<&Snapshot> {
    line.seen.as_ref().ok().map(|track| &track.now.snapshot)
}

fn order(sort: Sort, a: &Line, b: &Line) -> Ordering {
    let rate = |line: &Line| {
        let rates = line.seen.as_ref().ok().and_then(|track| track.rates);
        rates.map_or(0.0, |rates| rates.written_mb + rates.read_mb)
    };
    let diff = |line: &Line| {
        snapshot(line)
            .and_then(|s| s.ring.as_ref())
            .map_or(0, |ring| ring.diff_nodes)
    };
    let size = |line: &Line| snapshot(line).map_or(0, |snapshot| snapshot.size_bytes);
    match sort {
        Sort::Order => Ordering::Equal,
        Sort::Rate => rate(b).total_cmp(&rate(a)),
        Sort::Diff => diff(b).cmp(&diff(a)),
        Sort::Other => size(b).cmp(&size(a)),
    }
}

/// The columns that are shown, and where they begin: at the right edge, so that
/// the names have the rest.
fn places(width: u16) -> impl Iterator<Item = (usize, u16)> {
    let shown = move |(_, column): &(usize, &(&str, i16, u16, Option<Sort>))| column.2 <= width;
    let all = move || COLUMNS.iter().enumerate().filter(shown);
    let total: u16 = all().map(|(_, column)| column.1.unsigned_abs() + 1).sum();
    all().scan(width.saturating_sub(total + 1), |x, (i, column)| {
        let place = (i, *x);
        *x += column.1.unsigned_abs() + 1;
        Some(place)
    })
}

fn heading(page: &mut Page<'_>, sort: Sort) {
    let tint = |sorted| if sorted { Tint::Strong } else { Tint::Dim };
    let mark = |sorted| if sorted { "▾" } else { "" };
    let by_name = sort == Sort::Order;
    page.put(2, &format!("{}NAME", mark(by_name)), tint(by_name));
    for (i, x) in places(page.width()) {
        let (heading, width, _, column_sort) = COLUMNS[i];
        let sorted = column_sort == Some(sort);
        let text = padded(&format!("{}{heading}", mark(sorted)), width);
        page.put(x, &text, tint(sorted));
    }
    page.y += 1;
}

fn draw_line(page: &mut Page<'_>, name: &str, line: &Line, now_unix_ns: u64) {
    let damaged = snapshot(line).is_none_or(|snapshot| !snapshot.damage.is_empty());
    let (sign, tint) = match line {
        Line {
            vanished: Some(_), ..
        } => ("-", Tint::Dim),
        _ if damaged => ("!", Tint::Wrong),
        Line {
            appeared: Some(_), ..
        } => ("+", Tint::Writer),
        _ => (" ", Tint::Strong),
    };
    page.put(0, sign, tint);
    let width = page.width();
    let mut columns = places(width).peekable();
    let room = columns.peek().map_or(width, |(_, x)| *x).saturating_sub(3);
    page.put(2, &cut(name, room.into()), tint);
    let plain = if line.vanished.is_some() {
        Tint::Dim
    } else {
        Tint::Plain
    };
    match &line.seen {
        Ok(track) => {
            let snapshot = &track.now.snapshot;
            let ring = snapshot.ring.as_ref();
            let rates = track.rates.filter(|_| line.vanished.is_none());
            let known = rates.is_some();
            let rate = |rate: f64| if known { mb(rate) } else { "-".to_owned() };
            let rates = rates.unwrap_or_default();
            let age = Age {
                since_unix_ns: snapshot.created_unix_ns,
                now_unix_ns,
            };
            let cells = [
                snapshot.kind.as_str().to_owned(),
                list::geometry(snapshot, false),
                list::count(snapshot, Role::Writer),
                list::count(snapshot, Role::Reader),
                ring.map_or("-".to_owned(), |ring| ring.diff_nodes.to_string()),
                rate(rates.written_mb),
                rate(rates.read_mb),
                age.to_string(),
            ];
            for (i, x) in columns {
                page.put(x, &padded(&cells[i], COLUMNS[i].1), plain);
            }
        }
        Err(why) => {
            if let Some((_, x)) = columns.next() {
                page.put(x, why, tint);
            }
        }
    }
    page.y += 1;
}

/// A name that is too long, with a sign that it goes on.
fn cut(name: &str, room: usize) -> String {
    match name.chars().count() <= room {
        true => name.to_owned(),
        false => name
            .chars()
            .take(room.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}
