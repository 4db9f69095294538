//! The one switch between the real atomics and loom's.
//!
//! Everything that participants share is built from these types, so the
//! protocol that runs in shared memory is, to the letter, the one that the
//! loom models explore.
//!
//! Under `--cfg loom` every *change* of an atomic is also a place where a
//! thread may be stopped for good, as `SIGKILL` stops a process: a model
//! gives its victim a `Fuse` and the victim unwinds, without running any
//! of the protocol's clean-up, just before the change that the fuse names.
//! No step can be forgotten, because no step is listed.

#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// A full barrier between an atomic read-modify-write that precedes it and a
/// load that follows it.
///
/// On x86-64 every read-modify-write is a full barrier already, so only the
/// compiler is held back (a `fence` would cost 5 to 16 ns on each commit).
/// Elsewhere, and for the model checker and Miri, which know no x86-64, it is a
/// sequentially consistent fence.
#[inline(always)]
pub fn fence_after_rmw() {
    #[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(all(target_arch = "x86_64", not(any(loom, miri)))))]
    fence(Ordering::SeqCst);
}

#[cfg(loom)]
pub use model::{AtomicU32, AtomicU64, Crash, Fuse, Ordering, fence};

#[cfg(loom)]
mod model {
    pub use loom::sync::atomic::{Ordering, fence};
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};

    loom::thread_local! {
        /// Changes that this thread may still make; `None`: as many as it likes.
        static LEFT: Cell<Option<u32>> = Cell::new(None);
    }

    /// What a victim unwinds with.
    #[derive(Debug)]
    pub struct Crash;

    /// Stops the calling thread before one of its changes.
    pub struct Fuse;

    impl Fuse {
        /// Runs `victim`, which dies before its change number `steps`
        /// (from 0). `Err(Crash)` if it did, its result if it ended first.
        pub fn burn<T>(steps: u32, victim: impl FnOnce() -> T) -> Result<T, Crash> {
            LEFT.with(|left| left.set(Some(steps)));
            let result = catch_unwind(AssertUnwindSafe(victim));
            LEFT.with(|left| left.set(None));
            result.map_err(|payload| match payload.downcast::<Crash>() {
                Ok(crash) => *crash,
                Err(other) => std::panic::resume_unwind(other),
            })
        }
    }

    fn step() {
        let dies = LEFT.with(|left| {
            let now = left.get();
            left.set(now.and_then(|n| n.checked_sub(1)));
            now == Some(0)
        });
        if dies {
            panic_any(Crash);
        }
    }

    macro_rules! atomic {
        ($name:ident, $int:ty) => {
            /// Loom's atomic, with a crash point before each change.
            #[derive(Debug)]
            pub struct $name(loom::sync::atomic::$name);

            impl Default for $name {
                fn default() -> Self {
                    Self::new(0)
                }
            }

            #[allow(missing_docs, dead_code)]
            impl $name {
                pub fn new(value: $int) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }
                pub fn load(&self, order: Ordering) -> $int {
                    self.0.load(order)
                }
                pub fn store(&self, value: $int, order: Ordering) {
                    step();
                    self.0.store(value, order)
                }
                pub fn compare_exchange(
                    &self,
                    current: $int,
                    new: $int,
                    ok: Ordering,
                    err: Ordering,
                ) -> Result<$int, $int> {
                    step();
                    self.0.compare_exchange(current, new, ok, err)
                }
                pub fn fetch_add(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.fetch_add(value, order)
                }
                pub fn fetch_sub(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.fetch_sub(value, order)
                }
                pub fn fetch_and(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.fetch_and(value, order)
                }
                pub fn fetch_or(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.fetch_or(value, order)
                }
                pub fn fetch_max(&self, value: $int, order: Ordering) -> $int {
                    step();
                    self.0.fetch_max(value, order)
                }
            }
        };
    }
    atomic!(AtomicU32, u32);
    atomic!(AtomicU64, u64);
}
