//! From bytes that anybody may have written to a header that can be relied on.
//!
//! ```text
//! 160 bytes ---> RawHeader ---> Header::check ---> Header
//! (by pread,     (untrusted)    (the one gate)     (private copy; the only
//!  or copied                                        source of sizes, offsets
//!  out of a mapping)                                and geometry)
//! ```
//!
//! The two are different types so that the compiler keeps them apart: no
//! function takes an offset from a [`RawHeader`], and there is no way to a
//! [`Header`] around [`Header::check`]. A `Header` is a copy; what a peer
//! later does to the bytes in shared memory changes nothing.
//!
//! What the check means, in its order:
//!
//! 1. magic: otherwise it is not ours, whatever else it is;
//! 2. layout version: otherwise nothing that follows may be interpreted, not
//!    even where the check sum is;
//! 3. CRC-32C: finds accidents. It is no protection against malice, since
//!    anybody can compute it, so all that follows holds on its own;
//! 4. every field against what it must be: the offsets are not believed but
//!    computed anew from `participants` and compared;
//! 5. `total_size` against the file's size: less is a truncated segment.
//!
//! After that, `0 < 4096 + 256 * participants == structure_offset <=
//! payload_offset <= total_size == file size <= isize::MAX` holds. What lies
//! from `structure_offset` on is for the structure to check in the same way.

use super::Size;
use super::layout::{
    CRC_SPAN, ENTRY_SIZE, HEADER_SIZE, LAYOUT_VERSION, MAGIC, MAX_PARTICIPANTS, RawHeader,
};
use super::{Name, SegmentError};
use std::fmt;

/// Bytes of a [`RawHeader`].
pub(super) const RAW_SIZE: usize = 160;

const _: () = assert!(size_of::<RawHeader>() == RAW_SIZE);

/// What a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u32)]
pub enum Kind {
    /// A ring of nodes.
    Ring = 1,
    /// An array of typed elements.
    Array = 2,
    /// Plain bytes.
    Buffer = 3,
}

impl Kind {
    /// The kind of that number.
    pub fn from_number(number: u32) -> Option<Kind> {
        [Kind::Ring, Kind::Array, Kind::Buffer]
            .into_iter()
            .find(|&kind| kind as u32 == number)
    }

    /// `ring`, `array` or `buffer`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Ring => "ring",
            Kind::Array => "array",
            Kind::Buffer => "buffer",
        }
    }

    /// `a ring`, `an array` or `a buffer`.
    pub(super) fn with_article(self) -> &'static str {
        match self {
            Kind::Ring => "a ring",
            Kind::Array => "an array",
            Kind::Buffer => "a buffer",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a structure begins in a segment with that many participant entries:
/// right after the table. `None` unless `participants` is 1 to
/// [`MAX_PARTICIPANTS`].
fn checked_structure_offset(participants: u32) -> Option<u64> {
    (1..=MAX_PARTICIPANTS)
        .contains(&participants)
        .then(|| HEADER_SIZE + u64::from(participants) * ENTRY_SIZE)
}

/// Where a structure begins in a segment with that many participant entries,
/// in bytes from the segment's start.
pub fn structure_offset(participants: u32) -> u64 {
    HEADER_SIZE + u64::from(participants) * ENTRY_SIZE
}

/// The checked, private copy of a segment's header: the only source of its
/// sizes, offsets and geometry.
///
/// Outside this crate it cannot be made, only obtained.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// What the segment holds.
    pub kind: Kind,
    /// The layout it is in: [`LAYOUT_VERSION`].
    pub layout_version: u32,
    /// Bytes of the whole segment, and of its file.
    pub total_size: u64,
    /// Random: tells the segment from another that had its name before.
    pub instance_id: [u8; 16],
    /// When it was made, nanoseconds since the epoch.
    pub created_unix_ns: u64,
    /// The process that made it, for people to read.
    pub creator_pid: u32,
    /// Entries in the participant table: 1 to [`MAX_PARTICIPANTS`].
    pub participants: u32,
    /// Where the structure's descriptors begin: right after the table.
    pub structure_offset: u64,
    /// Where payload begins: `structure_offset..=total_size`.
    pub payload_offset: u64,
    /// The structure's geometry, for the structure to check.
    pub geometry: [u64; 8],
}

/// Why bytes are not a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    NotOurs(String),
    OtherVersion(u32),
    Corrupt(String),
}

impl Rejected {
    /// The same, about the segment `name`.
    pub(super) fn about(self, name: &Name) -> SegmentError {
        let name = name.clone();
        match self {
            Rejected::NotOurs(why) => SegmentError::NotOurs { name, why },
            Rejected::OtherVersion(found) => SegmentError::OtherVersion { name, found },
            Rejected::Corrupt(why) => SegmentError::Corrupt { name, why },
        }
    }
}

impl RawHeader {
    /// The header that these bytes spell, whatever it says.
    pub(super) fn from_bytes(bytes: [u8; RAW_SIZE]) -> RawHeader {
        // SAFETY: RawHeader is repr(C), of this size, and made of integers
        // and bytes only: every pattern of bits is one.
        unsafe { std::mem::transmute(bytes) }
    }

    /// Its bytes, as they lie in the segment.
    pub(super) fn to_bytes(self) -> [u8; RAW_SIZE] {
        // SAFETY: RawHeader is repr(C), of this size, and its fields leave no
        // gap (their sizes add up to it): every byte is initialised.
        unsafe { std::mem::transmute(self) }
    }

    /// The same with the check sum that belongs to it.
    pub(super) fn sealed(mut self) -> RawHeader {
        self.crc = crc32c::crc32c(&self.to_bytes()[..CRC_SPAN]);
        self
    }
}

impl Header {
    /// Checks the beginning of a segment whose file has `file_size` bytes.
    ///
    /// `beginning` is what could be read of its first [`RAW_SIZE`] bytes: less
    /// only if the file has less.
    pub(super) fn check(beginning: &[u8], file_size: u64) -> Result<Header, Rejected> {
        if file_size == 0 || beginning.is_empty() {
            return Err(Rejected::NotOurs("the file is empty".into()));
        }
        if beginning.get(..MAGIC.len()) != Some(&MAGIC) {
            return Err(Rejected::NotOurs(
                "it does not begin with our magic number".into(),
            ));
        }
        let Some(bytes) = beginning.first_chunk::<RAW_SIZE>() else {
            return Err(Rejected::Corrupt(format!(
                "truncated: {} of it is less than a header",
                Size(file_size)
            )));
        };
        let raw = RawHeader::from_bytes(*bytes);
        if raw.layout_version != LAYOUT_VERSION {
            return Err(Rejected::OtherVersion(raw.layout_version));
        }
        if raw.crc != raw.sealed().crc {
            return Err(Rejected::Corrupt(
                "the header's check sum does not match".into(),
            ));
        }
        raw.check_fields(file_size).map_err(Rejected::Corrupt)
    }
}

impl RawHeader {
    /// Every field but magic, version and check sum.
    fn check_fields(&self, file_size: u64) -> Result<Header, String> {
        let wrong = |field: &str, value: u64| Err(format!("the header's {field} is {value}"));

        let Some(kind) = Kind::from_number(self.kind) else {
            return wrong("kind", self.kind.into());
        };
        if u64::from(self.header_size) != HEADER_SIZE {
            return wrong("header size", self.header_size.into());
        }
        if self.flags != 0 {
            return wrong("flag word", self.flags.into());
        }
        if self.reserved != 0 {
            return wrong("reserved word", self.reserved.into());
        }
        let Some(structure_offset) = checked_structure_offset(self.participants) else {
            return wrong("number of participant entries", self.participants.into());
        };
        if self.participants_offset != HEADER_SIZE {
            return wrong("table offset", self.participants_offset);
        }
        if self.structure_offset != structure_offset {
            return wrong("structure offset", self.structure_offset);
        }
        if self.total_size > isize::MAX as u64 {
            return wrong("total size", self.total_size);
        }
        if !(structure_offset..=self.total_size).contains(&self.payload_offset) {
            return wrong("payload offset", self.payload_offset);
        }
        if file_size != self.total_size {
            let what = if file_size < self.total_size {
                "truncated"
            } else {
                "too long"
            };
            let (is, should) = (file_size, self.total_size);
            return Err(format!("{what}: the file has {is} bytes of {should}"));
        }
        Ok(Header {
            kind,
            layout_version: self.layout_version,
            total_size: self.total_size,
            instance_id: self.instance_id,
            created_unix_ns: self.created_unix_ns,
            creator_pid: self.creator_pid,
            participants: self.participants,
            structure_offset,
            payload_offset: self.payload_offset,
            geometry: self.geometry,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: u64 = 1 << 20;

    fn valid() -> RawHeader {
        RawHeader {
            magic: MAGIC,
            layout_version: LAYOUT_VERSION,
            kind: Kind::Ring as u32,
            header_size: HEADER_SIZE as u32,
            participants: 128,
            total_size: SIZE,
            instance_id: [9; 16],
            created_unix_ns: 1,
            creator_pid: 2,
            flags: 0,
            participants_offset: HEADER_SIZE,
            structure_offset: structure_offset(128),
            payload_offset: 128 << 10,
            geometry: [3; 8],
            crc: 0,
            reserved: 0,
        }
        .sealed()
    }

    #[test]
    fn a_header_survives_its_own_check() {
        let header = Header::check(&valid().to_bytes(), SIZE).unwrap();
        assert_eq!(header.structure_offset, 4096 + 128 * 256);
        assert_eq!((header.kind, header.geometry), (Kind::Ring, [3; 8]));
    }

    #[test]
    fn no_byte_of_a_header_can_change_unnoticed() {
        let bytes = valid().to_bytes();
        for at in 0..RAW_SIZE {
            // It is not values that Miri looks for.
            for flip in (1..=255).step_by(if cfg!(miri) { 127 } else { 1 }) {
                let mut changed = bytes;
                changed[at] ^= flip;
                let result = Header::check(&changed, SIZE);
                let expected = match at {
                    0..8 => matches!(result, Err(Rejected::NotOurs(_))),
                    8..12 => matches!(result, Err(Rejected::OtherVersion(_))),
                    _ => matches!(result, Err(Rejected::Corrupt(_))),
                };
                assert!(expected, "byte {at} ^ {flip:#x}: {result:?}");
            }
        }
    }

    #[test]
    fn every_shorter_file_is_refused_for_what_it_is() {
        let bytes = valid().to_bytes();
        for len in 0..RAW_SIZE {
            let result = Header::check(&bytes[..len], len as u64);
            let expected = match len {
                0..8 => matches!(result, Err(Rejected::NotOurs(_))),
                _ => matches!(&result, Err(Rejected::Corrupt(why)) if why.contains("truncated")),
            };
            assert!(expected, "{len} bytes: {result:?}");
        }
        for size in [RAW_SIZE as u64, HEADER_SIZE, SIZE - 1, SIZE + 1, u64::MAX] {
            let result = Header::check(&bytes, size);
            assert!(
                matches!(result, Err(Rejected::Corrupt(_))),
                "{size}: {result:?}"
            );
        }
    }

    /// Numbers near the places where arithmetic goes wrong.
    fn lie() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            0u64..8192,
            Just(u64::MAX),
            Just(i64::MAX as u64),
            (0u32..64).prop_map(|bit| 1 << bit),
            (SIZE - 2..SIZE + 2),
        ]
    }

    proptest! {
        #[test]
        fn a_header_that_lies_with_a_right_check_sum_gives_no_offset_outside(
            which in 0u8..9, lie in lie(), file_size in lie()
        ) {
            let mut raw = valid();
            match which {
                0 => raw.kind = lie as u32,
                1 => raw.header_size = lie as u32,
                2 => raw.participants = lie as u32,
                3 => raw.total_size = lie,
                4 => raw.participants_offset = lie,
                5 => raw.structure_offset = lie,
                6 => raw.payload_offset = lie,
                7 => raw.flags = lie as u32,
                _ => raw.reserved = lie as u32,
            }
            for size in [SIZE, file_size, raw.total_size] {
                if let Ok(header) = Header::check(&raw.sealed().to_bytes(), size) {
                    prop_assert_eq!(header.total_size, size);
                    prop_assert!(header.total_size <= isize::MAX as u64);
                    prop_assert!((1..=MAX_PARTICIPANTS).contains(&header.participants));
                    prop_assert_eq!(header.structure_offset, structure_offset(header.participants));
                    prop_assert!(header.structure_offset <= header.payload_offset);
                    prop_assert!(header.payload_offset <= header.total_size);
                }
            }
        }

        #[test]
        fn noise_is_never_a_header(bytes in proptest::collection::vec(any::<u8>(), 0..RAW_SIZE)) {
            prop_assert!(Header::check(&bytes, bytes.len() as u64).is_err());
        }
    }
}
