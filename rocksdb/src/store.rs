//! The store of one operator on one worker: a DB of its own.
//!
//! ```text
//! write --> memtable of the family --full, or freeze--> SST --> compacted, expired ones dropped
//! ```
//!
//! **Invariant** - *Closed when dropped*: the threads that freeze a store end before it does
//! (`RocksStore::drop`).
//!
//! **Cost**: a freeze flushes every family that was written since the last one, into a small SST at
//! worst; four of them are merged. If nothing was written, the last checkpoint is used again.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::{Builder, JoinHandle};

use highwater_core::error::{Error, Result};
use highwater_core::store::{Family, FrozenStore, Store, Visit};
use rocksdb::{BoundColumnFamily, WriteBatch, WriteOptions};

use crate::Db;
use crate::error::StoreError;
use crate::folder::Folder;
use crate::frozen::{Checkpoint, RocksFrozen};
use crate::stores::Shared;
use crate::{options, read};

/// A DB and its folder, which is removed after the DB is closed.
pub(crate) struct Live {
    pub(crate) db: Db,
    folder: Folder,
}

/// The store of one operator on one worker.
pub struct RocksStore {
    live: Arc<Live>,
    shared: Arc<Shared>,
    /// The folder around the DB and its checkpoints.
    folder: Arc<Folder>,
    /// The names of the column families, by the number of the family.
    families: Arc<[String]>,
    /// The last checkpoint, as long as it shows what is in the DB.
    current: Weak<Checkpoint>,
    checkpoints: u64,
    freezing: Vec<JoinHandle<()>>,
    unlogged: WriteOptions,
}

impl std::fmt::Debug for RocksStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksStore")
            .field("folder", &self.folder.path())
            .field("families", &self.families)
            .field("checkpoints", &self.checkpoints)
            .finish_non_exhaustive()
    }
}

impl RocksStore {
    pub(crate) fn open(shared: Arc<Shared>, uid: &str, worker: usize) -> Result<Self> {
        let folder = shared.scratch.store(uid, worker)?;
        let place = folder.within("db");
        let db = Db::open(&options::of_store(&shared.memory), place.path())
            .map_err(|error| StoreError::rocks("open", place.path(), error))?;
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        Ok(RocksStore {
            live: Arc::new(Live { db, folder: place }),
            shared,
            folder,
            families: Arc::new([]),
            current: Weak::new(),
            checkpoints: 0,
            freezing: Vec::new(),
            unlogged,
        })
    }

    /// Returns an error of the DB.
    fn failed(&self, action: &'static str) -> impl Fn(rocksdb::Error) -> Error {
        let folder = self.live.folder.path();
        move |error| StoreError::rocks(action, folder, error).into()
    }

    fn handle(&self, family: Family) -> Result<Arc<BoundColumnFamily<'_>>> {
        let handle = self.families.get(family.0).and_then(|name| self.live.db.cf_handle(name));
        handle.ok_or_else(|| {
            let folder = self.live.folder.path().to_owned();
            let count = self.families.len();
            StoreError::NoFamily { folder, family: family.0, count }.into()
        })
    }

    /// Freezes the store as it is now, as a view whose files are known.
    ///
    /// # Errors
    /// When the thread that makes the checkpoint cannot be started.
    pub fn freeze_files(&mut self) -> Result<RocksFrozen> {
        if let Some(current) = self.current.upgrade().filter(|current| !current.is_failed()) {
            return Ok(RocksFrozen::new(current));
        }
        self.freezing.retain(|thread| !thread.is_finished());
        self.checkpoints += 1;
        let place = self.folder.within(&self.checkpoints.to_string());
        let (shared, families) = (Arc::clone(&self.shared), Arc::clone(&self.families));
        let checkpoint = Arc::new(Checkpoint::new(place, shared, families));
        let (making, live) = (checkpoint.making(), Arc::clone(&self.live));
        let thread = Builder::new()
            .name("highwater-freeze".to_owned())
            .spawn(move || making.make(&live.db))
            .map_err(|error| Error::io("start a thread to freeze", self.folder.path(), error))?;
        self.freezing.push(thread);
        self.current = Arc::downgrade(&checkpoint);
        Ok(RocksFrozen::new(checkpoint))
    }

    /// Merges all files of a family into as few as possible, and drops what has expired.
    ///
    /// # Errors
    /// When the store has no such family.
    pub fn compact(&self, family: Family) -> Result<()> {
        let all = None::<&[u8]>;
        self.live.db.compact_range_cf(&self.handle(family)?, all, all);
        Ok(())
    }
}

impl Drop for RocksStore {
    fn drop(&mut self) {
        for thread in self.freezing.drain(..) {
            // A checkpoint that was given up says so itself.
            let _ = thread.join();
        }
        self.shared.families.fetch_sub(self.families.len(), Ordering::Relaxed);
        for name in self.families.iter() {
            // Closing a DB would flush what is not on disk yet, only for it to be removed.
            let _ = self.live.db.drop_cf(name);
        }
    }
}

impl Store for RocksStore {
    fn family(&mut self, name: &str, expiry_ms: Option<i64>) -> Result<Family> {
        let expiry = expiry_ms.map(|expiry_ms| (expiry_ms, &self.shared.clock));
        // The prefix keeps a state named "default" apart from the family that every DB has.
        let name = format!("state/{name}");
        let options = options::of_family(&self.shared.memory, expiry);
        self.live.db.create_cf(&name, &options).map_err(self.failed("make a family"))?;
        self.shared.families.fetch_add(1, Ordering::Relaxed);
        let family = Family(self.families.len());
        self.families = self.families.iter().cloned().chain([name]).collect();
        Ok(family)
    }

    fn get_many(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        let handle = self.handle(family)?;
        read::get_many(&self.live.db, &handle, keys).map_err(self.failed("read"))
    }

    fn write(
        &mut self,
        family: Family,
        entries: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>,
    ) -> Result<()> {
        let handle = self.handle(family)?;
        let mut batch = WriteBatch::default();
        for (key, value) in entries {
            match value {
                Some(value) => batch.put_cf(&handle, key, value),
                None => batch.delete_cf(&handle, key),
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        drop(handle);
        self.current = Weak::new();
        self.live.db.write_opt(batch, &self.unlogged).map_err(self.failed("write"))
    }

    fn scan(
        &self,
        family: Family,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: Visit<'_>,
    ) -> Result<()> {
        let handle = self.handle(family)?;
        read::scan(&self.live.db, &handle, (prefix, after), visit).map_err(self.failed("scan"))
    }

    fn freeze(&mut self) -> Result<Box<dyn FrozenStore>> {
        Ok(Box::new(self.freeze_files()?))
    }
}
