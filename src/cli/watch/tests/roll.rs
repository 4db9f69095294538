//! Segments that come and go.

use super::*;
use crate::cli::watch::roll::Roll;

fn named(name: &str, made: u64, ms: u64) -> (String, Result<Look, String>) {
    let mut snapshot = moved(ring(20, 1_000_000), ms / 10, ms / 10);
    snapshot.name = name.to_owned();
    snapshot.created_unix_ns = made;
    (name.to_owned(), Ok(look(ms, snapshot)))
}

/// `+` new, `-` gone, ` ` neither, in the order of names.
fn news(roll: &Roll) -> String {
    let sign = |line: &crate::cli::watch::roll::Line| match (line.vanished, line.appeared) {
        (Some(_), _) => '-',
        (None, Some(_)) => '+',
        (None, None) => ' ',
    };
    let lines = roll.lines.iter();
    lines
        .map(|(name, line)| format!("{name}{}", sign(line)))
        .collect()
}

fn at(roll: &mut Roll, ms: u64, found: &[(&str, u64)]) -> String {
    let found = found.iter().map(|&(name, made)| named(name, made, ms));
    roll.advance(Duration::from_millis(ms), found.collect());
    news(roll)
}

#[test]
fn what_comes_and_goes_is_told_for_three_seconds() {
    let mut roll = Roll::default();
    assert_eq!(
        at(&mut roll, 0, &[("a", 1), ("b", 1)]),
        "a b ",
        "nothing is new at first"
    );
    assert_eq!(at(&mut roll, 1000, &[("a", 1), ("c", 1)]), "a b-c+");
    assert_eq!(at(&mut roll, 3900, &[("a", 1), ("c", 1)]), "a b-c+");
    assert_eq!(roll.present().count(), 2);
    assert_eq!(at(&mut roll, 4000, &[("a", 1), ("c", 1)]), "a c ");
}

#[test]
fn one_made_anew_under_its_name_is_new_and_has_no_past() {
    let mut roll = Roll::default();
    at(&mut roll, 0, &[("a", 1)]);
    at(&mut roll, 1000, &[("a", 1)]);
    let rate = |roll: &Roll| {
        roll.lines["a"]
            .seen
            .as_ref()
            .unwrap()
            .rates
            .map(|r| r.written_mb)
    };
    assert_eq!(rate(&roll), Some(100.0));
    assert_eq!(at(&mut roll, 2000, &[("a", 2)]), "a+");
    assert_eq!(rate(&roll), None);
    at(&mut roll, 3000, &[]);
    assert_eq!(
        at(&mut roll, 3500, &[("a", 2)]),
        "a+",
        "also one that was away for a while"
    );
}

#[test]
fn what_cannot_be_looked_at_says_why_until_it_can() {
    let mut roll = Roll::default();
    let broken = || BTreeMap::from([("a".to_owned(), Err("not ours".to_owned()))]);
    roll.advance(Duration::ZERO, broken());
    assert_eq!(roll.lines["a"].seen.as_ref().unwrap_err(), "not ours");
    assert_eq!(
        at(&mut roll, 1000, &[("a", 1)]),
        "a ",
        "it is no new one for that"
    );
    assert!(roll.lines["a"].seen.is_ok());
    roll.advance(Duration::from_secs(2), broken());
    assert!(roll.lines["a"].seen.is_err());
}
