//! Plans and refusals, without measuring anything.

use super::*;

fn plan(grid: Grid) -> Result<Plan, PlanError> {
    Plan::new(&grid, &Settings::default(), false)
}

#[test]
fn the_product_of_the_lists_is_swept_in_the_order_of_the_report() {
    let plan = plan(Grid {
        nodes: vec![2, 5],
        node_sizes: vec![1024, 64],
        writers: vec![1, 2],
        ..Grid::default()
    })
    .unwrap();
    let rows: Vec<_> = plan
        .groups
        .iter()
        .flat_map(|group| &group.cells)
        .map(|point| {
            let geometry = point.geometry;
            (geometry.node_size, geometry.nodes, point.writers)
        })
        .collect();
    assert_eq!(
        rows,
        [
            (1024, 2, 1),
            (1024, 2, 2),
            (1024, 5, 1),
            (1024, 5, 2),
            (64, 2, 1),
            (64, 2, 2),
            (64, 5, 1),
            (64, 5, 2)
        ]
    );
    // 8 cells and 4 groups with memcpy and pipeline, pipe and socket with
    // the first group of each size; each 5 times.
    assert_eq!(plan.steps(), (8 + 4 * 2 + 2 * 2) * 5);
}

#[test]
fn the_sweep_is_the_charts_grid() {
    let plan = plan(Grid::sweep()).unwrap();
    assert_eq!(plan.cells(), 40);
    assert!(
        plan.groups
            .iter()
            .all(|group| group.limits.contains(&Limits::Pipeline))
    );
}

#[test]
fn a_value_listed_twice_is_measured_once() {
    let plan = plan(Grid {
        nodes: vec![4, 4, 2, 4],
        readers: vec![1, 1],
        ..Grid::default()
    })
    .unwrap();
    let nodes: Vec<u32> = plan.groups.iter().map(|group| group.nodes).collect();
    assert_eq!(nodes, [4, 2]);
    assert_eq!(plan.cells(), 2);
}

#[test]
fn what_cannot_be_measured_is_refused_with_its_reason() {
    let base = Grid::default;
    let cases = [
        (
            Grid {
                nodes: vec![1],
                ..base()
            },
            "1 nodes: a ring has 2",
        ),
        (
            Grid {
                nodes: vec![],
                ..base()
            },
            "nodes: an empty list",
        ),
        (
            Grid {
                node_sizes: vec![0],
                ..base()
            },
            "nodes of 0 bytes",
        ),
        (
            Grid {
                writers: vec![1, 0],
                ..base()
            },
            "0 writers",
        ),
        (
            Grid {
                readers: vec![0],
                ..base()
            },
            "0 readers",
        ),
        (
            Grid {
                writers: vec![u32::MAX],
                ..base()
            },
            "room for 128",
        ),
        (
            Grid {
                nodes: vec![1 << 20],
                node_sizes: vec![1 << 31],
                ..base()
            },
            "1 GiB",
        ),
    ];
    for (grid, reason) in cases {
        let error = plan(grid).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn ten_thousand_cells_have_to_be_meant() {
    let grid = Grid {
        nodes: (2..102).collect(),
        node_sizes: (1..101).collect(),
        ..Grid::default()
    };
    let error = plan(grid.clone()).unwrap_err().to_string();
    assert!(error.starts_with("10000 cells, about "), "{error}");
    assert!(
        error.contains("hours") && error.contains("--yes"),
        "{error}"
    );
    let meant = Plan::new(&grid, &Settings::default(), true).unwrap();
    assert_eq!(meant.cells(), 10_000);
}

#[test]
fn a_million_million_cells_are_refused_before_they_are_listed() {
    let grid = Grid {
        nodes: (2..1_002).collect(),
        node_sizes: (1..1_001).collect(),
        writers: (1..60).collect(),
        readers: (1..60).collect(),
        ..Grid::default()
    };
    let error = Plan::new(&grid, &Settings::default(), true).unwrap_err();
    assert_eq!(error, PlanError::Absurd(1000 * 1000 * 59 * 59));
}

#[test]
fn marks_need_their_room() {
    let grid = Grid {
        node_sizes: vec![64, 15],
        ..Grid::default()
    };
    for (verify, latency) in [(true, false), (false, true)] {
        let settings = Settings {
            verify,
            latency,
            ..Settings::default()
        };
        let error = Plan::new(&grid, &settings, false).unwrap_err();
        assert!(matches!(error, PlanError::TooSmall { node_size: 15, .. }));
    }
    assert!(plan(grid).is_ok());
}

#[test]
fn a_measurement_of_nothing_is_refused() {
    for settings in [
        Settings {
            limit: Limit::Messages(0),
            ..Settings::default()
        },
        Settings {
            limit: Limit::Time(Duration::ZERO),
            ..Settings::default()
        },
        Settings {
            repeat: 0,
            ..Settings::default()
        },
    ] {
        let error = Plan::new(&Grid::default(), &settings, false).unwrap_err();
        assert!(matches!(error, PlanError::Nothing(_)), "{error}");
    }
}

#[test]
fn latency_needs_a_ring_back_to_each_writer() {
    let grid = Grid {
        writers: vec![1, 3],
        ..Grid::default()
    };
    let with = |latency| {
        let settings = Settings {
            latency,
            ..Settings::default()
        };
        Plan::new(&grid, &settings, false).unwrap().room()
    };
    assert!(with(false) > 20 << 20);
    assert_eq!(with(true), 4 * with(false));
}

#[test]
fn memory_is_that_of_rings_and_of_everybodys_buffers() {
    let (mib, sources) = (1u64 << 20, 256u64 << 20);
    let with = |writers, readers, change: fn(&mut Settings)| {
        let grid = Grid {
            writers: vec![writers],
            readers: vec![readers],
            ..Grid::default()
        };
        let mut settings = Settings {
            limits: Vec::new(),
            ..Settings::default()
        };
        change(&mut settings);
        let plan = Plan::new(&grid, &settings, false).unwrap();
        plan.memory() - plan.room()
    };
    assert_eq!(with(1, 1, |_| {}), sources + mib);
    assert_eq!(with(64, 3, |_| {}), 64 * sources + 3 * mib);
    assert_eq!(with(1, 3, |s| s.verify = true), 4 * sources + 3 * mib);
    assert_eq!(with(64, 1, |s| s.in_place = true), mib);
    let limits = Plan::new(&Grid::default(), &Settings::default(), false).unwrap();
    assert!(limits.memory() >= 20 * mib + sources + mib);
}

#[test]
fn times_are_told_in_words() {
    for (seconds, words) in [
        (0, "about 1 second"),
        (90, "about 90 seconds"),
        (200, "about 3 minutes"),
        (10_000, "about 3 hours"),
        (500_000, "about 5 days"),
    ] {
        assert_eq!(about(Duration::from_secs(seconds)), words);
    }
}
