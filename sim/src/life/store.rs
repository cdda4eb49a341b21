//! The store that all attempts share: far away, and still busy when those who asked are dead.
//!
//! ```text
//! attempt --put--> on its way --> done --> the answer on its way --> attempt
//!             '-- killed, or tired of waiting: it may arrive all the same, much later
//! ```
//!
//! **Invariants**
//! - I8: what is deleted is named by no retained manifest (`Link::delete_stream`).

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

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
    /// What came late after all.
    late: u64,
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
        let state = State { random, ghosts: Vec::new(), audit: Audit::default(), late: 0 };
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

    /// Returns how many writes came late after all.
    pub(crate) fn late(&self) -> u64 {
        self.lock().late
    }

    /// Takes what happens although nobody waits for it, to be polled by the caller.
    pub(crate) fn take_ghosts(&self) -> Vec<Ghost> {
        std::mem::take(&mut self.lock().ghosts)
    }

    /// # Panics
    /// When something that is deleted is named by a retained manifest.
    fn check_unneeded(&self, path: &Path) {
        let mut state = self.lock();
        state.audit.look(&self.objects);
        let retained = state.audit.retained(&self.objects);
        assert!(!retained.contains(path.as_ref()), "I8: {path} is deleted and still needed");
    }
}

/// The way of one attempt to the store.
#[derive(Clone)]
pub(crate) struct Link {
    store: Arc<Store>,
    latency_ms_max: i64,
    /// How many calls have begun or been done.
    steps: Arc<AtomicU64>,
    /// The step at which the attempt is killed.
    last_step: u64,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated store")
    }
}

impl Link {
    /// - `last_step`: the step, counted from 1, at which the attempt is killed; calls have two steps.
    pub(crate) fn new(store: &Arc<Store>, latency_ms_max: i64, last_step: Option<u64>) -> Self {
        let last_step = last_step.unwrap_or(u64::MAX);
        Link { store: Arc::clone(store), latency_ms_max, steps: Arc::default(), last_step }
    }

    /// Returns whether the attempt must be killed now.
    pub(crate) fn is_fatal(&self) -> bool {
        self.steps.load(Ordering::SeqCst) >= self.last_step
    }

    /// Begins a step: never ends if it is the last.
    async fn step(&self) {
        if self.steps.fetch_add(1, Ordering::SeqCst) + 1 >= self.last_step {
            std::future::pending::<()>().await;
        }
        let ms = self.store.lock().random.between(0, self.latency_ms_max);
        if ms > 0 {
            self.store.time.sleep(ms).await;
        }
    }

    /// Changes the store: what is on its way when nobody waits any more may still happen.
    fn change<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Afloat<T> {
        let (link, store) = (self.clone(), Arc::clone(&self.store));
        let change: Change<T> = Arc::new(Mutex::new(Some(change.boxed())));
        let begun = Arc::clone(&change);
        let way = async move {
            link.step().await;
            let change = begun.lock().unwrap_or_else(PoisonError::into_inner).take();
            let answer = match change {
                Some(change) => change.await,
                None => std::future::pending().await,
            };
            link.step().await;
            answer
        };
        Afloat { way: way.boxed(), change, store }
    }
}

/// A change that has not begun.
type Change<T> = Arc<Mutex<Option<BoxFuture<'static, Result<T>>>>>;

/// A change on its way.
struct Afloat<T: Send + 'static> {
    way: BoxFuture<'static, Result<T>>,
    change: Change<T>,
    store: Arc<Store>,
}

impl<T: Send + 'static> Future for Afloat<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.way.poll_unpin(context)
    }
}

impl<T: Send + 'static> Drop for Afloat<T> {
    fn drop(&mut self) {
        let change = self.change.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(change) = change else { return };
        let mut state = self.store.lock();
        if state.random.chance(500) {
            let wait_ms = state.random.between(0, 500);
            let store = Arc::clone(&self.store);
            let late = async move {
                store.time.sleep(wait_ms).await;
                store.lock().late += 1;
                // Nobody learns what came of it.
                let _ = change.await;
            };
            state.ghosts.push(late.boxed());
        }
    }
}

#[async_trait]
impl ObjectStore for Link {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let (objects, to) = (Arc::clone(&self.store.objects), to.clone());
        self.change(async move { objects.inner.put_opts(&to, payload, options).await }).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.step().await;
        self.store.objects.inner.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.step().await;
        let found = self.store.objects.inner.get_opts(at, options).await;
        self.step().await;
        found
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let link = self.clone();
        let deleted = paths.then(move |path| {
            let store = Arc::clone(&link.store);
            link.change(async move {
                let path = path?;
                store.check_unneeded(&path);
                store.objects.inner.delete(&path).await?;
                Ok(path)
            })
        });
        deleted.boxed()
    }

    fn list(&self, below: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (link, below) = (self.clone(), below.cloned());
        let found = async move {
            link.step().await;
            let found: Vec<_> = link.store.objects.inner.list(below.as_ref()).collect().await;
            link.step().await;
            stream::iter(found)
        };
        found.flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, below: Option<&Path>) -> Result<ListResult> {
        self.step().await;
        self.store.objects.inner.list_with_delimiter(below).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.step().await;
        self.store.objects.inner.copy_opts(from, to, options).await
    }
}
