//! `--watch`: a segment, or all of them, looked at again and again.
//!
//! ```text
//! /dev/shm/NAME --pread--> probe --Look--> track ----> draw ----> tty
//!                            |             (roll: all)  ^  pure    ^
//!                        commands           verdict     ui <-- keys|
//!                        (/proc)               |            screen: the loop
//!                                              `------> lines, off a terminal
//! ```
//!
//! - [`probe`] looks, at a bounded cost; nothing is ever mapped or changed.
//! - [`track`] is the model: what the differences between looks say; [`verdict`] who
//!   waits for whom. Both are arithmetic on snapshots. [`roll`] is the same for all segments.
//! - [`draw`] turns that into cells, [`ui`] is what keys have set. Both are pure, too.
//! - [`tty`] takes the terminal and gives it back, whatever happens; [`jobs`] knows what
//!   the shell's job control wants of us; [`screen`] is the loop.
//! - [`lines`] is what comes out where no person sits at a terminal.
//!
//! A watch ends with the segment (6), by `q` (0; 5 if what was last seen is damaged, as
//! without `--watch`), or by a signal. Damage does not end it: who looks at a damaged
//! ring wants to see what goes on.

mod commands;
mod draw;
mod jobs;
mod keys;
mod lines;
mod probe;
mod roll;
mod screen;
#[cfg(test)]
mod tests;
mod track;
mod tty;
mod ui;
mod verdict;

use super::args::{Cli, InspectArgs, ListArgs};
use super::exit::ExitStatus;
use super::inspect::now_unix_ns;
use super::summary::rate;
use clap::Parser;
use draw::Setting;
use probe::{Probe, Wish};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use roll::{Line, Probes, Roll};
use serde::Serialize;
use shmkit::inspect::{Role, Snapshot, list, text};
use shmkit::segment::{Name, OpenOptions, SegmentError, Size};
use std::ffi::OsString;
use std::fmt::Write;
use std::time::{Duration, SystemTime};
use track::Track;
use ui::Table;

/// From look to look on a screen, where nothing else was said.
const SCREEN: Duration = Duration::from_millis(200);
/// From line to line.
const LINES: Duration = Duration::from_secs(1);

/// Parses a command line. `--watch NAME` is not a duration, but what one types who
/// has NAME in mind last: it is understood if nothing else can be meant.
pub fn parse(argv: &[OsString]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(argv).or_else(|error| {
        let turned = name_first(argv).and_then(|argv| Cli::try_parse_from(argv).ok());
        turned.ok_or(error)
    })
}

/// The command line with the word behind `--watch` before it.
fn name_first(argv: &[OsString]) -> Option<Vec<OsString>> {
    let at = argv.iter().position(|word| word == "--watch")?;
    let mut argv = argv.to_vec();
    (at + 1 < argv.len()).then(|| argv.swap(at, at + 1))?;
    Some(argv)
}

/// What is watched.
trait Subject {
    /// Looks, at a moment since the watch began; for a screen of that size.
    fn look(&mut self, at: Duration, screen: Option<Rect>) -> anyhow::Result<()>;
    /// Draws what was seen.
    fn draw(&self, page: &mut Buffer, setting: &Setting<'_>) -> Table;
    /// What was seen, in lines for people.
    fn lines(&self) -> String;
    /// What was seen, as one JSON value.
    fn json(&self) -> anyhow::Result<String>;
    /// How a watch of it ends that is told to.
    fn verdict(&self) -> anyhow::Result<ExitStatus>;
}

/// `shm inspect NAME --watch`.
pub fn inspect(args: &InspectArgs, every: Option<Duration>) -> anyhow::Result<ExitStatus> {
    let options = OpenOptions {
        any_owner: args.any_owner,
    };
    let mut segment = Segment {
        name: args.name.clone(),
        probe: Probe::open(&args.name, options)?,
        track: None,
    };
    run(&mut segment, every, args.json)
}

/// `shm list --watch`.
pub fn list(args: &ListArgs, every: Option<Duration>) -> anyhow::Result<ExitStatus> {
    run(&mut All::default(), every, args.json)
}

fn run(
    subject: &mut dyn Subject,
    every: Option<Duration>,
    json: bool,
) -> anyhow::Result<ExitStatus> {
    match !json && tty::is_there() {
        true => screen::run(subject, every.unwrap_or(SCREEN)),
        false => lines::run(subject, every.unwrap_or(LINES), json),
    }
}

/// One segment.
struct Segment {
    name: Name,
    probe: Probe,
    track: Option<Track>,
}

impl Subject for Segment {
    fn look(&mut self, at: Duration, screen: Option<Rect>) -> anyhow::Result<()> {
        let per_cell = |area: Rect| {
            let nodes = self.probe.nodes()?;
            Some(draw::nodes_per_cell(nodes, area.width, area.height))
        };
        let wish = Wish {
            nodes_per_cell: screen.and_then(per_cell),
            commands: screen.is_some(),
            exact: screen.is_none(),
            probes: 1,
        };
        let look = self.probe.look(at, now_unix_ns(), wish)?;
        match &mut self.track {
            Some(track) => track.advance(look),
            None => self.track = Some(Track::new(look)),
        }
        Ok(())
    }

    fn draw(&self, page: &mut Buffer, setting: &Setting<'_>) -> Table {
        let track = self.track.as_ref();
        track.map_or(Table::default(), |track| {
            draw::segment::draw(page, track, setting)
        })
    }

    fn lines(&self) -> String {
        let time = humantime::format_rfc3339_seconds(SystemTime::now());
        let track = self.track.as_ref();
        track.map_or(String::new(), |track| format!("{time}  {}\n", line(track)))
    }

    fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(&self.track.as_ref().map(Report::of))?)
    }

    fn verdict(&self) -> anyhow::Result<ExitStatus> {
        let damage = self
            .track
            .as_ref()
            .and_then(|track| track.now.snapshot.damage.summary());
        match damage {
            None => Ok(ExitStatus::Success),
            Some(why) => Err(SegmentError::Corrupt {
                name: self.name.clone(),
                why,
            }
            .into()),
        }
    }
}

/// All segments.
#[derive(Default)]
struct All {
    probes: Probes,
    roll: Roll,
    now_unix_ns: u64,
}

impl Subject for All {
    fn look(&mut self, at: Duration, screen: Option<Rect>) -> anyhow::Result<()> {
        self.now_unix_ns = now_unix_ns();
        let exact = screen.is_none();
        let found = self.probes.look(at, self.now_unix_ns, exact)?;
        self.roll.advance(at, found);
        Ok(())
    }

    fn draw(&self, page: &mut Buffer, setting: &Setting<'_>) -> Table {
        draw::list::draw(page, &self.roll, setting, self.now_unix_ns)
    }

    fn lines(&self) -> String {
        let time = humantime::format_rfc3339_seconds(SystemTime::now());
        let mut lines = String::new();
        for (name, Line { seen, .. }) in self.roll.present() {
            let what = match seen {
                Ok(track) => {
                    let snapshot = &track.now.snapshot;
                    let (kind, size) = (snapshot.kind, list::geometry(snapshot, false));
                    format!("{kind} {size}  {}", line(track))
                }
                Err(why) => why.clone(),
            };
            let _ = writeln!(lines, "{time}  {name}  {what}");
        }
        if lines.is_empty() {
            lines = format!("{time}  no segments\n");
        }
        lines
    }

    fn json(&self) -> anyhow::Result<String> {
        let each = |(name, line): (&String, &Line)| match &line.seen {
            Ok(track) => serde_json::to_value(Report::of(track)),
            Err(why) => Ok(serde_json::json!({ "name": name, "error": why })),
        };
        let all: Result<Vec<_>, _> = self.roll.present().map(each).collect();
        Ok(serde_json::to_string(&all?)?)
    }

    fn verdict(&self) -> anyhow::Result<ExitStatus> {
        Ok(ExitStatus::Success)
    }
}

/// A segment in one line, behind its time.
fn line(track: &Track) -> String {
    let snapshot = &track.now.snapshot;
    let mb = |of: fn(&track::Rates) -> f64| {
        let rates = track.latest.as_ref().map(|(rates, _)| rates);
        rates.map_or("-".to_owned(), |rates| rate(of(rates)))
    };
    let (written, read) = (mb(|rates| rates.written_mb), mb(|rates| rates.read_mb));
    let mut line = format!("in {written} MB/s  out {read} MB/s");
    if let Some(ring) = &snapshot.ring {
        let (diff, bytes) = (ring.diff_nodes, Size(ring.diff_bytes));
        let _ = write!(line, "  diff {diff} of {} ({bytes})", ring.nodes);
    }
    if let Some(lock) = &snapshot.lock {
        let _ = write!(line, "  lock {}", text::lock(lock, &snapshot.participants));
    }
    for (role, noun) in [(Role::Writer, "writers"), (Role::Reader, "readers")] {
        let _ = write!(line, "  {noun} {}", list::count(snapshot, role));
    }
    for remark in verdict::remarks(track) {
        let _ = write!(line, "  {}", remark.text);
    }
    line
}

/// What a script gets: the object of `inspect --json`, and what moves.
#[derive(Serialize)]
struct Report<'a> {
    unix_ns: u64,
    #[serde(flatten)]
    snapshot: &'a Snapshot,
    /// Since the last one; null in the first.
    rates: Option<ReportRates>,
    /// `writers` or `readers` that wait for the others, or null.
    blocked: Option<&'static str>,
    /// The sentences of the screen.
    remarks: Vec<String>,
}

#[derive(Serialize)]
struct ReportRates {
    interval_ns: u64,
    written_mb_per_s: f64,
    read_mb_per_s: f64,
    /// Of arrays and buffers: locks.
    written_nodes_per_s: f64,
    read_nodes_per_s: f64,
    writer_waits_per_s: f64,
    reader_waits_per_s: f64,
    dropped_nodes_per_s: f64,
}

impl Report<'_> {
    fn of(track: &Track) -> Report<'_> {
        let rates = track.latest.map(|(rates, elapsed)| ReportRates {
            interval_ns: elapsed.as_nanos().try_into().unwrap_or(u64::MAX),
            written_mb_per_s: rates.written_mb,
            read_mb_per_s: rates.read_mb,
            written_nodes_per_s: rates.written_nodes,
            read_nodes_per_s: rates.read_nodes,
            writer_waits_per_s: rates.writer_waits,
            reader_waits_per_s: rates.reader_waits,
            dropped_nodes_per_s: rates.dropped_nodes,
        });
        let remarks = verdict::remarks(track).into_iter();
        Report {
            unix_ns: track.now.unix_ns,
            snapshot: &track.now.snapshot,
            rates,
            blocked: verdict::blocked(track),
            remarks: remarks.map(|remark| remark.text).collect(),
        }
    }
}
