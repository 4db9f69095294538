//! `shm read` from an array or a buffer.
//!
//! ```text
//! [ read lock: copy ] ─> print             up to COPIED bytes
//! [ read lock: print, piece by piece ]     more than that
//! ```
//!
//! What there is not (`--at`, `--count` beyond the end) is refused before the
//! output is opened: nothing is printed, and no file is overwritten.
//!
//! A large array as text is formatted on all cores ([`side_by_side`]).
//!
//! Raw bytes go straight from the segment, or the copy, to write(2). If the
//! segment is truncated meanwhile, write(2) says so (EFAULT); what is looked
//! at by us, to format or to copy it, reads as zeroes then, so that is asked
//! for before it is printed.

use super::super::args::ReadArgs;
use super::super::exit::{CliError, ExitStatus};
use super::super::format::{self, Format, Printer};
use super::super::output::Output;
use super::super::reporter::Subject;
use super::super::signals::Signals;
use super::super::summary::Role;
use super::super::transfer::{Stop, Watch};
use super::stream::{Outgoing, write_some};
use super::{Transfer, attach_as, side_by_side};
use anyhow::anyhow;
use shmkit::array::{ElementType, Untyped};
use shmkit::buffer::Buffer;
use shmkit::lock::{Access, Locked};
use shmkit::segment::{Gone, Kind, Mapping};
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// So many bytes are copied, and the lock given back before they are printed.
pub const COPIED: usize = 16 << 20;
/// How much is written at a time.
const PIECE: usize = 1 << 20;
/// About how much is formatted at a time.
const FORMATTED: usize = 256 << 10;

/// Prints elements of an array.
pub fn array(args: &ReadArgs, signals: &Signals) -> anyhow::Result<ExitStatus> {
    let name = &args.name;
    let attached = attach_as(Kind::Array, name, Access::Read, &args.attach, signals);
    let array = match attached {
        Ok(locked) => Untyped::of(locked)?,
        Err(stop) => return stop.into_result(),
    };
    let element = array.spec().element_type();
    let format = args.format.unwrap_or_default();
    if let Err(why) = format::supports(format, element) {
        return Err(CliError::Usage(format!("{name}: {why}")).into());
    }
    let at = args.at.unwrap_or(0);
    let Some(there) = array.spec().len().checked_sub(at) else {
        return Err(anyhow!(
            "{name}: --at {at} is beyond its end; it has {} elements",
            array.spec().len()
        ));
    };
    let count = args.count.unwrap_or(there);
    if count > there {
        return Err(anyhow!(
            "{name}: --count {count} from element {at} on is beyond its end; it has {} elements",
            array.spec().len()
        ));
    }
    let range = array.range(at, count)?;
    run(
        args,
        signals,
        array.locked(),
        range,
        Some((format, element)),
    )
}

/// Prints bytes of a buffer.
pub fn buffer(args: &ReadArgs, signals: &Signals) -> anyhow::Result<ExitStatus> {
    let name = &args.name;
    let attached = attach_as(Kind::Buffer, name, Access::Read, &args.attach, signals);
    let buffer = match attached {
        Ok(locked) => Buffer::of(locked)?,
        Err(stop) => return stop.into_result(),
    };
    let (at, size) = (args.at.unwrap_or(0), buffer.size());
    let Some(there) = size.checked_sub(at) else {
        return Err(anyhow!(
            "{name}: --at {at} is beyond its end; it has {size} bytes"
        ));
    };
    let len = args.count.unwrap_or(there);
    if len > there {
        return Err(anyhow!(
            "{name}: --count {len} from offset {at} on is beyond its end; it has {size} bytes"
        ));
    }
    // Both are not more than the buffer's size, which is a usize.
    let range = at as usize..(at + len) as usize;
    run(args, signals, buffer.locked(), range, None)
}

/// How elements are printed; bytes are as they are.
type Form<'a> = Option<(Format, &'a ElementType)>;

fn run(
    args: &ReadArgs,
    signals: &Signals,
    locked: &Locked,
    range: Range<usize>,
    form: Form<'_>,
) -> anyhow::Result<ExitStatus> {
    let watch = Watch::new(&args.name, signals, Arc::clone(locked.mapping()));
    let output = match Output::open(args.output.as_deref(), &watch) {
        Ok(output) => output,
        Err(stop) => return stop.into_result(),
    };
    let subject = Subject {
        name: &args.name,
        role: Role::Reader,
        total: Some(range.len() as u64),
        element_size: form.map(|(_, element)| element.size() as u64),
        on_terminal: output.is_terminal(),
    };
    let transfer = Transfer::start(&subject, &args.report, args.timeout, watch, locked)?;
    let outcome = copy_or_hold(&transfer, locked, range, &output, form);
    transfer.finish(locked, outcome)
}

/// Prints the range from a copy; or, if it is large, or there is no memory for
/// a copy, with the lock in hand.
fn copy_or_hold(
    transfer: &Transfer<'_>,
    locked: &Locked,
    range: Range<usize>,
    output: &Output,
    form: Form<'_>,
) -> Result<(), Stop> {
    let guard = transfer.read_lock(locked, output)?;
    let memory = &guard.bytes()[range];
    guard.count(memory.len() as u64);
    let mut copy = Vec::new();
    if memory.len() > COPIED || copy.try_reserve_exact(memory.len()).is_err() {
        return print(transfer, Some(locked.mapping()), memory, output, form);
    }
    copy.extend_from_slice(memory);
    drop(guard);
    if locked.gone() == Some(Gone::Truncated) {
        return Err(transfer.watch.gone(Gone::Truncated));
    }
    print(transfer, None, &copy, output, form)
}

/// Prints bytes that are those of `segment`, or (`None`) a copy of them.
fn print(
    transfer: &Transfer<'_>,
    segment: Option<&Mapping>,
    bytes: &[u8],
    output: &Output,
    form: Form<'_>,
) -> Result<(), Stop> {
    match form {
        Some((format, element)) if format != Format::Raw => {
            let (watch, live) = (&transfer.watch, transfer.live());
            let mut outgoing = Outgoing::new(output, watch, live, segment);
            print_formatted(transfer, bytes, &mut outgoing, format, element).map_err(|error| {
                outgoing
                    .stop()
                    .unwrap_or_else(|| Stop::Failed(error.into()))
            })
        }
        _ => print_raw(transfer, bytes, output),
    }
}

fn print_raw(transfer: &Transfer<'_>, bytes: &[u8], output: &Output) -> Result<(), Stop> {
    let mut left = bytes;
    while !left.is_empty() {
        let piece = &left[..left.len().min(PIECE)];
        let written = write_some(output, piece, &transfer.watch, transfer.live())?;
        transfer.moved(&left[..written]);
        left = &left[written..];
    }
    Ok(())
}

fn print_formatted(
    transfer: &Transfer<'_>,
    bytes: &[u8],
    outgoing: &mut Outgoing<'_>,
    format: Format,
    element: &ElementType,
) -> io::Result<()> {
    let size = element.size();
    let piece = (FORMATTED / size).max(1) * size;
    let workers = side_by_side::workers(format, bytes.len());
    if workers > 1 {
        let done = |piece: &[u8]| transfer.moved(piece);
        return side_by_side::print(element, bytes, piece, workers, outgoing, done);
    }
    let count = (bytes.len() / size) as u64;
    let mut printer = Printer::new(format, element, count, outgoing)?;
    for piece in bytes.chunks(piece) {
        printer.push(piece)?;
        transfer.moved(piece);
    }
    printer.finish()
}
