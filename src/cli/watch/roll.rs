//! All segments, followed over time: who came, who went, and what each does.
//!
//! A segment that has appeared since the watch began is marked as new for a few
//! seconds, and one that has vanished stays on the list for as long, so that
//! nothing comes or goes unseen. One that was removed and made anew under its
//! name is a new one. What cannot be looked at is a line that says why.

use super::probe::{Probe, Wish};
use super::track::{Look, Track};
use shmkit::segment::{Name, OpenOptions, SegmentError};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long it is told that one came or went.
const NEWS: Duration = Duration::from_secs(3);

/// A line of the list.
#[derive(Debug)]
pub struct Line {
    /// What is known of it; or, in one sentence, why nothing is.
    pub seen: Result<Track, String>,
    /// When it appeared, if the watch had begun by then.
    pub appeared: Option<Duration>,
    /// When it was found to have vanished.
    pub vanished: Option<Duration>,
}

/// All segments, by name.
#[derive(Debug, Default)]
pub struct Roll {
    /// The lines.
    pub lines: BTreeMap<String, Line>,
    /// When it was last brought up to date.
    pub at: Duration,
    begun: bool,
}

impl Roll {
    /// Brings it up to date: `found` is what each name there is turned out to be.
    pub fn advance(&mut self, at: Duration, found: BTreeMap<String, Result<Look, String>>) {
        for (name, line) in &mut self.lines {
            if !found.contains_key(name) && line.vanished.is_none() {
                line.vanished = Some(at);
            }
        }
        let appeared = self.begun.then_some(at);
        for (name, look) in found {
            let known = self
                .lines
                .get_mut(&name)
                .filter(|line| line.vanished.is_none());
            match (known, look) {
                (
                    Some(Line {
                        seen: Ok(track), ..
                    }),
                    Ok(look),
                ) if is_same(track, &look) => {
                    track.advance(look);
                }
                (Some(line), Err(why)) => line.seen = Err(why),
                (known, look) => {
                    // It can be looked at now; or it is another, or the first.
                    let could_not = known.filter(|line| line.seen.is_err());
                    let appeared = could_not.map_or(appeared, |line| line.appeared);
                    let line = Line {
                        seen: look.map(Track::new),
                        appeared,
                        vanished: None,
                    };
                    self.lines.insert(name, line);
                }
            }
        }
        let over = |since: &Duration| at.saturating_sub(*since) >= NEWS;
        self.lines
            .retain(|_, line| !line.vanished.as_ref().is_some_and(over));
        for line in self.lines.values_mut() {
            line.appeared = line.appeared.take_if(|since| !over(since));
        }
        self.at = at;
        self.begun = true;
    }

    /// Those that are there now.
    pub fn present(&self) -> impl Iterator<Item = (&String, &Line)> {
        self.lines
            .iter()
            .filter(|(_, line)| line.vanished.is_none())
    }
}

/// Whether a look is at the segment that was looked at before.
fn is_same(track: &Track, look: &Look) -> bool {
    let id = |look: &Look| (look.snapshot.created_unix_ns, look.snapshot.creator_pid);
    id(&track.now) == id(look)
}

/// What looks at all of them.
#[derive(Debug, Default)]
pub struct Probes {
    open: BTreeMap<String, Probe>,
}

impl Probes {
    /// Looks at every segment there is, whoever owns it: at all of it (`exact`), or
    /// at what a screen needs.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn look(
        &mut self,
        at: Duration,
        unix_ns: u64,
        exact: bool,
    ) -> Result<BTreeMap<String, Result<Look, String>>, SegmentError> {
        let names = shmkit::segment::list()?;
        self.open
            .retain(|open, _| names.iter().any(|name| name.as_str() == open));
        let wish = Wish {
            exact,
            probes: names.len().try_into().unwrap_or(u32::MAX),
            ..Wish::default()
        };
        let mut found = BTreeMap::new();
        for name in names {
            match self.look_at(&name, at, unix_ns, wish) {
                Err(SegmentError::NotFound { .. } | SegmentError::NotOurs { .. }) => {}
                Ok(look) => drop(found.insert(name.as_str().to_owned(), Ok(look))),
                Err(error) => {
                    let why = error.to_string();
                    let why = why.strip_prefix(&format!("{name}: ")).unwrap_or(&why);
                    found.insert(name.as_str().to_owned(), Err(why.to_owned()));
                }
            }
        }
        Ok(found)
    }

    fn look_at(
        &mut self,
        name: &Name,
        at: Duration,
        unix_ns: u64,
        wish: Wish,
    ) -> Result<Look, SegmentError> {
        if let Some(probe) = self.open.get_mut(name.as_str()) {
            match probe.look(at, unix_ns, wish) {
                // Another may have its name now.
                Err(SegmentError::Gone { .. }) => drop(self.open.remove(name.as_str())),
                look => return look,
            }
        }
        let mut probe = Probe::open(name, OpenOptions { any_owner: true })?;
        let look = probe.look(at, unix_ns, wish)?;
        self.open.insert(name.as_str().to_owned(), probe);
        Ok(look)
    }
}
