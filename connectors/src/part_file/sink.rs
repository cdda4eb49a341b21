//! The sink of part files: its options, and what it does before anything is written.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use highwater_core::error::Result;
use highwater_core::record::Data;
use highwater_core::sink::{Sink, Writer, WriterContext};
use highwater_core::time::Epoch;

use super::folder::Folder;
use super::format::RowFormat;
use super::name::Naming;
#[cfg(feature = "object-store")]
use super::objects::Objects;
use super::place::{OldFile, OldFiles, Place, Prepared};
use super::writer::{PartWriter, Rolling};

/// Writes rows into part files, each worker into its own.
///
/// - state: the rows that are buffered for the open file, up to 64 KiB in most formats.
///
/// What is visible when, and what is refused, is said in [`part_file`](crate::part_file).
#[derive(Clone, Debug)]
pub struct PartSink<F> {
    pub(crate) format: F,
    target: Target,
    prefix: String,
    overwrite: bool,
    rolling: Rolling,
}

/// Where the files go.
#[derive(Clone, Debug)]
enum Target {
    Folder(PathBuf),
    #[cfg(feature = "object-store")]
    Store(Arc<dyn object_store::ObjectStore>, PathBuf),
}

impl<F> PartSink<F> {
    /// Makes a sink that writes `part-*` into a folder, which is made if it is not there.
    pub fn new(dir: impl Into<PathBuf>, format: F) -> Self {
        let (target, prefix) = (Target::Folder(dir.into()), "part".to_owned());
        PartSink { format, target, prefix, overwrite: false, rolling: Rolling::default() }
    }

    /// Takes the path for one in an object store, such as `results/hourly`. A file is written in
    /// the folder for temporary files of this machine, and uploaded when its epoch has ended.
    ///
    /// The store should be able to copy without replacing. To S3 it must be said how, with
    /// `AmazonS3Builder::with_copy_if_not_exists`; otherwise a commit may replace an object of
    /// somebody else that has come to have the name of a new one.
    #[cfg(feature = "object-store")]
    #[must_use]
    pub fn in_store(mut self, store: Arc<dyn object_store::ObjectStore>) -> Self {
        self.target = match self.target {
            Target::Folder(path) | Target::Store(_, path) => Target::Store(store, path),
        };
        self
    }

    /// Sets how the names of the files begin, instead of `part`.
    #[must_use]
    pub fn named(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets whether results that are already there may be replaced.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Ends a file that has about this many bytes, instead of 128 MiB, and begins another one; at
    /// least one row goes into each. A job without checkpoints makes one file a worker in any case.
    #[must_use]
    pub fn roll_at(mut self, bytes: u64) -> Self {
        self.rolling.bytes = bytes;
        self
    }

    /// Ends a file that is this old when rows are written, instead of 60 seconds, and begins another
    /// one. A job without checkpoints makes one file a worker in any case.
    #[must_use]
    pub fn roll_every(mut self, age: Duration) -> Self {
        self.rolling.every = age;
        self
    }

    /// Returns where the files go.
    pub(super) fn place(&self) -> Result<Arc<dyn Place>> {
        match &self.target {
            Target::Folder(path) => Ok(Arc::new(Folder::new(path.clone())?)),
            #[cfg(feature = "object-store")]
            Target::Store(store, path) => Ok(Arc::new(Objects::new(Arc::clone(store), path)?)),
        }
    }

    fn naming(&self, extension: &'static str) -> Result<Naming> {
        let naming = Naming { prefix: self.prefix.clone(), extension };
        naming.check()?;
        Ok(naming)
    }
}

impl<T: Data, F: RowFormat<T>> Sink<T> for PartSink<F> {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer<T>>> {
        let (place, naming) = (self.place()?, self.naming(F::EXTENSION)?);
        place.make()?;
        let mut old = Vec::new();
        if !context.resumes {
            match place.any_visible()? {
                Some(found) if !self.overwrite => return Err(place.occupied(found)),
                Some(_) => old = place.results(&naming)?,
                None => {}
            }
        }
        let mut writer = PartWriter::new(place, naming, self.format.clone(), context);
        if context.attempt.is_some() {
            writer.rolling = Some(self.rolling);
            writer.first = first_number(&writer.naming, &old);
        }
        old.retain(|old| remover(&writer.naming, &old.name, context) == context.worker);
        writer.old = old;
        Ok(Box::new(writer))
    }

    fn recover(&self, attempt: u64, committed: &[String]) -> Result<()> {
        let (place, naming) = (self.place()?, self.naming(F::EXTENSION)?);
        for payload in committed {
            Prepared::parse(payload)?.commit(place.as_ref())?;
        }
        place.sweep(&naming, attempt)
    }

    fn undo(&self, attempt: u64, after: Epoch) -> Result<()> {
        let (place, naming) = (self.place()?, self.naming(F::EXTENSION)?);
        let mut files = place.results(&naming)?;
        files.retain(|file| match naming.visible(&file.name).as_deref() {
            Some([_, by, epoch, _]) => *by < attempt && *epoch > after.0,
            _ => false,
        });
        for file in &files {
            tracing::warn!(file = file.name, after = after.0, "removed, as it is made once more");
        }
        place.remove(&OldFiles { folder: place.folder().to_owned(), files })
    }
}

/// Returns the worker that removes an old result.
fn remover(naming: &Naming, old: &str, context: WriterContext) -> usize {
    let worker = naming.visible(old).and_then(|numbers| usize::try_from(numbers[0]).ok());
    let by_name = |worker: &usize| {
        context.attempt.is_none() && *worker < context.workers && naming.whole(*worker) == old
    };
    worker.filter(by_name).unwrap_or(0)
}

/// Returns the number of the first file of each epoch, so that no new name is an old one.
fn first_number(naming: &Naming, old: &[OldFile]) -> u64 {
    let numbers = old.iter().filter_map(|old| naming.visible(&old.name)?.get(3).copied());
    numbers.max().map_or(0, |most| most.saturating_add(1))
}
