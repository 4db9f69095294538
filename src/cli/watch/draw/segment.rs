//! The screen of `inspect --watch`.
//!
//! ```text
//! head      name, kind, geometry; stream or lock; who waits; what is wrong
//! nodes     the map of a ring, with its legend
//! charts    in, out, diff
//! members   participants, as many as there is room for
//! foot      keys
//! ```
//!
//! From 18 lines on there are titles, legend and keys; below, everything has one line,
//! and the head two.

use super::super::track::Track;
use super::super::ui::Table;
use super::super::verdict::{Mood, remarks};
use super::{Page, Setting, Tint, charts, help, map, members, pace};
use ratatui::buffer::Buffer;
use shmkit::inspect::units::Age;
use shmkit::inspect::{Lock, Ring, Snapshot, text};
use shmkit::segment::Size;
use std::time::Duration;

/// Lines from which on a screen has titles.
const ROOMY: u16 = 18;

/// Draws it.
pub fn draw(buffer: &mut Buffer, track: &Track, setting: &Setting<'_>) -> Table {
    let (width, height) = (buffer.area.width, buffer.area.height);
    let roomy = height >= ROOMY;
    let mut page = Page::new(buffer, setting.palette);
    head(&mut page, track, setting, roomy);
    let snapshot = &track.now.snapshot;
    if let (Some(ring), Some(survey)) = (&snapshot.ring, &track.now.survey) {
        if roomy {
            page.rule("nodes", &map::scale(survey, width, height));
        }
        let mark = |slot| {
            let member = track.members.iter().find(|m| m.participant.slot == slot);
            member.map(|member| member.mark)
        };
        map::draw(&mut page, survey, height, mark);
        if roomy {
            legend(
                &mut page,
                ring,
                track.now.at.saturating_sub(track.now.nodes_at),
            );
        }
    }
    let chart_height = match roomy {
        true => chart_height(page.left(), height, track.members.len()),
        false => 1,
    };
    if roomy {
        let span = humantime::format_duration(charts::span(width, setting.every));
        let units = match &snapshot.ring {
            Some(_) => "MB/s, nodes",
            None => "MB/s, locks/s",
        };
        page.rule(&format!("the last {span}"), units);
    }
    charts::draw(&mut page, track, chart_height);
    let table = members::draw(&mut page, track, setting, roomy, u16::from(roomy));
    if roomy {
        page.footer();
    }
    if setting.ui.help {
        let signs = if snapshot.ring.is_some() {
            help::RING
        } else {
            help::LOCK
        };
        help::draw(buffer, setting.palette, signs);
    }
    table
}

/// Rows of each of the three charts, with `left` lines for them, the table and its
/// title, heading and foot: what the table does not need, within reason.
fn chart_height(left: u16, height: u16, members: usize) -> u16 {
    let fewest = height / 8;
    let members = u16::try_from(members).unwrap_or(u16::MAX);
    let table = members.clamp(fewest, height / 4);
    (left.saturating_sub(table + 4) / 3).clamp(1, 8)
}

fn head(page: &mut Page<'_>, track: &Track, setting: &Setting<'_>, roomy: bool) {
    let snapshot = &track.now.snapshot;
    let x = page.put(1, &snapshot.name, Tint::Strong);
    let x = page.put(x, &format!(": {}", text::what(snapshot)), Tint::Plain);
    let (pace, tint) = pace(setting);
    page.put_right(x + 1, &pace, tint);
    page.y += 1;
    let remarks = remarks(track);
    if !roomy {
        return page.remarks(&remarks, 1);
    }
    page.line(&whole(snapshot, track.now.unix_ns), Tint::Plain);
    if let Some(ring) = &snapshot.ring {
        let tint = if ring.stream.clean {
            Tint::Plain
        } else {
            Tint::Wrong
        };
        let width = page.width();
        page.line(&so_far(ring, width.into()), tint);
    }
    if let Some(lock) = &snapshot.lock {
        page.line(
            &format!("lock {}", text::lock(lock, &snapshot.participants)),
            Tint::Plain,
        );
        page.line(&had(lock), Tint::Plain);
    }
    // What is wrong may take a line more.
    let wrong = remarks.iter().filter(|r| r.mood == Mood::Wrong).count();
    page.remarks(&remarks, 1 + wrong.min(2));
}

/// Size, mode, age.
fn whole(snapshot: &Snapshot, now_unix_ns: u64) -> String {
    let age = Age {
        since_unix_ns: snapshot.created_unix_ns,
        now_unix_ns,
    };
    format!(
        "{}, mode {:04o}, uid {}, made {age} ago by pid {}",
        Size(snapshot.size_bytes),
        snapshot.mode,
        snapshot.owner_uid,
        snapshot.creator_pid
    )
}

/// The stream, and all that ever went through the ring: in so many columns, with
/// one free at either end, if that can be.
fn so_far(ring: &Ring, columns: usize) -> String {
    let mut line = format!(
        "written {}, read {}",
        Size(ring.written_bytes),
        Size(ring.read_bytes)
    );
    for (count, what) in [
        (ring.abandoned_nodes, "abandoned"),
        (ring.redelivered_nodes, "redelivered"),
        (ring.dropped_nodes, "dropped"),
    ] {
        if count > 0 {
            line += &format!(", {count} {what}");
        }
    }
    line = line + "; stream " + &text::stream(&ring.stream);
    match line.len() + 2 > columns {
        // What unclean means is the least news.
        true => line.replace(": a writer died in it", ""),
        false => line,
    }
}

/// All that was ever done under the lock.
fn had(lock: &Lock) -> String {
    let counts = &lock.counts;
    format!(
        "locked {} times by writers ({}), {} by readers ({}); waits {}",
        counts.write_locks,
        Size(counts.written_bytes),
        counts.read_locks,
        Size(counts.read_bytes),
        counts.writer_waits + counts.reader_waits
    )
}

/// How many nodes are in which state, with the signs of the map.
fn legend(page: &mut Page<'_>, ring: &Ring, old: Duration) {
    let states = &ring.states;
    let mut x = 1;
    for (sign, count, what, tint) in [
        ("·", states.free, "free", Tint::Dim),
        ("A", states.writing, "writing", Tint::Writer),
        ("#", states.ready, "ready", Tint::Ready),
        ("b", states.reading, "reading", Tint::Reader),
        ("o", states.orphan, "orphan", Tint::Wrong),
    ] {
        let tint = if tint == Tint::Wrong && count == 0 {
            Tint::Dim
        } else {
            tint
        };
        x = page.put(x, sign, tint) + 1;
        x = page.put(x, &format!("{count} {what}"), Tint::Plain) + 2;
    }
    if old >= Duration::from_secs(1) {
        page.put_right(x, &format!("counted {}s ago", old.as_secs()), Tint::Dim);
    }
    page.y += 1;
}
