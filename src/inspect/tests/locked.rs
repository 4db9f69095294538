//! Arrays, buffers and their locks: words built by hand, and real segments.

use super::super::list::Listed;
use super::super::locked::{Observed, Target};
use super::super::{Lock, LockCounts, LockState, hexdump};
use super::image::{Image, PARTICIPANTS};
use super::named::{Named, cells_but_owner};
use super::*;
use crate::array::{self, Spec};
use crate::buffer;
use crate::lock::layout::{LOCK_SIZE, LockWords, UnderPass, WriterWord};
use crate::lock::{Access, AttachOptions, Locked, Mode, Wait};
use crate::segment::layout::EMPTY;

/// The memory of an array before its description, and who lives.
fn image() -> Image {
    Image::new(2, 1)
}

fn writer(image: &Image, word: WriterWord) {
    let at = image.layout.words + offset_of!(LockWords, writer) as u64;
    image.put32(at, word.0);
}

fn held_by(slot: u32) -> WriterWord {
    WriterWord(WriterWord::claimed_by(slot).0 | 1 << 31)
}

fn reading(image: &Image, slot: u32, locks: u32) {
    let at = Image::entry_at(slot) + offset_of!(Entry, reading) as u64;
    image.put32(at, locks);
}

/// What the holder of `slot` does under a lock of another.
fn under_pass(image: &Image, slot: u32, word: UnderPass) {
    let at = Image::entry_at(slot) + offset_of!(Entry, under_pass) as u64;
    image.put32(at, word.0 as u32);
    image.put32(at + 4, (word.0 >> 32) as u32);
}

fn observe(image: &Image) -> Observed {
    let target = Target {
        source: image,
        participants: PARTICIPANTS,
        words: image.layout.words,
    };
    target.observe().unwrap()
}

fn lock(image: &Image) -> Lock {
    let observed = observe(image);
    assert!(observed.damage.is_empty(), "{:?}", observed.damage);
    observed.lock
}

const FREE: Lock = Lock {
    state: LockState::Free,
    owner_died: false,
    writer_slot: None,
    waiting_slot: None,
    readers: 0,
    counts: LockCounts {
        write_locks: 0,
        read_locks: 0,
        written_bytes: 0,
        read_bytes: 0,
        writer_waits: 0,
        reader_waits: 0,
    },
};

/// The lock as if nobody had ever had it.
fn but_counts(lock: Lock) -> Lock {
    Lock {
        counts: FREE.counts,
        ..lock
    }
}

#[test]
fn a_lock_that_nobody_has_is_free() {
    let mut image = image();
    assert_eq!(lock(&image), FREE);
    image.attach(3, WRITER, 1, true);
    image.attach(4, READER, 1, true);
    assert_eq!(lock(&image), FREE);
}

#[test]
fn readers_are_counted_and_each_says_how_often() {
    let mut image = image();
    image.attach(3, WRITER, 1, true);
    image.attach(4, READER, 1, true);
    reading(&image, 3, 1);
    reading(&image, 4, 2);
    let observed = observe(&image);
    let expected = Lock {
        state: LockState::Read,
        readers: 2,
        ..FREE
    };
    assert_eq!(observed.lock, expected);
    let held: Vec<u32> = observed.participants.iter().map(|p| p.held_nodes).collect();
    assert_eq!(held, [1, 2]);
}

#[test]
fn a_dead_reader_has_no_lock() {
    let mut image = image();
    image.attach(4, READER, 1, false);
    reading(&image, 4, 1);
    assert_eq!(lock(&image), FREE);
    // Nor has one who has left, whatever was left behind.
    image.attach(4, EMPTY, 1, false);
    assert_eq!(lock(&image), FREE);
}

#[test]
fn what_was_done_under_it_is_counted_for_all_who_ever_were_attached() {
    let named = array("f64", 100, None);
    for _ in 0..3 {
        let mut writer = attached(&named, Access::Write);
        drop(writer.write(&Wait::default()).unwrap());
        drop(writer.read(&Wait::default()).unwrap());
    }
    let reader = attached(&named, Access::Read);
    drop(reader.read(&Wait::default()).unwrap());
    let counts = named.snapshot().lock.unwrap().counts;
    assert_eq!((counts.write_locks, counts.read_locks), (6, 1));
    assert_eq!((counts.writer_waits, counts.reader_waits), (0, 0));
}

#[test]
fn a_writer_has_it_alone_and_readers_that_ask_have_not() {
    let mut image = image();
    image.attach(3, WRITER, 1, true);
    image.attach(4, READER, 1, true);
    writer(&image, held_by(3));
    reading(&image, 4, 1);
    let observed = observe(&image);
    let expected = Lock {
        state: LockState::Write,
        writer_slot: Some(3),
        ..FREE
    };
    assert_eq!(observed.lock, expected);
    let held: Vec<u32> = observed.participants.iter().map(|p| p.held_nodes).collect();
    assert_eq!(held, [1, 0]);
}

#[test]
fn a_writer_that_waits_for_readers_is_named() {
    let mut image = image();
    image.attach(3, WRITER, 1, true);
    image.attach(4, READER, 1, true);
    writer(&image, WriterWord::claimed_by(3));
    reading(&image, 4, 1);
    let waiting = Lock {
        state: LockState::Read,
        waiting_slot: Some(3),
        readers: 1,
        ..FREE
    };
    assert_eq!(lock(&image), waiting);
    reading(&image, 4, 0);
    let about_to = Lock {
        state: LockState::Write,
        writer_slot: Some(3),
        ..FREE
    };
    assert_eq!(lock(&image), about_to);
}

#[test]
fn a_dead_writers_lock_is_free_and_torn_only_if_it_had_it() {
    let mut image = image();
    image.attach(3, WRITER, 1, false);
    let torn = Lock {
        owner_died: true,
        ..FREE
    };
    writer(&image, held_by(3));
    assert_eq!(lock(&image), torn);
    writer(&image, WriterWord::claimed_by(3));
    assert_eq!(lock(&image), FREE);
    // And when it has been written down, however often.
    let mut recovered = super::locked::image();
    recovered.attach(4, WRITER, 1, true);
    for marks in [1, 2, 1 << 31, u32::MAX] {
        let at = recovered.layout.words + offset_of!(LockWords, marks) as u64;
        recovered.put32(at, marks);
        assert_eq!(lock(&recovered), torn);
    }
}

#[test]
fn one_who_died_storing_under_the_lock_of_another_left_it_torn() {
    let mut image = image();
    image.attach(3, WRITER, 1, false);
    image.attach(4, WRITER, 1, true);
    let held = Lock {
        state: LockState::Write,
        writer_slot: Some(4),
        ..FREE
    };
    writer(&image, held_by(4));
    under_pass(&image, 3, UnderPass::new(4, true));
    let torn = Lock {
        owner_died: true,
        ..held
    };
    assert_eq!(lock(&image), torn);
    // Also when that lock has been given back; but not if it was only reading.
    writer(&image, WriterWord::FREE);
    let torn = Lock {
        owner_died: true,
        ..FREE
    };
    assert_eq!(lock(&image), torn);
    under_pass(&image, 3, UnderPass::new(4, false));
    assert_eq!(lock(&image), FREE);
    writer(&image, held_by(4));
    assert_eq!(lock(&image), held);
}

#[test]
fn those_who_work_under_the_lock_of_another_hold_it_too() {
    let mut image = image();
    image.attach(3, WRITER, 1, true);
    image.attach(4, WRITER, 1, true);
    let held = |image: &Image| -> Vec<u32> {
        let participants = observe(image).participants;
        participants.iter().map(|p| p.held_nodes).collect()
    };
    for storing in [false, true] {
        writer(&image, held_by(3));
        under_pass(&image, 4, UnderPass::new(3, storing));
        let expected = Lock {
            state: LockState::Write,
            writer_slot: Some(3),
            ..FREE
        };
        assert_eq!(lock(&image), expected);
        assert_eq!(held(&image), [1, 1]);
    }
    // Under a read lock.
    writer(&image, WriterWord::FREE);
    reading(&image, 3, 1);
    under_pass(&image, 4, UnderPass::new(3, false));
    let expected = Lock {
        state: LockState::Read,
        readers: 2,
        ..FREE
    };
    assert_eq!(lock(&image), expected);
    assert_eq!(held(&image), [1, 1]);
}

#[test]
fn one_whose_lock_was_that_of_a_dead_one_keeps_the_next_writer_waiting() {
    let mut image = image();
    image.attach(2, WRITER, 1, false);
    image.attach(3, WRITER, 1, true);
    image.attach(4, WRITER, 1, true);
    writer(&image, held_by(2));
    under_pass(&image, 4, UnderPass::new(2, true));
    let orphan = Lock {
        state: LockState::Write,
        owner_died: true,
        writer_slot: Some(4),
        ..FREE
    };
    assert_eq!(lock(&image), orphan);
    // The dead one has been put in order, and the next writer has come.
    image.attach(2, EMPTY, 1, false);
    writer(&image, WriterWord::claimed_by(3));
    let waiting = Lock {
        owner_died: false,
        waiting_slot: Some(3),
        ..orphan
    };
    assert_eq!(lock(&image), waiting);
    under_pass(&image, 4, UnderPass::new(2, false));
    let waiting = Lock {
        state: LockState::Read,
        writer_slot: None,
        readers: 1,
        ..waiting
    };
    assert_eq!(lock(&image), waiting);
    under_pass(&image, 4, UnderPass::NOTHING);
    assert_eq!(lock(&image).writer_slot, Some(3));
}

#[test]
fn one_who_gives_the_lock_back_and_leaves_meanwhile_did_not_die_with_it() {
    let mut image = image();
    image.attach(3, WRITER, 1, false);
    writer(&image, held_by(3));
    // Read 1 are the lock's words, read 2 the table, read 3 the suspect's entry.
    image.meanwhile = Some(|image, read| {
        if read == 3 {
            writer(image, WriterWord::FREE);
            image.put32(Image::entry_at(3) + offset_of!(Entry, state) as u64, EMPTY);
        }
    });
    let observed = observe(&image);
    assert_eq!(observed.lock, FREE);
    assert!(observed.participants.is_empty());
}

#[test]
fn a_lock_that_never_rests_is_not_taken_for_a_dead_ones() {
    let mut image = image();
    image.attach(3, WRITER, 1, false);
    image.meanwhile = Some(|image, read| {
        let word = [held_by(3), WriterWord::FREE][read as usize % 2];
        writer(image, word);
    });
    // Whichever of the two it sees first, it sees the other afterwards.
    assert!(!observe(&image).lock.owner_died);
}

#[test]
fn a_writer_that_there_is_not_is_damage() {
    for (word, slot) in [
        (u32::MAX, u32::MAX >> 1),
        (0x7fff_ffff, 0x7fff_fffe),
        (1 << 31, u32::MAX),
        (PARTICIPANTS + 1, PARTICIPANTS),
    ] {
        let image = image();
        writer(&image, WriterWord(word));
        let observed = observe(&image);
        // What the word with all bits set means is the lock's to say.
        let slot = match word {
            u32::MAX => WriterWord(word).slot().unwrap(),
            _ => slot,
        };
        assert_eq!(
            observed.damage.summary(),
            Some(format!("lock: held by participant {slot} of 128"))
        );
        assert_eq!(observed.lock.writer_slot, None);
        assert_eq!(observed.lock.state, LockState::Write);
    }
    // But not if it was there for a moment only.
    let mut image = image();
    writer(&image, WriterWord(u32::MAX));
    image.meanwhile = Some(|image, read| {
        if read > 5 {
            writer(image, WriterWord::FREE);
        }
    });
    assert!(observe(&image).damage.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_words_are_a_snapshot_of_a_lock_ends(
        words in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 0..60),
        attached in prop::collection::vec((0..PARTICIPANTS, 0u32..5, any::<bool>()), 0..10),
        raw_writer: u32, near: bool,
    ) {
        let mut image = image();
        let count = ((image.layout.words + LOCK_SIZE - HEADER_SIZE) / 4) as usize;
        for (at, word) in words {
            image.put32(HEADER_SIZE + at.index(count) as u64 * 4, word);
        }
        for (slot, state, alive) in attached {
            image.attach(slot, state, 1, alive);
        }
        let raw_writer = if near { raw_writer & 0x8000_00ff } else { raw_writer };
        writer(&image, WriterWord(raw_writer));
        let observed = observe(&image);
        let Lock { state, writer_slot, readers, .. } = observed.lock;
        prop_assert!(writer_slot.is_none_or(|slot| slot < PARTICIPANTS && state == LockState::Write));
        let whole = raw_writer & 0x7fff_ffff <= PARTICIPANTS && raw_writer != 1 << 31;
        prop_assert!(state != LockState::Read || readers > 0);
        prop_assert!(readers == 0 || state == LockState::Read || !whole);
        serde_json::to_string(&observed.lock)?;
    }
}

/// An array made by its own code.
fn array(text: &str, len: u64, fill: Option<&[u8]>) -> Named {
    let named = Named::unused();
    let spec = Spec::new(text.parse().unwrap(), len).unwrap();
    array::create(&named.0, &spec, fill, 0o640).unwrap();
    named
}

fn attached(named: &Named, access: Access) -> Locked {
    let options = AttachOptions {
        access,
        ..AttachOptions::default()
    };
    Locked::attach(&named.0, &options).unwrap()
}

fn text_of(named: &Named) -> String {
    let snapshot = named.snapshot();
    let mut out = Vec::new();
    text::write_snapshot(&mut out, &snapshot, snapshot.created_unix_ns).unwrap();
    let text = String::from_utf8(out).unwrap();
    let pid = format!("pid {}", std::process::id());
    let uid = format!("uid {}", snapshot.owner_uid);
    text.replace(named.0.as_str(), "NAME")
        .replace(&uid, "uid 0")
        .replace(&pid, "pid PID")
}

#[test]
fn an_array_says_what_it_is() {
    let named = array("id:u32,position:[f32;2]", 1000, None);
    let expected = "\
NAME: array of 1000 x {...}
  segment   51.7 KiB, mode 0640, uid 0, layout 2, made 0s ago by pid PID
  type      id:u32,position:[f32;2]
  elements  12 bytes each, aligned to 4, the first at byte 40960
  lock      free

  nobody is attached
";
    assert_eq!(text_of(&named), expected);
    let json = serde_json::to_value(named.snapshot()).unwrap();
    assert_eq!(
        json["array"],
        serde_json::json!({
            "type": "id:u32,position:[f32;2]", "len": 1000, "element_size": 12, "data_offset": 40_960
        })
    );
    assert_eq!(
        json["lock"],
        serde_json::json!({
            "state": "free", "owner_died": false, "writer_slot": null, "waiting_slot": null,
            "readers": 0, "write_locks": 0, "read_locks": 0, "written_bytes": 0, "read_bytes": 0,
            "writer_waits": 0, "reader_waits": 0
        })
    );
    for absent in ["ring", "buffer", "node_rows", "error"] {
        assert_eq!(json.get(absent), None, "{absent}");
    }
}

#[test]
fn a_buffer_says_what_it_is() {
    let named = Named::unused();
    buffer::create(&named.0, &buffer::Spec::new(3 << 20).unwrap(), 0o600).unwrap();
    assert!(text_of(&named).starts_with("NAME: buffer of 3 MiB\n"));
    assert!(text_of(&named).contains("\n  bytes     3145728 at byte 40960\n  lock      free\n"));
    let json = serde_json::to_value(named.snapshot()).unwrap();
    assert_eq!(
        json["buffer"],
        serde_json::json!({"size": 3 << 20, "data_offset": 40_960})
    );
    assert_eq!((json.get("array"), json.get("ring")), (None, None));
    let line = named.line(named.snapshot().created_unix_ns);
    assert_eq!(
        cells_but_owner(&line),
        ["NAME", "buffer", "3M", "3.04M", "0600", "0", "0", "-", "0s"]
    );
}

#[test]
fn who_has_the_lock_is_shown_with_what_it_has_done() {
    let named = array("f64", 100, None);
    let mut one = attached(&named, Access::Write);
    let two = attached(&named, Access::Read);
    let guard = two.read(&Wait::default()).unwrap();
    guard.count(800);
    let text = text_of(&named);
    assert!(text.contains("\n  lock      read, by 1\n"), "{text}");
    assert!(text.contains("  LOCKED  BYTES  WAITS  HOLDS  "), "{text}");
    drop(guard);
    let guard = one.write(&Wait::default()).unwrap();
    guard.count(16);
    let text = text_of(&named);
    let line = "\n  lock      write, by participant 0 (pid PID)\n";
    assert!(text.contains(line), "{text}");
    let participants = named.snapshot().participants;
    let seen: Vec<_> = participants
        .iter()
        .map(|p| (p.role, p.bytes, p.held_nodes, p.diff_nodes, p.alive))
        .collect();
    assert_eq!(
        seen,
        [
            (Role::Writer, 16, 1, 0, true),
            (Role::Reader, 800, 0, 0, true)
        ]
    );
    assert_eq!(participants[1].nodes, 1);
    guard.release_incomplete();
    let snapshot = named.snapshot();
    assert!(snapshot.lock.unwrap().owner_died);
    assert_eq!(snapshot.participants[0].nodes, 1);
    let text = text_of(&named);
    assert!(text.contains("\n  torn      a writer DIED"), "{text}");
}

#[test]
fn who_writes_under_the_lock_of_another_is_shown_with_it() {
    let named = array("f64", 100, None);
    let mut outer = attached(&named, Access::Write);
    let options = AttachOptions {
        passes: Some(outer.pass(Mode::Write)),
        ..AttachOptions::default()
    };
    let holding = outer.write(&Wait::default()).unwrap();
    let mut inner = Locked::attach(&named.0, &options).unwrap();
    let seen = |owner_died, held: [u32; 2]| {
        let Snapshot {
            lock, participants, ..
        } = named.snapshot();
        let expected = Lock {
            state: LockState::Write,
            owner_died,
            writer_slot: Some(0),
            ..FREE
        };
        assert_eq!(lock.map(but_counts), Some(expected));
        let found: Vec<u32> = participants.iter().map(|p| p.held_nodes).collect();
        assert_eq!(found, held);
    };
    seen(false, [1, 0]);
    let storing = inner.write(&Wait::default()).unwrap();
    seen(false, [1, 1]);
    storing.release_incomplete();
    seen(true, [1, 0]);
    drop(inner);
    drop(holding); // complete, but what was torn since it was taken stays so
    let expected = Lock {
        owner_died: true,
        ..FREE
    };
    assert_eq!(named.snapshot().lock.map(but_counts), Some(expected));
    drop(outer.write(&Wait::default()).unwrap());
    assert_eq!(named.snapshot().lock.map(but_counts), Some(FREE));
}

#[test]
fn an_array_is_a_line_of_the_list() {
    for (text, size) in [
        ("f64", "77xf64"),
        ("[u8;3]", "77x[u8;3]"),
        ("id:u32,at:f64", "77x{...}"),
        ("[{x:f32,y:f32};16]", "77x[{...};16]"),
    ] {
        let named = array(text, 77, None);
        let line = named.line(named.snapshot().created_unix_ns);
        let cells = cells_but_owner(&line);
        let total = cells[3];
        assert_eq!(
            cells,
            ["NAME", "array", size, total, "0640", "0", "0", "-", "0s"]
        );
        assert!(total.ends_with('K'), "{line}");
    }
}

#[test]
fn a_damaged_description_is_corrupt_and_a_line_of_the_list() {
    let named = array("id:u32,at:f64", 10, None);
    let header = named.open().unwrap().header().clone();
    let description = header.structure_offset + LOCK_SIZE;
    for bytes in [&b"xx"[..], b"\xff\xff", b"\0"] {
        named.put(description, bytes);
        let error = Snapshot::take(&named.open().unwrap(), super::super::Detail::Summary);
        assert!(
            matches!(&error, Err(SegmentError::Corrupt { why, .. }) if why.contains("check sum")),
            "{error:?}"
        );
        let attached = array::Untyped::attach(&named.0, &AttachOptions::default());
        assert!(attached.is_err());
        let mut out = Vec::new();
        let dumped = hexdump::write_payload(&mut out, &named.open().unwrap());
        assert!(dumped.is_err() && out.is_empty());
        let listed: Listed = named.listed();
        assert!(listed.error().unwrap().contains("damaged"));
        assert!(named.line(0).starts_with("NAME  ?"), "{}", named.line(0));
    }
}

#[test]
fn a_damaged_lock_is_shown_beside_what_is_right() {
    let named = array("f64", 10, None);
    let at = named.open().unwrap().header().structure_offset;
    named.put(at, &u32::MAX.to_le_bytes());
    let snapshot = named.snapshot();
    assert!(
        snapshot
            .damage
            .summary()
            .unwrap()
            .starts_with("lock: held by")
    );
    assert_eq!(snapshot.array.as_ref().unwrap().len, 10);
    let text = text_of(&named);
    assert!(
        text.contains("\n  lock      write\n  DAMAGED   lock: held by"),
        "{text}"
    );
    let json = serde_json::to_value(&snapshot).unwrap();
    assert!(json["error"].as_str().unwrap().starts_with("lock: held by"));
}

#[test]
fn a_payload_is_dumped_from_its_beginning_and_to_its_end() {
    let named = array("[u8;5]", 4, Some(b"hello"));
    let mut out = Vec::new();
    hexdump::write_payload(&mut out, &named.open().unwrap()).unwrap();
    let expected = "\
00000000  68 65 6c 6c 6f 68 65 6c  6c 6f 68 65 6c 6c 6f 68  |hellohellohelloh|
00000010  65 6c 6c 6f                                       |ello|
00000014
";
    assert_eq!(String::from_utf8(out).unwrap(), expected);

    // More than one piece.
    let large = Named::unused();
    buffer::create(&large.0, &buffer::Spec::new(200_003).unwrap(), 0o600).unwrap();
    let offset = large.open().unwrap().header().payload_offset;
    large.put(offset + 200_000, b"end");
    let mut out = Vec::new();
    hexdump::write_payload(&mut out, &large.open().unwrap()).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[2].starts_with("00030d40  65 6e 64 "), "{text}");
    assert_eq!(lines[3], "00030d43");

    let ring = Named::ring(&image());
    let mut out = Vec::new();
    let error = hexdump::write_payload(&mut out, &ring.open().unwrap()).unwrap_err();
    assert!(error.to_string().contains("is a ring"), "{error}");
}
