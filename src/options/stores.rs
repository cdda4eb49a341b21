//! Where keyed state lives: in memory, or in a store that is opened when it is first used.
//!
//! ```text
//! --state heap     operators keep it in memory |  but those that say otherwise: `.state(..)`
//! --state rocksdb  operators keep it in stores |
//! ```
//!
//! A program that was built with RocksDB has stores whatever the option says, for operators that ask
//! for them; they cost nothing until one does.

use std::sync::Arc;

use clap::ValueEnum;
use highwater_core::config::StateBackend;
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
    /// Returns where operators keep their state if they do not say it themselves.
    pub(super) fn backend(self) -> StateBackend {
        match self {
            StateOption::Heap => StateBackend::Heap,
            StateOption::Rocksdb => StateBackend::Store,
        }
    }

    /// Returns the stores of a job, in a scratch folder of this process.
    ///
    /// # Errors
    /// When the memory is too small.
    #[cfg(feature = "rocksdb")]
    pub(super) fn stores(self, memory_bytes: u64) -> Result<Option<Arc<dyn Stores>>> {
        use std::sync::atomic::{AtomicU64, Ordering};

        use highwater_core::error::Error;
        use highwater_core::store::LazyStores;
        use highwater_rocksdb::{MEMORY_BYTES_MIN, RocksStores};

        if memory_bytes < MEMORY_BYTES_MIN {
            let expected = format!("{MEMORY_BYTES_MIN} bytes or more");
            return Err(Error::option("--rocksdb-memory", memory_bytes, expected));
        }
        Ok(Some(Arc::new(LazyStores::new(move || {
            // A process may run several jobs, one after the other or side by side.
            static JOBS: AtomicU64 = AtomicU64::new(0);
            let job = JOBS.fetch_add(1, Ordering::Relaxed);
            let name = format!("highwater-state-{}-{job}", std::process::id());
            let folder = crate::supervisor::scratch()?.join(name);
            Ok(Arc::new(RocksStores::open(&folder, memory_bytes)?) as Arc<dyn Stores>)
        }))))
    }

    /// Returns no stores: this program was built without them.
    ///
    /// # Errors
    /// When state is to be kept in one.
    #[cfg(not(feature = "rocksdb"))]
    pub(super) fn stores(self, _memory_bytes: u64) -> Result<Option<Arc<dyn Stores>>> {
        use highwater_core::error::Error;

        match self {
            StateOption::Heap => Ok(None),
            StateOption::Rocksdb => {
                let expected = "heap: this program was built without the feature rocksdb";
                Err(Error::option("--state", "rocksdb", expected))
            }
        }
    }
}
