//! Chaos: four writers and four readers, each a process, killed and replaced
//! every 5 to 50 ms, stopped and resumed in between, and yet:
//!
//! * what was committed arrives, whole, in order, and once: twice only what a
//!   reader had in hand when it was killed, and that one must;
//! * in a broadcast ring it arrives at every reader that is there, in one order for
//!   all, or is counted as missed where writers drop;
//! * who is only stopped finds its node as it was;
//! * the stream goes on all the time, and ends when, and how, it should;
//! * no entry, no node and no count is left wrong.
//!
//! ```text
//! driver.rs   the life of one ring: start, kill, replace, stop, resume, close
//! party.rs    what the writers and readers do (this program, in a role)
//! ledger.rs   what they write down, outside the segment, before and after
//! item.rs     what they pass, with a check sum
//! judge.rs    what the ledgers prove; judge/broadcast.rs of broadcast rings
//! pulse.rs    how long the machine itself stood still
//! dice.rs     chance that can be repeated
//! ```
//!
//! The driver's choices follow from a seed, which is printed; what the
//! machine makes of them does not. From the environment:
//!
//! | variable | what | default |
//! |---|---|---|
//! | `SHMKIT_CHAOS_KILLS` | how many, over all geometries | 504, of broadcast rings 264 |
//! | `SHMKIT_CHAOS_SEED` | to repeat a run | by chance |
//! | `SHMKIT_CHAOS_STALL_MS` | the longest stall, less the machine's own | 10000 |
//!
//! A stall is a time without a delivery, and the time that all take to end when they are
//! told to: then nobody comes any more, who would look for the dead on his way in, and
//! those who wait have to find them. Half of the rings, at least, know none of more than
//! 2 s, however busy the machine is: it delays some, a slow protocol all.
//!
//! `scripts/chaos.sh` does it 10,000 times, with 2 s for the stall.

mod harness;

mod chaos {
    pub mod dice;
    pub mod driver;
    pub mod item;
    pub mod judge;
    pub mod ledger;
    pub mod party;
    pub mod pulse;
}

use chaos::dice::Dice;
use chaos::driver::Life;
use chaos::party::Mode;
use chaos::pulse::Pulse;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

const NODES: [u64; 4] = [2, 3, 8, 64];
const NODE_SIZES: [u64; 3] = [1 << 10, 64 << 10, 4 << 20];
/// In one ring's life at most: its ledgers are kept and judged as a whole.
const KILLS_OF_A_RING: u64 = 100;
/// The longest stall of most rings.
const MOST_STALLS: Duration = Duration::from_secs(2);

/// Not a test: what the children of the test below do. Without a role it does
/// nothing.
#[test]
fn role() {
    if let Some(part) = harness::role() {
        chaos::party::play(&part);
    }
}

fn from_environment(key: &str, default: u64) -> u64 {
    let text = std::env::var(key);
    text.map_or(default, |text| {
        text.parse().unwrap_or_else(|e| panic!("{key}={text}: {e}"))
    })
}

#[test]
fn killed_and_stopped_all_the_time_a_ring_loses_tears_and_reorders_nothing() {
    let sums = rage(&[Mode::Queue], 504);
    assert!(sums.twice > 0, "nobody was hit with a node in hand");
}

#[test]
fn killed_and_stopped_all_the_time_readers_of_a_broadcast_ring_get_everything() {
    rage(&[Mode::Broadcast, Mode::Dropping], 264);
}

/// What happened in the lives of some rings.
#[derive(Default)]
struct Sums {
    rings: u64,
    killed: u64,
    stops: u64,
    appointments: u64,
    items: u64,
    twice: u64,
    late: u64,
    stalls: Vec<Duration>,
}

fn rage(modes: &[Mode], kills: u64) -> Sums {
    let chance = RandomState::new().build_hasher().finish();
    let seed = from_environment("SHMKIT_CHAOS_SEED", chance);
    let kills = from_environment("SHMKIT_CHAOS_KILLS", kills);
    let longest = from_environment("SHMKIT_CHAOS_STALL_MS", 10_000);
    let geometries = NODE_SIZES.map(|size| NODES.map(|nodes| (nodes, size)));
    let geometries = geometries.as_flattened().iter();
    let kinds: Vec<_> = geometries
        .flat_map(|&(nodes, size)| modes.iter().map(move |mode| (*mode, nodes, size)))
        .collect();
    let of_a_ring = (kills / kinds.len() as u64).clamp(1, KILLS_OF_A_RING);
    let began = Instant::now();
    let mut dice = Dice::new(seed);
    let pulse = Pulse::start();
    println!("seed {seed}");

    let mut sums = Sums::default();
    for &(mode, nodes, node_size) in kinds.iter().cycle() {
        if sums.killed >= kills {
            break;
        }
        let life = Life {
            mode,
            nodes,
            node_size,
            kills: of_a_ring.min(kills - sums.killed),
            seed: dice.roll(),
        };
        println!("{life:?}");
        let life_began = Instant::now();
        let told = life.live();
        let found = told.findings;
        let longest_gap = Duration::from_nanos(found.longest_gap_ns);
        println!(
            "    {} items in {:.1?}, {longest_gap:.1?} the longest gap, over {:.1?} before the close, \
             {:.1?} to the end",
            found.items,
            life_began.elapsed(),
            Duration::from_nanos(found.gap_before_close_ns),
            told.ending
        );
        sums.rings += 1;
        sums.killed += life.kills;
        sums.stops += told.stops;
        sums.appointments += told.appointments;
        sums.items += found.items;
        sums.twice += found.twice;
        sums.late += found.late;
        sums.stalls.push(longest_gap.max(told.ending));
    }

    let stalls = &mut sums.stalls;
    stalls.sort();
    let (median, worst) = (stalls[stalls.len() / 2], stalls[stalls.len() - 1]);
    println!(
        "{} kills, {} deaths by appointment, {} stops, {} rings,\n\
         {} items, {} delivered twice, {} late,\n\
         longest stall {} ms (of most rings {} ms; the machine's own {} ms), {:.1} s, seed {seed}",
        sums.killed,
        sums.appointments,
        sums.stops,
        sums.rings,
        sums.items,
        sums.twice,
        sums.late,
        worst.as_millis(),
        median.as_millis(),
        pulse.worst().as_millis(),
        began.elapsed().as_secs_f64()
    );
    assert!(sums.killed >= kills && sums.items > kills && sums.stops > 0);
    // Of a release build nobody can order his own death.
    assert!(sums.appointments > 0 || !cfg!(debug_assertions));
    assert!(median <= MOST_STALLS + pulse.worst(), "{stalls:?}");
    let longest = Duration::from_millis(longest) + pulse.worst();
    assert!(worst <= longest, "a stall of {worst:?}");
    sums
}
