//! The engine as a subject.
//!
//! Each function returns the operator of the engine that the description asks for, behind the trait
//! of [`crate::subject`], whose contracts say what it must do.
//!
//! | subject | what of the engine is played |
//! |---|---|
//! | window | the logic that `KeyedStream::window` would run, in a `Harness` |
//! | valve | the watermarks of a source: its splits and its workers |
//! | assign | the assigners |
//! | join | the logic that `KeyedStream::interval_join` runs, in a `Harness` |
//!
//! A harness hands one record at a time to the logic and moves its watermark by hand; what the
//! shell adds to it, queues and capabilities, is what `tests/simulation.rs` and the tests of whole
//! programs are about. Every case is played on two operators, one with its state in memory and one
//! with its state in a store (RocksDB with the feature `rocksdb`), which must say the same. At
//! `snapshot_restore` each is frozen, thrown away and made again from the bytes, in the place of the
//! other; its watermark stays where it is.

#[path = "engine/assign.rs"]
mod assign;
#[path = "engine/composite.rs"]
mod composite;
#[path = "engine/window.rs"]
mod window;

#[path = "engine/join.rs"]
mod join;
#[path = "engine/valve.rs"]
mod valve;

#[path = "engine/random.rs"]
mod random;

use std::rc::Rc;
use std::sync::Arc;

use highwater_core::cut::CutKind;
use highwater_core::harness::Harness;
use highwater_core::key::KeyGroups;
use highwater_core::shell::Logic;
use highwater_core::store::Stores;
use highwater_state::Backend;

use crate::subject::Subjects;

/// The engine.
pub(crate) const SUBJECTS: Subjects =
    Subjects { window: window::make, valve: valve::make, assign: assign::make, join: join::make };

/// Where an operator under test keeps its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Heap,
    /// A store, with room for a few decoded values, so that most are encoded again and again.
    Store,
}

impl Place {
    const ALL: [Place; 2] = [Place::Heap, Place::Store];

    fn other(self) -> Place {
        if self == Place::Heap { Place::Store } else { Place::Heap }
    }

    /// The state backend of a job with one worker.
    fn backend(self) -> Backend {
        let stores: Option<Arc<dyn Stores>> = match self {
            Place::Heap => None,
            Place::Store => Some(stores()),
        };
        Backend::heap("test", KeyGroups::new(128, 1), 0).stores(stores).durable(true)
    }
}

/// Opens stores in memory.
#[cfg(not(feature = "rocksdb"))]
fn stores() -> Arc<dyn Stores> {
    Arc::new(highwater_state::memory::MemoryStores { cache_bytes: 1 })
}

/// Opens stores in RocksDB, in a folder that is removed with them.
#[cfg(feature = "rocksdb")]
fn stores() -> Arc<dyn Stores> {
    use highwater_core::error::Result;
    use highwater_core::store::Store;
    use highwater_rocksdb::{MEMORY_BYTES_MIN, RocksStores};

    struct Undecoded {
        stores: RocksStores,
        _around: tempfile::TempDir,
    }

    impl Stores for Undecoded {
        fn open(&self, uid: &str, worker: usize) -> Result<Box<dyn Store>> {
            self.stores.open(uid, worker)
        }
        fn cache_bytes(&self) -> usize {
            1
        }
    }

    let around = tempfile::tempdir().expect("a folder for the state");
    let stores = RocksStores::open(&around.path().join("state"), MEMORY_BYTES_MIN);
    Arc::new(Undecoded { stores: stores.expect("an empty folder"), _around: around })
}

/// An operator in a harness, and how it is made again from what was stored of it.
struct Restorable<L: Logic> {
    harness: Harness<L>,
    make: Rc<dyn Fn(&mut Backend) -> L>,
    place: Place,
}

impl<L: Logic> Restorable<L> {
    fn new(make: Rc<dyn Fn(&mut Backend) -> L>, place: Place) -> Self {
        let harness = Harness::new(make(&mut place.backend()));
        Restorable { harness, make, place }
    }

    /// Freezes the operator, throws it away, and makes it again from the bytes, in the other place.
    fn snapshot_restore(&mut self) {
        let frozen = self.harness.freeze(CutKind::default()).expect("the state can be encoded");
        let stored = frozen.into_iter().map(Arc::new).collect();
        self.place = self.place.other();
        self.harness.replace((self.make)(&mut self.place.backend().restored(stored)));
    }
}
