//! 0, 1 and 2 closed at the start, each of them and all. Rings and arrays have
//! this in `bad_input.rs` and `array_bad_input.rs`; here are the commands that
//! start others, and those that only print.

use crate::harness::{Name, SECONDS, Shm, Store, shm};

/// `shm ARGS` with those of 0, 1 and 2 closed whose bit is set.
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
fn a_bench_without_standard_descriptors_measures_all_the_same() {
    for mask in 0..8 {
        let output = tempfile::NamedTempFile::new().unwrap();
        let path = output.path().to_str().unwrap();
        let bench = ["bench", "-n", "2", "-b", "1K", "--elements", "200"];
        let bench = closed(mask, &bench).args(&["--baseline", "pipe", "--verify"]);
        bench
            .args(&["--format", "json", "-o", path])
            .run_within(2 * SECONDS)
            .exits(0);
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(report["runs"][0]["verified"], true, "mask {mask}");
        assert_eq!(report["baselines"][0]["name"], "pipe", "mask {mask}");
    }
}

#[test]
fn a_lock_without_standard_descriptors_runs_its_command() {
    let store = Store::array("u8", 4);
    for mask in 0..8 {
        let before = std::fs::read(store.name.path()).unwrap()[..160].to_vec();
        let value = format!("{}", 10 + mask);
        closed(
            mask,
            &[
                "lock",
                &store.name,
                "--",
                "shm",
                "write",
                &store.name,
                &value,
            ],
        )
        .with_shm_on_path()
        .run()
        .exits(0);
        assert_eq!(store.text(), format!("{value}\n0\n0\n0\n"), "mask {mask}");
        closed(mask, &["lock", &store.name, "--", "sh", "-c", "exit 7"])
            .run()
            .exits(7);
        let after = std::fs::read(store.name.path()).unwrap()[..160].to_vec();
        assert!(after == before, "mask {mask}: printed into the segment");
    }
}

#[test]
fn buffers_and_reports_without_standard_descriptors() {
    for mask in 0..8 {
        let name = Name::unused();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"some bytes").unwrap();
        let path = file.path().to_str().unwrap();
        closed(mask, &["create", "buffer", &name, "--size", "10"])
            .run()
            .exits(0);
        closed(mask, &["write", &name, path]).run().exits(0);
        std::fs::write(file.path(), b"").unwrap();
        closed(mask, &["read", &name, "-o", path]).run().exits(0);
        assert_eq!(std::fs::read(path).unwrap(), b"some bytes", "mask {mask}");
        // Reports: onto a closed stdout they are an error or nothing.
        for args in [
            &["inspect", &*name][..],
            &["inspect", &name, "--json"],
            &["inspect", &name, "--data"],
            &["list"],
            &["list", "--json"],
            &["--help"],
            &["--version"],
        ] {
            closed(mask, args).run().exits_one_of(&[0, 1]);
        }
        closed(mask, &["write", &name]).run().exits_one_of(&[0, 1]);
        shm(&["inspect", &name]).run().exits(0);
        closed(mask, &["remove", &name]).run().exits(0);
        assert!(!name.exists());
    }
}
