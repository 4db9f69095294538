//! What may lie under a name besides a segment, and segments that are
//! exchanged for each other, or for something else, while somebody attaches.

use super::harness::{Name, Ring, SECONDS, Store, shm, skipped};
use super::image;
use super::role::{Step, survives_beside};
use super::visit::{Tally, visit};
use rustix::fs::{CWD, FileType, Mode, mkdirat, mknodat, symlinkat};
use shmkit::segment;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const NOBODY: u32 = 65_534;

/// Makes something there that is no segment. `false`: not to be had here.
type Make = fn(&Path) -> bool;

fn node(path: &Path, kind: FileType, major: u32, minor: u32) -> bool {
    let device = rustix::fs::makedev(major, minor);
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o666), device).is_ok()
}

const THINGS: [(&str, Make); 8] = [
    ("a FIFO", |path| node(path, FileType::Fifo, 0, 0)),
    ("a device", |path| {
        node(path, FileType::CharacterDevice, 1, 5)
    }),
    ("a terminal", |path| {
        node(path, FileType::CharacterDevice, 5, 0)
    }),
    ("a disk", |path| node(path, FileType::BlockDevice, 7, 0)),
    ("a socket", |path| UnixListener::bind(path).is_ok()),
    ("a directory", |path| {
        mkdirat(CWD, path, Mode::from_raw_mode(0o700)).is_ok()
    }),
    ("a symlink to a device", |path| {
        symlinkat("/dev/zero", CWD, path).is_ok()
    }),
    ("a symlink to itself", |path| {
        symlinkat(path, CWD, path).is_ok()
    }),
];

#[test]
fn what_is_no_regular_file_is_told_by_every_command_and_never_waited_for() {
    for (what, make) in THINGS {
        let name = Name::unused();
        if !make(&name.path()) {
            skipped(format_args!("{what} cannot be made here"));
            continue;
        }
        let table: &[(&[&str], &[i32])] = &[
            (&["inspect", &name], &[5]),
            (&["inspect", "--json", &name], &[5]),
            (&["read", &name], &[5]),
            (&["read", &name, "--wait-for", "200ms", "--any-owner"], &[5]),
            (&["write", &name, "--wait-for", "200ms"], &[5]),
            (&["lock", &name, "--", "true"], &[5]),
            (&["lock", &name, "--read", "--", "true"], &[5]),
            (&["create", "buffer", &name, "--size", "1"], &[1]),
            (&["create", "ring", &name, "--if-not-exists"], &[1, 5]),
            (&["remove", &name], &[5]),
            (&["remove", "--force", &name], &[5]),
        ];
        for (args, codes) in table {
            let done = shm(args).run_within(SECONDS).fails_with_one_of(codes);
            assert!(done.stderr.contains(&*name), "{what}: {:?}", done.stderr);
        }
        shm(&["list"]).run_within(SECONDS).exits(0).silent();
        assert!(name.exists(), "{what}: it was taken away");
    }
}

#[test]
fn what_belongs_to_somebody_else_is_not_used_and_not_removed() {
    if !rustix::process::getuid().is_root() {
        skipped("only root can make other users' files");
        return;
    }
    let (ring, array) = (Ring::new(2, "1K"), Store::array("u8", 4));
    let garbage = Name::unused();
    std::fs::write(garbage.path(), b"SHMKIT\r\n, or so it says").unwrap();
    for name in [&*ring.name, &*array.name, &*garbage] {
        let path = Path::new("/dev/shm").join(name);
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        let before = std::fs::read(&path).unwrap();
        for args in [
            &["read", name][..],
            &["write", name],
            &["inspect", name],
            &["lock", name, "--", "true"],
            &["remove", name],
            &["remove", "--force", name],
        ] {
            let done = shm(args).run_within(SECONDS).fails(1);
            assert!(done.stderr.contains("uid 65534"), "{:?}", done.stderr);
        }
        assert!(std::fs::read(&path).unwrap() == before, "{name}: changed");
    }
}

/// A child that visits what is there, whatever it is at the moment.
pub fn child(name: &segment::Name, step: &Step) {
    let end = Instant::now() + SPAN;
    let (mut tally, mut visits) = (Tally::default(), 0);
    while Instant::now() < end {
        visits += 1;
        step.note(format_args!("visit {visits}"));
        tally = tally.with(visit(name));
    }
    println!(
        "REPORT {visits} visits; steps by exit status: {:?}",
        tally.0
    );
    let [used, missed, .., refused, _] = tally.0;
    assert!(used > 0 && missed > 0 && refused > 0, "{:?}", tally.0);
}

/// How long things are exchanged.
const SPAN: Duration = Duration::from_secs(3);

#[test]
fn a_name_that_is_exchanged_during_attach_kills_and_hangs_nobody() {
    let (name, ended) = (Name::unused(), AtomicBool::new(false));
    let made = segment::Name::new(&Name::unused()).unwrap();
    let mut contents: Vec<Vec<u8>> = image::all(&made).into_iter().map(|i| i.bytes).collect();
    for whole in contents.clone() {
        contents.push(whole[..whole.len() / 2].to_vec());
        contents.push(whole[..100].to_vec());
        contents.push(vec![0; whole.len()]);
        // The same but for what is written in it: told by nothing but that.
        let mut other = whole;
        other[32] ^= 1;
        contents.push(other);
    }
    contents.push(Vec::new());

    let exchange = || {
        let mut turns = 0;
        while !ended.load(Ordering::Relaxed) {
            let next = Name::unused();
            let there = match turns % 4 {
                // Things that are no files, too.
                3 => THINGS[turns / 4 % THINGS.len()].1(&next.path()),
                _ => {
                    std::fs::write(next.path(), &contents[turns % contents.len()]).unwrap();
                    true
                }
            };
            // In place of what is there; or that goes first, and its name is
            // nobody's for a moment.
            if turns % 3 == 0 || std::fs::rename(next.path(), name.path()).is_err() {
                let _ = std::fs::remove_file(name.path());
                let _ = std::fs::remove_dir(name.path());
                if there {
                    std::fs::rename(next.path(), name.path()).unwrap();
                }
            }
            turns += 1;
        }
        turns
    };
    let again = |args: &[&str]| {
        let mut turns = 0;
        while !ended.load(Ordering::Relaxed) {
            let done = shm(args).input("1").run_within(SECONDS);
            if ![0, 3].contains(&done.code()) {
                // What lies there may be marked as left by a writer that died, too.
                let done = done.exits_one_of(&[1, 2, 4, 5, 6]);
                done.error_line_after_warnings();
            }
            turns += 1;
        }
        assert!(turns > 0);
    };
    std::thread::scope(|scope| {
        let exchanging = scope.spawn(exchange);
        scope.spawn(|| again(&["inspect", &name, "--data"]));
        // What a reader missed of a damaged broadcast ring is told beside the error.
        scope.spawn(|| again(&["read", &name, "--quiet", "--timeout", "20ms"]));
        scope.spawn(|| again(&["write", &name, "--timeout", "20ms"]));
        scope.spawn(|| again(&["lock", &name, "--timeout", "20ms", "--", "true"]));
        // Whatever happens, the others are to come to their end.
        let report = std::panic::catch_unwind(|| survives_beside("exchanged", &name));
        ended.store(true, Ordering::Relaxed);
        let report = report.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        println!("{report}; {} exchanges", exchanging.join().unwrap());
    });
}
