//! Limits of the process, small: open files, file sizes, address space.

use crate::harness::{Done, Name, Ring, Shm, Store, shm};

/// `shm ARGS` under `ulimit FLAG VALUE`.
fn limited(flag: &str, value: u64, args: &[&str]) -> Shm {
    let script = format!(r#"ulimit {flag} {value} && exec "$0" "$@""#);
    Shm::program("bash")
        .args(&["-c", &script, env!("CARGO_BIN_EXE_shm")])
        .args(args)
        .env("RUST_BACKTRACE", "0")
}

/// Done; or failed, in one line. (That of a bench tells which row failed.)
#[track_caller]
fn done_or_refused(command: Shm) -> Done {
    let done = command.run().exits_one_of(&[0, 1]);
    if done.code() == 1 {
        done.error_line();
    }
    done
}

/// A ring with a node in it, an array, a buffer; and what may be done to them.
struct Scene {
    ring: Ring,
    array: Store,
    buffer: Store,
    new: Name,
    output: tempfile::NamedTempFile,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            ring: Ring::new(4, "64K"),
            array: Store::array("u32", 3),
            buffer: Store::buffer("200K"),
            new: Name::unused(),
            output: tempfile::NamedTempFile::new().unwrap(),
        }
    }

    /// Every command under the limit, and nothing left of those that fail.
    #[track_caller]
    fn play(&self, flag: &str, value: u64) -> Vec<Done> {
        let (new, output) = (&*self.new, self.output.path().to_str().unwrap());
        let create: [&[&str]; 3] = [
            &["create", "ring", new, "-n", "2", "-b", "64K"],
            &["create", "array", new, "--type", "u64", "--len", "9"],
            &["create", "buffer", new, "--size", "100K"],
        ];
        let mut played = Vec::new();
        for args in create {
            let done = done_or_refused(limited(flag, value, args));
            assert_eq!(done.code() == 0, self.new.exists(), "{}", done.stderr);
            if done.code() == 0 {
                shm(&["remove", new]).run().exits(0);
            }
            played.push(done);
        }
        shm(&["write", &self.ring.name, "--keep-open"])
            .input_file([7; 100_000])
            .run()
            .exits(0);
        let use_them: [&[&str]; 9] = [
            &["write", &self.ring.name, "--keep-open"],
            &["read", &self.ring.name, "--no-wait", "-o", output],
            &["write", &self.array.name, "1", "2", "3"],
            &["read", &self.array.name, "-o", output],
            &["write", &self.buffer.name],
            &["read", &self.buffer.name, "-o", output],
            &["inspect", &self.ring.name],
            &["list"],
            &["lock", &self.array.name, "--", "true"],
        ];
        for args in use_them {
            let command = limited(flag, value, args).input_file([8; 60_000]);
            played.push(done_or_refused(command));
        }
        let bench = [
            "bench",
            "-n",
            "2",
            "-b",
            "1K",
            "--elements",
            "50",
            "--baseline",
            "none",
        ];
        played.push(done_or_refused(limited(flag, value, &bench)));
        // Nobody was hurt.
        assert_eq!(
            (self.ring.living("reader"), self.ring.living("writer")),
            (0, 0)
        );
        assert_eq!(
            (self.array.living("reader"), self.array.living("writer")),
            (0, 0)
        );
        shm(&["read", &self.ring.name, "--no-wait"]).run().exits(0);
        assert!(self.ring.is_drained());
        played
    }
}

#[test]
fn few_open_files_are_an_error_of_one_line_and_harm_nobody() {
    let scene = Scene::new();
    // With fewer than 4 no program that has libraries starts at all.
    for most in (4..=12).chain([16]) {
        let played = scene.play("-n", most);
        let failed = played.iter().filter(|done| done.code() == 1);
        assert!(
            failed
                .clone()
                .all(|done| done.stderr.contains("Too many open files"))
        );
        match most {
            4 => assert!(failed.count() >= 8, "it is no limit"),
            16 => assert_eq!(failed.count(), 0, "it needs more than it used to"),
            _ => {}
        }
    }
}

#[test]
fn a_small_limit_on_file_sizes_is_an_error_of_one_line_and_no_signal() {
    let scene = Scene::new();
    for most in [0, 1, 100] {
        let played = scene.play("-f", most);
        let codes: Vec<_> = played.iter().map(Done::code).collect();
        assert_eq!(
            codes[..3],
            [1, if most == 100 { 0 } else { 1 }, 1],
            "creates"
        );
        // What is there already does not grow: writing to it is no matter of
        // file sizes, and writing *from* it into a file is.
        assert_eq!([codes[3], codes[5], codes[7]], [0; 3], "writes");
        assert_eq!(codes[8], 1, "a read of 200K into a file");
    }
}

#[test]
fn reports_into_a_file_that_may_not_grow_are_an_error_and_no_signal() {
    let scene = Scene::new();
    for args in [
        &["inspect", &*scene.ring.name][..],
        &["inspect", &scene.buffer.name, "--data"],
        &["inspect", &scene.array.name, "--json"],
        &["list"],
        &["list", "--json"],
        &[
            "create",
            "buffer",
            &scene.buffer.name,
            "--size",
            "200K",
            "--if-not-exists",
            "--json",
        ],
        &["read", &scene.array.name],
    ] {
        let file = tempfile::tempfile().unwrap();
        limited("-f", 0, args)
            .stdout(file)
            .run()
            .exits(1)
            .error_line();
    }
    // An error that cannot be told is no reason to die either.
    for args in [
        &["inspect", "no-such-segment"][..],
        &["read", "no-such-segment"],
    ] {
        let file = tempfile::tempfile().unwrap();
        limited("-f", 0, args).stderr(file).run().exits(1);
    }
}

#[test]
fn the_command_of_a_lock_dies_of_its_file_size_limit_as_it_would_without() {
    let scene = Scene::new();
    let output = scene.output.path().to_str().unwrap();
    let script = r#"exec head -c 100000 /dev/zero >"$1""#;
    let lock = [
        "lock",
        &*scene.array.name,
        "--",
        "sh",
        "-c",
        script,
        "-",
        output,
    ];
    limited("-f", 1, &lock).run().exits(128 + libc::SIGXFSZ);
}

/// The least address space, in KiB and up to some 100 of them, in which this
/// program can begin to run, in this build and on this machine.
fn least_to_begin() -> u64 {
    let begins = |kib: &u64| limited("-v", *kib, &["list"]).run().status.success();
    let mut least = (2000..1_000_000).step_by(500);
    let some = least.find(begins).expect("it runs in a gigabyte");
    (some - 500..=some).step_by(100).find(begins).unwrap()
}

#[test]
fn little_address_space_is_an_error_of_one_line_and_harms_nobody() {
    let scene = Scene::new();
    let least = least_to_begin();
    // At the very edge the language's runtime dies, of anything it needs.
    for more in [500, 600, 800, 1000, 1500, 2000, 3000, 5000] {
        let played = scene.play("-v", least + more);
        let said = |done: &Done| {
            let reasons = [
                "Cannot allocate memory",
                "out of memory",
                "temporarily unavailable",
            ];
            reasons.iter().any(|reason| done.stderr.contains(reason))
        };
        // (A bench says how its worker ended, whatever that was.)
        let (_bench, played) = played.split_last().unwrap();
        let mut failed = played.iter().filter(|done| done.code() == 1);
        assert!(failed.all(said), "{played:?}");
    }
}

#[test]
fn a_segment_larger_than_the_address_space_can_be_looked_at_but_not_used() {
    let (ring, buffer, new) = (Ring::new(2, "32M"), Store::buffer("64M"), Name::unused());
    let kib = least_to_begin() + (40 << 10);
    let limited = |args: &[&str]| limited("-v", kib, args);
    for args in [
        &["create", "buffer", &*new, "--size", "64M"][..],
        &["write", &ring.name],
        &["read", &ring.name],
        &["write", &buffer.name],
        &["read", &buffer.name],
        &["lock", &buffer.name, "--", "true"],
    ] {
        let line = limited(args).run().fails(1).stderr;
        assert!(line.ends_with(": Cannot allocate memory\n"), "{line:?}");
    }
    assert!(!new.exists());
    limited(&["inspect", &ring.name]).run().exits(0).silent();
    limited(&["inspect", &buffer.name, "--json"])
        .run()
        .exits(0)
        .silent();
    limited(&["list"]).run().exits(0).silent();
    limited(&["remove", &ring.name]).run().exits(0);
}

/// A copy of what is read is a convenience: without memory for it the lock is
/// held for longer, and all of it is printed.
#[test]
fn a_read_without_memory_for_its_copy_is_whole() {
    let buffer = Store::buffer("8M");
    let bytes = crate::harness::Pattern::new(4, 8 << 20);
    buffer.write(&[bytes.file().path()]).run().exits(0);
    let kib = least_to_begin() + (12 << 10);
    let read = limited("-v", kib, &["read", &buffer.name])
        .verify(&bytes)
        .run();
    read.exits(0).silent().verdict.unwrap().is_whole(&bytes);
    // A writer must have all of it before it stores any.
    let line = limited("-v", kib, &["write", &buffer.name])
        .input_pattern(&bytes)
        .run()
        .fails(1)
        .stderr;
    assert!(line.ends_with(": out of memory\n"), "{line:?}");
    assert!(
        line.contains(&*buffer.name),
        "{line:?} says what it is about"
    );
}
