//! Scratch folders, each removed when nothing in it is used any more.
//!
//! ```text
//! <dir>/highwater.scratch       locked as long as the process uses the folder
//! <dir>/<uid>-<worker>/db       the DB of a store
//! <dir>/<uid>-<worker>/<n>      its n-th checkpoint
//! ```
//!
//! A folder keeps the one around it, so that a store may end before its frozen views do.
//!
//! **Invariant** - *Only ours*: a folder that holds files but no `highwater.scratch` is refused; it
//! would be wiped ([`Folder::scratch`]).

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_core::error::{Error, Result};
use highwater_core::key::stable_hash;

/// What marks a folder as scratch.
const MARK: &str = "highwater.scratch";

/// The longest file name before it is shortened; most file systems allow 255 bytes.
const NAME_BYTES_MAX: usize = 200;

/// A folder that is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The lock of a scratch folder.
    _lock: Option<File>,
    /// The folder around it, dropped after it.
    _around: Option<Arc<Folder>>,
}

impl Folder {
    /// Makes or takes over the scratch folder of a process; what is in it is wiped.
    pub(crate) fn scratch(dir: &Path) -> Result<Arc<Self>> {
        fs::create_dir_all(dir).map_err(|error| Error::io("make", dir, error))?;
        let mark = dir.join(MARK);
        let names = names(dir).map_err(|error| Error::io("list", dir, error))?;
        if !names.is_empty() && !mark.exists() {
            let cause = "it holds files that are not scratch of highwater";
            return Err(refused(dir, ErrorKind::AlreadyExists, cause));
        }
        let lock = File::options().create(true).truncate(false).write(true).open(&mark);
        let lock = lock.map_err(|error| Error::io("open", &mark, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let cause = "another process keeps its state there";
                return Err(refused(dir, ErrorKind::WouldBlock, cause));
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &mark, error)),
        }
        for stale in names.iter().filter(|path| **path != mark) {
            remove(stale).map_err(|error| Error::io("remove", stale, error))?;
        }
        Ok(Arc::new(Folder { path: dir.to_owned(), _lock: Some(lock), _around: None }))
    }

    /// Makes the folder of a store.
    pub(crate) fn store(self: &Arc<Self>, uid: &str, worker: usize) -> Result<Arc<Self>> {
        let name = format!("{}-{worker}", escaped(uid));
        let mut path = self.path.join(&name);
        let mut taken = 1;
        // A view of a store that has ended may still be in use.
        while let Err(error) = fs::create_dir(&path) {
            if error.kind() != ErrorKind::AlreadyExists {
                return Err(Error::io("make", path, error));
            }
            taken += 1;
            path = self.path.join(format!("{name}.{taken}"));
        }
        Ok(Arc::new(Folder { path, _lock: None, _around: Some(Arc::clone(self)) }))
    }

    /// Names a folder in this one, which RocksDB makes.
    pub(crate) fn within(self: &Arc<Self>, name: &str) -> Self {
        Folder { path: self.path.join(name), _lock: None, _around: Some(Arc::clone(self)) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now is wiped by the next run.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn refused(dir: &Path, kind: ErrorKind, cause: &str) -> Error {
    Error::io("use as scratch", dir, io::Error::new(kind, cause))
}

fn names(dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

/// Returns a file name for a uid, another for each.
fn escaped(uid: &str) -> String {
    let mut name = String::with_capacity(uid.len());
    for byte in uid.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    if name.len() > NAME_BYTES_MAX {
        name.truncate(NAME_BYTES_MAX - 17);
        name.push_str(&format!("~{:016x}", stable_hash(uid)));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uid_has_a_file_name_of_its_own() {
        assert_eq!(escaped("count-words_2"), "count-words_2");
        assert_eq!(escaped("../a b%"), "%2e%2e%2fa%20b%25");
        assert_eq!(escaped("\u{fc}"), "%c3%bc");
        let long = ["x".repeat(300), "x".repeat(301), "/".repeat(300)].map(|uid| escaped(&uid));
        assert!(long.iter().all(|name| name.len() == NAME_BYTES_MAX), "{long:?}");
        assert!(long[0] != long[1] && long[1] != long[2]);
    }
}
