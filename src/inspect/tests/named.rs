//! The same on real segments under real names, through the descriptor that
//! `shm inspect` uses.

use super::super::list::{self, Listed};
use super::super::{Detail, Snapshot, hexdump};
use super::image::Image;
use super::*;
use crate::ring::{self, Claim, Geometry, Reader, ReaderOptions, Wait, Writer};
use crate::segment::layout::LAYOUT_VERSION;
use crate::segment::{self, Mapping, Membership, Name, OpenOptions, Opened, Plan};
use std::fs::{self, File, OpenOptions as FileOptions};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A segment under a name that nobody else uses, removed at the end.
pub(super) struct Named(pub(super) Name);

impl Drop for Named {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0.path());
    }
}

impl Named {
    pub(super) fn unused() -> Named {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-inspect-{}-{number}", std::process::id());
        Named(Name::new(&name).unwrap())
    }

    fn create(kind: Kind, image: &Image) -> Named {
        let named = Named::unused();
        let geometry = image.geometry;
        let plan = Plan {
            kind,
            participants: image::PARTICIPANTS,
            payload_offset: image.layout.payload,
            total_size: image.layout.total,
            geometry: [geometry.nodes.into(), geometry.node_size, 0, 0, 0, 0, 0, 0],
            mode: 0o640,
        };
        segment::create(&named.0, &plan, |_| Ok(())).unwrap();
        let bytes = image.bytes.borrow();
        named.put(HEADER_SIZE, &bytes[HEADER_SIZE as usize..]);
        named
    }

    /// A ring with the image's bytes after the header.
    pub(super) fn ring(image: &Image) -> Named {
        Named::create(Kind::Ring, image)
    }

    fn file(&self) -> File {
        FileOptions::new()
            .read(true)
            .write(true)
            .open(self.0.path())
            .unwrap()
    }

    pub(super) fn put(&self, offset: u64, bytes: &[u8]) {
        self.file().write_all_at(bytes, offset).unwrap();
    }

    pub(super) fn open(&self) -> Result<Opened, SegmentError> {
        Opened::open(&self.0, OpenOptions::default())
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.open().unwrap(), Detail::Nodes).unwrap()
    }

    /// This segment's line in the list of all.
    pub(super) fn listed(&self) -> Listed {
        let mut all = list::scan().unwrap();
        let at = all.iter().position(|listed| listed.name == self.0).unwrap();
        all.swap_remove(at)
    }

    pub(super) fn line(&self, now_unix_ns: u64) -> String {
        let mut out = Vec::new();
        list::write_table(&mut out, &[self.listed()], false, now_unix_ns).unwrap();
        let line = String::from_utf8(out)
            .unwrap()
            .lines()
            .nth(1)
            .unwrap()
            .to_owned();
        line.replace(self.0.as_str(), "NAME")
    }
}

/// A line of the list without who runs the test.
pub(super) fn cells_but_owner(line: &str) -> Vec<&str> {
    let mut cells: Vec<&str> = line.split_whitespace().collect();
    let owner = cells.remove(5);
    assert!(!owner.is_empty() && owner != "-", "{line}");
    cells
}

#[test]
fn a_ring_is_looked_at_without_changing_a_byte_of_it() {
    let named = Named::ring(&busy());
    let before = fs::read(named.0.path()).unwrap();
    let snapshot = named.snapshot();
    assert_eq!(snapshot.ring.as_ref().unwrap().diff_nodes, 3);
    assert_eq!(
        (snapshot.mode, snapshot.layout_version),
        (0o640, LAYOUT_VERSION)
    );
    assert_eq!(snapshot.creator_pid, std::process::id());
    assert_eq!(snapshot.node_rows.unwrap().len(), 20);
    assert!(snapshot.damage.is_empty());
    assert_eq!(fs::read(named.0.path()).unwrap(), before);
}

#[test]
fn the_kernel_says_who_lives() {
    let named = Named::ring(&Image::new(2, 100));
    let mapping = Mapping::open(&named.0, Kind::Ring, OpenOptions::default()).unwrap();
    let member = Membership::join(&mapping, WRITER, |_| {}).unwrap();
    let mut dead = Image::new(2, 100);
    dead.attach(100, READER, 1, false);
    let entry = Image::entry_at(100) as usize;
    let bytes = dead.bytes.borrow()[entry..entry + 256].to_vec();
    named.put(entry as u64, &bytes);

    let participants = named.snapshot().participants;
    let seen: Vec<_> = participants
        .iter()
        .map(|p| (p.slot, p.role, p.alive))
        .collect();
    assert_eq!(
        seen,
        [
            (member.slot(), Role::Writer, true),
            (100, Role::Reader, false)
        ]
    );
    assert_eq!(participants[0].pid, std::process::id());
    drop(member);
    assert_eq!(named.snapshot().participants.len(), 1);
}

#[test]
fn a_segment_truncated_after_it_was_opened_is_gone() {
    let named = Named::ring(&busy());
    let opened = named.open().unwrap();
    named.file().set_len(40_000).unwrap();
    let error = Snapshot::take(&opened, Detail::Summary).unwrap_err();
    assert!(
        matches!(
            error,
            SegmentError::Gone {
                gone: Gone::Truncated,
                ..
            }
        ),
        "{error}"
    );
    assert!(matches!(named.open(), Err(SegmentError::Corrupt { .. })));
}

#[test]
fn the_contents_are_dumped_oldest_first() {
    let image = Image::new(3, 5000);
    image.run(2, 5, 5);
    // Position 2 is in node 2, 3 in node 0, 4 in node 1.
    image.node(1, NodeWord::new(State::Reading, 1, 1), 17, 4);
    let named = Named::ring(&image);
    for (node, bytes) in [
        (2, &b"first"[..]),
        (0, b"\x00next"),
        (1, b"last, of two lines"),
    ] {
        named.put(
            image.layout.payload + node * image.layout.payload_stride,
            bytes,
        );
    }
    let mut out = Vec::new();
    let rows = named.snapshot().node_rows.unwrap();
    hexdump::write_nodes(&mut out, &named.open().unwrap(), &rows).unwrap();
    let expected = "\
node 2, position 2, ready, 5 bytes
00000000  66 69 72 73 74                                    |first|
00000005
node 0, position 3, ready, 5 bytes
00000000  00 6e 65 78 74                                    |.next|
00000005
node 1, position 4, reading, 17 bytes
00000000  6c 61 73 74 2c 20 6f 66  20 74 77 6f 20 6c 69 6e  |last, of two lin|
00000010  65                                                |e|
00000011
";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_node_longer_than_nodes_are_is_dumped_within_its_bounds() {
    let image = Image::new(2, 20);
    image.run(0, 1, 20);
    image.node(0, NodeWord::new(State::Ready, 1, 0), u64::MAX, 0);
    let named = Named::ring(&image);
    let snapshot = named.snapshot();
    assert_eq!(snapshot.damage.count(), 1);
    let mut out = Vec::new();
    let rows = snapshot.node_rows.unwrap();
    hexdump::write_nodes(&mut out, &named.open().unwrap(), &rows).unwrap();
    assert!(String::from_utf8(out).unwrap().ends_with("00000014\n"));
}

#[test]
fn a_node_reused_while_it_is_dumped_is_said_to_be() {
    let image = Image::new(2, 20);
    image.run(0, 1, 20);
    let named = Named::ring(&image);
    let rows = named.snapshot().node_rows.unwrap();
    let word = NodeWord::new(State::Writing, 1, 1).0.to_le_bytes();
    named.put(image.layout.nodes, &word);
    let mut out = Vec::new();
    hexdump::write_nodes(&mut out, &named.open().unwrap(), &rows).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.ends_with("bytes may be mixed)\n"), "{text}");
}

#[test]
fn the_list_has_a_line_for_each_segment() {
    let named = Named::ring(&busy());
    let created = named.snapshot().created_unix_ns;
    let line = named.line(created + 200_000_000_000);
    assert_eq!(
        cells_but_owner(&line),
        [
            "NAME", "ring", "20x1M", "20.0M", "0640", "0+1dead", "0+1dead", "3", "3m"
        ]
    );
}

#[test]
fn a_damaged_segment_is_a_line_of_the_list_and_does_not_stop_it() {
    let image = busy();
    image.node(9, NodeWord(7), 0, 0);
    let words = Named::ring(&image);
    assert!(
        words
            .line(0)
            .ends_with("damaged: node 9: state bits 7 (0 to 5 exist)"),
        "{}",
        words.line(0)
    );
    let json = serde_json::to_value(words.listed()).unwrap();
    assert_eq!(json["error"], "node 9: state bits 7 (0 to 5 exist)");
    assert_eq!(json["ring"]["diff_nodes"], 3);

    let header = Named::ring(&image);
    header.put(100, &[0xff; 8]);
    let line = header.line(0);
    assert!(
        line.starts_with("NAME  ?") && line.contains("damaged: "),
        "{line}"
    );
    let json = serde_json::to_value(header.listed()).unwrap();
    assert_eq!(json.as_object().unwrap().len(), 2);
    assert_eq!(json["name"], header.0.as_str());
    assert!(json["error"].as_str().unwrap().contains("damaged"));
}

#[test]
fn an_empty_list_is_its_heading() {
    let mut out = Vec::new();
    list::write_table(&mut out, &[], false, 0).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "NAME  KIND  GEOMETRY  SIZE  MODE  OWNER  WRITERS  READERS  DIFF  AGE\n"
    );
    assert_eq!(serde_json::to_string(&Vec::<Listed>::new()).unwrap(), "[]");
}

#[test]
fn a_ring_of_a_million_nodes_is_read_in_pieces() {
    let image = Image::new(1 << 20, 1);
    image.run(1_500_000, 2_000_000, 1);
    let snapshot = Snapshot::take(&Named::ring(&image).open().unwrap(), Detail::Summary).unwrap();
    let ring = snapshot.ring.unwrap();
    assert_eq!(
        (ring.diff_nodes, ring.head, ring.tail),
        (500_000, 1_500_000, 2_000_000)
    );
    assert!(snapshot.damage.is_empty() && ring.consistent && ring.map.is_none());
}

#[test]
fn a_ring_at_full_speed_is_never_damaged_and_always_adds_up() {
    for (nodes, writers) in [(2, 1), (3, 2), (64, 3)] {
        let named = Named::unused();
        let geometry = Geometry {
            nodes,
            node_size: 8,
            ..Geometry::default()
        };
        ring::create(&named.0, geometry, 0o600).unwrap();
        let stop = AtomicBool::new(false);
        let done = &|| stop.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            for _ in 0..writers {
                let mut writer = Writer::attach(&named.0, OpenOptions::default()).unwrap();
                scope.spawn(move || {
                    let wait = Wait {
                        cancelled: Some(done),
                        ..Wait::default()
                    };
                    while !done() && writer.write(b"a node", &wait).is_ok() {}
                });
            }
            let mut reader = Reader::attach(&named.0, &ReaderOptions::default()).unwrap();
            scope.spawn(move || {
                let wait = Wait {
                    cancelled: Some(done),
                    ..Wait::default()
                };
                while !done()
                    && let Ok(Claim::Nodes(nodes)) = reader.claim(4, usize::MAX, &wait)
                {
                    nodes.release_all();
                }
            });
            let opened = named.open().unwrap();
            let mut before = 0;
            for _ in 0..500 {
                let snapshot = Snapshot::take(&opened, Detail::Nodes);
                let snapshot = snapshot
                    .inspect_err(|_| stop.store(true, Ordering::Relaxed))
                    .unwrap();
                let ring = snapshot.ring.unwrap();
                let right = snapshot.damage.is_empty()
                    && ring.written_nodes - ring.read_nodes == ring.diff_nodes
                    && ring.written_bytes - ring.read_bytes == ring.diff_bytes
                    && ring.diff_nodes <= nodes.into()
                    && ring.head <= ring.tail
                    && ring.tail - ring.head <= nodes.into()
                    && ring.tail >= before
                    && ring.stream.clean;
                before = ring.tail;
                if !right {
                    stop.store(true, Ordering::Relaxed);
                    panic!("{ring:?} after {before}: {:?}", snapshot.damage);
                }
            }
            stop.store(true, Ordering::Relaxed);
            assert!(before > 0, "it did run");
        });
        let ring = named.snapshot().ring.unwrap();
        assert!(ring.consistent);
        assert_eq!(
            (ring.written_nodes, ring.read_nodes),
            (ring.tail, ring.tail - ring.diff_nodes)
        );
    }
}
