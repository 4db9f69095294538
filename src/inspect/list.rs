//! All our segments at a glance, as `shm list` shows them.

use super::array::Short;
use super::units::{Age, Column, Typed, write_columns};
use super::{Array, Buffer, Detail, Role, Snapshot, ring_layout};
use crate::segment::{self, Gone, Kind, Name, OpenOptions, Opened, SegmentError, Size};
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

    fn row(&self, exact: bool, owners: &Owners, now_unix_ns: u64) -> Vec<String> {
        let dash = || "-".to_owned();
        let name = self.name.as_str().to_owned();
        match &self.seen {
            Ok(snapshot) => vec![
                name,
                snapshot.kind.as_str().to_owned(),
                geometry(snapshot, exact),
                size(snapshot.size_bytes, exact),
                format!("{:04o}", snapshot.mode),
                owners.name(snapshot.owner_uid),
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
            ],
            Err(error) => {
                // Its own sentence, without the name that the line begins with.
                let why = error.to_string();
                let why = why
                    .strip_prefix(&format!("{name}: "))
                    .unwrap_or(&why)
                    .to_owned();
                let mut row = vec![name, "?".to_owned()];
                row.resize_with(COLUMNS.len() - 1, dash);
                row.push(why);
                row
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

/// What a segment is, in a few words: `ring 20x64K`. Only its header is looked at.
///
/// # Errors
///
/// [`SegmentError::Corrupt`] when the header describes what cannot be,
/// [`SegmentError::Io`] when the system refuses.
pub fn in_brief(opened: &Opened) -> Result<String, SegmentError> {
    let kind = opened.header().kind;
    let size = match kind {
        Kind::Ring => {
            let (ring, _) = ring_layout(opened)?;
            format!("{}x{}", ring.nodes, Typed(ring.node_size))
        }
        Kind::Array => {
            let array = Array::of(opened)?;
            format!("{}x{}", array.len, Short(&array.element_type))
        }
        Kind::Buffer => Typed(Buffer::of(opened)?.size).to_string(),
    };
    Ok(format!("{} {size}", kind.as_str()))
}

/// `20x1M` for a ring, `1000xf64` for an array, `64K` for a buffer; with
/// `exact` sizes are numbers of bytes.
pub fn geometry(snapshot: &Snapshot, exact: bool) -> String {
    let typed = |bytes: u64| match exact {
        true => bytes.to_string(),
        false => Typed(bytes).to_string(),
    };
    if let Some(ring) = &snapshot.ring {
        format!("{}x{}", ring.nodes, typed(ring.node_size))
    } else if let Some(array) = &snapshot.array {
        format!("{}x{}", array.len, Short(&array.element_type))
    } else {
        snapshot
            .buffer
            .map_or_else(|| "-".to_owned(), |buffer| typed(buffer.size))
    }
}

fn size(bytes: u64, exact: bool) -> String {
    match exact {
        true => bytes.to_string(),
        false => format!("{:#}", Size(bytes)),
    }
}

/// The names of users, as far as this machine's own table has them.
struct Owners(String);

impl Owners {
    fn read() -> Owners {
        Owners(std::fs::read_to_string("/etc/passwd").unwrap_or_default())
    }

    /// The user's name, or the number.
    fn name(&self, uid: u32) -> String {
        let uid = uid.to_string();
        let named = self.0.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == uid).then(|| name.to_owned())
        });
        named.unwrap_or(uid)
    }
}

/// How many live; `2+1dead` while a dead one is not yet recovered.
pub fn count(snapshot: &Snapshot, role: Role) -> String {
    let with = |alive| {
        let these = snapshot
            .participants
            .iter()
            .filter(|p| p.role == role && p.alive == alive);
        these.count()
    };
    match with(false) {
        0 => with(true).to_string(),
        dead => format!("{}+{dead}dead", with(true)),
    }
}

const COLUMNS: [Column; 11] = [
    Column::Left("NAME"),
    Column::Left("KIND"),
    Column::Right("GEOMETRY"),
    Column::Right("SIZE"),
    Column::Left("MODE"),
    Column::Left("OWNER"),
    Column::Right("WRITERS"),
    Column::Right("READERS"),
    Column::Right("DIFF"),
    Column::Right("AGE"),
    Column::Left(""),
];

/// Writes a heading and a line per segment; what is wrong comes last on its line.
/// `exact` shows sizes as numbers of bytes.
///
/// # Errors
///
/// Those of `out`.
pub fn write_table(
    out: &mut dyn Write,
    listed: &[Listed],
    exact: bool,
    now_unix_ns: u64,
) -> io::Result<()> {
    let owners = Owners::read();
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|listed| listed.row(exact, &owners, now_unix_ns))
        .collect();
    write_columns(out, "", &COLUMNS, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_name_where_there_is_one() {
        let owners = Owners("root:x:0:0:root:/root:/bin/sh\n\nann:x:1000:1000::/:\n".into());
        assert_eq!(
            [0, 1000, 1, 10].map(|uid| owners.name(uid)),
            ["root", "ann", "1", "10"]
        );
    }
}
