//! Job control: what a shell and a terminal are to this process.
//!
//! Process groups and sessions are numbers here, not `Pid`s, and come by libc: in a PID
//! namespace (a container, `unshare --pid`) those of a process whose leader is outside
//! are 0, which rustix takes for impossible. Two that are outside cannot be told apart;
//! they are taken for the same.

use rustix::io::Errno;
use rustix::process::{Pid, RawPid, getpid, getppid};
use rustix::termios::tcgetpgrp;
use std::os::fd::AsFd;

/// Whether that terminal's keys go to this process's group; or to no group, as at a
/// terminal that controls nobody here.
pub fn is_foreground(terminal: impl AsFd) -> bool {
    match tcgetpgrp(terminal) {
        Ok(group) => Some(Pid::as_raw(Some(group))) == group_of(None),
        // Its word for a group of 0.
        Err(Errno::OPNOTSUPP) => group_of(None) == Some(0),
        Err(_) => true,
    }
}

/// Whether there is somebody who could make this process go on after a stop: a parent of
/// the process group, outside it but within its session, as a shell is.
pub fn can_go_on() -> bool {
    let own = (group_of(None), session_of(None));
    let mut parent = getppid();
    while let Some(pid) = parent {
        let theirs = (group_of(Some(pid)), session_of(Some(pid)));
        if theirs.1 != own.1 {
            return false;
        }
        if theirs.0 != own.0 {
            return true;
        }
        parent = parent_of(pid);
    }
    false
}

/// The process group; none of a process that is no more.
fn group_of(pid: Option<Pid>) -> Option<RawPid> {
    // SAFETY: it takes a number and returns one.
    let group = unsafe { libc::getpgid(Pid::as_raw(pid)) };
    (group >= 0).then_some(group)
}

/// The session; none of a process that is no more.
fn session_of(pid: Option<Pid>) -> Option<RawPid> {
    // SAFETY: it takes a number and returns one.
    let session = unsafe { libc::getsid(Pid::as_raw(pid)) };
    (session >= 0).then_some(session)
}

/// Its parent, where /proc is that of this PID namespace.
fn parent_of(pid: Pid) -> Option<Pid> {
    let own = std::fs::read_link("/proc/self").ok()?;
    if own.to_str()?.parse() != Ok(Pid::as_raw(Some(getpid()))) {
        return None;
    }
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // "pid (name) STATE ppid ...": the name may contain anything.
    let behind = &stat[stat.rfind(')')?..];
    Pid::from_raw(behind.split(' ').nth(2)?.parse().ok()?)
}
