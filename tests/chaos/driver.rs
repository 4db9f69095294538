//! The driver of a ring's life: starts the parties, kills, replaces, stops
//! and resumes them, brings the whole to its end and has it judged.
//!
//! ```text
//! keeper (the driver)  |-------------------------------------------| ends
//! writer, seat 0       |-----X|----X|--------======---|  SIGTERM ->|
//! writer, seat 1       |--------------X|--------------|----------->|
//! reader, seat 4       |-=====--------------X|--------|-------------->| END, unclean
//!                             X killed and replaced    ^ closing
//!                             = stopped
//! ```
//!
//! The keeper is a writer that writes nothing: it keeps the stream open when
//! all others happen to be dead at once, so that a reader for which it ends
//! before closing is in the wrong.
//!
//! Where the library has named crash points, in debug builds, some parties come
//! with an appointment: to die at one of them, where a signal from outside
//! would hardly ever hit. (Only those in odd seats, so that there are always
//! others to see the end.)
//!
//! Stopped parties of a queue hold at most one node each, and there are always fewer of
//! them than nodes, and fewer than writers, or readers. So somebody can always
//! go on, and a gap in the deliveries is the ring's fault. (In a broadcast ring a
//! stopped reader holds all, but not for long.)

use super::dice::Dice;
use super::judge::{Account, Findings, broadcast, judge};
use super::ledger::{lines, now_ns};
use super::party::{Mode, Part, READERS, WRITERS, Who};
use crate::harness::{PATIENCE, Proc, Ring, actor, until};
use rustix::process::Signal;
use shmkit::ring::{Monitor, Reader, ReaderOptions, Writer};
use shmkit::segment::{Name, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// One ring's life.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    pub mode: Mode,
    pub nodes: u64,
    pub node_size: u64,
    pub kills: u64,
    pub seed: u64,
}

/// What happened in it.
pub struct Told {
    pub stops: u64,
    /// Deaths by appointment.
    pub appointments: u64,
    /// From when the writers were told to end until all had ended.
    pub ending: Duration,
    pub findings: Findings,
}

impl Life {
    /// Lives it. Panics if a promise was broken, and says which.
    pub fn live(self) -> Told {
        let ring = self.ring();
        let name = Name::new(&ring.name).unwrap();
        let keeper = Writer::attach(&name, OpenOptions::default()).unwrap();
        let mut stage = Stage::new(self, &ring);
        stage.rage();
        let closing_ns = stage.close(keeper);
        let ending = Duration::from_nanos(now_ns() - closing_ns);
        let accounts = stage.accounts();
        let findings = match self.mode {
            Mode::Queue => judge(&accounts, closing_ns),
            mode => broadcast::judge(&accounts, closing_ns, self.nodes, mode == Mode::Dropping),
        };
        let some: Vec<_> = findings.faults.iter().take(20).collect();
        let count = findings.faults.len();
        assert!(some.is_empty(), "{count} broken promises: {some:#?}");
        // A party that died without anybody having to wait for it is found by
        // the next one that comes.
        drop(Reader::attach(&name, &ReaderOptions::default()).unwrap());
        self.nothing_is_left(&ring, &findings);
        Told {
            stops: stage.stops,
            appointments: stage.killed.len() as u64 - stage.kills,
            ending,
            findings,
        }
    }

    fn ring(&self) -> Ring {
        match self.mode {
            Mode::Queue => Ring::new(self.nodes, &self.node_size.to_string()),
            Mode::Broadcast | Mode::Dropping => Ring::broadcast(self.nodes, self.node_size),
        }
    }

    fn nothing_is_left(&self, ring: &Ring, findings: &Findings) {
        let all = ring.inspect();
        assert_eq!(all["participants"], serde_json::json!([]), "entries leaked");
        let written = all["ring"]["written_nodes"].as_u64().unwrap();
        let items = findings.items..=findings.items + findings.open;
        assert!(items.contains(&written), "{items:?}: {all}");
        if self.mode == Mode::Queue {
            assert!(ring.is_drained(), "nodes leaked: {all}");
            assert_eq!(all["ring"]["states"]["free"], self.nodes, "{all}");
            return;
        }
        let name = Name::new(&ring.name).unwrap();
        let monitor = Monitor::open(&name, OpenOptions::default()).unwrap();
        assert_eq!(monitor.diff().nodes, 0, "all readers had all of it");
        // All nodes can be had, and not one more.
        let mut writer = Writer::attach(&name, OpenOptions::default()).unwrap();
        for _ in 0..self.nodes {
            let nodes = writer.try_reserve(1).unwrap();
            nodes.expect("a free node").commit_first(0).unwrap();
        }
        assert!(writer.try_reserve(1).unwrap().is_none());
    }
}

/// Where a signal from outside hardly ever hits: between a step of the
/// protocol that others see and the next one.
const APPOINTMENTS: [&str; 16] = [
    "join/filled",
    "join/listed",
    "stream/joined",
    "reserve/taken",
    "commit/pending",
    "commit/ready",
    "append/noted",
    "append/appended",
    "append/tail",
    "commit/counted-nodes",
    "commit/signalled",
    "recover/locked",
    "recover/unclean",
    "recover/freed",
    "recover/emptied",
    "recover/unlocked",
];
/// The same, of queues only.
const OF_QUEUES: [&str; 6] = [
    "claim/taken",
    "claim/head",
    "release/freed",
    "orphans/claimed",
    "orphans/flagged",
    "recover/orphaned",
];
/// The same, of broadcast rings only.
const OF_BROADCAST: [&str; 17] = [
    "append/overtaken",
    "reserve/taking",
    "reserve/left",
    "reserve/taken-back",
    "reserve/unflagged",
    "join/placed",
    "join/counted",
    "join/joined",
    "claim/announced",
    "claim/shortened",
    "claim/kept",
    "claim/missed",
    "claim/counted-missed",
    "release/passed",
    "give-back/stepped-back",
    "leave/passed",
    "leave/no-place",
];

struct Seat {
    who: Who,
    proc: Proc,
    appointed: bool,
    /// Until when it is stopped, if it is.
    stopped: Option<Instant>,
}

struct Stage<'a> {
    life: Life,
    ring: &'a Ring,
    ledgers: TempDir,
    dice: Dice,
    seats: Vec<Seat>,
    /// When, or a moment before; by appointment, only its ledger knows.
    killed: Vec<(Who, Option<u64>)>,
    /// Killed, and not yet seen to have died of it.
    dying: Vec<(Who, Proc)>,
    ended: Vec<Who>,
    kills: u64,
    stops: u64,
}

impl Stage<'_> {
    fn new(life: Life, ring: &Ring) -> Stage<'_> {
        let mut stage = Stage {
            life,
            ring,
            ledgers: tempfile::tempdir().unwrap(),
            dice: Dice::new(life.seed),
            seats: Vec::new(),
            killed: Vec::new(),
            dying: Vec::new(),
            ended: Vec::new(),
            kills: 0,
            stops: 0,
        };
        for seat in 0..WRITERS + READERS {
            let incarnation = 0;
            let seat = stage.start(Who { seat, incarnation });
            stage.seats.push(seat);
        }
        stage
    }

    /// This program, in that part.
    fn start(&mut self, who: Who) -> Seat {
        let part = Part {
            ring: self.ring.name.to_string(),
            mode: self.life.mode,
            ledgers: self.ledgers.path().to_owned(),
            who,
            seed: self.dice.roll(),
        };
        let mut program = actor("role", part.to_words()).stdout(Stdio::null());
        let appointed = cfg!(debug_assertions) && who.seat % 2 == 1 && self.dice.one_in(2);
        if appointed {
            let more: &[&str] = match self.life.mode {
                Mode::Queue => &OF_QUEUES,
                Mode::Broadcast | Mode::Dropping => &OF_BROADCAST,
            };
            let which = self
                .dice
                .between(0, (APPOINTMENTS.len() + more.len()) as u64 - 1);
            let point = APPOINTMENTS.iter().chain(more).nth(which as usize).unwrap();
            let passage = 1 << self.dice.between(0, 4);
            program = program.env("SHMKIT_CRASH_AT", format!("{point}#{passage}"));
        }
        Seat {
            who,
            proc: program.start(),
            appointed,
            stopped: None,
        }
    }

    fn start_after(&mut self, Who { seat, incarnation }: Who) -> Seat {
        let incarnation = incarnation + 1;
        self.start(Who { seat, incarnation })
    }

    /// Kills and stops until there were kills enough.
    fn rage(&mut self) {
        let mut kill_at = Instant::now() + self.dice.millis(5, 50);
        let mut stop_at = kill_at;
        while self.kills < self.life.kills {
            let resume_at = self.seats.iter().filter_map(|seat| seat.stopped).min();
            let next = resume_at.unwrap_or(kill_at).min(kill_at).min(stop_at);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            let now = Instant::now();
            self.replace_the_appointed();
            self.resume(now);
            if kill_at <= now {
                self.kill_one();
                kill_at = Instant::now() + self.dice.millis(5, 50);
            }
            if stop_at <= now {
                self.stop_one();
                stop_at = Instant::now() + self.dice.millis(5, 50);
            }
        }
    }

    fn one(&mut self) -> usize {
        self.dice.between(0, self.seats.len() as u64 - 1) as usize
    }

    fn kill_one(&mut self) {
        let victim = self.one();
        let at_ns = now_ns();
        self.seats[victim].proc.signal(Signal::KILL);
        self.kills += 1;
        let seat = self.seats.swap_remove(victim);
        // The last one has no successor: those who wait must find it.
        if self.kills < self.life.kills {
            let next = self.start_after(seat.who);
            self.seats.push(next);
        }
        // It may have been about to die by itself, and earlier.
        let at_ns = (!seat.appointed).then_some(at_ns);
        self.note_killed(seat, at_ns);
    }

    fn note_killed(&mut self, seat: Seat, at_ns: Option<u64>) {
        self.killed.push((seat.who, at_ns));
        self.dying.push((seat.who, seat.proc));
    }

    fn stop_one(&mut self) {
        let stopped = self.seats.iter().filter(|seat| seat.stopped.is_some());
        let most = (self.life.nodes - 1).min((WRITERS.min(READERS) - 1).into());
        if stopped.count() as u64 == most {
            return;
        }
        let victim = self.one();
        // Some for longer than it takes the others to look for the dead.
        let span = self.dice.millis(1, 300);
        let seat = &mut self.seats[victim];
        if seat.stopped.is_none() {
            seat.proc.signal(Signal::STOP);
            seat.stopped = Some(Instant::now() + span);
            self.stops += 1;
        }
    }

    /// Resumes those whose time is over.
    fn resume(&mut self, now: Instant) {
        for seat in &mut self.seats {
            if seat.stopped.is_some_and(|until| until <= now) {
                seat.proc.resume();
                seat.stopped = None;
            }
        }
    }

    /// Replaces those that have died by appointment. Nobody else has ended.
    fn replace_the_appointed(&mut self) {
        for at in 0..self.seats.len() {
            if self.seats[at].proc.is_running() {
                continue;
            }
            let next = self.start_after(self.seats[at].who);
            let seat = std::mem::replace(&mut self.seats[at], next);
            assert!(seat.appointed, "{}", self.story_of(seat.who, seat.proc));
            self.note_killed(seat, None);
        }
    }

    /// Lets all go on and come to their ends; when the writers were told to.
    fn close(&mut self, keeper: Writer) -> u64 {
        self.resume(Instant::now() + Duration::from_secs(60));
        until("all take part", || {
            self.replace_the_appointed();
            let takes_part = |who: Who| !lines(&who.ledger(self.ledgers.path())).is_empty();
            self.seats.iter().all(|seat| takes_part(seat.who))
        });
        let closing_ns = now_ns();
        let (writers, readers): (Vec<_>, _) = std::mem::take(&mut self.seats)
            .into_iter()
            .partition(|seat| seat.who.is_writer());
        for writer in &writers {
            writer.proc.signal(Signal::TERM);
        }
        writers.into_iter().for_each(|seat| self.see_off(seat));
        keeper.end();
        readers.into_iter().for_each(|seat| self.see_off(seat));
        for (who, mut proc) in std::mem::take(&mut self.dying) {
            let status = proc.wait_within(PATIENCE);
            let killed = status.signal() == Some(Signal::KILL.as_raw());
            assert!(killed, "{}", self.story_of(who, proc));
        }
        closing_ns
    }

    /// Waits for its end.
    fn see_off(&mut self, mut seat: Seat) {
        let patience = Instant::now() + PATIENCE;
        while seat.proc.is_running() {
            let stuck = Instant::now() > patience;
            assert!(!stuck, "stuck: {}", self.story_of(seat.who, seat.proc));
            std::thread::sleep(Duration::from_millis(2));
        }
        if seat.proc.wait_within(PATIENCE).success() {
            self.ended.push(seat.who);
        } else {
            assert!(seat.appointed, "{}", self.story_of(seat.who, seat.proc));
            self.note_killed(seat, None);
        }
    }

    /// What is known of one that should have ended, or should not have.
    fn story_of(&self, who: Who, proc: Proc) -> String {
        let all = self.ring.inspect();
        let (ring, participants) = (&all["ring"], &all["participants"]);
        let stderr = proc.kill().stderr;
        let ledger = lines(&who.ledger(self.ledgers.path()));
        let last = &ledger[ledger.len().saturating_sub(3)..];
        format!("{who:?}: {stderr}\n{last:#?}\n{ring:#}\n{participants:#}")
    }

    fn accounts(&self) -> Vec<Account> {
        let killed = self.killed.iter().map(|(who, at_ns)| (*who, Some(*at_ns)));
        let ended = self.ended.iter().map(|who| (*who, None));
        let account = |(who, killed): (Who, Option<Option<u64>>)| {
            let lines = lines(&who.ledger(self.ledgers.path()));
            let last_line_ns = lines.last().map_or(0, |line| line.at_ns);
            Account {
                who,
                lines,
                killed_ns: killed.map(|at_ns| at_ns.unwrap_or(last_line_ns)),
            }
        };
        killed.chain(ended).map(account).collect()
    }
}
