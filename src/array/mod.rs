//! Arrays: typed elements in a segment that says what they are.
//!
//! ```text
//! header ............ geometry: len, element size and align, description's length and CRC
//! participant table
//! lock words          who writes, whether a writer died
//! description         "id:u32,position:[f32;3],alive:bool"
//! ---- next page ----
//! element 0 | element 1 | ... | element len - 1                     (exactly)
//! ```
//!
//! | to | use |
//! |---|---|
//! | say what an element is | [`ElementType`]: a description and the C layout that follows from it |
//! | say it in Rust | [`Element`], [`Bool`], [`record!`](crate::record) |
//! | make an array | [`Spec`], [`create`] |
//! | use one, type known when compiling | [`Array`] |
//! | use one, whatever its type | [`Untyped`] |
//!
//! ```
//! use shmkit::array::{self, Array, Element, Spec};
//! use shmkit::lock::{AttachOptions, Wait};
//! use shmkit::segment::{self, Name, OpenOptions};
//!
//! shmkit::record! {
//!     /// What a weather station says.
//!     #[derive(Debug, PartialEq)]
//!     pub struct Reading {
//!         /// Nanoseconds since the epoch.
//!         pub at: u64,
//!         /// Degrees, and percent.
//!         pub values: [f32; 2],
//!     }
//! }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let name = Name::new(&format!("readings-{}", std::process::id()))?;
//! let spec = Spec::new(Reading::element_type(), 100)?;
//! assert_eq!(spec.element_type().to_string(), "at:u64,values:[f32;2]");
//! array::create(&name, &spec, None, 0o600)?;
//! # struct Tidy(Name);
//! # impl Drop for Tidy { fn drop(&mut self) { let _ = segment::remove(&self.0, true, OpenOptions::default()); } }
//! # let tidy = Tidy(name.clone());
//!
//! let mut readings: Array<Reading> = Array::attach(&name, &AttachOptions::default())?;
//! readings.set(99, Reading { at: 7, values: [21.5, 40.0] })?;
//! let guard = readings.read(&Wait::default())?;       // shared with other readers
//! assert_eq!(guard.iter().filter(|reading| reading.at == 7).count(), 1);
//! drop(guard);
//! assert!(Array::<f64>::attach(&name, &AttachOptions::default()).is_err());
//! # drop(readings);
//! # drop(tidy);
//! # Ok(())
//! # }
//! ```
//!
//! What holds in this room:
//!
//! * The header tells: nobody repeats type or length. A Rust type is accepted
//!   only if its description is the header's, and its size and alignment are
//!   what that description means. That a Rust type has no padding, and nothing
//!   uninitialised, where its description has none, nobody can check: it is what
//!   an implementation of the unsafe trait [`Element`] promises, and what
//!   [`record!`](crate::record) makes sure of.
//! * Nothing read from the segment is believed: description and geometry are
//!   checked against each other, by pread and again in the attached mapping
//!   ([`Spec`]), and then used from private copies.
//! * Elements are plain data, of which any bytes are some value. What a peer
//!   does to them can be wrong, but not undefined.
//! * Several elements together are whole only under the lock
//!   ([`crate::lock`]). One element of 1, 2, 4 or 8 bytes is loaded and stored
//!   whole without it ([`Array::get`]).

mod description;
mod element;
mod element_type;
mod error;
mod fill;
mod guard;
mod record;
mod spec;
mod typed;
mod untyped;
pub(crate) mod view;
pub(crate) mod word;

pub use description::{MAX_DESCRIPTION, TypeError};
pub use element::{Bool, Element};
pub use element_type::{ElementType, Field, Leaf, MAX_DEPTH, MAX_NAME, MAX_SIZE, Scalar, Shape};
pub use error::ArrayError;
pub(crate) use error::beyond;
pub use guard::{ArrayReadGuard, ArrayWriteGuard};
#[doc(hidden)]
pub use record::record_of;
pub use spec::{Spec, create, create_unless};
pub use typed::Array;
pub use untyped::Untyped;
