//! Who blocks whom, said in a sentence.
//!
//! Being full is no trouble, and being empty is none: a ring under load is one or
//! the other most of the time. Somebody *waits* who is asleep, and has
//! moved nothing since the look before ([`Asleep`](super::track::Asleep)); or, while things
//! move, when one side slept again and again and the fill of the ring says on
//! which side the bottleneck is.
//!
//! What is wrong (damage, the dead, torn data) is said first, each in a sentence
//! of its own; then one about who waits, or would, and drops instead. [`blocked`] is
//! the same for scripts.

use super::track::{Member, Rates, Track};
use shmkit::inspect::{Lock, LockState, Ring, Role, StreamState};
use shmkit::segment::Size;

/// How a sentence is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// All is as it should be.
    Calm,
    /// Somebody waits for somebody, or drops what others have not read.
    Waits,
    /// Something is wrong.
    Wrong,
}

/// One sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// How it is meant.
    pub mood: Mood,
    /// What it says.
    pub text: String,
}

/// Which side waits for the other now: `writers`, `readers`, or neither.
pub fn blocked(track: &Track) -> Option<&'static str> {
    waits(track).0
}

/// All there is to say: at least one sentence, the worst first.
pub fn remarks(track: &Track) -> Vec<Remark> {
    let snapshot = &track.now.snapshot;
    let wrong = |text| Remark {
        mood: Mood::Wrong,
        text,
    };
    let mut remarks = Vec::new();
    if let Some(damage) = snapshot.damage.summary() {
        remarks.push(wrong(format!("damaged: {damage}")));
    }
    if snapshot.lock.is_some_and(|lock| lock.owner_died) {
        let torn =
            "torn: a writer died in the middle of its changes; the next complete write clears this";
        remarks.push(wrong(torn.to_owned()));
    }
    if let Some(dead) = dead(&track.members) {
        remarks.push(wrong(dead));
    }
    let (who, waits) = waits(track);
    let drops = drops(track);
    if drops.is_none() || who.is_some() {
        remarks.push(waits);
    }
    remarks.extend(drops);
    remarks
}

/// Writers that do not wait.
fn drops(track: &Track) -> Option<Remark> {
    let rate = track.rates?.dropped_nodes;
    let readers = living(track, Role::Reader);
    let why = match slowest(&readers) {
        Some(m) => format!("readers are slower, slowest pid {}", m.participant.pid),
        None => "no reader attached".to_owned(),
    };
    (rate > 0.0).then(|| Remark {
        mood: Mood::Waits,
        text: format!("writers drop {rate:.0} nodes/s: {why}"),
    })
}

/// Those who died attached, and were not yet recovered.
fn dead(members: &[Member]) -> Option<String> {
    let mut dead = members.iter().filter(|m| !m.participant.alive);
    let first = &dead.next()?.participant;
    let (role, pid) = (first.role.as_str(), first.pid);
    Some(match dead.count() {
        0 => format!("{role} pid {pid} is dead, to be recovered by whoever waits or attaches next"),
        more => format!(
            "{} are dead, {role} pid {pid} among them, to be recovered by whoever waits or attaches next",
            more + 1
        ),
    })
}

/// Those of a role who live.
fn living(track: &Track, role: Role) -> Vec<&Member> {
    let here = |m: &&Member| m.participant.role == role && m.participant.alive;
    track.members.iter().filter(here).collect()
}

/// The member that is furthest behind: by its lag, by its rate, by what it holds.
fn slowest<'a>(members: &[&'a Member]) -> Option<&'a Member> {
    let order = |a: &&&Member, b: &&&Member| {
        let behind = b.participant.diff_nodes.cmp(&a.participant.diff_nodes);
        let held = b.participant.held_nodes.cmp(&a.participant.held_nodes);
        behind.then(a.mb.total_cmp(&b.mb)).then(held)
    };
    members.iter().min_by(order).copied()
}

/// `1 writer`, `3 writers`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Which side waits, and the sentence.
fn waits(track: &Track) -> (Option<&'static str>, Remark) {
    let snapshot = &track.now.snapshot;
    let (who, text) = if let Some(ring) = &snapshot.ring {
        of_ring(track, ring)
    } else if let Some(lock) = &snapshot.lock {
        of_lock(track, lock)
    } else {
        (None, String::new())
    };
    let mood = if who.is_some() {
        Mood::Waits
    } else {
        Mood::Calm
    };
    (who, Remark { mood, text })
}

fn of_ring(track: &Track, ring: &Ring) -> (Option<&'static str>, String) {
    let (writers, readers) = (living(track, Role::Writer), living(track, Role::Reader));
    let nodes = u64::from(ring.nodes);
    let full = ring.diff_nodes + u64::from(ring.states.writing) >= nodes;
    let empty = ring.diff_nodes == 0;
    if let Some((latest, _)) = track.latest {
        if full && !writers.is_empty() && latest.written_nodes == 0.0 {
            let why = full_of(track, &readers);
            return if track.asleep.writers {
                (Some("writers"), format!("writers wait: {why}"))
            } else {
                (None, why)
            };
        }
        if empty && !readers.is_empty() && latest.read_nodes == 0.0 {
            let why = empty_for(ring, &writers);
            return if track.asleep.readers {
                (Some("readers"), format!("readers wait: {why}"))
            } else {
                (None, why)
            };
        }
        if latest.written_nodes > 0.0 || latest.read_nodes > 0.0 {
            let rates = track.rates.unwrap_or_default();
            return bottleneck(ring, &rates, &writers, &readers);
        }
    }
    let left = || {
        let noun = if ring.diff_nodes == 1 {
            "node"
        } else {
            "nodes"
        };
        format!(
            "{} {noun} ({}) to be read",
            ring.diff_nodes,
            Size(ring.diff_bytes)
        )
    };
    let text = match (writers.is_empty(), readers.is_empty(), empty) {
        (true, true, true) => "nobody is attached".to_owned(),
        (true, true, false) => format!("nobody is attached; {}", left()),
        (_, true, false) => format!("no reader attached; {}", left()),
        (_, true, true) => "no reader attached; nothing to be read".to_owned(),
        // One look does not say what moves.
        (_, false, true) if track.latest.is_none() => "ring empty".to_owned(),
        (_, false, false) if track.latest.is_none() => left(),
        (_, false, _) => match slowest(&readers) {
            Some(m) => format!(
                "nothing moves; reader pid {} holds {}",
                m.participant.pid, m.participant.held_nodes
            ),
            None => "nothing moves".to_owned(),
        },
    };
    (None, text)
}

/// What there is to say of a full ring.
fn full_of(track: &Track, readers: &[&Member]) -> String {
    let reading = track.rates.is_some_and(|rates| rates.read_nodes > 0.0);
    match (slowest(readers), reading) {
        (None, _) => "ring full, no reader attached".to_owned(),
        (Some(m), true) => format!("ring full, slowest reader pid {}", m.participant.pid),
        (Some(m), false) if readers.len() == 1 => {
            format!("ring full, reader pid {} takes nothing", m.participant.pid)
        }
        (Some(m), false) => format!(
            "ring full, {} readers take nothing, pid {} among them",
            readers.len(),
            m.participant.pid
        ),
    }
}

/// What there is to say of an empty ring.
fn empty_for(ring: &Ring, writers: &[&Member]) -> String {
    match (writers, ring.stream.state) {
        ([], StreamState::Waiting) => "no writer yet".to_owned(),
        ([], StreamState::Ended) => "the stream has ended, no next writer yet".to_owned(),
        ([], StreamState::Open) => {
            "ring empty, the stream kept open, no writer attached".to_owned()
        }
        ([writer], _) => format!(
            "ring empty, writer pid {} writes nothing",
            writer.participant.pid
        ),
        _ => format!("ring empty, {} attached", count(writers.len(), "writer")),
    }
}

/// While things move: which side is the slower one.
fn bottleneck(
    ring: &Ring,
    rates: &Rates,
    writers: &[&Member],
    readers: &[&Member],
) -> (Option<&'static str>, String) {
    let mostly_full = 2 * ring.diff_nodes >= u64::from(ring.nodes);
    let times = |rate: f64| format!("{rate:.0} times/s");
    if mostly_full && rates.writer_waits >= 1.0 {
        let who = slowest(readers).map_or(String::new(), |m| {
            format!(", slowest pid {}", m.participant.pid)
        });
        let text = format!(
            "writers waited {}: readers are slower{who}",
            times(rates.writer_waits)
        );
        (Some("writers"), text)
    } else if !mostly_full && rates.reader_waits >= 1.0 {
        let who = slowest(writers).map_or(String::new(), |m| {
            format!(", slowest pid {}", m.participant.pid)
        });
        let text = format!(
            "readers waited {}: writers are slower{who}",
            times(rates.reader_waits)
        );
        (Some("readers"), text)
    } else {
        (None, "data flows, nobody waits".to_owned())
    }
}

fn of_lock(track: &Track, lock: &Lock) -> (Option<&'static str>, String) {
    let pid = |slot| {
        let member = track.members.iter().find(|m| m.participant.slot == slot);
        member.map_or(format!("participant {slot}"), |m| {
            format!("pid {}", m.participant.pid)
        })
    };
    let others = |holders: usize| {
        let living = track.members.iter().filter(|m| m.participant.alive);
        living.count().saturating_sub(holders)
    };
    match (lock.state, lock.writer_slot, lock.waiting_slot) {
        (LockState::Write, Some(slot), _) => {
            let holder = pid(slot);
            match others(1) {
                0 => (None, format!("{holder} has the write lock")),
                others => (
                    Some("writers"),
                    format!(
                        "{} behind {holder}, which has the write lock",
                        count(others, "participant")
                    ),
                ),
            }
        }
        (LockState::Write, None, _) => (None, "write-locked by nobody there is".to_owned()),
        (_, _, Some(slot)) => (
            Some("writers"),
            format!(
                "{} waits to write: {} the lock",
                pid(slot),
                have(lock.readers)
            ),
        ),
        (LockState::Read, ..) => (None, format!("{} the lock", have(lock.readers))),
        (LockState::Free, ..) if track.members.is_empty() => {
            (None, "nobody is attached".to_owned())
        }
        (LockState::Free, ..) => (None, "the lock is free".to_owned()),
    }
}

fn have(readers: u32) -> String {
    match readers {
        1 => "1 reader has".to_owned(),
        readers => format!("{readers} readers have"),
    }
}
