//! Telling, on stderr, how a transfer goes.
//!
//! ```text
//! the transfer ── stores ──> Live <── looks ── the reporter's thread ──> stderr
//!                                       └── the segment (diff, writers, readers)
//! ```
//!
//! The transfer only ever stores a few numbers in [`Live`] (relaxed atomics,
//! written by it alone) and says what it waits for. A thread of its own draws
//! the progress and prints the intervals, so both go on while the transfer is
//! blocked, and cost it nothing. Without progress or intervals there is no
//! thread. At the end, the transfer's own thread prints the summary, after
//! the other one has left.

use super::args::ReportArgs;
use super::progress::{self, Progress, Scene};
use super::summary::{Role, Summary, mb_per_s};
use super::transfer::View;
use anyhow::Context;
use shmkit::ring::Diff;
use shmkit::segment::Name;
use shmkit::{lock, ring};
use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often progress is drawn on a terminal.
const FRAME: Duration = Duration::from_millis(100);
/// How often a line of progress is printed elsewhere.
const LINE: Duration = Duration::from_secs(1);
/// A wait shorter than this is not worth a word to people.
const NOTICEABLE: Duration = Duration::from_millis(250);
/// The reporter's thread needs little, and memory is to be spared.
const STACK: usize = 256 * 1024;

/// What a transfer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Activity {
    /// Moving data.
    Moving,
    /// Waiting for its input.
    Input,
    /// Waiting for room on its output.
    Output,
    /// Waiting for a free node.
    Full,
    /// Waiting for a node with data.
    Empty,
    /// Waiting for the lock.
    Lock,
}

/// The numbers of a transfer while it goes on.
#[derive(Debug)]
pub struct Live {
    start: Instant,
    bytes: AtomicU64,
    /// Bytes of the input, where they are read before any is stored.
    taken: AtomicU64,
    nodes: AtomicU64,
    waits: AtomicU64,
    wait_ns: AtomicU64,
    dropped_nodes: AtomicU64,
    dropped_bytes: AtomicU64,
    redelivered_nodes: AtomicU64,
    missed_nodes: AtomicU64,
    diff_max: AtomicU64,
    /// Which of the inputs it is at, and what it is called, if there are several.
    place: AtomicUsize,
    input: Mutex<String>,
    activity: AtomicU8,
    /// Nanoseconds from `start` to the last change of `activity`.
    since_ns: AtomicU64,
}

/// Ends a wait when it is dropped.
#[must_use]
pub struct Waiting<'a>(&'a Live);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.activity.store(Activity::Moving as u8, Relaxed);
    }
}

impl Live {
    fn new() -> Live {
        Live {
            start: Instant::now(),
            bytes: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            nodes: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            wait_ns: AtomicU64::new(0),
            dropped_nodes: AtomicU64::new(0),
            dropped_bytes: AtomicU64::new(0),
            redelivered_nodes: AtomicU64::new(0),
            missed_nodes: AtomicU64::new(0),
            diff_max: AtomicU64::new(0),
            place: AtomicUsize::new(0),
            input: Mutex::default(),
            activity: AtomicU8::new(Activity::Moving as u8),
            since_ns: AtomicU64::new(0),
        }
    }

    /// A wait begins; it ends when the value is dropped.
    pub fn begin(&self, activity: Activity) -> Waiting<'_> {
        self.since_ns
            .store(nanoseconds(self.start.elapsed()), Relaxed);
        self.activity.store(activity as u8, Relaxed);
        Waiting(self)
    }

    /// So many bytes more of the payload have been stored, or read.
    pub fn moved(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// So many bytes more of the input have been read, and nothing is stored yet.
    pub fn took(&self, bytes: u64) {
        self.taken.fetch_add(bytes, Relaxed);
    }

    /// It is at one of several inputs.
    pub fn is_at(&self, (place, of): (usize, usize), label: &str) {
        if of > 1 && self.place.swap(place, Relaxed) != place {
            *self.input.lock().unwrap_or_else(PoisonError::into_inner) =
                format!("{place}/{of} {label}");
        }
    }

    /// What a handle of an array or buffer has waited, as it stands.
    pub fn record_waits(&self, stats: &lock::Stats) {
        self.waits.store(stats.waits, Relaxed);
        self.wait_ns.store(nanoseconds(stats.wait_time), Relaxed);
    }

    /// A ring handle's own numbers, as they stand.
    pub fn record(&self, stats: &ring::Stats) {
        self.bytes.store(stats.bytes, Relaxed);
        self.nodes.store(stats.nodes, Relaxed);
        self.waits.store(stats.waits, Relaxed);
        self.wait_ns.store(nanoseconds(stats.wait_time), Relaxed);
        self.dropped_nodes.store(stats.dropped_nodes, Relaxed);
        self.dropped_bytes.store(stats.dropped_bytes, Relaxed);
        self.redelivered_nodes
            .store(stats.redelivered_nodes, Relaxed);
        self.missed_nodes.store(stats.missed_nodes, Relaxed);
    }

    /// A diff that somebody saw.
    pub fn saw_diff(&self, nodes: u64) {
        if nodes > self.diff_max.load(Relaxed) {
            self.diff_max.fetch_max(nodes, Relaxed);
        }
    }

    /// What it waits for, and since when.
    fn waiting(&self) -> Option<(Activity, Duration)> {
        let activity = self.activity.load(Relaxed);
        let activity = [
            Activity::Input,
            Activity::Output,
            Activity::Full,
            Activity::Empty,
            Activity::Lock,
        ]
        .into_iter()
        .find(|known| *known as u8 == activity)?;
        let since = Duration::from_nanos(self.since_ns.load(Relaxed));
        Some((activity, self.start.elapsed().saturating_sub(since)))
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What a transfer is, for those who are told of it.
pub struct Subject<'a> {
    /// The segment.
    pub name: &'a Name,
    /// Which end of it.
    pub role: Role,
    /// Bytes to move, where that is known.
    pub total: Option<u64>,
    /// Bytes of an element, of an array.
    pub element_size: Option<u64>,
    /// Whether the data itself is on a terminal, where progress would be in
    /// its way: then it is drawn only if asked for.
    pub on_terminal: bool,
}

/// What is told, about what.
struct Report {
    name: String,
    role: Role,
    total: Option<u64>,
    element_size: Option<u64>,
    json: bool,
    /// Whether a summary follows the progress.
    summarised: bool,
    /// Whether to leave no last line of a progress that was never drawn:
    /// storing three values is not worth a word, unless it was asked for.
    brief: bool,
    live: Live,
    view: View,
    /// The diff at the end, where it is not to be had later.
    last_diff: OnceLock<Diff>,
    done: AtomicBool,
}

/// Tells how a transfer goes, until [`Reporter::finish`].
pub struct Reporter {
    report: Arc<Report>,
    thread: Option<JoinHandle<()>>,
    /// Whether to end with a line for people.
    line: bool,
}

impl Reporter {
    /// Starts telling what `args` asks for.
    pub fn start(
        args: &ReportArgs,
        subject: &Subject<'_>,
        view: impl Into<View>,
    ) -> anyhow::Result<Reporter> {
        let view = view.into();
        let report = Arc::new(Report {
            name: subject.name.to_string(),
            role: subject.role,
            total: subject.total,
            element_size: subject.element_size,
            json: args.json,
            summarised: args.json || args.stats || args.interval.is_some(),
            brief: !args.progress && matches!(view, View::Locked(_)),
            live: Live::new(),
            view,
            last_diff: OnceLock::new(),
            done: AtomicBool::new(false),
        });
        let line = !args.json && (args.stats || args.interval.is_some());
        let terminal = progress::is_drawable();
        let progress = args.progress || terminal && !args.quiet && !subject.on_terminal;
        let interval = args.interval;
        if !progress && interval.is_none() {
            return Ok(Reporter {
                report,
                thread: None,
                line,
            });
        }
        let told = Arc::clone(&report);
        let thread = thread::Builder::new()
            .name("reporter".into())
            .stack_size(STACK)
            .spawn(move || {
                let every = if terminal { FRAME } else { LINE };
                let progress = progress.then(|| (Progress::new(told.total, terminal), every));
                told.tell(progress, interval);
            })
            .context("starting a thread for the progress")?;
        Ok(Reporter {
            report,
            thread: Some(thread),
            line,
        })
    }

    /// Where the transfer puts its numbers.
    pub fn live(&self) -> &Live {
        &self.report.live
    }

    /// The diff as it is now stays the diff: whoever it is the diff of leaves.
    pub fn settle_diff(&self) {
        let _ = self.report.last_diff.set(self.report.view.diff());
    }

    /// Ends the progress and prints the summary, if one was asked for.
    pub fn finish(mut self, hash: Option<String>, clean: bool) {
        self.stop();
        let summary = self.report.summary(hash, clean, true);
        if self.report.json {
            print(&summary.json());
        } else if self.line {
            print(&summary.line());
        }
        if let (Some(hash), false) = (&summary.hash, self.report.json) {
            print(&format!("{hash}  {}", summary.name));
        }
    }

    /// Ends the progress: what is printed from now on does not meet it.
    pub fn stop(&mut self) {
        self.report.done.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It holds nothing that a panic of its own could spoil.
            let _ = thread.join();
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Report {
    /// The thread: draws and prints until the transfer is done.
    fn tell(&self, mut progress: Option<(Progress, Duration)>, interval: Option<Duration>) {
        let start = Instant::now();
        let mut frame_at = Some(start + FRAME);
        let mut drawn = false;
        // One beyond the clock's end never comes.
        let mut interval_at = interval.and_then(|every| start.checked_add(every));
        while !self.done.load(Relaxed) {
            let now = Instant::now();
            self.live.saw_diff(self.diff().unwrap_or_default());
            if let (Some((progress, every)), Some(at)) = (&mut progress, frame_at) {
                if at <= now {
                    progress.draw(&self.scene());
                    drawn = true;
                    frame_at = Some(now + *every);
                }
            } else {
                frame_at = None;
            }
            if let (Some(at), Some(every)) = (interval_at, interval)
                && at <= now
            {
                match &progress {
                    Some((progress, _)) => progress.above(|| self.print_interval()),
                    None => self.print_interval(),
                }
                // In step with the start; what was missed is not made up.
                let late = now.duration_since(at).as_nanos() / every.as_nanos().max(1);
                let steps = u32::try_from(late).unwrap_or(u32::MAX).saturating_add(1);
                let ahead = every.checked_mul(steps);
                interval_at = ahead.and_then(|ahead| at.checked_add(ahead));
            }
            let next = [frame_at, interval_at].into_iter().flatten().min();
            let pause = next.map_or(LINE, |next| next.saturating_duration_since(Instant::now()));
            thread::park_timeout(pause);
        }
        if let Some((progress, _)) = progress {
            progress.finish(&self.scene(), !self.summarised && (drawn || !self.brief));
        }
    }

    fn print_interval(&self) {
        let summary = self.summary(None, true, false);
        print(&match self.json {
            true => summary.json(),
            false => summary.line(),
        });
    }

    /// What progress shows.
    fn scene(&self) -> Scene {
        Scene {
            bytes: self.shown_bytes(),
            diff: self.diff(),
            dropped: self.live.dropped_nodes.load(Relaxed),
            input: self
                .live
                .input
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            elapsed: self.live.start.elapsed(),
            waiting_for: self.live.waiting().and_then(|(activity, time)| {
                (time >= NOTICEABLE).then(|| self.waiting_for(activity))
            }),
        }
    }

    /// People want to see it move: the input's bytes, as long as they are
    /// only read and checked.
    fn shown_bytes(&self) -> u64 {
        let (bytes, taken) = (&self.live.bytes, &self.live.taken);
        bytes.load(Relaxed).max(taken.load(Relaxed))
    }

    fn diff(&self) -> Option<u64> {
        match self.last_diff.get() {
            Some(diff) => Some(diff.nodes),
            None => self.view.unclaimed_nodes(),
        }
    }

    fn waiting_for(&self, activity: Activity) -> Cow<'static, str> {
        let ring = self.view.ring();
        let (readers, writers) =
            ring.map_or((0, 0), |monitor| (monitor.readers(), monitor.writers()));
        let slowest = || ring?.slowest_reader();
        Cow::Borrowed(match activity {
            Activity::Moving => "",
            Activity::Input => "waiting for input",
            Activity::Output => "waiting for output",
            Activity::Full if readers == 0 => "waiting for a reader",
            Activity::Full => match slowest() {
                // Of a broadcast ring it is one reader that is in the way.
                Some(pid) => return format!("ring full: waiting for reader {pid}").into(),
                None => "ring full: waiting for readers",
            },
            Activity::Empty if writers == 0 => "waiting for a writer",
            Activity::Empty => "ring empty: waiting for writers",
            Activity::Lock => "waiting for the lock",
        })
    }

    fn summary(&self, hash: Option<String>, clean: bool, is_final: bool) -> Summary {
        let live = &self.live;
        let bytes = live.bytes.load(Relaxed);
        let seconds = live.start.elapsed().as_secs_f64();
        let gone = self.view.gone().is_some();
        let diff = match self.last_diff.get() {
            _ if gone => Diff::default(),
            Some(last) => *last,
            None => self.view.diff(),
        };
        live.saw_diff(diff.nodes);
        // The wait that is under way is not in the handle's numbers yet.
        let (waiting, blocked) = match live.waiting() {
            Some((Activity::Full | Activity::Empty | Activity::Lock, time)) => (1, time),
            _ => (0, Duration::ZERO),
        };
        Summary {
            name: self.name.clone(),
            role: self.role,
            bytes,
            nodes: live.nodes.load(Relaxed),
            elements: self.element_size.map(|size| bytes / size.max(1)),
            seconds,
            mb_per_s: mb_per_s(bytes, seconds),
            diff_nodes: diff.nodes,
            diff_bytes: diff.bytes,
            diff_max: live.diff_max.load(Relaxed),
            waits: live.waits.load(Relaxed) + waiting,
            wait_seconds: (Duration::from_nanos(live.wait_ns.load(Relaxed)) + blocked)
                .as_secs_f64(),
            dropped_nodes: live.dropped_nodes.load(Relaxed),
            dropped_bytes: live.dropped_bytes.load(Relaxed),
            redelivered_nodes: live.redelivered_nodes.load(Relaxed),
            missed_nodes: matches!(self.view, View::Place(..))
                .then(|| live.missed_nodes.load(Relaxed)),
            hash,
            clean: clean && !gone,
            is_final,
            ring: self.view.ring().is_some(),
        }
    }
}

/// One line on stderr, by one write. A stderr that nobody reads changes
/// nothing.
fn print(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}
