//! Any 160 bytes as a header, in a file of any size: an error, or a header
//! whose every part lies inside the file.
//!
//! ```text
//! input:  options | file size (8 bytes) | header (up to 160 bytes)
//! ```
//!
//! By its options byte an input asks for a right magic number and version, a
//! right check sum, and a file as long as the header says, which chance would
//! not find. The file is sparse and lies in /dev/shm, where segments are; the
//! code under test is what every program calls, and the offsets it accepts are
//! compared with ones worked out here in 128 bits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shmkit::inspect::{Detail, Snapshot};
use shmkit::ring::Geometry;
use shmkit::segment::layout::{CRC_SPAN, LAYOUT_VERSION, MAGIC, MAX_PARTICIPANTS};
use shmkit::segment::{Header, Kind, Name, OpenOptions, Opened};
use shmkit::{array, buffer};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

const HEADER: usize = 160;
/// Where the header's total size stands.
const TOTAL: usize = 24;

static SEGMENT: LazyLock<(Name, File)> = LazyLock::new(|| {
    let name = Name::new(&format!("fuzz-{}", std::process::id())).unwrap();
    let file = File::create(name.path()).unwrap();
    (name, file)
});

fuzz_target!(|input: &[u8]| {
    let Some((&[options], rest)) = input.split_first_chunk() else {
        return;
    };
    let Some((&size, bytes)) = rest.split_first_chunk() else {
        return;
    };
    let mut header = [0; HEADER];
    let given = bytes.len().min(HEADER);
    header[..given].copy_from_slice(&bytes[..given]);
    if options & 1 != 0 {
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&LAYOUT_VERSION.to_le_bytes());
    }
    if options & 2 != 0 {
        let crc = crc32c::crc32c(&header[..CRC_SPAN]);
        header[CRC_SPAN..CRC_SPAN + 4].copy_from_slice(&crc.to_le_bytes());
    }
    let size = match options & 4 {
        0 => size,
        _ => *header[TOTAL..].first_chunk().unwrap(),
    };
    check(&header, u64::from_le_bytes(size));
});

fn check(header: &[u8; HEADER], size: u64) {
    let (name, file) = &*SEGMENT;
    file.set_len(0).unwrap();
    if file.set_len(size).is_err() {
        return; // no file is so long
    }
    let within = HEADER.min(usize::try_from(size).unwrap_or(HEADER));
    file.write_all_at(&header[..within], 0).unwrap();
    let opened = match Opened::open(name, OpenOptions::default()) {
        Ok(opened) => opened,
        Err(error) => {
            assert!(!error.to_string().contains('\n'));
            return;
        }
    };
    let header = opened.header();
    assert!(within == HEADER && header.total_size == size);
    assert!((1..=MAX_PARTICIPANTS).contains(&header.participants));
    let table_end = 4096 + 256 * u128::from(header.participants);
    assert_eq!(u128::from(header.structure_offset), table_end);
    assert!(table_end <= header.payload_offset.into() && header.payload_offset <= size);
    match header.kind {
        Kind::Ring => {
            if let Ok(geometry) = Geometry::from_header(header) {
                ring(header, &geometry);
            }
        }
        Kind::Array => {
            if let Ok(spec) = array::Spec::of(&opened) {
                let size = u128::from(spec.len()) * spec.element_type().size() as u128;
                locked(header, size);
            }
        }
        Kind::Buffer => {
            if let Ok(spec) = buffer::Spec::of(name, header) {
                locked(header, spec.size().into());
            }
        }
    }
    // Reads each node's words once: only for few of them.
    if header.kind != Kind::Ring || header.geometry[0] <= 1000 {
        let _ = Snapshot::take(&opened, Detail::Nodes);
    }
}

fn ring(header: &Header, geometry: &Geometry) {
    let (nodes, node_size) = (u128::from(geometry.nodes), u128::from(geometry.node_size));
    assert!((2..=1 << 20).contains(&nodes) && (1..=1 << 30).contains(&node_size));
    let cell = if node_size < 1024 { 64 } else { 8 };
    let words_end = u128::from(header.structure_offset) + 4096 + nodes * cell + nodes * 64;
    assert!(words_end <= header.payload_offset.into());
    let payload_end = u128::from(header.payload_offset) + nodes * node_size;
    assert!(payload_end <= header.total_size.into());
}

fn locked(header: &Header, payload_size: u128) {
    assert!(header.structure_offset + 384 <= header.payload_offset);
    let end = u128::from(header.payload_offset) + payload_size;
    assert!(payload_size > 0 && end == header.total_size.into());
}
