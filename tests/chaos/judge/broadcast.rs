//! What the ledgers of a broadcast ring prove: each reader has had everything.
//!
//! For each reader, of the items that it did not get:
//!
//! * those that were certainly committed while it was there (INTENT after it had
//!   attached, COMMITTED before INTENT of the last item that it got and accounted
//!   for, or before its end) are not more than those it was told that it missed;
//! * those that can have been there (COMMITTED, if ever, after it began to attach, and
//!   for one that begins `from oldest` as many more as there are nodes) are not
//!   fewer.
//!
//! In a ring whose writers wait, it misses none. And:
//!
//! * what was committed before another's INTENT comes before it, to each reader;
//! * there is one order in which all readers got what they got: no circle in "right
//!   before", over all of them;
//! * each reader gets something all the time.

use super::super::item::Item;
use super::super::ledger::{Line, Word};
use super::{Account, Fault, Findings, judge_ends};
use shmkit::ring::Start;
use std::collections::{HashMap, HashSet};

#[cfg(test)]
mod tests;

/// When an item was to be committed, and was.
#[derive(Clone, Copy)]
struct Commit {
    intent_ns: u64,
    /// `u64::MAX`: perhaps never.
    committed_ns: u64,
}

type Commits = HashMap<Item, Commit>;

/// Judges the life of a broadcast ring of so many nodes; as [`super::judge`]. `drops`:
/// whether its writers drop.
pub fn judge(accounts: &[Account], closing_ns: u64, nodes: u64, drops: bool) -> Findings {
    let mut found = Findings::default();
    let commits = commits(accounts);
    let readers: Vec<_> = accounts.iter().filter(|a| !a.who.is_writer()).collect();
    let mut before: HashMap<Item, HashSet<Item>> = HashMap::new();
    for reader in &readers {
        judge_reader(reader, &commits, nodes, drops, &mut found.faults);
        let got = got(&reader.lines);
        for line in &got {
            before.entry(line.item).or_default();
        }
        for pair in got.windows(2) {
            before.entry(pair[1].item).or_default().insert(pair[0].item);
        }
        let (gap_ns, gap_end_ns) = longest_gap(reader, closing_ns);
        if gap_ns > found.longest_gap_ns {
            found.longest_gap_ns = gap_ns;
            found.gap_before_close_ns = closing_ns - gap_end_ns;
        }
    }
    let sure = |(item, commit): &(&Item, &Commit)| {
        commit.committed_ns < u64::MAX || before.contains_key(*item)
    };
    found.items = commits.iter().filter(sure).count() as u64;
    found.open = commits.len() as u64 - found.items;
    let items = in_circles(before);
    if items > 0 {
        found.faults.push(Fault::Disorder { items });
    }
    judge_ends(accounts, closing_ns, &mut found.faults);
    found
}

fn commits(accounts: &[Account]) -> Commits {
    let mut commits = Commits::new();
    for line in accounts.iter().flat_map(|account| &account.lines) {
        match line.word {
            Word::Intent => {
                let commit = Commit {
                    intent_ns: line.at_ns,
                    committed_ns: u64::MAX,
                };
                commits.insert(line.item, commit);
            }
            Word::Committed => {
                let commit = commits.get_mut(&line.item).expect("INTENT before it");
                commit.committed_ns = line.at_ns;
            }
            _ => {}
        }
    }
    commits
}

fn got(lines: &[Line]) -> Vec<&Line> {
    let got = lines.iter().filter(|line| line.word == Word::Got);
    got.collect()
}

fn judge_reader(
    reader: &Account,
    commits: &Commits,
    nodes: u64,
    drops: bool,
    faults: &mut Vec<Fault>,
) {
    let by = reader.who;
    judge_items(reader, commits, faults);
    // What comes after the last account of what was missed, proves nothing here.
    let accounted = |line: &Line| line.word == Word::ReleasedMissed;
    let (Some(attached), Some(last)) = (
        reader.lines.first(),
        reader.lines.iter().rposition(accounted),
    ) else {
        return;
    };
    let (lines, told) = (&reader.lines[..last], reader.lines[last].item.sequence);
    let has_ended = reader.lines.len() > last + 1 && reader.killed_ns.is_none();
    let got = got(lines);
    let last_intent_ns = got.last().and_then(|line| commits.get(&line.item));
    let certain_before = match has_ended {
        true => u64::MAX,
        false => last_intent_ns.map_or(0, |commit| commit.intent_ns),
    };
    let had: HashSet<Item> = got.iter().map(|line| line.item).collect();
    let (mut least, mut most) = (0, 0);
    if by.starts_at() == Start::Oldest {
        most = nodes;
    }
    for (_, commit) in commits.iter().filter(|(item, _)| !had.contains(item)) {
        let (intent, committed) = (commit.intent_ns, commit.committed_ns);
        least += u64::from(intent > attached.at_ns && committed < certain_before);
        let until = reader.lines[last].at_ns;
        most += u64::from(committed > attached.since_ns && intent < until);
    }
    if least > told {
        faults.push(Fault::Missing { by, least, told });
    }
    if told > if drops { most } else { 0 } {
        faults.push(Fault::NotMissed { by, most, told });
    }
}

/// Each item once, meant to be committed, and after those committed before it.
fn judge_items(reader: &Account, commits: &Commits, faults: &mut Vec<Fault>) {
    let by = reader.who;
    let mut had = HashSet::new();
    let mut latest: Option<(u64, Item)> = None;
    for line in got(&reader.lines) {
        let item = line.item;
        if !had.insert(item) {
            faults.push(Fault::Again { item, by });
        }
        let Some(commit) = commits.get(&item).filter(|c| c.intent_ns < line.at_ns) else {
            faults.push(Fault::Invented { item, by });
            continue;
        };
        match latest {
            Some((intent_ns, behind)) if commit.committed_ns < intent_ns => {
                faults.push(Fault::OutOfOrder { late: item, behind });
            }
            _ => {}
        }
        latest = latest.max(Some((commit.intent_ns, item)));
    }
}

/// How many items stand in a circle, or behind one, if each comes after those before it.
fn in_circles(before: HashMap<Item, HashSet<Item>>) -> usize {
    let mut after: HashMap<Item, Vec<Item>> = HashMap::new();
    let mut waits_for: HashMap<Item, usize> = HashMap::new();
    for (item, those) in &before {
        waits_for.insert(*item, those.len());
        for one in those {
            after.entry(*one).or_default().push(*item);
        }
    }
    let mut next: Vec<Item> = waits_for
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(item, _)| *item)
        .collect();
    let mut placed = 0;
    while let Some(item) = next.pop() {
        placed += 1;
        for behind in after.get(&item).into_iter().flatten() {
            let count = waits_for.get_mut(behind).unwrap();
            *count -= 1;
            if *count == 0 {
                next.push(*behind);
            }
        }
    }
    before.len() - placed
}

/// The longest time in which a reader that was there got nothing, and when it ended.
fn longest_gap(reader: &Account, closing_ns: u64) -> (u64, u64) {
    let there = |line: &&Line| matches!(line.word, Word::Attached | Word::Got);
    let times = reader.lines.iter().filter(there);
    let mut times: Vec<u64> = times.map(|line| line.at_ns.min(closing_ns)).collect();
    if reader.killed_ns.is_none() {
        times.push(closing_ns);
    }
    let gaps = times.windows(2).map(|pair| (pair[1] - pair[0], pair[1]));
    gaps.max().unwrap_or((0, closing_ns))
}
