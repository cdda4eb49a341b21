//! Parts that nothing is written into any more, and what becomes of them.
//!
//! ```text
//! Written or Closed --prepare--> Staged --commit--> Shown
//!        '------------------abort--'--> Gone
//! ```

use std::fs::File;
use std::sync::Arc;

use tempfile::TempPath;

use highwater_core::error::Result;
use highwater_core::sink::Committable;

use super::folder;
use super::format::{PartBytes, RowError};
use super::place::{OldFiles, Place, Prepared, StagedPart};

/// How rows that could not be written are reported.
pub(super) fn explain(
    error: RowError,
    path: &std::path::Path,
    extension: &str,
) -> highwater_core::Error {
    match error {
        RowError::Io(error) => highwater_core::Error::io("write", path, error),
        RowError::Row(cause) => highwater_core::Error::program(format!(
            "{}: a result cannot be written as {extension}: {cause}",
            path.display()
        )),
    }
}

/// A complete file of one writer.
///
/// - `E`: what wrote its rows.
pub(super) struct SealedPart<E> {
    pub(super) place: Arc<dyn Place>,
    pub(super) name: String,
    pub(super) replaces: bool,
    /// Whether another attempt may commit it, so that it must outlive this one.
    pub(super) is_kept: bool,
    pub(super) stage: Stage<E>,
    pub(super) codec: Codec<E>,
}

/// How a file ends.
pub(super) struct Codec<E> {
    pub(super) finish: fn(E) -> Result<PartBytes, RowError>,
    pub(super) extension: &'static str,
}

impl<E> Codec<E> {
    /// Writes what is still buffered.
    pub(super) fn close(&self, encoder: E, path: &TempPath) -> Result<File> {
        let finished = (self.finish)(encoder).map(PartBytes::into_file);
        finished.map_err(|error| explain(error, path, self.extension))
    }
}

impl<E> Clone for Codec<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Codec<E> {}

/// How far a part is on its way. The path comes last, so that its file is closed when it is removed.
pub(super) enum Stage<E> {
    /// Some of it may be in memory.
    Written(E, TempPath),
    /// All of it is in the file, which is closed.
    Closed(TempPath),
    /// It is durable.
    Staged(StagedPart),
    /// It is visible.
    Shown,
    /// It was thrown away, or could not be written.
    Gone,
}

impl<E: Send> SealedPart<E> {
    fn stage(&mut self) -> Result<StagedPart> {
        let (file, path) = match std::mem::replace(&mut self.stage, Stage::Gone) {
            Stage::Written(encoder, path) => (self.codec.close(encoder, &path)?, path),
            Stage::Closed(path) => (folder::reopen(&path)?, path),
            Stage::Staged(part) => return Ok(part),
            Stage::Shown | Stage::Gone => panic!("{} is prepared after its verdict", self.name),
        };
        self.place.stage(file, path, &self.name, self.replaces)
    }
}

impl<E: Send> Committable for SealedPart<E> {
    fn prepare(&mut self) -> Result<String> {
        let part = self.stage()?;
        self.stage = Stage::Staged(part.clone());
        Prepared::Show(part).to_payload()
    }

    fn commit(&mut self) -> Result<()> {
        match &self.stage {
            Stage::Staged(part) => self.place.show(part)?,
            Stage::Shown => {}
            Stage::Written(..) | Stage::Closed(_) | Stage::Gone => {
                panic!("{} is committed without being prepared", self.name)
            }
        }
        self.stage = Stage::Shown;
        Ok(())
    }

    fn abort(&mut self) {
        if let Stage::Staged(part) = std::mem::replace(&mut self.stage, Stage::Gone) {
            self.place.discard(&part);
        }
    }
}

impl<E> Drop for SealedPart<E> {
    fn drop(&mut self) {
        if let (Stage::Staged(part), false) = (&self.stage, self.is_kept) {
            self.place.discard(part);
        }
    }
}

/// Old results that go away when the new ones are committed.
pub(super) struct Replaced {
    pub(super) place: Arc<dyn Place>,
    pub(super) old: OldFiles,
}

impl Committable for Replaced {
    fn prepare(&mut self) -> Result<String> {
        Prepared::Remove(self.old.clone()).to_payload()
    }

    fn commit(&mut self) -> Result<()> {
        self.place.remove(&self.old)
    }

    fn abort(&mut self) {
        self.old.files.clear();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::OpenOptions;
    use std::io::BufWriter;
    use std::io::Write;

    use highwater_core::error::Error;

    use super::super::format::RowFormat;
    use super::*;
    use crate::format::json::JsonFormat;

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file_and_leaves_nothing_to_commit() {
        let dir = tempfile::tempdir().unwrap();
        let path = TempPath::try_from_path(dir.path().join(".part-00000-1.jsonl.x.tmp")).unwrap();
        std::fs::write(&path, "").unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut encoder = BufWriter::new(PartBytes::new(full));
        encoder.write_all(b"{}\n").unwrap();
        let finish = <JsonFormat as RowFormat<u32>>::finish;
        let mut part = SealedPart {
            place: Arc::new(folder::Folder::new(dir.path().to_owned()).unwrap()),
            name: "part-00000-1-1-0.jsonl".to_owned(),
            replaces: false,
            is_kept: true,
            stage: Stage::Written(encoder, path),
            codec: Codec { finish, extension: "jsonl" },
        };
        match part.prepare().unwrap_err() {
            Error::Io { action: "write", path, source } => {
                assert!(path.starts_with(dir.path()));
                assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        part.abort();
    }
}
