//! Where queues and broadcast rings differ, for the handles: decided once, when
//! one attaches.
//!
//! # Compiled apart
//!
//! A message of 64 bytes is written in some 70 ns, so a queue feels every instruction, and
//! what broadcast does between its own (registers saved, values passed through memory) cost
//! it up to a third of its rate. Hence the commit is compiled for each delivery, what only
//! broadcast does is called, not inlined, and a handle that has nothing to give back calls
//! nothing. Instructions for each message of a queue, counted by valgrind (which a busy machine
//! does not disturb), and millions of messages of 64 bytes a second, the most frequent rate of
//! windows of 1024 messages in either state of the machine (in one its two processors seem
//! to share a core's caches):
//!
//! | | writer | reader | shared | not |
//! |---|---|---|---|---|
//! | before there was broadcast | 482 | 504 | 14.0 | 9.9 to 11.9 |
//! | both in one piece of code | 612 | 552 | 13.1 | 8.1 to 9.9 |
//! | the commit for each delivery | 576 | 552 | 13.5 | 8.1 |
//! | what is seldom needed out of line, claims inlined | 456 | 442 | 15.9 | 8.9 |
//! | broadcast's own out of line, the append inlined | 421 | 442 | 16.1 | 8.1 to 9.0 |
//! | readers fetch farther ahead: `super::prefetch` | 426 | 438 | 15.6 | 9.9 to 10.8 |
//!
//! Broadcast gained, too: a tenth, where the cores share their caches.

use super::broadcast::{Place, Start, gate::Gate};
use super::layout::NodeWord;
use super::protocol::{Core, Corrupt, Cursor, Take, Token, Upcoming};
use super::stream::Base;

/// How a writer comes to its nodes.
#[derive(Debug)]
pub enum Room {
    /// What readers have released is free.
    Queue {
        /// Where the next node to be read stands, or one before it.
        head: Cursor,
    },
    /// What all readers have passed is free.
    Broadcast(Gate),
}

impl Room {
    /// That of a writer of this ring.
    pub fn new(core: &Core<'_>) -> Room {
        match core.broadcast {
            false => Room::Queue {
                head: Cursor::default(),
            },
            true => Room::Broadcast(Gate::new(core)),
        }
    }

    /// Takes a node for `slot`; `None` if there was none. `last` and `tail` are
    /// the writer's last node, and where it will append.
    #[inline]
    pub fn reserve(
        &mut self,
        core: &Core<'_>,
        slot: u32,
        take: Take,
        last: &mut u32,
        tail: &mut Cursor,
    ) -> Result<Option<Token>, Corrupt> {
        match self {
            Room::Queue { head } => match core.reserve(Core::owner(slot), last, head) {
                None if take == Take::Oldest => {
                    let dropped = core.drop_oldest(slot, head)?;
                    *last = dropped.map_or(*last, |token| token.node);
                    Ok(dropped)
                }
                token => Ok(token),
            },
            Room::Broadcast(gate) => core.reserve_passed(slot, take, last, tail, gate),
        }
    }

    /// Tries only the node whose turn it is: for spinning.
    #[inline]
    pub fn reserve_next(
        &mut self,
        core: &Core<'_>,
        slot: u32,
        last: &mut u32,
        tail: &mut Cursor,
    ) -> Result<Option<Token>, Corrupt> {
        match self {
            Room::Queue { .. } => Ok(core.reserve_next(Core::owner(slot), last)),
            Room::Broadcast(gate) => core.reserve_next_passed(slot, last, tail, gate),
        }
    }

    /// The word of the node that [`Room::reserve_next`] would take.
    #[inline]
    pub fn next_word(&self, core: &Core<'_>, last: u32, tail: &Cursor) -> NodeWord {
        match self {
            Room::Queue { .. } => core.next_word(last),
            Room::Broadcast(_) => core
                .oldest(tail)
                .map_or(NodeWord::default(), |(_, word)| word),
        }
    }

    /// What is taken next, if it may be fetched for writing.
    #[inline]
    pub fn upcoming(&mut self, core: &Core<'_>, last: u32, tail: &Cursor) -> Option<Upcoming> {
        match self {
            Room::Queue { .. } => core.next_in_turn(last).map(Upcoming::node),
            Room::Broadcast(gate) => core.next_passed(last, tail, gate),
        }
    }
}

/// Where a reader's nodes come from.
#[derive(Debug)]
pub enum Order {
    /// The next one that nobody has.
    Queue {
        /// Where it stands, or one before it.
        head: Cursor,
    },
    /// The next one that this reader has not had.
    Broadcast(Place),
}

impl Order {
    /// That of a reader which joins in `slot`; its entry says READER.
    pub fn join(core: &Core<'_>, slot: u32, from: Start) -> Result<Order, Corrupt> {
        Ok(match core.broadcast {
            false => Order::Queue {
                head: Cursor::default(),
            },
            true => Order::Broadcast(core.join_order(slot, from)?),
        })
    }

    /// Where such a reader stands among the streams.
    pub fn base(&self, core: &Core<'_>) -> Base {
        match self {
            Order::Queue { .. } => core.base(),
            Order::Broadcast(place) => core.base_if(|| !core.at_tail(place)),
        }
    }
}
