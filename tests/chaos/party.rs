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
use shmkit::ring::{Claim, Reader, ReaderOptions, RingError, Wait, Writer};
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

    pub fn ledger(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}-{}", self.seat, self.incarnation))
    }
}

/// What a party has to know.
pub struct Part {
    pub ring: String,
    pub ledgers: PathBuf,
    pub who: Who,
    pub seed: u64,
}

impl Part {
    /// As one string, for the environment.
    pub fn to_words(&self) -> String {
        let Who { seat, incarnation } = self.who;
        let ledgers = self.ledgers.display();
        format!("{} {seat} {incarnation} {} {ledgers}", self.ring, self.seed)
    }

    fn from_words(words: &str) -> Part {
        let words: Vec<&str> = words.splitn(5, ' ').collect();
        Part {
            ring: words[0].to_owned(),
            who: Who {
                seat: words[1].parse().unwrap(),
                incarnation: words[2].parse().unwrap(),
            },
            seed: words[3].parse().unwrap(),
            ledgers: words[4].into(),
        }
    }
}

/// Plays the part that `words` describe, to the end.
pub fn play(words: &str) {
    let part = Part::from_words(words);
    let name = Name::new(&part.ring).unwrap();
    let ledger = Ledger::open(&part.who.ledger(&part.ledgers));
    let dice = Dice::new(part.seed);
    match part.who.is_writer() {
        true => write(&name, part.who, ledger, dice),
        false => read(&name, ledger, dice),
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
fn write(name: &Name, who: Who, mut ledger: Ledger, mut dice: Dice) {
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
        let mut nodes = match writer.reserve(1, &wait) {
            Err(RingError::Cancelled) => break,
            nodes => nodes.unwrap(),
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
