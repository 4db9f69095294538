//! All our segments at a glance, as `shm list` shows them.

use super::array::Short;
use super::units::{Age, Column, Typed, write_columns};
use super::{Detail, Role, Snapshot};
use crate::segment::{self, Gone, Name, OpenOptions, Opened, SegmentError};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::io::{self, Write};

/// One of our segments, or why it cannot be looked at.
///
/// Serializes to the object of `shm inspect --json`, or to `name` and `error`.
#[derive(Debug)]
pub struct Listed {
    /// The segment's name.
    pub name: Name,
    /// What it is doing.
    pub seen: Result<Snapshot, SegmentError>,
}

/// Looks at every segment of ours, whoever owns it, in the order of names.
/// Those removed meanwhile are left out.
///
/// # Errors
///
/// [`SegmentError::Io`] when the directory cannot be read. A single segment
/// that cannot be read, or is damaged, is an entry and no error.
pub fn scan() -> Result<Vec<Listed>, SegmentError> {
    let look = |name: Name| {
        // Looking by pread does no harm, whoever made the bytes.
        let seen = Opened::open(&name, OpenOptions { any_owner: true })
            .and_then(|opened| Snapshot::take(&opened, Detail::Summary));
        Listed { name, seen }
    };
    Ok(segment::list()?
        .into_iter()
        .map(look)
        .filter(|listed| !listed.is_gone())
        .collect())
}

impl Listed {
    /// Whether it is no segment of ours any more.
    fn is_gone(&self) -> bool {
        matches!(
            self.seen,
            Err(SegmentError::NotFound { .. }
                | SegmentError::NotOurs { .. }
                | SegmentError::Gone {
                    gone: Gone::Removed,
                    ..
                })
        )
    }

    /// What is wrong with it, in one line.
    pub fn error(&self) -> Option<String> {
        match &self.seen {
            Ok(snapshot) => snapshot.damage.summary(),
            Err(error) => Some(error.to_string()),
        }
    }

    /// What it is, in a few words: `ring 20x64K`, or what is wrong with it.
    pub fn in_brief(&self) -> String {
        match (&self.seen, self.error()) {
            (Ok(snapshot), None) => format!("{} {}", snapshot.kind.as_str(), geometry(snapshot)),
            (_, why) => why.unwrap_or_default(),
        }
    }

    fn row(&self, now_unix_ns: u64) -> Vec<String> {
        let dash = || "-".to_owned();
        let name = self.name.as_str().to_owned();
        match &self.seen {
            Ok(snapshot) => {
                let kind = snapshot.kind.as_str();
                vec![
                    name,
                    kind.to_owned(),
                    geometry(snapshot),
                    count(snapshot, Role::Writer),
                    count(snapshot, Role::Reader),
                    snapshot
                        .ring
                        .as_ref()
                        .map_or_else(dash, |ring| ring.diff_nodes.to_string()),
                    Age {
                        since_unix_ns: snapshot.created_unix_ns,
                        now_unix_ns,
                    }
                    .to_string(),
                    self.error()
                        .map_or_else(String::new, |why| format!("damaged: {why}")),
                ]
            }
            Err(error) => {
                // Its own sentence, without the name that the line begins with.
                let why = error.to_string();
                let why = why
                    .strip_prefix(&format!("{name}: "))
                    .unwrap_or(&why)
                    .to_owned();
                vec![
                    name,
                    "?".to_owned(),
                    dash(),
                    dash(),
                    dash(),
                    dash(),
                    dash(),
                    why,
                ]
            }
        }
    }
}

impl Serialize for Listed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.seen {
            Ok(snapshot) => snapshot.serialize(serializer),
            Err(error) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("name", self.name.as_str())?;
                map.serialize_entry("error", &error.to_string())?;
                map.end()
            }
        }
    }
}

/// `20x1M` for a ring, `1000xf64` for an array, `64K` for a buffer.
fn geometry(snapshot: &Snapshot) -> String {
    if let Some(ring) = &snapshot.ring {
        format!("{}x{}", ring.nodes, Typed(ring.node_size))
    } else if let Some(array) = &snapshot.array {
        format!("{}x{}", array.len, Short(&array.element_type))
    } else {
        let buffer = snapshot.buffer.map(|buffer| buffer.size);
        Typed(buffer.unwrap_or(snapshot.size_bytes)).to_string()
    }
}

/// How many live; `2+1 dead` while a dead one is not yet recovered.
fn count(snapshot: &Snapshot, role: Role) -> String {
    let with = |alive| {
        let these = snapshot
            .participants
            .iter()
            .filter(|p| p.role == role && p.alive == alive);
        these.count()
    };
    match with(false) {
        0 => with(true).to_string(),
        dead => format!("{}+{dead} dead", with(true)),
    }
}

/// Writes a heading and a line per segment; what is wrong comes last on its line.
///
/// # Errors
///
/// Those of `out`.
pub fn write_table(out: &mut dyn Write, listed: &[Listed], now_unix_ns: u64) -> io::Result<()> {
    let columns = [
        Column::Left("NAME"),
        Column::Left("KIND"),
        Column::Right("SIZE"),
        Column::Right("WRITERS"),
        Column::Right("READERS"),
        Column::Right("DIFF"),
        Column::Right("AGE"),
        Column::Left(""),
    ];
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|listed| listed.row(now_unix_ns))
        .collect();
    write_columns(out, "", &columns, &rows)
}
