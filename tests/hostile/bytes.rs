//! Every byte of a segment that is not payload takes one value after the
//! other, and each time the segment is visited.
//!
//! Here some values for each byte, and few for room that nobody uses; with
//! `SHMKIT_HOSTILE=all` each byte takes all 256 (see `scripts/hostile.sh`), room
//! that nobody uses where users have died, once for each kind of segment. In the
//! header's immutable part both with the check sum that was there, which then is
//! wrong and has to be told, and with the right one.

use super::image::{self, Image};
use super::role::{Step, survives, watch};
use super::visit::{Tally, visit};
use shmkit::segment::layout::{CRC_SPAN, WORDS_OFFSET};
use shmkit::segment::{Kind, Mapping, Name, OpenOptions};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// How many images there are: each is one child's.
const IMAGES: usize = 10;

#[test]
fn no_byte_of_any_segment_kills_or_hangs_those_who_use_it() {
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..IMAGES)
            .map(|image| scope.spawn(move || survives("bytes", &image.to_string())))
            .collect();
        for child in all {
            match child.join() {
                Ok(report) => println!("{report}"),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
}

#[test]
fn a_touch_outside_the_mapping_does_not_go_unnoticed() {
    for offset in ["-1", "0"] {
        let watched = watch("beyond", offset);
        assert_eq!(watched.signal, Some(libc::SIGSEGV), "{}", watched.story);
    }
}

/// A child that does what none may: it reads a byte before the mapping, or
/// the one behind it.
pub fn beyond(name: &Name, step: &Step, offset: isize) {
    let image = &image::all(name)[0];
    image::put(&name.path(), &image.bytes);
    let mapping = Mapping::open(name, Kind::Ring, OpenOptions::default()).unwrap();
    let end = if offset < 0 { 0 } else { mapping.len() };
    step.note(format_args!("a byte outside"));
    let outside = mapping.base().wrapping_add(end).wrapping_offset(offset);
    // SAFETY: none. That it is not safe is what is tested: the child dies.
    let byte = unsafe { outside.read_volatile() };
    println!("REPORT {byte}");
}

/// A child that visits one image's every variation.
pub fn child(name: &Name, step: &Step, image: usize) {
    let images = image::all(name);
    assert_eq!(images.len(), IMAGES);
    let image = &images[image];
    image::put(&name.path(), &image.bytes);
    let mut sweep = Sweep {
        name,
        step,
        image,
        file: File::options().write(true).open(name.path()).unwrap(),
        tally: Tally::default(),
        visits: 0,
    };
    for (_, range) in &image.parts {
        for at in range.clone() {
            for value in values(image, at) {
                sweep.visit(at, value, false);
                if at < CRC_SPAN {
                    sweep.visit(at, value, true);
                }
            }
        }
    }
    std::fs::remove_file(name.path()).unwrap();
    let (visits, said) = (sweep.visits, sweep.tally.0);
    println!(
        "REPORT {}: {visits} visits; steps by exit status: {said:?}",
        image.scene
    );
    // It is not that nothing was found, or nothing done.
    assert!(said[0] > visits && said[5] > 0, "{said:?}");
}

struct Sweep<'a> {
    name: &'a Name,
    step: &'a Step,
    image: &'a Image,
    file: File,
    tally: Tally,
    visits: u64,
}

impl Sweep<'_> {
    fn visit(&mut self, at: usize, value: u8, seal: bool) {
        let (image, part) = (self.image, self.image.part_of(at));
        let sealed = if seal { ", check sum right" } else { "" };
        self.step.note(format_args!(
            "{}: byte {at} ({part}) = {value:#04x}, not {:#04x}{sealed}",
            image.scene, image.bytes[at]
        ));
        let mut spoilt = image.clone();
        spoilt.bytes[at] = value;
        if seal {
            spoilt.seal();
        }
        self.file.write_all_at(&spoilt.bytes, 0).unwrap();
        let tally = visit(self.name);
        if at < CRC_SPAN + 4 && !seal {
            // The check sum is wrong: damaged, say all, and nobody uses it.
            let [used, .., damaged, _] = tally.0;
            let told = used == 0 && damaged > 0 && damaged == tally.0.iter().sum::<u64>();
            assert!(told, "byte {at} = {value:#04x}: {:?}", tally.0);
        }
        self.tally = self.tally.with(tally);
        self.visits += 1;
    }
}

/// The values that a byte takes, each another than it has.
fn values(image: &Image, at: usize) -> Vec<u8> {
    let byte = image.bytes[at];
    let mut values: Vec<u8> = match std::env::var("SHMKIT_HOSTILE").as_deref() {
        Ok("all") if image.scene.ends_with("dead") || !is_spare(image, at) => (0..=255).collect(),
        _ if is_unused(image, at) && !at.is_multiple_of(8) => Vec::new(),
        _ if is_unused(image, at) || !image.scene.ends_with("dead") => vec![byte ^ 1 << (at % 8)],
        _ => vec![
            0,
            0xff,
            byte ^ 1 << (at % 8),
            byte.wrapping_add(1),
            byte.wrapping_sub(1),
        ],
    };
    values.sort_unstable();
    values.dedup();
    values.retain(|value| *value != byte);
    values
}

/// Is it past all that anybody keeps in the header, or among a ring's words?
fn is_spare(image: &Image, at: usize) -> bool {
    let room = |part: &&(&str, Range<usize>)| match part.0 {
        "header" => at >= WORDS_OFFSET as usize + 128,
        "ring words" => at >= part.1.start + 7 * 128,
        _ => false,
    };
    let part = image.parts.iter().find(|(_, range)| range.contains(&at));
    part.as_ref().is_some_and(room)
}

/// Room to grow, and between cache lines: zero, and next to nothing but zeros.
fn is_unused(image: &Image, at: usize) -> bool {
    let line = at / 64 * 64;
    image.bytes[line..line + 64].iter().all(|byte| *byte == 0)
}
