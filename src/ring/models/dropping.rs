//! Writers that drop the oldest node, against readers, against each other, and
//! killed at every step.
//!
//! The ring has two nodes and is full before a model begins; a length is the value
//! written, so sums of bytes tell *which* nodes were dropped. What must hold each
//! time: what was read and what is counted as dropped is together what was written,
//! nothing comes twice or out of order, and both nodes can be used afterwards.

use super::*;
use crate::segment::layout::Counters;
use crate::sync::atomic::AtomicU64;
use crate::sync::explore::for_every_pair_of_crash_points;

/// Who wrote 1 and 2 before, and has left.
const EARLIER: u32 = 2;

impl Party<'_> {
    /// Writes without ever sleeping.
    fn write_dropping(&mut self, value: u64) {
        let token = loop {
            if let Some(token) = self.reserve().or_else(|| self.drop_oldest()) {
                break token;
            }
            thread::yield_now();
        };
        self.fill_and_commit(token, value);
    }

    fn drop_oldest(&mut self) -> Option<Token> {
        let core = self.ring.core();
        let token = core.drop_oldest(self.slot, &mut self.head).unwrap()?;
        self.last = token.node;
        Some(token)
    }
}

/// A full ring: 1 and 2.
fn full(entries: u32) -> Arc<Ring> {
    let ring = Ring::new(entries);
    ring.join(0, WRITER);
    ring.join(EARLIER, WRITER);
    let mut earlier = Party::new(&ring, EARLIER);
    earlier.write(1);
    earlier.write(2);
    earlier.leave();
    ring
}

/// After all was read: it and what was dropped is what was written.
fn all_is_accounted_for(ring: &Ring, got: &[u64]) {
    let sum = |counter: fn(&Counters) -> &AtomicU64| -> u64 {
        let counters = ring.entries.iter().map(|entry| &entry.counters);
        counters.map(|c| counter(c).load(Ordering::Relaxed)).sum()
    };
    let nodes = got.len() as u64 + sum(|c| &c.dropped_nodes);
    assert_eq!(nodes, sum(|c| &c.written_nodes), "nodes, {got:?}");
    let bytes = got.iter().sum::<u64>() + sum(|c| &c.dropped_bytes);
    assert_eq!(bytes, sum(|c| &c.written_bytes), "bytes, {got:?}");
    let mut next = Party::new(ring, 0);
    assert!(next.reserve().is_some() && next.reserve().is_some());
}

#[test]
fn loom_a_node_is_dropped_or_read_and_counted() {
    check(3, || {
        let ring = full(3);
        ring.join(1, READER);
        let base = ring.core().base();
        let other = ring.clone();
        let writer = thread::spawn(move || {
            let mut writer = Party::new(&other, 0);
            writer.write_dropping(3);
            writer.leave();
        });
        let got = Party::new(&ring, 1).read_to_end(base);
        writer.join().unwrap();
        assert!(got.is_sorted() && got.last() == Some(&3), "{got:?}");
        assert!(got.len() > 1, "one drop suffices: {got:?}");
        all_is_accounted_for(&ring, &got);
    });
}

#[test]
fn loom_of_two_that_drop_each_gets_a_node_of_its_own() {
    check(2, || {
        let ring = full(3);
        let base = ring.core().base();
        ring.join(1, WRITER);
        let other = ring.clone();
        let second = thread::spawn(move || {
            let mut writer = Party::new(&other, 1);
            writer.write_dropping(4);
            writer.leave();
        });
        let mut first = Party::new(&ring, 0);
        first.write_dropping(3);
        first.leave();
        second.join().unwrap();
        let got = Party::new(&ring, EARLIER).read_to_end(base);
        assert_eq!(got.len(), 2, "{got:?}");
        all_is_accounted_for(&ring, &got);
    });
}

#[test]
fn loom_what_a_reader_gives_back_is_dropped_or_read_and_counted() {
    check(2, || {
        let ring = full(4);
        ring.join(1, READER);
        ring.join(3, READER);
        let base = ring.core().base();
        let (giver, dropper) = (ring.clone(), ring.clone());
        let giver = thread::spawn(move || {
            let mut reader = Party::new(&giver, 3);
            if let Some(token) = reader.claim() {
                reader.give_back(token);
            }
        });
        let writer = thread::spawn(move || {
            let mut writer = Party::new(&dropper, 0);
            writer.write_dropping(3);
            writer.leave();
        });
        giver.join().unwrap();
        let got = Party::new(&ring, 1).read_to_end(base);
        writer.join().unwrap();
        assert!(got.contains(&3), "{got:?}");
        all_is_accounted_for(&ring, &got);
    });
}

#[test]
fn loom_a_writer_killed_at_any_step_of_a_drop_leaves_nothing_uncounted() {
    let steps = for_every_crash_point(2, |k| {
        let ring = full(3);
        ring.join(1, READER);
        let base = ring.core().base();
        let other = ring.clone();
        let victim = thread::spawn(move || {
            let end = Fuse::burn(k, || {
                let mut writer = Party::new(&other, 0);
                writer.write_dropping(3);
                writer.leave();
            });
            other.recover(0);
            end.is_err()
        });
        let got = Party::new(&ring, 1).read_to_end(base);
        let died = victim.join().unwrap();
        assert!(got.is_sorted(), "{got:?}");
        all_is_accounted_for(&ring, &got);
        died
    });
    assert!(steps > 15, "only {steps} crash points were visited");
}

#[test]
fn loom_a_recoverer_of_a_drop_killed_at_any_step() {
    let pairs = for_every_pair_of_crash_points(1, |k, j| {
        let ring = full(3);
        ring.join(1, READER);
        let base = ring.core().base();
        let other = ring.clone();
        let dead = thread::spawn(move || {
            let first = Fuse::burn(k, || {
                let mut writer = Party::new(&other, 0);
                writer.write_dropping(3);
            });
            let second = Fuse::burn(j, || other.core().recover(0).unwrap());
            if other.entries[0].state.load(Ordering::Acquire) != EMPTY {
                other.core().recover(0).unwrap();
            }
            other.wake_everybody();
            (first.is_err(), second.is_err())
        });
        let got = Party::new(&ring, 1).read_to_end(base);
        let died = dead.join().unwrap();
        assert!(got.is_sorted(), "{got:?}");
        all_is_accounted_for(&ring, &got);
        died
    });
    assert!(pairs > 100, "only {pairs} pairs of crash points");
}
