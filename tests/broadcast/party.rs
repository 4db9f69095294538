//! The parties: a writer and a reader, each a process of its own, that say on
//! stdout what they do, line by line.
//!
//! ```text
//! write RING WRITER block|drop-old COUNT|MSms     + attached  + did SEQ ...  + committed N
//! read RING newest|oldest BATCH DWELL_US          + joined    + got WRITER SEQ ...
//!                                                 + missed N  + ended clean|unclean
//! hold RING COUNT                                 + joined    + holds N      and is killed
//! ```
//!
//! A message names its writer and its number, and each of its bytes follows from
//! the two, its length too. A reader looks at it in place, and again after a while;
//! what is torn is a panic, and an exit status that is not 0.

use super::harness::{Proc, actor, record, until};
use super::patiently;
use shmkit::ring::{Claim, OnFull, ReadNodes, Reader, ReaderOptions, Start, Wait, Writer};
use shmkit::segment::{Name, OpenOptions};
use std::time::{Duration, Instant};

/// Message number `sequence` of `writer`, of any length from 16 bytes to a node's.
pub fn message(writer: u32, sequence: u32, node_size: u64) -> Vec<u8> {
    let most = (node_size - 16) as u32;
    let len = 16 + (sequence.wrapping_mul(0x9e37_79b9) >> 8) % (most + 1);
    record(writer, sequence, len as usize)
}

/// Whose and the how-manieth it is; panics if not each byte is right.
#[track_caller]
pub fn open_message(bytes: &[u8], node_size: u64) -> (u32, u32) {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (writer, sequence) = (word(4), word(8));
    let whole = bytes == message(writer, sequence, node_size);
    assert!(whole, "torn: {writer} {sequence}, {} bytes", bytes.len());
    (writer, sequence)
}

/// Plays the role that `words` describe, to the end.
pub fn play(words: &str) {
    let words: Vec<&str> = words.split(' ').collect();
    let name = Name::new(words[1]).unwrap();
    match words[0] {
        "write" => write(&name, words[2].parse().unwrap(), words[3], words[4]),
        "read" => {
            let reader = join(&name, words[2]);
            read(reader, words[3].parse().unwrap(), words[4].parse().unwrap());
        }
        "hold" => hold(join(&name, "newest"), words[2].parse().unwrap()),
        other => panic!("no such role: {other}"),
    }
}

fn write(name: &Name, number: u32, how: &str, span: &str) {
    let mut writer = Writer::attach(name, OpenOptions::default()).unwrap();
    let node_size = writer.geometry().node_size;
    println!("+ attached");
    let on_full = match how {
        "block" => OnFull::Block,
        _ => OnFull::DropOld,
    };
    let (count, end) = match span.strip_suffix("ms") {
        Some(ms) => {
            let span = Duration::from_millis(ms.parse().unwrap());
            (u32::MAX, Some(Instant::now() + span))
        }
        None => (span.parse().unwrap(), None),
    };
    let mut committed = 0;
    for sequence in 0..count {
        if end.is_some_and(|end| Instant::now() > end) {
            break;
        }
        let message = message(number, sequence, node_size);
        if writer.offer(&message, on_full, &Wait::default()).unwrap() {
            committed += 1;
            if end.is_none() {
                println!("+ did {sequence}");
            }
        } else {
            std::thread::yield_now();
        }
    }
    println!("+ committed {committed}");
}

fn join(name: &Name, from: &str) -> Reader {
    let from = match from {
        "oldest" => Start::Oldest,
        _ => Start::Newest,
    };
    let options = ReaderOptions {
        from,
        ..ReaderOptions::default()
    };
    let reader = Reader::attach(name, &options).unwrap();
    println!("+ joined");
    reader
}

/// All messages of the batch, looked at in place.
fn look(nodes: &ReadNodes<'_>, node_size: u64) -> Vec<(u32, u32)> {
    (0..nodes.len())
        .map(|i| open_message(nodes.node(i), node_size))
        .collect()
}

/// Reads to the end, up to `batch` messages at a time, and dwells on every tenth
/// batch for so many microseconds.
fn read(mut reader: Reader, batch: usize, dwell_us: u64) {
    let node_size = reader.geometry().node_size;
    let mut turns = 0u64;
    let clean = loop {
        match reader.claim(batch, usize::MAX, &Wait::default()).unwrap() {
            Claim::End { clean } => break clean,
            Claim::Nodes(nodes) => {
                let got = look(&nodes, node_size);
                turns += 1;
                if dwell_us > 0 && turns.is_multiple_of(10) {
                    std::thread::sleep(Duration::from_micros(dwell_us));
                } else if dwell_us > 0 {
                    std::thread::yield_now();
                }
                assert_eq!(look(&nodes, node_size), got, "changed in hand");
                let lines = got.iter().map(|(w, s)| format!("+ got {w} {s}\n"));
                print!("{}", lines.collect::<String>());
                nodes.release_all();
            }
        }
    };
    println!("+ missed {}", reader.missed_nodes());
    println!("+ ended {}", if clean { "clean" } else { "unclean" });
}

/// Gets `count` at once into its hands, and keeps them.
fn hold(mut reader: Reader, count: u64) {
    let node_size = reader.geometry().node_size;
    let monitor = reader.monitor();
    until("so many are there", || monitor.unclaimed_nodes() >= count);
    let claim = reader.claim(count as usize, usize::MAX, &patiently());
    let Claim::Nodes(nodes) = claim.unwrap() else {
        panic!("it ended")
    };
    look(&nodes, node_size);
    println!("+ holds {}", nodes.len());
    loop {
        std::thread::park();
    }
}

/// A party that runs.
pub struct Party(Proc);

/// What a party has said.
#[derive(Debug, Default)]
pub struct Said {
    /// A reader's messages, in the order in which they came.
    pub got: Vec<(u32, u32)>,
    /// The numbers of a writer's, as they were committed.
    pub did: Vec<u32>,
    pub committed: Option<u64>,
    pub missed: Option<u64>,
    pub clean: Option<bool>,
}

impl Said {
    fn parse(stdout: &[u8]) -> Said {
        let mut said = Said::default();
        let text = String::from_utf8_lossy(stdout);
        // What its death cut short was not said.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines().filter_map(|line| line.strip_prefix("+ ")) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[0] {
                "got" => {
                    let message = (words[1].parse().unwrap(), words[2].parse().unwrap());
                    said.got.push(message);
                }
                "did" => said.did.push(words[1].parse().unwrap()),
                "committed" => said.committed = words[1].parse().ok(),
                "missed" => said.missed = words[1].parse().ok(),
                "ended" => said.clean = Some(words[1] == "clean"),
                _ => {}
            }
        }
        said
    }

    /// The numbers of `writer`'s messages that a reader got, which are in order.
    #[track_caller]
    pub fn of(&self, writer: u32) -> Vec<u32> {
        let of = self.got.iter().filter(|(w, _)| *w == writer);
        let of: Vec<u32> = of.map(|(_, sequence)| *sequence).collect();
        assert!(of.is_sorted_by(|a, b| a < b), "not in order: {of:?}");
        of
    }
}

impl Party {
    /// In that role, already attached.
    #[track_caller]
    pub fn start(words: String) -> Party {
        let party = Party(actor("role", words).start());
        party.says("+ attached", "+ joined");
        party
    }

    /// Waits until it has said one of these.
    #[track_caller]
    fn says(&self, one: &str, other: &str) {
        until("it has said so", || {
            let text = self.0.stdout_so_far();
            let text = String::from_utf8_lossy(&text);
            text.lines().any(|line| line == one || line == other)
        });
    }

    #[track_caller]
    pub fn writes(ring: &Name, number: u32, how: &str, span: &str) -> Party {
        Party::start(format!("write {ring} {number} {how} {span}"))
    }

    #[track_caller]
    pub fn reads(ring: &Name, from: &str, batch: usize, dwell_us: u64) -> Party {
        Party::start(format!("read {ring} {from} {batch} {dwell_us}"))
    }

    /// Has joined, and will have `count` messages in hand: see [`Party::holds`].
    #[track_caller]
    pub fn will_hold(ring: &Name, count: u64) -> Party {
        Party::start(format!("hold {ring} {count}"))
    }

    #[track_caller]
    pub fn holds(&self, count: u64) {
        let line = format!("+ holds {count}");
        self.says(&line, &line);
    }

    pub fn so_far(&self) -> Said {
        Said::parse(&self.0.stdout_so_far())
    }

    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    pub fn stop(&self) {
        self.0.stop();
    }

    pub fn resume(&self) {
        self.0.resume();
    }

    #[track_caller]
    pub fn kill(self) -> Said {
        Said::parse(&self.0.kill().stdout)
    }

    /// Waits for its end, which must be one without a fault.
    #[track_caller]
    pub fn finish(self) -> Said {
        let done = self.0.finish_within(super::harness::PATIENCE * 2).exits(0);
        Said::parse(&done.stdout)
    }
}
