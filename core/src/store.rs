//! The contract of a store for keyed state that does not fit into memory: sorted bytes by bytes.
//!
//! A store knows nothing of keys, namespaces and values; the state crate encodes them, and keeps
//! those in use decoded. Each operator of each worker has a store of its own, and each of its states
//! a family of entries in it, because operators cut at different instants.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::error::{Error, Result};

/// Why an operator has lost what it remembered.
pub(crate) struct Lost(pub(crate) Error);

/// Ends the job: the store of the operator that is running has failed. Accesses to state return
/// references and have no room for an error, so that the worker unwinds with it instead; the job
/// fails with the error and the operator's name.
///
/// # Panics
/// Always, without a message of its own.
#[cold]
pub fn lose(error: Error) -> ! {
    std::panic::resume_unwind(Box::new(Lost(error)))
}

/// One family of entries in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Family(pub usize);

/// Passes entries on, in the order of their keys; false ends the scan.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> bool;

/// Opens the stores of a job.
pub trait Stores: Send + Sync {
    /// Opens an empty store for an operator on a worker; it ends when it is dropped.
    ///
    /// # Errors
    /// When there is no room for it.
    fn open(&self, uid: &str, worker: usize) -> Result<Box<dyn Store>>;

    /// Returns the bytes of decoded values that each table may keep in memory now: its share of
    /// what all tables of the process may keep.
    fn cache_bytes(&self) -> usize;
}

/// Stores that are opened when the first operator asks for one: a process that only supervises
/// another one has options, too, and needs no stores.
pub struct LazyStores<F> {
    open: F,
    opening: Mutex<()>,
    opened: OnceLock<Arc<dyn Stores>>,
}

impl<F: Fn() -> Result<Arc<dyn Stores>>> LazyStores<F> {
    /// - `open`: opens the stores.
    pub fn new(open: F) -> Self {
        LazyStores { open, opening: Mutex::new(()), opened: OnceLock::new() }
    }
}

impl<F> Stores for LazyStores<F>
where
    F: Fn() -> Result<Arc<dyn Stores>> + Send + Sync,
{
    fn open(&self, uid: &str, worker: usize) -> Result<Box<dyn Store>> {
        let opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let stores = match self.opened.get() {
            Some(stores) => Arc::clone(stores),
            None => {
                let stores = (self.open)()?;
                Arc::clone(self.opened.get_or_init(|| stores))
            }
        };
        drop(opening);
        stores.open(uid, worker)
    }

    fn cache_bytes(&self) -> usize {
        self.opened.get().map_or(0, |stores| stores.cache_bytes())
    }
}

/// Sorted entries of bytes.
///
/// # Contract
/// - *Read your writes*: what was written is seen by the next read.
/// - *Frozen is frozen*: a frozen store shows the entries as they were, whatever is written later.
pub trait Store {
    /// Makes a family; the name is unique within the store.
    ///
    /// - `expiry`: for entries that expire, how long they are worth keeping in ms; their values begin
    ///   with the instant of their last use, 8 bytes, little-endian, in ms since 1970.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn family(&mut self, name: &str, expiry_ms: Option<i64>) -> Result<Family>;

    /// Reads several values at once.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get_many(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>>;

    /// Writes and removes (`None`) values, all or none of them.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn write(
        &mut self,
        family: Family,
        entries: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>,
    ) -> Result<()>;

    /// Visits the entries whose keys begin with `prefix` and are greater than `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn scan(
        &self,
        family: Family,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: Visit<'_>,
    ) -> Result<()>;

    /// Freezes the store as it is now, in a time that does not depend on its size.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn freeze(&mut self) -> Result<Box<dyn FrozenStore>>;
}

/// A store as it was when it was frozen.
pub trait FrozenStore: Send {
    /// Returns another view of the same entries, for another family to be encoded from.
    fn share(&self) -> Box<dyn FrozenStore>;

    /// Returns whether writes may go on: until then they would be seen by this view.
    fn is_apart(&self) -> bool;

    /// Visits the entries whose keys begin with `prefix`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn scan(&self, family: Family, prefix: &[u8], visit: Visit<'_>) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Stores that can only be opened.
    struct Unusable;

    impl Stores for Unusable {
        fn open(&self, _: &str, _: usize) -> Result<Box<dyn Store>> {
            Err(Error::program("unusable"))
        }

        fn cache_bytes(&self) -> usize {
            7
        }
    }

    #[test]
    fn stores_are_opened_once_and_only_when_they_are_used() {
        let opened = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&opened);
        let lazy = LazyStores::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(Arc::new(Unusable) as Arc<dyn Stores>)
        });
        assert_eq!((lazy.cache_bytes(), opened.load(Ordering::SeqCst)), (0, 0));
        for _ in 0..2 {
            assert!(lazy.open("uid", 0).is_err_and(|error| error.sentence() == "unusable"));
        }
        assert_eq!((lazy.cache_bytes(), opened.load(Ordering::SeqCst)), (7, 1));
    }
}
