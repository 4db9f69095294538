//! Killed at *every instruction*: a party is stepped through one cycle by
//! `ptrace(2)`, and killed after instruction 0, 1, 2, ... to the last. Each time
//! somebody new comes, puts its affairs in order, and all promises hold.
//!
//! ```text
//! for i in 0.. {  a new segment
//!                 fork a victim: attach, mark, [ one cycle ], mark
//!                 i single steps; look at the segment; SIGKILL
//!                 a fresh party: what was committed comes once, whole, in order;
//!                 what was not, never; the end tells of the death if it must;
//!                 then as many messages as there are nodes, more than once
//! }               until the victim comes to its second mark
//! ```
//!
//! That takes n * n / 2 steps of some 20 us. Attaching has more than ten thousand
//! instructions; there one victim is stepped once, and its segment is *copied* after each
//! instruction that changed it. A copy is what a kill leaves: the same bytes, and nobody
//! who holds a lock on them. After the others it would be the copy before.
//!
//! The sample that `cargo test` takes does the same for all scenes: copies, or kills
//! where somebody has to live on, where anything has changed.
//!
//! What has to come is not guessed from `i`. The victim is stopped, so a
//! snapshot taken before the kill is exact: it says which nodes are committed,
//! who is still a writer, whether the lock is held. The fresh party must find
//! precisely that.
//!
//! | file | what it is |
//! |---|---|
//! | `traced` | a child under ptrace |
//! | `ring` | scenes of a ring: write, abort, read, give back, leave, attach |
//! | `broadcast` | scenes of a broadcast ring, with a reader that lives on |
//! | `array` | scenes of an array's lock: write, read |
//! | `sleepers` | the victim was about to wake somebody |
//!
//! ```text
//! cargo test --test single_step                         a sample of each scene
//! cargo test --release --test single_step -- --ignored  every instruction
//! cargo test --test single_step -- write --ignored      of the scenes so named
//! scripts/single-step.sh                                the same, with its prerequisites
//! ```
//!
//! Where `ptrace(2)` is forbidden, the sample is skipped, and says so.
//!
//! This binary has no libtest around it: that runs tests on threads, and a
//! fork of many threads may do next to nothing.

#[path = "../harness/mod.rs"]
mod harness;

mod array;
mod broadcast;
mod ring;
mod sleepers;
mod traced;

use rustix::thread::{CpuSet, sched_setaffinity};
use shmkit::segment::Name;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;
use traced::{MOST, Step, Traced, mark};

/// One run of a scene: a segment of its own, a victim, and a judge.
pub trait Stage {
    /// Runs in the victim: prepares, calls `mark`, does its cycle, calls
    /// `mark`. Whatever it holds is never dropped.
    fn victim(&self, mark: fn());

    /// What the victim is killed over.
    fn segment(&self) -> &Name;

    /// The victim is stopped before its cycle.
    fn at_mark(&mut self) {}

    /// The victim is stopped inside its cycle, or behind it.
    fn look(&mut self, ended: bool);

    /// The victim is dead.
    fn judge(self: Box<Self>);

    /// After `look`: the same with a copy of the segment as it is at this moment, in
    /// which all are dead. `None` if somebody has to live on in it.
    fn copied(&self) -> Option<Box<dyn Stage>> {
        None
    }
}

/// Something that a victim does, and how to set it up.
pub struct Scene {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Sets it up.
    pub stage: fn() -> Box<dyn Stage>,
}

/// Cycles of more instructions are not killed at each, which would take half the square of
/// that many steps.
const LONG: u64 = 10_000;

/// What the command line asks for, in libtest's words as far as they apply.
#[derive(Default)]
struct Args {
    list: bool,
    every: bool,
    scenes: Vec<String>,
    skip: Vec<String>,
}

/// Options of libtest that mean nothing here, and are followed by a value.
const WITH_A_VALUE: [&str; 6] = [
    "--test-threads",
    "--format",
    "--color",
    "--logfile",
    "--shuffle-seed",
    "-Z",
];

impl Args {
    fn parse(mut words: impl Iterator<Item = String>) -> Args {
        let mut args = Args::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => args.list = true,
                "--ignored" | "--include-ignored" => args.every = true,
                "--skip" => args.skip.extend(words.next()),
                option if WITH_A_VALUE.contains(&option) => drop(words.next()),
                option if option.starts_with('-') => {
                    args.skip
                        .extend(option.strip_prefix("--skip=").map(str::to_owned));
                }
                _ => args.scenes.push(word),
            }
        }
        args
    }

    fn wants(&self, scene: &Scene) -> bool {
        let named = |names: &[String]| names.iter().any(|name| scene.name.contains(name));
        (self.scenes.is_empty() || named(&self.scenes)) && !named(&self.skip)
    }
}

/// Why it ends early; all that was made is gone by then.
#[derive(Debug)]
enum End {
    /// A promise was broken; the panic has said which.
    Failed { scene: &'static str, steps: u64 },
    /// SIGINT or SIGTERM came.
    Told,
}

/// Set by SIGINT and SIGTERM, and looked at before each kill.
static TOLD: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// One victim, killed after `steps` instructions; whether it had come to its
/// end, and after how many.
fn kill_after(scene: &Scene, steps: u64) -> Step {
    let mut stage = (scene.stage)();
    let mut victim = Traced::fork(|| stage.victim(mark));
    victim.run_to_mark();
    stage.at_mark();
    let step = victim.step(steps);
    stage.look(step != Step::Made);
    victim.kill();
    stage.judge();
    step
}

/// Runs what may fail; a failure says where.
fn judged<T>(scene: &Scene, steps: u64, run: impl FnOnce() -> T) -> Result<T, End> {
    if TOLD.load(Ordering::Relaxed) {
        return Err(End::Told);
    }
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| End::Failed {
        scene: scene.name,
        steps,
    })
}

/// As [`kill_after`].
fn visit(scene: &Scene, steps: u64) -> Result<Step, End> {
    judged(scene, steps, || kill_after(scene, steps))
}

/// All on one processor: a step is two switches between processes, and waking
/// one on another processor takes ten times as long.
fn stay_on_one_processor() {
    let mut one = CpuSet::new();
    one.set(rustix::thread::sched_getcpu());
    sched_setaffinity(None, &one).unwrap();
}

fn main() -> ExitCode {
    let args = Args::parse(std::env::args().skip(1));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, TOLD.clone()).unwrap();
    }
    stay_on_one_processor();
    let scenes = ring::SCENES
        .iter()
        .chain(broadcast::SCENES)
        .chain(array::SCENES)
        .chain(sleepers::SCENES);
    let scenes: Vec<&Scene> = scenes.filter(|scene| args.wants(scene)).collect();
    if args.list {
        for scene in scenes {
            println!("{}: test", scene.name);
        }
        return ExitCode::SUCCESS;
    }
    if scenes.is_empty() {
        println!("single_step: no scene of that name");
        return ExitCode::SUCCESS;
    }
    if let Err(error) = traced::permitted() {
        let why = format!("single_step: ptrace(2) is not permitted here: {error}");
        if args.every {
            println!("{why}");
            return ExitCode::FAILURE;
        }
        harness::skipped(why);
        return ExitCode::SUCCESS;
    }
    match run(&scenes, args.every) {
        Ok(()) => ExitCode::SUCCESS,
        Err(End::Failed { scene, steps }) => {
            println!("FAILED: {scene}, killed after {steps} instructions");
            ExitCode::FAILURE
        }
        Err(End::Told) => {
            println!("single_step: ended by a signal");
            ExitCode::FAILURE
        }
    }
}

/// All of these, and a line for each.
fn run(scenes: &[&Scene], every_instruction: bool) -> Result<(), End> {
    let begun = Instant::now();
    let mut kills = 0;
    for scene in scenes {
        let (points, length) = match every_instruction {
            true => every(scene)?,
            false => sample(scene)?,
        };
        kills += points;
        let name = scene.name;
        println!(
            "{name:<28} {points:>6} kills in {length:>6} instructions  {:>8.1?}",
            begun.elapsed()
        );
    }
    println!(
        "single_step: {kills} kills in {} scenes, nothing lost: {:.1?}",
        scenes.len(),
        begun.elapsed()
    );
    Ok(())
}

/// At every instruction; how many kills, and how many instructions.
fn every(scene: &Scene) -> Result<(u64, u64), End> {
    if let Step::Marked(LONG..) = visit(scene, MOST)? {
        return sample(scene);
    }
    for steps in 0..LONG {
        if let Step::Marked(length) = visit(scene, steps)? {
            return Ok((steps + 1, length));
        }
    }
    panic!("{}: no end after {LONG} instructions", scene.name);
}

/// Where the segment is not what it was one instruction before, for it is all that a
/// kill leaves; in copies, where nobody has to live on in it. And kills in the middle
/// and at the end. How many, and of how many.
fn sample(scene: &Scene) -> Result<(u64, u64), End> {
    let mut stage = (scene.stage)();
    let mut victim = Traced::fork(|| stage.victim(mark));
    victim.run_to_mark();
    stage.at_mark();
    let segment = File::open(harness::shm_path(stage.segment().as_str())).unwrap();
    let mut before = Vec::new();
    let (mut copies, mut kills) = (0, Vec::new());
    let mut steps = 0;
    let length = loop {
        let ended = steps > 0 && victim.step(1) != Step::Made;
        let mut now = vec![0; segment.metadata().unwrap().len() as usize];
        segment.read_exact_at(&mut now, 0).unwrap();
        if now != before {
            before = now;
            stage.look(ended);
            match stage.copied() {
                Some(copied) => {
                    copies += 1;
                    judged(scene, steps, || copied.judge())?;
                }
                None => kills.push(steps),
            }
        }
        if ended {
            break steps - 1;
        }
        steps += 1;
        assert!(steps < MOST, "{}: no end: does a loop spin?", scene.name);
    };
    victim.kill();
    kills.extend([length / 2, MOST]);
    for steps in &kills {
        visit(scene, *steps)?;
    }
    Ok((copies + kills.len() as u64, length))
}
