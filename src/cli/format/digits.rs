//! Whole floats as text, four digits at a time.
//!
//! Printing numbers is what `shm read` of an array does, and whole numbers
//! are most of what people store. A table has the digits of all numbers below
//! 10^4, a byte each; two of its entries are a number below 10^8 in one
//! register.
//!
//! ```text
//!   305 | 0017   ──>   0 3 0 5 0 0 1 7      first digit in the lowest byte
//!                      3 0 5 0 0 1 7        leading zeros are its trailing
//!                                           zero bits, and shifted out
//! ```
//!
//! So storing the register little-endian writes the digits in order. Eight
//! bytes are stored whatever the length: a window has the room, and what is
//! too much is overwritten by what follows. (The table has 40 KB; what one
//! prints uses a part of it most of the time.)

use super::scalar::WIDTH;

/// As many digits as one register has.
const EIGHT: u64 = 100_000_000;
/// As many as an entry of the table has.
const FOUR: usize = 10_000;
/// The character 0 in each byte.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The digits of each number below 10^4, the first in the lowest byte.
static DIGITS: [u32; FOUR] = digits();

const fn digits() -> [u32; FOUR] {
    let mut table = [0; FOUR];
    let mut number = 0;
    while number < FOUR {
        let digits = [
            number / 1000,
            number / 100 % 10,
            number / 10 % 10,
            number % 10,
        ];
        let mut i = 4;
        while i > 0 {
            i -= 1;
            table[number] = table[number] << 8 | digits[i] as u32;
        }
        number += 1;
    }
    table
}

/// Writes a whole number, `.0` and `behind`; says how many bytes. The number is
/// below 10^16 in `magnitude`, as whole floats are that are printed in digits.
#[inline(always)]
pub fn point_zero(negative: bool, magnitude: u64, behind: u8, window: &mut [u8; WIDTH]) -> usize {
    window[0] = b'-';
    let mut end = usize::from(negative);
    if magnitude < EIGHT {
        end += leading(magnitude, window, end);
    } else {
        end += leading(magnitude / EIGHT, window, end);
        store(eight(magnitude % EIGHT) | ZEROS, window, end);
        end += 8;
    }
    window[end..end + 4].copy_from_slice(&[b'.', b'0', behind, 0]);
    end + 3
}

/// A number below 10^8 without its leading zeros.
#[inline(always)]
fn leading(number: u64, window: &mut [u8; WIDTH], at: usize) -> usize {
    let digits = eight(number);
    // The last digit stays even if it is 0: a bit above it ends the search.
    let skipped = (digits | 1 << 56).trailing_zeros() / 8;
    store((digits | ZEROS) >> (8 * skipped), window, at);
    8 - skipped as usize
}

#[inline(always)]
fn store(digits: u64, window: &mut [u8; WIDTH], at: usize) {
    window[at..at + 8].copy_from_slice(&digits.to_le_bytes());
}

/// The eight digits of a number below 10^8, the first in the lowest byte.
#[inline(always)]
fn eight(number: u64) -> u64 {
    let number = number as usize;
    u64::from(DIGITS[number / FOUR]) | u64::from(DIGITS[number % FOUR]) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(whole: i64) -> String {
        let mut window = [b'#'; WIDTH];
        let length = point_zero(whole < 0, whole.unsigned_abs(), b';', &mut window);
        String::from_utf8_lossy(&window[..length]).into_owned()
    }

    #[test]
    fn whole_numbers_are_as_std_prints_them() {
        let mut power = 1i64;
        for _ in 0..16 {
            for near in [power - 1, power, power + 1, 7 * power / 3] {
                for whole in [near, -near] {
                    if whole.unsigned_abs() < 10_000_000_000_000_000 {
                        assert_eq!(text(whole), format!("{whole}.0;"));
                    }
                }
            }
            power *= 10;
        }
        assert_eq!(text(0), "0.0;");
        assert_eq!(text(-9_007_199_254_740_991), "-9007199254740991.0;");
    }
}
