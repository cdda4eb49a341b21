//! A store in memory that fails from a seed.
//!
//! ```text
//! put --> not done, error | done, error | not done, error, done much later | torn, error | done
//! list --> what was there some changes ago        any call --> no answer, ever
//! ```
//!
//! What was done is seen by all readers at once, as in every store that highwater supports; only
//! listings are late.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::FutureExt;
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};

use super::Turn;

/// How often what goes wrong: in so many of 1000 calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A call is not done and fails.
    pub before: u16,
    /// A write is done and fails.
    pub after: u16,
    /// A write fails and is done later, in the course of another call.
    pub late: u16,
    /// A call gets no answer; a write may be done later.
    pub hang: u16,
    /// A write leaves part of the object and fails.
    pub torn: u16,
    /// Tears only what is below this folder; everything if it is empty.
    pub torn_below: &'static str,
    /// A listing shows what was there some changes ago.
    pub stale: u16,
}

/// A store in memory that fails from a seed.
#[derive(Debug)]
pub struct FaultyStore {
    objects: InMemory,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: fastrand::Rng,
    faults: Faults,
    full: bool,
    denied: bool,
    blind: bool,
    late: Vec<Write>,
    listed: BTreeSet<Path>,
    /// Changes that listings may not show yet: a path, and whether it is there.
    unlisted: VecDeque<(Path, bool)>,
    calls: u64,
}

#[derive(Clone, Debug)]
struct Write {
    to: Path,
    content: Bytes,
    create: bool,
}

/// What happens to a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    Before,
    After,
    Late,
    Hang,
    Torn,
}

/// A write on its way: if its future is dropped, it may be done later.
struct InFlight<'a> {
    store: &'a FaultyStore,
    write: Option<Write>,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(write) = self.write.take() {
            let mut state = self.store.lock();
            if state.faults != Faults::default() && state.random.bool() {
                state.late.push(write);
            }
        }
    }
}

fn failure(what: &str) -> Error {
    Error::Generic { store: "FaultyStore", source: what.into() }
}

impl FaultyStore {
    /// Returns an empty store that does not fail before it is told to.
    #[must_use]
    pub fn new(seed: u64) -> Arc<Self> {
        let state = State {
            random: fastrand::Rng::with_seed(seed),
            faults: Faults::default(),
            full: false,
            denied: false,
            blind: false,
            late: Vec::new(),
            listed: BTreeSet::new(),
            unlisted: VecDeque::new(),
            calls: 0,
        };
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

    /// Lets others go first, does what is late, and draws what happens to a call.
    async fn begin(&self, path: &Path, write: Option<&Write>) -> Result<Fate> {
        Turn::default().await;
        let due = {
            let mut state = self.lock();
            state.calls += 1;
            if !state.late.is_empty() && state.random.u8(..4) == 0 {
                let waiting = state.late.len();
                let next = state.random.usize(..waiting);
                Some(state.late.swap_remove(next))
            } else {
                None
            }
        };
        if let Some(due) = due {
            let _ = self.apply(&due).await;
        }
        self.lock().draw(path, write)
    }

    async fn apply(&self, write: &Write) -> Result<PutResult> {
        let mode = if write.create { PutMode::Create } else { PutMode::Overwrite };
        let done =
            self.objects.put_opts(&write.to, write.content.clone().into(), mode.into()).await;
        if done.is_ok() {
            self.lock().changed(write.to.clone(), true);
        }
        done
    }

    async fn write(&self, write: Write) -> Result<PutResult> {
        let mut way = InFlight { store: self, write: Some(write.clone()) };
        let fate = self.begin(&write.to, Some(&write)).await;
        way.write = None;
        match fate? {
            Fate::Done => {
                let done = self.apply(&write).await;
                Turn::default().await;
                done
            }
            Fate::Before => Err(failure("not done")),
            Fate::After => {
                self.apply(&write).await?;
                Err(failure("done, and the answer lost"))
            }
            Fate::Late => {
                self.lock().late.push(write);
                Err(failure("not done yet"))
            }
            Fate::Hang => {
                way.write = Some(write);
                std::future::pending().await
            }
            Fate::Torn => {
                let bytes = self.lock().random.usize(..write.content.len().max(1));
                let torn = Write { content: write.content.slice(..bytes), ..write };
                self.apply(&torn).await?;
                Err(failure("torn"))
            }
        }
    }

    async fn read(&self, path: &Path) -> Result<()> {
        match self.begin(path, None).await? {
            Fate::Before => Err(failure("not answered")),
            Fate::Hang => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

impl State {
    fn draw(&mut self, path: &Path, write: Option<&Write>) -> Result<Fate> {
        if self.denied {
            let path = path.to_string();
            return Err(Error::PermissionDenied { path, source: "permission was lost".into() });
        }
        if self.full && write.is_some() {
            let source = Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull));
            return Err(Error::Generic { store: "FaultyStore", source });
        }
        let Faults { before, after, late, hang, torn, torn_below, .. } = self.faults;
        let mut drawn = self.random.u16(..1000);
        let fates = [
            (before, Fate::Before),
            (hang, Fate::Hang),
            (after, Fate::After),
            (late, Fate::Late),
            (torn, Fate::Torn),
        ];
        for (often, fate) in fates {
            if drawn < often {
                let torn_elsewhere =
                    fate == Fate::Torn && !path.as_ref().split('/').any(|part| part == torn_below);
                return Ok(if torn_elsewhere && !torn_below.is_empty() {
                    Fate::Done
                } else {
                    fate
                });
            }
            drawn -= often;
        }
        Ok(Fate::Done)
    }

    fn changed(&mut self, path: Path, there: bool) {
        self.unlisted.push_back((path, there));
    }

    /// Returns what a listing shows now.
    fn list(&mut self) -> BTreeSet<Path> {
        if self.blind {
            return BTreeSet::new();
        }
        let stale = self.random.u16(..1000) < self.faults.stale;
        let shown =
            if stale { self.random.usize(..=self.unlisted.len()) } else { self.unlisted.len() };
        for (path, there) in self.unlisted.drain(..shown) {
            if there {
                self.listed.insert(path);
            } else {
                self.listed.remove(&path);
            }
        }
        self.listed.clone()
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

/// The store itself, to be handed to [`crate::Storage::of`].
#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let create = match options.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => return Err(failure("updates are not needed")),
        };
        self.write(Write { to: to.clone(), content: payload.into(), create }).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.read(to).await?;
        self.lock().changed(to.clone(), true);
        self.objects.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.read(at).await?;
        self.objects.get_opts(at, options).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        // Deleted when the stream is made: a faulty store has no time to lose.
        let paths: Vec<Result<Path>> = now(at.collect());
        let deleted: Vec<Result<Path>> = paths
            .into_iter()
            .map(|path| {
                let path = path?;
                let fate = self.lock().draw(&path, None)?;
                if fate == Fate::Before {
                    return Err(failure("not deleted"));
                }
                now(self.objects.delete(&path))?;
                self.lock().changed(path.clone(), false);
                Ok(path)
            })
            .collect();
        stream::once(Turn::default())
            .filter_map(|()| async { None })
            .chain(stream::iter(deleted))
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let drawn = self.lock().draw(&prefix.cloned().unwrap_or_default(), None);
        if let Some(error) = match drawn {
            Ok(Fate::Before) => Some(failure("not listed")),
            Ok(_) => None,
            Err(error) => Some(error),
        } {
            return stream::iter([Err(error)]).boxed();
        }
        let listed = self.lock().list();
        let below = prefix.cloned().unwrap_or_default();
        let found: Vec<Result<ObjectMeta>> = listed
            .into_iter()
            .filter(|path| path.prefix_matches(&below))
            .map(|location| {
                Ok(ObjectMeta {
                    location,
                    last_modified: Default::default(),
                    size: 0,
                    e_tag: None,
                    version: None,
                })
            })
            .collect();
        stream::iter(found).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.read(from).await?;
        self.lock().changed(to.clone(), true);
        self.objects.copy_opts(from, to, options).await
    }
}
