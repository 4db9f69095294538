//! An input and an output as the formats see them: something to read from,
//! something to write to.
//!
//! Formats know [`Read`] and [`Write`] and nothing of signals, removed
//! segments or closed pipes. So the wait is in here, with a look at the watch
//! in every slice of it; and when there is a reason to stop, it stays in here,
//! the format gets an error without a meaning, and whoever called the format
//! asks for the reason.

use super::super::input::{Found, Input};
use super::super::output::Output;
use super::super::reporter::Live;
use super::super::transfer::{Stop, Watch};
use shmkit::segment::{Gone, Mapping};
use std::io::{self, Read, Write};

/// What a format is told: go no further.
fn stopped() -> io::Error {
    io::Error::other("stopped")
}

/// An input that waits for what comes.
pub struct Incoming<'a> {
    input: &'a Input,
    watch: &'a Watch,
    live: &'a Live,
    stop: Option<Stop>,
}

impl<'a> Incoming<'a> {
    /// Of what is read, `live` is told as of what is not stored yet.
    pub fn new(input: &'a Input, watch: &'a Watch, live: &'a Live) -> Incoming<'a> {
        Incoming {
            input,
            watch,
            live,
            stop: None,
        }
    }

    /// Why a read failed.
    pub fn stop(self) -> Option<Stop> {
        self.stop
    }

    fn next(&self, buffer: &mut [u8]) -> Result<usize, Stop> {
        loop {
            self.watch.glance()?;
            if self.input.wait(self.watch, self.live)? == Found::End {
                return Ok(0);
            }
            match self.input.read(buffer) {
                Ok(Found::Bytes(bytes)) => {
                    self.live.took(bytes as u64);
                    return Ok(bytes);
                }
                Ok(Found::End) => return Ok(0),
                Ok(Found::Nothing) => {}
                Err(errno) => return Err(self.watch.io_error(self.input.label(), errno)),
            }
        }
    }
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_some() {
            return Err(stopped());
        }
        self.next(buffer).map_err(|stop| {
            self.stop = Some(stop);
            stopped()
        })
    }
}

/// An output that waits until there is room.
///
/// What comes here was made from a segment's bytes. Those of a segment that
/// has been truncated read as zeroes, which nobody is to see: so it is asked
/// for in here, behind the last look at them.
pub struct Outgoing<'a> {
    output: &'a Output,
    watch: &'a Watch,
    live: &'a Live,
    segment: Option<&'a Mapping>,
    stop: Option<Stop>,
}

impl<'a> Outgoing<'a> {
    /// For what is made from the bytes of `segment`, as they lie there; or
    /// (`None`) from a copy of them.
    pub fn new(
        output: &'a Output,
        watch: &'a Watch,
        live: &'a Live,
        segment: Option<&'a Mapping>,
    ) -> Outgoing<'a> {
        Outgoing {
            output,
            watch,
            live,
            segment,
            stop: None,
        }
    }

    /// Why a write failed.
    pub fn stop(self) -> Option<Stop> {
        self.stop
    }

    fn next(&self, bytes: &[u8]) -> Result<usize, Stop> {
        match self.segment.and_then(Mapping::gone) {
            Some(Gone::Truncated) => Err(self.watch.gone(Gone::Truncated)),
            _ => write_some(self.output, bytes, self.watch, self.live),
        }
    }
}

/// Writes some of `bytes`, once there is room.
pub fn write_some(
    output: &Output,
    bytes: &[u8],
    watch: &Watch,
    live: &Live,
) -> Result<usize, Stop> {
    loop {
        watch.glance()?;
        match output.write(bytes, watch)? {
            0 if !bytes.is_empty() => output.wait(watch, live)?,
            written => return Ok(written),
        }
    }
}

impl Write for Outgoing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.is_some() {
            return Err(stopped());
        }
        self.next(bytes).map_err(|stop| {
            self.stop = Some(stop);
            stopped()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
