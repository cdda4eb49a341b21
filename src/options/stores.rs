//! Where keyed state lives: in memory, or in a store that is opened when it is first used.

use std::sync::Arc;

use clap::ValueEnum;
use highwater_core::error::Result;
use highwater_core::store::Stores;

/// The values of `--state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StateOption {
    /// In memory
    Heap,
    /// In RocksDB, with the values in use in memory
    Rocksdb,
}

impl StateOption {
    /// Returns the stores of a job, in a scratch folder of this process.
    ///
    /// # Errors
    /// When the program was built without them, or the memory is too small.
    pub(super) fn stores(self, memory_bytes: u64) -> Result<Option<Arc<dyn Stores>>> {
        match self {
            StateOption::Heap => Ok(None),
            StateOption::Rocksdb => rocks_stores(memory_bytes).map(Some),
        }
    }
}

#[cfg(feature = "rocksdb")]
fn rocks_stores(memory_bytes: u64) -> Result<Arc<dyn Stores>> {
    use std::sync::atomic::{AtomicU64, Ordering};

    use highwater_core::error::Error;
    use highwater_core::store::LazyStores;
    use highwater_rocksdb::{MEMORY_BYTES_MIN, RocksStores};

    if memory_bytes < MEMORY_BYTES_MIN {
        let expected = format!("{MEMORY_BYTES_MIN} bytes or more");
        return Err(Error::option("--rocksdb-memory", memory_bytes, expected));
    }
    Ok(Arc::new(LazyStores::new(move || {
        // A process may run several jobs, one after the other or side by side.
        static JOBS: AtomicU64 = AtomicU64::new(0);
        let job = JOBS.fetch_add(1, Ordering::Relaxed);
        let name = format!("highwater-state-{}-{job}", std::process::id());
        let folder = crate::supervisor::scratch()?.join(name);
        Ok(Arc::new(RocksStores::open(&folder, memory_bytes)?) as Arc<dyn Stores>)
    })))
}

#[cfg(not(feature = "rocksdb"))]
fn rocks_stores(_memory_bytes: u64) -> Result<Arc<dyn Stores>> {
    use highwater_core::error::Error;

    let expected = "heap: this program was built without the feature rocksdb";
    Err(Error::option("--state", "rocksdb", expected))
}
