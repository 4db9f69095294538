//! `shm write` to an array or a buffer.
//!
//! ```text
//! values, stdin ─> parse ─> all of them, checked ─> [ lock: copy ]
//! a large raw file that fits ─────────────────────> [ lock: read(2) ]
//! ```
//!
//! Nothing is stored that is not whole: until the lock is taken, whatever is
//! wrong (a value, a number of them, a signal, an input that breaks off)
//! leaves the segment as it was. Without a value there is nothing to store,
//! and the lock is not asked for.
//!
//! Half of a write is left there by a death (or a second signal, which is one),
//! and by whatever ends a file while it is read straight into the segment: a
//! signal, an error of read(2), a file that shrinks or grows meanwhile. All
//! but the death are marked by us (`WriteGuard::release_incomplete`), and the
//! next to lock it is warned. What happened to the file while the lock was
//! waited for, which may be for hours, is found before the first byte.

use super::super::args::WriteArgs;
use super::super::exit::{CliError, ExitStatus};
use super::super::format::{self, Format, ParseError};
use super::super::input::{Found, Input};
use super::super::reporter::Subject;
use super::super::signals::Signals;
use super::super::summary::Role;
use super::super::transfer::{Stop, Watch};
use super::stream::Incoming;
use super::{Transfer, attach_as};
use anyhow::{Context, anyhow};
use shmkit::array::{ElementType, Untyped};
use shmkit::buffer::Buffer;
use shmkit::lock::{Access, Locked};
use shmkit::segment::{Kind, Name};
use std::ffi::OsString;
use std::io::Read;
use std::sync::Arc;

/// How much is copied or read at a time.
const PIECE: usize = 1 << 20;
/// A file of that size has it. Files that are made up when they are read (in
/// /proc, in /sys) say 0, or a page, and hold something else; all of what is
/// smaller than this is read before it is believed.
const BELIEVED: u64 = 1 << 20;

/// Stores values in an array.
pub fn array(args: &WriteArgs, signals: &Signals) -> anyhow::Result<ExitStatus> {
    let name = &args.name;
    let attached = attach_as(Kind::Array, name, Access::Write, &args.attach, signals);
    let mut array = match attached {
        Ok(locked) => Untyped::of(locked)?,
        Err(stop) => return stop.into_result(),
    };
    let element = array.spec().element_type().clone();
    let values = Values::of(args).with_context(|| name.to_string())?;
    if let Err(why) = format::supports(values.format(), &element) {
        return Err(CliError::Usage(format!("{name}: {why}")).into());
    }
    let (at, len) = (args.at.unwrap_or(0), array.spec().len());
    let Some(room) = len.checked_sub(at) else {
        return Err(anyhow!(
            "{name}: --at {at} is beyond its end; it has {len} elements"
        ));
    };
    let from = array.range(at, 0)?.start;
    let element_size = element.size() as u64;
    let job = Job {
        element_size: Some(element_size),
        input: values.input(),
        from,
    };
    run(args, signals, array.locked_mut(), &job, |transfer| {
        values.stage(transfer, &element, room)
    })
}

/// Stores bytes in a buffer.
pub fn buffer(args: &WriteArgs, signals: &Signals) -> anyhow::Result<ExitStatus> {
    let name = &args.name;
    let input = match &args.inputs[..] {
        [] => Input::stdin()?,
        [input] => Input::of(input)?,
        inputs => {
            return Err(CliError::Usage(format!(
                "{name}: a buffer takes one INPUT at a time, not {}",
                inputs.len()
            ))
            .into());
        }
    };
    let attached = attach_as(Kind::Buffer, name, Access::Write, &args.attach, signals);
    let mut buffer = match attached {
        Ok(locked) => Buffer::of(locked)?,
        Err(stop) => return stop.into_result(),
    };
    let (at, size) = (args.at.unwrap_or(0), buffer.size());
    let Some(room) = size.checked_sub(at) else {
        return Err(anyhow!(
            "{name}: --at {at} is beyond its end; it has {size} bytes"
        ));
    };
    let job = Job {
        element_size: None,
        input: Some(&input),
        from: usize::try_from(at).context("--at")?,
    };
    run(args, signals, buffer.locked_mut(), &job, |transfer| {
        stage_bytes(transfer, &input, at, room)
    })
}

/// What is to be stored, where.
struct Job<'a> {
    element_size: Option<u64>,
    input: Option<&'a Input>,
    /// The first byte of the payload.
    from: usize,
}

/// All that will be stored, checked.
enum Staged<'a> {
    Bytes(Vec<u8>),
    /// So many bytes of a regular file.
    File(&'a Input, usize),
}

impl Staged<'_> {
    fn len(&self) -> usize {
        match self {
            Staged::Bytes(bytes) => bytes.len(),
            Staged::File(_, size) => *size,
        }
    }
}

/// Stages, then stores, and tells how it went.
fn run<'a>(
    args: &WriteArgs,
    signals: &Signals,
    locked: &mut Locked,
    job: &Job<'_>,
    stage: impl FnOnce(&Transfer<'_>) -> Result<Staged<'a>, Stop>,
) -> anyhow::Result<ExitStatus> {
    let subject = Subject {
        name: &args.name,
        role: Role::Writer,
        total: job.input.and_then(Input::size).filter(|size| *size > 0),
        element_size: job.element_size,
        on_terminal: job.input.is_some_and(Input::is_terminal),
    };
    let watch = Watch::new(&args.name, signals, Arc::clone(locked.mapping()));
    let transfer = Transfer::start(&subject, &args.report, args.timeout, watch, locked)?;
    let outcome = stage(&transfer).and_then(|staged| match staged.len() {
        0 => Ok(()),
        _ => store(&transfer, locked, job.from, &staged),
    });
    transfer.finish(locked, outcome)
}

/// Takes the lock, and stores all of it.
fn store(
    transfer: &Transfer<'_>,
    locked: &mut Locked,
    from: usize,
    staged: &Staged<'_>,
) -> Result<(), Stop> {
    let mapping = Arc::clone(locked.mapping());
    let payload = mapping.header().payload_offset as usize + from;
    // The first touch of each page by a store is a fault of its own; many at
    // once cost a fraction of that.
    let populate = |done: usize| mapping.populate(payload + done..payload + done + PIECE);
    let mut guard = transfer.write_lock(locked)?;
    if let Staged::File(input, believed) = staged
        && let Err(stop) = check_size(transfer, input, *believed)
    {
        guard.release_unwritten();
        return Err(stop);
    }
    let memory = &mut guard.bytes_mut()[from..][..staged.len()];
    let mut done = 0;
    let stored = match staged {
        Staged::Bytes(bytes) => {
            for (to, from) in memory.chunks_mut(PIECE).zip(bytes.chunks(PIECE)) {
                populate(done);
                to.copy_from_slice(from);
                transfer.moved(to);
                done += to.len();
            }
            Ok(())
        }
        Staged::File(input, _) => read_into(transfer, memory, input, &populate, &mut done),
    };
    guard.count(done as u64);
    match stored {
        Ok(()) => drop(guard),
        Err(stop) => {
            match done {
                0 => guard.release_unwritten(),
                _ => guard.release_incomplete(),
            }
            return Err(stop);
        }
    }
    // What was stored in pages that are gone by now was stored nowhere.
    match locked.gone() {
        Some(gone) => Err(transfer.watch.gone(gone)),
        None => Ok(()),
    }
}

/// Whether a file still has as many bytes as it had before the lock was there.
fn check_size(transfer: &Transfer<'_>, input: &Input, believed: usize) -> Result<(), Stop> {
    match input.size_now() {
        Ok(Some(size)) if size == believed as u64 => Ok(()),
        Ok(size) => Err(Stop::Failed(anyhow!(
            "{}: {} changed while the lock was waited for: it had {believed} bytes, and has {}; nothing was stored",
            transfer.name,
            input.label(),
            size.unwrap_or_default()
        ))),
        Err(errno) => Err(transfer.watch.io_error(input.label(), errno)),
    }
}

/// Fills `memory` from a file that had as many bytes a moment ago, and must
/// not have more.
fn read_into(
    transfer: &Transfer<'_>,
    memory: &mut [u8],
    input: &Input,
    populate: &dyn Fn(usize),
    done: &mut usize,
) -> Result<(), Stop> {
    while *done < memory.len() {
        transfer.watch.glance()?;
        populate(*done);
        let end = memory.len().min(*done + PIECE);
        match input.read(&mut memory[*done..end]) {
            Ok(Found::Bytes(bytes)) => {
                transfer.moved(&memory[*done..][..bytes]);
                *done += bytes;
            }
            Ok(Found::Nothing) => {}
            Ok(Found::End) => {
                return Err(Stop::Failed(anyhow!(
                    "{}: {} became shorter while it was read: {} bytes of {}",
                    transfer.name,
                    input.label(),
                    done,
                    memory.len()
                )));
            }
            Err(errno) => return Err(transfer.watch.io_error(input.label(), errno)),
        }
    }
    if !input.at_end() {
        return Err(Stop::Failed(anyhow!(
            "{}: {} became longer while it was read: there is more behind the {done} bytes that it had",
            transfer.name,
            input.label(),
        )));
    }
    Ok(())
}

/// Where the values of an array come from.
enum Values {
    Words(Format, Vec<String>),
    Stdin(Format, Input),
}

impl Values {
    fn of(args: &WriteArgs) -> anyhow::Result<Values> {
        let format = args.format.unwrap_or_default();
        let stdin = args.inputs.is_empty() || args.inputs[..] == [OsString::from("-")];
        if stdin {
            return Ok(Values::Stdin(format, Input::stdin()?));
        }
        if !matches!(format, Format::Text | Format::Json) {
            return Err(CliError::Usage(format!(
                "--format {} is read from stdin; values as arguments are text or json",
                format!("{format:?}").to_lowercase()
            ))
            .into());
        }
        let words = args.inputs.iter().enumerate().map(|(i, word)| {
            let word = word.to_str().map(str::to_owned);
            word.ok_or_else(|| anyhow!("value {}: not text (UTF-8)", i + 1))
        });
        Ok(Values::Words(format, words.collect::<Result<_, _>>()?))
    }

    fn format(&self) -> Format {
        match self {
            Values::Words(format, _) | Values::Stdin(format, _) => *format,
        }
    }

    fn input(&self) -> Option<&Input> {
        match self {
            Values::Words(..) => None,
            Values::Stdin(_, input) => Some(input),
        }
    }

    /// Parses and checks all of them: at most `room` elements.
    fn stage(
        &self,
        transfer: &Transfer<'_>,
        element: &ElementType,
        room: u64,
    ) -> Result<Staged<'_>, Stop> {
        let name = transfer.name;
        match self {
            Values::Words(Format::Json, words) => {
                format::parse_json_words(element, room, words).map_err(|e| malformed(name, e))
            }
            Values::Words(_, words) => {
                format::parse_words(element, room, words).map_err(|e| malformed(name, e))
            }
            Values::Stdin(Format::Raw, input) if let Some(size) = fits(input, element, room) => {
                return Ok(Staged::File(input, size));
            }
            Values::Stdin(format, input) => {
                let mut incoming = Incoming::new(input, &transfer.watch, transfer.live());
                let parsed = format::parse(*format, element, room, &mut incoming);
                parsed.map_err(|error| incoming.stop().unwrap_or_else(|| malformed(name, error)))
            }
        }
        .map(Staged::Bytes)
    }
}

/// The size of a large file of whole elements that are not too many.
fn fits(input: &Input, element: &ElementType, room: u64) -> Option<usize> {
    let size = input.size().filter(|size| *size >= BELIEVED)?;
    let element_size = element.size() as u64;
    match size % element_size == 0 && size / element_size <= room {
        true => usize::try_from(size).ok(),
        false => None,
    }
}

fn malformed(name: &Name, error: ParseError) -> Stop {
    Stop::Failed(anyhow::Error::new(error).context(name.to_string()))
}

/// All bytes of an input that fits into `room`, which begins at `at`.
fn stage_bytes<'a>(
    transfer: &Transfer<'_>,
    input: &'a Input,
    at: u64,
    room: u64,
) -> Result<Staged<'a>, Stop> {
    let too_long = |more: &str, bytes: u64| {
        Stop::Failed(anyhow!(
            "{}: {more}{bytes} bytes of input, and room for {room} from offset {at} on; nothing was stored",
            transfer.name
        ))
    };
    if let Some(size) = input.size().filter(|size| *size >= BELIEVED) {
        let size_here = usize::try_from(size).context("input size")?;
        return match size <= room {
            true => Ok(Staged::File(input, size_here)),
            false => Err(too_long("", size)),
        };
    }
    let mut incoming = Incoming::new(input, &transfer.watch, transfer.live());
    let mut bytes = Vec::new();
    let read = (&mut incoming)
        .take(room.saturating_add(1))
        .read_to_end(&mut bytes);
    match (read, incoming.stop()) {
        (Ok(_), _) if bytes.len() as u64 > room => Err(too_long("more than ", room)),
        (Ok(_), _) => Ok(Staged::Bytes(bytes)),
        (Err(_), Some(stop)) => Err(stop),
        (Err(error), None) => Err(malformed(transfer.name, error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Cli, Command};
    use clap::Parser;

    fn values(line: &str) -> anyhow::Result<Values> {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Write(args) => Values::of(&args),
            _ => panic!("not write"),
        }
    }

    #[test]
    fn values_are_arguments_or_come_from_stdin() {
        for line in ["shm write a", "shm write a -", "shm write a --format csv -"] {
            assert!(values(line).unwrap().input().is_some(), "{line}");
        }
        for line in [
            "shm write a 1 2",
            "shm write a - 2",
            "shm write a 1 --format json",
        ] {
            assert!(values(line).unwrap().input().is_none(), "{line}");
        }
    }

    #[test]
    fn arguments_are_text_or_json_only() {
        for format in ["csv", "raw", "npy"] {
            let error = values(&format!("shm write a 1 --format {format}"))
                .err()
                .unwrap();
            assert_eq!(ExitStatus::of(&error), ExitStatus::Usage);
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("--format {format} "))
            );
        }
    }

    #[test]
    fn only_a_large_file_of_whole_elements_that_fit_is_read_under_the_lock() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let element: ElementType = "[u8;3]".parse().unwrap();
        let fits = |size: u64, room| {
            file.as_file().set_len(size).unwrap();
            fits(&Input::of(file.path().as_os_str()).unwrap(), &element, room)
        };
        let elements = BELIEVED / 3 + 1;
        assert_eq!(fits(3 * elements, elements), Some(3 * elements as usize));
        assert_eq!(fits(3 * elements, elements - 1), None);
        assert_eq!(fits(3 * elements + 1, elements + 1), None);
        assert_eq!(fits(30, 10), None);
        assert_eq!(fits(0, 10), None);
    }
}
