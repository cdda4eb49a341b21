//! The store that all attempts share: far away, and still busy when those who asked are dead.
//!
//! ```text
//! attempt --put--> on its way --> done --> the answer on its way --> attempt
//!             '-- killed, or tired of waiting: it may arrive all the same, much later
//! ```
//!
//! What was done is seen by all readers at once, as in every store that the engine supports; only
//! listings may be late.
//!
//! **Invariants**
//! - I8: what is deleted is named by no retained manifest (`Store::delete`).

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::StreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, Result};

use super::audit::Audit;
use super::time::Time;
use crate::random::Random;

/// The objects, seen without delay.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    inner: InMemory,
}

impl Objects {
    /// Returns what is there, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        let found: Option<Vec<Result<ObjectMeta>>> = self.inner.list(None).collect().now_or_never();
        found.into_iter().flatten().flatten().map(|meta| meta.location.to_string()).collect()
    }

    /// Returns the content of an object, if it is there.
    pub(crate) fn content(&self, path: &str) -> Option<Bytes> {
        let at = Path::from(path);
        async { self.inner.get(&at).await.ok()?.bytes().await.ok() }.now_or_never().flatten()
    }
}

/// Something that happens in the store although nobody waits for it any more.
type Ghost = BoxFuture<'static, ()>;

struct State {
    random: Random,
    ghosts: Vec<Ghost>,
    audit: Audit,
    /// What listings show.
    listed: BTreeSet<Path>,
    /// Changes that listings may not show yet: a path, and whether it is there.
    unlisted: VecDeque<(Path, bool)>,
    counts: StoreCounts,
}

/// What was done, so that a test can tell that it tested something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StoreCounts {
    /// Calls that failed.
    pub(crate) failed: u64,
    /// Changes that came late after all.
    pub(crate) late: u64,
    /// Listings that showed what was there before.
    pub(crate) stale: u64,
}

/// The store that all attempts share.
pub(crate) struct Store {
    objects: Arc<Objects>,
    time: Arc<Time>,
    state: Mutex<State>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    pub(crate) fn new(time: &Arc<Time>, random: Random) -> Arc<Self> {
        let state = State {
            random,
            ghosts: Vec::new(),
            audit: Audit::default(),
            listed: BTreeSet::new(),
            unlisted: VecDeque::new(),
            counts: StoreCounts::default(),
        };
        Arc::new(Store {
            objects: Arc::default(),
            time: Arc::clone(time),
            state: Mutex::new(state),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the log holds a commit of an attempt that covers an epoch.
    pub(crate) fn covers(&self, attempt: u64, epoch: u64) -> bool {
        let mut state = self.lock();
        state.audit.look(&self.objects);
        state.audit.covers(attempt, epoch)
    }

    /// Looks at the log, and returns how many checkpoints were ever completed.
    pub(crate) fn commits(&self) -> usize {
        let mut state = self.lock();
        state.audit.look(&self.objects);
        state.audit.commits()
    }

    /// Returns what was done.
    pub(crate) fn counts(&self) -> StoreCounts {
        self.lock().counts
    }

    /// Counts a call that fails.
    pub(super) fn count_fault(&self) {
        self.lock().counts.failed += 1;
    }

    /// Draws a number below a limit.
    pub(super) fn below(&self, limit: u64) -> u64 {
        self.lock().random.below(limit)
    }

    /// Waits for a while, in ms.
    pub(super) async fn delay(&self, ms_max: i64) {
        let ms = self.lock().random.between(0, ms_max);
        if ms > 0 {
            self.time.sleep(ms).await;
        }
    }

    /// Takes what happens although nobody waits for it, to be polled by the caller.
    pub(crate) fn take_ghosts(&self) -> Vec<Ghost> {
        std::mem::take(&mut self.lock().ghosts)
    }

    /// Lets a change happen some time, though nobody waits for it.
    pub(super) fn haunt(self: &Arc<Self>, change: impl Future<Output = ()> + Send + 'static) {
        let wait_ms = {
            let mut state = self.lock();
            let most = state.random.pick(&[20, 500, 5000]);
            state.random.between(0, most)
        };
        let store = Arc::clone(self);
        let late = async move {
            store.time.sleep(wait_ms).await;
            store.lock().counts.late += 1;
            change.await;
        };
        self.lock().ghosts.push(late.boxed());
    }

    /// The objects, for those who ask on behalf of an attempt.
    pub(super) fn inner(&self) -> &InMemory {
        &self.objects.inner
    }

    /// Notes that an object has appeared or gone.
    pub(super) fn changed(&self, path: Path, is_there: bool) {
        self.lock().unlisted.push_back((path, is_there));
    }

    /// Returns what a listing shows now.
    ///
    /// - `stale`: in how many of a thousand cases it shows what was there some changes ago.
    pub(super) fn listed(&self, stale: u64) -> Vec<Path> {
        let mut state = self.lock();
        let all = state.unlisted.len() as u64;
        let is_stale = state.random.chance(stale) && all > 0;
        let shown = if is_stale { state.random.below(all) } else { all };
        state.counts.stale += u64::from(is_stale);
        for _ in 0..shown {
            match state.unlisted.pop_front() {
                Some((path, true)) => _ = state.listed.insert(path),
                Some((path, false)) => _ = state.listed.remove(&path),
                None => {}
            }
        }
        state.listed.iter().cloned().collect()
    }

    /// Deletes an object.
    ///
    /// # Panics
    /// When it is named by a retained manifest.
    pub(super) async fn delete(&self, path: &Path) -> Result<()> {
        self.check_unneeded(path);
        self.objects.inner.delete(path).await?;
        self.changed(path.clone(), false);
        Ok(())
    }

    fn check_unneeded(&self, path: &Path) {
        let mut state = self.lock();
        state.audit.look(&self.objects);
        let retained = state.audit.retained(&self.objects);
        assert!(!retained.contains(path.as_ref()), "I8: {path} is deleted and still needed");
    }
}
