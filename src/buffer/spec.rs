//! What a buffer is: its size, and where that stands in its header.
//!
//! ```text
//! header.geometry     [size, 0, 0, 0, 0, 0, 0, 0]
//! structure_offset    the lock's words               LOCK_SIZE bytes
//! payload_offset      the next multiple of 4096
//! total_size          payload_offset + size, exactly
//! ```
//!
//! A [`Spec`] is made by a user ([`Spec::new`]) or found in a header
//! ([`Spec::of`]), where every word is computed anew and compared.

use super::BufferError;
use crate::lock::layout::LOCK_SIZE;
use crate::lock::{LockError, PAYLOAD_ALIGN};
use crate::segment::layout::DEFAULT_PARTICIPANTS;
use crate::segment::{self, Header, Kind, Name, Plan, SegmentError, structure_offset};

/// A buffer's size.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    size: u64,
    data_offset: u64,
}

/// Two are the same if their sizes are: where the payload begins depends on
/// the segment, too.
impl PartialEq for Spec {
    fn eq(&self, other: &Spec) -> bool {
        self.size == other.size
    }
}

impl Eq for Spec {}

impl Spec {
    /// A buffer of `size` bytes, 1 or more.
    ///
    /// # Errors
    ///
    /// [`BufferError::Impossible`]: size 0, or too large for any memory.
    pub fn new(size: u64) -> Result<Spec, BufferError> {
        Spec::laid_out(structure_offset(DEFAULT_PARTICIPANTS), size)
            .ok_or(BufferError::Impossible(size))
    }

    fn laid_out(structure: u64, size: u64) -> Option<Spec> {
        let data_offset = structure
            .checked_add(LOCK_SIZE)?
            .checked_next_multiple_of(PAYLOAD_ALIGN)?;
        let total = data_offset.checked_add(size)?;
        (size > 0 && total <= isize::MAX as u64).then_some(Spec { size, data_offset })
    }

    /// Payload bytes: 1 or more.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes from the segment's start to the first payload byte: a multiple of 4096.
    pub fn data_offset(&self) -> u64 {
        self.data_offset
    }

    /// Bytes of the whole segment.
    pub fn total_size(&self) -> u64 {
        self.data_offset + self.size
    }

    /// That of a checked header.
    ///
    /// # Errors
    ///
    /// [`WrongKind`](SegmentError::WrongKind) if it is not a buffer's,
    /// [`Corrupt`](SegmentError::Corrupt) if no buffer has this geometry.
    pub fn of(name: &Name, header: &Header) -> Result<Spec, SegmentError> {
        if header.kind != Kind::Buffer {
            return Err(SegmentError::WrongKind {
                name: name.clone(),
                expected: Kind::Buffer,
                found: header.kind,
            });
        }
        let corrupt = |why: String| {
            Err(SegmentError::Corrupt {
                name: name.clone(),
                why,
            })
        };
        let [size, rest @ ..] = header.geometry;
        if let Some(unused) = rest.into_iter().find(|word| *word != 0) {
            return corrupt(format!(
                "the buffer's unused geometry word is {unused}, not 0"
            ));
        }
        let Some(spec) = Spec::laid_out(header.structure_offset, size) else {
            return corrupt(format!("a buffer of {size} bytes"));
        };
        for (what, is, should) in [
            ("payload offset", header.payload_offset, spec.data_offset()),
            ("total size", header.total_size, spec.total_size()),
        ] {
            if is != should {
                return corrupt(format!("the buffer's {what} is {is}, not {should}"));
            }
        }
        Ok(spec)
    }

    fn plan(&self, mode: u32) -> Plan {
        Plan {
            kind: Kind::Buffer,
            participants: DEFAULT_PARTICIPANTS,
            payload_offset: self.data_offset(),
            total_size: self.total_size(),
            geometry: [self.size, 0, 0, 0, 0, 0, 0, 0],
            mode,
        }
    }
}

/// Creates a buffer of zeros under its name. `mode` are permission bits, 0 to
/// 0o777. Blocks as long as reserving the memory takes, about 0.3 s for each
/// GiB.
///
/// # Errors
///
/// As [`segment::create`](crate::segment::create()).
pub fn create(name: &Name, spec: &Spec, mode: u32) -> Result<(), BufferError> {
    create_unless(name, spec, mode, &|| false)
}

/// As [`create`], but gives up when `cancelled` says so: it is asked every 64
/// MiB, and when a signal handler has run.
///
/// # Errors
///
/// Those of [`create`], and [`LockError::Cancelled`].
pub fn create_unless(
    name: &Name,
    spec: &Spec,
    mode: u32,
    cancelled: &dyn Fn() -> bool,
) -> Result<(), BufferError> {
    match segment::create_unless(name, &spec.plan(mode), cancelled, |_| Ok(())) {
        Err(SegmentError::Cancelled { .. }) => Err(LockError::Cancelled.into()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::layout::LAYOUT_VERSION;
    use proptest::prelude::*;

    fn header(spec: &Spec) -> Header {
        let plan = spec.plan(0o600);
        Header {
            kind: plan.kind,
            layout_version: LAYOUT_VERSION,
            total_size: plan.total_size,
            instance_id: [0; 16],
            created_unix_ns: 0,
            creator_pid: 1,
            participants: plan.participants,
            structure_offset: structure_offset(plan.participants),
            payload_offset: plan.payload_offset,
            geometry: plan.geometry,
        }
    }

    fn found(header: &Header) -> Result<Spec, SegmentError> {
        Spec::of(&Name::new("demo").unwrap(), header)
    }

    #[test]
    fn there_is_no_buffer_of_nothing_nor_one_larger_than_memory() {
        let offset = Spec::new(1).unwrap().data_offset();
        assert_eq!(offset % PAYLOAD_ALIGN, 0);
        let most = isize::MAX as u64 - offset;
        assert_eq!(Spec::new(most).unwrap().total_size(), isize::MAX as u64);
        for size in [0, most + 1, u64::MAX, u64::MAX - offset + 1] {
            let error = Spec::new(size).unwrap_err();
            assert!(matches!(error, BufferError::Impossible(s) if s == size));
        }
    }

    #[test]
    fn every_word_that_lies_is_found_out() {
        let good = header(&Spec::new(1000).unwrap());
        assert_eq!(found(&good).unwrap(), Spec::new(1000).unwrap());
        for word in 0..10 {
            for lie in [0, 1, 999, 1001, 4096, 1 << 63, u64::MAX] {
                let mut header = good.clone();
                let field = match word {
                    8 => &mut header.payload_offset,
                    9 => &mut header.total_size,
                    word => &mut header.geometry[word],
                };
                if *field == lie {
                    continue;
                }
                *field = lie;
                let error = found(&header).unwrap_err();
                assert!(matches!(error, SegmentError::Corrupt { .. }), "{error}");
            }
        }
        let mut array = good;
        array.kind = Kind::Array;
        let error = found(&array).unwrap_err();
        assert!(matches!(error, SegmentError::WrongKind { .. }), "{error}");
    }

    proptest! {
        #[test]
        fn a_buffer_is_found_as_it_was_planned(size in 1u64..1 << 60) {
            let spec = Spec::new(size).unwrap();
            let again = found(&header(&spec)).unwrap();
            prop_assert_eq!((again.size(), again.data_offset()), (size, spec.data_offset()));
        }
    }
}
