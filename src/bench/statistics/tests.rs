use super::*;

fn cell() -> Cell {
    Cell {
        nodes: 20,
        node_size: 1000,
        writers: 1,
        readers: 1,
        wait: "futex".into(),
        delivery: "queue".into(),
        mode: "process".into(),
        in_place: false,
    }
}

/// A repeat that moved so many nodes of 1000 bytes in so many seconds.
fn repeat(nodes: u64, seconds: f64) -> Repeat {
    Repeat {
        seconds,
        bytes: nodes * 1000,
        nodes_moved: nodes,
        ..Repeat::default()
    }
}

fn row(repeats: &[Repeat]) -> Run {
    Run::of(cell(), repeats, None, None, None)
}

#[test]
fn a_median_is_the_middle_value_or_the_mean_of_the_two_in_the_middle() {
    for (values, expected) in [
        (&[][..], None),
        (&[7.0], Some(7.0)),
        (&[9.0, 1.0], Some(5.0)),
        (&[5.0, 1.0, 900.0], Some(5.0)),
        (&[8.0, 2.0, 4.0, 100.0], Some(6.0)),
        (&[-1.0, -3.0, -2.0], Some(-2.0)),
        (&[1.0, f64::NAN, 2.0], None),
        (&[-f64::NAN, 2.0], None),
    ] {
        assert_eq!(median(values), expected, "{values:?}");
    }
}

#[test]
fn a_spread_is_the_median_with_the_lowest_and_the_highest() {
    let spread = Spread::of(&[10.0, 8.0, 13.0]).unwrap();
    assert_eq!(
        (spread.lowest, spread.median, spread.highest),
        (8.0, 10.0, 13.0)
    );
    assert_eq!(spread.deviation(), Some(0.3));
    assert_eq!(Spread::of(&[]), None);
    assert_eq!(Spread::default().deviation(), None);
}

#[test]
fn ratios_are_taken_pair_by_pair_and_need_something_to_compare_with() {
    assert_eq!(ratios(&[6.0, 8.0, 1.0], &[2.0, 4.0]), [3.0, 2.0]);
    assert_eq!(ratios(&[6.0, 8.0, 9.0], &[0.0, 4.0, f64::NAN]), [2.0]);
}

#[test]
fn a_row_shows_the_median_rate_and_the_middle_repeats_work() {
    let run = row(&[repeat(3000, 1.0), repeat(2000, 0.5), repeat(1000, 2.0)]);
    assert_eq!(run.repeats, 3);
    assert_eq!(run.mb_per_s, 3.0);
    assert_eq!(
        (run.bytes, run.nodes_moved, run.seconds),
        (3_000_000, 3000, 1.0)
    );
    assert_eq!(
        (run.mb_per_s_spread.lowest, run.mb_per_s_spread.highest),
        (0.5, 4.0)
    );
    assert_eq!(run.nodes_per_s, 3000.0);
    assert_eq!(run.mb_per_s_both_ways, 6.0);
    assert_eq!(run.mb_per_s_per_reader, 3.0);
}

#[test]
fn the_figures_of_a_row_agree_with_each_other_whatever_the_repeats_were() {
    let mut seed = 7_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % 10_000 + 1
    };
    for count in 1..=8 {
        for _ in 0..50 {
            let repeats: Vec<Repeat> = (0..count)
                .map(|_| repeat(random(), random() as f64 / 1000.0))
                .collect();
            let run = row(&repeats);
            let rate = run.bytes as f64 / 1e6 / run.seconds;
            assert!((run.mb_per_s / rate - 1.0).abs() < 1e-9, "{run:?}");
            assert_eq!(run.nodes_moved * run.cell.node_size, run.bytes);
            assert_eq!(run.mb_per_s, run.mb_per_s_spread.median);
            assert!(repeats.iter().any(|r| r.bytes == run.bytes));
        }
    }
}

#[test]
fn a_fraction_is_the_median_of_the_repeats_own_ratios() {
    let beside = |nodes, pipeline| Repeat {
        pipeline_mb_per_s: pipeline,
        ..repeat(nodes, 1.0)
    };
    // Rates 2, 3, 10; the ratios 2, 0.5 and 1. The medians alone would say 3 / 6.
    let run = row(&[
        beside(2000, Some(1.0)),
        beside(3000, Some(6.0)),
        beside(10_000, Some(10.0)),
    ]);
    assert_eq!(run.fraction_of_pipeline, Some(1.0));
    assert_eq!(row(&[beside(2000, None)]).fraction_of_pipeline, None);
    let run = row(&[beside(2000, None), beside(3000, Some(6.0))]);
    assert_eq!(run.fraction_of_pipeline, Some(0.5));
}

#[test]
fn both_ways_of_a_broadcast_counts_what_every_reader_read() {
    let cell = Cell {
        delivery: "broadcast".into(),
        readers: 3,
        ..cell()
    };
    let run = Run::of(cell, &[repeat(5000, 1.0)], None, None, None);
    assert_eq!((run.mb_per_s, run.mb_per_s_both_ways), (5.0, 20.0));
    assert_eq!(run.mb_per_s_per_reader, 5.0);
    let cell = Cell {
        readers: 2,
        ..self::cell()
    };
    let shared = Run::of(cell, &[repeat(5000, 1.0)], None, None, None);
    assert_eq!(shared.mb_per_s_per_reader, 2.5);
}

#[test]
fn what_tells_of_trouble_is_the_worst_of_all_repeats() {
    let repeats = [
        Repeat {
            diff_max: 20,
            diff_final: 0,
            verified: Some(true),
            ..repeat(1, 1.0)
        },
        Repeat {
            diff_max: 3,
            diff_final: 2,
            verified: Some(false),
            ..repeat(2, 1.0)
        },
        Repeat {
            diff_max: 5,
            diff_final: 0,
            verified: Some(true),
            ..repeat(3, 1.0)
        },
    ];
    let run = row(&repeats);
    assert_eq!(
        (run.diff_max, run.diff_final, run.verified),
        (20, 2, Some(false))
    );
    assert_eq!(row(&repeats[..1]).verified, Some(true));
    assert_eq!(row(&[repeat(1, 1.0)]).verified, None);
}

#[test]
fn what_tells_of_effort_is_the_middle_of_all_repeats() {
    let effort = |waits, cpu_seconds| Repeat {
        writer_waits: waits,
        reader_waits: 10 * waits,
        diff_mean: cpu_seconds + 1.0,
        cpu_seconds,
        ..repeat(1, 1.0)
    };
    let run = row(&[effort(900, 2.0), effort(1, 9.0), effort(4, 0.5)]);
    assert_eq!((run.writer_waits, run.reader_waits), (4, 40));
    assert_eq!((run.cpu_seconds, run.diff_mean), (2.0, 3.0));
}

#[test]
fn a_cell_that_failed_at_once_has_a_row_of_zeroes_and_a_reason() {
    let reason = Some("a writer was killed".to_owned());
    let run = Run::of(cell(), &[], None, None, reason.clone());
    assert_eq!(run.failed, reason);
    assert_eq!(
        (run.repeats, run.bytes, run.mb_per_s, run.seconds),
        (0, 0, 0.0, 0.0)
    );
    assert_eq!((run.fraction_of_pipeline, run.verified), (None, None));
}

#[test]
fn a_repeat_that_took_no_time_measured_nothing() {
    for seconds in [0.0, -1.0, f64::NAN, f64::MIN_POSITIVE / 4.0] {
        let run = row(&[repeat(1000, seconds)]);
        assert_eq!((run.repeats, run.mb_per_s), (0, 0.0), "{seconds}");
    }
    assert_eq!(row(&[repeat(1000, 0.0), repeat(1000, 1.0)]).mb_per_s, 1.0);
    let run = row(&[repeat(0, 1.0)]);
    assert_eq!((run.repeats, run.mb_per_s, run.seconds), (1, 0.0, 1.0));
}
