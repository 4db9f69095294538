//! Any text as an element type: an error, or a type whose layout holds.
//!
//! What is compared with is worked out here: leaves lie inside the element, in
//! order, aligned, and do not overlap; the canonical form reads back as the
//! same type and is no longer than the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shmkit::array::{ElementType, MAX_SIZE, Spec};

fuzz_target!(|text: &str| {
    let parsed = match text.parse::<ElementType>() {
        Ok(parsed) => parsed,
        Err(error) => {
            let line = error.to_string();
            assert!(line.chars().count() < 600 && !line.contains(char::is_control));
            return;
        }
    };
    let canonical = parsed.to_string();
    assert!(canonical.len() <= text.len());
    assert_eq!(canonical.parse().as_ref(), Ok(&parsed));

    let (size, align) = (parsed.size(), parsed.align());
    assert!((1..=MAX_SIZE).contains(&size) && [1, 2, 4, 8].contains(&align));
    assert_eq!(size % align, 0);
    let (mut end, mut bytes) = (0, 0);
    let leaves = parsed.leaves();
    for leaf in &leaves {
        let len = leaf.scalar.size();
        assert!(leaf.offset >= end && leaf.offset % len == 0, "{leaf:?}");
        (end, bytes) = (leaf.offset + len, bytes + len);
    }
    assert!(end <= size && !leaves.is_empty());
    assert_eq!(parsed.has_padding(), bytes < size);
    let scalars: Vec<_> = leaves
        .iter()
        .map(|leaf| (leaf.offset, leaf.scalar))
        .collect();
    assert_eq!(parsed.scalars(), scalars);

    for len in [1, u64::MAX / size as u64] {
        if let Ok(spec) = Spec::new(parsed.clone(), len) {
            assert_eq!(
                Some(spec.total_size() - spec.data_offset()),
                len.checked_mul(size as u64)
            );
        }
    }
});
