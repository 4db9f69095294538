//! Arrays and buffers as somebody uses them who writes a program of their
//! own: typed handles and guards, in one process on several threads.

mod harness;

use proptest::prelude::*;
use shmkit::array::{self, Array, ArrayError, Bool, Element, ElementType, Spec, Untyped};
use shmkit::buffer::{self, Buffer, BufferError};
use shmkit::lock::{Access, AttachOptions, LockError, Wait};
use shmkit::segment::{self, Gone, Kind, Name, OpenOptions, Opened, SegmentError};
use std::fmt::Debug;
use std::os::unix::fs::FileExt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

shmkit::record! {
    /// Pads: 1 byte, then 3 that are nobody's.
    #[derive(Debug, PartialEq, Default)]
    pub struct Sample {
        /// What it is.
        pub kind: u8,
        /// Where it is.
        pub position: [f32; 3],
        pub(crate) good: Bool,
    }
}

shmkit::record! {
    #[derive(Debug, PartialEq)]
    struct Pair { low: u64, high: u64 }
}

shmkit::record! {
    #[derive(Debug, PartialEq)]
    struct Nested { samples: [Sample; 2], pair: Pair, }
}

/// A segment made through the library, removed on drop.
struct Made {
    _unique: harness::Name,
    name: Name,
}

fn unused() -> Made {
    let unique = harness::Name::unused();
    let name = Name::new(&unique).unwrap();
    Made {
        _unique: unique,
        name,
    }
}

fn described(element_type: ElementType, len: u64) -> Made {
    let made = unused();
    let spec = Spec::new(element_type, len).unwrap();
    array::create(&made.name, &spec, None, 0o600).unwrap();
    made
}

fn array_of<T: Element>(len: u64) -> Made {
    described(T::element_type(), len)
}

fn buffer_of(size: u64) -> Made {
    let made = unused();
    buffer::create(&made.name, &buffer::Spec::new(size).unwrap(), 0o600).unwrap();
    made
}

impl Made {
    fn array<T: Element>(&self) -> Array<T> {
        Array::attach(&self.name, &AttachOptions::default()).unwrap()
    }
    fn buffer(&self) -> Buffer {
        Buffer::attach(&self.name, &AttachOptions::default()).unwrap()
    }
    fn file(&self) -> std::fs::File {
        let mut options = std::fs::OpenOptions::new();
        let path = self.name.path();
        options.read(true).write(true).open(path).unwrap()
    }
}

fn reading() -> AttachOptions {
    AttachOptions {
        access: Access::Read,
        ..AttachOptions::default()
    }
}

/// The longest that a call which should succeed may block.
fn patiently() -> Wait<'static> {
    Wait {
        deadline: Some(Instant::now() + harness::PATIENCE),
        cancelled: None,
    }
}

fn for_a_moment() -> Wait<'static> {
    Wait {
        deadline: Some(Instant::now() + Duration::from_millis(100)),
        cancelled: None,
    }
}

fn nested(i: u32) -> Nested {
    let sample = |kind: u8| Sample {
        kind,
        position: [i as f32, 0.5, -1.0],
        good: i.is_multiple_of(2).into(),
    };
    Nested {
        samples: [sample(1), sample(2)],
        pair: Pair {
            low: i.into(),
            high: u64::MAX - u64::from(i),
        },
    }
}

#[test]
fn records_keep_their_fields() {
    let made = array_of::<Nested>(50);
    let opened = Opened::open(&made.name, OpenOptions::default()).unwrap();
    assert_eq!(
        Spec::of(&opened).unwrap().element_type().to_string(),
        "samples:[{kind:u8,position:[f32;3],good:bool};2],pair:{low:u64,high:u64}"
    );
    let (mut one, other) = (made.array::<Nested>(), made.array::<Nested>());
    for i in 0..50 {
        one.set(i, nested(i as u32)).unwrap();
    }
    for i in (0..50).rev() {
        assert_eq!(other.get(i).unwrap(), nested(i as u32));
    }
}

#[test]
fn another_type_is_refused_and_both_are_named() {
    fn refused<T: Element + Debug>(made: &Made, expected: &str, found: &str) {
        let error = Array::<T>::attach(&made.name, &AttachOptions::default()).unwrap_err();
        match &error {
            ArrayError::WrongType {
                name,
                expected: e,
                found: f,
            } => assert_eq!((name, &**e, &**f), (&made.name, expected, found)),
            other => panic!("{other}"),
        }
        let line = error.to_string();
        assert!(line.contains(expected) && line.contains(found), "{line}");
    }
    let made = array_of::<Pair>(3);
    let pair = "low:u64,high:u64";
    refused::<u64>(&made, "u64", pair);
    refused::<[u64; 2]>(&made, "[u64;2]", pair);
    refused::<Sample>(&made, "kind:u8,position:[f32;3],good:bool", pair);
    // As large and as aligned, and yet another.
    refused::<u32>(&array_of::<f32>(3), "u32", "f32");
    refused::<Bool>(&array_of::<u8>(3), "bool", "u8");
}

/// Says that it is a `u64`, and is less, or more: a promise broken, which is
/// found where it can be.
macro_rules! liar {
    ($name:ident, $inner:ty) => {
        #[derive(Clone, Copy, Debug, shmkit::zerocopy::FromBytes, shmkit::zerocopy::Immutable)]
        #[zerocopy(crate = "shmkit::zerocopy")]
        #[repr(transparent)]
        struct $name($inner);
        // SAFETY: not what the trait asks for. No array of it is ever attached,
        // nor a value of it made, which is what the test is about.
        unsafe impl Element for $name {
            fn element_type() -> ElementType {
                u64::element_type()
            }
            fn store(&self, out: &mut [u8]) {
                out.fill(0xff);
            }
        }
    };
}
liar!(Larger, [u64; 512]);
liar!(Smaller, u32);
liar!(Elsewhere, [u8; 8]);

#[test]
fn a_type_that_lies_about_its_layout_is_refused() {
    fn refused<T: Element + Debug>(made: &Made) {
        let error = Array::<T>::attach(&made.name, &AttachOptions::default()).unwrap_err();
        match error {
            ArrayError::Layout {
                size,
                align,
                described,
                ..
            } => {
                assert_eq!((size, align), (size_of::<T>(), align_of::<T>()));
                assert_eq!(described, "u64");
            }
            other => panic!("{other}"),
        }
    }
    let made = array_of::<u64>(4);
    refused::<Larger>(&made);
    refused::<Smaller>(&made);
    refused::<Elsewhere>(&made);
}

#[test]
fn other_kinds_are_refused() {
    let (array, buffer) = (array_of::<u8>(1), buffer_of(1));
    let error = Buffer::attach(&array.name, &AttachOptions::default()).unwrap_err();
    assert!(
        matches!(
            error,
            BufferError::Lock(LockError::Segment(SegmentError::WrongKind {
                expected: Kind::Buffer,
                found: Kind::Array,
                ..
            }))
        ),
        "{error}"
    );
    let error = Array::<u8>::attach(&buffer.name, &AttachOptions::default()).unwrap_err();
    assert!(
        matches!(
            error,
            ArrayError::Lock(LockError::Segment(SegmentError::WrongKind {
                expected: Kind::Array,
                found: Kind::Buffer,
                ..
            }))
        ),
        "{error}"
    );
    // Neither attempt left an entry behind.
    segment::remove(&array.name, false, OpenOptions::default()).unwrap();
    let error = Array::<u8>::attach(&array.name, &AttachOptions::default()).unwrap_err();
    assert!(
        matches!(
            error,
            ArrayError::Lock(LockError::Segment(SegmentError::NotFound { .. }))
        ),
        "{error}"
    );
}

/// Stores and loads each of the values at both ends of an array, with
/// neighbours that must not change.
fn keeps<T: Element + PartialEq + Debug>(values: &[T]) {
    let made = array_of::<T>(5);
    let (mut one, other) = (made.array::<T>(), made.array::<T>());
    let zero = other.get(0).unwrap();
    for &value in values {
        for at in [0, 2, 4] {
            one.set(at, value).unwrap();
            assert_eq!(other.get(at).unwrap(), value);
            assert_eq!(one.get(at).unwrap(), value);
            let all = other.to_vec(&patiently()).unwrap();
            for (i, found) in (0..).zip(&all) {
                assert_eq!(*found, if i == at { value } else { zero });
            }
            one.set(at, zero).unwrap();
        }
    }
}

#[test]
fn every_type_keeps_its_extremes() {
    keeps(&[i8::MIN, -1, 1, i8::MAX]);
    keeps(&[i16::MIN, -1, 1, i16::MAX]);
    keeps(&[i32::MIN, -1, 1, i32::MAX]);
    keeps(&[i64::MIN, -1, 1, i64::MAX]);
    keeps(&[1, u8::MAX]);
    keeps(&[1, u16::MAX]);
    keeps(&[1, u32::MAX]);
    keeps(&[1, u64::MAX]);
    keeps(&[f32::MIN, f32::MAX, f32::MIN_POSITIVE, 1e-45, f32::INFINITY]);
    keeps(&[
        f64::MIN,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        f64::NEG_INFINITY,
    ]);
    keeps(&[Bool::TRUE, Bool::FALSE]);
    keeps(&[[0x11u8, 0x22, 0x33], [0xff; 3]]);
    keeps(&[[i16::MIN, i16::MAX], [-1, 1]]);
    keeps(&[[1u8; 8], [0xfe; 8]]);
    keeps(&[[u64::MAX; 2], [1, 2]]);
    keeps(&[nested(1), nested(u32::MAX)]);
    keeps(&[[7u8; 65_536]]);
    // Floats to the bit.
    let made = array_of::<f64>(2);
    let mut array = made.array::<f64>();
    for bits in [0x7ff0_0000_0000_0001, 0xfff8_dead_beef_0001, 1 << 63] {
        array.set(1, f64::from_bits(bits)).unwrap();
        assert_eq!(array.get(1).unwrap().to_bits(), bits);
    }
}

#[test]
fn elements_that_there_are_not_are_an_error_with_its_numbers() {
    fn check<T: Element + Debug + Default>(len: u64) {
        let made = array_of::<T>(len);
        let mut array = made.array::<T>();
        let out_of_range = |error: ArrayError, at: u64, count: u64| match error {
            ArrayError::OutOfRange {
                name,
                at: a,
                count: c,
                len: l,
            } => assert_eq!((&name, a, c, l), (&made.name, at, count, len)),
            other => panic!("{other}"),
        };
        for at in [len, len + 1, u64::MAX / size_of::<T>() as u64, u64::MAX] {
            out_of_range(array.get(at).unwrap_err(), at, 1);
            out_of_range(array.set(at, T::default()).unwrap_err(), at, 1);
        }
        for (at, count) in [
            (0, len + 1),
            (len, 1),
            (len - 1, 2),
            (u64::MAX, 1),
            (u64::MAX, 2),
        ] {
            let mut values = vec![T::default(); count as usize];
            let error = array.write_from(at, &values, &patiently()).unwrap_err();
            out_of_range(error, at, count);
            let error = array.read_into(at, &mut values, &patiently()).unwrap_err();
            out_of_range(error, at, count);
        }
        // Nothing of nothing, up to the end.
        array.write_from(len, &[], &patiently()).unwrap();
        array.read_into(len, &mut [], &patiently()).unwrap();
        out_of_range(
            array.write_from(len + 1, &[], &patiently()).unwrap_err(),
            len + 1,
            0,
        );
    }
    check::<u8>(1);
    check::<u64>(10);
    check::<Sample>(7);
    let line = array_of::<u8>(10).array::<u8>().get(10).unwrap_err();
    assert!(
        line.to_string()
            .ends_with(": element 10: the last one is 9"),
        "{line}"
    );
}

#[test]
fn a_handle_for_reading_stores_nothing() {
    let made = array_of::<u64>(2);
    let mut array = Array::<u64>::attach(&made.name, &reading()).unwrap();
    let read_only = |error: ArrayError| {
        assert!(
            matches!(&error, ArrayError::Lock(LockError::ReadOnly { .. })),
            "{error}"
        );
    };
    read_only(array.set(0, 7).unwrap_err());
    read_only(array.write_from(0, &[7], &patiently()).unwrap_err());
    read_only(array.fill(7, &patiently()).unwrap_err());
    read_only(array.write(&patiently()).unwrap_err());
    assert_eq!(array.to_vec(&patiently()).unwrap(), [0, 0]);

    let made = buffer_of(8);
    let mut buffer = Buffer::attach(&made.name, &reading()).unwrap();
    let error = buffer.store(0, 7u8).unwrap_err();
    assert!(
        matches!(error, BufferError::Lock(LockError::ReadOnly { .. })),
        "{error}"
    );
    assert!(buffer.write_at(0, &[7], &patiently()).is_err());
    assert_eq!(buffer.load::<u64>(0).unwrap(), 0);
}

#[test]
fn padding_is_zero_in_the_segment_where_elements_are_copied_to_it() {
    let sample = |kind| Sample {
        kind,
        position: [1.0, -2.0, f32::NAN],
        good: Bool::TRUE,
    };
    let made = array_of::<Sample>(20);
    let mut array = made.array::<Sample>();
    // Something that is not zero, first.
    let offset = array.spec().data_offset();
    made.file().write_all_at(&[0xee; 400], offset).unwrap();
    array.fill(sample(3), &patiently()).unwrap();
    array.write_from(5, &[sample(4); 3], &patiently()).unwrap();
    array.set(9, sample(5)).unwrap();
    let mut bytes = [0xaa; 400];
    made.file().read_exact_at(&mut bytes, offset).unwrap();
    for (i, element) in bytes.chunks(20).enumerate() {
        let kind = match i {
            5..=7 => 4,
            9 => 5,
            _ => 3,
        };
        assert_eq!(element[..4], [kind, 0, 0, 0], "element {i}");
        assert_eq!(element[16..], [1, 0, 0, 0], "element {i}");
    }
}

#[test]
fn a_handle_exchanged_for_that_of_another_array_is_an_error_and_no_panic() {
    fn check<T: Element + Default + Debug>() {
        let (small, large) = (array_of::<T>(3), array_of::<T>(2000));
        let (mut one, mut two) = (small.array::<T>(), large.array::<T>());
        std::mem::swap(one.locked_mut(), two.locked_mut());
        let exchanged = |result: Result<(), ArrayError>, now: &Made| match result {
            Err(ArrayError::Exchanged { name }) => assert_eq!(name, now.name),
            other => panic!("{other:?}"),
        };
        for (array, now) in [(&mut one, &large), (&mut two, &small)] {
            let last = array.len() - 1;
            exchanged(array.get(last).map(drop), now);
            exchanged(array.get(0).map(drop), now);
            exchanged(array.set(last, T::default()), now);
            exchanged(array.to_vec(&patiently()).map(drop), now);
            exchanged(array.fill(T::default(), &patiently()), now);
            exchanged(array.read(&patiently()).map(drop), now);
            exchanged(array.write(&patiently()).map(drop), now);
            let mut values = [T::default(); 2];
            exchanged(array.write_from(last - 1, &values, &patiently()), now);
            exchanged(array.read_into(last - 1, &mut values, &patiently()), now);
        }
        std::mem::swap(one.locked_mut(), two.locked_mut());
        two.set(1999, T::default()).unwrap();
        assert_eq!(one.to_vec(&patiently()).unwrap().len(), 3);
    }
    check::<u64>();
    check::<[u16; 3]>();
    check::<Sample>();
}

#[test]
fn a_handle_exchanged_for_that_of_another_buffer_has_the_others_bytes() {
    let (small, large) = (buffer_of(8), buffer_of(100));
    let (mut one, mut two) = (small.buffer(), large.buffer());
    std::mem::swap(one.locked_mut(), two.locked_mut());
    for (result, at, len) in [
        (two.load::<u64>(16).map(drop), 16, 8),
        (two.store(16, 1u64), 16, 8),
        (two.read_at(50, &mut [0; 9], &patiently()), 50, 9),
        (two.write_at(50, &[0; 9], &patiently()), 50, 9),
    ] {
        match result {
            Err(BufferError::OutOfRange {
                name,
                at: a,
                len: l,
                size,
            }) => assert_eq!((name, a, l, size), (small.name.clone(), at, len, 8)),
            other => panic!("{other:?}"),
        }
    }
    one.store(16, 5u64).unwrap();
    assert_eq!(large.buffer().load::<u64>(16).unwrap(), 5);
}

#[test]
fn elements_are_changed_and_looked_at_in_place() {
    let made = array_of::<Pair>(1000);
    let (mut one, two) = (made.array::<Pair>(), made.array::<Pair>());
    let mut guard = one.write(&patiently()).unwrap();
    for (i, pair) in (0..).zip(&mut guard) {
        pair.low = i;
    }
    guard[10..20].fill(Pair { low: 5, high: 6 });
    assert_eq!(guard.len(), 1000);
    assert_eq!(guard[999], Pair { low: 999, high: 0 });
    assert_eq!((&guard).into_iter().count(), 1000);
    guard.count(1000);
    drop(guard);

    let guard = two.read(&patiently()).unwrap();
    let sum: u64 = guard.iter().map(|pair| pair.low).sum();
    assert_eq!(sum, (0..1000).sum::<u64>() - (10..20).sum::<u64>() + 50);
    assert_eq!((&guard).into_iter().filter(|p| p.high == 6).count(), 10);
    assert!(!guard.owner_died());
}

#[test]
fn readers_share_and_a_writer_has_it_alone() {
    let made = array_of::<u32>(4);
    let (mut one, mut two, three) = (
        made.array::<u32>(),
        made.array::<u32>(),
        made.array::<u32>(),
    );
    let timed_out = |error: ArrayError| {
        assert!(
            matches!(error, ArrayError::Lock(LockError::TimedOut)),
            "{error}"
        );
    };
    let (first, second) = (
        one.read(&patiently()).unwrap(),
        three.read(&patiently()).unwrap(),
    );
    assert_eq!(*first, *second);
    timed_out(two.write(&for_a_moment()).unwrap_err());
    timed_out(two.write_from(0, &[1], &for_a_moment()).unwrap_err());
    // One element, whole, needs no lock, and shows at once.
    two.set(3, 33).unwrap();
    assert_eq!(three.get(3).unwrap(), 33);
    drop((first, second));

    let guard = two.write(&patiently()).unwrap();
    timed_out(three.read(&for_a_moment()).unwrap_err());
    timed_out(one.fill(0, &for_a_moment()).unwrap_err());
    assert_eq!(three.get(3).unwrap(), 33);
    drop(guard);
    one.fill(1, &patiently()).unwrap();
    assert_eq!(three.to_vec(&patiently()).unwrap(), [1; 4]);
}

#[test]
fn a_writer_that_panics_leaves_word_until_a_write_is_complete() {
    let made = array_of::<u16>(4);
    let mut one = made.array::<u16>();
    let two = made.array::<u16>();
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let mut guard = one.write(&patiently()).unwrap();
        guard[0] = 1;
        // Not `panic!`, whose message would be printed among the tests'.
        std::panic::resume_unwind(Box::new("in the middle"));
    }));
    assert!(result.is_err());
    assert!(two.read(&patiently()).unwrap().owner_died());
    let guard = one.write(&patiently()).unwrap();
    assert!(guard.owner_died());
    guard.release_unwritten();
    assert!(two.read(&patiently()).unwrap().owner_died());
    one.write_from(0, &[2], &patiently()).unwrap();
    assert!(!two.read(&patiently()).unwrap().owner_died());
    one.write(&patiently()).unwrap().release_incomplete();
    assert!(two.read(&patiently()).unwrap().owner_died());
}

#[test]
fn an_array_is_filled_before_it_has_its_name() {
    for (text, fill, len) in [
        ("u8", vec![7u8], 1_000_003),
        ("f64", 1.5f64.to_le_bytes().to_vec(), 100_000),
        ("[u8;3]", vec![1, 2, 3], 300_001),
        ("i32", vec![0; 4], 10),
    ] {
        let made = unused();
        let spec = Spec::new(text.parse().unwrap(), len).unwrap();
        array::create(&made.name, &spec, Some(&fill), 0o600).unwrap();
        let array = Untyped::attach(&made.name, &AttachOptions::default()).unwrap();
        let guard = array.locked().read(&patiently()).unwrap();
        assert_eq!(guard.bytes().len() as u64, len * fill.len() as u64);
        assert!(guard.bytes().chunks_exact(fill.len()).all(|e| e == fill));
    }
}

#[test]
fn what_cannot_be_filled_is_not_made() {
    let made = unused();
    let spec = Spec::new(u64::element_type(), 10).unwrap();
    let error = array::create(&made.name, &spec, Some(&[1; 7]), 0o600).unwrap_err();
    assert!(
        matches!(
            error,
            ArrayError::Impossible {
                len: 10,
                size: 8,
                ..
            }
        ),
        "{error}"
    );
    assert!(!made._unique.exists());

    // Cancelled while it reserves, and while it fills.
    let spec = Spec::new(u8::element_type(), 130 << 20).unwrap();
    for after in [0, 3, 4] {
        let asked = AtomicU64::new(0);
        let cancelled = || asked.fetch_add(1, Ordering::Relaxed) >= after;
        let error = array::create_unless(&made.name, &spec, Some(&[1]), 0o600, &cancelled);
        assert!(
            matches!(error, Err(ArrayError::Lock(LockError::Cancelled))),
            "{error:?}"
        );
        assert!(!made._unique.exists());
    }
    let asked = AtomicU64::new(0);
    let cancelled = || asked.fetch_add(1, Ordering::Relaxed) >= 1;
    let spec = buffer::Spec::new(130 << 20).unwrap();
    let error = buffer::create_unless(&made.name, &spec, 0o600, &cancelled).unwrap_err();
    assert!(
        matches!(error, BufferError::Lock(LockError::Cancelled)),
        "{error}"
    );
    assert!(!made._unique.exists());
}

/// One stores values whose bytes are all alike, another looks for half ones.
#[test]
fn eight_bytes_are_never_torn_without_a_lock() {
    let array = array_of::<u64>(3);
    let buffer = buffer_of(24);
    let alike = |i: u64| (i % 256) * 0x0101_0101_0101_0101;
    let whole = |value: u64| value == alike(value & 0xff);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for first in [0, 128] {
            let (array, buffer, stop) = (&array, &buffer, &stop);
            scope.spawn(move || {
                let (mut array, mut buffer) = (array.array::<u64>(), buffer.buffer());
                for i in first.. {
                    array.set(1, alike(i)).unwrap();
                    buffer.store(8, alike(i)).unwrap();
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        let (array, buffer) = (array.array::<u64>(), buffer.buffer());
        let until = Instant::now() + Duration::from_secs(1);
        let (mut seen, mut looks) = (std::collections::HashSet::new(), 0u64);
        let torn = loop {
            let values = [array.get(1).unwrap(), buffer.load(8).unwrap()];
            seen.insert(values[0]);
            looks += 1;
            if let Some(torn) = values.into_iter().find(|value| !whole(*value)) {
                break Some(torn);
            }
            if Instant::now() >= until && (seen.len() > 10 || looks > 1 << 28) {
                break None;
            }
        };
        // Before anything can panic, or the writers go on for ever.
        stop.store(true, Ordering::Relaxed);
        assert_eq!(torn, None, "in {looks} looks");
        assert!(seen.len() > 10, "{} values in {looks} looks", seen.len());
        assert_eq!((array.get(0).unwrap(), array.get(2).unwrap()), (0, 0));
        assert_eq!(buffer.load::<u64>(16).unwrap(), 0);
    });
}

#[test]
fn larger_elements_are_never_torn_either() {
    let made = array_of::<[u64; 9]>(2);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (made, stop) = (&made, &stop);
        scope.spawn(move || {
            let mut array = made.array::<[u64; 9]>();
            for i in 1.. {
                array.set(1, [i; 9]).unwrap();
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let array = made.array::<[u64; 9]>();
        let until = Instant::now() + Duration::from_secs(1);
        let mut torn = None;
        while torn.is_none() && Instant::now() < until {
            let value = array.get(1).unwrap();
            torn = value.iter().any(|part| *part != value[0]).then_some(value);
        }
        stop.store(true, Ordering::Relaxed);
        assert_eq!(torn, None);
    });
}

#[test]
fn a_removed_array_is_gone_for_those_who_have_it() {
    let (array, buffer) = (array_of::<u32>(4), buffer_of(4));
    let mut attached = array.array::<u32>();
    let mut bytes = buffer.buffer();
    for name in [&array.name, &buffer.name] {
        segment::remove(name, true, OpenOptions::default()).unwrap();
    }
    assert_eq!(attached.gone(), Some(Gone::Removed));
    let gone = |error: ArrayError| {
        assert!(
            matches!(
                error,
                ArrayError::Lock(LockError::Gone {
                    gone: Gone::Removed,
                    ..
                })
            ),
            "{error}"
        );
    };
    gone(attached.get(0).unwrap_err());
    gone(attached.set(0, 1).unwrap_err());
    gone(attached.to_vec(&patiently()).unwrap_err());
    gone(attached.write_from(0, &[1], &patiently()).unwrap_err());
    gone(attached.fill(1, &patiently()).unwrap_err());
    assert_eq!(bytes.gone(), Some(Gone::Removed));
    assert!(bytes.load::<u32>(0).is_err() && bytes.store(0, 1u32).is_err());
    assert!(bytes.read_at(0, &mut [0], &patiently()).is_err());
}

#[test]
fn a_truncated_array_is_gone_and_kills_nobody() {
    segment::guard_faults().unwrap();
    let made = array_of::<u64>(100_000);
    let mut array = made.array::<u64>();
    array.fill(7, &patiently()).unwrap();
    let offset = array.spec().data_offset();
    made.file().set_len(offset + 4096).unwrap();
    assert_eq!(array.get(0).unwrap(), 7);
    let gone = |error: ArrayError| {
        assert!(
            matches!(
                error,
                ArrayError::Lock(LockError::Gone {
                    gone: Gone::Truncated,
                    ..
                })
            ),
            "{error}"
        );
    };
    gone(array.get(99_999).unwrap_err());
    gone(array.to_vec(&patiently()).unwrap_err());
    gone(array.set(99_998, 1).unwrap_err());
}

#[test]
fn a_description_that_was_tampered_with_is_refused() {
    let made = described("id:u32,at:f64".parse().unwrap(), 10);
    let opened = Opened::open(&made.name, OpenOptions::default()).unwrap();
    let from = segment::structure_offset(opened.header().participants);
    let mut before = vec![0; (opened.header().payload_offset - from) as usize];
    opened.read_at(from, &mut before).unwrap();
    let text = b"id:u32,at:f64";
    let at = before.windows(text.len()).position(|w| w == text).unwrap();
    for i in 0..text.len() {
        let place = from + (at + i) as u64;
        made.file().write_all_at(&[text[i] ^ 1], place).unwrap();
        let error = Untyped::attach(&made.name, &AttachOptions::default()).unwrap_err();
        assert!(
            matches!(
                &error,
                ArrayError::Lock(LockError::Segment(SegmentError::Corrupt { .. }))
            ),
            "{error}"
        );
        assert!(Spec::of(&opened).is_err());
        made.file().write_all_at(&text[i..=i], place).unwrap();
    }
    assert!(Untyped::attach(&made.name, &AttachOptions::default()).is_ok());
}

#[test]
fn values_are_anywhere_in_a_buffer() {
    let made = buffer_of(100);
    let (mut one, two) = (made.buffer(), made.buffer());
    assert_eq!(two.size(), 100);
    let sample = Sample {
        kind: 9,
        position: [0.25; 3],
        good: Bool::TRUE,
    };
    let mut guard = one.write(&patiently()).unwrap();
    guard.as_bytes_mut().fill(0xff);
    guard.put(0, i16::MIN).unwrap();
    guard.put(3, sample).unwrap(); // aligned to nothing
    guard.put(92, u64::MAX / 3).unwrap(); // the last bytes there are
    guard
        .slice_mut::<u32>(24, 3)
        .unwrap()
        .copy_from_slice(&[1, 2, 3]);
    guard.slice_mut::<Sample>(40, 2).unwrap()[1] = sample;
    guard.bytes_mut(36, 2).unwrap().copy_from_slice(b"hi");
    assert_eq!(guard.get::<Sample>(3).unwrap(), sample);
    assert_eq!(guard.bytes(36, 2).unwrap(), b"hi");
    assert_eq!(guard.slice::<u32>(24, 3).unwrap(), [1, 2, 3]);
    drop(guard);

    let guard = two.read(&patiently()).unwrap();
    assert_eq!(guard.get::<i16>(0).unwrap(), i16::MIN);
    assert_eq!(guard.as_bytes()[2], 0xff);
    assert_eq!(guard.bytes(4, 3).unwrap(), [0; 3], "padding");
    assert_eq!(
        guard.get::<[u8; 8]>(92).unwrap(),
        (u64::MAX / 3).to_le_bytes()
    );
    assert_eq!(guard.slice::<Sample>(60, 1).unwrap(), [sample]);
    assert_eq!(guard.slice::<u8>(37, 1).unwrap(), b"i");
    assert!(guard.slice::<u64>(96, 0).unwrap().is_empty());
    assert!(guard.bytes(100, 0).unwrap().is_empty());
}

#[test]
fn offsets_that_there_are_not_are_an_error_with_its_numbers() {
    let made = buffer_of(100);
    let mut buffer = made.buffer();
    let out_of_range = |error: BufferError, at: u64, len: u64| match error {
        BufferError::OutOfRange {
            name,
            at: a,
            len: l,
            size,
        } => assert_eq!((&name, a, l, size), (&made.name, at, len, 100)),
        other => panic!("{other}"),
    };
    for at in [96, 100, u64::MAX - 7, u64::MAX] {
        out_of_range(buffer.load::<u64>(at).unwrap_err(), at, 8);
        out_of_range(buffer.store(at, 1u64).unwrap_err(), at, 8);
        out_of_range(
            buffer.read_at(at, &mut [0; 5], &patiently()).unwrap_err(),
            at,
            5,
        );
        out_of_range(
            buffer.write_at(at, &[0; 5], &patiently()).unwrap_err(),
            at,
            5,
        );
        let mut guard = buffer.write(&patiently()).unwrap();
        out_of_range(guard.get::<Sample>(at).unwrap_err(), at, 20);
        out_of_range(guard.put(at, [0u8; 6]).unwrap_err(), at, 6);
        out_of_range(guard.slice::<u16>(at, 3).unwrap_err(), at, 6);
        out_of_range(
            guard.slice_mut::<u16>(at, u64::MAX).unwrap_err(),
            at,
            u64::MAX,
        );
        out_of_range(guard.bytes(at, 5).unwrap_err(), at, 5);
        out_of_range(guard.bytes_mut(at, u64::MAX).unwrap_err(), at, u64::MAX);
    }
    for (at, align) in [(1, 4), (94, 4)] {
        let unaligned = |error: BufferError| match error {
            BufferError::Unaligned {
                at: a, align: l, ..
            } => assert_eq!((a, l), (at, align)),
            other => panic!("{other}"),
        };
        unaligned(buffer.load::<u32>(at).unwrap_err());
        unaligned(buffer.store(at, 1.0f32).unwrap_err());
        let mut guard = buffer.write(&patiently()).unwrap();
        unaligned(guard.slice::<u32>(at, 1).unwrap_err());
        unaligned(guard.slice_mut::<[f32; 1]>(at, 1).unwrap_err());
    }
    // A word is at a multiple of its size, whatever its alignment.
    let error = buffer.load::<[u8; 8]>(4).unwrap_err();
    assert!(
        matches!(
            error,
            BufferError::Unaligned {
                at: 4,
                align: 8,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(buffer.load::<[u8; 4]>(96).unwrap(), [0; 4]);
    let mut all = [1; 100];
    buffer.read_at(0, &mut all, &patiently()).unwrap();
    assert_eq!(all, [0; 100], "nothing was stored");
}

#[test]
fn a_buffers_lock_is_an_arrays_lock() {
    let made = buffer_of(10);
    let (mut one, two) = (made.buffer(), made.buffer());
    let guard = one.write(&patiently()).unwrap();
    let error = two.read_at(0, &mut [0], &for_a_moment()).unwrap_err();
    assert!(
        matches!(error, BufferError::Lock(LockError::TimedOut)),
        "{error}"
    );
    guard.release_incomplete();
    assert!(two.read(&patiently()).unwrap().owner_died());
    let guard = one.write(&patiently()).unwrap();
    assert!(guard.owner_died());
    guard.release_unwritten();
    assert!(two.read(&patiently()).unwrap().owner_died());
    one.write_at(3, b"abc", &patiently()).unwrap();
    let mut bytes = [0; 5];
    two.read_at(2, &mut bytes, &patiently()).unwrap();
    assert_eq!(&bytes, b"\0abc\0");
    assert!(!two.read(&patiently()).unwrap().owner_died());
}

/// Something done to an array and to its model.
#[derive(Clone, Debug)]
enum Step {
    Set(u64, u16),
    Write(u64, Vec<u16>),
    Fill(u16),
    InPlace(u64, u16),
    Get(u64),
    Read(u64, usize),
}

fn step(len: u64) -> impl Strategy<Value = Step> {
    let at = 0..len + 3;
    let values = prop::collection::vec(any::<u16>(), 0..10);
    prop_oneof![
        (at.clone(), any::<u16>()).prop_map(|(at, v)| Step::Set(at, v)),
        (at.clone(), values).prop_map(|(at, v)| Step::Write(at, v)),
        any::<u16>().prop_map(Step::Fill),
        (0..len, any::<u16>()).prop_map(|(at, v)| Step::InPlace(at, v)),
        at.clone().prop_map(Step::Get),
        (at, 0usize..10).prop_map(|(at, n)| Step::Read(at, n)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_array_does_what_a_vec_does(
        (len, steps) in (1u64..30).prop_flat_map(|len| {
            (Just(len), prop::collection::vec(step(len), 1..40))
        }),
    ) {
        let made = array_of::<u16>(len);
        let (mut one, other) = (made.array::<u16>(), made.array::<u16>());
        let mut model = vec![0u16; len as usize];
        for step in steps {
            match step {
                Step::Set(at, value) => {
                    let done = one.set(at, value).is_ok();
                    prop_assert_eq!(done, at < len);
                    if done {
                        model[at as usize] = value;
                    }
                }
                Step::Write(at, values) => {
                    let done = one.write_from(at, &values, &patiently()).is_ok();
                    prop_assert_eq!(done, at + values.len() as u64 <= len);
                    if done {
                        model[at as usize..][..values.len()].copy_from_slice(&values);
                    }
                }
                Step::Fill(value) => {
                    one.fill(value, &patiently()).unwrap();
                    model.fill(value);
                }
                Step::InPlace(at, value) => {
                    one.write(&patiently()).unwrap()[at as usize] = value;
                    model[at as usize] = value;
                }
                Step::Get(at) => {
                    prop_assert_eq!(other.get(at).ok(), model.get(at as usize).copied());
                }
                Step::Read(at, count) => {
                    let mut out = vec![0; count];
                    let done = other.read_into(at, &mut out, &patiently()).is_ok();
                    prop_assert_eq!(done, at + count as u64 <= len);
                    if done {
                        prop_assert_eq!(&out[..], &model[at as usize..][..count]);
                    }
                }
            }
            prop_assert_eq!(&other.to_vec(&patiently()).unwrap(), &model);
        }
    }

    #[test]
    fn a_buffer_does_what_a_vec_of_bytes_does(
        size in 1u64..100,
        steps in prop::collection::vec((0u8..6, 0u64..110, any::<u64>()), 1..60),
    ) {
        let made = buffer_of(size);
        let (mut one, other) = (made.buffer(), made.buffer());
        let mut model = vec![0u8; size as usize];
        for (what, at, value) in steps {
            let bytes = value.to_le_bytes();
            let len = [1, 2, 4, 8, 8, 5][what as usize];
            let done = match what {
                0 => one.store(at, bytes[0]).is_ok(),
                1 => one.store(at, value as u16).is_ok(),
                2 => one.store(at, f32::from_bits(value as u32)).is_ok(),
                3 => one.store(at, value).is_ok(),
                4 => one.write(&patiently()).unwrap().put(at, value).is_ok(),
                _ => one.write_at(at, &bytes[..5], &patiently()).is_ok(),
            };
            let aligned = what >= 4 || at % len == 0;
            prop_assert_eq!(done, aligned && at + len <= size);
            if done {
                model[at as usize..][..len as usize].copy_from_slice(&bytes[..len as usize]);
            }
            let guard = other.read(&patiently()).unwrap();
            prop_assert_eq!(guard.as_bytes(), &model[..]);
            let expected = model.get(at as usize..at as usize + 4);
            let found = guard.get::<u32>(at).ok().map(u32::to_le_bytes);
            prop_assert_eq!(found.as_ref().map(|b| &b[..]), expected);
            prop_assert_eq!(other.load::<u32>(at).is_ok(), expected.is_some() && at % 4 == 0);
        }
    }
}
