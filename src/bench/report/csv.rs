//! Comma-separated values: a line of names, the limits, then the rows.
//!
//! ```text
//!   kind,name,nodes,node_size,writers,...,mb_per_s,...,machine_cpu,...
//!   baseline,pipeline,20,1048576,,...,6010.0,...,Some Processor,...
//!   run,,20,1048576,1,...,8312.0,...,Some Processor,...
//! ```
//!
//! The names are those of the JSON, nested ones joined by `_`. `kind` says what a
//! line is. What does not apply to a line is empty. Every line also carries the
//! machine, so that the files of several machines or days can be put together.
//! The line of names is there even if there is no other.
//!
//! Figures are as exact as they were measured. Quoting is that of RFC 4180, line
//! ends are `\n`. A field that the model gets must be added to [`Line`] too; a test
//! compares them with the JSON.

use crate::bench::model::{Baseline, Latency, Machine, Report, Run};
use csv::{ErrorKind, QuoteStyle, Terminator, WriterBuilder};
use serde::Serialize;
use std::io::{self, Write};

/// A line. The order of its fields is the order of the columns.
#[derive(Default, Serialize)]
struct Line<'a> {
    kind: &'static str,
    name: &'a str,
    nodes: Option<u32>,
    node_size: Option<u64>,
    writers: Option<u32>,
    readers: Option<u32>,
    wait: &'a str,
    delivery: &'a str,
    mode: &'a str,
    in_place: Option<bool>,
    repeats: Option<u32>,
    seconds: Option<f64>,
    bytes: Option<u64>,
    nodes_moved: Option<u64>,
    mb_per_s: Option<f64>,
    mb_per_s_spread_median: Option<f64>,
    mb_per_s_spread_lowest: Option<f64>,
    mb_per_s_spread_highest: Option<f64>,
    mb_per_s_per_reader: Option<f64>,
    mb_per_s_both_ways: Option<f64>,
    nodes_per_s: Option<f64>,
    fraction_of_pipeline: Option<f64>,
    diff_mean: Option<f64>,
    diff_max: Option<u64>,
    diff_final: Option<u64>,
    writer_waits: Option<u64>,
    reader_waits: Option<u64>,
    latency_ns_p50: Option<u64>,
    latency_ns_p99: Option<u64>,
    latency_ns_p999: Option<u64>,
    latency_ns_max: Option<u64>,
    one_way_ns_p50: Option<u64>,
    one_way_ns_p99: Option<u64>,
    one_way_ns_p999: Option<u64>,
    one_way_ns_max: Option<u64>,
    cpu_seconds: Option<f64>,
    verified: Option<bool>,
    failed: &'a str,
    machine_cpu: &'a str,
    machine_cpus: usize,
    machine_kernel: &'a str,
    machine_arch: &'a str,
    machine_memory_bytes: u64,
    machine_version: &'a str,
    machine_unix_ns: u64,
}

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    write_lines(report, out).map_err(|error| match error.into_kind() {
        // As it came: a closed pipe is to be known as one.
        ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    })
}

fn write_lines(report: &Report, out: &mut dyn Write) -> csv::Result<()> {
    let mut csv = WriterBuilder::new()
        .has_headers(false)
        .quote_style(QuoteStyle::Necessary)
        .terminator(Terminator::Any(b'\n'))
        .from_writer(out);
    csv.write_record(&names()?)?;
    for baseline in &report.baselines {
        csv.serialize(Line::of_baseline(baseline, &report.machine))?;
    }
    for run in &report.runs {
        csv.serialize(Line::of_run(run, &report.machine))?;
    }
    Ok(csv.flush()?)
}

/// The names of the columns: there is a line of them even if there is no other.
fn names() -> csv::Result<csv::StringRecord> {
    let mut csv = WriterBuilder::new().from_writer(Vec::new());
    csv.serialize(Line::default())?;
    let text = csv.into_inner().map_err(|error| error.into_error())?;
    Ok(csv::Reader::from_reader(&*text).headers()?.clone())
}

impl<'a> Line<'a> {
    fn of(kind: &'static str, machine: &'a Machine) -> Line<'a> {
        Line {
            kind,
            machine_cpu: &machine.cpu,
            machine_cpus: machine.cpus,
            machine_kernel: &machine.kernel,
            machine_arch: &machine.arch,
            machine_memory_bytes: machine.memory_bytes,
            machine_version: &machine.version,
            machine_unix_ns: machine.unix_ns,
            ..Line::default()
        }
    }

    fn of_baseline(baseline: &'a Baseline, machine: &'a Machine) -> Line<'a> {
        Line {
            name: &baseline.name,
            nodes: baseline.nodes,
            node_size: Some(baseline.node_size),
            mb_per_s: Some(baseline.mb_per_s),
            mb_per_s_spread_median: Some(baseline.spread.median),
            mb_per_s_spread_lowest: Some(baseline.spread.lowest),
            mb_per_s_spread_highest: Some(baseline.spread.highest),
            ..Line::of("baseline", machine).with_latency(baseline.latency_ns)
        }
    }

    /// There and back.
    fn with_latency(self, latency: Option<Latency>) -> Line<'a> {
        Line {
            latency_ns_p50: latency.map(|latency| latency.p50),
            latency_ns_p99: latency.map(|latency| latency.p99),
            latency_ns_p999: latency.map(|latency| latency.p999),
            latency_ns_max: latency.map(|latency| latency.max),
            ..self
        }
    }

    fn of_run(run: &'a Run, machine: &'a Machine) -> Line<'a> {
        let one_way = run.one_way_ns;
        Line {
            nodes: Some(run.cell.nodes),
            node_size: Some(run.cell.node_size),
            writers: Some(run.cell.writers),
            readers: Some(run.cell.readers),
            wait: &run.cell.wait,
            delivery: &run.cell.delivery,
            mode: &run.cell.mode,
            in_place: Some(run.cell.in_place),
            repeats: Some(run.repeats),
            seconds: Some(run.seconds),
            bytes: Some(run.bytes),
            nodes_moved: Some(run.nodes_moved),
            mb_per_s: Some(run.mb_per_s),
            mb_per_s_spread_median: Some(run.mb_per_s_spread.median),
            mb_per_s_spread_lowest: Some(run.mb_per_s_spread.lowest),
            mb_per_s_spread_highest: Some(run.mb_per_s_spread.highest),
            mb_per_s_per_reader: Some(run.mb_per_s_per_reader),
            mb_per_s_both_ways: Some(run.mb_per_s_both_ways),
            nodes_per_s: Some(run.nodes_per_s),
            fraction_of_pipeline: run.fraction_of_pipeline,
            diff_mean: Some(run.diff_mean),
            diff_max: Some(run.diff_max),
            diff_final: Some(run.diff_final),
            writer_waits: Some(run.writer_waits),
            reader_waits: Some(run.reader_waits),
            one_way_ns_p50: one_way.map(|latency| latency.p50),
            one_way_ns_p99: one_way.map(|latency| latency.p99),
            one_way_ns_p999: one_way.map(|latency| latency.p999),
            one_way_ns_max: one_way.map(|latency| latency.max),
            cpu_seconds: Some(run.cpu_seconds),
            verified: run.verified,
            failed: run.failed.as_deref().unwrap_or_default(),
            ..Line::of("run", machine).with_latency(run.latency_ns)
        }
    }
}
