//! The stores of a process: what they share, and how they are opened.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwater_core::clock::{Clock, SystemClock};
use highwater_core::error::Result;
use highwater_core::store::{Store, Stores};

use crate::folder::Folder;
use crate::memory::Memory;
use crate::store::RocksStore;

/// What all stores of a process share.
pub(crate) struct Shared {
    pub(crate) memory: Memory,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) scratch: Arc<Folder>,
    /// How many families all stores have: as many tables share the memory for decoded values.
    pub(crate) families: AtomicUsize,
}

/// Opens the stores of a process, in one scratch folder and one share of memory.
#[derive(Clone)]
pub struct RocksStores {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for RocksStores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shared { memory, scratch, .. } = &*self.shared;
        f.debug_struct("RocksStores")
            .field("scratch", &scratch.path())
            .field("buffer_bytes", &memory.buffer_bytes)
            .field("decoded_bytes", &memory.decoded_bytes)
            .finish_non_exhaustive()
    }
}

impl RocksStores {
    /// Opens the stores of a process.
    ///
    /// - `dir`: the scratch folder, which no other process may use. It is made if it is missing,
    ///   and removed when the last store and frozen view is dropped. What a killed process left in
    ///   it is wiped.
    /// - `memory_bytes`: the memory of all stores together, [`MEMORY_BYTES_MIN`] or more; half of
    ///   it is for decoded values.
    ///
    /// # Errors
    /// When there is too little memory, or when the folder cannot be written, is in use or holds
    /// other files.
    ///
    /// # Examples
    /// ```
    /// use highwater_core::store::Stores;
    /// use highwater_rocksdb::RocksStores;
    ///
    /// # fn main() -> highwater_core::error::Result<()> {
    /// let dir = std::env::temp_dir().join(format!("highwater-doc-{}", std::process::id()));
    /// let stores = RocksStores::open(&dir, 64 << 20)?;
    /// let mut store = stores.open("count", 0)?;
    /// let counts = store.family("counts", None)?;
    /// store.write(counts, &mut [(&b"to"[..], Some(&b"2"[..]))].into_iter())?;
    /// assert_eq!(store.get_many(counts, &[b"be", b"to"])?, [None, Some(b"2".to_vec())]);
    ///
    /// drop((store, stores));
    /// assert!(!dir.exists());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`MEMORY_BYTES_MIN`]: crate::MEMORY_BYTES_MIN
    pub fn open(dir: &Path, memory_bytes: u64) -> Result<Self> {
        Self::with_clock(dir, memory_bytes, Arc::new(SystemClock::default()))
    }

    /// Opens the stores of a process like [`open`](Self::open), with another clock to tell which
    /// entries have expired.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn with_clock(dir: &Path, memory_bytes: u64, clock: Arc<dyn Clock>) -> Result<Self> {
        let memory = Memory::of(memory_bytes)?;
        let scratch = Folder::scratch(dir)?;
        let families = AtomicUsize::new(0);
        Ok(RocksStores { shared: Arc::new(Shared { memory, clock, scratch, families }) })
    }

    /// Opens an empty store for an operator on a worker, as a type of its own.
    ///
    /// # Errors
    /// When its folder cannot be written.
    pub fn open_store(&self, uid: &str, worker: usize) -> Result<RocksStore> {
        RocksStore::open(Arc::clone(&self.shared), uid, worker)
    }

    /// Returns the bytes that blocks and write buffers take at the moment, of all stores together.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.shared.memory.cache.get_usage()
    }
}

impl Stores for RocksStores {
    fn open(&self, uid: &str, worker: usize) -> Result<Box<dyn Store>> {
        Ok(Box::new(self.open_store(uid, worker)?))
    }

    fn cache_bytes(&self) -> usize {
        let families = self.shared.families.load(Ordering::Relaxed);
        self.shared.memory.decoded_bytes / families.max(1)
    }
}
