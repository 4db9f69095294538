//! All that a program may do with a segment that somebody else has made:
//! look at it, attach to it, write, read, leave. In a segment whose bytes may
//! be anything each step ends, soon, in success or in an error; which of the
//! two is the bytes' business. What is lent is touched to its last byte.
//!
//! Nothing here waits: deadlines are now. So a visit takes well under a
//! millisecond, and one that takes a second hangs or spins.

use shmkit::array::{ArrayError, Untyped};
use shmkit::buffer::{Buffer, BufferError};
use shmkit::inspect::{Detail, Snapshot, hexdump, text};
use shmkit::lock::{AttachOptions, LockError};
use shmkit::ring::{Claim, Monitor, Reader, ReaderOptions, RingError, Start, Wait, Writer};
use shmkit::segment::{Kind, Name, OpenOptions, Opened, SegmentError};
use std::hint::black_box;
use std::time::Instant;

/// What came of a visit: how often each exit status would have been said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally(pub [u64; 7]);

impl Tally {
    fn note<T>(&mut self, result: Result<T, u8>) -> Option<T> {
        match result {
            Ok(value) => {
                self.0[0] += 1;
                Some(value)
            }
            Err(status) => {
                self.0[usize::from(status)] += 1;
                None
            }
        }
    }

    /// Both together.
    pub fn with(mut self, other: Tally) -> Tally {
        for (sum, n) in self.0.iter_mut().zip(other.0) {
            *sum += n;
        }
        self
    }
}

/// Visits the segment, as what its header says it is and as what it is not.
pub fn visit(name: &Name) -> Tally {
    let mut tally = Tally::default();
    let kind = tally.note(look(name));
    if kind.is_none_or(|kind| kind == Kind::Ring) {
        use_ring(name, &mut tally);
    }
    if kind.is_none_or(|kind| kind != Kind::Ring) {
        use_array(name, &mut tally);
        use_buffer(name, &mut tally);
    }
    tally
}

/// `shm inspect`, `--nodes`, `--data`, `--json`.
fn look(name: &Name) -> Result<Kind, u8> {
    let opened = Opened::open(name, OpenOptions::default()).map_err(of_segment)?;
    let snapshot = Snapshot::take(&opened, Detail::Nodes).map_err(of_segment)?;
    let mut out = Vec::new();
    text::write_snapshot(&mut out, &snapshot, 0).unwrap();
    let rows = snapshot.node_rows.as_deref().unwrap_or_default();
    text::write_nodes(&mut out, rows).unwrap();
    let dumped = match snapshot.kind {
        Kind::Ring => hexdump::write_nodes(&mut out, &opened, rows),
        Kind::Array | Kind::Buffer => hexdump::write_payload(&mut out, &opened),
    };
    dumped.map_err(|error| match error {
        hexdump::DumpError::Segment(error) => of_segment(error),
        hexdump::DumpError::Output(error) => panic!("writing to memory: {error}"),
    })?;
    black_box(serde_json::to_string(&snapshot).unwrap());
    Ok(snapshot.kind)
}

fn use_ring(name: &Name, tally: &mut Tally) {
    if let Some(monitor) = tally.note(Monitor::open(name, OpenOptions::default()).map_err(of_ring))
    {
        black_box((monitor.unclaimed_nodes(), monitor.diff()));
        black_box(monitor.reader_diffs());
        black_box((monitor.writers(), monitor.readers(), monitor.gone()));
    }
    let writer = tally.note(Writer::attach(name, OpenOptions::default()).map_err(of_ring));
    let reader = tally.note(Reader::attach(name, &ReaderOptions::default()).map_err(of_ring));
    if let Some(mut writer) = writer {
        tally.note(write(&mut writer).map_err(of_ring));
        black_box(writer.stats());
    }
    let oldest = ReaderOptions {
        from: Start::Oldest,
        ..ReaderOptions::default()
    };
    if let Some(mut reader) = tally.note(Reader::attach(name, &oldest).map_err(of_ring)) {
        tally.note(read(&mut reader).map_err(of_ring));
    }
    if let Some(mut reader) = reader {
        tally.note(read(&mut reader).map_err(of_ring));
        black_box(reader.stats());
    }
}

fn write(writer: &mut Writer) -> Result<(), RingError> {
    for turn in 0..3 {
        if let Some(mut nodes) = writer.try_reserve(usize::MAX)? {
            for i in 0..nodes.len() {
                nodes.node_mut(i).fill(turn);
            }
            black_box(nodes.io_slices(1).len());
            let len = nodes.node_mut(0).len();
            nodes.commit_first(len)?;
        }
    }
    if let Some(mut nodes) = writer.reserve_or_drop_oldest()? {
        nodes.node_mut(0).fill(4);
        nodes.commit_first(1)?;
    }
    writer.write(b"message", &now())
}

fn read(reader: &mut Reader) -> Result<(), RingError> {
    for want in [1, 2, usize::MAX, 1, 1] {
        match reader.try_claim(want, usize::MAX)? {
            Some(Claim::Nodes(mut nodes)) => {
                for i in 0..nodes.len() {
                    black_box(sum(nodes.node(i)));
                }
                black_box((nodes.bytes(), nodes.io_slices(3).len()));
                nodes.release_first();
                // What is left goes back.
            }
            Some(Claim::End { .. }) | None => break,
        }
    }
    match reader.claim(usize::MAX, usize::MAX, &now())? {
        Claim::Nodes(nodes) => {
            for i in 0..nodes.len() {
                black_box(sum(nodes.node(i)));
            }
            nodes.release_all();
        }
        Claim::End { clean } => {
            black_box(clean);
        }
    }
    Ok(())
}

fn use_array(name: &Name, tally: &mut Tally) {
    let attached = Untyped::attach(name, &AttachOptions::default()).map_err(of_array);
    let Some(mut array) = tally.note(attached) else {
        return;
    };
    let spec = array.spec();
    black_box((
        spec.element_type().to_string(),
        spec.element_type().leaves(),
    ));
    let range = array.range(0, spec.len()).unwrap();
    let locked = array.locked_mut();
    let read = locked.read(&now()).map_err(of_lock);
    if let Some(guard) = tally.note(read) {
        black_box((sum(&guard.bytes()[range.clone()]), guard.owner_died()));
    }
    if let Some(mut guard) = tally.note(locked.write(&now()).map_err(of_lock)) {
        guard.bytes_mut()[range].fill(1);
    }
}

fn use_buffer(name: &Name, tally: &mut Tally) {
    let attached = Buffer::attach(name, &AttachOptions::default()).map_err(of_buffer);
    let Some(mut buffer) = tally.note(attached) else {
        return;
    };
    let last = buffer.size() - 1;
    tally.note(buffer.store(last, 1u8).map_err(of_buffer));
    tally.note(buffer.load::<u8>(last).map_err(of_buffer));
    if let Some(guard) = tally.note(buffer.read(&now()).map_err(of_buffer)) {
        black_box((sum(guard.as_bytes()), guard.owner_died()));
    }
    if let Some(mut guard) = tally.note(buffer.write(&now()).map_err(of_buffer)) {
        guard.as_bytes_mut().fill(1);
    }
}

fn now() -> Wait<'static> {
    Wait {
        deadline: Some(Instant::now()),
        cancelled: None,
    }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

// ---- the exit status of an error, as the contract has it --------------------

fn of_segment(error: SegmentError) -> u8 {
    match error {
        SegmentError::NotOurs { .. }
        | SegmentError::OtherVersion { .. }
        | SegmentError::Corrupt { .. } => 5,
        SegmentError::Gone { .. } => 6,
        SegmentError::WrongKind { .. } | SegmentError::Name(_) => 2,
        _ => 1,
    }
}

fn of_ring(error: RingError) -> u8 {
    match error {
        RingError::TimedOut => 4,
        RingError::Corrupt { .. } => 5,
        RingError::Gone { .. } => 6,
        // A header that says so may have made the nodes that small.
        RingError::TooLong { .. } => 1,
        RingError::Segment(error) => of_segment(error),
        error => panic!("{error}"),
    }
}

fn of_lock(error: LockError) -> u8 {
    match error {
        LockError::TimedOut => 4,
        LockError::Gone { .. } => 6,
        LockError::NoLock { .. } => 2,
        LockError::Segment(error) => of_segment(error),
        error => panic!("{error}"),
    }
}

fn of_array(error: ArrayError) -> u8 {
    match error {
        ArrayError::Lock(error) => of_lock(error),
        error => panic!("{error}"),
    }
}

fn of_buffer(error: BufferError) -> u8 {
    match error {
        BufferError::Lock(error) => of_lock(error),
        error => panic!("{error}"),
    }
}
