//! Framing: where a stream of bytes may be cut into nodes.
//!
//! ```text
//! stream   one\n two\n three\n four\n fi ...        nodes of 12 bytes
//! nodes   [one\ntwo\n   ][three\nfour\n][fi ...     lines: the next one does not fit
//! ```
//!
//! A ring knows nodes and no items, so whoever wants a node's reader to get whole
//! items has to cut at their ends. What holds, whatever the framing and in
//! whatever pieces the stream came:
//!
//! * Nothing is added and nothing is left out: the nodes, one after the other, are
//!   the stream. A delimiter stays with the item that it ends.
//! * No item is in two nodes. One that is longer than a node is an error.
//! * As many items as fit go into a node, unless the stream pauses.
//!
//! This file looks at bytes and touches no ring; it serves [`Writer`] and anybody
//! else who has a buffer of stream at hand.
//!
//! [`Writer`]: super::Writer

use std::num::NonZeroUsize;

/// What the items of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There are none: any byte may be a node's last.
    Bytes,
    /// They end with that byte. The stream's last one may lack it.
    Delimited(u8),
    /// They have that many bytes each.
    Records(NonZeroUsize),
    /// The stream is one item, with or without bytes.
    Message,
}

/// What becomes of a stream after the bytes that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// More comes at once: a node is worth cutting only when it is full.
    More,
    /// Nothing more for now: what is whole is not to wait.
    Pause,
    /// Nothing more: what is there is the end of it.
    End,
}

/// Where to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The first so many bytes make a node.
    Node(usize),
    /// There is not enough for a node. At a stream's end: nothing is left, or a
    /// part of a record.
    More,
    /// The first item is longer than a node.
    TooLong,
}

impl Framing {
    /// Lines, that end with a line feed.
    pub const LINES: Framing = Framing::Delimited(b'\n');
    /// Items that end with a NUL, as `find -print0` writes them.
    pub const NUL: Framing = Framing::Delimited(0);

    /// How many of `bytes`, from the first on, are whole items; those up to
    /// `looked` are known to hold no item's end.
    pub fn whole(self, bytes: &[u8], looked: usize) -> usize {
        match self {
            Framing::Bytes => bytes.len(),
            Framing::Delimited(end) => {
                let looked = looked.min(bytes.len());
                memchr::memrchr(end, &bytes[looked..]).map_or(0, |at| looked + at + 1)
            }
            Framing::Records(size) => bytes.len() - bytes.len() % size,
            Framing::Message => 0,
        }
    }

    /// Where to cut `bytes`, which begin with an item, so that what comes first
    /// is the next node; those up to `looked` are known to hold no item's end.
    ///
    /// # Example
    ///
    /// ```
    /// use shmkit::ring::{Cut, Framing, Then};
    ///
    /// let mut rest = &b"one\ntwo\nthree\nfour\nfi"[..];
    /// let mut nodes = Vec::new();
    /// while let Cut::Node(len) = Framing::LINES.cut(rest, 0, 12, Then::End) {
    ///     nodes.push(&rest[..len]); // here one would write it
    ///     rest = &rest[len..];
    ///     if rest.is_empty() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(nodes, [&b"one\ntwo\n"[..], b"three\nfour\n", b"fi"]);
    /// assert_eq!(Framing::LINES.cut(b"much too long", 0, 12, Then::More), Cut::TooLong);
    /// ```
    pub fn cut(self, bytes: &[u8], looked: usize, node_size: usize, then: Then) -> Cut {
        let fits = bytes.len() <= node_size;
        if then == Then::End && fits && self.may_end_with(bytes) {
            return Cut::Node(bytes.len());
        }
        let whole = self.whole(&bytes[..bytes.len().min(node_size)], looked);
        match whole > 0 {
            true if then == Then::More && bytes.len() < node_size => Cut::More,
            true => Cut::Node(whole),
            false if fits => Cut::More,
            false => Cut::TooLong,
        }
    }

    /// Whether a stream may end with `bytes`, whose first begins an item.
    fn may_end_with(self, bytes: &[u8]) -> bool {
        match self {
            Framing::Message => true,
            Framing::Records(_) => !bytes.is_empty() && self.whole(bytes, 0) == bytes.len(),
            Framing::Bytes | Framing::Delimited(_) => !bytes.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RECORDS: Framing = Framing::Records(NonZeroUsize::new(3).unwrap());

    #[test]
    fn a_node_takes_whole_items_only_and_as_many_as_fit() {
        let cut = |bytes: &[u8], then| Framing::LINES.cut(bytes, 0, 4, then);
        for then in [Then::More, Then::Pause, Then::End] {
            assert_eq!(cut(b"a\nb\n", then), Cut::Node(4), "exactly a node");
            assert_eq!(cut(b"abc\nd", then), Cut::Node(4));
            assert_eq!(
                cut(b"a\nbcd\n", then),
                Cut::Node(2),
                "the next does not fit"
            );
            assert_eq!(
                cut(b"\n\n\n\n\n", then),
                Cut::Node(4),
                "empty lines are items"
            );
            assert_eq!(cut(b"abcd\n", then), Cut::TooLong, "by its delimiter");
            assert_eq!(cut(b"abcde", then), Cut::TooLong);
        }
    }

    #[test]
    fn what_is_whole_waits_for_more_only_if_more_comes_at_once() {
        let cut = |bytes: &[u8], then| Framing::LINES.cut(bytes, 0, 4, then);
        assert_eq!(cut(b"a\nb", Then::More), Cut::More);
        assert_eq!(cut(b"a\nb", Then::Pause), Cut::Node(2));
        assert_eq!(
            cut(b"a\nb", Then::End),
            Cut::Node(3),
            "the last may lack its end"
        );
        assert_eq!(
            cut(b"abcd", Then::Pause),
            Cut::More,
            "the next byte may be its end"
        );
        assert_eq!(cut(b"abcd", Then::End), Cut::Node(4));
        assert_eq!(cut(b"", Then::End), Cut::More);
    }

    #[test]
    fn records_are_whole_or_nothing() {
        let cut = |bytes: &[u8], then| RECORDS.cut(bytes, 0, 7, then);
        assert_eq!(cut(b"aaabb", Then::Pause), Cut::Node(3));
        assert_eq!(cut(b"aaabbbc", Then::More), Cut::Node(6));
        assert_eq!(cut(b"aaabb", Then::End), Cut::Node(3));
        assert_eq!(cut(b"bb", Then::End), Cut::More, "a part of one is left");
        assert_eq!(RECORDS.cut(b"aaa", 0, 2, Then::End), Cut::TooLong);
    }

    #[test]
    fn a_message_is_all_of_it() {
        let cut = |bytes: &[u8], then| Framing::Message.cut(bytes, 0, 4, then);
        assert_eq!(cut(b"a\nb", Then::Pause), Cut::More);
        assert_eq!(cut(b"abcd", Then::End), Cut::Node(4));
        assert_eq!(cut(b"", Then::End), Cut::Node(0));
        assert_eq!(cut(b"abcde", Then::More), Cut::TooLong);
    }

    #[test]
    fn what_was_looked_at_is_not_looked_at_again() {
        assert_eq!(Framing::LINES.whole(b"a\nb\nc", 2), 4);
        assert_eq!(
            Framing::LINES.whole(b"a\nbc", 2),
            0,
            "it is taken at its word"
        );
        assert_eq!(Framing::LINES.whole(b"a", 9), 0);
    }

    fn framings() -> impl Strategy<Value = Framing> {
        let record = |size| Framing::Records(NonZeroUsize::new(size).unwrap());
        prop_oneof![
            Just(Framing::Bytes),
            Just(Framing::LINES),
            Just(Framing::NUL),
            (1usize..9).prop_map(record),
        ]
    }

    proptest! {
        /// In whatever pieces a stream comes, its nodes are the stream, and
        /// each is whole items.
        #[test]
        fn any_split_of_any_stream_keeps_items_whole_and_bytes_the_same(
            framing in framings(),
            stream in prop::collection::vec(prop_oneof![Just(b'\n'), Just(0u8), any::<u8>()], 0..200),
            pieces in prop::collection::vec((1usize..40, any::<bool>()), 1..60),
            node_size in 1usize..50,
        ) {
            let (mut nodes, mut buffer) = (Vec::<Vec<u8>>::new(), Vec::new());
            let (mut rest, mut at) = (&stream[..], pieces.iter().cycle());
            let (mut too_long, mut looked) = (false, 0);
            while !too_long {
                let &(piece, pause) = at.next().unwrap();
                let (now, later) = rest.split_at(piece.min(rest.len()));
                buffer.extend_from_slice(now);
                rest = later;
                let then = match rest.is_empty() {
                    true => Then::End,
                    false if pause => Then::Pause,
                    false => Then::More,
                };
                loop {
                    match framing.cut(&buffer, looked, node_size, then) {
                        Cut::Node(len) => {
                            prop_assert!((1..=node_size).contains(&len));
                            nodes.push(buffer.drain(..len).collect());
                            looked = 0;
                        }
                        Cut::More => {
                            // With a whole item at hand, it waits for more of them.
                            if framing.whole(&buffer, 0) == 0 {
                                looked = buffer.len();
                            }
                            break;
                        }
                        Cut::TooLong => {
                            too_long = true;
                            break;
                        }
                    }
                }
                if then == Then::End {
                    break;
                }
            }
            let out = nodes.concat();
            prop_assert_eq!(&out[..], &stream[..out.len()]);
            let left = &stream[out.len()..];
            match framing {
                Framing::Delimited(end) => {
                    let first = left.split_inclusive(|byte| *byte == end).next();
                    prop_assert_eq!(too_long, first.is_some_and(|item| item.len() > node_size));
                    prop_assert!(too_long || left.is_empty());
                    for (i, node) in nodes.iter().enumerate() {
                        let last = i + 1 == nodes.len() && left.is_empty();
                        prop_assert!(last || node.last() == Some(&end));
                    }
                }
                Framing::Records(size) => {
                    prop_assert!(nodes.iter().all(|node| node.len() % size == 0));
                    prop_assert!(too_long || left.len() < size.get());
                    prop_assert!(!too_long || size.get() > node_size);
                }
                _ => prop_assert!(left.is_empty() && !too_long),
            }
        }
    }
}
