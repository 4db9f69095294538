//! The parties: a writer and a reader that keep ledgers, each a process of its
//! own, in the hope of nothing but SIGKILL.
//!
//! They check at once what only they can see: that an item is whole when it
//! comes, and that a node is still what it was after they had it for a while
//! (in which they may have been stopped). What they find wrong is a panic,
//! which the driver reports.

use super::dice::Dice;
use super::item::{Filler, Item, SHORTEST};
use super::ledger::{Ledger, Word, now_ns};
use shmkit::ring::{Claim, Reader, ReaderOptions, RingError, Start, Wait, Writer};
use shmkit::segment::{Name, OpenOptions};
use signal_hook::consts::SIGTERM;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many of each there are; the writers have the first seats.
pub const WRITERS: u32 = 4;
pub const READERS: u32 = 4;

/// Which process this is: the how-manieth in which seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who {
    pub seat: u32,
    pub incarnation: u32,
}

impl Who {
    pub fn is_writer(self) -> bool {
        self.seat < WRITERS
    }

    /// Where a reader of a broadcast ring begins: the last one with the oldest.
    pub fn starts_at(self) -> Start {
        match self.seat == WRITERS + READERS - 1 {
            true => Start::Oldest,
            false => Start::Newest,
        }
    }

    pub fn ledger(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}-{}", self.seat, self.incarnation))
    }
}

/// What kind of ring it is, and what writers do when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each item goes to one reader; writers wait.
    Queue,
    /// Each item goes to every reader; writers wait for the slowest.
    Broadcast,
    /// The same, but they drop the oldest and go on.
    Dropping,
}

/// What a party has to know.
pub struct Part {
    pub ring: String,
    pub mode: Mode,
    pub ledgers: PathBuf,
    pub who: Who,
    pub seed: u64,
}

impl Part {
    /// As one string, for the environment.
    pub fn to_words(&self) -> String {
        let Who { seat, incarnation } = self.who;
        let ledgers = self.ledgers.display();
        let mode = self.mode as u32;
        let (ring, seed) = (&self.ring, self.seed);
        format!("{ring} {mode} {seat} {incarnation} {seed} {ledgers}")
    }

    fn from_words(words: &str) -> Part {
        let words: Vec<&str> = words.splitn(6, ' ').collect();
        Part {
            ring: words[0].to_owned(),
            mode: [Mode::Queue, Mode::Broadcast, Mode::Dropping]
                [words[1].parse::<usize>().unwrap()],
            who: Who {
                seat: words[2].parse().unwrap(),
                incarnation: words[3].parse().unwrap(),
            },
            seed: words[4].parse().unwrap(),
            ledgers: words[5].into(),
        }
    }
}

/// Plays the part that `words` describe, to the end.
pub fn play(words: &str) {
    let part = Part::from_words(words);
    let name = Name::new(&part.ring).unwrap();
    let ledger = Ledger::open(&part.who.ledger(&part.ledgers));
    let dice = Dice::new(part.seed);
    match (part.who.is_writer(), part.mode) {
        (true, mode) => write(&name, mode, part.who, ledger, dice),
        (false, Mode::Queue) => read(&name, ledger, dice),
        (false, _) => read_all(&name, part.who.starts_at(), ledger, dice),
    }
}

/// A moment with a node in hand: mostly none, sometimes long.
fn dwell(dice: &mut Dice) {
    if dice.one_in(32) {
        std::thread::sleep(dice.millis(0, 2));
    } else if dice.one_in(8) {
        std::thread::yield_now();
    }
}

/// Writes until SIGTERM, then leaves.
fn write(name: &Name, mode: Mode, who: Who, mut ledger: Ledger, mut dice: Dice) {
    let over = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, over.clone()).unwrap();
    let cancelled = || over.load(Ordering::Relaxed);
    let wait = Wait {
        deadline: None,
        cancelled: Some(&cancelled),
    };
    let filler = Filler::new(&mut dice);
    let mut writer = Writer::attach(name, OpenOptions::default()).unwrap();
    let node_size = writer.geometry().node_size;
    let mut item = Item {
        seat: who.seat,
        incarnation: who.incarnation,
        sequence: 0,
    };
    ledger.say(Word::Attached, item);
    while !cancelled() {
        let reserved = match mode {
            Mode::Dropping => writer.reserve_or_drop_oldest(),
            _ => writer.reserve(1, &wait).map(Some),
        };
        let mut nodes = match reserved {
            Err(RingError::Cancelled) => break,
            Ok(None) => {
                // Readers and writers have them all.
                std::thread::yield_now();
                continue;
            }
            nodes => nodes.unwrap().unwrap(),
        };
        // Of all orders of magnitude: full nodes, and many.
        let most = node_size >> dice.between(0, 5);
        let len = dice.between(SHORTEST as u64, most) as usize;
        item.write(&mut nodes.node_mut(0)[..len], &filler);
        dwell(&mut dice);
        let mine = Item::read(&nodes.node_mut(0)[..len]);
        assert_eq!(mine, Some(item), "robbed of a node while it wrote it");
        ledger.say(Word::Intent, item);
        nodes.commit_first(len).unwrap();
        ledger.say(Word::Committed, item);
        item.sequence += 1;
    }
    writer.end();
}

/// Reads until the stream has ended.
fn read(name: &Name, mut ledger: Ledger, mut dice: Dice) {
    let mut reader = Reader::attach(name, &ReaderOptions::default()).unwrap();
    ledger.say(Word::Attached, Item::default());
    let mut had_before = 0;
    loop {
        let since = now_ns();
        let nodes = match reader.claim(1, usize::MAX, &Wait::default()).unwrap() {
            Claim::Nodes(nodes) => nodes,
            Claim::End { clean } => {
                let ended = [Word::EndedUnclean, Word::EndedClean][usize::from(clean)];
                return ledger.say(ended, Item::default());
            }
        };
        assert_eq!(nodes.len(), 1, "nodes claimed");
        let item = Item::read(nodes.node(0)).expect("a whole item, but it is torn");
        ledger.say_since(since, Word::Got, item);
        dwell(&mut dice);
        let mine = Item::read(nodes.node(0));
        assert_eq!(mine, Some(item), "robbed of a node while it read it");
        ledger.say(Word::Releasing, item);
        nodes.release_all();
        let had = reader.stats().redelivered_nodes;
        let released = [Word::ReleasedFresh, Word::ReleasedAgain][(had - had_before) as usize];
        ledger.say(released, item);
        had_before = had;
    }
}

/// The same in a broadcast ring: up to three at a time, and now and then it gives
/// them back, unread.
fn read_all(name: &Name, from: Start, mut ledger: Ledger, mut dice: Dice) {
    let options = ReaderOptions {
        from,
        ..ReaderOptions::default()
    };
    let since = now_ns();
    let mut reader = Reader::attach(name, &options).unwrap();
    ledger.say_since(since, Word::Attached, Item::default());
    loop {
        let (since, want) = (now_ns(), dice.between(1, 3) as usize);
        let wait = Wait::default();
        let end = match reader.claim(want, usize::MAX, &wait).unwrap() {
            Claim::Nodes(nodes) => {
                if dice.one_in(16) {
                    continue;
                }
                let items = |what: &str| -> Vec<Item> {
                    let item = |i| Item::read(nodes.node(i)).expect(what);
                    (0..nodes.len()).map(item).collect()
                };
                let got = items("whole items, but one is torn");
                for item in &got {
                    ledger.say_since(since, Word::Got, *item);
                }
                dwell(&mut dice);
                assert_eq!(items("torn while it read"), got, "robbed of a node");
                nodes.release_all();
                None
            }
            Claim::End { clean: true } => Some(Word::EndedClean),
            Claim::End { clean: false } => Some(Word::EndedUnclean),
        };
        let missed = Item {
            sequence: reader.missed_nodes(),
            ..Item::default()
        };
        ledger.say(Word::ReleasedMissed, missed);
        if let Some(end) = end {
            return ledger.say(end, Item::default());
        }
    }
}
