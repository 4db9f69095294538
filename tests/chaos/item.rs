//! What a writer puts into one node: whose it is, the how-manieth, and filler
//! up to a length of chance, so that whoever reads it can tell a whole one
//! from two halves.
//!
//! ```text
//! 0      4             8          16                              len - 4   len
//! | seat | incarnation | sequence | filler, shifted by the sequence | crc32c |
//! ```

use super::dice::Dice;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The name of an item: no two have the same in the life of a ring.
#[repr(C)]
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash, //
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
)]
pub struct Item {
    /// The writer's place among the parties.
    pub seat: u32,
    /// The how-manieth process in that place.
    pub incarnation: u32,
    /// The how-manieth item of that process.
    pub sequence: u64,
}

const HEAD: usize = size_of::<Item>();
const CRC: usize = size_of::<u32>();
/// The shortest item.
pub const SHORTEST: usize = HEAD + CRC;

/// A block of random bytes, from which filler is copied.
pub struct Filler(Vec<u8>);

impl Filler {
    const PIECE: usize = 4096;

    pub fn new(dice: &mut Dice) -> Filler {
        let words = (0..2 * Self::PIECE / 8).flat_map(|_| dice.roll().to_le_bytes());
        Filler(words.collect())
    }
}

impl Item {
    /// Fills `bytes`, [`SHORTEST`] at least, with this item.
    pub fn write(&self, bytes: &mut [u8], filler: &Filler) {
        let (content, crc) = bytes.split_at_mut(bytes.len() - CRC);
        let (head, rest) = content.split_at_mut(HEAD);
        head.copy_from_slice(self.as_bytes());
        let from = &filler.0[self.sequence as usize % Filler::PIECE..];
        for piece in rest.chunks_mut(Filler::PIECE) {
            piece.copy_from_slice(&from[..piece.len()]);
        }
        crc.copy_from_slice(&crc32c::crc32c(content).to_le_bytes());
    }

    /// The item that `bytes` are, if they are a whole one.
    pub fn read(bytes: &[u8]) -> Option<Item> {
        let (content, crc) = bytes.split_last_chunk::<CRC>()?;
        let (item, _) = Item::read_from_prefix(content).ok()?;
        (crc32c::crc32c(content).to_le_bytes() == *crc).then_some(item)
    }
}

#[test]
fn an_item_is_known_from_two_halves_of_items() {
    let filler = Filler::new(&mut Dice::new(1));
    for len in [SHORTEST, 1024, 10_000] {
        let item = |sequence| Item {
            seat: 1,
            incarnation: 2,
            sequence,
        };
        let (mut one, mut other) = (vec![0; len], vec![0; len]);
        item(3).write(&mut one, &filler);
        item(4).write(&mut other, &filler);
        assert_eq!(Item::read(&one), Some(item(3)));
        one[len / 2..].copy_from_slice(&other[len / 2..]);
        assert_eq!(Item::read(&one), None);
        assert_eq!(Item::read(&other[..len - 1]), None, "cut short");
    }
    assert_eq!(Item::read(&[0; SHORTEST - 1]), None);
}
