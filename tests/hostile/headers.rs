//! Headers that lie with a right check sum, and descriptions of elements that
//! do: anybody can compute a check sum, so it protects from nothing.
//!
//! Two kinds of headers: ones that lie about a segment which is there, by
//! numbers near the places where arithmetic goes wrong; and ones that agree
//! with themselves, so that they are accepted, over words that are noise.

use super::image::{self, Image};
use super::role::{Step, survives};
use super::visit::{Tally, visit};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use shmkit::array::{ElementType, Spec};
use shmkit::segment::layout::{CRC_SPAN, RawHeader};
use shmkit::segment::{Name, OpenOptions, Opened, structure_offset};
use std::cell::Cell;
use std::mem::offset_of;

/// Files are made as long as a header says up to here.
const LONGEST: u64 = 4 << 20;
const PAGE: u64 = 4096;

#[test]
fn headers_that_lie_with_a_right_check_sum_kill_and_hang_nobody() {
    println!("{}", survives("geometry", ""));
}

#[test]
fn descriptions_that_lie_with_a_right_check_sum_kill_and_hang_nobody() {
    println!("{}", survives("descriptions", ""));
}

fn runner() -> TestRunner {
    let cases = match std::env::var("SHMKIT_HOSTILE").as_deref() {
        Ok("all") => 100_000,
        _ => 250,
    };
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    })
}

/// Numbers near the places where arithmetic goes wrong.
fn lie() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..20,
        0u64..20_000,
        any::<u64>(),
        (0u32..64, -2i64..3).prop_map(|(bit, near)| (1u64 << bit).wrapping_add_signed(near)),
        (0u64..2000).prop_map(|pages| pages * PAGE),
        (1u64..64).prop_map(|divisor| u64::MAX / divisor),
    ]
}

/// A field of the header: where, how long.
fn field() -> impl Strategy<Value = (usize, usize)> {
    let geometry = offset_of!(RawHeader, geometry);
    prop_oneof![
        8 => (0usize..8).prop_map(move |word| (geometry + 8 * word, 8)),
        1 => Just((offset_of!(RawHeader, kind), 4)),
        1 => Just((offset_of!(RawHeader, header_size), 4)),
        2 => Just((offset_of!(RawHeader, participants), 4)),
        4 => Just((offset_of!(RawHeader, total_size), 8)),
        1 => Just((offset_of!(RawHeader, flags), 4)),
        1 => Just((offset_of!(RawHeader, participants_offset), 8)),
        2 => Just((offset_of!(RawHeader, structure_offset), 8)),
        4 => Just((offset_of!(RawHeader, payload_offset), 8)),
    ]
}

/// A header of a ring that agrees with itself: its fields, in the order in
/// which they stand.
#[derive(Clone, Debug)]
struct Honest {
    participants: u32,
    nodes: u64,
    node_size: u64,
    wait: u64,
}

fn honest() -> impl Strategy<Value = Honest> {
    (1u32..2048, 2u64..300, 1u64..9000, 0u64..2)
        .prop_map(|(participants, nodes, node_size, wait)| Honest {
            participants,
            nodes,
            node_size,
            wait,
        })
        .prop_filter("too long", |ring| {
            ring.nodes * (ring.node_size + PAGE) < LONGEST
        })
}

impl Honest {
    /// Bytes of such a ring, header and all, over `noise` in its words.
    fn image(&self, of: &Image, noise: &[u64]) -> Image {
        let words = structure_offset(self.participants);
        let (cell, align) = match self.node_size {
            0..1024 => (64, 64),
            1024..4096 => (8, 64),
            _ => (8, PAGE),
        };
        let nodes = (words + PAGE + self.nodes * cell).next_multiple_of(128);
        let payload = (nodes + self.nodes * 64).next_multiple_of(PAGE);
        let total = payload + self.nodes * self.node_size.next_multiple_of(align);
        let mut image = of.clone();
        image.bytes.resize(total.next_multiple_of(PAGE) as usize, 0);
        for (at, value) in [
            (
                offset_of!(RawHeader, total_size),
                total.next_multiple_of(PAGE),
            ),
            (offset_of!(RawHeader, structure_offset), words),
            (offset_of!(RawHeader, payload_offset), payload),
        ] {
            image.set(at, 8, value);
        }
        let geometry = [self.nodes, self.node_size, 0, self.wait];
        for (word, value) in geometry.into_iter().enumerate() {
            image.set(offset_of!(RawHeader, geometry) + 8 * word, 8, value);
        }
        image.set(
            offset_of!(RawHeader, participants),
            4,
            self.participants.into(),
        );
        // The words again and again, so that all of the structures are noise.
        for (at, value) in (256..payload as usize).step_by(8).zip(noise.iter().cycle()) {
            image.set(at, 8, *value);
        }
        image
    }
}

impl Image {
    fn set(&mut self, at: usize, len: usize, value: u64) {
        self.bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
    }

    fn get(&self, at: usize) -> u64 {
        u64::from_le_bytes(*self.bytes[at..].first_chunk().unwrap())
    }
}

/// A child that meets such headers.
pub fn geometry(name: &Name, step: &Step) {
    let images = image::all(name);
    let tally = Cell::new(Tally::default());
    let lies = (0..images.len(), vec((field(), lie()), 1..4), any::<bool>());
    runner()
        .run(&lies, |(which, lies, as_long)| {
            step.note(format_args!("lies {which} {as_long} {lies:?}"));
            let mut image = images[which].clone();
            for ((at, len), value) in lies {
                image.set(at, len, value);
            }
            image.seal();
            let total = image.get(offset_of!(RawHeader, total_size));
            if as_long && (CRC_SPAN as u64 + 8..=LONGEST).contains(&total) {
                image.bytes.resize(total as usize, 0xa5);
            }
            image::put(&name.path(), &image.bytes);
            tally.set(tally.get().with(visit(name)));
            Ok(())
        })
        .unwrap();
    let lied = tally.get().0;
    let noise = (honest(), vec(lie(), 1..40));
    runner()
        .run(&noise, |(ring, noise)| {
            step.note(format_args!("noise {ring:?} {noise:?}"));
            let mut image = ring.image(&images[0], &noise);
            // The word that says that it was removed: or that is all they say.
            image.set(256, 8, 0);
            image.seal();
            image::put(&name.path(), &image.bytes);
            let visited = visit(name);
            let refused = format!("{ring:?} is refused: {:?}", visited.0);
            prop_assert!(visited.0[0] > 0, "{}", refused);
            tally.set(tally.get().with(visited));
            Ok(())
        })
        .unwrap();
    std::fs::remove_file(name.path()).unwrap();
    assert!(lied[0] > 0 && lied[5] > 0);
    println!("REPORT lies: {lied:?}; lies and noise: {:?}", tally.get().0);
}

/// Texts like descriptions, and others.
fn description() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just(":".to_owned()),
        Just(",".to_owned()),
        Just(";".to_owned()),
        Just(" ".to_owned()),
        "[a-z_]{1,3}".boxed(),
        "[0-9]{1,6}".boxed(),
        "(u8|i16|f32|u64|bool)".boxed(),
        "[[:cntrl:]]".boxed(),
    ];
    prop_oneof![
        vec(any::<u8>(), 1..200),
        vec(word, 1..30).prop_map(|words| words.concat().into_bytes()),
        "[a-c]:[ui]8(,[d-z]{1,3}:(u16|\\[f64;[1-9]{1,2}\\])){0,5}".prop_map(String::into_bytes),
        (1usize..40, 1usize..40).prop_map(|(open, close)| {
            ("[".repeat(open) + "u8" + &";1]".repeat(close)).into_bytes()
        }),
    ]
}

/// A child that meets such descriptions.
pub fn descriptions(name: &Name, step: &Step) {
    let array = image::array(name, "an array", "u8", 4096);
    let place = array.parts.last().unwrap().1.start;
    let payload = place.next_multiple_of(PAGE as usize);
    let geometry = |word| offset_of!(RawHeader, geometry) + 8 * word;
    let tally = Cell::new(Tally::default());
    let (accepted, refused) = (Cell::new(0), Cell::new(0));
    let cases = (
        description(),
        1u64..100,
        proptest::option::of((lie(), lie())),
    );
    runner()
        .run(&cases, |(text, len, lies)| {
            let shown = String::from_utf8_lossy(&text);
            step.note(format_args!("{len} {lies:?} {shown:?}"));
            let parsed = shown.parse::<ElementType>();
            let true_size = parsed
                .as_ref()
                .map_or((1, 1), |t| (t.size() as u64, t.align() as u64));
            let (size, align) = lies.unwrap_or(true_size);
            let mut image = array.clone();
            image.bytes[place..place + text.len()].copy_from_slice(&text);
            let crc = crc32c::crc32c(&text).into();
            let words = [len, size, align, text.len() as u64, crc];
            for (word, value) in words.into_iter().enumerate() {
                image.set(geometry(word), 8, value);
            }
            let total = len
                .checked_mul(size)
                .and_then(|bytes| bytes.checked_add(payload as u64))
                .filter(|total| *total <= LONGEST)
                .unwrap_or(LONGEST);
            image.set(offset_of!(RawHeader, total_size), 8, total);
            image.bytes.resize(total as usize, 0);
            image.seal();
            image::put(&name.path(), &image.bytes);
            let opened = Opened::open(name, OpenOptions::default()).unwrap();
            match Spec::of(&opened) {
                Ok(spec) => {
                    prop_assert_eq!(Ok(spec.element_type()), parsed.as_ref());
                    prop_assert_eq!((size, align), true_size);
                    accepted.set(accepted.get() + 1);
                }
                Err(error) => {
                    // For people, in a line, and not for their terminals.
                    let line = error.to_string();
                    prop_assert!(line.len() < 1000, "{}", line);
                    prop_assert!(!line.contains(char::is_control), "{:?}", line);
                    refused.set(refused.get() + 1);
                }
            }
            tally.set(tally.get().with(visit(name)));
            Ok(())
        })
        .unwrap();
    std::fs::remove_file(name.path()).unwrap();
    let (accepted, refused) = (accepted.get(), refused.get());
    assert!(accepted > 5 && refused > 5, "{accepted} and {refused}");
    println!(
        "REPORT {accepted} accepted, {refused} refused; {:?}",
        tally.get().0
    );
}
