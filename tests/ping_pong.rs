//! No wake-up is lost: two parties that take turns over two rings of two nodes
//! never go on because a wait slice (100 ms) was over. They would get through
//! all the same, ten times a second; so it is counted (`unsignalled_slices`),
//! and the count must be 0.
//!
//! A party that is answered within 100 us at most spins and never sleeps. So
//! each hesitates before it answers, by turns not at all, about as long as
//! a waiting party spins, and longer: arming, looking again, falling asleep and
//! being woken meet the other's publishing and signalling in all orders. (Where others keep
//! the machine busy, a party that gives its core away has its answer when it gets
//! it back. So now and then each takes a nap, over which the other falls asleep all the same.)
//!
//! Readers wait there. Writers wait in a ring that is full: one whose reader hesitates.
//!
//! ```text
//! cargo test --test ping_pong                          20 thousand exchanges, or 20 s
//! cargo test --release --test ping_pong -- --ignored --nocapture     a million
//! ```

mod harness;

use shmkit::inspect::{Detail, Snapshot};
use shmkit::ring::{
    self, Claim, Delivery, Geometry, Reader, ReaderOptions, Wait, WaitStrategy, Writer,
};
use shmkit::segment::{Name, OpenOptions, Opened};
use std::time::{Duration, Instant};

/// How long a party hesitates before its turn, in turns: a prime number of
/// them on one side and another on the other.
const THERE: [u64; 7] = [0, 0, 3, 0, 40, 0, 150];
const BACK: [u64; 5] = [0, 0, 6, 0, 120];

/// How often a party takes a nap, and how long.
const NAP_EVERY: u64 = 500;
const NAP: Duration = Duration::from_millis(5);

/// A ring of two nodes of 64 bytes, removed on drop.
struct Ring {
    _unique: harness::Name,
    name: Name,
}

impl Ring {
    fn new() -> Ring {
        let unique = harness::Name::unused();
        let name = Name::new(&unique).unwrap();
        let geometry = Geometry::new(2, 64, Delivery::Queue, WaitStrategy::Futex).unwrap();
        ring::create(&name, geometry, 0o600).unwrap();
        Ring {
            _unique: unique,
            name,
        }
    }

    /// Waits that ended by the slice, and waits.
    fn waits(&self) -> (u64, u64) {
        let opened = Opened::open(&self.name, OpenOptions::default()).unwrap();
        let snapshot = Snapshot::take(&opened, Detail::Summary).unwrap();
        let ring = snapshot.ring.expect("a ring");
        (
            ring.unsignalled_slices,
            ring.reader_waits + ring.writer_waits,
        )
    }
}

/// One side: both of its ends.
struct Party {
    writer: Writer,
    reader: Reader,
}

impl Party {
    fn new(to: &Ring, from: &Ring) -> Party {
        Party {
            writer: Writer::attach(&to.name, OpenOptions::default()).unwrap(),
            reader: Reader::attach(&from.name, &ReaderOptions::default()).unwrap(),
        }
    }

    fn say(&mut self, number: u64) {
        self.writer
            .write(&number.to_le_bytes(), &patiently())
            .unwrap();
    }

    fn hear(&mut self) -> u64 {
        hear(&mut self.reader)
    }
}

fn hear(reader: &mut Reader) -> u64 {
    match reader.claim(1, usize::MAX, &patiently()).unwrap() {
        Claim::Nodes(nodes) => {
            let number = nodes.node(0).try_into().expect("eight bytes");
            nodes.release_all();
            u64::from_le_bytes(number)
        }
        Claim::End { .. } => panic!("the other one has left"),
    }
}

fn patiently() -> Wait<'static> {
    Wait {
        deadline: Some(Instant::now() + harness::PATIENCE),
        cancelled: None,
    }
}

/// Passes the time, awake for the most part: a sleep is far too long.
fn hesitate(turn: u64, microseconds: u64) {
    if turn % NAP_EVERY == NAP_EVERY - 1 {
        std::thread::sleep(NAP);
    }
    let until = Instant::now() + Duration::from_micros(microseconds);
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// How often this thread has slept.
fn sleeps() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("voluntary_ctxt"));
    let count = line.and_then(|l| l.split_whitespace().nth(1)).unwrap();
    count.parse().unwrap()
}

/// The number after the last.
const OVER: u64 = u64::MAX;

/// So many exchanges, or fewer if that takes too long: how many.
fn ping_pong(exchanges: u64, within: Duration) -> u64 {
    let begun = Instant::now();
    let (there, back) = (Ring::new(), Ring::new());
    let (mut one, mut other) = (Party::new(&there, &back), Party::new(&back, &there));
    let (made, slept) = std::thread::scope(|scope| {
        let answering = scope.spawn(|| {
            for (number, pause) in (0..).zip(BACK.into_iter().cycle()) {
                let heard = other.hear();
                if heard == OVER {
                    break;
                }
                assert_eq!(heard, number);
                hesitate(number, pause);
                other.say(number);
            }
            sleeps()
        });
        let asking = scope.spawn(|| {
            let mut made = 0;
            for (number, pause) in (0..exchanges).zip(THERE.into_iter().cycle()) {
                hesitate(number, pause);
                one.say(number);
                assert_eq!(one.hear(), number);
                made += 1;
                // One lost is enough, and many would take for ever.
                if number % 128 == 0 {
                    let ended = there.waits().0 + back.waits().0;
                    assert_eq!(ended, 0, "a wake-up was lost by exchange {number}");
                    if begun.elapsed() > within {
                        break;
                    }
                }
            }
            one.say(OVER);
            (made, sleeps())
        });
        let (made, slept) = asking.join().unwrap();
        // Naps are not meant.
        let naps = 2 * (made / NAP_EVERY);
        (made, slept + answering.join().unwrap() - naps)
    });
    let (ended, waits) = [there.waits(), back.waits()]
        .into_iter()
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let seconds = begun.elapsed();
    println!(
        "{made} exchanges, {waits} waits, {slept} sleeps, {ended} ended by the slice: {seconds:.1?}"
    );
    assert!(slept > made / NAP_EVERY, "they hardly ever slept: {slept}");
    assert_eq!(ended, 0, "a wake-up was lost");
    made
}

#[test]
fn no_wait_is_ended_by_its_slice() {
    let made = ping_pong(20_000, Duration::from_secs(20));
    assert!(made >= 200, "the machine is too busy: {made} exchanges");
}

#[test]
fn no_wait_for_a_free_node_is_ended_by_its_slice() {
    const MESSAGES: u64 = 10_000;
    let ring = Ring::new();
    let mut party = Party::new(&ring, &ring);
    let Party { writer, reader } = &mut party;
    let slept = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for number in 0..MESSAGES {
                let said = writer.write(&number.to_le_bytes(), &patiently());
                said.unwrap();
            }
            sleeps()
        });
        for (number, pause) in (0..MESSAGES).zip(THERE.into_iter().cycle()) {
            hesitate(number, pause);
            assert_eq!(hear(reader), number);
            if number % 128 == 0 {
                assert_eq!(ring.waits().0, 0, "a wake-up was lost by node {number}");
            }
        }
        writing.join().unwrap()
    });
    let (ended, waits) = ring.waits();
    println!("{MESSAGES} messages, {waits} waits, {slept} sleeps, {ended} ended by the slice");
    assert!(
        slept > MESSAGES / NAP_EVERY / 2,
        "it hardly ever slept: {slept}"
    );
    assert_eq!(ended, 0, "a wake-up was lost");
}

#[test]
#[ignore = "a minute or two: scripts/load.sh runs it"]
fn no_wait_of_a_million_is_ended_by_its_slice() {
    let made = ping_pong(1_000_000, Duration::from_secs(1800));
    assert_eq!(made, 1_000_000, "the machine is too busy");
}
