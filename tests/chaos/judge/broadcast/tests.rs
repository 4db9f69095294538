//! Ledgers of broadcast rings with one thing wrong in each, and some in which nothing
//! is.

use super::super::super::ledger::Word::{self, *};
use super::super::Who;
use super::*;

const WRITER: Who = who(0);
/// When the writers are told to end.
const CLOSING: u64 = 1000;
const NODES: u64 = 2;

const fn who(seat: u32) -> Who {
    Who {
        seat,
        incarnation: 0,
    }
}

fn item(sequence: u64) -> Item {
    Item {
        seat: WRITER.seat,
        incarnation: WRITER.incarnation,
        sequence,
    }
}

/// A ledger: a word, the number of an item or how many were missed, and when.
fn account(who: Who, killed_ns: Option<u64>, lines: &[(Word, u64, u64)]) -> Account {
    let line = |&(word, sequence, at_ns): &(Word, u64, u64)| Line {
        word,
        item: item(sequence),
        since_ns: at_ns,
        at_ns,
    };
    Account {
        who,
        lines: lines.iter().map(line).collect(),
        killed_ns,
    }
}

/// A writer that commits item `i` from `10 i` to `10 i + 5`.
fn commits_from_1(count: u64) -> Account {
    let lines = (1..=count).flat_map(|i| [(Intent, i, 10 * i), (Committed, i, 10 * i + 5)]);
    let lines: Vec<_> = [(Attached, 0, 1)].into_iter().chain(lines).collect();
    account(WRITER, None, &lines)
}

/// A reader in `seat` that attaches at `from`, gets these at 500, and is then told how
/// many it missed.
fn reads(seat: u32, from: u64, items: &[u64], missed: u64, end: Option<Word>) -> Account {
    let got = items.iter().map(|i| (Got, *i, 500));
    let after = [(ReleasedMissed, missed, 501)].into_iter();
    let end = end.map(|word| (word, 0, CLOSING + 1));
    let lines = [(Attached, 0, from)].into_iter().chain(got).chain(after);
    let lines: Vec<_> = lines.chain(end).collect();
    account(who(seat), end.is_none().then_some(502), &lines)
}

#[track_caller]
fn faults(accounts: &[Account], drops: bool, expected: &[Fault]) -> Findings {
    let found = judge(accounts, CLOSING, NODES, drops);
    assert_eq!(found.faults, expected);
    found
}

const ENDED: Option<Word> = Some(EndedClean);

#[test]
fn each_reader_has_had_all_since_it_came() {
    let accounts = [
        commits_from_1(4),
        reads(4, 2, &[1, 2, 3, 4], 0, ENDED),
        reads(5, 17, &[2, 3, 4], 0, ENDED),
        // It attached in the midst of one's commit, which it may have or not.
        reads(6, 22, &[3, 4], 0, ENDED),
        // From the oldest.
        reads(7, 39, &[3, 4], 0, ENDED),
    ];
    let found = faults(&accounts, false, &[]);
    assert_eq!((found.items, found.open), (4, 0));
    assert_eq!(found.longest_gap_ns, CLOSING - 500);
}

#[test]
fn what_a_reader_did_not_get_it_must_have_been_told() {
    let by = who(4);
    let missing = |items: &[u64], told, end| {
        let accounts = [commits_from_1(4), reads(4, 2, items, told, end)];
        judge(&accounts, CLOSING, NODES, true).faults
    };
    let fault = |least, told| [Fault::Missing { by, least, told }];
    assert_eq!(missing(&[1, 2, 4], 1, ENDED), []);
    assert_eq!(missing(&[1, 2, 4], 0, ENDED), fault(1, 0));
    assert_eq!(missing(&[1, 2], 1, ENDED), fault(2, 1));
    assert_eq!(missing(&[], 3, ENDED), fault(4, 3));
    // One that was killed may not have come to the rest.
    assert_eq!(missing(&[1, 2], 0, None), []);
    assert_eq!(missing(&[1, 3], 0, None), fault(1, 0));
}

#[test]
fn it_is_not_told_of_more_than_there_were_and_of_none_if_nobody_drops() {
    let accounts = || [commits_from_1(4), reads(4, 22, &[4], 3, ENDED)];
    let fault = |most| Fault::NotMissed {
        by: who(4),
        most,
        told: 3,
    };
    faults(&accounts(), true, &[fault(2)]);
    faults(&accounts(), false, &[fault(2)]);
    let oldest = [commits_from_1(4), reads(7, 22, &[4], 3, ENDED)];
    faults(&oldest, true, &[]);
    let one = [commits_from_1(4), reads(4, 2, &[1, 2, 4], 1, ENDED)];
    let (by, most, told) = (who(4), 1, 1);
    faults(&one, false, &[Fault::NotMissed { by, most, told }]);
}

#[test]
fn each_item_comes_once_to_a_reader_and_from_one_who_meant_to_commit_it() {
    let by = who(4);
    let twice = [commits_from_1(2), reads(4, 2, &[1, 2, 2], 0, ENDED)];
    let found = judge(&twice, CLOSING, NODES, false).faults;
    assert!(found.contains(&Fault::Again { item: item(2), by }));
    let other = [commits_from_1(2), reads(4, 2, &[1, 2, 3], 0, ENDED)];
    faults(&other, false, &[Fault::Invented { item: item(3), by }]);
}

#[test]
fn what_was_committed_first_comes_first_to_each() {
    let wrong = [commits_from_1(3), reads(4, 2, &[1, 3, 2], 0, ENDED)];
    let fault = Fault::OutOfOrder {
        late: item(2),
        behind: item(3),
    };
    faults(&wrong, false, &[fault]);
}

#[test]
fn there_is_one_order_for_all() {
    // Three items that were committed at the same time, and nobody can say which
    // came first but the readers.
    let mut writer = commits_from_1(3);
    for line in &mut writer.lines {
        line.at_ns = match line.word {
            Committed => 45,
            _ => 10,
        };
    }
    let (one, two) = (
        reads(4, 2, &[1, 2, 3], 0, ENDED),
        reads(5, 2, &[1, 2, 3], 0, ENDED),
    );
    let found = judge(&[writer, one, two], CLOSING, NODES, false);
    assert_eq!(found.faults, []);
    let mut writer = commits_from_1(3);
    writer.lines.iter_mut().for_each(|line| {
        line.at_ns = if line.word == Committed { 45 } else { 10 };
    });
    // No two disagree on a pair that stands together.
    let readers = [[1, 2], [2, 3], [3, 1]].map(|got| reads(4, 2, &got, 1, ENDED));
    let mut accounts = vec![writer];
    accounts.extend(readers);
    faults(&accounts, true, &[Fault::Disorder { items: 3 }]);
}

#[test]
fn what_was_perhaps_committed_is_open() {
    let mut writer = commits_from_1(3);
    writer.lines.pop();
    writer.killed_ns = Some(40);
    let unclean = Some(EndedUnclean);
    let accounts = [writer, reads(4, 2, &[1, 2], 0, unclean)];
    let found = faults(&accounts, false, &[]);
    assert_eq!((found.items, found.open), (2, 1));
}
