//! What processes print: a file each for the two outputs of each process, kept for whoever asks.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::frame::{Key, LOG_BYTES_MAX, Piece};

/// The logs of an agent.
#[derive(Debug)]
pub(super) struct Logs {
    folder: PathBuf,
}

/// Returns the names of the logs of a process: of its standard output and of its standard error.
#[must_use]
pub(crate) fn names(key: Key) -> [String; 2] {
    let Key { job, attempt, index } = key;
    ["out", "err"].map(|output| format!("{job}-{attempt}-{index}.{output}"))
}

impl Logs {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let folder = folder.join("logs");
        std::fs::create_dir_all(&folder)
            .map_err(|cause| Error::io("make", folder.display(), cause))?;
        Ok(Logs { folder })
    }

    /// Returns where a process prints.
    pub(super) fn of(&self, key: Key) -> [PathBuf; 2] {
        names(key).map(|name| self.folder.join(name))
    }

    /// Returns a piece of a log, or the names of all logs if there is no name.
    ///
    /// # Errors
    /// When there is no such log.
    pub(super) async fn read(&self, name: Option<&str>, from: i64, length: u32) -> Result<Piece> {
        let Some(name) = name else { return self.list() };
        let missing = || Error::NoLog { why: format!("there is no log {name:?}") };
        // A name is no path: it does not lead anywhere else.
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        if !is_name || name.starts_with('.') {
            return Err(missing());
        }
        let mut file = std::fs::File::open(self.folder.join(name)).map_err(|_| missing())?;
        let failed = |cause| Error::io("read the log", name, cause);
        let size = file.metadata().map_err(failed)?.len();
        let begin = match from >= 0 {
            true => from.unsigned_abs().min(size),
            false => size.saturating_sub(from.unsigned_abs()),
        };
        file.seek(SeekFrom::Start(begin)).map_err(failed)?;
        let mut bytes = Vec::new();
        let length = u64::from(length.min(LOG_BYTES_MAX));
        file.take(length).read_to_end(&mut bytes).map_err(failed)?;
        // A character is not cut in two, unless it is none.
        if begin + (bytes.len() as u64) < size
            && let Err(error) = std::str::from_utf8(&bytes)
            && error.error_len().is_none()
            && error.valid_up_to() > 0
        {
            bytes.truncate(error.valid_up_to());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let next = begin + bytes.len() as u64;
        Ok(Piece { text, next, length: size, names: BTreeMap::new() })
    }

    fn list(&self) -> Result<Piece> {
        let failed = |cause| Error::io("list", self.folder.display(), cause);
        let mut names = BTreeMap::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let length = entry.metadata().map_or(0, |about| about.len());
            names.insert(entry.file_name().to_string_lossy().into_owned(), length);
        }
        Ok(Piece { names, ..Piece::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::JobId;

    #[tokio::test]
    async fn a_log_is_read_piece_by_piece_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::open(folder.path()).unwrap();
        let key = Key { job: JobId::of(1), attempt: 2, index: 3 };
        let ([name, _], [path, _]) = (names(key), logs.of(key));
        std::fs::write(&path, "one\ntw\u{f6}\n").unwrap();
        let first = logs.read(Some(&name), 0, 7).await.unwrap();
        assert_eq!((first.text.as_str(), first.next, first.length), ("one\ntw", 6, 9));
        let rest = logs.read(Some(&name), 6, 99).await.unwrap();
        assert_eq!((rest.text.as_str(), rest.next), ("\u{f6}\n", 9));
        assert_eq!(logs.read(Some(&name), -3, 99).await.unwrap().text, "\u{f6}\n");
        assert_eq!(logs.read(Some(&name), 99, 99).await.unwrap().text, "");
        assert_eq!(logs.read(None, 0, 0).await.unwrap().names[&name], 9);
        std::fs::write(folder.path().join("secret"), "no").unwrap();
        for wrong in ["", ".", "..", "../secret", "other.out", "a/b"] {
            assert!(logs.read(Some(wrong), 0, 9).await.is_err(), "{wrong:?}");
        }
    }
}
