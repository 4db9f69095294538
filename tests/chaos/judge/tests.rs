//! Ledgers with one thing wrong in each, and one in which nothing is.

use super::Word::*;
use super::*;

const WRITER: Who = who(0, 0);
/// When the writers are told to end.
const CLOSING: u64 = 1000;

const fn who(seat: u32, incarnation: u32) -> Who {
    Who { seat, incarnation }
}

fn item(sequence: u64) -> Item {
    Item {
        seat: WRITER.seat,
        incarnation: WRITER.incarnation,
        sequence,
    }
}

/// A ledger: a word, the number of an item, and when. A claim takes 5.
fn account(who: Who, killed_ns: Option<u64>, lines: &[(Word, u64, u64)]) -> Account {
    let line = |&(word, sequence, at_ns): &(Word, u64, u64)| Line {
        word,
        item: item(sequence),
        since_ns: at_ns - 5,
        at_ns,
    };
    Account {
        who,
        lines: lines.iter().map(line).collect(),
        killed_ns,
    }
}

/// A writer that commits two items, at 20 and 40.
fn two_items() -> Account {
    let lines = [
        (Attached, 0, 5),
        (Intent, 0, 10),
        (Committed, 0, 20),
        (Intent, 1, 30),
        (Committed, 1, 40),
    ];
    account(WRITER, None, &lines)
}

/// A reader that gets an item at `at` and releases it 2 later.
fn reads(seat: u32, sequence: u64, at: u64, released: Word) -> Account {
    let lines = [
        (Attached, 0, 5),
        (Got, sequence, at),
        (Releasing, sequence, at + 1),
        (released, sequence, at + 2),
    ];
    account(who(seat, 0), None, &lines)
}

/// A reader that is killed at 60, after these lines.
fn killed(lines: &[(Word, u64, u64)]) -> Account {
    account(who(7, 0), Some(60), lines)
}

#[track_caller]
fn faults(accounts: &[Account], expected: &[Fault]) -> Findings {
    let found = judge(accounts, CLOSING);
    assert_eq!(found.faults, expected);
    found
}

#[test]
fn each_item_once_and_in_order_is_as_it_should_be() {
    let readers = [
        reads(4, 0, 50, ReleasedFresh),
        reads(5, 1, 51, ReleasedFresh),
    ];
    let [one, other] = readers;
    let found = faults(&[two_items(), one, other], &[]);
    assert_eq!((found.items, found.twice, found.late), (2, 0, 0));
    assert_eq!(found.longest_gap_ns, CLOSING - 51);
    assert_eq!(found.gap_before_close_ns, 0);
}

#[test]
fn an_item_that_nobody_got_is_lost_if_its_commit_had_come_back() {
    faults(
        &[two_items(), reads(4, 0, 50, ReleasedFresh)],
        &[Fault::Lost(item(1))],
    );
    let killed = account(WRITER, Some(15), &[(Attached, 0, 5), (Intent, 0, 10)]);
    faults(&[killed], &[]);
}

#[test]
fn an_item_comes_from_a_writer_that_meant_to_commit_it() {
    let by = who(4, 0);
    let reader = reads(4, 9, 50, ReleasedFresh);
    faults(&[reader], &[Fault::Invented { item: item(9), by }]);
    let early = [
        account(
            WRITER,
            None,
            &[(Attached, 0, 5), (Intent, 0, 55), (Committed, 0, 56)],
        ),
        reads(4, 0, 50, ReleasedFresh),
    ];
    faults(&early, &[Fault::Invented { item: item(0), by }]);
}

#[test]
fn what_a_killed_reader_had_must_be_handed_on() {
    let held = killed(&[(Attached, 0, 5), (Got, 0, 50)]);
    let one = reads(4, 1, 51, ReleasedFresh);
    let fault = Fault::NotHandedOn {
        item: item(0),
        killed: who(7, 0),
    };
    faults(&[two_items(), held, one], &[fault]);
    let held = killed(&[(Attached, 0, 5), (Got, 0, 50)]);
    let both = [
        reads(4, 1, 51, ReleasedFresh),
        reads(5, 0, 70, ReleasedAgain),
    ];
    let [one, again] = both;
    let found = faults(&[two_items(), held, one, again], &[]);
    assert_eq!((found.items, found.twice, found.late), (2, 1, 0));
}

#[test]
fn what_a_killed_reader_was_releasing_may_be_handed_on_or_not() {
    let releasing = || killed(&[(Attached, 0, 5), (Got, 0, 50), (Releasing, 0, 55)]);
    let one = || reads(4, 1, 51, ReleasedFresh);
    faults(&[two_items(), releasing(), one()], &[]);
    let again = reads(5, 0, 70, ReleasedAgain);
    faults(&[two_items(), releasing(), one(), again], &[]);
}

#[test]
fn what_was_released_does_not_come_again() {
    let first = reads(4, 0, 45, ReleasedFresh);
    let then = reads(5, 0, 50, ReleasedAgain);
    let one = reads(6, 1, 51, ReleasedFresh);
    let fault = Fault::Twice {
        item: item(0),
        first: who(4, 0),
        then: who(5, 0),
    };
    faults(&[two_items(), first, then, one], &[fault]);
}

#[test]
fn a_reader_that_is_killed_later_was_robbed_before() {
    let held = killed(&[(Attached, 0, 5), (Got, 0, 45)]); // until 60
    let then = reads(5, 0, 59, ReleasedAgain);
    let one = reads(6, 1, 51, ReleasedFresh);
    let fault = Fault::Twice {
        item: item(0),
        first: who(7, 0),
        then: who(5, 0),
    };
    faults(&[two_items(), held, then, one], &[fault]);
}

#[test]
fn a_redelivery_is_told() {
    let held = killed(&[(Attached, 0, 5), (Got, 0, 45)]);
    let then = reads(5, 0, 70, ReleasedFresh);
    let one = reads(6, 1, 51, ReleasedFresh);
    let (item, by) = (item(0), who(5, 0));
    faults(
        &[two_items(), held, then, one],
        &[Fault::Untold { item, by }],
    );
}

#[test]
fn what_comes_late_has_one_killed_reader_each_as_its_excuse() {
    let late = || reads(4, 0, 70, ReleasedAgain);
    let one = || reads(5, 1, 51, ReleasedFresh);
    let fault = |sequence, seat| Fault::Unexcused {
        item: item(sequence),
        by: who(seat, 0),
    };
    faults(&[two_items(), late(), one()], &[fault(0, 4)]);
    // One that had it before it could say so.
    let silent = || killed(&[(Attached, 0, 5)]);
    let found = faults(&[two_items(), silent(), late(), one()], &[]);
    assert_eq!(found.late, 1);
    // Not one that came to no part, nor one that was killed too late.
    faults(&[two_items(), killed(&[]), late(), one()], &[fault(0, 4)]);
    let early = reads(4, 0, 58, ReleasedAgain);
    faults(&[two_items(), silent(), early, one()], &[fault(0, 4)]);
    // Not one for two.
    let another = reads(5, 1, 71, ReleasedAgain);
    faults(&[two_items(), silent(), late(), another], &[fault(1, 5)]);
}

#[test]
fn what_was_committed_first_is_claimed_first() {
    // Item 1 was got at 50; the claim that brought item 0 began at 51.
    let readers = || {
        [
            reads(4, 1, 50, ReleasedFresh),
            reads(5, 0, 56, ReleasedFresh),
        ]
    };
    let [one, late] = readers();
    let fault = Fault::OutOfOrder {
        late: item(0),
        behind: item(1),
    };
    faults(&[two_items(), one, late], &[fault]);
    // Claims that overlap prove nothing.
    let [one, _] = readers();
    faults(&[two_items(), one, reads(5, 0, 54, ReleasedFresh)], &[]);
    // Nor does another writer's commit at the same time.
    let mut overlapping = two_items();
    overlapping.lines[3].at_ns = 15;
    let [one, late] = readers();
    faults(&[overlapping, one, late], &[]);
}

#[test]
fn a_stream_ends_after_its_writers_and_unclean_if_one_was_killed() {
    let reader = |word, at| account(who(4, 0), None, &[(Attached, 0, 5), (word, 0, at)]);
    let early = [Fault::EndedEarly(who(4, 0))];
    let wrongly = [Fault::EndedWrongly(who(4, 0))];
    faults(&[reader(EndedClean, CLOSING + 1)], &[]);
    faults(&[reader(EndedClean, CLOSING - 1)], &early);
    faults(&[reader(EndedUnclean, CLOSING + 1)], &wrongly);
    let dead = |lines: &[_]| account(WRITER, Some(60), lines);
    let took_part = || dead(&[(Attached, 0, 5)]);
    faults(&[took_part(), reader(EndedUnclean, CLOSING + 1)], &[]);
    faults(&[took_part(), reader(EndedClean, CLOSING + 1)], &wrongly);
    // Killed while it attached: it was one of the stream's writers, or not.
    faults(&[dead(&[]), reader(EndedUnclean, CLOSING + 1)], &[]);
    faults(&[dead(&[]), reader(EndedClean, CLOSING + 1)], &[]);
}
