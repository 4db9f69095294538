//! `scripts/install.sh` into directories of its own: what is there afterwards,
//! and that nothing is after --uninstall.

use super::harness::{Done, Shm, executable};
use super::have;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const SHM: &str = env!("CARGO_BIN_EXE_shm");

fn install(arguments: &[&str]) -> Shm {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/install.sh");
    Shm::program("bash").args(&[script]).args(arguments)
}

/// All files and directories below, sorted.
fn below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            found.push(entry.path());
            if entry.path().is_dir() {
                left.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

fn lines(done: &Done, what: &str) -> usize {
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    said.lines().filter(|line| line.starts_with(what)).count()
}

#[test]
fn what_is_installed_works_and_goes_away_again() {
    let home = tempfile::tempdir().unwrap();
    let prefix = home.path().join("a prefix/usr");
    let at = |path: &str| prefix.join(path);
    let flags = ["--prefix", prefix.to_str().unwrap(), "--shm", SHM];
    let first = install(&flags).run().exits(0).silent();
    let files = lines(&first, "installed ");
    assert!(files > 15, "{files}");

    let version = Shm::program(at("bin/shm").to_str().unwrap()).args(&["--version"]);
    assert!(version.run().exits(0).stdout.starts_with(b"shm "));
    for path in [
        "share/man/man1/shm.1",
        "share/man/man1/shm-create-ring.1",
        "share/bash-completion/completions/shm",
        "share/zsh/site-functions/_shm",
        "share/fish/vendor_completions.d/shm.fish",
    ] {
        let mode = fs::metadata(at(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{path}");
    }
    if have("man") {
        let man = Shm::program("man").args(&["-w", "shm-read"]);
        let found = man
            .env("MANPATH", at("share/man").as_os_str())
            .run()
            .exits(0);
        let found = String::from_utf8(found.stdout).unwrap();
        assert_eq!(Path::new(found.trim()), at("share/man/man1/shm-read.1"));
    }

    // Again: nothing changes, but for what was lost meanwhile.
    fs::remove_file(at("bin/shm")).unwrap();
    let before = below(home.path()).len();
    let second = install(&flags).run().exits(0).silent();
    assert_eq!(
        (lines(&second, "installed "), lines(&second, "unchanged ")),
        (1, files - 1)
    );
    assert_eq!(below(home.path()).len(), before + 1);

    // What somebody else has put there stays.
    fs::write(at("bin/other"), "").unwrap();
    let gone = install(&["--uninstall", flags[0], flags[1]]);
    let gone = gone.run().exits(0).silent();
    assert!(lines(&gone, "removed ") > files);
    assert_eq!(below(&prefix), [at("bin"), at("bin/other")]);
    install(&["--uninstall", flags[0], flags[1]]).run().exits(1);
}

#[test]
fn uninstall_leaves_nothing_of_what_was_made() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("pkg/share")).unwrap();
    let before = below(home.path());
    let stage = |arguments: &[&str]| {
        let script = install(arguments).args(&["--prefix", "/pkg"]);
        script.env("DESTDIR", home.path()).run().exits(0).silent()
    };
    let notes = stage(&["--shm", SHM]);
    assert_eq!(lines(&notes, "note: "), 0, "a package needs no advice");
    assert!(home.path().join("pkg/bin/shm").exists());
    stage(&["--uninstall"]);
    assert_eq!(below(home.path()), before);
}

#[test]
fn an_earlier_version_is_replaced_with_all_it_had() {
    let home = tempfile::tempdir().unwrap();
    let flags = ["--prefix", home.path().to_str().unwrap(), "--shm", SHM];
    install(&flags).run().exits(0);
    // It had a page that there is no more.
    let list = home.path().join("share/shmkit/installed");
    let old = home.path().join("share/man/man1/shm-old.1");
    fs::write(&old, "old").unwrap();
    let sum = Shm::program("sha256sum").arg(&old).run().exits(0).stdout;
    let sum = String::from_utf8(sum).unwrap();
    let entry = format!("{}  share/man/man1/shm-old.1\n", &sum[..64]);
    let listed = fs::read_to_string(&list).unwrap() + &entry;
    fs::write(&list, listed).unwrap();
    let done = install(&flags).run().exits(0);
    assert_eq!(lines(&done, "removed "), 1);
    assert!(!old.exists());
}

#[test]
fn what_somebody_has_replaced_since_is_kept_and_named() {
    let home = tempfile::tempdir().unwrap();
    let flags = ["--prefix", home.path().to_str().unwrap(), "--shm", SHM];
    install(&flags).run().exits(0);
    let theirs = home.path().join("bin/shm");
    fs::write(&theirs, "theirs").unwrap();
    let again = install(&flags).run().exits(1);
    assert!(
        again.stderr.contains("bin/shm: is there"),
        "{}",
        again.stderr
    );
    let gone = install(&["--uninstall", flags[0], flags[1]]).run().exits(0);
    assert_eq!(lines(&gone.silent(), "kept "), 1);
    assert_eq!(
        below(home.path()),
        [home.path().join("bin"), theirs.clone()]
    );
    assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
}

#[test]
fn directories_above_the_prefix_that_were_made_go_again_and_all_can_be_read() {
    let home = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/install.sh");
    let run = |more: &str| {
        let command = format!("umask 077; {script} --prefix x/a/b/ {more}");
        let bash = Shm::program("bash").args(&["-c", &command]);
        bash.directory(home.path()).run().exits(0).silent()
    };
    run(&format!("--shm {SHM}"));
    for path in ["x", "x/a/b/bin", "x/a/b/share/man/man1"] {
        let mode = fs::metadata(home.path().join(path)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o755, "{path}");
    }
    run("--uninstall");
    assert!(below(home.path()).is_empty());
}

#[test]
fn a_binary_may_be_named_without_a_slash() {
    let home = tempfile::tempdir().unwrap();
    executable(&home.path().join("shm"), fs::read(SHM).unwrap());
    // Another one is first on the path.
    let other = home.path().join("path/shm");
    fs::create_dir(other.parent().unwrap()).unwrap();
    executable(&other, "#!/bin/sh\necho another\n");
    let path = format!(
        "{}:{}",
        other.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let run = |shm: &str| {
        let flags = ["--prefix", "usr", "--shm", shm];
        install(&flags)
            .env("PATH", path.clone())
            .directory(home.path())
            .run()
    };
    run("shm").exits(0).silent();
    let completions = home
        .path()
        .join("usr/share/bash-completion/completions/shm");
    let completions = fs::read_to_string(completions).unwrap();
    assert!(completions.contains("SHM_COMPLETE"), "{completions}");
    let refused = run("path").exits(1);
    assert!(
        refused.stderr.ends_with("path: no program\n"),
        "{}",
        refused.stderr
    );
}

#[test]
fn what_is_not_ours_is_not_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let theirs = home.path().join("bin/shm");
    fs::create_dir(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "theirs").unwrap();
    let before = below(home.path());
    let flags = ["--prefix", home.path().to_str().unwrap(), "--shm", SHM];
    let done = install(&flags).run().exits(1);
    assert!(done.stderr.contains("bin/shm: is there"), "{}", done.stderr);
    assert_eq!(below(home.path()), before);
    assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
    for wrong in [&["--prefix"][..], &["--frobnicate"], &["--prefix", ""]] {
        install(wrong).run().exits(2);
    }
    install(&["--prefix", "/proc/none", "--shm", SHM])
        .run()
        .exits(1);
}
