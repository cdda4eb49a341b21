//! The way of one attempt to the store, and what goes wrong on it.
//!
//! ```text
//! call --step--> lost | no answer, ever | done, the answer lost | done --step--> answer
//!                           '-- a change may be done later, when nobody waits any more --'
//! ```
//!
//! A call has two steps, one before it is done and one after; at either the attempt may be killed.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::store::Store;
use crate::random::Random;

/// What the errors of the store say of it.
pub(crate) const STORE: &str = "simulated store";

/// How often calls of the store fail, in so many of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinkFaults {
    /// A call is not done, and fails.
    pub(crate) lost: u64,
    /// A change is done, and the answer is lost.
    pub(crate) unanswered: u64,
    /// A change fails, and is done later.
    pub(crate) late: u64,
    /// A call gets no answer; a change may be done later.
    pub(crate) silent: u64,
    /// A listing shows what was there some changes ago.
    pub(crate) stale: u64,
}

impl LinkFaults {
    /// Draws how often what goes wrong.
    pub(crate) fn draw(random: &mut Random) -> Self {
        LinkFaults {
            lost: random.pick(&[0, 10, 100]),
            unanswered: random.pick(&[0, 10, 100]),
            late: random.pick(&[0, 10, 50]),
            silent: random.pick(&[0, 10, 30]),
            stale: random.pick(&[0, 300]),
        }
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    Lost,
    Unanswered,
    Late,
    Silent,
}

fn failure(what: &'static str) -> Error {
    Error::Generic { store: STORE, source: what.into() }
}

/// The way of one attempt to the store.
#[derive(Clone)]
pub(crate) struct Link {
    store: Arc<Store>,
    latency_ms_max: i64,
    faults: LinkFaults,
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
        f.write_str(STORE)
    }
}

impl Link {
    /// - `last_step`: the step, counted from 1, at which the attempt is killed; a call has two.
    pub(crate) fn new(
        store: &Arc<Store>,
        latency_ms_max: i64,
        faults: LinkFaults,
        last_step: Option<u64>,
    ) -> Self {
        let last_step = last_step.unwrap_or(u64::MAX);
        let (store, steps) = (Arc::clone(store), Arc::default());
        Link { store, latency_ms_max, faults, steps, last_step }
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
        self.store.delay(self.latency_ms_max).await;
    }

    /// Draws what happens to a call.
    fn fate(&self) -> Fate {
        let LinkFaults { lost, unanswered, late, silent, .. } = self.faults;
        let fates = [
            (lost, Fate::Lost),
            (unanswered, Fate::Unanswered),
            (late, Fate::Late),
            (silent, Fate::Silent),
        ];
        let mut drawn = self.store.below(1000);
        for (often, fate) in fates {
            match drawn.checked_sub(often) {
                None => {
                    self.store.count_fault();
                    return fate;
                }
                Some(rest) => drawn = rest,
            }
        }
        Fate::Done
    }

    /// Asks for something that changes nothing.
    async fn ask<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<T> {
        self.step().await;
        match self.fate() {
            Fate::Lost => return Err(failure("no answer")),
            Fate::Silent => std::future::pending().await,
            Fate::Done | Fate::Unanswered | Fate::Late => {}
        }
        let answer = answer.await;
        self.step().await;
        answer
    }

    /// Changes the store: what is on its way when nobody waits any more may still happen.
    fn change<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Afloat<T> {
        let (link, store, fate) = (self.clone(), Arc::clone(&self.store), self.fate());
        let change: Change<T> = Arc::new(Mutex::new(Some(change.boxed())));
        let begun = Arc::clone(&change);
        let way = async move {
            link.step().await;
            match fate {
                Fate::Lost => {
                    take(&begun);
                    return Err(failure("not done"));
                }
                Fate::Late => return Err(failure("not done yet")),
                Fate::Silent => std::future::pending().await,
                Fate::Done | Fate::Unanswered => {}
            }
            let answer = match take(&begun) {
                Some(change) => change.await,
                None => std::future::pending().await,
            };
            link.step().await;
            if fate == Fate::Unanswered { Err(failure("the answer was lost")) } else { answer }
        };
        // One that is late arrives for certain.
        let arrives = if fate == Fate::Late { 1000 } else { 500 };
        Afloat { way: way.boxed(), change, arrives, store }
    }
}

/// A change that has not begun.
type Change<T> = Arc<Mutex<Option<BoxFuture<'static, Result<T>>>>>;

fn take<T>(change: &Change<T>) -> Option<BoxFuture<'static, Result<T>>> {
    change.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// A change on its way.
struct Afloat<T: Send + 'static> {
    way: BoxFuture<'static, Result<T>>,
    change: Change<T>,
    /// In how many of a thousand cases it is done after all if nobody waits any more.
    arrives: u64,
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
        if let Some(change) = take(&self.change)
            && self.store.below(1000) < self.arrives
        {
            // Nobody learns what came of it.
            self.store.haunt(change.map(drop));
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
        let (store, to) = (Arc::clone(&self.store), to.clone());
        self.change(async move {
            let done = store.inner().put_opts(&to, payload, options).await?;
            store.changed(to, true);
            Ok(done)
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.step().await;
        self.store.changed(to.clone(), true);
        self.store.inner().put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.ask(self.store.inner().get_opts(at, options)).await
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
                store.delete(&path).await?;
                Ok(path)
            })
        });
        deleted.boxed()
    }

    fn list(&self, below: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (link, below) = (self.clone(), below.cloned().unwrap_or_default());
        let found = async move {
            let seen = async { Ok(link.store.listed(link.faults.stale)) };
            let listed = link.ask(seen).await.map(|listed| {
                let listed = listed.into_iter().filter(|path| path.prefix_matches(&below));
                listed.map(|path| Ok(meta(path))).collect::<Vec<_>>()
            });
            stream::iter(listed.unwrap_or_else(|error| vec![Err(error)]))
        };
        found.flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, below: Option<&Path>) -> Result<ListResult> {
        self.ask(self.store.inner().list_with_delimiter(below)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.step().await;
        self.store.changed(to.clone(), true);
        self.store.inner().copy_opts(from, to, options).await
    }
}

/// What a listing says of an object; nobody asks for more than its name.
fn meta(location: Path) -> ObjectMeta {
    let last_modified = Default::default();
    ObjectMeta { location, last_modified, size: 0, e_tag: None, version: None }
}
