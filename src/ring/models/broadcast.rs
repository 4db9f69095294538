//! Broadcast: readers that come and go, writers that wait or drop, and deaths.
//!
//! Two nodes, as everywhere here. The length of a node is the value written, so
//! the bytes that were counted as dropped tell which nodes were. A payload
//! access that is not ordered after the one before it is reported by loom: a
//! writer that took a node out of a reader's hand would show at once.

use super::*;
use crate::ring::broadcast::gate::Gate;
use crate::ring::broadcast::{Place, Start};
use crate::ring::protocol::{Claimed, Take};
use crate::ring::stream::Base;
use crate::segment::layout::Counters;
use crate::sync::atomic::AtomicU64;
use crate::sync::explore::for_every_pair_of_crash_points;

fn broadcast(entries: u32) -> Arc<Ring> {
    let payload = (0..NODES).map(|_| UnsafeCell::new(0)).collect();
    Arc::new(Ring {
        heap: Heap::broadcast(NODES, entries),
        payload,
    })
}

/// A writer, as the real ones are.
struct Writer<'a> {
    party: Party<'a>,
    gate: Gate,
}

impl Writer<'_> {
    fn new(ring: &Ring, slot: u32) -> Writer<'_> {
        Writer {
            party: Party::new(ring, slot),
            gate: Gate::new(&ring.core()),
        }
    }

    fn reserve(&mut self, take: Take) -> Option<Token> {
        let Party {
            ring,
            slot,
            last,
            tail,
            ..
        } = &mut self.party;
        ring.core()
            .reserve_passed(*slot, take, last, tail, &mut self.gate)
            .unwrap()
    }

    fn write(&mut self, value: u64) {
        let ring = self.party.ring;
        let token = loop {
            if let Some(token) = self.reserve(Take::Free) {
                break token;
            }
            let free = &ring.words.free.0;
            let ticket = free.arm();
            if let Some(token) = self.reserve(Take::Free) {
                break token;
            }
            free.sleep(ticket);
        };
        self.commit(token, value);
    }

    /// Writes without ever sleeping.
    fn write_dropping(&mut self, value: u64) {
        let token = loop {
            if let Some(token) = self.reserve(Take::Oldest) {
                break token;
            }
            thread::yield_now();
        };
        self.commit(token, value);
    }

    fn commit(&mut self, token: Token, value: u64) {
        let Party {
            ring, slot, tail, ..
        } = &mut self.party;
        // SAFETY: the node is reserved; loom checks.
        ring.payload[token.node as usize].with_mut(|p| unsafe { *p = value });
        let counters = &ring.entries[*slot as usize].counters;
        ring.core().commit(token, value, counters, tail).unwrap();
        fence_after_rmw();
        let ready = &ring.words.ready.0;
        ready.signal(9, |n| ready.wake(n));
    }
}

/// A reader likewise.
struct Reader<'a> {
    ring: &'a Ring,
    slot: u32,
    place: Place,
    base: Base,
}

impl Reader<'_> {
    fn join(ring: &Ring, slot: u32, start: Start) -> Reader<'_> {
        ring.join(slot, READER);
        let place = ring.core().join_order(slot, start).unwrap();
        let base = ring.core().base_if(|| !ring.core().at_tail(&place));
        Reader {
            ring,
            slot,
            place,
            base,
        }
    }

    /// The reader that joined as `place`, in another thread.
    fn resume(ring: &Ring, slot: u32, (place, base): (Place, Base)) -> Reader<'_> {
        Reader {
            ring,
            slot,
            place,
            base,
        }
    }

    fn paused(&self) -> (Place, Base) {
        (self.place, self.base)
    }

    fn claim(&mut self, want: u32) -> Vec<Claimed> {
        let mut claimed = Vec::new();
        self.ring
            .core()
            .claim_next(self.slot, &mut self.place, want, u64::MAX, &mut claimed)
            .unwrap();
        claimed
    }

    fn value(&self, claimed: &Claimed) -> u64 {
        // SAFETY: the node is in our hands; loom checks.
        let value = self.ring.payload[claimed.token.node as usize].with(|p| unsafe { *p });
        assert_eq!(value, claimed.len, "torn");
        value
    }

    fn pass(&mut self) {
        self.ring.core().pass(self.slot, &mut self.place, 1);
        fence(Ordering::SeqCst);
        let free = &self.ring.words.free.0;
        free.signal(1, |n| free.wake(n));
    }

    /// The next node, slept for; `None` once the stream has ended.
    fn next(&mut self) -> Option<u64> {
        let ready = &self.ring.words.ready.0;
        loop {
            for ticket in [None, Some(())] {
                let ticket = ticket.map(|()| ready.arm());
                let ended = self.ring.core().ended_since(self.base);
                if let [claimed] = &self.claim(1)[..] {
                    let value = self.value(claimed);
                    self.pass();
                    return Some(value);
                }
                if ended && self.ring.core().at_tail(&self.place) {
                    return None;
                }
                if let Some(ticket) = ticket {
                    ready.sleep(ticket);
                }
            }
        }
    }

    fn read_to_end(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.next()).collect()
    }

    fn leave(self) {
        self.ring.core().leave_order(self.slot);
        self.ring.wake_everybody();
        self.ring.entries[self.slot as usize]
            .state
            .store(EMPTY, Ordering::Release);
    }
}

/// What is left behind when a reader in `slot` has read to the end, or died.
fn missed(ring: &Ring, slot: u32) -> u64 {
    ring.entries[slot as usize]
        .missed_nodes
        .load(Ordering::Relaxed)
}

fn sum(ring: &Ring, counter: fn(&Counters) -> &AtomicU64) -> u64 {
    let counters = ring.entries.iter().map(|entry| &entry.counters);
    counters.map(|c| counter(c).load(Ordering::Relaxed)).sum()
}

/// With everybody gone, nothing is held.
fn both_nodes_can_be_used(ring: &Ring, slot: u32) {
    let mut next = Writer::new(ring, slot);
    assert!(next.reserve(Take::Oldest).is_some() && next.reserve(Take::Oldest).is_some());
}

/// All that was written was read by the only reader, which ended with it, or was
/// dropped and missed.
fn all_is_accounted_for(ring: &Ring, slot: u32, got: &[u64]) {
    let dropped = sum(ring, |c| &c.dropped_nodes);
    assert_eq!(missed(ring, slot), dropped, "{got:?}");
    let nodes = got.len() as u64 + dropped;
    assert_eq!(nodes, sum(ring, |c| &c.written_nodes), "nodes, {got:?}");
    let bytes = got.iter().sum::<u64>() + sum(ring, |c| &c.dropped_bytes);
    assert_eq!(bytes, sum(ring, |c| &c.written_bytes), "bytes, {got:?}");
}

/// A full ring: 1 and 2, of a writer that stays; and one reader that has read neither.
fn full(entries: u32) -> (Arc<Ring>, (Place, Base)) {
    let ring = broadcast(entries);
    let reader = Reader::join(&ring, 1, Start::Newest).paused();
    ring.join(0, WRITER);
    let mut writer = Writer::new(&ring, 0);
    writer.write(1);
    writer.write(2);
    (ring, reader)
}

/// Reads two nodes, which are there; and where it is then.
fn two_nodes(mut reader: Reader<'_>) -> (Vec<u64>, (Place, Base)) {
    let got = (0..2).filter_map(|_| reader.next()).collect();
    (got, reader.paused())
}

#[test]
fn loom_broadcast_one_writer_two_readers_each_gets_everything() {
    check(1, || {
        let ring = broadcast(3);
        let one = Reader::join(&ring, 1, Start::Newest).paused();
        let two = Reader::join(&ring, 2, Start::Newest).paused();
        ring.join(0, WRITER);
        let mut writer = Writer::new(&ring, 0);
        writer.write(1);
        writer.write(2);
        let (other, another) = (ring.clone(), ring.clone());
        let readers = [
            thread::spawn(move || two_nodes(Reader::resume(&other, 1, one))),
            thread::spawn(move || two_nodes(Reader::resume(&another, 2, two))),
        ];
        // For this both have to have done with 1.
        writer.write(3);
        for (slot, reader) in [1, 2].into_iter().zip(readers) {
            let (got, place) = reader.join().unwrap();
            assert_eq!(got, [1, 2]);
            assert_eq!(Reader::resume(&ring, slot, place).next(), Some(3));
        }
        assert_eq!(sum(&ring, |c| &c.dropped_nodes), 0);
    });
}

#[test]
fn loom_broadcast_two_writers_one_reader_round_the_ring() {
    check(1, || {
        let ring = broadcast(3);
        let mut reader = Reader::join(&ring, 2, Start::Newest);
        ring.join(0, WRITER);
        ring.join(1, WRITER);
        Writer::new(&ring, 0).write(1);
        Writer::new(&ring, 1).write(4);
        assert_eq!(reader.next(), Some(1));
        let other = ring.clone();
        let second = thread::spawn(move || Writer::new(&other, 1).write(5));
        let other = ring.clone();
        let place = reader.paused();
        let reading = thread::spawn(move || {
            let mut reader = Reader::resume(&other, 2, place);
            (reader.next(), reader.paused())
        });
        // One of the two has to wait until 4 was read.
        Writer::new(&ring, 0).write(2);
        let (four, place) = reading.join().unwrap();
        second.join().unwrap();
        assert_eq!(four, Some(4));
        let mut reader = Reader::resume(&ring, 2, place);
        let got = (reader.next(), reader.next());
        let (two, five) = (Some(2), Some(5));
        assert!(got == (two, five) || got == (five, two), "{got:?}");
        assert_eq!(missed(&ring, 2), 0);
        reader.leave();
        both_nodes_can_be_used(&ring, 0);
    });
}

#[test]
fn loom_broadcast_a_commit_wakes_both_readers_though_its_writer_stays() {
    check(2, || {
        let ring = broadcast(3);
        let mut one = Reader::join(&ring, 1, Start::Newest);
        let two = Reader::join(&ring, 2, Start::Newest).paused();
        ring.join(0, WRITER);
        let other = ring.clone();
        let second = thread::spawn(move || Reader::resume(&other, 2, two).next());
        let other = ring.clone();
        let writer = thread::spawn(move || Writer::new(&other, 0).write(1));
        assert_eq!(one.next(), Some(1));
        assert_eq!(second.join().unwrap(), Some(1));
        writer.join().unwrap();
    });
}

/// A reader that comes while the ring goes round, with a writer that knows
/// another one only: it misses nothing from where it begins.
fn a_late_joiner(start: Start) {
    let ring = broadcast(3);
    let mut early = Reader::join(&ring, 1, Start::Newest);
    ring.join(0, WRITER);
    let mut writer = Writer::new(&ring, 0);
    writer.write(1);
    writer.write(2);
    assert_eq!((early.next(), early.next()), (Some(1), Some(2)));
    let other = ring.clone();
    let late = thread::spawn(move || {
        let mut late = Reader::join(&other, 2, start);
        let mut got = Vec::new();
        for _ in 0..2 {
            if let [claimed] = &late.claim(1)[..] {
                got.push(late.value(claimed));
                late.pass();
            }
        }
        late.leave();
        got
    });
    writer.write(3);
    writer.write(4);
    let got = late.join().unwrap();
    assert!(
        got.is_empty() || [1, 2, 3, 4].windows(got.len()).any(|some| some == got),
        "{got:?}"
    );
    assert_eq!(missed(&ring, 2), 0, "{got:?}");
    assert_eq!((early.next(), early.next()), (Some(3), Some(4)));
    early.leave();
    both_nodes_can_be_used(&ring, 0);
}

#[test]
fn loom_broadcast_a_reader_joins_at_the_newest_and_leaves() {
    check(3, || a_late_joiner(Start::Newest));
}

#[test]
fn loom_broadcast_a_reader_joins_at_the_oldest_and_leaves() {
    check(3, || a_late_joiner(Start::Oldest));
}

#[test]
fn loom_broadcast_a_writer_waits_for_the_slowest_until_it_leaves() {
    check(3, || {
        let (ring, slow) = full(3);
        let mut fast = Reader::join(&ring, 2, Start::Oldest);
        assert_eq!((fast.next(), fast.next()), (Some(1), Some(2)));
        let other = ring.clone();
        let leaver = thread::spawn(move || {
            let mut slow = Reader::resume(&other, 1, slow);
            let claimed = slow.claim(1);
            assert_eq!(slow.value(&claimed[0]), 1);
            slow.ring.core().step_back(1, &mut slow.place);
            slow.leave();
        });
        let mut writer = Writer::new(&ring, 0);
        writer.write(3);
        leaver.join().unwrap();
        assert_eq!(fast.next(), Some(3));
    });
}

#[test]
fn loom_broadcast_a_node_in_hand_is_not_dropped() {
    check(2, || {
        let (ring, reader) = full(2);
        let other = ring.clone();
        let writer = thread::spawn(move || {
            let mut writer = Writer::new(&other, 0);
            (3..=4).for_each(|value| writer.write_dropping(value));
            writer.party.leave();
        });
        let mut reader = Reader::resume(&ring, 1, reader);
        let mut got = Vec::new();
        if let [claimed] = &reader.claim(1)[..] {
            // Read twice where it lies: it stays.
            got.push(reader.value(claimed));
            thread::yield_now();
            assert_eq!(reader.value(claimed), got[0]);
            reader.pass();
        }
        got.extend(reader.read_to_end());
        writer.join().unwrap();
        assert!(got.is_sorted() && got.last() == Some(&4), "{got:?}");
        all_is_accounted_for(&ring, 1, &got);
        reader.leave();
        both_nodes_can_be_used(&ring, 0);
    });
}

#[test]
fn loom_broadcast_of_two_that_drop_each_gets_a_node_of_its_own() {
    check(2, || {
        let (ring, reader) = full(3);
        ring.join(2, WRITER);
        let other = ring.clone();
        let second = thread::spawn(move || {
            let mut writer = Writer::new(&other, 2);
            writer.write_dropping(8);
            writer.party.leave();
        });
        let mut first = Writer::new(&ring, 0);
        first.write_dropping(4);
        first.party.leave();
        second.join().unwrap();
        let mut reader = Reader::resume(&ring, 1, reader);
        let got = reader.read_to_end();
        all_is_accounted_for(&ring, 1, &got);
        reader.leave();
        both_nodes_can_be_used(&ring, 0);
    });
}

#[test]
fn loom_broadcast_a_node_that_a_reader_keeps_and_passes_goes_to_one_writer() {
    check(2, || {
        let (ring, reader) = full(3);
        ring.join(2, WRITER);
        let (other, third) = (ring.clone(), ring.clone());
        let reserved = |ring: &Ring, slot: u32| {
            let token = Writer::new(ring, slot).reserve(Take::Oldest)?;
            // SAFETY: the node is reserved; loom checks.
            ring.payload[token.node as usize].with_mut(|p| unsafe { *p = slot.into() });
            Some(token.node)
        };
        let second = thread::spawn(move || reserved(&other, 2));
        let reader = thread::spawn(move || {
            let mut reader = Reader::resume(&third, 1, reader);
            if let [claimed] = &reader.claim(1)[..] {
                reader.value(claimed);
                reader.pass();
            }
        });
        let first = reserved(&ring, 0);
        let second = second.join().unwrap();
        reader.join().unwrap();
        assert!(
            first != second || first.is_none(),
            "{first:?} is taken twice"
        );
    });
}

/// A writer in slot 0 that wrote 1, 2, 3 and perhaps died and was recovered.
fn nothing_committed_is_lost(ring: &Ring, got: &[u64]) {
    assert!([1, 2, 3].starts_with(got), "{got:?}");
    let counters = &ring.entries[0].counters;
    let counted = counters.written_nodes.load(Ordering::Relaxed);
    assert_eq!(counted, got.len() as u64, "the counters tell the truth");
    assert_eq!(sum(ring, |c| &c.dropped_nodes), 0);
}

#[test]
fn loom_broadcast_a_writer_killed_at_any_step_loses_nothing_committed() {
    let steps = for_every_crash_point(2, |k| {
        let ring = broadcast(2);
        let mut reader = Reader::join(&ring, 1, Start::Newest);
        ring.join(0, WRITER);
        let other = ring.clone();
        let victim = thread::spawn(move || {
            let end = Fuse::burn(k, || {
                let mut writer = Writer::new(&other, 0);
                (1..=3).for_each(|value| writer.write(value));
                writer.party.leave();
            });
            other.recover(0);
            end.is_err()
        });
        let got = reader.read_to_end();
        let died = victim.join().unwrap();
        nothing_committed_is_lost(&ring, &got);
        assert_eq!(missed(&ring, 1), 0);
        reader.leave();
        both_nodes_can_be_used(&ring, 0);
        died
    });
    assert!(steps > 30, "only {steps} crash points were visited");
}

#[test]
fn loom_broadcast_a_reader_killed_at_any_step_holds_nobody() {
    let steps = for_every_crash_point(2, |k| {
        let ring = broadcast(3);
        let mut reader = Reader::join(&ring, 1, Start::Newest);
        ring.join(0, WRITER);
        let mut writer = Writer::new(&ring, 0);
        writer.write(1);
        let other = ring.clone();
        let victim = thread::spawn(move || {
            let end = Fuse::burn(k, || {
                let mut victim = Reader::join(&other, 2, Start::Oldest);
                let claimed = victim.claim(2);
                claimed.iter().for_each(|claimed| {
                    victim.value(claimed);
                });
                if !claimed.is_empty() {
                    victim.pass();
                }
                victim.leave();
            });
            other.recover(2);
            end.is_err()
        });
        writer.write(2);
        assert_eq!((reader.next(), reader.next()), (Some(1), Some(2)));
        // For these the victim has to be out of the way.
        writer.write(3);
        writer.write(4);
        assert_eq!((reader.next(), reader.next()), (Some(3), Some(4)));
        let died = victim.join().unwrap();
        assert_eq!(missed(&ring, 1) + missed(&ring, 2), 0);
        reader.leave();
        both_nodes_can_be_used(&ring, 0);
        died
    });
    assert!(steps > 8, "only {steps} crash points were visited");
}

#[test]
fn loom_broadcast_a_writer_killed_at_any_step_of_a_drop_leaves_nothing_uncounted() {
    let steps = for_every_crash_point(2, |k| {
        let (ring, reader) = full(2);
        let other = ring.clone();
        let victim = thread::spawn(move || {
            let end = Fuse::burn(k, || {
                let mut writer = Writer::new(&other, 0);
                writer.write_dropping(4);
                writer.party.leave();
            });
            other.recover(0);
            end.is_err()
        });
        let mut reader = Reader::resume(&ring, 1, reader);
        let got = reader.read_to_end();
        let died = victim.join().unwrap();
        assert!(got.is_sorted(), "{got:?}");
        all_is_accounted_for(&ring, 1, &got);
        reader.leave();
        both_nodes_can_be_used(&ring, 0);
        died
    });
    assert!(steps > 15, "only {steps} crash points were visited");
}

/// A writer dies; before it is recovered the ring goes round, over the node
/// that it has committed, which a reader has in hand.
#[test]
fn loom_broadcast_a_dead_writers_node_stands_in_the_order_once_though_it_was_overtaken() {
    let steps = for_every_crash_point(1, |k| {
        let ring = broadcast(3);
        let mut reader = Reader::join(&ring, 1, Start::Newest);
        ring.join(0, WRITER);
        ring.join(2, WRITER);
        let died = Fuse::burn(k, || Writer::new(&ring, 0).write(1)).is_err();
        let in_hand = reader.claim(1);
        let other = ring.clone();
        let round = thread::spawn(move || {
            let mut writer = Writer::new(&other, 2);
            (4..=5).for_each(|value| writer.write_dropping(value));
            writer.party.leave();
        });
        ring.recover(0);
        let mut got = Vec::new();
        if let [claimed] = &in_hand[..] {
            got.push(reader.value(claimed));
            reader.pass();
        }
        got.extend(reader.read_to_end());
        round.join().unwrap();
        // Where it comes depends on who appended it; but once.
        let (own, others): (Vec<u64>, Vec<u64>) = got.iter().partition(|v| **v == 1);
        assert!(
            own.len() < 2 && others.is_sorted_by(|a, b| a < b),
            "{got:?}"
        );
        all_is_accounted_for(&ring, 1, &got);
        reader.leave();
        both_nodes_can_be_used(&ring, 0);
        died
    });
    assert!(steps > 8, "only {steps} crash points were visited");
}

#[test]
fn loom_broadcast_a_recoverer_of_a_writer_killed_at_any_step() {
    let pairs = for_every_pair_of_crash_points(1, |k, j| {
        let (ring, reader) = full(2);
        let other = ring.clone();
        let dead = thread::spawn(move || {
            let first = Fuse::burn(k, || {
                let mut writer = Writer::new(&other, 0);
                writer.write_dropping(4);
            });
            let second = Fuse::burn(j, || other.core().recover(0).unwrap());
            if other.entries[0].state.load(Ordering::Acquire) != EMPTY {
                other.core().recover(0).unwrap();
            }
            other.wake_everybody();
            (first.is_err(), second.is_err())
        });
        let mut reader = Reader::resume(&ring, 1, reader);
        let got = reader.read_to_end();
        let died = dead.join().unwrap();
        assert!(got.is_sorted(), "{got:?}");
        all_is_accounted_for(&ring, 1, &got);
        reader.leave();
        both_nodes_can_be_used(&ring, 0);
        died
    });
    assert!(pairs > 100, "only {pairs} pairs of crash points");
}

#[test]
fn loom_broadcast_a_recoverer_of_a_reader_killed_at_any_step() {
    let pairs = for_every_pair_of_crash_points(1, |k, j| {
        let (ring, fast) = full(3);
        let mut fast = Reader::resume(&ring, 1, fast);
        assert_eq!((fast.next(), fast.next()), (Some(1), Some(2)));
        let other = ring.clone();
        let dead = thread::spawn(move || {
            let first = Fuse::burn(k, || {
                let mut victim = Reader::join(&other, 2, Start::Oldest);
                victim.claim(1);
                victim.leave();
            });
            let second = Fuse::burn(j, || other.core().recover(2).unwrap());
            if other.entries[2].state.load(Ordering::Acquire) != EMPTY {
                other.core().recover(2).unwrap();
            }
            other.wake_everybody();
            (first.is_err(), second.is_err())
        });
        let mut writer = Writer::new(&ring, 0);
        writer.write(3);
        writer.write(4);
        assert_eq!((fast.next(), fast.next()), (Some(3), Some(4)));
        let died = dead.join().unwrap();
        assert_eq!(missed(&ring, 1) + missed(&ring, 2), 0);
        fast.leave();
        both_nodes_can_be_used(&ring, 0);
        died
    });
    assert!(pairs > 15, "only {pairs} pairs of crash points");
}
