//! A store in memory that fails from a seed.
//!
//! ```text
//! put --> not done, error | done, error | not done, error, done much later | torn, error | done
//! list --> what was there some changes ago        any call --> no answer, ever
//!          '-- store/fate.rs draws what happens, store/calls.rs lets it happen
//! ```
//!
//! What was done is seen by all readers at once, as in every store that highwater supports; only
//! listings are late.

mod calls;
mod fate;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::FutureExt;
use futures_util::stream::StreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, Result};

pub use fate::Faults;
use fate::State;

/// A store in memory that fails from a seed.
#[derive(Debug)]
pub struct FaultyStore {
    objects: InMemory,
    state: Mutex<State>,
}

impl FaultyStore {
    /// Returns an empty store that does not fail before it is told to.
    #[must_use]
    pub fn new(seed: u64) -> Arc<Self> {
        let state = State::new(seed);
        Arc::new(FaultyStore { objects: InMemory::new(), state: Mutex::new(state) })
    }

    /// Fails from now on so often.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Takes no writes while it is full, as a disk does.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Takes no calls while permission is denied.
    pub fn set_denied(&self, denied: bool) {
        self.lock().denied = denied;
    }

    /// Lists nothing while it is blind, whatever is there.
    pub fn set_blind(&self, blind: bool) {
        self.lock().blind = blind;
    }

    /// Returns how often the store was called.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Returns what is there, in order.
    ///
    /// # Panics
    /// If the store in memory answers late, which it does not.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let found: Vec<Result<ObjectMeta>> = now(self.objects.list(None).collect());
        found.into_iter().flatten().map(|meta| meta.location.to_string()).collect()
    }

    /// Returns the content of an object, if it is there.
    #[must_use]
    pub fn content(&self, path: &str) -> Option<Bytes> {
        let at = Path::from(path);
        now(async { self.objects.get(&at).await.ok()?.bytes().await.ok() })
    }

    /// Changes an object behind the back of whoever uses the store; `None` removes it. Returns
    /// whether it was there.
    pub fn damage(&self, path: &str, change: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> bool {
        let Some(content) = self.content(path) else {
            return false;
        };
        let mut content = content.to_vec();
        let at = Path::from(path);
        if change(&mut content).is_some() {
            now(self.objects.put(&at, content.into())).is_ok()
        } else {
            self.lock().changed(at.clone(), false);
            now(self.objects.delete(&at)).is_ok()
        }
    }

    /// Cuts an object off.
    pub fn truncate(&self, path: &str, bytes: usize) -> bool {
        self.damage(path, |content| {
            content.truncate(bytes);
            Some(())
        })
    }

    /// Flips one bit of an object, counted modulo its length.
    pub fn flip(&self, path: &str, bit: usize) -> bool {
        self.damage(path, |content| {
            let bit = bit % (content.len() * 8).max(1);
            if let Some(byte) = content.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
            Some(())
        })
    }

    /// Removes an object.
    pub fn remove(&self, path: &str) -> bool {
        self.damage(path, |_| None)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns what a future is that is ready at once, as those of a store in memory are.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap_or_else(|| panic!("a store in memory answers at once"))
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}
