//! What an array is, element type and length, and where that stands in its
//! segment.
//!
//! ```text
//! header.geometry     [len, element size, element align, D, CRC-32C of the description, 0, 0, 0]
//! structure_offset    the lock's words               LOCK_SIZE bytes
//!   + LOCK_SIZE       the description, canonical     D bytes
//! payload_offset      the next multiple of 4096
//! total_size          payload_offset + len * element size, exactly
//! ```
//!
//! A [`Spec`] is made by a user ([`Spec::new`]) or found in a segment. Nothing
//! found there is believed:
//!
//! * the description must have the check sum that the header, whose own check
//!   sum was compared, says; must parse; and must be in its canonical form, so
//!   that two descriptions are the same type exactly if they are the same text;
//! * size and alignment of the element, payload offset and total size are
//!   computed from it anew, with checked arithmetic, and compared.
//!
//! It is found twice: by pread ([`Spec::of`]), and again in the mapping when
//! somebody attaches, since a peer may have changed the bytes in between. Each
//! time they are copied first and the copy is what is looked at.
//!
//! Because `payload_offset` is a multiple of the page size, and elements follow
//! each other without gaps, element `i` is aligned to its type: its size is a
//! multiple of its alignment.

use super::fill::fill;
use super::{ArrayError, ElementType, MAX_DESCRIPTION};
use crate::lock::layout::LOCK_SIZE;
use crate::lock::{LockError, PAYLOAD_ALIGN};
use crate::segment::layout::DEFAULT_PARTICIPANTS;
use crate::segment::{
    self, Gone, Header, Kind, Mapping, Name, Opened, Plan, SegmentError, structure_offset,
};
use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};

/// Bytes that are filled between two questions whether to go on.
const PART: usize = 64 << 20;

/// An array's element type and length.
#[derive(Clone, Debug)]
pub struct Spec {
    element_type: ElementType,
    len: u64,
    layout: Layout,
}

/// Two are the same if their types and lengths are: where the payload begins
/// depends on the segment, too.
impl PartialEq for Spec {
    fn eq(&self, other: &Spec) -> bool {
        self.len == other.len && self.element_type == other.element_type
    }
}

impl Eq for Spec {}

/// Where everything lies, as offsets from the segment's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    description: u64,
    payload: u64,
    total: u64,
}

impl Layout {
    /// `None` beyond 63 bits.
    fn new(structure: u64, description_len: u64, len: u64, element_size: u64) -> Option<Layout> {
        let description = structure.checked_add(LOCK_SIZE)?;
        let payload = description
            .checked_add(description_len)?
            .checked_next_multiple_of(PAYLOAD_ALIGN)?;
        let total = payload.checked_add(len.checked_mul(element_size)?)?;
        (total <= isize::MAX as u64).then_some(Layout {
            description,
            payload,
            total,
        })
    }
}

impl Spec {
    /// An array of `len` elements, 1 or more.
    ///
    /// # Errors
    ///
    /// [`ArrayError::Impossible`] for a length of 0, or too large for any
    /// memory; [`ArrayError::Indescribable`] if the type's description is
    /// longer than [`MAX_DESCRIPTION`], or the type is that of a Rust type
    /// that can be no element (see [`Element`](super::Element)).
    pub fn new(element_type: ElementType, len: u64) -> Result<Spec, ArrayError> {
        let size = element_type.size() as u64;
        let description = element_type.to_string();
        if description.len() > MAX_DESCRIPTION {
            let why = "its description is longer than 65536 bytes";
            return Err(ArrayError::Indescribable { why });
        }
        if description.parse().as_ref() != Ok(&element_type) {
            let why = "a Rust type of no size, of more than 65536 bytes, too deep, or with a layout or field names that C does not have";
            return Err(ArrayError::Indescribable { why });
        }
        let impossible = |why| ArrayError::Impossible { len, size, why };
        if len == 0 {
            return Err(impossible("an array has 1 or more"));
        }
        let structure = structure_offset(DEFAULT_PARTICIPANTS);
        let layout = Layout::new(structure, description.len() as u64, len, size)
            .ok_or_else(|| impossible("too large for any memory"))?;
        Ok(Spec {
            element_type,
            len,
            layout,
        })
    }

    /// The elements' type.
    pub fn element_type(&self) -> &ElementType {
        &self.element_type
    }

    /// How many there are: 1 or more.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Bytes from the segment's start to the first element: a multiple of 4096.
    pub fn data_offset(&self) -> u64 {
        self.layout.payload
    }

    /// Bytes of the whole segment.
    pub fn total_size(&self) -> u64 {
        self.layout.total
    }

    /// Bytes of all the elements.
    pub(crate) fn payload_size(&self) -> u64 {
        self.layout.total - self.layout.payload
    }

    /// That of an open segment, checked, by pread. Does not block.
    ///
    /// # Errors
    ///
    /// [`WrongKind`](SegmentError::WrongKind) if it is no array,
    /// [`Corrupt`](SegmentError::Corrupt) if header and description are not
    /// those of one, [`Gone`](SegmentError::Gone) if it was truncated
    /// meanwhile, [`Io`](SegmentError::Io) when the system refuses.
    pub fn of(opened: &Opened) -> Result<Spec, SegmentError> {
        Spec::check(opened.name(), opened.header(), |at, description| {
            opened.read_at(at, description)
        })
    }

    /// That of a mapped segment, checked; of a private copy of the description.
    pub(super) fn of_mapping(mapping: &Mapping) -> Result<Spec, SegmentError> {
        let name = mapping.name();
        let found = Spec::check(name, mapping.header(), |at, description| {
            copy_out(mapping, at, description)
        });
        // What is read where a file was cut is zeros: not corrupt, but gone.
        match mapping.gone() {
            Some(Gone::Truncated) => Err(SegmentError::Gone {
                name: name.clone(),
                gone: Gone::Truncated,
            }),
            _ => found,
        }
    }

    /// The one gate for whatever was found: `read` fills a buffer with the
    /// bytes at an offset, which lie before the header's `payload_offset`.
    fn check(
        name: &Name,
        header: &Header,
        read: impl FnOnce(u64, &mut [u8]) -> Result<(), SegmentError>,
    ) -> Result<Spec, SegmentError> {
        if header.kind != Kind::Array {
            return Err(SegmentError::WrongKind {
                name: name.clone(),
                expected: Kind::Array,
                found: header.kind,
            });
        }
        let corrupt = |why: String| SegmentError::Corrupt {
            name: name.clone(),
            why,
        };
        let wrong = |what: &str, is: u64, should: u64| {
            Err(corrupt(format!("the array's {what} is {is}, not {should}")))
        };

        let [len, size, align, description_len, crc, rest @ ..] = header.geometry;
        if let Some(unused) = rest.into_iter().find(|word| *word != 0) {
            return wrong("unused geometry word", unused, 0);
        }
        if len == 0 {
            return Err(corrupt("an array of no elements".to_owned()));
        }
        if !(1..=MAX_DESCRIPTION as u64).contains(&description_len) {
            return Err(corrupt(format!(
                "a description of {description_len} bytes; there are 1 to {MAX_DESCRIPTION}"
            )));
        }
        let Some(layout) = Layout::new(header.structure_offset, description_len, len, size) else {
            return Err(corrupt(format!(
                "{len} elements of {size} bytes: too large for any memory"
            )));
        };
        if header.payload_offset != layout.payload {
            return wrong("payload offset", header.payload_offset, layout.payload);
        }
        if header.total_size != layout.total {
            return wrong("total size", header.total_size, layout.total);
        }

        let mut description = vec![0; description_len as usize];
        read(layout.description, &mut description)?;
        if u64::from(crc32c::crc32c(&description)) != crc {
            return Err(corrupt(
                "the check sum of the element type's description does not match".to_owned(),
            ));
        }
        let element_type = std::str::from_utf8(&description)
            .map_err(|_| "the element type's description is no text".to_owned())
            .and_then(|text| match text.parse::<ElementType>() {
                Ok(parsed) if parsed.to_string() == text => Ok(parsed),
                Ok(_) => Err("the element type's description is not canonical".to_owned()),
                Err(error) => Err(error.to_string()),
            })
            .map_err(corrupt)?;
        if element_type.size() as u64 != size {
            return wrong("element size", size, element_type.size() as u64);
        }
        if element_type.align() as u64 != align {
            return wrong("element alignment", align, element_type.align() as u64);
        }
        Ok(Spec {
            element_type,
            len,
            layout,
        })
    }

    /// What [`segment::create_unless`] is to build.
    fn plan(&self, description: &str, mode: u32) -> Plan {
        Plan {
            kind: Kind::Array,
            participants: DEFAULT_PARTICIPANTS,
            payload_offset: self.layout.payload,
            total_size: self.layout.total,
            geometry: [
                self.len,
                self.element_type.size() as u64,
                self.element_type.align() as u64,
                description.len() as u64,
                crc32c::crc32c(description.as_bytes()).into(),
                0,
                0,
                0,
            ],
            mode,
        }
    }
}

/// Copies bytes out of a mapping that others may change at the same time: each
/// is what it was at some moment. At most the 64 KiB of a description.
fn copy_out(mapping: &Mapping, at: u64, out: &mut [u8]) -> Result<(), SegmentError> {
    let inside = at
        .checked_add(out.len() as u64)
        .is_some_and(|end| end <= mapping.len() as u64);
    if !inside {
        return Err(SegmentError::Corrupt {
            name: mapping.name().clone(),
            why: format!("{} bytes at {at} lie outside it", out.len()),
        });
    }
    for (i, byte) in out.iter_mut().enumerate() {
        // SAFETY: within the mapping, as was just compared.
        let from = unsafe { mapping.base().add(at as usize + i) };
        // SAFETY: mapped as long as `mapping` lives, and a byte is always
        // aligned; whoever changes it at this moment does so in another process
        // or, in this one, as an atomic.
        let shared = unsafe { AtomicU8::from_ptr(from) };
        *byte = shared.load(Ordering::Relaxed);
    }
    Ok(())
}

/// Creates an array under its name.
///
/// All elements are `fill` (the bytes of one element, see
/// [`Element::store`](super::Element::store)), or zero. It is filled before it
/// has its name: nobody ever sees it half filled. `mode` are permission bits, 0
/// to 0o777. Blocks as long as reserving and filling the memory takes, some
/// 0.6 s for each GiB.
///
/// # Errors
///
/// As [`segment::create`](crate::segment::create());
/// [`ArrayError::Impossible`] if `fill` is not as long as an element.
///
/// ```
/// use shmkit::array::{self, Spec};
/// use shmkit::segment::{self, Name, OpenOptions, Opened};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let name = Name::new(&format!("ones-{}", std::process::id()))?;
/// let spec = Spec::new("f64".parse()?, 1000)?;
/// array::create(&name, &spec, Some(&1f64.to_le_bytes()), 0o600)?;
///
/// let found = Spec::of(&Opened::open(&name, OpenOptions::default())?)?;
/// assert_eq!(found, spec);
/// assert_eq!(found.total_size() - found.data_offset(), 8000);
/// segment::remove(&name, false, OpenOptions::default())?;
/// # Ok(())
/// # }
/// ```
pub fn create(name: &Name, spec: &Spec, fill: Option<&[u8]>, mode: u32) -> Result<(), ArrayError> {
    create_unless(name, spec, fill, mode, &|| false)
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
    fill: Option<&[u8]>,
    mode: u32,
    cancelled: &dyn Fn() -> bool,
) -> Result<(), ArrayError> {
    if fill.is_some_and(|element| element.len() != spec.element_type.size()) {
        return Err(ArrayError::Impossible {
            len: spec.len,
            size: spec.element_type.size() as u64,
            why: "the value to fill it with has another size",
        });
    }
    // A new segment is zero as it is.
    let fill = fill.filter(|element| element.iter().any(|byte| *byte != 0));
    let description = spec.element_type.to_string();
    let plan = spec.plan(&description, mode);
    let given_up = Cell::new(false);
    let created = segment::create_unless(name, &plan, cancelled, |mapping| {
        given_up.set(!initialise(mapping, spec, &description, fill, cancelled));
        match given_up.get() {
            true => Err(io::ErrorKind::Interrupted.into()),
            false => Ok(()),
        }
    });
    match created {
        Err(_) if given_up.get() => Err(LockError::Cancelled.into()),
        Err(SegmentError::Cancelled { .. }) => Err(LockError::Cancelled.into()),
        other => Ok(other?),
    }
}

/// Writes description and elements into the memory of a segment that nobody
/// else knows. `false`: cancelled.
fn initialise(
    mapping: &Mapping,
    spec: &Spec,
    description: &str,
    element: Option<&[u8]>,
    cancelled: &dyn Fn() -> bool,
) -> bool {
    debug_assert_eq!(mapping.len() as u64, spec.layout.total);
    // SAFETY: the segment was made by this spec's plan, so the offset lies within it.
    let from = unsafe { mapping.base().add(spec.layout.description as usize) };
    // SAFETY: by the layout so many bytes lie before the payload; nobody else has
    // the segment yet, and no other reference to these bytes exists.
    let place = unsafe { std::slice::from_raw_parts_mut(from, description.len()) };
    place.copy_from_slice(description.as_bytes());
    let Some(element) = element else {
        return true;
    };
    // SAFETY: as above.
    let first = unsafe { mapping.base().add(spec.layout.payload as usize) };
    // SAFETY: the payload reaches to the segment's end exactly; nobody else has
    // the segment yet, and no other reference to these bytes exists.
    let payload = unsafe { std::slice::from_raw_parts_mut(first, spec.payload_size() as usize) };
    for part in payload.chunks_mut(PART / element.len() * element.len()) {
        if cancelled() {
            return false;
        }
        populate(part);
        fill(part, element);
    }
    true
}

/// Asks for the pages of a part that is about to be written, all at once:
/// a fault for each costs several times what filling it does.
fn populate(part: &mut [u8]) {
    let before = part.as_ptr().addr() % PAYLOAD_ALIGN as usize;
    let page = part.as_mut_ptr().wrapping_sub(before);
    // SAFETY: from the page that the part begins in, which is mapped as the
    // part is (the payload begins at a page) up to its end; populating changes
    // no contents.
    let populated = unsafe {
        let advice = rustix::mm::Advice::LinuxPopulateWrite;
        rustix::mm::madvise(page.cast(), before + part.len(), advice)
    };
    // Kernels before 5.14 do not know it; then pages come when touched.
    let _ = populated;
}

#[cfg(test)]
mod tests;
