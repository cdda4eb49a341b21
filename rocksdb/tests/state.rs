//! Random histories of tables and timers over RocksDB, against plain sorted maps: those that the state
//! package plays over stores in memory (`state/tests/model`, which says what each would catch).
//!
//! What RocksDB adds: a freeze that is made on another thread while the history goes on, checkpoints
//! that are read while the store is written or gone, and scans in its order of bytes.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that reports figures")]

#[path = "../../state/tests/model/histories.rs"]
mod histories;
#[path = "../../state/tests/model/kinds.rs"]
mod kinds;
#[path = "../../state/tests/support/mod.rs"]
mod support;
#[path = "../../state/tests/model/tables.rs"]
mod tables;
#[path = "../../state/tests/model/timers.rs"]
mod timers;

use std::sync::Arc;

use highwater_core::error::Result;
use highwater_core::store::{Store, Stores};
use highwater_rocksdb::{MEMORY_BYTES_MIN, RocksStores};
use histories::histories;
use kinds::Kind;
use tables::World;
use tempfile::TempDir;

/// Stores in RocksDB whose tables keep next to nothing decoded.
struct Undecoded {
    stores: RocksStores,
    /// Removed after the stores are closed.
    _around: TempDir,
}

impl Stores for Undecoded {
    fn open(&self, uid: &str, worker: usize) -> Result<Box<dyn Store>> {
        self.stores.open(uid, worker)
    }

    fn cache_bytes(&self) -> usize {
        0
    }
}

/// Opens the stores of a history.
fn stores() -> Arc<dyn Stores> {
    let around = tempfile::tempdir().unwrap();
    let stores = RocksStores::open(&around.path().join("scratch"), MEMORY_BYTES_MIN).unwrap();
    Arc::new(Undecoded { stores, _around: around })
}

#[test]
fn tables_in_rocksdb_are_what_the_model_is() {
    histories("tables in RocksDB", 30, |random| World::new(Kind::Store, random).run());
}

#[test]
fn timers_fire_as_the_model_does() {
    histories("timers", 30, timers::run);
}
