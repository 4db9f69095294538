//! One name, wanted by several.

use crate::harness::{Name, Proc, shm};

const KINDS: [&[&str]; 3] = [
    &["ring", "-n", "3", "-b", "1K"],
    &["array", "--type", "u16", "--len", "5"],
    &["buffer", "--size", "70"],
];

/// Large enough that those who begin together meet at the end, too.
const LARGE: [&[&str]; 3] = [
    &["ring", "-n", "4", "-b", "2M"],
    &["array", "--type", "u64", "--len", "1M"],
    &["buffer", "--size", "8M"],
];

fn create(kind: &[&str], name: &Name) -> crate::harness::Shm {
    shm(&["create", kind[0], name]).args(&kind[1..])
}

#[test]
fn of_many_who_create_one_name_in_every_kind_one_wins_and_its_kind_stays() {
    for _ in 0..5 {
        let name = Name::unused();
        let started: Vec<_> = (0..12)
            .map(|i| (LARGE[i % 3][0], create(LARGE[i % 3], &name).start()))
            .collect();
        let mut winners = Vec::new();
        for (kind, proc) in started {
            let done = Proc::finish(proc).exits_one_of(&[0, 1]);
            if done.code() == 0 {
                winners.push(kind);
            } else {
                let done = done.fails(1);
                assert!(done.stderr.contains("already exists"), "{}", done.stderr);
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        let all = shm(&["inspect", &name, "--json"]).run().exits(0).json();
        assert_eq!(all["kind"], winners[0]);
        shm(&["remove", &name]).run().exits(0);
    }
}

#[test]
fn no_kind_is_made_over_another_nor_taken_for_it() {
    for (i, there) in KINDS.iter().enumerate() {
        let name = Name::unused();
        create(there, &name).run().exits(0);
        let before = std::fs::read(name.path()).unwrap();
        for (j, wanted) in KINDS.iter().enumerate() {
            create(wanted, &name).run().fails(1);
            let equal = create(wanted, &name).arg("--if-not-exists").run();
            if i == j {
                equal.exits(0).silent();
            } else {
                let line = equal.fails(1).stderr;
                assert!(line.contains(there[0]), "{line:?} says what is there");
            }
        }
        assert!(std::fs::read(name.path()).unwrap() == before);
    }
}
