//! The screens, whole, from known states. Colours are not compared, but for whether
//! there are any.

use super::*;
use crate::cli::watch::draw::{self, Palette, Setting};
use crate::cli::watch::roll::Roll;
use crate::cli::watch::ui::{Sort, Ui};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use shmkit::inspect::Damage;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 10)];

fn setting(ui: &Ui) -> Setting<'_> {
    Setting {
        ui,
        palette: Palette { colours: true },
        every: Duration::from_millis(200),
    }
}

fn page(width: u16, height: u16) -> Buffer {
    Buffer::empty(Rect::new(0, 0, width, height))
}

/// A page's text.
fn text(page: &Buffer) -> String {
    let row = |y| -> String {
        let cells = (0..page.area.width).map(|x| page[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    let rows: Vec<String> = (0..page.area.height).map(row).collect();
    rows.join("\n")
}

fn segment(track: &Track, ui: &Ui, (width, height): (u16, u16)) -> String {
    let mut page = page(width, height);
    draw::segment::draw(&mut page, track, &setting(ui));
    text(&page)
}

/// Compares a screen with the stored one of that name.
fn compare(name: &str, (width, height): (u16, u16), screen: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(format!("{name}-{width}x{height}"), screen));
}

/// A ring under load for 20 s: a fast writer, a slow reader and a faster one.
fn busy() -> Track {
    let wave = |i: u64| 1000 + 700 * (i % 40).min(40 - i % 40) / 20;
    let mut written = 0;
    let looks = (0..=100).map(|i| {
        written += wave(i) / 5;
        let all = [
            Participant {
                bytes: written << 20,
                waits: 3 * i,
                held_nodes: 1,
                ..member(0, Role::Writer, 4242)
            },
            Participant {
                bytes: written << 18,
                waits: 0,
                held_nodes: 1,
                ..member(1, Role::Reader, 4243)
            },
            Participant {
                bytes: (3 * written) << 18,
                waits: i,
                ..member(2, Role::Reader, 12345)
            },
        ];
        let diff = 12 + i % 8;
        let mut snapshot = moved(with(ring(20, 1 << 20), &all), written + diff, written);
        let ring = snapshot.ring.as_mut().unwrap();
        ring.writer_waits = 3 * i;
        ring.reader_waits = i;
        ring.states.reading = 1;
        ring.states.ready -= 1;
        ring.states.writing = 1;
        ring.states.free -= 1;
        let mut look = look(i * 200, snapshot);
        look.survey = Some(survey("....w##########r#..."));
        for (slot, command) in [
            "shm write frames big.iso",
            "python3 slow.py --all",
            "shm read frames",
        ]
        .iter()
        .enumerate()
        {
            look.commands.insert(slot as u32, (*command).to_owned());
        }
        look
    });
    track(looks)
}

#[test]
fn a_busy_ring() {
    for size in SIZES {
        compare("busy", size, &segment(&busy(), &Ui::default(), size));
    }
}

#[test]
fn a_ring_that_nobody_uses() {
    let mut first = look(0, ring(20, 65536));
    first.survey = Some(survey(&".".repeat(20)));
    for size in SIZES {
        compare(
            "fresh",
            size,
            &segment(&track([first.clone()]), &Ui::default(), size),
        );
    }
}

#[test]
fn a_ring_of_a_million_nodes_is_scaled_to_the_room() {
    let nodes = 1 << 20;
    for size in SIZES {
        let per_cell = draw::nodes_per_cell(nodes, size.0, size.1);
        let cells = nodes.div_ceil(per_cell);
        let cell = |i: u32| {
            let mut cell = Cell::default();
            // A band of committed nodes in the middle, with soft edges.
            let ready = match i * 100 / cells {
                0..30 | 70.. => 0,
                30..32 | 68..70 => 8,
                32..35 | 65..68 => 20,
                _ => 32,
            };
            cell.states.ready = ready;
            cell.states.free = 32 - ready;
            cell
        };
        let mut seen = look(5000, moved(ring(nodes, 64), 400_000, 0));
        seen.survey = Some(Survey {
            nodes,
            nodes_per_cell: per_cell,
            cells: (0..cells).map(cell).collect(),
        });
        seen.nodes_at = Duration::from_secs(2);
        compare(
            "million",
            size,
            &segment(&track([seen]), &Ui::default(), size),
        );
    }
}

#[test]
fn a_map_made_for_a_larger_screen_still_fits() {
    let mut seen = look(0, ring(2000, 64));
    seen.survey = Some(survey(&"#".repeat(2000)));
    let screen = segment(&track([seen]), &Ui::default(), (80, 24));
    assert!(screen.contains("a sign for 9 nodes"), "{screen}");
    assert_eq!(
        screen.matches('█').count(),
        2000usize.div_ceil(9),
        "{screen}"
    );
}

#[test]
fn a_damaged_ring_with_a_dead_reader_in_an_unclean_stream() {
    let dead = Participant {
        alive: false,
        held_nodes: 2,
        ..member(1, Role::Reader, 4243)
    };
    let all = [member(0, Role::Writer, 4242), dead];
    let mut snapshot = moved(with(ring(20, 65536), &all), 9, 2);
    snapshot.damage = [
        Damage::NodeState { node: 7, bits: 6 },
        Damage::StreamState { bits: 3 },
    ]
    .into_iter()
    .collect();
    let ring = snapshot.ring.as_mut().unwrap();
    ring.stream.clean = false;
    (ring.states.ready, ring.states.reading, ring.states.orphan) = (3, 2, 1);
    ring.redelivered_nodes = 2;
    let mut seen = look(0, snapshot);
    seen.survey = Some(survey("..rr###?o..........."));
    for size in SIZES {
        compare(
            "damaged",
            size,
            &segment(&track([seen.clone()]), &Ui::default(), size),
        );
    }
}

#[test]
fn an_array_that_is_locked() {
    let at = |ms: u64| {
        let holder = Participant {
            nodes: 3,
            bytes: ms * 8000,
            held_nodes: 1,
            ..member(3, Role::Writer, 4242)
        };
        let waiting = member(5, Role::Reader, 4243);
        let mut snapshot = with(array(LockState::Write), &[holder, waiting]);
        let lock = snapshot.lock.as_mut().unwrap();
        lock.writer_slot = Some(3);
        lock.owner_died = true;
        lock.counts = LockCounts {
            write_locks: 10 + ms / 100,
            read_locks: 900,
            written_bytes: ms * 8000,
            read_bytes: 7_200_000,
            writer_waits: 2,
            reader_waits: 1,
        };
        let mut look = look(ms, snapshot);
        look.commands
            .insert(3, "shm lock temps -- ./edit-it".to_owned());
        look
    };
    let track = track((0..20).map(|i| at(i * 200)));
    for size in SIZES {
        compare("array", size, &segment(&track, &Ui::default(), size));
    }
}

#[test]
fn paused_with_the_help_over_it() {
    let ui = Ui {
        paused: true,
        help: true,
        ..Ui::default()
    };
    for size in SIZES {
        compare("help", size, &segment(&busy(), &ui, size));
    }
}

#[test]
fn a_long_table_scrolls_and_sorts() {
    let all: Vec<Participant> = (0..40)
        .map(|slot| Participant {
            bytes: u64::from(slot) * 1_000_000,
            ..member(slot, Role::Reader, 1000 + slot)
        })
        .collect();
    let first: Vec<Participant> = all
        .iter()
        .map(|p| Participant {
            bytes: 0,
            ..p.clone()
        })
        .collect();
    let seen = track([
        look(0, with(ring(20, 65536), &first)),
        look(1000, with(ring(20, 65536), &all)),
    ]);
    let ui = Ui {
        sort: Sort::Rate,
        scroll: 3,
        ..Ui::default()
    };
    let size = (80, 24);
    let screen = segment(&seen, &ui, size);
    assert!(
        screen.contains("▾MB/s") && screen.contains("4 to 10 of 40"),
        "{screen}"
    );
    let first = screen.lines().find(|line| line.contains("alive")).unwrap();
    assert!(
        first.contains("1036") && first.contains("36.0"),
        "the fastest but three: {first}"
    );
    let end = Ui {
        scroll: usize::MAX / 2,
        ..ui
    };
    assert!(segment(&seen, &end, size).contains("34 to 40 of 40"));
}

/// Segments of each kind; one has come, one has gone, one cannot be read.
fn some() -> Roll {
    let mut roll = Roll::default();
    for second in 0..3u64 {
        let ms = second * 1000;
        let mut found = BTreeMap::new();
        let all = [member(0, Role::Writer, 1), member(1, Role::Reader, 2)];
        let frames = moved(
            with(ring(20, 1 << 20), &all),
            1500 * second + 20,
            1500 * second,
        );
        found.insert("frames".to_owned(), Ok(look(ms, frames)));
        found.insert("temps".to_owned(), Ok(look(ms, array(LockState::Free))));
        found.insert(
            "theirs".to_owned(),
            Err("no permission to read it: it belongs to uid 0".to_owned()),
        );
        if second < 2 {
            found.insert("gone".to_owned(), Ok(look(ms, ring(8, 4096))));
        } else {
            found.insert("a-new-one".to_owned(), Ok(look(ms, ring(1 << 20, 64))));
        }
        roll.advance(Duration::from_millis(ms), found);
    }
    roll
}

#[test]
fn all_segments() {
    for size in SIZES {
        let mut page = page(size.0, size.1);
        let ui = Ui::default();
        draw::list::draw(&mut page, &some(), &setting(&ui), MADE + 14_000_000_000);
        compare("list", size, &text(&page));
    }
}

#[test]
fn no_segments() {
    let mut page = page(80, 12);
    draw::list::draw(&mut page, &Roll::default(), &setting(&Ui::default()), MADE);
    assert!(text(&page).contains("none; 'shm create' makes one"));
}

#[test]
fn no_screen_is_too_small() {
    let ui = Ui {
        help: true,
        scroll: 7,
        ..Ui::default()
    };
    for (width, height) in [(1, 1), (2, 30), (200, 1), (5, 5), (17, 18), (300, 100)] {
        let mut page = page(width, height);
        draw::segment::draw(&mut page, &busy(), &setting(&ui));
        draw::list::draw(&mut page, &some(), &setting(&ui), MADE);
    }
}

#[test]
fn without_colours_the_screen_says_the_same() {
    let ui = Ui::default();
    let drawn = |colours| {
        let mut page = page(80, 24);
        let setting = Setting {
            palette: Palette { colours },
            ..setting(&ui)
        };
        draw::segment::draw(&mut page, &busy(), &setting);
        page
    };
    let (plain, coloured) = (drawn(false), drawn(true));
    let is_coloured = |page: &Buffer| page.content().iter().any(|cell| cell.fg != Color::Reset);
    assert!(is_coloured(&coloured) && !is_coloured(&plain));
    assert_eq!(text(&plain), text(&coloured));
}
