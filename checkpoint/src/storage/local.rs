//! Checkpoints in a folder of this machine.
//!
//! A write flushes the file, gives it its name in one step (by a link, if nothing may be there) and
//! flushes the folder: after a power cut an object is whole or not there. `object_store` does all
//! of this when it is told to; the folders above the first one it leaves to us. What a killed
//! process leaves behind are files named `..#1`, which nobody lists and [`clear_unfinished`]
//! deletes.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::local::LocalFileSystem;

use crate::error::StorageError;
use crate::storage::Storage;
use crate::storage::open::Folder;

/// Opens a folder.
pub(super) fn open(url: &str, folder: &Path, found: Folder) -> Result<Storage, StorageError> {
    let unusable = |problem: &str, source| StorageError::Url {
        url: url.into(),
        problem: problem.into(),
        source: Some(source),
    };
    if found == Folder::Made {
        make_durably(folder)
            .map_err(|error| unusable("the folder cannot be made", error.into()))?;
    }
    let folder = folder
        .canonicalize()
        .map_err(|error| unusable("the folder cannot be found", error.into()))?;
    if folder.to_str().is_none() {
        return Err(StorageError::url(url, "the folder's full path is not valid UTF-8"));
    }
    let store = LocalFileSystem::new_with_prefix(&folder)
        .map_err(|error| unusable("the folder cannot be used", error.into()))?
        .with_fsync(true)
        .with_automatic_cleanup(true);
    let storage = Storage::of(Arc::new(store), "")?;
    let url = folder.to_string_lossy().as_ref().into();
    Ok(Storage { folder: Some(Arc::new(folder)), url, ..storage })
}

/// Makes a folder and those above it, each of them flushed into the one above.
fn make_durably(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above {
        make_durably(above)?;
    }
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists || !folder.is_dir() => {
            return Err(error);
        }
        _ => {}
    }
    #[cfg(unix)]
    std::fs::File::open(above.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}

/// Returns whether an error of the local disk would be the same again: no permission, disk full.
pub(super) fn is_refusal(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return matches!(
                io.kind(),
                ErrorKind::PermissionDenied
                    | ErrorKind::StorageFull
                    | ErrorKind::QuotaExceeded
                    | ErrorKind::ReadOnlyFilesystem
                    | ErrorKind::NotADirectory
                    | ErrorKind::IsADirectory
                    | ErrorKind::InvalidFilename
            );
        }
        cause = error.source();
    }
    false
}

/// Deletes the files that attempts before this one have not finished writing, below a folder that
/// has one folder for each attempt.
///
/// # Errors
/// If a folder cannot be read or a file not be deleted.
pub(super) fn clear_unfinished(files: &Path, attempt: u64) -> std::io::Result<()> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for (path, name) in entries(files)? {
        if name.parse().is_ok_and(|earlier: u64| earlier < attempt) {
            folders.push(path);
        }
    }
    while let Some(folder) = folders.pop() {
        for (path, name) in entries(&folder)? {
            if path.is_dir() {
                folders.push(path);
            } else if is_unfinished(&name) {
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// Returns the paths in a folder with their names; none if it is not there.
fn entries(folder: &Path) -> std::io::Result<Vec<(PathBuf, String)>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    entries
        .map(|entry| {
            let entry = entry?;
            Ok((entry.path(), entry.file_name().to_string_lossy().into_owned()))
        })
        .collect()
}

/// Returns whether `object_store` gave this name to a file that it had not yet written.
fn is_unfinished(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}
