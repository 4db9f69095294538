//! Raw: the elements' bytes as they are in memory, padding and all.
//!
//! Nothing is looked at but the length, which must be that of whole elements:
//! whoever writes raw bytes has made them for this layout. So a `bool` may
//! become a byte that is neither 0 nor 1 (it counts as true), and padding need
//! not be 0.

use super::elements::Elements;
use super::{ParseError, read_some};
use std::io::Read;

/// How much is read at once.
const PAGE: usize = 64 << 10;

/// Takes all that `input` has.
pub fn parse(size: usize, elements: &mut Elements, input: &mut dyn Read) -> Result<(), ParseError> {
    let mut page = vec![0; PAGE];
    loop {
        let read = read_some(input, &mut page)?;
        if read == 0 {
            break;
        }
        elements.extend(&page[..read])?;
    }
    let length = elements.len();
    match length % size {
        0 => Ok(()),
        over => Err(ParseError::Malformed(format!(
            "{length} bytes are not a whole number of elements of {size} bytes: {over} too many"
        ))),
    }
}
