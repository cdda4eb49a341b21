//! The calls of a faulty store: each lets others go first, draws its fate and meets it.

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};

use super::fate::{Fate, Faults, Write};
use super::{FaultyStore, now};
use crate::testing::Turn;

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
