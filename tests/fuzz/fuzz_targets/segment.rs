//! Any changes to a whole segment: everything that can be done with it ends,
//! in success or in an error.
//!
//! ```text
//! input:  options | change, change, ...
//! change: place (2 bytes) | length - 1 (1 byte, low 3 bits) | so many bytes
//! ```
//!
//! The options choose one of the segments of `image.rs` (rings, arrays,
//! buffers, with and without dead users), and whether the header's check sum is
//! to be right in the end. `visit.rs` then does all that there is to do.

#![no_main]

#[path = "../../hostile/image.rs"]
#[allow(dead_code)]
mod image;
#[path = "../../hostile/visit.rs"]
#[allow(dead_code)]
mod visit;

use image::Image;
use libfuzzer_sys::fuzz_target;
use shmkit::segment::Name;
use std::sync::LazyLock;

static IMAGES: LazyLock<(Name, Vec<Image>)> = LazyLock::new(|| {
    let name = Name::new(&format!("fuzz-{}", std::process::id())).unwrap();
    let images = image::all(&name);
    (name, images)
});

fuzz_target!(|input: &[u8]| {
    let (name, images) = &*IMAGES;
    let Some((&options, changes)) = input.split_first() else {
        return;
    };
    let mut image = images[usize::from(options >> 1) % images.len()].clone();
    change(&mut image.bytes, changes);
    if options & 1 != 0 {
        image.seal();
    }
    image::put(&name.path(), &image.bytes);
    visit::visit(name);
});

fn change(bytes: &mut [u8], mut changes: &[u8]) {
    while let Some((&[low, high, len], rest)) = changes.split_first_chunk() {
        let at = usize::from(u16::from_le_bytes([low, high]));
        let len = (usize::from(len) % 8 + 1).min(rest.len());
        if let Some(place) = bytes.get_mut(at..at + len) {
            place.copy_from_slice(&rest[..len]);
        }
        changes = &rest[len..];
    }
}
