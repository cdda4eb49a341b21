//! Files as output: one a worker, hidden until the job commits.
//!
//! ```text
//! rows --> DIR/.part-00000.csv.x.tmp --prepare--> flushed and synced
//!                      |                                   |-- commit --> DIR/part-00000.csv
//!                      '-- dropped --> gone                '-- abort  --> gone
//! ```
//!
//! The result of a job is what `DIR/part-*` matches, or `DIR/NAME-*` for a sink that was named. A
//! worker without rows makes no file. Readers of a folder skip names that begin with a dot.
//!
//! **Old results.** A folder with any visible file is refused when the sink is opened, before the
//! job has read a single record, unless it may be overwritten. Then the files of the same name
//! prefix are replaced or removed when the job commits, and stay as they are when it fails.
//!
//! **Invariants**
//! - *Every old file has one remover*: a file named like that of a worker is left to that worker,
//!   any other to worker 0. So the workers may commit in any order, and none removes what another
//!   has just put there.
//! - *New before old*: a worker makes its own file visible before it removes others.
//!
//! Left out: a commit over several workers is not one atomic step, and a process that is killed
//! leaves its hidden files.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::TempPath;

use highwater_core::error::{Cause, Error, Result};
use highwater_core::record::{Batch, Data};
use highwater_core::sink::{Committable, Writer, WriterContext};
use highwater_core::time::Epoch;

use crate::file::is_hidden;

/// Refuses a folder that already holds results, that is, any visible file.
///
/// Sinks ask this when they are opened; a program may ask it before it does anything else. A
/// folder that does not exist holds nothing.
///
/// # Errors
/// [`Error::OutputExists`] with the name of one of the files.
pub fn refuse_existing(dir: &Path) -> Result<()> {
    match visible_files(dir)?.into_iter().next() {
        Some(found) => Err(Error::OutputExists { path: dir.to_owned(), found }),
        None => Ok(()),
    }
}

/// Returns the names of the visible files in a folder, sorted.
fn visible_files(dir: &Path) -> Result<Vec<String>> {
    let failed = |e| Error::io("list", dir, e);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !is_hidden(&name) && !entry.file_type().map_err(failed)?.is_dir() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Where a sink puts its files and how it names them.
#[derive(Clone, Debug)]
pub(crate) struct PartFiles {
    dir: PathBuf,
    pub(crate) prefix: String,
    pub(crate) overwrite: bool,
}

impl PartFiles {
    pub(crate) fn new(dir: impl Into<PathBuf>) -> Self {
        PartFiles { dir: dir.into(), prefix: "part".to_owned(), overwrite: false }
    }

    /// Opens the file of one worker, without creating it yet.
    pub(crate) fn open<F: RowFormat>(
        &self,
        format: F,
        context: WriterContext,
    ) -> Result<PartFile<F>> {
        let WriterContext { worker, workers, .. } = context;
        self.check_prefix()?;
        fs::create_dir_all(&self.dir).map_err(|e| Error::io("create", &self.dir, e))?;
        if !self.overwrite {
            refuse_existing(&self.dir)?;
        }
        let name = |worker| format!("{}-{worker:05}.{}", self.prefix, F::EXTENSION);
        let remover = |old: &str| {
            let named_like = self.number_of(old).filter(|i| *i < workers && old == name(*i));
            named_like.unwrap_or(0)
        };
        let mut old = visible_files(&self.dir)?;
        old.retain(|old| self.number_of(old).is_some() && remover(old) == worker);
        Ok(PartFile {
            dir: self.dir.clone(),
            name: name(worker),
            old: old.into_iter().map(|old| self.dir.join(old)).collect(),
            format,
            open: None,
        })
    }

    /// Returns the number after the prefix in a name of ours, whatever its extension; `None` for a
    /// name of others, such as `part-late-00000.csv` of a sink named `part-late`.
    fn number_of(&self, name: &str) -> Option<usize> {
        let rest = name.strip_prefix(&self.prefix)?.strip_prefix('-')?;
        rest.split('.').next()?.parse().ok()
    }

    fn check_prefix(&self) -> Result<()> {
        let prefix = &self.prefix;
        if prefix.is_empty() || is_hidden(prefix) || prefix.contains(['/', '\\']) {
            let expected = "a name without slashes that does not begin with . or _";
            return Err(Error::option("the name of the output files", prefix, expected));
        }
        Ok(())
    }
}

/// How rows become bytes.
pub(crate) trait RowFormat: 'static {
    /// What writes rows into one file.
    type Encoder: 'static;
    /// What the names of the files end with, without a dot.
    const EXTENSION: &'static str;

    /// Begins a file.
    fn start(&self, file: File) -> Self::Encoder;

    /// Writes one row.
    fn encode<T: Serialize>(encoder: &mut Self::Encoder, row: &T) -> Result<(), RowError>;

    /// Writes what is still buffered and gives the file back.
    fn finish(encoder: Self::Encoder) -> io::Result<File>;
}

/// Why a row could not be written.
pub(crate) enum RowError {
    /// The disk refused it.
    Io(io::Error),
    /// The format cannot express it.
    Row(Cause),
}

/// The file of one worker, while it is written.
pub(crate) struct PartFile<F: RowFormat> {
    dir: PathBuf,
    name: String,
    /// The old files that this worker has to remove.
    old: Vec<PathBuf>,
    format: F,
    /// `None` before the first row. The path removes its file when it is dropped, and comes last
    /// so that the encoder is dropped before.
    open: Option<(F::Encoder, TempPath)>,
}

impl<F: RowFormat> PartFile<F> {
    fn target(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    fn create(&self) -> Result<(F::Encoder, TempPath)> {
        let prefix = format!(".{}.", self.name);
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".tmp");
        #[cfg(unix)]
        // As any other new file, and not for the owner alone.
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let hidden = builder.tempfile_in(&self.dir);
        let (file, path) = hidden.map_err(|e| Error::io("create", self.target(), e))?.into_parts();
        Ok((self.format.start(file), path))
    }
}

impl<T: Data + Serialize, F: RowFormat> Writer<T> for PartFile<F> {
    fn write(&mut self, batch: &mut Batch<T>) -> Result<()> {
        if self.open.is_none() && !batch.is_empty() {
            self.open = Some(self.create()?);
        }
        let target = self.dir.join(&self.name);
        let Some((encoder, _)) = &mut self.open else { return Ok(()) };
        for record in batch.drain(..) {
            F::encode(encoder, &record.value).map_err(|error| match error {
                RowError::Io(error) => Error::io("write", &target, error),
                RowError::Row(cause) => Error::program(format!(
                    "{}: a result cannot be written as {}: {cause}",
                    target.display(),
                    F::EXTENSION
                )),
            })?;
        }
        Ok(())
    }

    fn pre_commit(&mut self, _: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        let (dir, target) = (self.dir.clone(), self.target());
        let (mut file, mut hidden) = (None, None);
        if let Some((encoder, path)) = self.open.take() {
            file = Some(F::finish(encoder).map_err(|e| Error::io("write", &target, e))?);
            hidden = Some(path);
        }
        if hidden.is_none() && self.old.is_empty() {
            return Ok(Vec::new());
        }
        let old = std::mem::take(&mut self.old);
        Ok(vec![Box::new(SealedPart { dir, target, file, hidden, old })])
    }
}

/// The file of one worker, complete and still hidden.
struct SealedPart {
    dir: PathBuf,
    target: PathBuf,
    /// What is still to be synced.
    file: Option<File>,
    /// `None` when the worker had no rows, or when the file is visible already.
    hidden: Option<TempPath>,
    old: Vec<PathBuf>,
}

impl SealedPart {
    /// Gives the hidden file its name. Two sinks that were given one name must not pass unseen.
    fn show(&mut self) -> Result<()> {
        let Some(hidden) = self.hidden.take() else { return Ok(()) };
        let replaces = self.old.contains(&self.target);
        if !replaces && self.target.exists() {
            self.hidden = Some(hidden);
            let found = self.target.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(Error::OutputExists { path: self.dir.clone(), found });
        }
        if let Err(failed) = hidden.persist(&self.target) {
            self.hidden = Some(failed.path);
            return Err(Error::io("rename", &self.target, failed.error));
        }
        self.old.retain(|old| *old != self.target);
        Ok(())
    }
}

impl Committable for SealedPart {
    fn prepare(&mut self) -> Result<String> {
        if let Some(file) = self.file.take() {
            file.sync_all().map_err(|e| Error::io("sync", &self.target, e))?;
        }
        Ok(self.target.to_string_lossy().into_owned())
    }

    fn commit(&mut self) -> Result<()> {
        self.show()?;
        while let Some(old) = self.old.last() {
            match fs::remove_file(old) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", old, e));
                }
                _ => self.old.pop(),
            };
        }
        sync_folder(&self.dir)
    }

    fn abort(&mut self) {
        self.hidden = None;
        self.old.clear();
    }
}

/// Makes new and removed names durable.
fn sync_folder(dir: &Path) -> Result<()> {
    if cfg!(unix) {
        let synced = File::open(dir).and_then(|folder| folder.sync_all());
        return synced.map_err(|e| Error::io("sync", dir, e));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
