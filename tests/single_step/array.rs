//! What a party was about that had the lock of an array, or was taking it.
//!
//! All elements are 1; the victim makes them 2. A snapshot says whether it had
//! the write lock when it died: then, and only then, the next one is told
//! that a writer died, and may find both values. Otherwise all are the same.

use super::ring::{copy, patiently, snapshot};
use super::{Scene, Stage, harness};
use shmkit::array::{self, Array, Element, Spec};
use shmkit::inspect::{LockState, Snapshot};
use shmkit::lock::AttachOptions;
use shmkit::segment::Name;

const LEN: u64 = 96;

macro_rules! scenes {
    ($($name:literal $act:ident;)*) => {
        /// All of them.
        pub const SCENES: &[Scene] = &[$(Scene {
            name: $name,
            stage: || Box::new(ArrayStage::new(Act::$act)),
        }),*];
    };
}

scenes! {
    "array: lock, write, unlock" Write;
    "array: lock, read, unlock"  Read;
    "array: attach, detach"      Attach;
}

/// What the victim's cycle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Take the write lock, store all elements, give it back.
    Write,
    /// Take a read lock, add all elements up, give it back.
    Read,
    /// Attach and leave, without a lock.
    Attach,
}

/// One array, one victim.
struct ArrayStage {
    act: Act,
    _unique: harness::Name,
    name: Name,
    seen: Option<(Snapshot, bool)>,
}

fn attach(name: &Name) -> Array<u64> {
    Array::attach(name, &AttachOptions::default()).unwrap()
}

impl ArrayStage {
    fn new(act: Act) -> ArrayStage {
        let unique = harness::Name::unused();
        let name = Name::new(&unique).unwrap();
        let spec = Spec::new(u64::element_type(), LEN).unwrap();
        array::create(&name, &spec, Some(&1u64.to_le_bytes()), 0o600).unwrap();
        ArrayStage {
            act,
            _unique: unique,
            name,
            seen: None,
        }
    }
}

impl Stage for ArrayStage {
    fn victim(&self, mark: fn()) {
        if self.act == Act::Attach {
            mark();
            drop(attach(&self.name));
            return mark();
        }
        let mut array = attach(&self.name);
        mark();
        match self.act {
            Act::Write => array.write(&patiently()).unwrap().fill(2),
            _ => {
                let sum: u64 = array.read(&patiently()).unwrap().iter().sum();
                assert_eq!(sum, LEN);
            }
        }
        mark();
    }

    fn segment(&self) -> &Name {
        &self.name
    }

    fn look(&mut self, ended: bool) {
        self.seen = Some((snapshot(&self.name), ended));
    }

    fn copied(&self) -> Option<Box<dyn Stage>> {
        let (unique, name) = copy(&self.name);
        Some(Box::new(ArrayStage {
            act: self.act,
            _unique: unique,
            name,
            seen: self.seen.clone(),
        }))
    }

    fn judge(mut self: Box<Self>) {
        let (seen, ended) = self.seen.take().expect("looked");
        let lock = seen.lock.expect("an array has one");
        match self.act {
            _ if ended => assert_eq!(lock.state, LockState::Free),
            Act::Write => assert_ne!(lock.state, LockState::Read),
            Act::Read => assert_ne!(lock.state, LockState::Write),
            Act::Attach => assert_eq!(lock.state, LockState::Free),
        }
        // While it lived, it may only have been about to get it.
        let dead = snapshot(&self.name).lock.expect("an array has one");
        let had_it = dead.owner_died;
        assert!(!had_it || lock.state == LockState::Write);

        // A reader comes, and learns what it must.
        let mut array = attach(&self.name);
        let guard = array.read(&patiently()).unwrap();
        assert_eq!(guard.owner_died(), had_it, "{lock:?}");
        let (old, new) = (guard.contains(&1), guard.contains(&2));
        assert!(guard.iter().all(|value| [1, 2].contains(value)));
        assert!(had_it || old != new, "torn, and nobody was told");
        match self.act {
            Act::Write if ended => assert!(new && !old),
            Act::Write => {}
            _ => assert!(old && !new),
        }
        drop(guard);

        // A writer makes it whole.
        array.write(&patiently()).unwrap().fill(3);
        let guard = array.read(&patiently()).unwrap();
        assert!(!guard.owner_died());
        assert!(guard.iter().all(|value| *value == 3));
        drop(guard);
        drop(array);

        let after = snapshot(&self.name);
        assert_eq!(after.participants, [], "every entry is empty");
        let lock = after.lock.expect("an array has one");
        assert_eq!((lock.state, lock.readers), (LockState::Free, 0));
        assert_eq!((lock.writer_slot, lock.waiting_slot), (None, None));
    }
}
