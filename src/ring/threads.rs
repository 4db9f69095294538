//! Writers and readers as threads over *one* piece of memory: what Miri and
//! ThreadSanitizer can look at. (Handles that attach by name have a mapping
//! each, at another address, and a race between two addresses is none to them.)
//!
//! | test | memory | for |
//! |---|---|---|
//! | `the_heap::...` | protocol, bells and payload on the heap | Miri (`scripts/miri.sh`), ThreadSanitizer |
//! | `broadcast::...` | both, where every reader gets everything | both |
//! | `one_mapping::...` | a segment, mapped once, the handles as they are | ThreadSanitizer (`scripts/tsan.sh`) |
//!
//! Payload is plain memory, read and written without atomics: if the protocol
//! let two have the same node at once, or a message through before its bytes,
//! that would be a data race, and both say so.

mod broadcast;

/// How many messages each writer sends: Miri is a thousand times slower.
const MESSAGES: u64 = if cfg!(miri) { 40 } else { 5_000 };

/// Each writer's messages came once, and to each reader in the writer's order.
fn check(read: Vec<Vec<u64>>, writers: u64) {
    for ours in &read {
        for writer in 0..writers {
            let own = ours.iter().filter(|m| **m >> 32 == writer);
            assert!(own.is_sorted(), "writer {writer}'s order is lost");
        }
    }
    let mut all: Vec<u64> = read.concat();
    all.sort_unstable();
    let expected = (0..writers).flat_map(|w| (0..MESSAGES).map(move |i| w << 32 | i));
    assert!(all.into_iter().eq(expected), "lost, doubled, or torn");
}

mod the_heap {
    use super::super::heap::Heap;
    use super::super::layout::State;
    use super::super::protocol::{Core, Cursor};
    use super::{MESSAGES, check};
    use crate::segment::layout::WRITER;
    use crate::sync::atomic::{AtomicU64, Ordering, fence};
    use crate::sync::wait::{Attempt, Bell, Spin, WaitStrategy};
    use std::cell::UnsafeCell;
    use std::convert::Infallible;

    /// A message: its number, and its complement as far as can be from it.
    pub(super) type Payload = [u64; 8];

    /// A ring with payload.
    struct Memory {
        heap: Heap,
        payload: Vec<UnsafeCell<Payload>>,
        read: AtomicU64,
    }

    // SAFETY: the payload is touched by whoever the protocol says has the
    // node; that this suffices is what is tested.
    unsafe impl Sync for Memory {}

    /// Something tried until it is there.
    struct Until<F>(F);

    impl<T, F: FnMut() -> Option<T>> Attempt for Until<F> {
        type Output = T;
        type Error = Infallible;

        fn attempt(&mut self) -> Result<Option<T>, Infallible> {
            Ok(self.0())
        }
        fn look_around(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
        fn note_unsignalled(&mut self) {}
    }

    impl Memory {
        fn new(nodes: u32, parties: u32) -> Memory {
            let payload = (0..nodes).map(|_| UnsafeCell::new([0; 8])).collect();
            Memory {
                heap: Heap::new(nodes, parties),
                payload,
                read: AtomicU64::new(0),
            }
        }

        fn ready(&self) -> Bell<'_> {
            Bell::new(&self.heap.words.ready.0, WaitStrategy::Futex, None)
        }

        fn free(&self) -> Bell<'_> {
            Bell::new(&self.heap.words.free.0, WaitStrategy::Futex, None)
        }

        fn write(&self, slot: u32) {
            let core = self.heap.core();
            let counters = &self.heap.entries[slot as usize].counters;
            let (mut last, mut head, mut tail) = (0, Cursor::default(), Cursor::default());
            let mut spin = Spin::default();
            for number in 0..MESSAGES {
                let mut reserve = Until(|| core.reserve(Core::owner(slot), &mut last, &mut head));
                let Ok(token) = self.free().wait(&mut spin, None, &mut reserve);
                let message = u64::from(slot) << 32 | number;
                let payload = self.payload[token.node as usize].get();
                // SAFETY: the node is reserved by this thread.
                unsafe { *payload = [message, 0, 0, 0, 0, 0, 0, !message] };
                core.commit(token, 64, counters, &mut tail).unwrap();
                self.ready().signal(1);
            }
        }

        /// All that this thread gets of `due` messages.
        fn read(&self, slot: u32, due: u64) -> Vec<u64> {
            let core = self.heap.core();
            let mut head = Cursor::default();
            let mut spin = Spin::default();
            let mut got = Vec::new();
            loop {
                let mut claim = Until(|| {
                    let over = self.read.load(Ordering::Acquire) == due;
                    let claimed = core.claim(Core::owner(slot), &mut head).unwrap();
                    claimed.map(Some).or(over.then_some(None))
                });
                let Ok(token) = self.ready().wait(&mut spin, None, &mut claim);
                let Some(token) = token else {
                    return got;
                };
                let payload = self.payload[token.node as usize].get();
                // SAFETY: the node is claimed by this thread.
                let [message, .., complement] = unsafe { *payload };
                assert_eq!(message, !complement, "torn");
                core.release(token);
                got.push(message);
                fence(Ordering::SeqCst);
                self.free().signal(1);
                if self.read.fetch_add(1, Ordering::AcqRel) + 1 == due {
                    self.ready().signal(u32::MAX >> 1);
                }
            }
        }
    }

    #[test]
    fn payload_goes_from_writers_to_readers() {
        for (nodes, writers, readers) in [(2, 1, 1), (2, 2, 2), (5, 2, 1)] {
            let memory = Memory::new(nodes, writers + readers);
            let due = u64::from(writers) * MESSAGES;
            let read = std::thread::scope(|scope| {
                let memory = &memory;
                for slot in 0..writers {
                    scope.spawn(move || memory.write(slot));
                }
                let reading: Vec<_> = (writers..writers + readers)
                    .map(|slot| scope.spawn(move || memory.read(slot, due)))
                    .collect();
                reading.into_iter().map(|r| r.join().unwrap()).collect()
            });
            check(read, writers.into());
            assert!(memory.heap.core().drained());
        }
    }

    /// A writer and a reader die with a node each, while others go on;
    /// somebody recovers them meanwhile.
    #[test]
    fn the_dead_are_recovered_among_the_living() {
        let memory = Memory::new(4, 5);
        let core = memory.heap.core();
        let (dead_writer, dead_reader, writer, reader) = (0, 1, 2, 3);
        let counters = &memory.heap.entries[dead_writer as usize].counters;
        let (mut last, mut head, mut tail) = (0, Cursor::default(), Cursor::default());
        let state = &memory.heap.entries[dead_writer as usize].state;
        state.store(WRITER, Ordering::Release);
        let mut reserve = || core.reserve(Core::owner(dead_writer), &mut last, &mut head);
        let (first, _held) = (reserve().unwrap(), reserve().unwrap());
        let message = u64::from(writer) << 32 | MESSAGES;
        // SAFETY: the node is reserved by this thread.
        unsafe {
            *memory.payload[first.node as usize].get() = [message, 0, 0, 0, 0, 0, 0, !message]
        };
        core.commit(first, 64, counters, &mut tail).unwrap();
        core.claim(Core::owner(dead_reader), &mut Cursor::default())
            .unwrap()
            .expect("the first message");

        let got = std::thread::scope(|scope| {
            let memory = &memory;
            scope.spawn(move || memory.write(writer));
            let reading = scope.spawn(move || memory.read(reader, MESSAGES + 1));
            scope.spawn(move || {
                for slot in [dead_writer, dead_reader] {
                    memory.heap.core().recover(slot).unwrap();
                    memory.ready().signal(u32::MAX >> 1);
                    memory.free().signal(u32::MAX >> 1);
                }
            });
            reading.join().unwrap()
        });
        let (own, handed_on): (Vec<u64>, Vec<u64>) = got.iter().partition(|m| **m != message);
        let expected = (0..MESSAGES).map(|i| u64::from(writer) << 32 | i);
        assert!(own.into_iter().eq(expected));
        assert_eq!(handed_on, [message], "once");
        let free = |node: &&super::super::layout::NodeWords| {
            super::super::layout::NodeWord(node.word.load(Ordering::Relaxed)).is(State::Free)
        };
        assert_eq!(memory.heap.nodes.iter().filter(free).count(), 4);
    }
}

#[cfg(not(miri))]
mod one_mapping {
    use super::super::attached::{Attached, create};
    use super::super::{
        Claim, Delivery, Geometry, Reader, ReaderOptions, Wait, WaitStrategy, Writer,
    };
    use super::{MESSAGES, check};
    use crate::segment::{self, Name, OpenOptions};
    use std::time::{Duration, Instant};

    /// A ring, removed when dropped.
    pub(super) struct Ring(pub Name);

    impl Ring {
        pub fn new(
            label: &str,
            nodes: u64,
            node_size: u64,
            delivery: Delivery,
            wait: WaitStrategy,
        ) -> Ring {
            let name = format!("threads-{label}-{}", std::process::id());
            let name = Name::new(&name).unwrap();
            let geometry = Geometry::new(nodes, node_size, delivery, wait).unwrap();
            create(&name, geometry, 0o600).unwrap();
            Ring(name)
        }
    }

    impl Drop for Ring {
        fn drop(&mut self) {
            let _ = segment::remove(&self.0, true, OpenOptions::default());
        }
    }

    pub(super) fn patiently() -> Wait<'static> {
        Wait {
            deadline: Some(Instant::now() + Duration::from_secs(60)),
            cancelled: None,
        }
    }

    /// The message, as often as there is room.
    pub(super) fn fill(node: &mut [u8], message: u64) {
        for chunk in node.chunks_exact_mut(8) {
            chunk.copy_from_slice(&message.to_le_bytes());
        }
    }

    pub(super) fn message(node: &[u8]) -> u64 {
        let first = *node.first_chunk().unwrap();
        assert!(node.chunks_exact(8).all(|chunk| chunk == first), "torn");
        u64::from_le_bytes(first)
    }

    pub(super) fn write(mut writer: Writer, number: u64, node_size: u64) {
        let mut copied = vec![0; node_size as usize];
        for i in 0..MESSAGES {
            let message = number << 32 | i;
            if i % 3 == 0 {
                fill(&mut copied, message);
                writer.write(&copied, &patiently()).unwrap();
            } else {
                let mut nodes = writer.reserve(1, &patiently()).unwrap();
                fill(nodes.node_mut(0), message);
                nodes.commit_first(node_size as usize).unwrap();
            }
        }
    }

    pub(super) fn read(mut reader: Reader) -> Vec<u64> {
        let mut got = Vec::new();
        loop {
            match reader.claim(2, usize::MAX, &patiently()).unwrap() {
                Claim::End { clean } => {
                    assert!(clean);
                    return got;
                }
                Claim::Nodes(mut nodes) => {
                    while nodes.len() > 0 {
                        got.push(message(nodes.node(0)));
                        nodes.release_first();
                    }
                }
            }
        }
    }

    fn exchange(label: &str, nodes: u64, node_size: u64, wait: WaitStrategy, parties: (u64, u64)) {
        let ring = Ring::new(label, nodes, node_size, Delivery::Queue, wait);
        let attached = Attached::open(&ring.0, OpenOptions::default()).unwrap();
        let got = std::thread::scope(|scope| {
            // All are there before the first one begins, and so before it ends.
            let writers: Vec<_> = (0..parties.0)
                .map(|_| Writer::of(attached.clone()).unwrap())
                .collect();
            let reading: Vec<_> = (0..parties.1)
                .map(|_| Reader::of(attached.clone(), &ReaderOptions::default()).unwrap())
                .map(|reader| scope.spawn(move || read(reader)))
                .collect();
            for (writer, number) in writers.into_iter().zip(0..) {
                scope.spawn(move || write(writer, number, node_size));
            }
            reading.into_iter().map(|r| r.join().unwrap()).collect()
        });
        check(got, parties.0);
    }

    #[test]
    fn small_nodes() {
        exchange("small", 2, 64, WaitStrategy::Futex, (1, 1));
        exchange("small", 3, 64, WaitStrategy::Futex, (2, 2));
    }

    #[test]
    fn nodes_copied_by_lines() {
        exchange("lines", 4, 2048, WaitStrategy::Futex, (2, 2));
    }

    #[test]
    fn spinning() {
        exchange("spin", 4, 64, WaitStrategy::Spin, (2, 1));
    }
}
