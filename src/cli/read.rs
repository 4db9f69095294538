//! `shm read` from a ring: from nodes to stdout or a file.
//!
//! ```text
//! wait for room ─> claim ─> write(2) from the node ─> release
//!       │            │              │
//!  holds nothing  only now a node  until all its bytes are out
//! ```
//!
//! The bytes go from node memory straight to the descriptor. A reader whose
//! output is full claims nothing, so the others go on; full is a pipe into
//! which a whole node does not fit (unless it is too small for two of them). A node is released,
//! and counts as read, when its last byte has been written; a reader that
//! fails, is stopped by a signal while its output is full, or finds its
//! output closed gives back what it has not finished, and another one
//! delivers it.
//!
//! Small nodes are claimed several at a time and written by one writev(2),
//! but never more than this reader's share of what is there.
//!
//! Of a broadcast ring each reader gets all, so what is told of it is its own: how
//! far this reader lags behind, and what it missed.

use super::args::ReadArgs;
use super::exit::{self, CliError, ExitStatus};
use super::output::Output;
use super::reporter::{Activity, Live, Reporter, Subject};
use super::signals::Signals;
use super::summary::Role;
use super::transfer::{self, BATCH_BYTES, Company, MAX_PARTS, SAMPLE_BYTES, Stop, View, Watch};
use shmkit::ring::{Claim, Delivery, Monitor, ReadNodes, Reader, ReaderOptions, RingError, Wait};
use shmkit::segment::{Name, OpenOptions};
use std::io::IoSlice;
use std::time::Duration;

/// Streams the ring to the output.
pub fn ring(args: &ReadArgs, signals: &Signals) -> anyhow::Result<ExitStatus> {
    let open = OpenOptions {
        any_owner: args.attach.any_owner,
    };
    check_from(args, open)?;
    let options = ReaderOptions {
        open,
        follow: args.follow,
        from: args.from.unwrap_or_default().into(),
    };
    let attach = || Reader::attach(&args.name, &options);
    match transfer::attach(&args.name, &args.attach, signals, attach) {
        Ok(reader) => transfer(args, signals, reader),
        Err(stop) => stop.into_result(),
    }
}

/// Refuses `--from` for a queue, before anybody attaches.
fn check_from(args: &ReadArgs, open: OpenOptions) -> anyhow::Result<()> {
    let name = &args.name;
    if args.from.is_some() && Monitor::open(name, open)?.geometry().delivery == Delivery::Queue {
        let why = "--from does not apply to a queue: its nodes go to whichever reader comes first";
        return Err(CliError::Usage(format!("{name}: {why}")).into());
    }
    Ok(())
}

/// Streams, reports, and says how it ended.
fn transfer(args: &ReadArgs, signals: &Signals, mut reader: Reader) -> anyhow::Result<ExitStatus> {
    let monitor = reader.monitor();
    let broadcast = reader.geometry().delivery == Delivery::Broadcast;
    let view = match broadcast {
        true => View::Place(monitor.clone(), reader.slot()),
        false => View::Ring(monitor.clone()),
    };
    let watch = Watch::new(&args.name, signals, view.clone());
    let output = match Output::open(args.output.as_deref(), &watch) {
        Ok(output) => output,
        Err(stop) => return stop.into_result(),
    };
    let subject = Subject {
        name: &args.name,
        role: Role::Reader,
        total: None,
        element_size: None,
        on_terminal: output.is_terminal(),
    };
    let reporter = Reporter::start(&args.report, &subject, view.clone())?;
    let mut drain = Drain {
        watch,
        view,
        monitor,
        output,
        delimiter: args
            .delimiter
            .as_ref()
            .map_or(&[], |delimiter| &delimiter.0),
        hasher: args.report.hash.then(blake3::Hasher::new),
        unsampled: 0,
    };
    let plan = Plan {
        name: &args.name,
        live: reporter.live(),
        timeout: args.timeout,
        no_wait: args.no_wait,
        count: args.count,
    };
    let outcome = stream(&mut reader, &mut drain, &plan);
    let stats = reader.stats();
    reporter.live().record(&stats);
    if broadcast {
        reporter.settle_diff(); // nobody lags behind who has left
    }
    drop(reader);
    let hash = drain.hasher.map(|hasher| hasher.finalize().to_string());
    reporter.finish(hash, !matches!(outcome, Err(Stop::Failed(_))));
    let told = args.report.quiet || args.report.json || matches!(outcome, Err(Stop::OutputClosed));
    if stats.missed_nodes > 0 && !told {
        say_missed(&args.name, stats.missed_nodes);
    }
    outcome.map_or_else(Stop::into_result, |()| Ok(ExitStatus::Success))
}

/// That a writer has overtaken this reader.
fn say_missed(name: &Name, missed: u64) {
    let s = if missed == 1 { "" } else { "s" };
    exit::say(&format!(
        "{name}: {missed} node{s} missed: a writer with --on-full drop-old was faster than this reader; \
         more nodes would give it more time"
    ));
}

/// What does not change during a transfer.
struct Plan<'a> {
    name: &'a Name,
    live: &'a Live,
    timeout: Option<Duration>,
    no_wait: bool,
    count: Option<u64>,
}

/// Reads until the stream ends, or what was asked for is done.
fn stream(reader: &mut Reader, drain: &mut Drain<'_>, plan: &Plan<'_>) -> Result<(), Stop> {
    let node_size = reader.geometry().node_size;
    let node_bytes = node_size + drain.delimiter.len() as u64;
    let mut batch = Batch::new(node_size, drain.delimiter.is_empty());
    loop {
        drain.watch.glance()?;
        let stats = reader.stats();
        plan.live.record(&stats);
        let left = plan
            .count
            .map_or(u64::MAX, |count| count.saturating_sub(stats.nodes));
        if left == 0 {
            return Ok(());
        }
        let room = drain.output.wait_for(node_bytes, &drain.watch, plan.live)?;
        let fitting = usize::try_from((room / node_bytes).min(left)).unwrap_or(usize::MAX);
        let want = batch.size(&drain.monitor).min(fitting).max(1);
        let failed = |error| drain.watch.ring_error(error);
        if let Some(claim) = reader.try_claim(want, BATCH_BYTES).map_err(failed)? {
            match drain.deliver(claim, plan)? {
                true => continue,
                false => return Ok(()),
            }
        }
        if plan.no_wait {
            return Ok(());
        }
        let waiting = plan.live.begin(Activity::Empty);
        let cancelled = || drain.watch.signalled().is_some() || drain.output.is_closed();
        let wait = Wait {
            deadline: transfer::deadline(plan.timeout),
            cancelled: Some(&cancelled),
        };
        let claim = match reader.claim(want, BATCH_BYTES, &wait) {
            Ok(claim) => claim,
            Err(RingError::TimedOut) => {
                return Err(transfer::timed_out(plan.name, "no node came", plan.timeout));
            }
            Err(RingError::Cancelled) if drain.watch.signalled().is_none() => {
                return Err(drain.output.closed());
            }
            Err(error) => return Err(drain.watch.ring_error(error)),
        };
        drop(waiting);
        if !drain.deliver(claim, plan)? {
            return Ok(());
        }
    }
}

/// How many nodes to claim at a time.
struct Batch {
    most: usize,
    company: Company,
}

impl Batch {
    fn new(node_size: u64, plain: bool) -> Batch {
        // A delimiter is a part of its own.
        let parts = if plain { MAX_PARTS } else { MAX_PARTS / 2 };
        Batch {
            most: transfer::batch_nodes(node_size).min(parts),
            company: Company::default(),
        }
    }

    /// This reader's share of what is there and of the ring, at least 1. (Of what is
    /// there in a broadcast ring, all is its own.)
    fn size(&mut self, monitor: &Monitor) -> usize {
        if self.most == 1 {
            return 1;
        }
        self.company.count(monitor);
        let there = match monitor.geometry().delivery {
            Delivery::Queue => monitor.unclaimed_nodes() / self.company.readers,
            Delivery::Broadcast => u64::MAX,
        };
        usize::try_from(there)
            .unwrap_or(usize::MAX)
            .min(self.company.share(monitor))
            .clamp(1, self.most)
    }
}

/// Writes claimed nodes out, and releases them.
struct Drain<'a> {
    watch: Watch,
    view: View,
    monitor: Monitor,
    output: Output,
    delimiter: &'a [u8],
    hasher: Option<blake3::Hasher>,
    /// Bytes since the last look at the diff.
    unsampled: u64,
}

impl Drain<'_> {
    /// Whether the stream goes on after this claim.
    fn deliver(&mut self, claim: Claim<'_>, plan: &Plan<'_>) -> Result<bool, Stop> {
        match claim {
            Claim::Nodes(nodes) => {
                if self.unsampled >= SAMPLE_BYTES {
                    self.unsampled = 0;
                    plan.live
                        .saw_diff(self.view.unclaimed_nodes().unwrap_or_default());
                }
                self.write_out(nodes, plan.live).map(|()| true)
            }
            Claim::End { clean } => match self.monitor.gone() {
                // A writer that finds the segment gone leaves, and so ends the
                // stream; the reason for it is what its reader is to hear.
                Some(gone) => Err(self.watch.gone(gone)),
                None if clean => Ok(false),
                None => {
                    let error = anyhow::Error::new(CliError::Unclean);
                    Err(Stop::Failed(error.context(plan.name.to_string())))
                }
            },
        }
    }

    /// Writes all nodes; those not finished when it stops are given back.
    fn write_out(&mut self, mut nodes: ReadNodes<'_>, live: &Live) -> Result<(), Stop> {
        // Bytes of the first node, and of its delimiter, that are out.
        let mut out = 0;
        loop {
            out = self.release(&mut nodes, out);
            if nodes.len() == 0 {
                return Ok(());
            }
            let written = match nodes.len() == 1 && self.delimiter.is_empty() {
                true => self.output.write(&nodes.node(0)[out..], &self.watch)?,
                false => self
                    .output
                    .write_parts(&self.parts(&nodes, out), &self.watch)?,
            };
            out += written;
            if written == 0 {
                self.output.wait(&self.watch, live)?;
            }
        }
    }

    /// Releases the nodes that `out` bytes cover; the bytes left over.
    fn release(&mut self, nodes: &mut ReadNodes<'_>, mut out: usize) -> usize {
        while nodes.len() > 0 {
            let node = nodes.node(0);
            let bytes = node.len();
            if out < bytes + self.delimiter.len() {
                break;
            }
            if let Some(hasher) = &mut self.hasher {
                hasher.update(node);
            }
            out -= bytes + self.delimiter.len();
            self.unsampled += bytes as u64;
            nodes.release_first();
        }
        out
    }

    /// All that is left to write, without its first `skip` bytes.
    fn parts<'n>(&'n self, nodes: &'n ReadNodes<'_>, mut skip: usize) -> Vec<IoSlice<'n>> {
        let mut parts = Vec::with_capacity(nodes.len() * 2);
        for node in 0..nodes.len() {
            for part in [nodes.node(node), self.delimiter] {
                let skipped = skip.min(part.len());
                skip -= skipped;
                if skipped < part.len() {
                    parts.push(IoSlice::new(&part[skipped..]));
                }
            }
        }
        parts
    }
}
