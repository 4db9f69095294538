//! Loom models of the protocol: every interleaving (within a bound on
//! preemptions) of small rings, and every crash point.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release --lib loom`.
//!
//! A crash is what [`Fuse`] makes of it: the victim stops before its k-th
//! change of shared memory, for every k. What comes after in its thread is
//! somebody else's: the kernel lets nobody recover an entry before its
//! holder is gone, so "victim, then recoverer" in one thread is exactly the
//! order that recovery relies on, while the other threads go on regardless.
//! The recoverer may be a victim too, and be recovered from.
//!
//! Payload is a loom cell, which reports any access that is not ordered
//! after the one before it. Sleeping has no time-out here, so that a lost
//! wake-up is a deadlock, which loom reports as well.

use super::heap::Heap;
use super::layout::StreamState;
use super::protocol::{Core, Cursor, Token};
use crate::segment::layout::{EMPTY, READER, WRITER};
use crate::sync::atomic::{Fuse, Ordering, fence, fence_after_rmw};
use crate::sync::explore::{check, for_every_crash_point, silence_crashes};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

mod broadcast;
mod deaths;
mod dropping;

/// A ring of two nodes with payload.
struct Ring {
    heap: Heap,
    payload: Vec<UnsafeCell<u64>>,
}

// SAFETY: the payload cells are what the protocol protects, and loom checks
// that it does.
unsafe impl Sync for Ring {}
// SAFETY: as above.
unsafe impl Send for Ring {}

impl std::ops::Deref for Ring {
    type Target = Heap;
    fn deref(&self) -> &Heap {
        &self.heap
    }
}

const NODES: u32 = 2;

impl Ring {
    fn new(entries: u32) -> Arc<Ring> {
        let payload = (0..NODES).map(|_| UnsafeCell::new(0)).collect();
        Arc::new(Ring {
            heap: Heap::new(NODES, entries),
            payload,
        })
    }

    fn join(&self, slot: u32, state: u32) {
        self.entries[slot as usize]
            .state
            .store(state, Ordering::Release);
        if state == WRITER {
            self.core().join_stream();
        }
    }

    fn wake_everybody(&self) {
        fence(Ordering::SeqCst);
        self.words.ready.0.signal(9, |n| self.words.ready.0.wake(n));
        self.words.free.0.signal(9, |n| self.words.free.0.wake(n));
    }

    fn recover(&self, slot: u32) {
        self.core().recover(slot).unwrap();
        self.wake_everybody();
    }
}

/// A handle as the real ones are, without their guards: those would clean up
/// when a victim unwinds.
struct Party<'a> {
    // Not an `Arc`: a victim must come to its end without dropping anything
    // that loom counts, or another thread would run while it unwinds.
    ring: &'a Ring,
    slot: u32,
    last: u32,
    tail: Cursor,
    head: Cursor,
}

impl Party<'_> {
    fn new(ring: &Ring, slot: u32) -> Party<'_> {
        let (tail, head) = Default::default();
        Party {
            ring,
            slot,
            last: NODES - 1,
            tail,
            head,
        }
    }

    fn owner(&self) -> u32 {
        Core::owner(self.slot)
    }

    fn reserve(&mut self) -> Option<Token> {
        self.ring
            .core()
            .reserve(self.owner(), &mut self.last, &mut self.head)
    }

    fn write(&mut self, value: u64) {
        let token = loop {
            if let Some(token) = self.reserve() {
                break token;
            }
            let free = &self.ring.words.free.0;
            let ticket = free.arm();
            if let Some(token) = self.reserve() {
                break token;
            }
            free.sleep(ticket);
        };
        self.fill_and_commit(token, value);
    }

    fn fill_and_commit(&mut self, token: Token, value: u64) {
        // SAFETY: the node is reserved; loom checks.
        self.ring.payload[token.node as usize].with_mut(|p| unsafe { *p = value });
        let counters = &self.ring.entries[self.slot as usize].counters;
        self.ring
            .core()
            .commit(token, value, counters, &mut self.tail)
            .unwrap();
        fence_after_rmw();
        let ready = &self.ring.words.ready.0;
        ready.signal(1, |n| ready.wake(n));
    }

    fn claim(&mut self) -> Option<Token> {
        self.ring
            .core()
            .claim(self.owner(), &mut self.head)
            .unwrap()
    }

    fn value(&self, token: Token) -> u64 {
        assert!(self.ring.core().len(token).is_ok());
        // SAFETY: the node is claimed; loom checks.
        self.ring.payload[token.node as usize].with(|p| unsafe { *p })
    }

    fn release(&self, token: Token) {
        self.ring.core().release(token);
        fence(Ordering::SeqCst);
        let (free, ready) = (&self.ring.words.free.0, &self.ring.words.ready.0);
        free.signal(1, |n| free.wake(n));
        if self.ring.core().stream().state() == StreamState::Ended {
            ready.signal(9, |n| ready.wake(n));
        }
    }

    fn give_back(&self, token: Token) {
        self.ring.core().give_back(token);
        fence_after_rmw();
        let ready = &self.ring.words.ready.0;
        ready.signal(1, |n| ready.wake(n));
    }

    /// Claims, sleeping for it; `None` once the stream has ended.
    fn claim_or_end(&mut self, base: super::stream::Base) -> Option<Token> {
        let ring = self.ring;
        let ready = &ring.words.ready.0;
        loop {
            for ticket in [None, Some(())] {
                let ticket = ticket.map(|()| ready.arm());
                let ended = ring.core().ended_since(base);
                if let Some(token) = self.claim() {
                    return Some(token);
                }
                if ended && ring.core().drained() {
                    return None;
                }
                if let Some(ticket) = ticket {
                    ready.sleep(ticket);
                }
            }
        }
    }

    fn read_one(&mut self) -> Option<u64> {
        let token = self.claim()?;
        let value = self.value(token);
        self.release(token);
        Some(value)
    }

    fn read_to_end(&mut self, base: super::stream::Base) -> Vec<u64> {
        let mut got = Vec::new();
        while let Some(token) = self.claim_or_end(base) {
            got.push(self.value(token));
            self.release(token);
        }
        got
    }

    fn leave(&self) {
        if self.ring.core().leave_stream(self.slot) {
            self.ring.wake_everybody();
        }
        self.ring.entries[self.slot as usize]
            .state
            .store(EMPTY, Ordering::Release);
    }
}

fn sorted(mut values: Vec<u64>) -> Vec<u64> {
    values.sort_unstable();
    values
}

/// Two writers, of which the first writes `first`, the second 4; one reader.
fn two_writers_one_reader(first: &'static [u64]) {
    let ring = Ring::new(3);
    ring.join(2, READER);
    let base = ring.core().base();
    ring.join(0, WRITER);
    ring.join(1, WRITER);
    let writer = |slot, values: &'static [u64]| {
        let ring = ring.clone();
        thread::spawn(move || {
            let mut writer = Party::new(&ring, slot);
            values.iter().for_each(|value| writer.write(*value));
            writer.leave();
        })
    };
    let writers = [writer(0, first), writer(1, &[4])];
    let got = Party::new(&ring, 2).read_to_end(base);
    assert_eq!(sorted(got.clone()), [first, &[4]].concat());
    let own: Vec<u64> = got.into_iter().filter(|v| *v < 4).collect();
    assert_eq!(own, first, "a writer's own nodes in its order");
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(ring.core().unclaimed(), 0);
    assert!(ring.core().clean_since(base));
}

#[test]
fn loom_two_writers_one_reader_every_node_once_in_order() {
    check(2, || two_writers_one_reader(&[1]));
}

#[test]
fn loom_two_writers_round_the_ring_every_node_once_in_order() {
    // Three messages in two nodes: somebody has to wait for a free one.
    check(1, || two_writers_one_reader(&[1, 2]));
}

#[test]
fn loom_one_writer_two_readers_every_node_once() {
    check(2, || {
        let ring = Ring::new(3);
        ring.join(1, READER);
        ring.join(2, READER);
        let base = ring.core().base();
        ring.join(0, WRITER);
        let reader = |slot| {
            let ring = ring.clone();
            thread::spawn(move || Party::new(&ring, slot).read_to_end(base))
        };
        let (one, two) = (reader(1), reader(2));
        let mut writer = Party::new(&ring, 0);
        writer.write(1);
        writer.write(2);
        writer.leave();
        let (one, two) = (one.join().unwrap(), two.join().unwrap());
        assert!(
            one.is_sorted() && two.is_sorted(),
            "in commit order: {one:?} {two:?}"
        );
        assert_eq!(sorted([one, two].concat()), [1, 2]);
    });
}

#[test]
fn loom_a_commit_wakes_who_sleeps_though_its_writer_stays() {
    // Who leaves wakes everybody, and would make up for a commit that did not.
    check(3, || {
        let ring = Ring::new(2);
        ring.join(1, READER);
        let base = ring.core().base();
        ring.join(0, WRITER);
        let other = ring.clone();
        let writer = thread::spawn(move || Party::new(&other, 0).write(1));
        assert!(Party::new(&ring, 1).claim_or_end(base).is_some());
        writer.join().unwrap();
    });
}

#[test]
fn loom_a_node_given_back_goes_to_the_other_reader() {
    check(3, || {
        let ring = Ring::new(3);
        ring.join(1, READER);
        ring.join(2, READER);
        let base = ring.core().base();
        ring.join(0, WRITER);
        let mut writer = Party::new(&ring, 0);
        writer.write(1);
        writer.write(2);
        writer.leave();
        let other = ring.clone();
        let giver = thread::spawn(move || {
            let mut reader = Party::new(&other, 1);
            if let Some(token) = reader.claim() {
                reader.give_back(token);
            }
        });
        let got = Party::new(&ring, 2).read_to_end(base);
        giver.join().unwrap();
        assert_eq!(sorted(got), [1, 2]);
    });
}

#[test]
fn loom_of_two_readers_who_find_an_orphan_one_gets_it() {
    check(3, || {
        let ring = Ring::new(3);
        ring.join(1, READER);
        ring.join(2, READER);
        ring.join(0, WRITER);
        Party::new(&ring, 0).write(1);
        let mut reader = Party::new(&ring, 1);
        let token = reader.claim().unwrap();
        reader.give_back(token);
        let other = ring.clone();
        let second = thread::spawn(move || Party::new(&other, 2).read_one());
        let got = [reader.read_one(), second.join().unwrap()];
        assert!(got == [Some(1), None] || got == [None, Some(1)], "{got:?}");
    });
}

/// After a writer in entry 0 that wrote 1 and 2 died and was recovered, and
/// all was read: `own` is what of the two arrived.
fn nothing_committed_is_lost_and_nothing_leaks(ring: &Ring, own: &[u64]) {
    assert!(
        [1, 2].starts_with(own),
        "what was committed, and in order: {own:?}"
    );
    let counters = &ring.entries[0].counters;
    let counted = counters.written_nodes.load(Ordering::Relaxed);
    assert_eq!(counted, own.len() as u64, "the counters tell the truth");
    let bytes = counters.written_bytes.load(Ordering::Relaxed);
    assert_eq!(bytes, own.iter().sum::<u64>());
    let mut next = Party::new(ring, 0);
    assert!(
        next.reserve().is_some() && next.reserve().is_some(),
        "both nodes are free"
    );
}

#[test]
fn loom_a_writer_killed_at_any_step_loses_nothing_committed() {
    let steps = for_every_crash_point(2, |k| {
        let ring = Ring::new(2);
        ring.join(1, READER);
        let base = ring.core().base();
        ring.join(0, WRITER);
        let other = ring.clone();
        let victim = thread::spawn(move || {
            let end = Fuse::burn(k, || {
                let mut writer = Party::new(&other, 0);
                writer.write(1);
                writer.write(2);
                writer.leave();
            });
            other.recover(0);
            end.is_err()
        });
        let got = Party::new(&ring, 1).read_to_end(base);
        let died = victim.join().unwrap();
        nothing_committed_is_lost_and_nothing_leaks(&ring, &got);
        died
    });
    assert!(steps > 20, "only {steps} crash points were visited");
}

#[test]
fn loom_a_writer_killed_at_any_step_does_not_hold_up_another() {
    let steps = for_every_crash_point(2, |k| {
        let ring = Ring::new(3);
        ring.join(2, READER);
        let base = ring.core().base();
        ring.join(1, WRITER);
        let other = ring.clone();
        let victim = thread::spawn(move || {
            let end = Fuse::burn(k, || {
                other.join(0, WRITER);
                let mut writer = Party::new(&other, 0);
                writer.write(1);
                writer.leave();
            });
            other.recover(0);
            end.is_err()
        });
        let mut survivor = Party::new(&ring, 1);
        survivor.write(4);
        survivor.leave();
        let got = Party::new(&ring, 2).read_to_end(base);
        let died = victim.join().unwrap();
        // A victim that joins after the survivor has left begins a stream of
        // its own, which this reader does not wait for.
        let rest = Party::new(&ring, 2).read_to_end(base);
        let all = [got, rest].concat();
        assert_eq!(all.iter().filter(|v| **v == 4).count(), 1, "{all:?}");
        let own: Vec<u64> = all.into_iter().filter(|v| *v < 4).collect();
        nothing_committed_is_lost_and_nothing_leaks(&ring, &own);
        died
    });
    assert!(steps > 10, "only {steps} crash points were visited");
}

#[test]
fn loom_a_killed_writer_makes_the_stream_unclean_before_it_ends() {
    let steps = for_every_crash_point(2, |k| {
        let ring = Ring::new(2);
        ring.join(1, READER);
        let base = ring.core().base();
        ring.join(0, WRITER);
        let other = ring.clone();
        let victim = thread::spawn(move || {
            let end = Fuse::burn(k, || {
                let mut writer = Party::new(&other, 0);
                writer.write(1);
                // All that comes after this is leaving: clean.
            });
            let died = end.is_err();
            if !died {
                Party::new(&other, 0).leave();
            }
            other.recover(0);
            died
        });
        let got = Party::new(&ring, 1).read_to_end(base);
        let clean = ring.core().clean_since(base);
        let died = victim.join().unwrap();
        assert_eq!(clean, !died, "{got:?}");
        died
    });
    assert!(steps > 8, "only {steps} crash points were visited");
}

#[test]
fn loom_a_reader_killed_at_any_step_hands_its_node_on() {
    let steps = for_every_crash_point(2, |k| {
        let ring = Ring::new(3);
        ring.join(1, READER);
        let base = ring.core().base();
        ring.join(0, WRITER);
        let mut writer = Party::new(&ring, 0);
        writer.write(1);
        writer.write(2);
        writer.leave();
        let other = ring.clone();
        let victim = thread::spawn(move || {
            let mut done = Vec::new();
            let end = Fuse::burn(k, || {
                other.join(2, READER);
                let mut reader = Party::new(&other, 2);
                while let Some(token) = reader.claim() {
                    let value = reader.value(token);
                    done.push(value);
                    reader.release(token);
                }
            });
            other.recover(2);
            (end.is_err(), done)
        });
        let got = Party::new(&ring, 1).read_to_end(base);
        let (died, done) = victim.join().unwrap();
        // Every node at least once; twice only the one the victim died with.
        let all = sorted([got.clone(), done.clone()].concat());
        let mut once = all.clone();
        once.dedup();
        assert_eq!(once, [1, 2], "{got:?} {done:?}");
        let twice = all.len() - once.len();
        assert!(twice <= usize::from(died), "{got:?} {done:?}");
        assert!(ring.core().drained());
        died
    });
    assert!(steps > 6, "only {steps} crash points were visited");
}

#[test]
fn loom_a_recoverer_killed_at_any_step_is_followed_by_another() {
    silence_crashes();
    // The victim dies with one node READY but not in the order, or WRITING,
    // or READING; the recoverer dies before each of its own steps.
    let mut visited = 0;
    for victim_steps in 0..40 {
        for recoverer_steps in 0..20 {
            let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            let noted = ended.clone();
            check(1, move || {
                let ring = Ring::new(3);
                ring.join(1, READER);
                let base = ring.core().base();
                let (other, noted) = (ring.clone(), noted.clone());
                let victim = thread::spawn(move || {
                    let _ = Fuse::burn(victim_steps, || {
                        other.join(0, WRITER);
                        let mut writer = Party::new(&other, 0);
                        writer.write(1);
                        let mut reader = Party::new(&other, 0);
                        if let Some(token) = reader.claim() {
                            reader.ring.core().give_back(token);
                        }
                    });
                    if Fuse::burn(recoverer_steps, || other.core().recover(0)).is_ok() {
                        noted.store(true, std::sync::atomic::Ordering::Relaxed);
                    }
                    other.core().recover(0).unwrap();
                    // Were it not for this writer, a stream that the victim
                    // did not live to begin would never end.
                    other.join(2, WRITER);
                    let mut writer = Party::new(&other, 2);
                    writer.write(4);
                    writer.leave();
                    other.wake_everybody();
                });
                let mut reader = Party::new(&ring, 1);
                let mut got = Vec::new();
                // The victim's stream may end before the next one begins.
                while !got.contains(&4) {
                    match reader.claim() {
                        Some(token) => {
                            got.push(reader.value(token));
                            reader.release(token);
                        }
                        None => thread::yield_now(),
                    }
                }
                let _ = base;
                victim.join().unwrap();
                assert!(got == [1, 4] || got == [4], "{got:?}");
                let counters = &ring.entries[0].counters;
                let counted = counters.written_nodes.load(Ordering::Relaxed);
                assert_eq!(counted, got.len() as u64 - 1);
                let mut next = Party::new(&ring, 0);
                assert!(next.reserve().is_some() && next.reserve().is_some());
            });
            visited += 1;
            if ended.load(std::sync::atomic::Ordering::Relaxed) {
                break;
            }
        }
    }
    assert!(visited > 100, "only {visited} pairs of crash points");
}

#[test]
fn loom_a_writer_who_joins_while_the_last_one_leaves_is_not_cut_off() {
    check(3, || {
        let ring = Ring::new(3);
        ring.join(2, READER);
        let base = ring.core().base();
        ring.join(0, WRITER);
        let other = ring.clone();
        let joiner = thread::spawn(move || {
            other.join(1, WRITER);
            let mut writer = Party::new(&other, 1);
            writer.write(2);
            // Still a writer, in an open stream: nobody ended it meanwhile.
            assert_eq!(other.core().stream().state(), StreamState::Open);
            writer.leave();
        });
        Party::new(&ring, 0).leave();
        joiner.join().unwrap();
        assert_eq!(ring.core().stream().state(), StreamState::Ended);
        let got = Party::new(&ring, 2).read_to_end(base);
        assert_eq!(got, [2]);
    });
}

#[test]
fn loom_of_two_writers_who_leave_at_once_one_ends_the_stream() {
    check(3, || {
        let ring = Ring::new(2);
        ring.join(0, WRITER);
        ring.join(1, WRITER);
        let other = ring.clone();
        let second = thread::spawn(move || Party::new(&other, 1).leave());
        Party::new(&ring, 0).leave();
        second.join().unwrap();
        assert_eq!(ring.core().stream().state(), StreamState::Ended);
    });
}
