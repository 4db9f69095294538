//! The protocol over a mapped segment: where references to shared memory are
//! made, and where all handles meet.
//!
//! An [`Attached`] keeps the mapping alive and lends its [`Core`] for as long.
//! The references in it are made once, from offsets that were computed from
//! the validated private copy of the header; nothing that is read from the
//! segment later decides where we read or write. Shared words are only ever
//! atomics. Payload is lent as a slice to whoever the protocol says has the
//! node: an honest peer leaves it alone meanwhile; a hostile one can spoil
//! its contents, as it could have done before.

use super::geometry::{Delivery, Geometry, GeometryError};
use super::layout::{EVENT_SIZE, EventMemory, Layout, RingWords, StreamState};
use super::protocol::{Core, Corrupt};
use crate::segment::layout::{EMPTY, WRITER};
use crate::segment::{
    self, Gone, Kind, Mapping, Membership, Name, OpenOptions, Plan, SegmentError,
};
use crate::sync::atomic::{AtomicU64, Ordering, fence};
use crate::sync::crash_point::crash_point;
use crate::sync::raw_event::RawEvent;
use crate::sync::wait::{Bell, WaitStrategy};
use std::io;
use std::sync::Arc;

/// Tries, with a pause in between, before a party looks at the clock and
/// begins to wait in earnest: some 2 us.
pub(super) const QUICK_TRIES: u32 = 40;
/// As many sleepers as there are.
const ALL: u32 = i32::MAX as u32;

/// Why an operation on a ring failed.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The deadline passed.
    #[error("timed out")]
    TimedOut,
    /// The caller's `cancelled` said so.
    #[error("interrupted")]
    Cancelled,
    /// The segment was removed or truncated under us.
    #[error("{name}: the segment was {gone}")]
    Gone {
        /// The ring.
        name: Name,
        /// What happened to it.
        gone: Gone,
    },
    /// The segment holds something that no participant writes.
    #[error("{name}: the ring is damaged: {why}; remove it and create it anew")]
    Corrupt {
        /// The ring.
        name: Name,
        /// What was found.
        why: &'static str,
    },
    /// A message is larger than a node.
    #[error("{name}: a message of {len} bytes does not fit a node of {node_size}")]
    TooLong {
        /// The ring.
        name: Name,
        /// Bytes of the message.
        len: u64,
        /// Bytes of a node.
        node_size: u64,
    },
    /// The ring could not be opened or created.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// There can be no such ring.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
}

/// Creates a ring under its name, with permission bits `mode`.
///
/// All its memory is reserved. It outlives the caller.
///
/// # Errors
///
/// The name is taken, there is no room, or no permission; nothing is left
/// behind then.
pub fn create(name: &Name, geometry: Geometry, mode: u32) -> Result<(), RingError> {
    create_unless(name, geometry, mode, &|| false)
}

/// As [`create`], but gives up when `cancelled` says so, which it is asked
/// after each 64 MiB and when a signal handler has run.
///
/// # Errors
///
/// Those of [`create`], and [`RingError::Cancelled`].
pub fn create_unless(
    name: &Name,
    geometry: Geometry,
    mode: u32,
    cancelled: &dyn Fn() -> bool,
) -> Result<(), RingError> {
    let layout = geometry.check()?;
    let plan = Plan {
        kind: Kind::Ring,
        participants: segment::layout::DEFAULT_PARTICIPANTS,
        payload_offset: layout.payload,
        total_size: layout.total,
        geometry: geometry.words(),
        mode,
    };
    let init = |mapping: &Mapping| match geometry.wait {
        WaitStrategy::Event => Events::create(words(mapping, &layout)),
        WaitStrategy::Futex | WaitStrategy::Spin => Ok(()),
    };
    match segment::create_unless(name, &plan, cancelled, init) {
        Err(SegmentError::Cancelled { .. }) => Err(RingError::Cancelled),
        made => Ok(made?),
    }
}

/// Adds to a counter that only the caller changes.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(n),
        Ordering::Release,
    );
}

/// Wakes everybody who sleeps in the ring `mapping`, so that they look round
/// at once: after [`segment::remove`] by force.
///
/// # Errors
///
/// It is not a ring, or damaged.
pub fn wake_everybody(mapping: &Arc<Mapping>) -> Result<(), RingError> {
    Attached::to(mapping.clone())?.wake_everybody();
    Ok(())
}

/// The two `raw_sync` events of a ring that waits by events.
pub(super) struct Events {
    ready: RawEvent,
    free: RawEvent,
}

impl Events {
    fn memory(event: &EventMemory) -> io::Result<*mut u8> {
        if RawEvent::size() > EVENT_SIZE {
            let size = RawEvent::size();
            return Err(io::Error::other(format!(
                "an event of {size} bytes on this system"
            )));
        }
        Ok(event.0.get().cast())
    }

    fn create(words: &RingWords) -> io::Result<()> {
        for event in [&words.ready_event, &words.free_event] {
            let memory = Self::memory(event)?;
            // SAFETY: 128-aligned, EVENT_SIZE bytes, checked to suffice; the
            // segment has no name yet, so nobody else uses it.
            unsafe { RawEvent::create(memory) }?;
        }
        Ok(())
    }

    fn open(words: &RingWords) -> io::Result<Events> {
        let ready = Self::memory(&words.ready_event)?;
        let free = Self::memory(&words.free_event)?;
        // SAFETY: `create` ran on it before the segment had a name; the
        // mapping outlives the event, as both lie in one `Attached`.
        let ready = unsafe { RawEvent::open(ready) }?;
        // SAFETY: as above.
        let free = unsafe { RawEvent::open(free) }?;
        Ok(Events { ready, free })
    }
}

fn words<'a>(mapping: &'a Mapping, layout: &Layout) -> &'a RingWords {
    let at = mapping.base().wrapping_add(layout.words as usize);
    // SAFETY: `layout` ends within the mapping (checked against its size),
    // the offset is a multiple of 128 and the base of a page, and the words
    // are atomics, valid in any state.
    unsafe { &*at.cast::<RingWords>() }
}

fn slice<T>(mapping: &Mapping, offset: u64, count: usize) -> &[T] {
    let at = mapping.base().wrapping_add(offset as usize);
    // SAFETY: as in `words`: within the mapping, aligned (the layout says
    // how), and `T` is made of atomics only.
    unsafe { std::slice::from_raw_parts(at.cast::<T>(), count) }
}

/// A ring mapped into this process. Cheap to clone.
#[derive(Clone)]
pub(super) struct Attached {
    /// Borrows from `mapping`, below: never lent for longer than `self`.
    core: Core<'static>,
    events: Option<Arc<Events>>,
    geometry: Geometry,
    payload: *mut u8,
    stride: usize,
    mapping: Arc<Mapping>,
}

// SAFETY: `payload` points into the mapping, which is itself Send and Sync;
// who may touch which payload is the protocol's business, not a thread's.
unsafe impl Send for Attached {}
// SAFETY: as above.
unsafe impl Sync for Attached {}

impl Attached {
    pub fn open(name: &Name, options: OpenOptions) -> Result<Attached, RingError> {
        Attached::to(Mapping::open(name, Kind::Ring, options)?)
    }

    fn to(mapping: Arc<Mapping>) -> Result<Attached, RingError> {
        let name = mapping.name();
        let corrupt = |why: String| SegmentError::Corrupt {
            name: name.clone(),
            why,
        };
        let geometry = Geometry::from_header(mapping.header()).map_err(corrupt)?;
        let layout = geometry.layout_in(mapping.header()).map_err(corrupt)?;
        if layout.total != mapping.len() as u64 {
            return Err(corrupt("its size changed".to_owned()).into());
        }
        // SAFETY: the reference lives in the same `Attached` as the `Arc`
        // that keeps the mapping, and is lent out only with its lifetime.
        let kept: &'static Mapping = unsafe { &*Arc::as_ptr(&mapping) };
        let words = words(kept, &layout);
        let nodes = geometry.nodes as usize;
        let cell_shift = (layout.cell_stride / 8).trailing_zeros();
        let core = Core {
            words,
            cells: slice::<AtomicU64>(kept, layout.cells, nodes << cell_shift),
            cell_shift,
            nodes: slice(kept, layout.nodes, nodes),
            entries: kept.entries(),
            bits: super::layout::CellBits::new(geometry.nodes),
            node_size: geometry.node_size,
            reuse: geometry.reuse(),
            broadcast: geometry.delivery == Delivery::Broadcast,
        };
        let events = match geometry.wait {
            WaitStrategy::Event => {
                let open = Events::open(words);
                let open = open.map_err(|e| corrupt(format!("its events: {e}")))?;
                Some(Arc::new(open))
            }
            _ => None,
        };
        Ok(Attached {
            core,
            events,
            geometry,
            payload: kept.base().wrapping_add(layout.payload as usize),
            stride: layout.payload_stride as usize,
            mapping,
        })
    }

    #[inline]
    pub fn core(&self) -> &Core<'_> {
        &self.core
    }

    pub fn name(&self) -> &Name {
        self.mapping.name()
    }

    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Joins the participant table, in `state`; a dead predecessor in the
    /// entry, and all other dead ones, are recovered.
    pub fn join(&self, state: u32) -> Result<Membership, RingError> {
        let mut found = Ok(());
        let membership = Membership::join(&self.mapping, state, |slot| {
            found = found.and(self.core.recover(slot));
        })?;
        let swept = self.sweep(&membership);
        crash_point("attach/swept");
        let found = found.map_err(|e| self.corrupt(e)).and(swept);
        if found.is_err() && state == WRITER {
            // Others may have seen a writer here, and left the end to it.
            self.core.leave_stream(membership.slot());
        }
        self.wake_everybody();
        crash_point("attach/woken");
        found.map(|()| membership)
    }

    /// Recovers every dead participant.
    pub fn sweep(&self, membership: &Membership) -> Result<(), RingError> {
        let (mut recovered, mut found) = (false, Ok(()));
        for (slot, entry) in self.core.entries.iter().enumerate() {
            let slot = slot as u32;
            if slot == membership.slot() || entry.state.load(Ordering::Relaxed) == EMPTY {
                continue;
            }
            let Some(_lock) = membership.adopt(slot) else {
                continue;
            };
            if entry.state.load(Ordering::Acquire) != EMPTY {
                recovered = true;
                found = found.and(self.core.recover(slot));
            }
        }
        if recovered {
            self.wake_everybody();
        }
        found.map_err(|e| self.corrupt(e))
    }

    /// What the protocol found. A segment that was cut looks damaged, too.
    pub fn corrupt(&self, Corrupt(why): Corrupt) -> RingError {
        if let Some(gone) = self.mapping.check() {
            return self.gone_error(gone);
        }
        RingError::Corrupt {
            name: self.name().clone(),
            why,
        }
    }

    /// Where readers wait for nodes.
    #[inline]
    pub fn ready(&self) -> Bell<'_> {
        let event = self.events.as_deref().map(|e| &e.ready);
        Bell::new(&self.core.words.ready.0, self.geometry.wait, event)
    }

    /// Where writers wait for free nodes.
    #[inline]
    pub fn free(&self) -> Bell<'_> {
        let event = self.events.as_deref().map(|e| &e.free);
        Bell::new(&self.core.words.free.0, self.geometry.wait, event)
    }

    pub fn wake_everybody(&self) {
        fence(Ordering::SeqCst);
        self.ready().signal(ALL);
        self.free().signal(ALL);
    }

    /// After a commit. A broadcast ring's readers all want the node.
    #[inline]
    pub fn signal_committed(&self) {
        self.ready()
            .signal(if self.core.broadcast { ALL } else { 1 });
    }

    /// After nodes came free by plain stores.
    #[inline]
    pub fn signal_freed(&self, nodes: u32) {
        fence(Ordering::SeqCst);
        self.free().signal(nodes);
        if self.core.stream().state() == StreamState::Ended {
            // Readers that wait for the end wait for the others' last nodes.
            self.ready().signal(ALL);
        }
    }

    #[inline]
    pub fn gone(&self) -> Result<(), RingError> {
        self.mapping
            .gone()
            .map_or(Ok(()), |gone| Err(self.gone_error(gone)))
    }

    /// As `gone`, and asks the kernel too.
    pub fn check(&self) -> Result<(), RingError> {
        self.mapping
            .check()
            .map_or(Ok(()), |gone| Err(self.gone_error(gone)))
    }

    pub fn check_gone(&self) -> Option<Gone> {
        self.mapping.check()
    }

    fn gone_error(&self, gone: Gone) -> RingError {
        RingError::Gone {
            name: self.name().clone(),
            gone,
        }
    }

    /// The payload of `node`, which the caller has claimed.
    #[inline]
    pub fn payload(&self, node: u32, len: u64) -> &[u8] {
        let at = self.payload.wrapping_add(node as usize * self.stride);
        // SAFETY: `node` is below the node count and `len` at most the node
        // size (both checked by the protocol), so within the mapping, which
        // `self` keeps. Bytes are valid whatever they are. The caller's claim
        // keeps writers that follow the protocol away; one that does not can
        // change them meanwhile, which the public methods say.
        unsafe { std::slice::from_raw_parts(at, len as usize) }
    }

    /// The memory of `node`, which the caller has reserved.
    #[inline]
    #[allow(clippy::mut_from_ref)] // the reservation is what is unique
    pub fn payload_mut(&self, node: u32) -> &mut [u8] {
        let at = self.payload.wrapping_add(node as usize * self.stride);
        // SAFETY: as in `payload`; the reservation keeps honest others away,
        // and the guard that calls this lends it with a unique borrow.
        unsafe { std::slice::from_raw_parts_mut(at, self.geometry.node_size as usize) }
    }

    /// Where the payload of `node` begins.
    #[inline]
    pub fn payload_at(&self, node: u32) -> *const u8 {
        self.payload.wrapping_add(node as usize * self.stride)
    }
}
