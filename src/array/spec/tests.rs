//! Arithmetic at its limits, and headers and descriptions that lie.

use super::*;
use crate::array::{Element, Scalar, Shape};
use crate::segment::layout::LAYOUT_VERSION;
use proptest::prelude::*;

const NAME: &str = "demo";

fn element(text: &str) -> ElementType {
    text.parse().unwrap()
}

/// The header that `spec` makes.
fn header(spec: &Spec) -> Header {
    let description = spec.element_type.to_string();
    let plan = spec.plan(&description, 0o600);
    Header {
        kind: plan.kind,
        layout_version: LAYOUT_VERSION,
        total_size: plan.total_size,
        instance_id: [0; 16],
        created_unix_ns: 0,
        creator_pid: 1,
        participants: plan.participants,
        structure_offset: structure_offset(plan.participants),
        payload_offset: plan.payload_offset,
        geometry: plan.geometry,
    }
}

/// What is found in a segment with this header, whose bytes from the
/// description on are `bytes`. Whatever is read lies before the payload.
fn found(header: &Header, bytes: &[u8]) -> Result<Spec, SegmentError> {
    let name = Name::new(NAME).unwrap();
    Spec::check(&name, header, |at, out| {
        assert_eq!(at, header.structure_offset + LOCK_SIZE);
        assert!(at + out.len() as u64 <= header.payload_offset);
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = bytes.get(i).copied().unwrap_or(0);
        }
        Ok(())
    })
}

fn why(result: Result<Spec, SegmentError>) -> String {
    match result {
        Err(SegmentError::Corrupt { why, .. }) => why,
        other => panic!("not corrupt: {other:?}"),
    }
}

/// The header with another description, its length and check sum right.
fn redescribed(header: &Header, description: &[u8]) -> Header {
    let mut header = header.clone();
    header.geometry[3] = description.len() as u64;
    header.geometry[4] = crc32c::crc32c(description).into();
    header
}

#[test]
fn what_was_planned_is_what_is_found() {
    for (text, len) in [
        ("u8", 1),
        ("f64", 1_000_000),
        ("id:u32,position:[f32;3],alive:bool", 77),
        ("[{x:f32,y:[i8;5]};16]", 3),
    ] {
        let spec = Spec::new(element(text), len).unwrap();
        let again = found(&header(&spec), text.as_bytes()).unwrap();
        assert_eq!(again, spec);
        assert_eq!(again.layout, spec.layout);
        assert_eq!(spec.data_offset() % PAYLOAD_ALIGN, 0);
        let first_free = structure_offset(DEFAULT_PARTICIPANTS) + LOCK_SIZE + text.len() as u64;
        assert!(spec.data_offset() - first_free < PAYLOAD_ALIGN);
        assert_eq!(
            spec.total_size(),
            spec.data_offset() + len * spec.element_type().size() as u64
        );
    }
}

#[test]
fn there_is_no_array_of_nothing_nor_one_larger_than_memory() {
    let offset = Spec::new(element("u8"), 1).unwrap().data_offset();
    let most = isize::MAX as u64 - offset;
    assert_eq!(
        Spec::new(element("u8"), most).unwrap().total_size(),
        isize::MAX as u64
    );
    for (text, len) in [
        ("u8", 0),
        ("u8", most + 1),
        ("u8", u64::MAX),
        ("f64", most / 8 + 1),
        ("f64", u64::MAX / 8 + 1), // wraps to 0
        ("[u8;65536]", u64::MAX / 65_536 + 2),
        ("[u8;65536]", u64::MAX),
    ] {
        let error = Spec::new(element(text), len).unwrap_err();
        assert!(
            matches!(error, ArrayError::Impossible { len: l, .. } if l == len),
            "{text} x {len}: {error}"
        );
    }
}

#[test]
fn a_type_without_a_description_that_reads_back_has_no_array() {
    let long = (0..7000).map(|i| (format!("field_{i}"), element("u8")));
    let long = ElementType::record(long).unwrap();
    assert!(long.to_string().len() > MAX_DESCRIPTION);
    for indescribable in [long, <[u8; 0]>::element_type()] {
        let error = Spec::new(indescribable, 1).unwrap_err();
        assert!(matches!(error, ArrayError::Indescribable { .. }), "{error}");
        assert!(error.to_string().len() < 250, "{error}");
    }
}

#[test]
fn every_word_of_the_geometry_that_lies_is_found_out() {
    let text = "a:u8,b:u32";
    let good = header(&Spec::new(element(text), 1000).unwrap());
    assert!(found(&good, text.as_bytes()).is_ok());
    for word in 0..8 {
        for lie in [
            0,
            1,
            7,
            9,
            999,
            1001,
            1 << 31,
            1 << 32,
            u64::MAX / 8,
            u64::MAX - 7,
            u64::MAX,
        ] {
            let mut header = good.clone();
            if header.geometry[word] == lie {
                continue;
            }
            header.geometry[word] = lie;
            let _ = why(found(&header, text.as_bytes()));
        }
    }
    for lie in [0, 1, 4095, 4097, u64::MAX] {
        for field in 0..2 {
            let mut header = good.clone();
            match field {
                0 => {
                    header.payload_offset =
                        good.payload_offset.wrapping_add(lie.wrapping_mul(2) | 1)
                }
                _ => header.total_size = good.total_size.wrapping_add(lie.wrapping_mul(2) | 1),
            }
            let _ = why(found(&header, text.as_bytes()));
        }
    }
    let mut ring = good;
    ring.kind = Kind::Ring;
    assert!(matches!(
        found(&ring, text.as_bytes()),
        Err(SegmentError::WrongKind { .. })
    ));
}

#[test]
fn a_description_is_checked_even_where_its_check_sum_is_right() {
    let good = header(&Spec::new(element("a:u8,b:u32"), 1000).unwrap());
    for (description, expected) in [
        (&b"a:u8,b:i64"[..], "element size"),
        (b"[u8;8]", "element alignment"),
        (b"a:u8, b:u32", "not canonical"),
        (b"{a:u8,b:u32}", "not canonical"),
        (b"a:u8,b:u33", "'u33'"),
        (b"a:u8,b:u3\xff", "no text"),
        (b"\0\0\0\0", "type"),
        (b"a:u8,a:u32", "second field"),
        (b"[u8;0]", "no count"),
        (
            b"[[[[[[[[[[[[[[[[[[[[u64;1];1];1];1];1];1];1];1];1];1];1];1];1];1];1];1];1];1];1];1]",
            "levels deep",
        ),
    ] {
        let why = why(found(&redescribed(&good, description), description));
        assert!(why.contains(expected), "{why}");
    }
    // Of the same layout, another type all the same: that is for WrongType.
    let other = b"a:i8,b:f32";
    let spec = found(&redescribed(&good, other), other).unwrap();
    assert_eq!(spec.element_type().to_string(), "a:i8,b:f32");
}

#[test]
fn no_bit_of_a_description_can_change_unnoticed() {
    let text = b"id:u32,position:[f32;3],alive:bool".to_vec();
    let good = header(&Spec::new(element("id:u32,position:[f32;3],alive:bool"), 5).unwrap());
    for bit in 0..text.len() * 8 {
        let mut changed = text.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(why(found(&good, &changed)).contains("check sum"));
    }
}

/// Any element type, with at most three levels.
pub(crate) fn any_element() -> impl Strategy<Value = ElementType> {
    let scalar = prop::sample::select(&Scalar::ALL[..]).prop_map(ElementType::scalar);
    scalar.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            (inner.clone(), 1usize..6)
                .prop_filter_map("too large", |(of, n)| { ElementType::repeat(of, n) }),
            prop::collection::vec(("[a-z_][a-z0-9_]{0,5}", inner), 1..6)
                .prop_filter_map("a doubled name", |fields| ElementType::record(fields).ok()),
        ]
    })
}

/// Size and alignment, and every scalar's offset, in the plainest way there is.
fn naive(element: &ElementType, at: usize, leaves: &mut Vec<usize>) -> (usize, usize) {
    match element.shape() {
        Shape::Scalar(scalar) => {
            leaves.push(at);
            (scalar.size(), scalar.size())
        }
        Shape::Repeat(of, count) => {
            let mut size = 0;
            let mut align = 1;
            for _ in 0..*count {
                let (each, its) = naive(of, at + size, leaves);
                size += each;
                align = its;
            }
            (size, align)
        }
        Shape::Record(fields) => {
            let (mut size, mut align) = (0, 1);
            for field in fields {
                let (_, its) = naive(field.element(), 0, &mut Vec::new());
                while size % its != 0 {
                    size += 1;
                }
                assert_eq!(field.offset(), size);
                size += naive(field.element(), at + size, leaves).0;
                align = align.max(its);
            }
            while size % align != 0 {
                size += 1;
            }
            (size, align)
        }
    }
}

proptest! {
    #[test]
    fn a_description_reads_back_as_the_same_type(element in any_element()) {
        let text = element.to_string();
        prop_assert_eq!(&text.parse::<ElementType>().unwrap(), &element);
        let blanks = text.replace(',', " , ").replace(':', "\t:\n").replace(';', " ; ");
        prop_assert_eq!(blanks.parse::<ElementType>().unwrap(), element);
    }

    #[test]
    fn the_layout_is_the_naive_one(element in any_element()) {
        let mut offsets = Vec::new();
        let (size, align) = naive(&element, 0, &mut offsets);
        prop_assert_eq!((element.size(), element.align()), (size, align));
        let leaves = element.leaves();
        prop_assert!(leaves.iter().map(|leaf| leaf.offset).eq(offsets));
        let scalars: Vec<_> = leaves.iter().map(|leaf| (leaf.offset, leaf.scalar)).collect();
        prop_assert_eq!(&element.scalars(), &scalars);
        let filled: usize = scalars.iter().map(|(_, scalar)| scalar.size()).sum();
        prop_assert_eq!(element.has_padding(), filled != size);
        let paths: std::collections::HashSet<_> = leaves.iter().map(|leaf| &leaf.path).collect();
        prop_assert_eq!(paths.len(), leaves.len());
    }

    #[test]
    fn an_array_that_can_be_is_found_as_it_was_planned(element in any_element(), len in 1u64..1 << 50) {
        let spec = Spec::new(element, len).unwrap();
        let text = spec.element_type().to_string();
        let again = found(&header(&spec), text.as_bytes()).unwrap();
        prop_assert_eq!(&again, &spec);
        prop_assert_eq!(again.payload_size(), len * spec.element_type().size() as u64);
    }

    #[test]
    fn hostile_geometry_never_leads_outside(
        words in prop::array::uniform8(prop_oneof![
            any::<u64>(), 0u64..100, Just(u64::MAX), (0u32..64).prop_map(|bit| 1 << bit)
        ]),
        payload_offset in any::<u64>(),
        noise in prop::collection::vec(any::<u8>(), 0..100),
        right_crc: bool, right_layout: bool,
    ) {
        let mut header = header(&Spec::new(element("u8"), 1).unwrap());
        header.geometry = words;
        header.geometry[5..].fill(0);
        header.geometry[3] = words[3] % 100;
        header.payload_offset = payload_offset;
        if right_layout {
            let layout = Layout::new(header.structure_offset, header.geometry[3], words[0], words[1]);
            if let Some(layout) = layout {
                header.payload_offset = layout.payload;
                header.total_size = layout.total;
            }
        }
        let mut noise = noise;
        noise.resize(header.geometry[3] as usize, b'u');
        if right_crc {
            header.geometry[4] = crc32c::crc32c(&noise).into();
        }
        // `found` asserts that no more is read than lies before the payload.
        if let Ok(spec) = found(&header, &noise) {
            prop_assert_eq!(spec.len() * spec.element_type().size() as u64, spec.payload_size());
        }
    }

    #[test]
    fn noise_is_parsed_without_harm(text in "[\\[\\]{}:;,a-z0-9_ \u{e4}]{0,80}") {
        if let Ok(parsed) = text.parse::<ElementType>() {
            prop_assert!(parsed.to_string().len() <= text.len());
        }
    }
}

#[test]
fn depth_is_limited_however_a_type_is_made() {
    let mut deep = element("u8");
    for _ in 0..crate::array::MAX_DEPTH {
        deep = ElementType::repeat(deep, 1).unwrap();
    }
    assert_eq!(element(&deep.to_string()), deep);
    assert_eq!(ElementType::repeat(deep.clone(), 1), None);
    // Bare fields at the top are no level in a description.
    let record = ElementType::record([("x", deep)]).unwrap();
    assert_eq!(element(&record.to_string()), record);
    assert!(ElementType::record([("y", record.clone())]).is_err());
    assert_eq!(ElementType::repeat(record, 1), None);
    assert!(ElementType::record([("a".repeat(256), element("u8"))]).is_err());
    assert!(ElementType::record([("a".repeat(255), element("u8"))]).is_ok());
}
