//! Keys, from the bytes that a terminal in raw mode sends for them.
//!
//! (crossterm reads keys, too, and spins for ever on a terminal that has gone away:
//! it takes an end of file, and EIO, for "nothing yet".)
//!
//! An ESC that nothing follows is the Escape key. But a slow line may cut the sequence of
//! another key in two: whoever reads waits a moment for the rest ([`is_cut`]). Sequences
//! that mean nothing here are skipped whole.

/// What was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character, without meaning here or with one.
    Char(char),
    /// Escape.
    Escape,
    /// Ctrl and that letter.
    Ctrl(char),
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
}

const ESC: u8 = 0x1b;

/// Whether a key may have begun in these bytes whose end is yet to come.
pub fn is_cut(bytes: &[u8]) -> bool {
    let Some(last) = bytes.iter().rposition(|byte| *byte == ESC) else {
        return false;
    };
    match &bytes[last + 1..] {
        [] => true,
        [b'[' | b'O', sequence @ ..] => !sequence.iter().any(is_last),
        _ => false,
    }
}

/// Whether that byte ends a sequence.
fn is_last(byte: &u8) -> bool {
    (0x40..=0x7e).contains(byte)
}

/// The keys that these bytes are.
pub fn parse(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let [first, rest @ ..] = bytes {
        bytes = rest;
        keys.extend(match (*first, rest) {
            (ESC, [b'[' | b'O', sequence @ ..]) => {
                let length = sequence
                    .iter()
                    .position(is_last)
                    .map_or(sequence.len(), |last| last + 1);
                let (sequence, after) = sequence.split_at(length);
                bytes = after;
                special(sequence)
            }
            (ESC, []) => Some(Key::Escape),
            // Alt and a key: as that key alone.
            (ESC, _) => None,
            (control @ 1..=26, _) => Some(Key::Ctrl(char::from(control - 1 + b'a'))),
            (byte, _) => byte
                .is_ascii_graphic()
                .then(|| Key::Char(char::from(byte)))
                .or(match byte {
                    b' ' => Some(Key::Char(' ')),
                    _ => None,
                }),
        });
    }
    keys
}

/// The key of a sequence, behind its `ESC [` or `ESC O`.
fn special(sequence: &[u8]) -> Option<Key> {
    Some(match sequence {
        [.., b'A'] => Key::Up,
        [.., b'B'] => Key::Down,
        [.., b'H'] | b"1~" | b"7~" => Key::Home,
        [.., b'F'] | b"4~" | b"8~" => Key::End,
        b"5~" => Key::PageUp,
        b"6~" => Key::PageDown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_the_bytes_that_terminals_send() {
        use Key::*;
        let cases: [(&[u8], &[Key]); 9] = [
            (b"q", &[Char('q')]),
            (b" s?", &[Char(' '), Char('s'), Char('?')]),
            (b"\x03\x1a\x0c", &[Ctrl('c'), Ctrl('z'), Ctrl('l')]),
            (b"\x1b", &[Escape]),
            (b"\x1b[A\x1bOB\x1b[5~\x1b[6~", &[Up, Down, PageUp, PageDown]),
            (b"\x1b[H\x1b[F\x1b[1~\x1b[4~", &[Home, End, Home, End]),
            (b"\x1b[200~x\x1b[1;5Cq", &[Char('x'), Char('q')]),
            (b"\x1bq", &[Char('q')]),
            (b"\x00\xc3\xa4\x7f\x1b[", &[]),
        ];
        for (bytes, keys) in cases {
            assert_eq!(parse(bytes), keys, "{bytes:?}");
        }
    }

    #[test]
    fn a_key_that_is_cut_in_two_is_noticed() {
        for bytes in [
            &b"\x1b"[..],
            b"q\x1b",
            b"\x1b[",
            b"\x1b[A\x1bO",
            b"\x1b[1;5",
        ] {
            assert!(is_cut(bytes), "{bytes:?}");
        }
        for bytes in [&b""[..], b"q", b"\x1b[A", b"\x1bq", b"\x1b[1;5Cq"] {
            assert!(!is_cut(bytes), "{bytes:?}");
        }
    }
}
