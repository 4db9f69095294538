//! `shm write` to a ring: from files and stdin into nodes.
//!
//! ```text
//! wait for input ─> pace ─> reserve ─> read(2) into the node ─> publish
//!       │                       │             │
//!   holds nothing        only now a node   until it is full, the input
//!                                          has nothing more now, or ends
//! ```
//!
//! The bytes go from the descriptor straight into node memory. A writer that
//! waits for its input, or for `--rate`, holds no node, so it stands in
//! nobody's way. Small nodes are reserved and filled several at a time, by
//! one readv(2); those left over are given up unpublished.
//!
//! "Nothing more now" takes a little patience. A producer as fast as we are is
//! often just about to write its next piece, and nodes published between its
//! pieces would be far from full. So after a piece of [`BULK`] bytes or more
//! we wait up to [`PATIENCE`] for the next, [`PATIENCE_PER_FILL`] in all; a
//! line from a slow one is published at once.
//!
//! What has been read is published, whatever comes after it: an error, a
//! signal. Then the writer leaves, and the last one to leave ends the stream.
//! Only a writer that is killed leaves it unclean. (With [framing](framed), and
//! for those who [drop](OnFull), bytes may also wait in the [`stage`]: a signal
//! that finds the ring full, or half an item, takes them away.)

mod framed;
mod stage;

use super::args::WriteArgs;
use super::exit::{CliError, ExitStatus};
use super::input::{Found, Input};
use super::rate::TokenBucket;
use super::reporter::{Activity, Live, Reporter, Subject};
use super::signals::Signals;
use super::summary::Role;
use super::transfer::{self, Company, SAMPLE_BYTES, Stop, Watch};
use anyhow::Context;
use rustix::io::Errno;
use shmkit::ring::{Framing, Monitor, OnFull, RingError, Wait, WriteNodes, Writer};
use shmkit::segment::{Name, OpenOptions};
use stage::Stage;
use std::time::{Duration, Instant};

/// A piece of that many bytes is part of a larger whole: PIPE_BUF.
const BULK: usize = 4096;
/// How long to wait for the piece after it.
const PATIENCE: Duration = Duration::from_millis(1);
/// How long to wait for pieces while a batch is being filled.
const PATIENCE_PER_FILL: Duration = Duration::from_millis(10);

/// Streams the INPUTs into the ring.
pub fn ring(args: &WriteArgs, signals: &Signals) -> anyhow::Result<ExitStatus> {
    let on_full = OnFull::from(args.on_full.unwrap_or_default());
    if args.timeout.is_some() && on_full != OnFull::Block {
        let why = "--timeout is for waiting for a free node, which --on-full drop-new and drop-old never do";
        return Err(CliError::Usage(format!("{}: {why}", args.name)).into());
    }
    let framing = Framing::from(&args.framing);
    let inputs = Input::open_all(&args.inputs)?;
    let options = OpenOptions {
        any_owner: args.attach.any_owner,
    };
    framed::check_record_size(&args.name, framing, &inputs, options)?;
    let attach = || Writer::attach(&args.name, options);
    let mut writer = match transfer::attach(&args.name, &args.attach, signals, attach) {
        Ok(writer) => writer,
        Err(stop) => return stop.into_result(),
    };
    let monitor = writer.monitor();
    let subject = Subject {
        name: &args.name,
        role: Role::Writer,
        total: inputs.iter().map(Input::size).sum(),
        element_size: None,
        on_terminal: inputs.iter().any(Input::is_terminal),
    };
    let reporter = Reporter::start(&args.report, &subject, monitor.clone())?;
    let geometry = writer.geometry();
    let node_size = usize::try_from(geometry.node_size).context("node size")?;
    let batch = transfer::batch_nodes(geometry.node_size);
    let mut filler = Filler {
        watch: Watch::new(&args.name, signals, monitor.clone()),
        monitor,
        node_size,
        framing,
        stage: Stage::new(framing, node_size, batch),
        bulk: true,
        due: false,
        last: false,
        hasher: args.report.hash.then(blake3::Hasher::new),
        bucket: args.rate.map(|rate| TokenBucket::new(rate, Instant::now())),
        unsampled: 0,
        company: Company::default(),
    };
    let plan = Plan {
        name: &args.name,
        live: reporter.live(),
        batch,
        timeout: args.timeout,
        on_full,
    };
    let outcome = inputs.iter().enumerate().try_for_each(|(i, input)| {
        let last = i + 1 == inputs.len();
        stream(&mut writer, &mut filler, input, last, &plan)
    });
    reporter.live().record(&writer.stats());
    match args.keep_open {
        true => writer.keep_open(),
        false => writer.end(),
    }
    let hash = filler.hasher.map(|hasher| hasher.finalize().to_string());
    reporter.finish(hash, !matches!(outcome, Err(Stop::Failed(_))));
    outcome.map_or_else(Stop::into_result, |()| Ok(ExitStatus::Success))
}

/// What does not change during a transfer.
struct Plan<'a> {
    name: &'a Name,
    live: &'a Live,
    /// Nodes to reserve at a time.
    batch: usize,
    timeout: Option<Duration>,
    on_full: OnFull,
}

impl Plan<'_> {
    fn ring_error(&self, filler: &Filler, error: RingError) -> Stop {
        match error {
            // Of a broadcast ring it is known because of whom.
            RingError::TimedOut => match filler.monitor.reader_diffs().first() {
                None => transfer::timed_out(self.name, "no node came free", self.timeout),
                Some(slowest) => {
                    let (pid, behind) = (slowest.pid, slowest.diff.nodes);
                    let what = format!(
                        "the slowest reader (pid {pid}, {behind} nodes behind) freed no node"
                    );
                    transfer::timed_out(self.name, &what, self.timeout)
                }
            },
            error => filler.watch.ring_error(error),
        }
    }
}

/// Streams one INPUT, to its end.
fn stream(
    writer: &mut Writer,
    filler: &mut Filler,
    input: &Input,
    last: bool,
    plan: &Plan<'_>,
) -> Result<(), Stop> {
    filler.begin(input, last);
    loop {
        filler.watch.glance()?;
        plan.live.record(&writer.stats());
        if input.wait(&filler.watch, plan.live)? == Found::End {
            break;
        }
        let found = match filler.is_direct(plan.batch) {
            true => filler.direct(writer, input, plan)?,
            false => filler.staged(writer, input, plan)?,
        };
        if found == Found::End {
            break;
        }
    }
    filler.finish(writer, input, plan)
}

/// Waits for a free node.
fn wait_for_node<'w>(
    writer: &'w mut Writer,
    want: usize,
    filler: &Filler,
    plan: &Plan<'_>,
) -> Result<WriteNodes<'w>, Stop> {
    let _waiting = plan.live.begin(Activity::Full);
    plan.live.saw_diff(filler.monitor.unclaimed_nodes());
    let cancelled = || filler.watch.signalled().is_some();
    let wait = Wait {
        deadline: transfer::deadline(plan.timeout),
        cancelled: Some(&cancelled),
    };
    writer
        .reserve(want, &wait)
        .map_err(|error| plan.ring_error(filler, error))
}

/// Calls `read`, with what is filled already, until `most` bytes are there, or
/// the input has nothing more now.
fn fill_with(
    watch: &Watch,
    input: &Input,
    most: usize,
    filled: &mut usize,
    mut read: impl FnMut(usize) -> Result<Found, Errno>,
) -> Result<Found, Errno> {
    let mut patience = PATIENCE_PER_FILL;
    let mut piece = 0;
    while *filled < most && watch.signalled().is_none() {
        match read(*filled)? {
            Found::Bytes(bytes) => {
                piece = bytes;
                *filled += bytes;
            }
            Found::Nothing if piece >= BULK && input.has_more_within(PATIENCE, &mut patience) => {}
            found => return Ok(found),
        }
    }
    Ok(Found::Bytes(*filled))
}

/// Fills nodes from an input, and publishes them.
struct Filler {
    watch: Watch,
    monitor: Monitor,
    node_size: usize,
    framing: Framing,
    stage: Stage,
    /// Whether the input has lately had enough to fill a node: then it is worth
    /// reserving one before reading.
    bulk: bool,
    /// Whether the INPUT is yet to be published as a message.
    due: bool,
    /// Whether it is the last INPUT, whose last item may lack its delimiter.
    last: bool,
    hasher: Option<blake3::Hasher>,
    bucket: Option<TokenBucket>,
    /// Bytes since the last look at the diff.
    unsampled: u64,
    company: Company,
}

impl Filler {
    /// Reads into nodes, as far as there are free ones, and publishes them.
    fn direct(
        &mut self,
        writer: &mut Writer,
        input: &Input,
        plan: &Plan<'_>,
    ) -> Result<Found, Stop> {
        let limit = self.pace(self.node_size.saturating_mul(plan.batch))?;
        let most = self.batch(plan.batch);
        let want = most.min(limit.div_ceil(self.node_size)).max(1);
        let failed = |error| plan.ring_error(self, error);
        if let Some(nodes) = writer.try_reserve(want).map_err(failed)? {
            return self.fill(nodes, input, limit, plan.live);
        }
        // The ring is full. A writer that has nothing more to say is done.
        if input.at_end() {
            return Ok(Found::End);
        }
        if plan.on_full != OnFull::Block {
            return self.staged(writer, input, plan);
        }
        let nodes = wait_for_node(writer, want, self, plan)?;
        self.fill(nodes, input, limit, plan.live)
    }

    /// How many nodes to reserve at a time, of at most `most`.
    fn batch(&mut self, most: usize) -> usize {
        if most == 1 {
            return 1;
        }
        self.company.count(&self.monitor);
        self.company.share(&self.monitor).min(most)
    }

    /// Waits until `--rate` allows some of `most` bytes, and says how many.
    fn pace(&mut self, most: usize) -> Result<usize, Stop> {
        let Some(bucket) = &mut self.bucket else {
            return Ok(most);
        };
        loop {
            let time = bucket.wait_for(most, Instant::now());
            if time.is_zero() {
                return Ok(bucket.available().min(most));
            }
            self.watch.sleep(time)?;
        }
    }

    /// Reads what the input has now, up to `limit` bytes, and publishes it.
    fn fill(
        &mut self,
        mut nodes: WriteNodes<'_>,
        input: &Input,
        limit: usize,
        live: &Live,
    ) -> Result<Found, Stop> {
        let carried = self.stage.len();
        let mut filled = carried;
        let found = match nodes.len() {
            1 => self.fill_one(&mut nodes, input, limit, &mut filled),
            _ => self.fill_several(&mut nodes, input, limit, &mut filled),
        };
        self.paid(filled - carried, live);
        let whole = match self.framing {
            Framing::Bytes => filled,
            _ => self.keep_rest(nodes.node_mut(0), filled, input, &found),
        };
        self.publish(nodes, whole)?;
        found.map_err(|errno| self.watch.io_error(input.label(), errno))
    }

    /// Reads into the first node, behind what the stage has.
    fn fill_one(
        &self,
        nodes: &mut WriteNodes<'_>,
        input: &Input,
        limit: usize,
        filled: &mut usize,
    ) -> Result<Found, Errno> {
        let memory = nodes.node_mut(0);
        memory[..*filled].copy_from_slice(self.stage.bytes());
        let most = limit.saturating_add(*filled).min(memory.len());
        fill_with(&self.watch, input, most, filled, |filled| {
            input.read(&mut memory[filled..most])
        })
    }

    /// Reads into all nodes, one after the other, by few calls.
    fn fill_several(
        &self,
        nodes: &mut WriteNodes<'_>,
        input: &Input,
        limit: usize,
        filled: &mut usize,
    ) -> Result<Found, Errno> {
        // The batch was cut to the limit, up to one node.
        let most = limit.min(nodes.len() * self.node_size);
        fill_with(&self.watch, input, most, filled, |filled| {
            input.read_parts(&mut nodes.io_slices(filled))
        })
    }

    /// So many bytes were read.
    fn paid(&mut self, bytes: usize, live: &Live) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(bytes);
        }
        self.unsampled += bytes as u64;
        if self.unsampled >= SAMPLE_BYTES {
            self.unsampled = 0;
            live.saw_diff(self.monitor.unclaimed_nodes());
        }
    }

    /// Publishes the first `filled` bytes; the nodes behind them are dropped.
    fn publish(&mut self, mut nodes: WriteNodes<'_>, filled: usize) -> Result<(), Stop> {
        let mut left = filled;
        while left > 0 {
            let bytes = left.min(self.node_size);
            self.commit(&mut nodes, bytes)?;
            left -= bytes;
        }
        Ok(())
    }

    /// Publishes the first node, with `bytes` bytes.
    fn commit(&mut self, nodes: &mut WriteNodes<'_>, bytes: usize) -> Result<(), Stop> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&nodes.node_mut(0)[..bytes]);
        }
        nodes
            .commit_first(bytes)
            .map_err(|error| self.watch.ring_error(error))
    }
}
