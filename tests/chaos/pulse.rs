//! How long the machine itself stood still: a thread that sleeps for a moment,
//! again and again, and notes how late it woke at worst. Whoever shares a busy
//! machine is late, too, and no ring is to blame for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

const BEAT: Duration = Duration::from_millis(2);

/// The thread; it ends when this is dropped.
pub struct Pulse {
    worst_ns: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    pub fn start() -> Pulse {
        let worst_ns = Arc::new(AtomicU64::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let (worst, end) = (worst_ns.clone(), over.clone());
        let thread = spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let began = Instant::now();
                sleep(BEAT);
                let late = began.elapsed().saturating_sub(BEAT);
                worst.fetch_max(late.as_nanos() as u64, Ordering::Relaxed);
            }
        });
        Pulse {
            worst_ns,
            over,
            thread: Some(thread),
        }
    }

    /// How late it woke at worst, so far.
    pub fn worst(&self) -> Duration {
        Duration::from_nanos(self.worst_ns.load(Ordering::Relaxed))
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
