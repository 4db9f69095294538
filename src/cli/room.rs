//! How many bytes a pipe takes now, without blocking.
//!
//! poll(2) says of a pipe only that it is not full. A reader that took that
//! for room would claim a node, write the first part of it, and hold the node
//! for as long as its consumer looks elsewhere. So it wants to know whether a
//! whole node fits, which the kernel does not tell: it counts bytes
//! (FIONREAD), but keeps them in slots of a page each, not all of them full.
//!
//! Two upper bounds of the slots in use, the smaller of which holds:
//!
//! - *By our writes.* A write of n bytes takes at most ⌈n / page⌉ slots, and
//!   what is in the pipe are our last writes. This is exact for whole pages.
//! - *By bytes.* A write first fills up the last slot, unless its odd bytes do
//!   not fit there. So two neighbouring slots together hold more than a page,
//!   and b bytes take at most 2b / page + 2 slots, the first being half read.
//!   This is the better one for many small writes.
//!
//! As soon as there are more bytes in the pipe than we can have left there,
//! somebody else writes to it too, and only the second rule holds. Being wrong
//! is possible (that sibling may go unnoticed for a while, or splice(2)) and
//! costs no more than one node held.

use std::collections::VecDeque;

/// Writes remembered one by one; older ones are added up.
const REMEMBERED: usize = 1024;

/// A pipe that we write to.
#[derive(Debug)]
pub struct PipeRoom {
    page: u64,
    slots: u64,
    /// Our last writes: bytes, and slots that they take at most.
    writes: VecDeque<(u64, u64)>,
    /// The bytes of all of them.
    bytes: u64,
    /// The slots of all of them.
    used: u64,
    /// Bytes that are in it at most, if nobody else writes.
    most: u64,
    /// Whether somebody else does.
    shared: bool,
}

impl PipeRoom {
    /// A pipe of `capacity` bytes in pages of `page` bytes.
    pub fn new(capacity: usize, page: usize) -> PipeRoom {
        let page = page.max(1) as u64;
        PipeRoom {
            page,
            slots: capacity as u64 / page,
            writes: VecDeque::new(),
            bytes: 0,
            used: 0,
            // What is in it already is somebody else's.
            most: 0,
            shared: false,
        }
    }

    /// Bytes that fit when it is empty.
    pub fn capacity(&self) -> u64 {
        self.slots * self.page
    }

    /// We have written `bytes`, by one call.
    pub fn wrote(&mut self, bytes: usize) {
        let write = (bytes as u64, (bytes as u64).div_ceil(self.page));
        self.bytes += write.0;
        self.used += write.1;
        self.most += write.0;
        self.writes.push_back(write);
        if self.writes.len() > REMEMBERED
            && let Some(oldest) = self.writes.pop_front()
            && let Some(next) = self.writes.front_mut()
        {
            *next = (next.0 + oldest.0, next.1 + oldest.1);
        }
    }

    /// Bytes that certainly fit, when `queued` bytes are in the pipe.
    pub fn free(&mut self, queued: u64) -> u64 {
        while let Some(oldest) = self.writes.front().copied()
            && self.bytes - oldest.0 >= queued
        {
            self.bytes -= oldest.0;
            self.used -= oldest.1;
            self.writes.pop_front();
        }
        self.shared |= queued > self.most;
        self.most = queued;
        let used = match self.shared {
            true => self.by_bytes(queued),
            false => self.used.min(self.by_bytes(queued)),
        };
        self.slots.saturating_sub(used) * self.page
    }

    fn by_bytes(&self, bytes: u64) -> u64 {
        match bytes {
            0 => 0,
            bytes => 2 * bytes / self.page + 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustix::pipe::{PipeFlags, fcntl_getpipe_size, pipe_with};

    #[test]
    fn whole_pages_fill_a_pipe_to_the_brim() {
        let mut room = PipeRoom::new(16 * 4096, 4096);
        for filled in 0..16 {
            assert_eq!(room.free(filled * 4096), (16 - filled) * 4096);
            room.wrote(4096);
        }
        assert_eq!(room.free(16 * 4096), 0);
        assert_eq!(room.free(0), 16 * 4096);
    }

    #[test]
    fn small_writes_share_pages() {
        let mut room = PipeRoom::new(16 * 4096, 4096);
        (0..100).for_each(|_| room.wrote(10));
        assert_eq!(room.free(1000), 14 * 4096);
    }

    #[test]
    fn what_others_wrote_is_taken_into_account() {
        let mut room = PipeRoom::new(16 * 4096, 4096);
        assert_eq!(room.free(0), 16 * 4096);
        room.wrote(4096);
        assert_eq!(room.free(3 * 4096), 8 * 4096);
    }

    proptest! {
        /// Whatever was written and read before, what is said to fit does.
        #[test]
        fn what_is_said_to_fit_fits(
            steps in prop::collection::vec((1usize..20_000, 0usize..20_000), 1..100)
        ) {
            let (reader, writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
            let page = rustix::param::page_size();
            let mut room = PipeRoom::new(fcntl_getpipe_size(&writer).unwrap(), page);
            let mut sink = vec![0; 20_000];
            for (bytes, taken) in steps {
                let queued = rustix::io::ioctl_fionread(&writer).unwrap();
                if room.free(queued) >= bytes as u64 {
                    prop_assert_eq!(rustix::io::write(&writer, &vec![1; bytes]), Ok(bytes));
                    room.wrote(bytes);
                }
                let _ = rustix::io::read(&reader, &mut sink[..taken]);
            }
        }
    }
}
