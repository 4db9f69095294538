//! Bad input of every kind has a plain answer: the right exit status, one line
//! `shm: WHAT: WHY`, nothing on stdout and nothing left behind. Never a panic,
//! a signal or a hang.

mod harness;

use harness::{
    Name, Other, Pattern, Ring, SECONDS, Shm, in_private_shm, shm, shm_path, skipped, until,
};
use rustix::process::Signal;
use shmkit::segment::layout::{CRC_SPAN, LAYOUT_VERSION, MAGIC, RawHeader};
use std::mem::offset_of;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

// ---- the command line -------------------------------------------------------

#[test]
fn bad_names_are_usage_errors_for_every_command() {
    let long = "x".repeat(201);
    let names = [
        "",
        ".",
        "..",
        ".hidden",
        "/absolute",
        "a/b",
        "../shm",
        "a b",
        "tab\there",
        "new\nline",
        "naïve",
        "semi;colon",
        "star*",
        "q?",
        "a\\b",
        "a:b",
        "%s%n",
        "\u{1b}[31m",
        &long,
    ];
    for name in names {
        for command in [
            &["create", "ring"][..],
            &["write"],
            &["read"],
            &["inspect"],
            &["remove"],
            &["remove", "--force"],
        ] {
            shm(command).arg(name).run().fails(2);
        }
    }
}

#[test]
fn names_that_are_not_utf8_are_usage_errors() {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::OsStr::from_bytes(b"not\xff\xfeutf8");
    for command in [
        &["create", "ring"][..],
        &["write"],
        &["read"],
        &["inspect"],
        &["remove"],
    ] {
        shm(command).arg(name).run().fails(2);
    }
}

#[test]
fn the_longest_and_the_oddest_good_names_work() {
    let unique = Name::unused();
    for name in [format!("{:x<200}", &*unique), format!("-_.{}", &*unique)] {
        let path = shm_path(&name);
        // A leading dash must not look like an option.
        let created = shm(&["create", "ring", "--", &name]).run();
        let found = path.exists();
        let removed = shm(&["remove", "--", &name]).run();
        let _ = std::fs::remove_file(path);
        created.exits(0);
        assert!(found);
        removed.exits(0);
    }
}

#[test]
fn geometry_out_of_range_is_a_usage_error_and_leaves_nothing() {
    let name = Name::unused();
    let table: &[&[&str]] = &[
        &["--nodes", "0"],
        &["--nodes", "1"],
        &["--nodes", "1048577"],
        &["--nodes", "4294967298"],
        &["--nodes", "18446744073709551618"],
        &["--nodes", "-2"],
        &["--nodes", "2.5"],
        &["--nodes", "twenty"],
        &["--nodes", ""],
        &["-n"],
        &["--node-size", "0"],
        &["--node-size", "1073741825"],
        &["--node-size", "1025MiB"],
        &["--node-size", "2G"],
        &["--node-size", "-1"],
        &["--node-size", "1X"],
        &["--node-size", "K"],
        &["--node-size", "99999999999999999999G"],
        &["--node-size", "nan"],
        &["--node-size", ""],
        &["--delivery", "pigeon"],
        &["--wait", "forever"],
        &["--mode", "999"],
        &["--mode", "77777"],
        &["--mode", "rw"],
        &["--mode", "-1"],
        &["--size", "1M"],
        &["--type", "u8"],
        &["--no-such-option"],
        &["another-name"],
    ];
    for options in table {
        shm(&["create", "ring", &name]).args(options).run().fails(2);
        assert!(!name.exists(), "{options:?} left something behind");
    }
}

#[test]
fn geometry_at_the_ends_of_its_range_works() {
    for options in [
        &["-n", "2", "-b", "1"][..],
        &["-n", "1048576", "-b", "1"],
        &["-n", "2", "-b", "64MiB"],
        &["-n", "2", "-b", "10kB"],
        &["-n", "3", "-b", "4095"],
    ] {
        let ring = Ring::with(options);
        shm(&["write", &ring.name]).input("x").run().exits(0);
        assert_eq!(shm(&["read", &ring.name]).run().exits(0).stdout, b"x");
    }
}

#[test]
fn sizes_mean_what_they_say() {
    for (typed, bytes) in [
        ("7", 7),
        ("1K", 1024),
        ("1KiB", 1024),
        ("1kB", 1000),
        ("2M", 2 << 20),
        ("2MiB", 2 << 20),
        ("2MB", 2_000_000),
    ] {
        assert_eq!(Ring::new(2, typed).number("node_size"), bytes, "{typed}");
    }
}

#[test]
fn what_is_not_a_command_line_is_a_usage_error() {
    let ring = Ring::new(2, "1K");
    let name: &str = &ring.name;
    let table: &[&[&str]] = &[
        &["frobnicate"],
        &["create", "ring"],
        &["create", "heap", "x"],
        &["create", "ring", name, "extra"],
        &["write"],
        &["read"],
        &["inspect"],
        &["remove"],
        &["remove", "--stale", name],
        &["read", name, name],
        &["read", name, "--no-such-option"],
        &["read", name, "--count", "-1"],
        &["read", name, "--count", "many"],
        &["read", name, "--timeout", "soon"],
        &["read", name, "--timeout", "-1s"],
        &["read", name, "--timeout", ""],
        &["read", name, "--wait-for", "5parsecs"],
        &["read", name, "--interval", "x"],
        &["read", name, "--keep-open"],
        &["write", name, "--follow"],
        &["write", name, "--no-wait"],
        &["write", name, "--timeout", "99999999999999999999s"],
        &["list", "extra"],
        // Flags of other kinds of segments do not apply to a ring.
        &["read", name, "--at", "0"],
        &["write", name, "--at", "0"],
        &["read", name, "--format", "json"],
    ];
    for args in table {
        shm(args).run_within(SECONDS).fails(2);
    }
    assert_eq!(ring.number("written_nodes"), 0);
    assert_eq!(ring.stream_state(), "waiting", "no usage error attaches");
}

#[test]
fn a_command_that_lacks_its_subcommand_is_an_error_of_one_line_as_well() {
    shm::<&str>(&[]).run().fails(2);
    shm(&["create"]).run().fails(2);
}

#[test]
fn help_and_version_are_no_errors() {
    for args in [
        &["--help"][..],
        &["--version"],
        &["create", "--help"],
        &["create", "ring", "--help"],
        &["write", "--help"],
        &["read", "-h"],
        &["inspect", "--help"],
        &["list", "--help"],
        &["remove", "--help"],
    ] {
        assert!(!shm(args).run().exits(0).silent().stdout.is_empty());
    }
}

// ---- what is there and what is not ------------------------------------------

#[test]
fn a_missing_segment_is_an_error_that_names_it() {
    let name = Name::unused();
    for command in [
        &["write"][..],
        &["read"],
        &["inspect"],
        &["inspect", "--json"],
        &["remove"],
        &["remove", "--force"],
    ] {
        let done = shm(command).arg(&*name).run().fails(1);
        assert!(done.error_line().contains(&*name), "{:?}", done.stderr);
    }
    assert!(!name.exists(), "looking for it did not make it");
}

#[test]
fn an_existing_segment_is_not_made_again() {
    let ring = Ring::with(&["-n", "4", "-b", "1K"]);
    shm(&["write", &ring.name]).input("kept").run().exits(0);
    let create = |options: &[&str]| shm(&["create", "ring", &ring.name]).args(options).run();
    create(&["-n", "4", "-b", "1K"]).fails(1);
    create(&["-n", "5", "-b", "1K"]).fails(1);
    create(&["-n", "4", "-b", "1K", "--if-not-exists"]).exits(0);
    create(&["-n", "4", "-b", "1024", "--if-not-exists"]).exits(0);
    create(&["-n", "5", "-b", "1K", "--if-not-exists"]).fails(1);
    create(&["-n", "4", "-b", "2K", "--if-not-exists"]).fails(1);
    create(&["-n", "4", "-b", "1K", "--wait", "spin", "--if-not-exists"]).fails(1);
    assert_eq!(shm(&["read", &ring.name]).run().exits(0).stdout, b"kept");
}

#[test]
fn of_many_who_create_the_same_name_one_wins() {
    for turn in 0..5 {
        let name = Name::unused();
        let create = || shm(&["create", "ring", &name, "-n", "3", "-b", "256K"]);
        let racing: Vec<_> = (0..8).map(|_| create().start()).collect();
        let codes: Vec<_> = racing
            .into_iter()
            .map(|p| p.finish().exits_one_of(&[0, 1]).code())
            .collect();
        assert_eq!(
            codes.iter().filter(|&&code| code == 0).count(),
            1,
            "turn {turn}: {codes:?}"
        );
        shm(&["remove", &name]).run().exits(0);
        let racing: Vec<_> = (0..8)
            .map(|_| create().arg("--if-not-exists").start())
            .collect();
        for proc in racing {
            proc.finish().exits(0);
        }
    }
}

#[test]
fn a_ring_that_comes_and_goes_under_its_users_harms_nobody() {
    let name = Name::unused();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(4);
    let again = |args: &[&str], codes: &[i32]| {
        while std::time::Instant::now() < end {
            let done = shm(args)
                .input(vec![7; 100_000])
                .run_within(SECONDS)
                .exits_one_of(codes);
            if ![0, 3].contains(&done.code()) {
                done.error_line();
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            again(
                &["create", "ring", &name, "-n", "4", "-b", "10007"],
                &[0, 1],
            )
        });
        scope.spawn(|| again(&["create", "ring", &name, "--if-not-exists"], &[0, 1]));
        scope.spawn(|| again(&["remove", &name, "--force"], &[0, 1]));
        scope.spawn(|| again(&["remove", &name], &[0, 1]));
        // What is there under its name is complete: never 5.
        scope.spawn(|| again(&["inspect", &name], &[0, 1, 6]));
        scope.spawn(|| again(&["list"], &[0]));
        scope.spawn(|| again(&["write", &name, "--timeout", "50ms"], &[0, 1, 4, 6]));
        scope.spawn(|| again(&["read", &name, "--timeout", "50ms"], &[0, 1, 3, 4, 6]));
    });
}

#[test]
fn the_mode_is_what_was_asked_for_whatever_the_umask() {
    for (options, mode) in [
        (&[][..], 0o600),
        (&["--mode", "0666"], 0o666),
        (&["--mode", "640"], 0o640),
    ] {
        let name = Name::unused();
        let script = r#"umask 077; exec "$0" create ring "$@""#;
        let create = Shm::program("bash").args(&["-c", script, env!("CARGO_BIN_EXE_shm"), &name]);
        create.args(options).run().exits(0);
        assert_eq!(
            name.path().metadata().unwrap().permissions().mode() & 0o7777,
            mode
        );
    }
}

#[test]
fn a_segment_in_use_is_not_removed_without_force() {
    let ring = Ring::new(2, "1K");
    let reader = shm(&["read", &ring.name]).start();
    until("the reader is attached", || ring.living("reader") == 1);
    shm(&["remove", &ring.name]).run().fails(1);
    assert!(ring.name.exists());
    reader.kill();
    // The dead do not use anything.
    shm(&["remove", &ring.name]).run().exits(0);
    assert!(!ring.name.exists());
}

#[test]
fn remove_takes_several_names_and_a_missing_one_does_not_spare_the_others() {
    let rings = [Ring::new(2, "1K"), Ring::new(2, "1K")];
    let missing = Name::unused();
    shm(&["remove", &rings[0].name, &missing, &rings[1].name])
        .run()
        .fails(1);
    assert!(rings.iter().all(|ring| !ring.name.exists()));
}

// ---- files that are no segments ---------------------------------------------

/// Each command that attaches or looks must say `code` and leave `name` alone.
#[track_caller]
fn all_refuse(name: &Name, why: &str) {
    for command in [
        &["inspect"][..],
        &["inspect", "--json"],
        &["read"],
        &["write"],
        &["read", "--no-wait"],
    ] {
        let done = shm(command).arg(&**name).run_within(SECONDS);
        assert_eq!(done.code(), 5, "{why}: {command:?}: {:?}", done.stderr);
        done.fails(5);
    }
    // It is there, so it cannot be made; and it is not an equal one.
    shm(&["create", "ring", name]).run_within(SECONDS).fails(1);
    shm(&["create", "ring", name, "--if-not-exists"])
        .run_within(SECONDS)
        .fails_with_one_of(&[1, 5]);
    // It disturbs no list. (One of ours that is damaged may be in it.)
    shm(&["list"]).run_within(SECONDS).exits(0).silent();
    let list = shm(&["list", "--json"])
        .run_within(SECONDS)
        .exits(0)
        .silent()
        .json();
    let is_it = |segment: &serde_json::Value| segment["name"] == **name;
    assert!(list.is_array());
    if !begins_with_the_magic(&name.path()) {
        assert!(!list.as_array().unwrap().iter().any(is_it), "{why}: listed");
    }
}

fn begins_with_the_magic(path: &Path) -> bool {
    let mut magic = [0; 8];
    path.symlink_metadata().unwrap().is_file()
        && std::fs::File::open(path)
            .unwrap()
            .read_exact_at(&mut magic, 0)
            .is_ok()
        && magic == MAGIC
}

#[track_caller]
fn refused(why: &str, make: impl FnOnce(&Path)) {
    let name = Name::unused();
    make(&name.path());
    all_refuse(&name, why);
    shm(&["remove", &name]).run_within(SECONDS).fails(5);
    assert!(name.exists(), "{why}: it was taken away");
}

#[test]
fn files_that_are_no_segments_are_told_from_segments() {
    refused("an empty file", |path| {
        drop(std::fs::File::create(path).unwrap())
    });
    refused("a short text", |path| {
        std::fs::write(path, "hello").unwrap()
    });
    refused("a long text", |path| {
        std::fs::write(path, "hello ".repeat(9_999)).unwrap()
    });
    refused("zeros", |path| {
        std::fs::write(path, vec![0; 1 << 20]).unwrap()
    });
    refused("ones", |path| {
        std::fs::write(path, vec![0xff; 1 << 20]).unwrap()
    });
    refused("the magic and no more", |path| {
        std::fs::write(path, b"SHMKIT\r\n").unwrap()
    });
    refused("the magic and zeros", |path| {
        let mut bytes = vec![0; 1 << 16];
        bytes[..8].copy_from_slice(b"SHMKIT\r\n");
        std::fs::write(path, bytes).unwrap();
    });
    refused("a sparse terabyte", |path| {
        std::fs::File::create(path)
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
    });
}

#[test]
fn things_that_are_no_regular_files_are_told_from_segments() {
    refused("a directory", |path| std::fs::create_dir(path).unwrap());
    refused("a FIFO", |path| {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
    });
    refused("a socket", |path| {
        drop(std::os::unix::net::UnixListener::bind(path).unwrap())
    });
    refused("a symlink to nothing", |path| {
        std::os::unix::fs::symlink("/nonexistent", path).unwrap();
    });
    refused("a symlink to itself", |path| {
        std::os::unix::fs::symlink(path, path).unwrap()
    });
    let ring = Ring::new(2, "1K");
    refused("a symlink to a ring", |path| {
        std::os::unix::fs::symlink(ring.path(), path).unwrap();
    });
    let outside = Pattern::new(1, 100_000).file();
    refused("a symlink to a file elsewhere", |path| {
        std::os::unix::fs::symlink(outside.path(), path).unwrap();
    });
    assert_eq!(
        std::fs::read(outside.path()).unwrap(),
        Pattern::new(1, 100_000).bytes()
    );
}

/// A ring of 4 x 1K whose bytes `spoil` changes.
fn spoilt(spoil: impl FnOnce(&std::fs::File)) -> Name {
    let ring = Ring::new(4, "1K");
    shm(&["write", &ring.name])
        .input("some data")
        .run()
        .exits(0);
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(ring.path())
        .unwrap();
    spoil(&file);
    ring.name
}

/// Writes the right CRC over a header whose fields were changed.
fn seal(file: &std::fs::File) {
    let mut header = [0; CRC_SPAN];
    file.read_exact_at(&mut header, 0).unwrap();
    file.write_all_at(&crc32c::crc32c(&header).to_le_bytes(), CRC_SPAN as u64)
        .unwrap();
}

#[test]
fn another_layout_version_is_refused_and_named() {
    for version in [0u32, LAYOUT_VERSION - 1, LAYOUT_VERSION + 1, 7777] {
        let name = spoilt(|file| {
            file.write_all_at(
                &version.to_le_bytes(),
                offset_of!(RawHeader, layout_version) as u64,
            )
            .unwrap();
            seal(file);
        });
        all_refuse(&name, "another version");
        let line = shm(&["inspect", &name]).run().fails(5).stderr;
        assert!(
            line.contains("version") && line.contains(&version.to_string()),
            "{line:?}"
        );
    }
}

#[test]
fn a_cut_or_grown_segment_is_refused() {
    for change in [-4096, -1, 1, 4096] {
        let name = spoilt(|file| {
            let size = file.metadata().unwrap().len();
            file.set_len(size.checked_add_signed(change).unwrap())
                .unwrap();
        });
        all_refuse(&name, "another size than the header says");
    }
    for size in [1, 7, 8, 100, 152, 155, 156, 4095, 4096, 5000, 36_864] {
        let name = spoilt(|file| file.set_len(size).unwrap());
        all_refuse(&name, "cut");
    }
}

#[test]
fn no_byte_of_the_header_may_be_another() {
    let ring = Ring::new(4, "1K");
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(ring.path())
        .unwrap();
    for at in 0..CRC_SPAN as u64 + 4 {
        let mut before = [0];
        file.read_exact_at(&mut before, at).unwrap();
        file.write_all_at(&[before[0] ^ 1 << (at % 8)], at).unwrap();
        for command in ["inspect", "read", "write"] {
            let done = shm(&[command, &ring.name]).run_within(SECONDS);
            assert_eq!(done.code(), 5, "byte {at}: {command}: {:?}", done.stderr);
            done.fails(5);
        }
        file.write_all_at(&before, at).unwrap();
    }
    shm(&["write", &ring.name])
        .input("well again")
        .run()
        .exits(0);
    assert_eq!(
        shm(&["read", &ring.name]).run().exits(0).stdout,
        b"well again"
    );
}

#[test]
fn a_hostile_header_with_the_right_crc_is_refused() {
    let word = |at: usize, value: u64| (at as u64, value.to_le_bytes().to_vec());
    let half = |at: usize, value: u32| (at as u64, value.to_le_bytes().to_vec());
    let geometry = offset_of!(RawHeader, geometry);
    let total = offset_of!(RawHeader, total_size);
    let structure = offset_of!(RawHeader, structure_offset);
    let payload = offset_of!(RawHeader, payload_offset);
    let mut table = Vec::new();
    for value in [
        0,
        1,
        5,
        1 << 20,
        (1 << 20) + 1,
        1 << 32,
        u64::MAX / 2,
        u64::MAX,
    ] {
        table.push(("nodes", word(geometry, value)));
    }
    for value in [
        0,
        1 << 30,
        (1 << 30) + 1,
        1 << 50,
        u64::MAX - 4095,
        u64::MAX,
    ] {
        table.push(("node size", word(geometry + 8, value)));
    }
    for value in [7, u64::MAX] {
        table.push(("delivery", word(geometry + 16, value)));
        table.push(("wait", word(geometry + 24, value)));
    }
    for value in [0, 1, 4096, u64::MAX] {
        table.push(("total size", word(total, value)));
        table.push(("structure offset", word(structure, value)));
        table.push(("payload offset", word(payload, value)));
        table.push((
            "participants offset",
            word(offset_of!(RawHeader, participants_offset), value ^ 8192),
        ));
    }
    table.push(("structure offset", word(structure, 36_864 + 8)));
    table.push(("payload offset", word(payload, 36_864 + 4096 + 1)));
    for value in [0, 1, 127, 129, 2048, u32::MAX] {
        table.push((
            "participants",
            half(offset_of!(RawHeader, participants), value),
        ));
    }
    for value in [0, 4, 77, u32::MAX] {
        table.push(("kind", half(offset_of!(RawHeader, kind), value)));
    }
    for value in [0, 64, 8192, u32::MAX] {
        table.push((
            "header size",
            half(offset_of!(RawHeader, header_size), value),
        ));
    }
    for (field, (at, bytes)) in table {
        let name = spoilt(|file| {
            file.write_all_at(&bytes, at).unwrap();
            seal(file);
        });
        for command in ["inspect", "read", "write"] {
            let done = shm(&[command, &name]).run_within(SECONDS);
            assert_eq!(
                done.code(),
                5,
                "{field} {bytes:?}: {command}: {:?}",
                done.stderr
            );
            done.fails(5);
        }
    }
}

#[test]
fn a_ring_whose_changing_words_are_garbage_kills_hangs_and_floods_nobody() {
    // All but the immutable header: participants, cursors, cells, nodes.
    let mut seed = 0x1234_5678_9abc_def1u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for turn in 0..24 {
        let name = spoilt(|file| {
            let size = file.metadata().unwrap().len();
            let from = [160, 4096, 36_864, 40_960][turn % 4] / 8;
            let words = [(size / 8 - from), 200, 20][turn % 3];
            for _ in 0..words {
                let at = (from + random() % (size / 8 - from)) * 8;
                let value = match turn % 5 {
                    0 => u64::MAX,
                    1 => random() % 8,
                    2 => random() & 0xffff_0000_0000_ffff,
                    _ => random(),
                };
                file.write_all_at(&value.to_le_bytes(), at).unwrap();
            }
        });
        let any = [0, 3, 4, 5, 6];
        for _ in 0..2 {
            shm(&["inspect", &name])
                .run_within(SECONDS)
                .exits_one_of(&[0, 5]);
            shm(&["inspect", &name, "--nodes", "--json"])
                .run_within(SECONDS)
                .exits_one_of(&[0, 5]);
            shm(&["list", "--json"]).run_within(SECONDS).exits(0);
            let write = shm(&["write", &name, "--timeout", "300ms"]).input("more data");
            write.run_within(SECONDS).exits_one_of(&[0, 4, 5, 6, 1]);
            let read = shm(&["read", &name, "--timeout", "300ms"]).stdout(Stdio::piped());
            read.run_within(SECONDS)
                .exits_one_of(&[any.as_slice(), &[1]].concat());
        }
        shm(&["remove", "--force", &name])
            .run_within(SECONDS)
            .exits_one_of(&[0, 5]);
    }
}

#[test]
fn an_other_users_segment_is_not_trusted() {
    if !rustix::process::getuid().is_root() {
        skipped("only root can make other users' files");
        return;
    }
    let ring = Ring::new(2, "1K");
    std::os::unix::fs::chown(ring.path(), Some(65_534), Some(65_534)).unwrap();
    shm(&["read", &ring.name, "--no-wait"])
        .run()
        .fails_with_one_of(&[1, 5]);
    shm(&["write", &ring.name])
        .input("x")
        .run()
        .fails_with_one_of(&[1, 5]);
}

#[test]
fn a_segment_without_permission_is_an_error_and_not_a_corruption() {
    let ring = Ring::with(&["--mode", "0600"]);
    if !rustix::process::getuid().is_root() {
        std::fs::set_permissions(ring.path(), std::fs::Permissions::from_mode(0o000)).unwrap();
        shm(&["read", &ring.name]).run().fails(1);
        shm(&["inspect", &ring.name]).run().fails(1);
        return;
    }
    // Permissions do not bind root: be somebody else.
    let Some(other) = Other::new() else {
        return;
    };
    for command in ["read", "write", "inspect", "remove"] {
        other.shm(&[command, &ring.name]).run().fails(1);
    }
    other.shm(&["list"]).run().exits(0);
    assert!(ring.name.exists());
}

// ---- inputs -----------------------------------------------------------------

#[test]
fn an_unreadable_input_is_an_error_that_names_it_and_nothing_is_published_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let good = Pattern::new(1, 5_000);
    let file = good.file();
    let mut bad = vec![
        missing.as_path(),
        directory.path(),
        Path::new("/proc/self/mem"),
    ];
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&secret).is_err() {
        bad.push(&secret); // root reads everything
    }
    for path in bad {
        let ring = Ring::new(20, "1K");
        let done = shm(&["write", &ring.name]).arg(path).run().fails(1);
        assert!(
            done.error_line().contains(path.to_str().unwrap()),
            "{:?}",
            done.stderr
        );
        assert_eq!(ring.number("written_nodes"), 0);

        // As the second of two: the first may have gone through, whole.
        let ring = Ring::new(20, "1K");
        let done = shm(&["write", &ring.name])
            .arg(file.path())
            .arg(path)
            .run()
            .fails(1);
        assert!(
            done.error_line().contains(path.to_str().unwrap()),
            "{:?}",
            done.stderr
        );
        let left = shm(&["read", &ring.name, "--no-wait"]).run().stdout;
        assert!(
            left.is_empty() || left == good.bytes(),
            "{} bytes of 5000",
            left.len()
        );
        assert_eq!(ring.state("writing"), 0);
        assert_eq!(ring.living("writer"), 0);
    }
}

#[test]
fn a_directory_as_stdin_is_an_error() {
    let ring = Ring::new(2, "1K");
    let directory = std::fs::File::open("/tmp").unwrap();
    shm(&["write", &ring.name]).stdin(directory).run().fails(1);
    assert_eq!(ring.number("written_nodes"), 0);
}

// ---- no room ----------------------------------------------------------------

#[test]
fn a_ring_larger_than_dev_shm_is_refused_with_both_sizes_and_leaves_nothing() {
    let name = Name::unused();
    let used = || {
        let stat = rustix::fs::statvfs("/dev/shm").unwrap();
        (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    };
    let before = used();
    let done = shm(&["create", "ring", &name, "-n", "1048576", "-b", "1G"]).run_within(SECONDS);
    let line = done.fails(1).stderr;
    assert!(line.contains("free"), "{line:?} says how much is free");
    let numbers = line.split(|c: char| !c.is_ascii_digit() && c != '.');
    let numbers = numbers
        .filter(|n| n.starts_with(|c: char| c.is_ascii_digit()))
        .count();
    assert!(
        numbers >= 2,
        "{line:?} says how much is needed and how much is free"
    );
    assert!(!name.exists());
    // Others use /dev/shm too: what matters is that no petabyte is missing.
    assert!(used() < before + (8 << 30));
}

#[test]
fn a_full_dev_shm_is_an_error_and_leaves_nothing_behind() {
    let script = r#"
        shm create ring fits -n 2 -b 4M || exit 90
        for turn in 1 2 3; do
            shm create ring tight -n 2 -b 4M; [ $? = 1 ] || exit 91
            [ "$(ls -A /dev/shm)" = fits ] || { ls -lA /dev/shm >&2; exit 92; }
        done
        shm inspect fits >/dev/null || exit 93
        head -c 30M /dev/zero >/dev/shm/filler 2>/dev/null
        echo data | shm write fits || exit 94
        [ "$(shm read fits)" = data ] || exit 95
        shm remove fits || exit 96
    "#;
    if let Some(done) = in_private_shm("15m", script) {
        let lines: Vec<_> = done.stderr.lines().collect();
        assert!(
            lines.len() == 3 && lines.iter().all(|l| l.starts_with("shm: ")),
            "{lines:?}"
        );
        assert!(lines.iter().all(|l| l.contains("free")), "{lines:?}");
        done.exits(0);
    }
}

#[test]
fn stale_removes_what_nobody_uses_and_nothing_else() {
    let script = r#"
        echo foreign >/dev/shm/foreign; : >/dev/shm/empty; mkdir /dev/shm/directory
        ln -s foreign /dev/shm/link; mkfifo /dev/shm/fifo
        shm create ring idle || exit 90
        shm create ring used || exit 91
        shm create ring left || exit 92
        echo data | shm write left || exit 93
        shm read used & reader=$!
        until [ "$(shm inspect used --json | grep -o '"alive": *true' | wc -l)" = 1 ]; do :; done
        shm remove --stale >/dev/null || exit 94
        found=$(ls -A /dev/shm | tr '\n' ' ')
        [ "$found" = "directory empty fifo foreign link used " ] || { echo "$found" >&2; exit 95; }
        [ "$(cat /dev/shm/foreign)" = foreign ] || exit 96
        kill -KILL $reader; wait $reader 2>/dev/null
        shm remove --stale >/dev/null || exit 97
        [ ! -e /dev/shm/used ] || exit 98
    "#;
    if let Some(done) = in_private_shm("32m", script) {
        done.exits(0);
    }
}

// ---- descriptors closed at the start, output that is no output --------------

/// `shm ARGS` with some of 0, 1 and 2 closed, as bit mask.
fn closed(mask: u32, args: &[&str]) -> Shm {
    let mut script = String::from(r#"exec "$0" "$@""#);
    for (bit, closing) in [" <&-", " >&-", " 2>&-"].into_iter().enumerate() {
        if mask >> bit & 1 == 1 {
            script.push_str(closing);
        }
    }
    Shm::program("bash")
        .args(&["-c", &script, env!("CARGO_BIN_EXE_shm")])
        .args(args)
}

#[test]
fn standard_descriptors_closed_at_the_start_do_no_harm() {
    let pattern = Pattern::new(1, 300_000);
    let input = pattern.file();
    for mask in 0..8 {
        let name = Name::unused();
        closed(mask, &["create", "ring", &name, "-n", "20", "-b", "16K"])
            .run()
            .exits(0);
        let header = || std::fs::read(name.path()).unwrap()[..160].to_vec();
        let before = header();
        // Files in, file out: nothing is missing, so all must be right.
        closed(mask, &["write", &name, input.path().to_str().unwrap()])
            .run()
            .exits(0);
        let output = tempfile::NamedTempFile::new().unwrap();
        closed(
            mask,
            &["read", &name, "-o", output.path().to_str().unwrap()],
        )
        .run()
        .exits(0);
        pattern
            .verify(&mut output.reopen().unwrap())
            .is_whole(&pattern);
        // Without input or output: an error, or nothing, but no harm.
        closed(mask, &["write", &name]).run().exits_one_of(&[0, 1]);
        shm(&["write", &name, "--keep-open"])
            .input("one node")
            .run()
            .exits(0);
        closed(mask, &["read", &name, "--no-wait"])
            .run()
            .exits_one_of(&[0, 1]);
        closed(mask, &["write", &name, "/nonexistent"])
            .run()
            .exits(1);
        closed(mask, &["inspect", &name])
            .run()
            .exits_one_of(&[0, 1]);
        closed(mask, &["inspect", &name, "--json"])
            .run()
            .exits_one_of(&[0, 1]);
        closed(mask, &["list"]).run().exits_one_of(&[0, 1]);
        closed(mask, &["frobnicate"]).run().exits(2);
        assert!(
            header() == before,
            "mask {mask}: something was printed into the segment"
        );
        shm(&["inspect", &name]).run().exits(0);
        closed(mask, &["remove", &name]).run().exits(0);
        assert!(!name.exists());
    }
}

#[test]
fn a_stderr_that_nobody_reads_is_no_reason_to_fail() {
    let ring = Ring::new(20, "16K");
    let broken = || {
        let (read_end, write_end) = std::io::pipe().unwrap();
        drop(read_end);
        write_end
    };
    let write = shm(&[
        "write",
        &ring.name,
        "--json",
        "--progress",
        "--interval",
        "10ms",
    ]);
    write
        .input(vec![1; 100_000])
        .stderr(broken())
        .run()
        .exits(0);
    let read = shm(&["read", &ring.name, "--stats", "--progress"])
        .stderr(broken())
        .run();
    assert_eq!(read.exits(0).stdout.len(), 100_000);
    shm(&["read", "no-such-segment"])
        .stderr(broken())
        .run()
        .exits(1);
    shm(&["frobnicate"]).stderr(broken()).run().exits(2);
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    shm(&["write", &ring.name, "--stats"])
        .input("x")
        .stderr(full)
        .run()
        .exits(0);
}

#[test]
fn a_report_into_a_closed_pipe_is_a_success_and_into_a_full_disk_an_error() {
    let ring = Ring::new(20, "16K");
    for args in [
        &["inspect", &ring.name][..],
        &["inspect", &ring.name, "--json"],
        &["list"],
        &["list", "--json"],
    ] {
        let (read_end, write_end) = std::io::pipe().unwrap();
        drop(read_end);
        shm(args).stdout(write_end).run().exits(0).silent();
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        shm(args).stdout(full).run().exits(1);
    }
}

// ---- signals and limits at awkward moments ----------------------------------

/// Temporaries of the process `pid` under /dev/shm.
fn temporaries_of(pid: u32) -> usize {
    let prefix = format!(".shmkit-{pid}-");
    let entries = std::fs::read_dir("/dev/shm").unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with(&prefix))
        .count()
}

#[test]
fn a_create_that_is_interrupted_leaves_nothing_behind() {
    let name = Name::unused();
    // Seconds of reserving, but for a signal.
    let creator = shm(&["create", "ring", &name, "-n", "6", "-b", "1G"]).start();
    let pid = creator.pid();
    until("it has begun", || temporaries_of(pid) > 0 || name.exists());
    creator.signal(Signal::INT);
    creator.finish_within(SECONDS).exits(130);
    assert_eq!(temporaries_of(pid), 0);
    assert!(!name.exists());
}

#[test]
fn an_interval_beyond_the_end_of_time_is_only_never_reached() {
    let ring = Ring::new(2, "1K");
    let never = "300000000000y";
    shm(&["read", &ring.name, "--interval", never, "--timeout", "50ms"])
        .run()
        .exits(4);
}

#[test]
fn an_output_that_reaches_the_file_size_limit_is_an_error_and_the_node_is_not_lost() {
    let ring = Ring::new(4, "64K");
    let pattern = Pattern::new(3, 200_000);
    shm(&["write", &ring.name, "--keep-open"])
        .input_pattern(&pattern)
        .run()
        .exits(0);
    let output = tempfile::NamedTempFile::new().unwrap();
    let script = r#"ulimit -f 4; exec "$0" "$@""#;
    Shm::program("bash")
        .args(&["-c", script, env!("CARGO_BIN_EXE_shm")])
        .args(&["read", &ring.name, "-o"])
        .arg(output.path())
        .run()
        .fails(1);
    shm(&["read", &ring.name, "--no-wait"])
        .verify(&pattern)
        .run()
        .exits(0)
        .verdict
        .unwrap()
        .is_whole(&pattern);
}
