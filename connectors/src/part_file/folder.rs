//! A folder of files as a place for parts: hidden names, renamed when they are committed.
//!
//! ```text
//! create: .part-..x.tmp --stage: file and folder synced--> --show: renamed, folder synced--> part-..
//! ```
//!
//! **Invariants**
//! - *A rename never replaces*, unless it was asked to (`rename_new`).
//! - *Lost is said*: a part that is neither hidden nor visible is an error (`Folder::show`).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tempfile::TempPath;

use highwater_core::error::{Error, Result};
use highwater_core::sink::WriterContext;

use super::name::{HIDDEN_SUFFIX, Naming};
use super::place::{OldFile, OldFiles, Place, StagedPart};
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
    let mut names = files(dir)?;
    names.retain(|name| !is_hidden(name));
    Ok(names)
}

/// Returns the names of the files in a folder, sorted.
fn files(dir: &Path) -> Result<Vec<String>> {
    let failed = |e| Error::io("list", dir, e);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if !entry.file_type().map_err(failed)?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// A folder of the file system.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The path as it stands in payloads: a later attempt may be started elsewhere.
    absolute: String,
}

impl Folder {
    /// Returns the folder `path`, which need not exist.
    pub(crate) fn new(path: PathBuf) -> Result<Self> {
        let absolute = std::path::absolute(&path).map_err(|e| Error::io("find", &path, e))?;
        match absolute.into_os_string().into_string() {
            Ok(absolute) => Ok(Folder { path, absolute }),
            Err(_) => {
                let expected = "a path in UTF-8";
                Err(Error::option("the output folder", path.display(), expected))
            }
        }
    }
}

impl Place for Folder {
    fn make(&self) -> Result<()> {
        let failed = |e| Error::io("create", &self.path, e);
        let missing: Vec<_> = self.path.ancestors().take_while(|path| !path.exists()).collect();
        fs::create_dir_all(&self.path).map_err(failed)?;
        missing.into_iter().filter_map(Path::parent).try_for_each(sync_folder)
    }

    fn any_visible(&self) -> Result<Option<String>> {
        Ok(visible_files(&self.path)?.into_iter().next())
    }

    fn occupied(&self, found: String) -> Error {
        Error::OutputExists { path: self.path.clone(), found }
    }

    fn results(&self, naming: &Naming) -> Result<Vec<OldFile>> {
        let mut found = Vec::new();
        for name in visible_files(&self.path)? {
            if naming.visible(&name).is_some()
                && let Some(version) = version(&self.path.join(&name))?
            {
                found.push(OldFile { name, version });
            }
        }
        Ok(found)
    }

    fn create(&self, naming: &Naming, context: WriterContext) -> Result<(File, TempPath)> {
        let prefix = naming.hidden(context);
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(HIDDEN_SUFFIX);
        #[cfg(unix)]
        // As any other new file, and not for the owner alone.
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let hidden = builder.tempfile_in(&self.path);
        Ok(hidden.map_err(|e| Error::io("create a file in", &self.path, e))?.into_parts())
    }

    fn stage(&self, file: File, path: TempPath, name: &str, replaces: bool) -> Result<StagedPart> {
        file.sync_all().map_err(|e| Error::io("sync", &path, e))?;
        sync_folder(&self.path)?;
        let hidden = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        path.keep().map_err(|e| Error::io("keep", e.path.to_path_buf(), e.error))?;
        let (folder, name) = (self.absolute.clone(), name.to_owned());
        Ok(StagedPart { folder, hidden, name, replaces })
    }

    fn show(&self, part: &StagedPart) -> Result<()> {
        let folder = Path::new(&part.folder);
        let (hidden, target) = (folder.join(&part.hidden), folder.join(&part.name));
        let renamed = match part.replaces {
            true => fs::rename(&hidden, &target),
            false => rename_new(&hidden, &target),
        };
        match renamed {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let visible = target.try_exists().map_err(|e| Error::io("find", &target, e))?;
                if part.replaces || !visible {
                    return Err(Error::OutputLost { path: target, hidden: part.hidden.clone() });
                }
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                if !is_same_file(&hidden, &target) {
                    let (path, found) = (folder.to_owned(), part.name.clone());
                    return Err(Error::OutputExists { path, found });
                }
                remove_if_there(&hidden)?;
            }
            Err(e) => return Err(Error::io("rename", &target, e)),
        }
        sync_folder(folder)
    }

    fn discard(&self, part: &StagedPart) {
        // What stays is hidden, and swept away by the next attempt.
        let _ = fs::remove_file(Path::new(&part.folder).join(&part.hidden));
    }

    fn remove(&self, old: &OldFiles) -> Result<()> {
        let folder = Path::new(&old.folder);
        for file in &old.files {
            let path = folder.join(&file.name);
            if version(&path)?.is_some_and(|found| found == file.version) {
                remove_if_there(&path)?;
            }
        }
        sync_folder(folder)
    }

    fn folder(&self) -> &str {
        &self.absolute
    }

    fn sweep(&self, naming: &Naming, attempt: u64) -> Result<()> {
        for name in files(&self.path)? {
            if naming.attempt_of_hidden(&name).is_some_and(|of| of < attempt) {
                remove_if_there(&self.path.join(name))?;
            }
        }
        Ok(())
    }
}

/// Returns what tells a file from a later one of that name, `None` if there is none.
fn version(path: &Path) -> Result<Option<String>> {
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("look at", path, e)),
    };
    let modified = about.modified().map_err(|e| Error::io("look at", path, e))?;
    let since_1970 = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Some(format!("{}-{}", about.len(), since_1970.as_nanos())))
}

/// Renames a file to a name that no file has.
fn rename_new(hidden: &Path, target: &Path) -> io::Result<()> {
    match TempPath::try_from_path(hidden)?.persist_noclobber(target) {
        Ok(()) => Ok(()),
        Err(failed) => {
            // Dropping the path would remove the file.
            failed.path.keep().map_err(|kept| kept.error)?;
            Err(failed.error)
        }
    }
}

/// Whether two names mean one file, as between the two steps of a rename on a file system that
/// cannot rename without replacing.
#[cfg(unix)]
fn is_same_file(left: &Path, right: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path| fs::metadata(path).map(|about| (about.dev(), about.ino())).ok();
    identity(left).is_some_and(|left| Some(left) == identity(right))
}

#[cfg(not(unix))]
fn is_same_file(_: &Path, _: &Path) -> bool {
    false
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// Opens a file that was closed, to sync it or to read it.
pub(super) fn reopen(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).write(true).open(path).map_err(|e| Error::io("open", path, e))
}

/// Makes new and removed names durable.
fn sync_folder(dir: &Path) -> Result<()> {
    if cfg!(unix) {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let synced = File::open(dir).and_then(|folder| folder.sync_all());
        return synced.map_err(|e| Error::io("sync", dir, e));
    }
    Ok(())
}
