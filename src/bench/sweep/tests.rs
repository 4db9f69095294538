//! Sweeps over a made-up machine: no clock, no process.

use super::*;
use crate::bench::executor::{Exchanged, Moved};
use crate::bench::fake;
use crate::bench::plan::{Grid, Limit as Goes};

/// Answers in turn from lists, and writes down what it was asked.
#[derive(Default)]
struct Made {
    asked: Vec<String>,
    /// Seconds that each transfer takes for 1 MB.
    transfers: Vec<Result<Moved, Failure>>,
    pipelines: Vec<Result<f64, Failure>>,
}

impl Executor for Made {
    fn limit(&mut self, limit: Limits, nodes: u32, _: u64, _: &Settings) -> Result<f64, Failure> {
        self.asked.push(format!("{} {nodes}", limit.as_str()));
        match limit {
            Limits::Pipeline if !self.pipelines.is_empty() => self.pipelines.remove(0),
            _ => Ok(100.0),
        }
    }

    fn ideal_exchange(
        &mut self,
        nodes: u32,
        _: u64,
        _: &Settings,
    ) -> Result<Histogram<u64>, Failure> {
        self.asked.push(format!("ideal latency {nodes}"));
        let mut times = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        times.saturating_record(440);
        Ok(times)
    }

    fn transfer(&mut self, point: &Point, _: &Settings) -> Result<Moved, Failure> {
        let nodes = point.geometry.nodes;
        self.asked.push(format!("cell {nodes} {}", point.writers));
        match self.transfers.is_empty() {
            true => moved(50.0),
            false => self.transfers.remove(0),
        }
    }

    fn exchange(&mut self, _: &Point, _: &Settings) -> Result<Exchanged, Failure> {
        self.asked.push("latency".into());
        let mut times = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        (1..=1000).for_each(|us| times.saturating_record(us * 1000));
        Ok(Exchanged {
            one_ways: times.clone(),
            round_trips: times,
        })
    }
}

/// One second at that rate.
fn moved(mb_per_s: f64) -> Result<Moved, Failure> {
    Ok(Moved {
        repeat: Repeat {
            seconds: 1.0,
            bytes: (mb_per_s * 1e6) as u64,
            nodes_moved: 1000,
            ..Repeat::default()
        },
        wrong: None,
    })
}

fn broken(why: &str) -> Result<Moved, Failure> {
    Err(Failure::Failed(why.into()))
}

fn plan(grid: Grid, change: impl FnOnce(&mut Settings)) -> Plan {
    let mut settings = Settings {
        repeat: 3,
        limit: Goes::Messages(1000),
        limits: vec![Limits::Pipeline],
        ..Settings::default()
    };
    change(&mut settings);
    Plan::new(&grid, &settings, false).unwrap()
}

fn two_writers() -> Grid {
    Grid {
        writers: vec![1, 2],
        ..Grid::default()
    }
}

fn sweep(plan: &Plan, made: &mut Made) -> (Report, Vec<String>) {
    let mut shown = Vec::new();
    let report = run(plan, fake::machine(), made, &mut |event| {
        shown.push(match event {
            Event::Step { done, of, what } => format!("{done}/{of} {what}"),
            Event::Row(run) => format!("row {}", run.cell.writers),
            Event::Warning(text) => format!("warning {text}"),
        });
    });
    (report, shown)
}

#[test]
fn limits_and_cells_take_turns_in_every_round() {
    let grid = Grid {
        nodes: vec![2, 5],
        ..two_writers()
    };
    let plan = plan(grid, |settings| {
        settings.repeat = 2;
        settings.limits.push(Limits::Pipe);
    });
    let mut made = Made::default();
    let (report, shown) = sweep(&plan, &mut made);
    let round = |nodes: u32, pipe: bool| {
        let mut asked = vec![format!("pipeline {nodes}")];
        asked.extend(pipe.then(|| format!("pipe {nodes}")));
        asked.extend([format!("cell {nodes} 1"), format!("cell {nodes} 2")]);
        asked
    };
    let rounds = [
        round(2, true),
        round(2, true),
        round(5, false),
        round(5, false),
    ];
    assert_eq!(made.asked, rounds.concat());
    assert_eq!(report.runs.len(), 4);
    assert!(report.complete);
    let names: Vec<_> = report
        .baselines
        .iter()
        .map(|limit| (limit.name.as_str(), limit.nodes))
        .collect();
    assert_eq!(
        names,
        [("pipeline", Some(2)), ("pipe", None), ("pipeline", Some(5))]
    );
    let steps = shown.iter().filter(|line| line.contains('/')).count();
    assert_eq!(steps as u64, plan.steps(), "progress ends where it said");
}

#[test]
fn each_repeat_is_compared_with_the_pipeline_of_its_own_round() {
    let mut made = Made {
        pipelines: vec![Ok(100.0), Ok(200.0), Ok(50.0)],
        transfers: vec![moved(90.0), moved(120.0), moved(35.0)],
        ..Made::default()
    };
    let (report, _) = sweep(&plan(Grid::default(), |_| {}), &mut made);
    let run = &report.runs[0];
    assert_eq!(run.mb_per_s, 90.0);
    assert_eq!(run.fraction_of_pipeline, Some(0.7), "of 0.9, 0.6 and 0.7");
    assert_eq!(run.repeats, 3);
    assert_eq!(report.baselines[0].mb_per_s, 100.0);
}

#[test]
fn a_cell_that_fails_is_marked_and_the_others_go_on() {
    let mut made = Made {
        // First round: both. Second: the first cell fails. Third: only the second.
        transfers: vec![
            moved(10.0),
            moved(20.0),
            broken("killed"),
            moved(21.0),
            moved(22.0),
        ],
        ..Made::default()
    };
    let (report, _) = sweep(&plan(two_writers(), |_| {}), &mut made);
    let [first, second] = report.runs.as_slice() else {
        panic!("{:?}", report.runs)
    };
    assert_eq!(first.failed.as_deref(), Some("killed"));
    assert_eq!((first.repeats, first.mb_per_s), (1, 10.0));
    assert_eq!(second.failed, None);
    assert_eq!((second.repeats, second.mb_per_s), (3, 21.0));
    assert!(report.complete, "a failed row is a row");
}

#[test]
fn a_cell_that_never_worked_is_a_row_with_its_reason() {
    let mut made = Made {
        transfers: vec![broken("no memory")],
        ..Made::default()
    };
    let (report, _) = sweep(&plan(Grid::default(), |_| {}), &mut made);
    let run = &report.runs[0];
    assert_eq!((run.repeats, run.mb_per_s), (0, 0.0));
    assert_eq!(run.failed.as_deref(), Some("no memory"));
    assert_eq!(
        made.asked.iter().filter(|a| a.starts_with("cell")).count(),
        1
    );
}

#[test]
fn wrong_bytes_fail_a_cell_but_its_figures_stay() {
    let wrong = Moved {
        wrong: Some("byte 17".into()),
        repeat: Repeat {
            verified: Some(false),
            ..moved(10.0).unwrap().repeat
        },
    };
    let mut made = Made {
        transfers: vec![Ok(wrong)],
        ..Made::default()
    };
    let (report, _) = sweep(&plan(Grid::default(), |s| s.verify = true), &mut made);
    let run = &report.runs[0];
    assert_eq!(run.verified, Some(false));
    assert_eq!(run.failed.as_deref(), Some("byte 17"));
    assert_eq!(run.mb_per_s, 10.0);
}

#[test]
fn an_interrupted_sweep_has_the_rows_that_were_measured_at_all() {
    let grid = Grid {
        nodes: vec![2, 5, 9],
        ..two_writers()
    };
    // The second group's second round is interrupted at its second cell.
    let mut transfers: Vec<_> = (0..9).map(|_| moved(10.0)).collect();
    transfers.push(Err(Failure::Cancelled));
    let mut made = Made {
        transfers,
        ..Made::default()
    };
    let (report, _) = sweep(&plan(grid, |_| {}), &mut made);
    assert!(!report.complete);
    let rows: Vec<_> = report
        .runs
        .iter()
        .map(|run| (run.cell.nodes, run.cell.writers, run.repeats))
        .collect();
    assert_eq!(rows, [(2, 1, 3), (2, 2, 3), (5, 1, 2), (5, 2, 1)]);
}

#[test]
fn interrupted_at_once_there_is_a_report_without_rows() {
    let mut made = Made {
        pipelines: vec![Err(Failure::Cancelled)],
        ..Made::default()
    };
    let (report, _) = sweep(&plan(Grid::default(), |_| {}), &mut made);
    assert!(!report.complete && report.runs.is_empty() && report.baselines.is_empty());
}

#[test]
fn a_limit_that_fails_is_left_out_with_a_warning_and_not_tried_again() {
    let mut made = Made {
        pipelines: vec![Err(Failure::Failed("no memfd".into()))],
        ..Made::default()
    };
    let (report, shown) = sweep(&plan(Grid::default(), |_| {}), &mut made);
    assert!(report.baselines.is_empty());
    assert_eq!(report.runs[0].fraction_of_pipeline, None);
    let warnings: Vec<_> = shown.iter().filter(|s| s.starts_with("warning")).collect();
    assert_eq!(warnings, ["warning pipeline 20x1M: no memfd"]);
    assert_eq!(
        made.asked.iter().filter(|a| a.starts_with("pipe")).count(),
        1
    );
}

#[test]
fn latencies_of_all_repeats_are_taken_together() {
    let mut made = Made::default();
    let (report, _) = sweep(&plan(Grid::default(), |s| s.latency = true), &mut made);
    let latency = report.runs[0].latency_ns.unwrap();
    let near = |value: u64, wanted: u64| value.abs_diff(wanted) * 100 <= wanted;
    assert!(near(latency.p50, 500_000), "{latency:?}");
    assert!(near(latency.p99, 990_000), "{latency:?}");
    assert!(near(latency.max, 1_000_000), "{latency:?}");
    assert_eq!(report.runs[0].one_way_ns, report.runs[0].latency_ns);
    assert_eq!(made.asked.iter().filter(|a| *a == "latency").count(), 3);
}

#[test]
fn latency_is_measured_of_the_ideal_pipeline_too_in_the_same_round() {
    let mut made = Made::default();
    let plan = plan(Grid::default(), |s| {
        s.latency = true;
        s.limits = vec![Limits::Memcpy, Limits::Pipeline];
        s.repeat = 2;
    });
    let (report, _) = sweep(&plan, &mut made);
    let [memcpy, pipeline] = &report.baselines[..] else {
        panic!("{:?}", report.baselines);
    };
    assert_eq!(memcpy.latency_ns, None);
    assert_eq!(pipeline.latency_ns.unwrap().p50, 440);
    let round = [
        "memcpy 20",
        "pipeline 20",
        "ideal latency 20",
        "cell 20 1",
        "latency",
    ];
    assert_eq!(made.asked, [round, round].concat());
    assert_eq!(plan.steps(), made.asked.len() as u64);
}
