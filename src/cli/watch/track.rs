//! One segment, followed over time: what the difference between looks says.
//!
//! ```text
//! Look --> Look --> Look --> Look        snapshots, each with its moment
//!    `--- a second or so ----'  `-- now
//!          rates, for people    a sample of the history: since the look before
//! ```
//!
//! Figures that change five times a second cannot be read, so [`Track::rates`]
//! and the rates of [`Member`]s are those of the last second or so; the
//! [`Sample`]s, which charts are drawn of, and [`Track::latest`] are those since the
//! look before.
//!
//! That somebody *sleeps* is known by the word slept on: it is armed, and it went on
//! being armed anew while nothing moved on that side ([`Asleep`]). A writer that waits for its own
//! input is there, in a ring that may be full, and does not sleep.
//!
//! Everything here is arithmetic on snapshots: no clock is read, and nobody is
//! asked. The counters of a participant belong to its entry *and* the moment it
//! attached; an entry that somebody else has taken since begins anew.

use super::super::summary::mb_per_s;
use shmkit::inspect::{Participant, Role, Snapshot, Survey};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The time that rates are taken over.
const WINDOW: Duration = Duration::from_secs(1);
/// How long a word that somebody sleeps on may stay as it is: twice the longest that
/// anybody sleeps without looking around.
const SLEEP: Duration = Duration::from_secs(2);
/// Samples that are kept: more than the columns of any terminal.
const KEPT: usize = 1000;

/// What was seen of a segment at a moment.
#[derive(Clone, Debug)]
pub struct Look {
    /// When: since the watch began.
    pub at: Duration,
    /// When: nanoseconds since the epoch.
    pub unix_ns: u64,
    /// What.
    pub snapshot: Snapshot,
    /// The nodes of a ring, for a map, if one is wanted.
    pub survey: Option<Survey>,
    /// When all nodes of a ring were last looked at; of other kinds, `at`.
    pub nodes_at: Duration,
    /// The command of each participant's process, by entry, where it is known.
    pub commands: BTreeMap<u32, String>,
}

/// What moved, per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// MB/s written.
    pub written_mb: f64,
    /// MB/s read.
    pub read_mb: f64,
    /// Nodes written; of an array or a buffer, times it was locked to write.
    pub written_nodes: f64,
    /// Nodes read; times it was locked to read.
    pub read_nodes: f64,
    /// Times that writers slept.
    pub writer_waits: f64,
    /// Times that readers slept.
    pub reader_waits: f64,
    /// Nodes that were dropped, of those written.
    pub dropped_nodes: f64,
}

/// One column of the charts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// MB/s written since the sample before.
    pub written_mb: f64,
    /// MB/s read.
    pub read_mb: f64,
    /// Nodes of the diff; of an array or a buffer, locks per second.
    pub third: f64,
}

/// A participant and what it does.
#[derive(Clone, Debug)]
pub struct Member {
    /// As the snapshot has it.
    pub participant: Participant,
    /// A letter for the map: `A` for writers, `a` for readers, by entry.
    pub mark: char,
    /// Its process's command; empty where it is not known.
    pub command: String,
    /// MB/s that it writes or reads.
    pub mb: f64,
    /// Times per second that it slept.
    pub waits: f64,
}

/// A segment and its recent past.
#[derive(Clone, Debug)]
pub struct Track {
    /// The last look.
    pub now: Look,
    /// What moves, over the last second or so; `None` before the second look.
    pub rates: Option<Rates>,
    /// The same since the look before, and how long that was.
    pub latest: Option<(Rates, Duration)>,
    /// Who sleeps in a ring.
    pub asleep: Asleep,
    /// Those attached, in the order of their entries.
    pub members: Vec<Member>,
    /// The oldest first.
    pub history: VecDeque<Sample>,
    /// Counters of earlier looks, the oldest first: one of them is older than the
    /// window, if there is such a one.
    past: VecDeque<Tally>,
}

/// Whether somebody of a side is asleep for want of the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asleep {
    /// Some writer is, until a node comes free.
    pub writers: bool,
    /// Some reader is, until a node is committed.
    pub readers: bool,
    /// When the word of each was last seen to have changed although its side moved nothing.
    changed: [Option<Duration>; 2],
}

impl Asleep {
    /// After a look, to which `latest` led.
    fn after(self, before: &Snapshot, now: &Look, latest: &Rates) -> Asleep {
        let (Some(before), Some(ring)) = (&before.ring, &now.snapshot.ring) else {
            return Asleep::default();
        };
        let (then, words) = (before.event_words, ring.event_words);
        let side = |then: u32, word: u32, moved: bool, changed: Option<Duration>| match moved {
            true => None,
            false if word != then => Some(now.at),
            false => changed,
        };
        let [writers, readers] = self.changed;
        let changed = [
            side(
                then.writers,
                words.writers,
                latest.written_nodes > 0.0,
                writers,
            ),
            side(
                then.readers,
                words.readers,
                latest.read_nodes > 0.0,
                readers,
            ),
        ];
        let asleep = |word: u32, changed: Option<Duration>| {
            word & 1 == 1 && changed.is_some_and(|at| now.at.saturating_sub(at) <= SLEEP)
        };
        Asleep {
            writers: asleep(words.writers, changed[0]),
            readers: asleep(words.readers, changed[1]),
            changed,
        }
    }
}

/// Counters of all who ever were attached.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    written_bytes: u64,
    read_bytes: u64,
    written_nodes: u64,
    read_nodes: u64,
    writer_waits: u64,
    reader_waits: u64,
    dropped_nodes: u64,
}

impl Counts {
    fn of(snapshot: &Snapshot) -> Counts {
        if let Some(ring) = &snapshot.ring {
            Counts {
                written_bytes: ring.written_bytes,
                read_bytes: ring.read_bytes,
                written_nodes: ring.written_nodes,
                read_nodes: ring.read_nodes,
                writer_waits: ring.writer_waits,
                reader_waits: ring.reader_waits,
                dropped_nodes: ring.dropped_nodes,
            }
        } else if let Some(lock) = &snapshot.lock {
            Counts {
                written_bytes: lock.counts.written_bytes,
                read_bytes: lock.counts.read_bytes,
                written_nodes: lock.counts.write_locks,
                read_nodes: lock.counts.read_locks,
                writer_waits: lock.counts.writer_waits,
                reader_waits: lock.counts.reader_waits,
                dropped_nodes: 0,
            }
        } else {
            Counts::default()
        }
    }

    /// Per second, from `self` to `now`. Counters that a damaged segment sets
    /// back count as nothing.
    fn rates(&self, now: &Counts, seconds: f64) -> Rates {
        let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let mb = |now: u64, then: u64| mb_per_s(now.saturating_sub(then), seconds);
        Rates {
            written_mb: mb(now.written_bytes, self.written_bytes),
            read_mb: mb(now.read_bytes, self.read_bytes),
            written_nodes: per_second(now.written_nodes, self.written_nodes),
            read_nodes: per_second(now.read_nodes, self.read_nodes),
            writer_waits: per_second(now.writer_waits, self.writer_waits),
            reader_waits: per_second(now.reader_waits, self.reader_waits),
            dropped_nodes: per_second(now.dropped_nodes, self.dropped_nodes),
        }
    }
}

/// The counters of a look.
#[derive(Clone, Debug)]
struct Tally {
    at: Duration,
    counts: Counts,
    /// Bytes and waits of each participant, by entry and when it attached.
    members: BTreeMap<(u32, u64), (u64, u64)>,
}

impl Tally {
    fn of(look: &Look) -> Tally {
        let participants = look.snapshot.participants.iter();
        let counted = |p: &Participant| ((p.slot, p.since_unix_ns), (p.bytes, p.waits));
        Tally {
            at: look.at,
            counts: Counts::of(&look.snapshot),
            members: participants.map(counted).collect(),
        }
    }
}

impl Track {
    /// Of a first look.
    pub fn new(look: Look) -> Track {
        let mut track = Track {
            now: look,
            rates: None,
            latest: None,
            asleep: Asleep::default(),
            members: Vec::new(),
            history: VecDeque::new(),
            past: VecDeque::new(),
        };
        track.members = track.members_now();
        track
    }

    /// Goes on to the next look, which must be later than the last.
    pub fn advance(&mut self, look: Look) {
        let before = Tally::of(&self.now);
        let now = Counts::of(&look.snapshot);
        let elapsed = look.at.saturating_sub(before.at);
        let latest = before.counts.rates(&now, seconds(elapsed));
        self.past.push_back(before);
        // The second may be too young already: then the first is the one.
        while self.past.len() > 1 && look.at.saturating_sub(self.past[1].at) >= WINDOW {
            self.past.pop_front();
        }
        let then = &self.past[0];
        let window = seconds(look.at.saturating_sub(then.at));
        self.rates = Some(then.counts.rates(&now, window));
        self.latest = Some((latest, elapsed));
        self.asleep = self.asleep.after(&self.now.snapshot, &look, &latest);
        self.now = look;
        self.members = self.members_now();
        let third = match &self.now.snapshot.ring {
            Some(ring) => ring.diff_nodes as f64,
            None => latest.written_nodes + latest.read_nodes,
        };
        self.history.push_back(Sample {
            written_mb: latest.written_mb,
            read_mb: latest.read_mb,
            third,
        });
        if self.history.len() > KEPT {
            self.history.pop_front();
        }
    }

    fn members_now(&self) -> Vec<Member> {
        let participants = self.now.snapshot.participants.iter();
        participants.map(|p| self.member(p)).collect()
    }

    fn member(&self, participant: &Participant) -> Member {
        let id = (participant.slot, participant.since_unix_ns);
        // One who came within the window is counted from when it was first seen.
        let then = self
            .past
            .iter()
            .find_map(|tally| Some((tally.at, tally.members.get(&id)?)));
        let (mb, waits) = then.map_or((0.0, 0.0), |(at, &(bytes, waits))| {
            let window = seconds(self.now.at.saturating_sub(at));
            let waited = participant.waits.saturating_sub(waits) as f64;
            (
                mb_per_s(participant.bytes.saturating_sub(bytes), window),
                waited / window,
            )
        });
        let command = self.now.commands.get(&participant.slot);
        Member {
            mark: mark(participant),
            command: command.cloned().unwrap_or_default(),
            participant: participant.clone(),
            mb,
            waits,
        }
    }
}

/// Never 0, so that nothing is divided by it.
fn seconds(time: Duration) -> f64 {
    time.as_secs_f64().max(1e-6)
}

/// The letter of a participant: entries 0 to 25 have one of their own.
fn mark(participant: &Participant) -> char {
    let letter = (b'a' + (participant.slot % 26) as u8) as char;
    match participant.role {
        Role::Writer => letter.to_ascii_uppercase(),
        Role::Reader => letter,
    }
}
