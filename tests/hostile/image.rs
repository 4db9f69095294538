//! Small segments as bytes: what the hostile tests spoil.
//!
//! Each is made through the library, used, and copied while its users are
//! still attached. Written back into a file nobody holds a lock on, those users
//! are the dead: so whoever attaches has to recover them, from words that a test has
//! changed. There are as few entries, nodes and elements as there can be, so
//! that all of it can be visited byte by byte.
//!
//! Where everything lies is worked out here once more, not asked of the code
//! under test.

use shmkit::array::ElementType;
use shmkit::lock::{AttachOptions, Locked, Wait};
use shmkit::ring::{Claim, Reader, ReaderOptions, Writer};
use shmkit::segment::layout::{CRC_SPAN, ENTRY_SIZE, HEADER_SIZE};
use shmkit::segment::{self, Kind, Name, OpenOptions, Plan, structure_offset};
use std::ops::Range;
use std::path::Path;

/// Entries in the participant tables.
pub const PARTICIPANTS: u32 = 3;
/// Bytes of [`shmkit::lock`]'s words.
const LOCK_WORDS: u64 = 384;
const PAGE: u64 = 4096;

/// A segment's bytes, and what is where.
#[derive(Clone)]
pub struct Image {
    /// What was going on when it was copied.
    pub scene: &'static str,
    pub bytes: Vec<u8>,
    /// Everything but payload, in order.
    pub parts: Vec<(&'static str, Range<usize>)>,
}

impl Image {
    /// Puts the check sum right that belongs to the header as it is.
    pub fn seal(&mut self) {
        let crc = crc32c::crc32c(&self.bytes[..CRC_SPAN]);
        self.bytes[CRC_SPAN..CRC_SPAN + 4].copy_from_slice(&crc.to_le_bytes());
    }

    /// The part that a byte belongs to.
    pub fn part_of(&self, at: usize) -> &'static str {
        let part = self.parts.iter().find(|(_, range)| range.contains(&at));
        part.map_or("payload", |(name, _)| name)
    }
}

/// All of them. `name` is used to make each, and free again afterwards.
pub fn all(name: &Name) -> Vec<Image> {
    let mut images = Vec::new();
    for (scene, delivery, wait) in [
        ("a new ring", 0, 0),
        ("a ring with its writer and its reader dead", 0, 0),
        ("a ring that only spins, both dead", 0, 1),
        ("a ring whose stream has ended, with a node left", 0, 0),
        ("a new broadcast ring", 1, 0),
        ("a broadcast ring with its writer and its reader dead", 1, 0),
    ] {
        images.push(ring(name, scene, delivery, wait));
    }
    for scene in ["a free array", "an array locked by one who is dead"] {
        images.push(array(name, scene, "a:u8,b:[u16;2]", 500));
    }
    for scene in ["a free buffer", "a buffer locked by one who is dead"] {
        images.push(buffer(name, scene));
    }
    images
}

/// The geometry of the rings here: nodes, bytes of a node.
pub const NODES: u64 = 3;
pub const NODE_SIZE: u64 = 64;

fn ring(name: &Name, scene: &'static str, delivery: u64, wait: u64) -> Image {
    let words = structure_offset(PARTICIPANTS);
    let cells = words + PAGE;
    let nodes = (cells + NODES * 64).next_multiple_of(128);
    let payload = (nodes + NODES * 64).next_multiple_of(PAGE);
    let plan = Plan {
        kind: Kind::Ring,
        participants: PARTICIPANTS,
        payload_offset: payload,
        total_size: (payload + NODES * NODE_SIZE).next_multiple_of(PAGE),
        geometry: [NODES, NODE_SIZE, delivery, wait, 0, 0, 0, 0],
        mode: 0o600,
    };
    let parts = [
        ("ring words", words..cells),
        ("cells", cells..cells + NODES * 64),
        ("node words", nodes..nodes + NODES * 64),
    ];
    made(name, scene, &plan, &parts, |bytes| {
        let mut writer = Writer::attach(name, OpenOptions::default()).unwrap();
        let mut reader = Reader::attach(name, &ReaderOptions::default()).unwrap();
        let wait = Wait::default();
        let mut read = |count: usize, release: bool| {
            for _ in 0..count {
                let Claim::Nodes(nodes) = reader.claim(1, usize::MAX, &wait).unwrap() else {
                    panic!("the stream is open")
                };
                if !release {
                    return std::mem::forget(nodes);
                }
                nodes.release_all();
            }
        };
        match scene {
            "a new ring" | "a new broadcast ring" => drop((writer, reader)),
            "a ring whose stream has ended, with a node left" => {
                writer.write(b"left", &wait).unwrap();
                drop((writer, reader));
            }
            _ => {
                for _ in 0..4 {
                    writer.write(&[7; NODE_SIZE as usize], &wait).unwrap();
                    read(1, true);
                }
                writer.write(b"being read", &wait).unwrap();
                writer.write(b"ready", &wait).unwrap();
                read(1, false);
                // A writer never has more than half the ring: the third node.
                std::mem::forget(writer.reserve(1, &wait).unwrap());
                *bytes = Some(std::fs::read(name.path()).unwrap());
            }
        }
    })
}

/// An array of `len` elements of that type.
pub fn array(name: &Name, scene: &'static str, element: &str, len: u64) -> Image {
    let parsed: ElementType = element.parse().unwrap();
    let description = structure_offset(PARTICIPANTS) + LOCK_WORDS;
    let described = description + element.len() as u64;
    let size = parsed.size() as u64;
    let geometry = [
        len,
        size,
        parsed.align() as u64,
        element.len() as u64,
        crc32c::crc32c(element.as_bytes()).into(),
        0,
        0,
        0,
    ];
    let parts = [
        ("lock words", description - LOCK_WORDS..description),
        ("description", description..described),
    ];
    locked(
        name,
        scene,
        Kind::Array,
        geometry,
        &parts,
        len * size,
        element,
    )
}

fn buffer(name: &Name, scene: &'static str) -> Image {
    let words = structure_offset(PARTICIPANTS);
    let parts = [("lock words", words..words + LOCK_WORDS)];
    let size = PAGE;
    let geometry = [size, 0, 0, 0, 0, 0, 0, 0];
    locked(name, scene, Kind::Buffer, geometry, &parts, size, "")
}

fn locked(
    name: &Name,
    scene: &'static str,
    kind: Kind,
    geometry: [u64; 8],
    parts: &[(&'static str, Range<u64>)],
    payload_size: u64,
    description: &str,
) -> Image {
    let structure_end = parts.last().unwrap().1.end;
    let payload = structure_end.next_multiple_of(PAGE);
    let plan = Plan {
        kind,
        participants: PARTICIPANTS,
        payload_offset: payload,
        total_size: payload + payload_size,
        geometry,
        mode: 0o600,
    };
    let at = (structure_end - description.len() as u64) as usize;
    made(name, scene, &plan, parts, |bytes| {
        let mut all = std::fs::read(name.path()).unwrap();
        all[at..at + description.len()].copy_from_slice(description.as_bytes());
        put(&name.path(), &all);
        if scene.ends_with("dead") {
            let options = AttachOptions::default();
            let reader = Locked::attach(name, &options).unwrap();
            drop(reader.read(&Wait::default()).unwrap());
            let mut writer = Locked::attach(name, &options).unwrap();
            let guard = writer.write(&Wait::default()).unwrap();
            *bytes = Some(std::fs::read(name.path()).unwrap());
            drop(guard);
        }
    })
}

/// Makes a segment, lets `happen` use it, and takes its bytes: those that
/// `happen` took, or those it has then.
fn made(
    name: &Name,
    scene: &'static str,
    plan: &Plan,
    parts: &[(&'static str, Range<u64>)],
    happen: impl FnOnce(&mut Option<Vec<u8>>),
) -> Image {
    segment::create(name, plan, |_| Ok(())).unwrap();
    let mut bytes = None;
    happen(&mut bytes);
    let bytes = bytes.unwrap_or_else(|| std::fs::read(name.path()).unwrap());
    segment::remove(name, true, OpenOptions::default()).unwrap();
    let table = HEADER_SIZE..HEADER_SIZE + u64::from(PARTICIPANTS) * ENTRY_SIZE;
    let common = [("header", 0..HEADER_SIZE), ("participant table", table)];
    let parts = common.iter().chain(parts);
    let in_memory = |range: &Range<u64>| range.start as usize..range.end as usize;
    Image {
        scene,
        bytes,
        parts: parts
            .map(|(name, range)| (*name, in_memory(range)))
            .collect(),
    }
}

/// Makes the file's bytes these, in the file that it is.
pub fn put(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    file.write_all_at(bytes, 0).unwrap();
}
