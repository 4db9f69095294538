//! Whole items in each node; and what a writer that drops does with a full ring.
//!
//! ```text
//! direct   reserve ─> [carried|read(2)...........|rest] ─> publish up to `rest`, carry that
//! staged   read(2) into the stage ─> cut ─> a free node, or --on-full ─> copy ─> publish
//! ```
//!
//! *Direct* is for large nodes and an input that fills them: it reads into node
//! memory behind what was carried over, looks for the last item's end from behind,
//! and copies nothing but the beginning of the item that goes on after it.
//!
//! *Staged* is for everything else, and copies all of it once:
//!
//! * An input that pauses within an item: a node must not be held meanwhile.
//! * Nodes so small that a read(2) for each would cost more than a copy.
//! * A full ring, when the writer drops. Only when a node's worth of whole items
//!   is there is it decided what is dropped; so no old node is taken for an item
//!   that then does not come, and what is dropped is never a part of an item.
//!
//! With several INPUTs the items are those of `cat INPUT...`, as for `cat a b |
//! sort`: a last line without its line feed goes on with the next INPUT. (One that
//! ended there would be glued to the next in the readers' output all the same, as
//! nothing is added.) But each INPUT has whole records, and is one message.

use super::super::input::{Found, Input};
use super::super::transfer::Stop;
use super::{Filler, Plan, fill_with, wait_for_node};
use rustix::io::Errno;
use shmkit::ring::{Cut, Framing, Monitor, OnFull, Then, WriteNodes, Writer, copy_into};
use shmkit::segment::{Name, OpenOptions};
use std::time::Duration;

/// How far to look for the end of an item that is too long, to tell its size.
const LONGEST_LOOK: u64 = 64 << 20;
/// And how long to wait for it.
const LOOK_PATIENCE: Duration = Duration::from_secs(1);

/// Refuses records that no node can hold, before anybody attaches: a writer
/// that came and went would end the stream.
pub fn check_record_size(
    name: &Name,
    framing: Framing,
    inputs: &[Input],
    options: OpenOptions,
) -> anyhow::Result<()> {
    let Framing::Records(size) = framing else {
        return Ok(());
    };
    let node_size = Monitor::open(name, options)?.geometry().node_size;
    match size.get() as u64 > node_size {
        true => Err(too_long(
            inputs.first().map_or("stdin", Input::label),
            framing,
            &size.to_string(),
            0,
            node_size,
        )),
        false => Ok(()),
    }
}

/// An item that is larger than a node: what, how large, and where.
fn too_long(
    label: &str,
    framing: Framing,
    size: &str,
    offset: u64,
    node_size: u64,
) -> anyhow::Error {
    let what = match framing {
        Framing::LINES => "line",
        Framing::Records(_) => "record",
        Framing::Message => "message",
        Framing::Bytes | Framing::Delimited(_) => "item",
    };
    anyhow::anyhow!(
        "{label}: a {what} of {size} bytes at byte {offset} does not fit a node of {node_size} \
         bytes; 'shm create ring --node-size' makes larger ones"
    )
}

impl Filler {
    /// An INPUT begins.
    pub fn begin(&mut self, input: &Input, last: bool) {
        self.last = last;
        self.stage.begin(input.label());
        self.due = self.framing == Framing::Message;
        self.bulk = true;
    }

    /// Whether to read into nodes, of which one moves `batch` at a time: see the
    /// top of this file.
    pub fn is_direct(&self, batch: usize) -> bool {
        match self.framing {
            Framing::Bytes => true,
            _ => batch == 1 && self.bulk && self.stage.len() < self.node_size,
        }
    }

    /// The first node's memory has `filled` bytes: keeps what is no whole item;
    /// how many bytes are.
    pub fn keep_rest(
        &mut self,
        memory: &[u8],
        filled: usize,
        input: &Input,
        found: &Result<Found, Errno>,
    ) -> usize {
        let ended = matches!(found, Ok(Found::End));
        let whole = match self.framing {
            Framing::Message if ended || filled == self.node_size && input.at_end() => filled,
            Framing::Delimited(_) if ended && self.last => filled,
            framing => framing.whole(&memory[..filled], self.stage.looked()),
        };
        self.due &= whole == 0;
        self.bulk = whole > 0 && !matches!(found, Ok(Found::Nothing));
        self.stage.carry(&memory[..filled], whole);
        whole
    }

    /// Reads what the input has now, and publishes or drops the whole items of it.
    pub fn staged(
        &mut self,
        writer: &mut Writer,
        input: &Input,
        plan: &Plan<'_>,
    ) -> Result<Found, Stop> {
        let before = self.stage.len();
        let most = before + self.pace(self.stage.capacity() - before)?;
        let mut filled = before;
        let stage = &mut self.stage;
        let found = fill_with(&self.watch, input, most, &mut filled, |filled| {
            stage.read(input, most - filled)
        });
        self.paid(filled - before, plan.live);
        self.bulk = filled >= self.node_size;
        let then = match found {
            Ok(Found::End) if self.last && matches!(self.framing, Framing::Delimited(_)) => {
                Then::End
            }
            Ok(Found::Bytes(_)) if self.stage.is_full() => Then::More,
            _ => Then::Pause,
        };
        self.hand_over(writer, input, then, plan)?;
        found.map_err(|errno| self.watch.io_error(input.label(), errno))
    }

    /// Publishes or drops what of the stage can go.
    fn hand_over(
        &mut self,
        writer: &mut Writer,
        input: &Input,
        then: Then,
        plan: &Plan<'_>,
    ) -> Result<(), Stop> {
        loop {
            match self.stage.cut(then) {
                Cut::Node(bytes) => self.place(writer, bytes, then, plan)?,
                Cut::More => return Ok(()),
                Cut::TooLong => return Err(Stop::Failed(self.too_long(input))),
            }
        }
    }

    /// Finds a node for the first `bytes` of the stage, or drops them; fills
    /// further nodes while it is at it.
    fn place(
        &mut self,
        writer: &mut Writer,
        bytes: usize,
        then: Then,
        plan: &Plan<'_>,
    ) -> Result<(), Stop> {
        let most = self.stage.len().div_ceil(self.node_size).max(1);
        let want = self.batch(plan.batch.min(most));
        let failed = |error| plan.ring_error(self, error);
        if let Some(nodes) = writer.try_reserve(want).map_err(failed)? {
            return self.fill_from_stage(nodes, bytes, then);
        }
        match plan.on_full {
            OnFull::Block => {
                let nodes = wait_for_node(writer, want, self, plan)?;
                return self.fill_from_stage(nodes, bytes, then);
            }
            OnFull::DropOld => {
                if let Some(nodes) = writer.reserve_or_drop_oldest().map_err(failed)? {
                    return self.fill_from_stage(nodes, bytes, then);
                }
            }
            OnFull::DropNew => {}
        }
        writer.drop_new(bytes as u64);
        self.stage.take(bytes);
        Ok(())
    }

    /// Copies the first `bytes` of the stage into the first node, and what
    /// comes then into the others, and publishes them.
    fn fill_from_stage(
        &mut self,
        mut nodes: WriteNodes<'_>,
        bytes: usize,
        then: Then,
    ) -> Result<(), Stop> {
        let mut next = Cut::Node(bytes);
        while let Cut::Node(bytes) = next {
            copy_into(nodes.node_mut(0), &self.stage.bytes()[..bytes]);
            self.commit(&mut nodes, bytes)?;
            self.stage.take(bytes);
            if nodes.len() == 0 || self.stage.is_empty() {
                break;
            }
            next = self.stage.cut(then);
        }
        Ok(())
    }

    /// An INPUT has ended.
    pub fn finish(
        &mut self,
        writer: &mut Writer,
        input: &Input,
        plan: &Plan<'_>,
    ) -> Result<(), Stop> {
        match self.framing {
            Framing::Message if self.due => match self.stage.cut(Then::End) {
                Cut::Node(bytes) => self.place(writer, bytes, Then::End, plan),
                _ => Err(Stop::Failed(self.too_long(input))),
            },
            Framing::Delimited(_) if self.last => self.hand_over(writer, input, Then::End, plan),
            Framing::Records(size) if !self.stage.is_empty() => {
                let (left, (label, at)) =
                    (self.stage.len(), self.stage.place_of(self.stage.position()));
                Err(Stop::Failed(anyhow::anyhow!(
                    "{label}: {} bytes are not whole records of {size}: {left} left over at byte {at}",
                    at + left as u64
                )))
            }
            _ => Ok(()),
        }
    }

    /// The stage begins with an item that is too long.
    fn too_long(&mut self, input: &Input) -> anyhow::Error {
        let position = self.stage.position();
        let size = match (self.framing, input.size()) {
            (Framing::Records(size), _) => size.to_string(),
            (Framing::Message, Some(size)) => size.to_string(),
            _ => self.size_of_first(input),
        };
        let (label, offset) = self.stage.place_of(position);
        too_long(label, self.framing, &size, offset, self.node_size as u64)
    }

    /// How long the first item is, which is lost: looks for its end in what was
    /// read and in what comes.
    fn size_of_first(&mut self, input: &Input) -> String {
        let (mut size, mut patience) = (0, LOOK_PATIENCE);
        loop {
            let bytes = self.stage.bytes();
            if let Framing::Delimited(end) = self.framing
                && let Some(at) = memchr::memchr(end, bytes)
            {
                return (size + at as u64 + 1).to_string();
            }
            size += bytes.len() as u64;
            self.stage.take(bytes.len());
            let time = patience;
            match self.stage.read(input, usize::MAX) {
                Ok(Found::Bytes(_)) if size <= LONGEST_LOOK => {}
                Ok(Found::End) if self.last || self.framing == Framing::Message => {
                    return size.to_string();
                }
                Ok(Found::Nothing) if input.has_more_within(time, &mut patience) => {}
                _ => return format!("at least {size}"),
            }
        }
    }
}
