//! Reports that nobody measured, for the tests of what is made of them.
//!
//! All are built through [`Run::of`], as real ones are, so their figures agree.
//! Rates are chosen; everything else follows from them or is the same everywhere.

use super::model::{Baseline, Cell, Latency, Machine, Report, Run, Spread};
use super::statistics::Repeat;

/// A machine that there is not.
pub fn machine() -> Machine {
    Machine {
        cpu: "Imagined Processor 9".into(),
        cpus: 4,
        kernel: "6.1.0".into(),
        arch: "x86_64".into(),
        memory_bytes: 8 << 30,
        version: "1.2.3".into(),
        unix_ns: 1_795_405_921_000_000_000,
    }
}

/// A queue that waits by futex, in processes.
pub fn cell(nodes: u32, node_size: u64, writers: u32, readers: u32) -> Cell {
    Cell {
        nodes,
        node_size,
        writers,
        readers,
        wait: "futex".into(),
        delivery: "queue".into(),
        mode: "process".into(),
        in_place: false,
    }
}

/// Repeats of a second each, at these MB/s, where the ideal pipeline does 4000.
pub fn run(cell: Cell, rates: &[f64]) -> Run {
    let repeat = |rate: &f64| {
        let nodes_moved = (rate * 1e6) as u64 / cell.node_size;
        Repeat {
            seconds: (nodes_moved * cell.node_size) as f64 / 1e6 / rate,
            bytes: nodes_moved * cell.node_size,
            nodes_moved,
            diff_mean: 7.25,
            diff_max: u64::from(cell.nodes),
            diff_final: 0,
            writer_waits: 12_345,
            reader_waits: 67,
            cpu_seconds: 1.98,
            verified: None,
            pipeline_mb_per_s: Some(4000.0),
        }
    };
    let repeats: Vec<Repeat> = rates.iter().map(repeat).collect();
    Run::of(cell, &repeats, None, None, None)
}

/// A limit, with two percent to either side.
pub fn limit(name: &str, nodes: Option<u32>, node_size: u64, mb_per_s: f64) -> Baseline {
    Baseline {
        name: name.into(),
        nodes,
        node_size,
        mb_per_s,
        spread: Spread {
            median: mb_per_s,
            lowest: 0.98 * mb_per_s,
            highest: 1.02 * mb_per_s,
        },
        latency_ns: None,
    }
}

/// These rows, with limits of 20 x 1 MiB.
pub fn report(runs: Vec<Run>) -> Report {
    Report {
        machine: machine(),
        baselines: vec![
            limit("memcpy", Some(20), 1 << 20, 15_200.0),
            limit("pipeline", Some(20), 1 << 20, 4000.0),
            limit("pipe", None, 1 << 20, 1710.0),
        ],
        runs,
        complete: true,
    }
}

/// Two rows of 20 x 1 MiB, one of them failed at once.
pub fn small() -> Report {
    let mut failed = Run::of(cell(20, 1 << 20, 2, 2), &[], None, None, None);
    failed.failed = Some("a writer was killed".into());
    report(vec![
        run(cell(20, 1 << 20, 1, 1), &[5000.0, 5100.0, 4900.0]),
        failed,
    ])
}

/// Everything that can be measured, was.
pub fn full() -> Report {
    let latency = Latency {
        p50: 440,
        p99: 870,
        p999: 3100,
        max: 120_000,
    };
    let mut full = run(cell(20, 1 << 20, 1, 1), &[5000.0]);
    full.latency_ns = Some(latency);
    full.one_way_ns = Some(Latency {
        p50: 220,
        ..latency
    });
    full.verified = Some(true);
    let mut report = report(vec![full]);
    for limit in &mut report.baselines {
        limit.latency_ns = (limit.name == "pipeline").then_some(latency);
    }
    report
}

/// The grid of five node counts, two node sizes, four combinations of parties.
pub fn sweep() -> Report {
    let mut runs = Vec::new();
    let mut baselines = Vec::new();
    for node_size in [1 << 10, 1 << 20] {
        for nodes in [2, 5, 10, 20, 50] {
            let limit_here = 3000.0 + 100.0 * f64::from(nodes);
            baselines.push(limit("pipeline", Some(nodes), node_size, limit_here));
            for (writers, readers) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
                let rate = 6000.0 / f64::from(writers + readers) + f64::from(nodes);
                let rates = [rate, 1.05 * rate, 0.9 * rate];
                runs.push(run(cell(nodes, node_size, writers, readers), &rates));
            }
        }
    }
    Report {
        baselines,
        ..report(runs)
    }
}
