//! What a lock and an unlock cost when nobody is in the way.
//!
//! ```text
//! cargo bench --bench lock
//! cargo bench --bench lock -- --json
//! ```
//!
//! One thread takes and gives back each lock, a million times a round; the
//! rounds of all locks alternate, and the table shows the median nanoseconds of
//! a pair (lock + unlock), the lowest and the highest.
//!
//! - **read**, **write**: ours, over a segment with the usual participant table
//!   of 128 entries, of which a writer looks at each;
//! - **write, N entries**: the same over tables of other sizes, for the price of an
//!   entry;
//! - **raw_sync**: `raw_sync`'s `RwLock`, a process-shared pthread lock in
//!   the same kind of memory. It is not robust: a holder that is killed
//!   blocks everybody, for ever;
//! - **std**: [`std::sync::RwLock`], which works within one process only.

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use raw_sync::locks::{LockInit, RwLock};
use serde::Serialize;
use shmkit::lock::{AttachOptions, Locked, Wait};
use shmkit::segment::{self, Kind, Name, OpenOptions, Plan, layout, structure_offset};
use std::hint::black_box;
use std::time::Instant;

/// What may be asked of the bench.
#[derive(Debug, Parser)]
struct Args {
    /// Rounds of each lock
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Pairs in a round
    #[arg(long, default_value_t = 1_000_000)]
    pairs: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// A buffer with that many participant entries, removed when dropped.
struct Segment(Name);

impl Segment {
    fn new(participants: u32) -> Result<Segment> {
        let name = format!("lock-bench-{}-{participants}", std::process::id());
        let name = Name::new(&name)?;
        // The lock's words have a page of their own here.
        let payload_offset = (structure_offset(participants) + 4096).next_multiple_of(4096);
        let plan = Plan {
            kind: Kind::Buffer,
            participants,
            payload_offset,
            total_size: payload_offset + 4096,
            geometry: [4096, 0, 0, 0, 0, 0, 0, 0],
            mode: 0o600,
        };
        segment::create(&name, &plan, |_| Ok(()))?;
        Ok(Segment(name))
    }

    fn attach(&self) -> Result<Locked> {
        Ok(Locked::attach(&self.0, &AttachOptions::default())?)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let _ = segment::remove(&self.0, true, OpenOptions::default());
    }
}

/// One line of the table.
#[derive(Serialize)]
struct Row {
    lock: String,
    median_ns: f64,
    lowest_ns: f64,
    highest_ns: f64,
}

type Round<'a> = Box<dyn FnMut() -> Result<()> + 'a>;

fn main() -> Result<()> {
    let args = Args::parse();
    let usual = layout::DEFAULT_PARTICIPANTS;
    let sizes = [1, 8, 32, usual, 512, layout::MAX_PARTICIPANTS];
    let segments: Vec<Segment> = sizes
        .iter()
        .map(|size| Segment::new(*size))
        .collect::<Result<_>>()?;

    let mut memory = vec![0u64; RwLock::size_of(None).div_ceil(8) + 8];
    let mut payload = 0u8;
    // SAFETY: the memory is large enough, aligned, ours, and outlives the lock.
    let made = unsafe { RwLock::new(memory.as_mut_ptr().cast(), &raw mut payload) };
    let (raw, _) = made.map_err(|e| anyhow!("{e}")).context("raw_sync")?;
    let std = std::sync::RwLock::new(0u8);

    let mut rounds: Vec<(String, Round<'_>)> = Vec::new();
    let wait = Wait::default();
    for (size, segment) in sizes.iter().zip(&segments) {
        let mut locked = segment.attach()?;
        let pairs = args.pairs;
        if *size == usual {
            let reading = segment.attach()?;
            rounds.push((
                "read".into(),
                Box::new(move || {
                    for _ in 0..pairs {
                        black_box(reading.read(&wait)?.bytes());
                    }
                    Ok(())
                }),
            ));
        }
        let name = match *size == usual {
            true => format!("write ({usual} entries)"),
            false => format!("write, {size} entries"),
        };
        rounds.push((
            name,
            Box::new(move || {
                for _ in 0..pairs {
                    black_box(locked.write(&wait)?.bytes_mut());
                }
                Ok(())
            }),
        ));
    }
    let pairs = args.pairs;
    let raw = &raw;
    rounds.push((
        "raw_sync read".into(),
        Box::new(move || {
            for _ in 0..pairs {
                black_box(*raw.rlock().map_err(|e| anyhow!("{e}"))?);
            }
            Ok(())
        }),
    ));
    rounds.push((
        "raw_sync write".into(),
        Box::new(move || {
            for _ in 0..pairs {
                black_box(*raw.lock().map_err(|e| anyhow!("{e}"))?);
            }
            Ok(())
        }),
    ));
    let std = &std;
    rounds.push((
        "std read".into(),
        Box::new(move || {
            for _ in 0..pairs {
                black_box(*std.read().map_err(|_| anyhow!("poisoned"))?);
            }
            Ok(())
        }),
    ));
    rounds.push((
        "std write".into(),
        Box::new(move || {
            for _ in 0..pairs {
                black_box(*std.write().map_err(|_| anyhow!("poisoned"))?);
            }
            Ok(())
        }),
    ));

    let mut times = vec![Vec::new(); rounds.len()];
    for _ in 0..args.rounds.max(1) {
        for ((_, round), times) in rounds.iter_mut().zip(&mut times) {
            let begun = Instant::now();
            round()?;
            times.push(begun.elapsed().as_nanos() as f64 / f64::from(pairs));
        }
    }
    let rows: Vec<Row> = rounds
        .iter()
        .zip(times)
        .map(|((lock, _), mut times)| {
            times.sort_unstable_by(f64::total_cmp);
            Row {
                lock: lock.clone(),
                median_ns: times[times.len() / 2],
                lowest_ns: times[0],
                highest_ns: times[times.len() - 1],
            }
        })
        .collect();
    drop(rounds);
    if args.json {
        println!("{}", serde_json::to_string(&rows)?);
    } else {
        println!("{:<22} {:>9}  lowest..highest", "lock + unlock", "median");
        for row in &rows {
            println!(
                "{:<22} {:>6.1} ns  {:.1}..{:.1}",
                row.lock, row.median_ns, row.lowest_ns, row.highest_ns
            );
        }
    }
    Ok(())
}
