//! That nothing which is lost, doubled, swapped, torn or changed goes unnoticed.

use super::picked::is_whole;
use super::*;

#[test]
fn every_size_has_its_buffers_and_they_differ() {
    for size in [1, 7, 8, 15, 16, 100, 4096] {
        let sources = Sources::new(size).unwrap();
        assert_eq!(sources.count, 256);
        assert!(sources.buffer(255).len() == size);
        if size >= 8 {
            assert_ne!(sources.buffer(0), sources.buffer(1));
        }
        let mut picks = Picks::of_writer(0);
        let picked: std::collections::HashSet<usize> =
            (0..10_000).map(|_| picks.below(256)).collect();
        assert_eq!(picked.len(), 256, "each is picked now and then");
        for _ in 0..100 {
            assert!(is_whole(sources.pick(&mut picks)));
        }
    }
}

#[test]
fn a_torn_message_is_noticed() {
    let sources = Sources::new(4096).unwrap();
    let torn = [&sources.buffer(1)[..2048], &sources.buffer(2)[2048..]].concat();
    assert!(!is_whole(&torn));
}

#[test]
fn who_reads_alone_knows_what_is_due() {
    for size in [1, 7, 64, 100] {
        let sources = Sources::new(size).unwrap();
        let words = first_words(size);
        let mut picks = Picks::of_writer(0);
        let messages: Vec<&[u8]> = (0..50).map(|_| sources.pick(&mut picks)).collect();
        let see = |alone: bool, order: &[usize]| {
            let mut seen = Seen::new(size, alone, &words);
            order.iter().for_each(|at| seen.look(messages[*at]));
            seen.verdict()
        };
        let all: Vec<usize> = (0..50).collect();
        assert_eq!(see(true, &all), None, "size {size}");
        let lost: Vec<usize> = (1..50).collect();
        assert!(see(true, &lost).is_some(), "size {size}");
        assert_eq!(see(false, &lost), None, "others may have it");
    }
}

#[test]
fn every_byte_of_a_checked_message_counts() {
    let mut sources = Sources::new(50).unwrap();
    for at in 0..50 {
        let mut checker = Checker::new(50, 2, true).unwrap();
        for sequence in 0..5 {
            checker.look(sources.marked(1, sequence));
        }
        assert_eq!(checker.verdict(), None);
        let mut message = sources.marked(1, 5).to_vec();
        message[at] ^= 1;
        checker.look(&message);
        assert!(checker.verdict().is_some(), "byte {at}");
        for sequence in 6..9 {
            checker.look(sources.marked(1, sequence));
        }
        assert!(
            checker.wrong <= 2,
            "byte {at} is no reason to doubt the others"
        );
    }
}

#[test]
fn lost_doubled_and_swapped_messages_are_noticed() {
    let mut sources = Sources::new(64).unwrap();
    let mut verdict = |order: &[u64], alone: bool| {
        let mut checker = Checker::new(64, 1, alone).unwrap();
        order
            .iter()
            .for_each(|sequence| checker.look(sources.marked(0, *sequence)));
        checker.verdict()
    };
    assert_eq!(verdict(&[0, 1, 2, 3], true), None);
    assert!(
        verdict(&[0, 2, 3], true)
            .unwrap()
            .contains("message 1 was due")
    );
    assert!(verdict(&[0, 1, 1, 2], true).is_some());
    assert!(verdict(&[0, 2, 1], true).is_some());
    assert_eq!(verdict(&[0, 2, 5], false), None, "others have the rest");
    assert!(verdict(&[0, 2, 1], false).is_some());
    assert!(verdict(&[0, 0], false).is_some());
}

#[test]
fn tallies_tell_which_messages_there_were_in_any_order() {
    let add = |words: &[u64]| {
        let mut tally = Tally::default();
        words.iter().for_each(|word| tally.add(*word));
        tally
    };
    assert_eq!(add(&[7, 1, u64::MAX]), add(&[u64::MAX, 7, 1]));
    assert_ne!(add(&[7, 1]), add(&[7, 2]));
    let mut merged = add(&[7]);
    merged.merge(add(&[1]));
    assert_eq!(merged, add(&[1, 7]));
}
