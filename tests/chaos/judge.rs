//! What the ledgers prove, once all is over.
//!
//! An item's *deliveries* are the GOT lines about it, in the order of time.
//! Honestly open is only this, and nothing else is excused:
//!
//! * INTENT without COMMITTED, its writer killed: delivered or not.
//! * GOT without RELEASING, its reader killed: delivered again, *must* be.
//! * RELEASING without RELEASED, its reader killed: delivered again or not.
//! * A reader killed between its lines may have claimed a node that it had no
//!   time to write down: one node comes late, told as redelivered.
//!
//! Time is one clock for all processes, and each line brackets its deed, so
//! "this was before that" is only said where it is certain.

use super::item::Item;
use super::ledger::{Line, Word};
use super::party::Who;
use std::collections::BTreeMap;

pub mod broadcast;
#[cfg(test)]
mod tests;

/// All that is known of one process.
pub struct Account {
    pub who: Who,
    pub lines: Vec<Line>,
    /// When it was sent SIGKILL, or a moment before.
    pub killed_ns: Option<u64>,
}

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Committed, and no reader ever got it.
    Lost(Item),
    /// A killed reader had it, unread, and it was not handed on.
    NotHandedOn { item: Item, killed: Who },
    /// Nobody had meant to commit it.
    Invented { item: Item, by: Who },
    /// It came to another one although the first had not been killed: had
    /// released it, or was only stopped, or not even that.
    Twice { item: Item, first: Who, then: Who },
    /// It came again, and was not said to be redelivered.
    Untold { item: Item, by: Who },
    /// It was said to be redelivered, and nobody had been killed who can have
    /// had it.
    Unexcused { item: Item, by: Who },
    /// It was claimed after another that was committed later.
    OutOfOrder { late: Item, behind: Item },
    /// Broadcast: it came to the same reader before.
    Again { item: Item, by: Who },
    /// Broadcast: so many were committed while it was there that it did not get, and
    /// it was told of fewer.
    Missing { by: Who, least: u64, told: u64 },
    /// Broadcast: it was told that it missed more than can have been there.
    NotMissed { by: Who, most: u64, told: u64 },
    /// Broadcast: no one order is that in which all readers got what they got.
    Disorder { items: usize },
    /// The stream ended for a reader before its writers were told to end.
    EndedEarly(Who),
    /// The stream ended for a reader, and it was told wrongly how.
    EndedWrongly(Who),
}

/// What there is to say about a ring's life.
#[derive(Debug, Default)]
pub struct Findings {
    /// Items that were delivered; of a broadcast ring: committed.
    pub items: u64,
    /// Items that nobody got, and that were perhaps committed.
    pub open: u64,
    /// Deliveries of an item that a killed reader had already got.
    pub twice: u64,
    /// Deliveries told as redelivered, of items that nobody had written down.
    pub late: u64,
    /// The longest time in which no reader got anything.
    pub longest_gap_ns: u64,
    /// How long before the writers were told to end it was over.
    pub gap_before_close_ns: u64,
    pub faults: Vec<Fault>,
}

#[derive(Default)]
struct History {
    intent_ns: Option<u64>,
    committed_ns: Option<u64>,
    deliveries: Vec<Delivery>,
}

struct Delivery {
    by: Who,
    since_ns: u64,
    got_ns: u64,
    /// What its reader last wrote down about it.
    last: Word,
    /// When its reader was killed, if it was.
    killed_ns: Option<u64>,
}

impl Delivery {
    fn is_released(&self) -> bool {
        matches!(self.last, Word::ReleasedFresh | Word::ReleasedAgain)
    }
}

/// Judges a ring's life. All writers lived until `closing_ns` and were told
/// to end then; no party was killed after that.
pub fn judge(accounts: &[Account], closing_ns: u64) -> Findings {
    let histories = histories(accounts);
    let (longest_gap_ns, gap_end_ns) = longest_gap(&histories, closing_ns);
    let mut found = Findings {
        longest_gap_ns,
        gap_before_close_ns: closing_ns - gap_end_ns,
        ..Findings::default()
    };
    for (item, history) in &histories {
        judge_item(*item, history, &mut found);
    }
    judge_late(accounts, &histories, &mut found);
    judge_order(&histories, &mut found.faults);
    judge_ends(accounts, closing_ns, &mut found.faults);
    found
}

fn histories(accounts: &[Account]) -> BTreeMap<Item, History> {
    let mut histories: BTreeMap<Item, History> = BTreeMap::new();
    for account in accounts {
        let about_items = |line: &&Line| line.word.is_about_an_item();
        for line in account.lines.iter().filter(about_items) {
            let history = histories.entry(line.item).or_default();
            match line.word {
                Word::Intent => history.intent_ns = Some(line.at_ns),
                Word::Committed => history.committed_ns = Some(line.at_ns),
                Word::Got => history.deliveries.push(Delivery {
                    by: account.who,
                    since_ns: line.since_ns,
                    got_ns: line.at_ns,
                    last: line.word,
                    killed_ns: account.killed_ns,
                }),
                said => {
                    let got = history.deliveries.last_mut();
                    got.expect("GOT before it").last = said;
                }
            }
        }
    }
    for history in histories.values_mut() {
        history.deliveries.sort_by_key(|delivery| delivery.got_ns);
    }
    histories
}

fn judge_item(item: Item, history: &History, found: &mut Findings) {
    let faults = &mut found.faults;
    let deliveries = &history.deliveries;
    let Some(last) = deliveries.last() else {
        if history.committed_ns.is_some() {
            faults.push(Fault::Lost(item));
        }
        return;
    };
    found.items += 1;
    found.twice += deliveries.len() as u64 - 1;
    if history.intent_ns.is_none_or(|intent| intent > last.got_ns) {
        let by = last.by;
        faults.push(Fault::Invented { item, by });
    }
    for (first, then) in deliveries.iter().zip(&deliveries[1..]) {
        let killed_before = first.killed_ns.is_some_and(|at| at < then.got_ns);
        if first.is_released() || !killed_before {
            let (first, then) = (first.by, then.by);
            faults.push(Fault::Twice { item, first, then });
        } else if then.last == Word::ReleasedFresh {
            let by = then.by;
            faults.push(Fault::Untold { item, by });
        }
    }
    if last.last == Word::Got {
        let killed = last.by;
        faults.push(Fault::NotHandedOn { item, killed });
    }
}

/// Redeliveries of what no ledger says that anybody had: each needs a killed
/// reader of its own, who can have had it.
fn judge_late(accounts: &[Account], histories: &BTreeMap<Item, History>, found: &mut Findings) {
    let between_lines = |account: &&Account| {
        let last = account.lines.last().map(|line| line.word);
        let words = [Word::Attached, Word::ReleasedFresh, Word::ReleasedAgain];
        !account.who.is_writer() && last.is_some_and(|last| words.contains(&last))
    };
    let killed = accounts.iter().filter(between_lines);
    let mut excuses: Vec<u64> = killed.filter_map(|account| account.killed_ns).collect();
    excuses.sort_unstable();
    let first = |(item, history): (&Item, &History)| {
        let first = history.deliveries.first()?;
        (first.last == Word::ReleasedAgain).then_some((first.got_ns, *item, first.by))
    };
    let mut late: Vec<_> = histories.iter().filter_map(first).collect();
    late.sort_unstable();
    found.late = late.len() as u64;
    let mut excuses = excuses.into_iter();
    for (got_ns, item, by) in late {
        if excuses.next().is_none_or(|killed_ns| killed_ns > got_ns) {
            found.faults.push(Fault::Unexcused { item, by });
        }
    }
}

/// What was committed before another's commit was begun is claimed before it,
/// unless it was handed on. That covers each writer's own order, and each
/// reader's.
fn judge_order(histories: &BTreeMap<Item, History>, faults: &mut Vec<Fault>) {
    let fresh = |(item, history): (&Item, &History)| match &history.deliveries[..] {
        [only] if only.last == Word::ReleasedFresh => Some((
            history.intent_ns?,
            history.committed_ns,
            *item,
            only.since_ns,
            only.got_ns,
        )),
        _ => None,
    };
    let mut fresh: Vec<_> = histories.iter().filter_map(fresh).collect();
    fresh.sort_unstable();
    // Of those begun then or later, the one that was got first.
    let mut first_got: Vec<(u64, Item)> = fresh
        .iter()
        .map(|&(.., item, _, got_ns)| (got_ns, item))
        .collect();
    for at in (1..first_got.len()).rev() {
        first_got[at - 1] = first_got[at - 1].min(first_got[at]);
    }
    for &(_, committed_ns, late, since_ns, _) in &fresh {
        let Some(committed_ns) = committed_ns else {
            continue;
        };
        let later = fresh.partition_point(|&(intent_ns, ..)| intent_ns <= committed_ns);
        if let Some(&(got_ns, behind)) = first_got.get(later)
            && got_ns < since_ns
        {
            faults.push(Fault::OutOfOrder { late, behind });
        }
    }
}

fn judge_ends(accounts: &[Account], closing_ns: u64, faults: &mut Vec<Fault>) {
    let killed = |account: &&Account| account.who.is_writer() && account.killed_ns.is_some();
    let a_writer_was_killed = accounts.iter().any(|account| killed(&account));
    let one_took_part = accounts.iter().filter(killed).any(|a| !a.lines.is_empty());
    for account in accounts {
        let ends = [Word::EndedClean, Word::EndedUnclean];
        let Some(end) = account.lines.iter().find(|line| ends.contains(&line.word)) else {
            continue;
        };
        if end.at_ns < closing_ns {
            faults.push(Fault::EndedEarly(account.who));
        }
        let wrong = match end.word {
            Word::EndedClean => one_took_part,
            _ => !a_writer_was_killed,
        };
        if wrong {
            faults.push(Fault::EndedWrongly(account.who));
        }
    }
}

/// The longest time without a delivery, and when it ended.
fn longest_gap(histories: &BTreeMap<Item, History>, closing_ns: u64) -> (u64, u64) {
    let deliveries = histories.values().flat_map(|history| &history.deliveries);
    let got = deliveries.map(|delivery| delivery.got_ns.min(closing_ns));
    let mut got: Vec<u64> = got.chain([closing_ns]).collect();
    got.sort_unstable();
    let gaps = got.iter().zip(&got[1..]).map(|(from, to)| (to - from, *to));
    gaps.max().unwrap_or((0, closing_ns))
}
