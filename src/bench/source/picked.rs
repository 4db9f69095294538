//! How a reader knows that picked messages are right, at next to no cost.
//!
//! ```text
//!   | first word: of buffer i, and of no other | ... | last word: !first |
//! ```
//!
//! The first words are added up, which tells whether all came, whoever read
//! them. A last word that does not belong to the first tells of a torn message.
//! A reader that is alone with one writer makes the same picks as that one, and
//! so knows which first word is due: an order that was changed shows, too. The
//! bytes in between are not looked at; `checked` does.

use super::{BUFFERS, Picks, Tally, buffers, first_word, stamp};

/// A last word is looked at only in messages longer than this: in one cache
/// line, fresh from `memcpy`, such a look stalls for half the message's time.
const LINE: usize = 64;

/// What each buffer begins with, for a reader that has not the buffers.
pub type FirstWords = [u64; BUFFERS];

/// The first words of buffers for messages of `size` bytes.
pub fn first_words(size: usize) -> FirstWords {
    std::array::from_fn(|index| {
        let stamp = stamp(index).to_le_bytes();
        first_word(&stamp[..size.min(stamp.len())])
    })
}

/// What a reader knows of picked messages.
#[derive(Clone, Debug)]
pub struct Seen<'w> {
    /// Of all first words.
    pub tally: Tally,
    /// Messages that are not what they should be.
    wrong: u64,
    /// If they all come from one writer to this reader: which is due.
    due: Option<(Picks, &'w FirstWords, usize)>,
}

impl<'w> Seen<'w> {
    /// Nothing yet. `alone`: all messages of one writer, the first, and of
    /// nobody else come here, so that the reader can pick as that one does.
    pub fn new(size: usize, alone: bool, words: &'w FirstWords) -> Seen<'w> {
        Seen {
            tally: Tally::default(),
            wrong: 0,
            due: alone.then(|| (Picks::of_writer(0), words, buffers(size))),
        }
    }

    /// The same, and the next one.
    #[inline(always)]
    pub fn with(mut self, message: &[u8]) -> Seen<'w> {
        self.look(message);
        self
    }

    /// Looks at the next one.
    #[inline(always)]
    pub fn look(&mut self, message: &[u8]) {
        let word = first_word(message);
        let due = match &mut self.due {
            Some((picks, words, count)) => words[picks.below(*count)],
            None => word,
        };
        self.tally.add(word);
        self.wrong += u64::from(word != due || !is_whole(message));
    }

    /// What was wrong, if anything was.
    pub fn verdict(&self) -> Option<String> {
        let wrong = self.wrong;
        (wrong > 0).then(|| format!("{wrong} messages were lost, swapped or torn"))
    }
}

/// Whether the end of a picked message belongs to its beginning.
#[inline]
pub fn is_whole(message: &[u8]) -> bool {
    let last = message.last_chunk().map(|word| u64::from_le_bytes(*word));
    message.len() <= LINE || last == Some(!first_word(message))
}
