//! "Nothing outside the mapping is touched", made to fail if it is.
//!
//! ```text
//! ... | no access: 4 GiB | the segment | no access: 4 GiB | ...
//! ```
//!
//! `mmap` and `munmap` here take the place of the C library's for the crate that maps
//! segments (a program's own symbols come first). Once [`enable`]d, every
//! shared mapping of a file lies between two regions without access, so large that no
//! 32-bit mistake jumps over them: a touch of one is `SIGSEGV`, and the
//! watched child dies of it. Where a segment's last page is not full, what follows
//! its end in that page is not guarded; those of `image.rs` end with a page.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

const GUARD: usize = 4 << 30;

static ENABLED: AtomicBool = AtomicBool::new(false);
/// Mappings that were guarded so far.
static GUARDED: AtomicU64 = AtomicU64::new(0);
/// The guarded mappings that there are: their addresses, or 0.
static PRESENT: [AtomicUsize; 16] = [const { AtomicUsize::new(0) }; 16];

/// From now on mappings of this process are guarded.
pub fn enable() {
    ENABLED.store(true, Ordering::SeqCst);
}

/// How many mappings were guarded.
pub fn count() -> u64 {
    GUARDED.load(Ordering::SeqCst)
}

fn kernel_mmap(
    at: *mut c_void,
    len: usize,
    protection: i32,
    flags: i32,
    file: i32,
    offset: i64,
) -> *mut c_void {
    // SAFETY: what mmap(2) asks for is for its callers to promise, below.
    let result = unsafe { libc::syscall(libc::SYS_mmap, at, len, protection, flags, file, offset) };
    result as *mut c_void
}

/// # Safety
///
/// As mmap(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap(
    at: *mut c_void,
    len: usize,
    protection: i32,
    flags: i32,
    file: i32,
    offset: i64,
) -> *mut c_void {
    let of_a_segment = file >= 0 && at.is_null() && flags & libc::MAP_SHARED != 0;
    if !of_a_segment || !ENABLED.load(Ordering::SeqCst) {
        return kernel_mmap(at, len, protection, flags, file, offset);
    }
    let (no_access, private) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let room = len.next_multiple_of(4096) + 2 * GUARD;
    let free = private | libc::MAP_NORESERVE;
    let whole = kernel_mmap(null_mut(), room, no_access, free, -1, 0);
    assert!(whole != libc::MAP_FAILED, "no room for the guards");
    let middle = whole.wrapping_byte_add(GUARD);
    let mapped = kernel_mmap(
        middle,
        len,
        protection,
        flags | libc::MAP_FIXED,
        file,
        offset,
    );
    if mapped == libc::MAP_FAILED {
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap();
        // SAFETY: mapped above, and nobody has it yet.
        unsafe { libc::syscall(libc::SYS_munmap, whole, room) };
        // SAFETY: every thread has one.
        let own = unsafe { libc::__errno_location() };
        // SAFETY: this thread's own, and nobody else's.
        unsafe { *own = errno };
        return mapped;
    }
    let vacant = PRESENT.iter().find(|at| {
        let (from, to) = (0, mapped as usize);
        at.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    });
    assert!(vacant.is_some(), "more mappings than expected");
    GUARDED.fetch_add(1, Ordering::SeqCst);
    mapped
}

/// # Safety
///
/// As munmap(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn munmap(at: *mut c_void, len: usize) -> i32 {
    let ours = PRESENT.iter().find(|present| {
        let from = at as usize;
        present
            .compare_exchange(from, 0, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    });
    let (from, len) = match ours {
        None => (at, len),
        Some(_) => (
            at.wrapping_byte_sub(GUARD),
            len.next_multiple_of(4096) + 2 * GUARD,
        ),
    };
    // SAFETY: the caller's promise; and the guards around it are nobody's.
    unsafe { libc::syscall(libc::SYS_munmap, from, len) as i32 }
}
