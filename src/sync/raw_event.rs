//! `raw_sync`'s event in memory of ours, with its traps fenced in.
//!
//! The crate lays a pthread mutex, a condition variable and two bytes into
//! the memory it is given. It reports more used bytes than it needs, so the
//! room is fixed by our own layout and only checked against. Its waiting is
//! sound for whole seconds only.

use super::event_word::Woken;
use raw_sync::Timeout;
use raw_sync::events::{Event, EventImpl, EventInit, EventState};
use std::io;
use std::time::Duration;

/// An auto-reset event in a segment.
pub struct RawEvent(Box<dyn EventImpl>);

// SAFETY: the box holds pointers to process-shared pthread objects in a
// mapping that outlives it (the handles keep it); those may be used from any
// thread.
unsafe impl Send for RawEvent {}
// SAFETY: as above; all of its methods go through pthread calls.
unsafe impl Sync for RawEvent {}

impl RawEvent {
    /// Bytes an event may take.
    pub fn size() -> usize {
        // Mutex, padding to a pointer, condition variable and flags.
        Event::size_of(None) + std::mem::align_of::<usize>()
    }

    /// Makes a new event in `memory`.
    ///
    /// # Safety
    ///
    /// `memory` is 8-aligned, [`RawEvent::size`] bytes long, writable, not
    /// used by anybody yet, and mapped as long as the event lives.
    pub unsafe fn create(memory: *mut u8) -> io::Result<RawEvent> {
        // SAFETY: the caller's promise.
        let made = unsafe { Event::new(memory, true) };
        made.map(|(event, _)| RawEvent(event))
            .map_err(|e| io::Error::other(e.to_string()))
    }

    /// Uses the event that `create` made in `memory`.
    ///
    /// # Safety
    ///
    /// As for [`RawEvent::create`], which has run on this memory, perhaps in
    /// another process.
    pub unsafe fn open(memory: *mut u8) -> io::Result<RawEvent> {
        // SAFETY: the caller's promise.
        let found = unsafe { Event::from_existing(memory) };
        found
            .map(|(event, _)| RawEvent(event))
            .map_err(|e| io::Error::other(e.to_string()))
    }

    /// Wakes one waiter, or the next to come.
    pub fn set(&self) {
        // It fails only if the mutex is damaged; sleepers then find out for
        // themselves, at the end of their slice.
        let _ = self.0.set(EventState::Signaled);
    }

    /// Sleeps until set, about a second at most.
    pub fn wait_a_second(&self) -> Woken {
        match self.0.wait(Timeout::Val(Duration::from_secs(1))) {
            Ok(()) => Woken::Signal,
            // The crate does not tell a time-out from another error.
            Err(_) => Woken::TimeOut,
        }
    }
}
