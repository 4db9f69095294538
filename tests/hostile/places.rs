//! Broadcast rings in which somebody lies about where a reader is: in its own entry, or
//! in the words of all. Who lies may get what was not meant for it, be told that
//! the ring is damaged, or hold the writers for as long as it is there. The
//! others get everything, and when it has gone nothing of it is left.

use super::harness::Ring;
use shmkit::ring::{Claim, Monitor, Reader, ReaderOptions, RingError, Wait, Writer};
use shmkit::segment::layout::{DEFAULT_PARTICIPANTS, Entry, HEADER_SIZE};
use shmkit::segment::{Name, OpenOptions, structure_offset};
use std::fs::File;
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

const NODES: u64 = 4;

fn within(ms: u64) -> Wait<'static> {
    Wait {
        deadline: Some(Instant::now() + Duration::from_millis(ms)),
        cancelled: None,
    }
}

/// A broadcast ring with two readers, the first of which is to lie, and a writer.
struct Scene {
    file: File,
    monitor: Monitor,
    writer: Writer,
    honest: Reader,
    liar: Option<Reader>,
    written: u8,
    got: Vec<u8>,
    ring: Ring,
}

impl Scene {
    /// Three messages, of which each reader has read two.
    fn new() -> Scene {
        let ring = Ring::broadcast(NODES, 64);
        let name = Name::new(&ring.name).unwrap();
        let reader = || Reader::attach(&name, &ReaderOptions::default()).unwrap();
        let (liar, honest) = (reader(), reader());
        let mut scene = Scene {
            file: File::options().write(true).open(ring.path()).unwrap(),
            monitor: Monitor::open(&name, OpenOptions::default()).unwrap(),
            writer: Writer::attach(&name, OpenOptions::default()).unwrap(),
            honest,
            liar: Some(liar),
            written: 0,
            got: Vec::new(),
            ring,
        };
        scene.write(3);
        for reader in [scene.liar.as_mut().unwrap(), &mut scene.honest] {
            assert_eq!(read(reader, 2).unwrap(), [0, 1]);
        }
        scene.got = vec![0, 1];
        scene
    }

    fn put(&self, at: u64, word: u64) {
        self.file.write_all_at(&word.to_le_bytes(), at).unwrap();
    }

    /// As many messages as there is room for, and no more than these.
    fn write(&mut self, most: u8) {
        for _ in 0..most {
            match self.writer.write(&[self.written], &within(20)) {
                Ok(()) => self.written += 1,
                Err(RingError::TimedOut) => return,
                Err(other) => panic!("the writer: {other}"),
            }
        }
    }

    /// The honest reader has had all that was written, once and in order.
    fn honest_gets_all(&mut self, lie: &str) {
        self.got.extend(read(&mut self.honest, usize::MAX).unwrap());
        assert!(self.got.iter().copied().eq(0..self.written), "{lie}");
        assert_eq!(self.honest.missed_nodes(), 0, "{lie}");
    }
}

impl Scene {
    /// The liar has gone, and nothing of it is left: neither for the reader that is
    /// there nor for the next one.
    fn goes_on(&mut self, lie: &str) {
        for _ in 0..5 {
            let before = self.written;
            self.write(3);
            assert_eq!(self.written, before + 3, "{lie}: held by one who has gone");
            self.honest_gets_all(lie);
        }
        let name = Name::new(&self.ring.name).unwrap();
        let next = Reader::attach(&name, &ReaderOptions::default()).unwrap();
        self.honest = next; // and the other one is dropped
        self.write(1);
        assert_eq!(read(&mut self.honest, 2).unwrap(), [self.written - 1]);
    }
}

/// Up to so many messages, those that are there.
fn read(reader: &mut Reader, most: usize) -> Result<Vec<u8>, RingError> {
    let mut got = Vec::new();
    while got.len() < most.min(1000)
        && let Some(Claim::Nodes(nodes)) = reader.try_claim(1, usize::MAX)?
    {
        got.push(nodes.node(0)[0]);
        nodes.release_all();
    }
    Ok(got)
}

/// Places that the liar, which is at 2, may say that it is at.
fn lies() -> Vec<u64> {
    let place = |position: u64, in_hand: u64| (position + 1) << 12 | in_hand;
    vec![
        0,
        1,
        4095,
        u64::MAX,
        u64::MAX << 12,
        place(0, 0),
        place(0, 4095),
        place(1, 1),
        place(2, 4095),
        place(3, 0),
        place(3, 4),
        place(1000, 0),
        place(1000, 7),
        place((1 << 52) - 2, 0),
        place(1 << 51, 4095),
    ]
}

const ITS_PLACE: u64 = HEADER_SIZE + offset_of!(Entry, cursor) as u64;

#[test]
fn a_lie_about_ones_own_place_costs_the_liar() {
    for lie in lies() {
        for with_one_in_hand in [false, true] {
            let mut scene = Scene::new();
            let what = format!("{lie:#x}, one in hand: {with_one_in_hand}");
            let mut liar = scene.liar.take().unwrap();
            if with_one_in_hand {
                let Ok(Some(Claim::Nodes(nodes))) = liar.try_claim(1, usize::MAX) else {
                    panic!("the third message is there")
                };
                // It never releases it.
                std::mem::forget(nodes);
            }
            scene.put(ITS_PLACE, lie);
            for _ in 0..4 {
                scene.write(3);
                scene.honest_gets_all(&what);
                assert!(scene.monitor.diff().nodes <= NODES, "{what}");
                assert!(scene.monitor.reader_diffs().len() <= 2, "{what}");
            }
            // Whatever it gets: it is its own lie.
            match read(&mut liar, usize::MAX) {
                Ok(_) | Err(RingError::Corrupt { .. }) => {}
                Err(other) => panic!("{what}: {other}"),
            }
            scene.put(ITS_PLACE, lie);
            drop(liar);
            scene.goes_on(&what);
        }
    }
}

/// The same of one who is the only reader: without readers, writers wait once the
/// ring is full.
#[test]
fn a_lie_does_not_outlive_the_last_reader() {
    for lie in lies() {
        let scene = Scene::new();
        scene.put(ITS_PLACE, lie);
        let Scene {
            ring,
            liar,
            honest,
            mut writer,
            ..
        } = scene;
        drop((honest, liar));
        let mut written = 0;
        while written < 100 && writer.write(b"more", &within(20)).is_ok() {
            written += 1;
        }
        assert!(written <= NODES, "{lie:#x}: {written} that nobody read");
        let name = Name::new(&ring.name).unwrap();
        drop(Reader::attach(&name, &ReaderOptions::default()).unwrap());
        // It was there, and had nothing to read.
        writer.write(b"more", &within(5000)).unwrap();
    }
}

/// Words of all, by how many lines of 128 bytes they are from the ring's start.
const HEAD: u64 = 1;
const JOINS: u64 = 11;

#[test]
fn a_lie_about_who_has_joined_and_what_those_had_who_left_costs_nobody_who_is_there() {
    let words = structure_offset(DEFAULT_PARTICIPANTS);
    for lie in [0, 1, 2, 3, 5, 1 << 40, 1 << 63, u64::MAX - 1, u64::MAX] {
        for word in [HEAD, JOINS] {
            let mut scene = Scene::new();
            let what = format!("word {word}: {lie:#x}");
            let mut got = 2;
            for _ in 0..3 {
                scene.put(words + 128 * word, lie);
                // As much as the two readers leave room for.
                scene.write(10);
                assert_eq!(u64::from(scene.written), got + NODES, "{what}");
                scene.honest_gets_all(&what);
                let other = read(scene.liar.as_mut().unwrap(), usize::MAX).unwrap();
                assert_eq!(other.len() as u64, NODES, "{what}");
                got += NODES;
            }
        }
    }
}
