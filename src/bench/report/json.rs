//! One JSON object in a line, with everything in it; and back.
//!
//! ```text
//!   {"machine":{..},"baselines":[{..}, ..],"runs":[{..}, ..],"complete":true}
//! ```
//!
//! The names are those of the fields in [`model`](crate::bench::model), and a part
//! of what the program promises: they stay, and more may be added. What was not
//! measured is `null`, never absent, so that a script may ask for it.
//!
//! What was measured once can be read again, to be written in another format or
//! drawn. A report of another version may have fields that this one does not know;
//! they are passed over. One that lacks a field, or has text behind it, is no
//! report, and an error that says where.

use crate::bench::model::Report;
use std::io::{self, Read, Write};

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, report)?;
    writeln!(out)
}

pub(super) fn read(from: &mut dyn Read) -> io::Result<Report> {
    Ok(serde_json::from_reader(from)?)
}
