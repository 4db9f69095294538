//! A snapshot as text for people.
//!
//! ```text
//! demo: ring of 20 x 1 MiB, queue, futex
//!   segment   20.0 MiB, mode 0600, uid 1000, layout 2, made 12s ago by pid 4242
//!   stream    open, clean, number 1
//!   written   1024 nodes     1 GiB
//!   read      1020 nodes  1020 MiB
//!   diff         4 nodes     4 MiB
//!   order     head 1021, tail 1024
//!   waits     writers 12, readers 3
//!   losses    0 abandoned, 0 redelivered, 0 dropped
//!   nodes     15 free (.)  1 writing (w)  3 ready (#)  1 reading (r)  0 orphan (o)
//!             .....w###r..........
//!
//!   SLOT  ROLE    PID   STATE  NODES     BYTES  WAITS  HOLDS  ATTACHED
//!      0  writer  4242  alive   1024     1 GiB     12      1       12s
//!      1  reader  4243  DEAD    1020  1020 MiB      3      1        9s
//! ```
//!
//! A broadcast ring's readers have a DIFF each, and what they MISSED; the one that a full
//! ring waits for is named:
//!
//! ```text
//!   passed    1004 nodes  1004 MiB
//!   diff        20 nodes    20 MiB
//!   ...
//!   full      its slowest reader is participant 2 (pid 4244), 20 nodes behind
//! ```
//!
//! and of an array:
//!
//! ```text
//! temps: array of 1000 x {...}
//!   segment   51.6 KiB, mode 0600, uid 1000, layout 2, made 12s ago by pid 4242
//!   type      id:u32,position:[f32;2]
//!   elements  12 bytes each, aligned to 4, the first at byte 40960
//!   lock      read, by 2; participant 5 waits to write
//!   torn      a writer DIED in the middle of its changes; the next complete write clears this
//!
//!   SLOT  ROLE    PID   STATE  LOCKED   BYTES  WAITS  HOLDS  ATTACHED
//! ```
//!
//! The form is free to change; scripts read the JSON.

use super::array::Short;
use super::units::{Age, Column, write_columns};
use super::{
    Array, DamageReport, Lock, LockState, NodeRow, Participant, Ring, Snapshot, Stream, state_name,
    stream_state_name,
};
use crate::segment::Size;
use std::io::{self, Write};

/// Node map characters per line.
const MAP_WIDTH: usize = 64;

/// Writes all that a snapshot holds, but for its node rows.
///
/// `now_unix_ns` is what ages are counted from.
///
/// # Errors
///
/// Those of `out`.
pub fn write_snapshot(
    out: &mut dyn Write,
    snapshot: &Snapshot,
    now_unix_ns: u64,
) -> io::Result<()> {
    writeln!(out, "{}: {}", snapshot.name, what(snapshot))?;
    writeln!(
        out,
        "  segment   {}, mode {:04o}, uid {}, layout {}, made {} ago by pid {}",
        Size(snapshot.size_bytes),
        snapshot.mode,
        snapshot.owner_uid,
        snapshot.layout_version,
        Age {
            since_unix_ns: snapshot.created_unix_ns,
            now_unix_ns
        },
        snapshot.creator_pid,
    )?;
    if let Some(ring) = &snapshot.ring {
        write_ring(out, ring)?;
        write_slowest(out, ring, &snapshot.participants)?;
    }
    if let Some(array) = &snapshot.array {
        write_array(out, array)?;
    }
    if let Some(buffer) = &snapshot.buffer {
        writeln!(
            out,
            "  bytes     {} at byte {}",
            buffer.size, buffer.data_offset
        )?;
    }
    if let Some(lock) = &snapshot.lock {
        write_lock(out, lock, &snapshot.participants)?;
    }
    write_damage(out, &snapshot.damage)?;
    write_participants(out, snapshot, now_unix_ns)
}

/// What it is, in a few words: `ring of 20 x 1 MiB, queue, futex`.
pub fn what(snapshot: &Snapshot) -> String {
    let kind = snapshot.kind;
    if let Some(ring) = &snapshot.ring {
        let (nodes, size) = (ring.nodes, Size(ring.node_size));
        format!(
            "{kind} of {nodes} x {size}, {}, {}",
            ring.delivery, ring.wait
        )
    } else if let Some(array) = &snapshot.array {
        format!("{kind} of {} x {}", array.len, Short(&array.element_type))
    } else if let Some(buffer) = &snapshot.buffer {
        format!("{kind} of {}", Size(buffer.size))
    } else {
        kind.to_string()
    }
}

fn write_array(out: &mut dyn Write, array: &Array) -> io::Result<()> {
    let element = &array.element_type;
    let (size, align, offset) = (array.element_size, element.align(), array.data_offset);
    let noun = if size == 1 { "byte" } else { "bytes" };
    writeln!(out, "  type      {element}")?;
    writeln!(
        out,
        "  elements  {size} {noun} each, aligned to {align}, the first at byte {offset}"
    )
}

/// Who has a lock, and who waits for it: `write, by participant 2 (pid 7)`.
pub fn lock(lock: &Lock, participants: &[Participant]) -> String {
    let who = |slot: u32| match participants.iter().find(|p| p.slot == slot) {
        Some(participant) => format!("participant {slot} (pid {})", participant.pid),
        None => format!("participant {slot}"),
    };
    let mut text = lock.state.as_str().to_owned();
    match (lock.state, lock.writer_slot) {
        (LockState::Write, Some(slot)) => text += &format!(", by {}", who(slot)),
        (LockState::Read, _) => text += &format!(", by {}", lock.readers),
        _ => {}
    }
    if let Some(slot) = lock.waiting_slot {
        text += &format!("; {} waits to write", who(slot));
    }
    text
}

fn write_lock(out: &mut dyn Write, lock: &Lock, participants: &[Participant]) -> io::Result<()> {
    writeln!(out, "  lock      {}", self::lock(lock, participants))?;
    if lock.owner_died {
        writeln!(
            out,
            "  torn      a writer DIED in the middle of its changes; the next complete write clears this"
        )?;
    }
    Ok(())
}

/// How the stream through a ring stands: `open, clean, number 1`.
pub fn stream(stream: &Stream) -> String {
    let state = stream_state_name(stream.state);
    match (stream.epoch, stream.clean) {
        (0, _) => format!("{state} for the first writer"),
        (epoch, true) => format!("{state}, clean, number {epoch}"),
        (epoch, false) => format!("{state}, UNCLEAN: a writer died in it, number {epoch}"),
    }
}

fn write_ring(out: &mut dyn Write, ring: &Ring) -> io::Result<()> {
    writeln!(out, "  stream    {}", stream(&ring.stream))?;
    // Each reader of a broadcast ring reads for itself.
    let read = match ring.missed_nodes {
        None => "read",
        Some(_) => "passed",
    };
    let amounts = [
        ("written", ring.written_nodes, ring.written_bytes),
        (read, ring.read_nodes, ring.read_bytes),
        ("diff", ring.diff_nodes, ring.diff_bytes),
    ]
    .map(|(what, nodes, bytes)| (what, nodes.to_string(), Size(bytes).to_string()));
    let wide = amounts
        .iter()
        .map(|(_, nodes, _)| nodes.len())
        .max()
        .unwrap_or(0);
    let wide_bytes = amounts
        .iter()
        .map(|(_, _, bytes)| bytes.len())
        .max()
        .unwrap_or(0);
    for (what, nodes, bytes) in amounts {
        let noun = if nodes == "1" { "node " } else { "nodes" };
        writeln!(
            out,
            "  {what:<8}  {nodes:>wide$} {noun}  {bytes:>wide_bytes$}"
        )?;
    }
    writeln!(out, "  order     head {}, tail {}", ring.head, ring.tail)?;
    writeln!(
        out,
        "  waits     writers {}, readers {}",
        ring.writer_waits, ring.reader_waits
    )?;
    write!(
        out,
        "  losses    {} abandoned, {} redelivered, {} dropped",
        ring.abandoned_nodes, ring.redelivered_nodes, ring.dropped_nodes
    )?;
    match ring.missed_nodes {
        None => writeln!(out)?,
        Some(missed) => writeln!(out, ", {missed} missed")?,
    }
    let states = ring.states;
    writeln!(
        out,
        "  nodes     {} free (.)  {} writing (w)  {} ready (#)  {} reading (r)  {} orphan (o)",
        states.free, states.writing, states.ready, states.reading, states.orphan
    )?;
    // The map is ASCII: one byte per node.
    for line in ring
        .map
        .iter()
        .flat_map(|map| map.as_bytes().chunks(MAP_WIDTH))
    {
        writeln!(out, "            {}", String::from_utf8_lossy(line))?;
    }
    if !ring.consistent {
        writeln!(
            out,
            "  note      it is busy: these figures are some microseconds apart"
        )?;
    }
    Ok(())
}

/// Whom the writers of a full broadcast ring wait for.
fn write_slowest(out: &mut dyn Write, ring: &Ring, participants: &[Participant]) -> io::Result<()> {
    let readers = participants.iter().filter(|p| p.missed_nodes.is_some());
    let slowest = readers.max_by_key(|reader| reader.diff_nodes);
    match slowest.filter(|reader| ring.states.free == 0 && reader.diff_nodes > 0) {
        None => Ok(()),
        Some(reader) => writeln!(
            out,
            "  full      its slowest reader is participant {} (pid {}), {} nodes behind",
            reader.slot, reader.pid, reader.diff_nodes
        ),
    }
}

fn write_damage(out: &mut dyn Write, damage: &DamageReport) -> io::Result<()> {
    for wrong in damage.first() {
        writeln!(out, "  DAMAGED   {wrong}")?;
    }
    match damage.count() - damage.first().len() as u64 {
        0 => Ok(()),
        more => writeln!(out, "  DAMAGED   and {more} more"),
    }
}

fn write_participants(
    out: &mut dyn Write,
    snapshot: &Snapshot,
    now_unix_ns: u64,
) -> io::Result<()> {
    let participants = &snapshot.participants;
    // What is counted: nodes moved, or times that the lock was had.
    let counted = match snapshot.lock {
        None => "NODES",
        Some(_) => "LOCKED",
    };
    writeln!(out)?;
    if participants.is_empty() {
        return writeln!(out, "  nobody is attached");
    }
    let mut columns = vec![
        Column::Right("SLOT"),
        Column::Left("ROLE"),
        Column::Right("PID"),
        Column::Left("STATE"),
        Column::Right(counted),
        Column::Right("BYTES"),
        Column::Right("WAITS"),
        Column::Right("HOLDS"),
        Column::Right("ATTACHED"),
    ];
    // What each reader of a broadcast ring has of its own stands before that.
    let broadcast = (snapshot.ring.as_ref()).is_some_and(|ring| ring.missed_nodes.is_some());
    let before = columns.len() - 1;
    if broadcast {
        columns.splice(before..before, ["DIFF", "MISSED"].map(Column::Right));
    }
    let rows: Vec<Vec<String>> = participants
        .iter()
        .map(|participant| {
            let mut row = vec![
                participant.slot.to_string(),
                participant.role.as_str().to_owned(),
                participant.pid.to_string(),
                liveness(participant).to_owned(),
                participant.nodes.to_string(),
                Size(participant.bytes).to_string(),
                participant.waits.to_string(),
                participant.held_nodes.to_string(),
                Age {
                    since_unix_ns: participant.since_unix_ns,
                    now_unix_ns,
                }
                .to_string(),
            ];
            if broadcast {
                let own = match participant.missed_nodes {
                    Some(missed) => [participant.diff_nodes, missed].map(|n| n.to_string()),
                    None => ["-", "-"].map(str::to_owned),
                };
                row.splice(before..before, own);
            }
            row
        })
        .collect();
    write_columns(out, "  ", &columns, &rows)
}

/// `alive`, `leaving` or `DEAD`.
pub fn liveness(participant: &Participant) -> &'static str {
    match (participant.alive, participant.leaving) {
        (false, _) => "DEAD",
        (true, true) => "leaving",
        (true, false) => "alive",
    }
}

/// Writes a row for each node. Rows are written one by one: a ring may have a
/// million.
///
/// # Errors
///
/// Those of `out`.
pub fn write_nodes(out: &mut dyn Write, rows: &[NodeRow]) -> io::Result<()> {
    let digits = |of: fn(&NodeRow) -> u64| {
        rows.iter()
            .map(of)
            .max()
            .unwrap_or(0)
            .checked_ilog10()
            .unwrap_or(0) as usize
            + 1
    };
    let generation = digits(|row| row.generation).max("GENERATION".len());
    let len = digits(|row| row.len).max("LEN".len());
    let position = digits(|row| row.position.unwrap_or(0)).max("POSITION".len());
    writeln!(
        out,
        "   NODE  STATE    OWNER  {:>generation$}  {:>len$}  {:>position$}",
        "GENERATION", "LEN", "POSITION"
    )?;
    let or_dash = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |v| v.to_string());
    for row in rows {
        writeln!(
            out,
            "{:>7}  {:<7}  {:>5}  {:>generation$}  {:>len$}  {:>position$}",
            row.node,
            state_name(row.state),
            or_dash(row.owner.map(u64::from)),
            row.generation,
            row.len,
            or_dash(row.position),
        )?;
    }
    Ok(())
}
