//! `shm create`: a ring, an array or a buffer under its name, whole or not at
//! all.
//!
//! The library reserves all memory before the name appears. What is left to
//! do here is `--if-not-exists`: an existing segment counts as created when it
//! is what was asked for, down to the mode; one that differs is an error
//! naming both, so that nobody goes on with one that is not what the script
//! says. (What an array's elements are by now is not compared.)

use super::args::{CreateArrayArgs, CreateBufferArgs, CreateCommonArgs, CreateRingArgs};
use super::exit::{self, CliError, ExitStatus};
use super::format;
use super::output;
use super::signals::Signals;
use anyhow::Context;
use serde_json::{Value, json};
use shmkit::array::{self, ElementType};
use shmkit::buffer;
use shmkit::ring::{self, Geometry};
use shmkit::segment::{Kind, Name, OpenOptions, Opened, SegmentError, Size};

/// The characters of an element type that a message shows.
const SHOWN: usize = 60;

/// Creates a ring.
pub fn ring(args: &CreateRingArgs) -> anyhow::Result<ExitStatus> {
    let geometry = Geometry::new(
        args.nodes,
        args.node_size,
        args.delivery.into(),
        args.wait.into(),
    )
    .with_context(|| args.name.to_string())?;
    run(&args.name, &args.common, &Plan::Ring(geometry), None)
}

/// Creates an array.
pub fn array(args: &CreateArrayArgs) -> anyhow::Result<ExitStatus> {
    let name = || args.name.to_string();
    let element: ElementType = args.element_type.parse().with_context(name)?;
    let fill = match &args.fill {
        None => None,
        Some(text) => Some(
            format::parse_fill(&element, text)
                .map_err(|why| CliError::Usage(format!("--fill: {why}")))
                .with_context(name)?,
        ),
    };
    let spec = array::Spec::new(element, args.len).with_context(name)?;
    run(
        &args.name,
        &args.common,
        &Plan::Array(spec),
        fill.as_deref(),
    )
}

/// Creates a buffer.
pub fn buffer(args: &CreateBufferArgs) -> anyhow::Result<ExitStatus> {
    let spec = buffer::Spec::new(args.size).with_context(|| args.name.to_string())?;
    run(&args.name, &args.common, &Plan::Buffer(spec), None)
}

/// What a segment is, as far as `create` decides it.
#[derive(PartialEq)]
enum Plan {
    Ring(Geometry),
    Array(array::Spec),
    Buffer(buffer::Spec),
}

impl Plan {
    /// That of an existing segment.
    fn of(found: &Opened) -> Result<Plan, SegmentError> {
        let (name, header) = (found.name(), found.header());
        Ok(match header.kind {
            Kind::Ring => {
                Plan::Ring(
                    Geometry::from_header(header).map_err(|why| SegmentError::Corrupt {
                        name: name.clone(),
                        why,
                    })?,
                )
            }
            Kind::Array => Plan::Array(array::Spec::of(found)?),
            Kind::Buffer => Plan::Buffer(buffer::Spec::of(name, header)?),
        })
    }

    fn kind(&self) -> Kind {
        match self {
            Plan::Ring(_) => Kind::Ring,
            Plan::Array(_) => Kind::Array,
            Plan::Buffer(_) => Kind::Buffer,
        }
    }

    fn total_size(&self) -> u64 {
        match self {
            Plan::Ring(geometry) => geometry.total_size(),
            Plan::Array(spec) => spec.total_size(),
            Plan::Buffer(spec) => spec.total_size(),
        }
    }

    /// For scripts.
    fn json(&self) -> Value {
        match self {
            Plan::Ring(geometry) => json!({
                "delivery": geometry.delivery.as_str(),
                "wait": geometry.wait.as_str(),
                "nodes": geometry.nodes,
                "node_size": geometry.node_size,
            }),
            Plan::Array(spec) => json!({
                "type": spec.element_type().to_string(),
                "len": spec.len(),
                "element_size": spec.element_type().size(),
                "data_offset": spec.data_offset(),
            }),
            Plan::Buffer(spec) => json!({
                "size": spec.size(),
                "data_offset": spec.data_offset(),
            }),
        }
    }

    /// For people.
    fn describe(&self) -> String {
        match self {
            Plan::Ring(ring) => format!(
                "a ring of {} nodes of {} bytes ({}), {} delivery, {} wait",
                ring.nodes,
                ring.node_size,
                Size(ring.node_size),
                ring.delivery.as_str(),
                ring.wait.as_str()
            ),
            Plan::Array(spec) => {
                let mut element = spec.element_type().to_string();
                if element.len() > SHOWN {
                    // A description is ASCII.
                    element.truncate(SHOWN);
                    element += "...";
                }
                format!("an array of {} x {element}", spec.len())
            }
            Plan::Buffer(spec) => {
                format!("a buffer of {} bytes ({})", spec.size(), Size(spec.size()))
            }
        }
    }

    fn create(
        &self,
        name: &Name,
        mode: u32,
        fill: Option<&[u8]>,
        cancelled: &dyn Fn() -> bool,
    ) -> anyhow::Result<()> {
        match self {
            Plan::Ring(geometry) => ring::create_unless(name, *geometry, mode, cancelled)?,
            Plan::Array(spec) => array::create_unless(name, spec, fill, mode, cancelled)?,
            Plan::Buffer(spec) => buffer::create_unless(name, spec, mode, cancelled)?,
        }
        Ok(())
    }
}

fn run(
    name: &Name,
    args: &CreateCommonArgs,
    plan: &Plan,
    fill: Option<&[u8]>,
) -> anyhow::Result<ExitStatus> {
    // From here on a signal is an answer to wait for: nothing may be left.
    let signals = Signals::install().context("handling signals")?;
    let created = match create_or_find(name, args, plan, fill, &signals) {
        Ok(created) => created,
        Err(error) => return signals.caught().ok_or(error),
    };
    if args.json {
        let kind = plan.kind().as_str();
        output::print_json(&json!({
            "name": name.as_str(),
            "kind": kind,
            "created": created,
            "size_bytes": plan.total_size(),
            "mode": format!("{:04o}", args.mode),
            kind: plan.json(),
        }))?;
    }
    Ok(ExitStatus::Success)
}

/// Whether it was created (or was there, equal, and that is fine).
fn create_or_find(
    name: &Name,
    args: &CreateCommonArgs,
    plan: &Plan,
    fill: Option<&[u8]>,
    signals: &Signals,
) -> anyhow::Result<bool> {
    let cancelled = || signals.caught().is_some();
    loop {
        let Err(error) = plan.create(name, args.mode, fill, &cancelled) else {
            return Ok(true);
        };
        match exit::segment_error(&error) {
            Some(SegmentError::AlreadyExists { .. }) if args.if_not_exists => {}
            Some(SegmentError::AlreadyExists { .. }) => {
                return Err(anyhow::anyhow!("{error}, or pass --if-not-exists"));
            }
            _ => return Err(error),
        }
        // Another user's is none that we could use.
        match Opened::open(name, OpenOptions::default()) {
            Ok(found) => return same(&found, plan, args.mode).map(|()| false),
            // Removed in between: then it is ours to create.
            Err(SegmentError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Fails, naming both, unless `found` is what is wanted.
fn same(found: &Opened, wanted: &Plan, mode: u32) -> anyhow::Result<()> {
    let existing = Plan::of(found)?;
    if existing == *wanted && found.mode() == mode {
        return Ok(());
    }
    let name = found.name();
    anyhow::bail!(
        "{name}: already exists as {}, mode {:04o}, not as {}, mode {mode:04o}; choose another name, or remove it first: shm remove {name}",
        existing.describe(),
        found.mode(),
        wanted.describe()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_told_in_words_that_stay_short() {
        let array = |element: &str| {
            let spec = array::Spec::new(element.parse().unwrap(), 1000).unwrap();
            Plan::Array(spec).describe()
        };
        assert_eq!(array("[f32;3]"), "an array of 1000 x [f32;3]");
        let record = (0..100).map(|i| format!("field{i}:u8")).collect::<Vec<_>>();
        let told = array(&record.join(","));
        assert!(told.ends_with("..."), "{told}");
        assert!(told.len() < 100, "{told}");
        let buffer = Plan::Buffer(buffer::Spec::new(1536).unwrap());
        assert_eq!(buffer.describe(), "a buffer of 1536 bytes (1.50 KiB)");
    }
}
