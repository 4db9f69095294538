//! Names of segments.
//!
//! A segment is a file in `/dev/shm`, and its name is the file's name. The
//! names allowed here are the portable ones: letters, digits, `.`, `_`, `-`.
//! What is left out is left out on purpose:
//!
//! * `/` would leave the directory. (`shm_open(3)` names begin with one; ours
//!   do not, as in `ls /dev/shm`.)
//! * A leading `.` is kept for the temporary names of segments that are being
//!   built (`.shmkit-...`), so no user's name can ever collide with one, and
//!   `.` and `..` need no rule of their own.
//! * White space, control characters and everything beyond ASCII: a name is
//!   safe on a command line, in a report and in a path without quoting.
//!
//! A [`Name`] is proof of all that: what takes a `Name` checks nothing again.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the segments are: the directory that glibc and musl open
/// `shm_open(3)` names in.
pub(super) const DIRECTORY: &str = "/dev/shm";

/// What the names of unfinished segments begin with.
pub(super) const TEMPORARY_PREFIX: &str = ".shmkit-";

/// A valid name of a segment: 1 to 200 bytes of `A-Z a-z 0-9 . _ -`, not
/// beginning with `.`.
///
/// ```
/// use shmkit::segment::Name;
///
/// let name: Name = "frames-1".parse()?;
/// assert_eq!(name.path(), std::path::Path::new("/dev/shm/frames-1"));
/// assert!(Name::new("../etc/passwd").is_err());
/// # Ok::<(), shmkit::segment::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Name(String);

/// Why a text is not a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no bytes at all.
    #[error("a segment's name must not be empty")]
    Empty,
    /// It has this many bytes, more than [`Name::MAX_LEN`].
    #[error("a segment's name has at most {max} bytes, not {0}", max = Name::MAX_LEN)]
    TooLong(usize),
    /// It begins with `.`.
    #[error("a segment's name must not begin with '.'")]
    LeadingDot,
    /// It holds this character.
    #[error("{0:?} cannot be in a segment's name; use letters, digits, '.', '_', '-'")]
    Character(char),
}

impl Name {
    /// The longest a name may be, in bytes.
    pub const MAX_LEN: usize = 200;

    /// Checks `name`.
    ///
    /// # Errors
    /// The first rule of [`NameError`] that it breaks.
    pub fn new(name: &str) -> Result<Name, NameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() {
            Err(NameError::Empty)
        } else if name.starts_with('.') {
            Err(NameError::LeadingDot)
        } else if let Some(c) = name.chars().find(|&c| !allowed(c)) {
            Err(NameError::Character(c))
        } else if name.len() > Name::MAX_LEN {
            Err(NameError::TooLong(name.len()))
        } else {
            Ok(Name(name.to_owned()))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file that the segment is: `/dev/shm/NAME`.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(DIRECTORY).join(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(name: &str) -> Result<Name, NameError> {
        Name::new(name)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_text_of_the_allowed_alphabet_is_a_name(text in "[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}") {
            let name = Name::new(&text).unwrap();
            prop_assert_eq!(name.as_str(), text.as_str());
            prop_assert!(name.path().parent().is_some_and(|p| p == DIRECTORY));
            prop_assert_eq!(name.to_string(), text);
        }

        #[test]
        fn whatever_is_accepted_is_one_plain_file_name(text in any::<String>()) {
            if let Ok(name) = Name::new(&text) {
                prop_assert!(!name.as_str().contains('/'));
                prop_assert!(!name.as_str().starts_with('.'));
                prop_assert!(name.path().to_str().is_some_and(|p| p.is_ascii() && p.len() < 255));
            }
        }

        #[test]
        fn one_foreign_character_anywhere_is_named(
            before in "[a-z]{1,20}", c in "[^A-Za-z0-9._-]", after in "[a-z]{0,20}"
        ) {
            let foreign = c.chars().next().unwrap();
            prop_assert_eq!(
                Name::new(&format!("{before}{foreign}{after}")),
                Err(NameError::Character(foreign))
            );
        }
    }

    #[test]
    fn the_rules_have_the_edges_they_say() {
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new("."), Err(NameError::LeadingDot));
        assert_eq!(Name::new(".."), Err(NameError::LeadingDot));
        assert_eq!(Name::new(".shmkit-1-2"), Err(NameError::LeadingDot));
        assert_eq!(Name::new("/frames"), Err(NameError::Character('/')));
        assert!(Name::new(&"n".repeat(200)).is_ok());
        assert_eq!(Name::new(&"n".repeat(201)), Err(NameError::TooLong(201)));
    }
}
