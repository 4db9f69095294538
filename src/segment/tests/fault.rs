//! Memory that goes away is noticed, and kills nobody who asked not to be.

use super::*;
use std::os::unix::process::ExitStatusExt;

/// A load that the compiler cannot leave out.
fn touch(mapping: &Mapping, at: usize) -> u8 {
    assert!(at < mapping.len());
    // SAFETY: within the mapping, as just checked.
    let byte = unsafe { mapping.base().add(at) };
    // SAFETY: mapped; if the file was cut, the fault is what is tested.
    unsafe { byte.read_volatile() }
}

#[test]
fn a_removed_segment_is_noticed_at_once_and_an_unlinked_one_when_asked() {
    let unique = Unique::created();
    let mapping = unique.map();
    assert_eq!((mapping.gone(), mapping.check()), (None, None));
    let removed = unique.remove(true).unwrap().unwrap();
    assert_eq!(removed.header(), mapping.header());
    assert_eq!(
        (mapping.gone(), mapping.check()),
        (Some(Gone::Removed), Some(Gone::Removed))
    );

    let unique = Unique::created();
    let mapping = unique.map();
    std::fs::remove_file(unique.0.path()).unwrap();
    assert_eq!(
        (mapping.gone(), mapping.check()),
        (None, Some(Gone::Removed))
    );
}

#[test]
fn a_truncated_segment_is_noticed_when_asked_wherever_it_was_cut() {
    for size in [SIZE - 1, 4096, 1, 0] {
        let unique = Unique::created();
        let mapping = unique.map();
        unique.truncate(size);
        assert_eq!(mapping.check(), Some(Gone::Truncated), "cut to {size}");
    }
}

#[test]
fn a_touch_of_memory_that_was_cut_away_is_survived_and_noticed() {
    guard_faults().unwrap();
    guard_faults().unwrap();
    let unique = Unique::created();
    let (mapping, other) = (unique.map(), unique.map());
    unique.truncate(4096);
    assert_eq!(mapping.gone(), None);
    let page = rustix::param::page_size();
    assert_eq!(touch(&mapping, SIZE as usize - page + 1), 0);
    assert_eq!(mapping.gone(), Some(Gone::Truncated));
    assert_eq!(other.gone(), None, "it has not touched anything");

    // The other pages are as they were: the kernel still refuses them.
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let written = {
        use std::os::fd::AsRawFd;
        let untouched = mapping.base().wrapping_add(8192).cast();
        // SAFETY: only the kernel reads, and it checks.
        unsafe { libc::write(writer.as_raw_fd(), untouched, 1) }
    };
    assert_eq!(written, -1);
    assert_eq!(
        std::io::Error::last_os_error().raw_os_error(),
        Some(libc::EFAULT)
    );
    drop(reader);

    // Even the words in the header may go.
    unique.truncate(0);
    assert_eq!(other.words().removed.load(Ordering::Relaxed), 0);
    assert_eq!(other.gone(), Some(Gone::Truncated));
}

#[test]
fn a_member_leaves_what_was_cut_away_without_a_fault() {
    const SELF: &str = "segment::tests::fault::a_member_leaves_what_was_cut_away_without_a_fault";
    if let Some(name) = role() {
        // Not guarded.
        let mapping = map(&name).unwrap();
        let member = Membership::join(&mapping, layout::READER, must_not_recover).unwrap();
        std::fs::File::options()
            .write(true)
            .open(name.path())
            .unwrap()
            .set_len(0)
            .unwrap();
        drop(member);
        Child::done();
    }
    let unique = Unique::created();
    assert_done(Child::start(SELF, &unique.0).ended());
}

#[test]
fn a_fault_in_memory_of_others_kills_as_before() {
    const SELF: &str = "segment::tests::fault::a_fault_in_memory_of_others_kills_as_before";
    if let Some(name) = role() {
        guard_faults().unwrap();
        let mapping = map(&name).unwrap();
        // Ours in all but the handler's table, after this.
        let base = mapping.base();
        let unguarded = std::mem::ManuallyDrop::new(mapping);
        unguarded.forget_guard();
        std::fs::File::options()
            .write(true)
            .open(name.path())
            .unwrap()
            .set_len(0)
            .unwrap();
        // SAFETY: mapped for good; the fault is what is tested.
        let byte = unsafe { base.read_volatile() };
        unreachable!("read {byte}");
    }
    let unique = Unique::created();
    assert_eq!(
        Child::start(SELF, &unique.0).ended().signal(),
        Some(libc::SIGBUS)
    );
}

#[test]
fn a_signal_that_somebody_sends_is_not_swallowed() {
    const SELF: &str = "segment::tests::fault::a_signal_that_somebody_sends_is_not_swallowed";
    if role().is_some() {
        // SAFETY: puts the default action in the place of the runtime's.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
        guard_faults().unwrap();
        return Child::ready_and_stay();
    }
    let unique = Unique::new();
    let child = Child::started(SELF, &unique.0);
    child.signal(libc::SIGBUS);
    assert_eq!(child.ended().signal(), Some(libc::SIGBUS));
}
