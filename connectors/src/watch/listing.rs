//! Lists a folder, a piece at a time.
//!
//! ```text
//! names --hidden, marker, other splits--> dropped
//!   '-- of this split --is it a file, when was it changed--> known, or found
//! ```
//!
//! **Invariant**: whether the marker was there is asked before the names are, so that a listing with
//! the marker has all the files that appeared before it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, DirEntry, ReadDir};
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use highwater_core::error::{Error, Result};
use highwater_core::key::stable_hash;

use super::{FolderSplit, Watch};
use crate::file::is_hidden;
use crate::offset::FolderFile;
use crate::stored_path::StoredPath;

/// How many names are looked at in one poll: about a millisecond's worth.
const NAMES_PER_POLL: usize = 512;

/// The names of files with the times of their last changes, in ns since 1970.
pub(super) type Known = BTreeMap<StoredPath, i64>;

/// A listing that has been begun.
pub(super) struct Listing {
    names: ReadDir,
    has_marker: bool,
    known: Known,
    found: Vec<FolderFile>,
}

/// What a listing came to.
pub(super) struct Listed {
    /// Whether all that will come is among these.
    pub(super) has_marker: bool,
    /// The files that were known and are still there.
    pub(super) known: Known,
    /// The others, in the order in which they are to be read.
    pub(super) found: Vec<FolderFile>,
}

impl Listing {
    /// Begins to list the folder.
    pub(super) fn begin<S>(watch: &Watch<S>) -> Result<Self> {
        let dir = &watch.dir;
        let has_marker = match &watch.marker {
            None => false,
            Some(marker) => fs::exists(dir.join(marker))
                .map_err(|e| Error::io("look for", dir.join(marker), e))?,
        };
        let names = fs::read_dir(dir).map_err(|e| Error::io("list", dir, e))?;
        Ok(Listing { names, has_marker, known: Known::new(), found: Vec::new() })
    }

    /// Goes on; returns whether it is complete.
    pub(super) fn go_on<S>(
        &mut self,
        watch: &Watch<S>,
        split: FolderSplit,
        known: &Known,
    ) -> Result<bool> {
        for _ in 0..NAMES_PER_POLL {
            let Some(entry) = self.names.next() else { return Ok(true) };
            let entry = entry.map_err(|e| Error::io("list", &watch.dir, e))?;
            if is_meant(&entry.file_name(), watch.marker.as_deref(), split) {
                self.look_at(&entry, known)?;
            }
        }
        Ok(false)
    }

    fn look_at(&mut self, entry: &DirEntry, known: &Known) -> Result<()> {
        let name = StoredPath(entry.file_name().into());
        match changed_ns(&entry.path())? {
            // A folder, or gone meanwhile.
            None => {}
            Some(changed_ns) if known.get(&name) == Some(&changed_ns) => {
                self.known.insert(name, changed_ns);
            }
            Some(changed_ns) => self.found.push(FolderFile { name, changed_ns }),
        }
        Ok(())
    }

    /// Returns what was listed.
    pub(super) fn end(mut self) -> Listed {
        // A name that is given to another file meanwhile may be listed twice.
        self.found.sort_by(|a, b| (a.changed_ns, &a.name).cmp(&(b.changed_ns, &b.name)));
        self.found.dedup();
        Listed { has_marker: self.has_marker, known: self.known, found: self.found }
    }
}

/// Whether a name is that of a file which this split reads.
fn is_meant(name: &OsStr, marker: Option<&str>, split: FolderSplit) -> bool {
    let hash = stable_hash(name.as_encoded_bytes());
    hash.checked_rem(split.of) == Some(split.index)
        && !is_hidden(&name.to_string_lossy())
        && marker.is_none_or(|marker| name != marker)
}

/// Returns when a file was last changed, in ns since 1970; `None` if there is no such file.
pub(super) fn changed_ns(path: &Path) -> Result<Option<i64>> {
    let failed = |e| Error::io("open", path, e);
    // Follows symbolic links.
    let about = match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        about => about.map_err(failed)?,
    };
    let changed = about.modified().map_err(failed)?;
    Ok(about.is_file().then(|| since_1970_ns(changed)))
}

fn since_1970_ns(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ALL: FolderSplit = FolderSplit { index: 0, of: 1 };

    #[test]
    fn a_large_folder_is_listed_in_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let count = 2 * NAMES_PER_POLL + 1;
        (0..count).for_each(|n| fs::write(dir.path().join(n.to_string()), "").unwrap());
        let watch = Watch::new(dir.path(), Duration::ZERO, ());
        let mut listing = Listing::begin(&watch).unwrap();
        let mut found = Vec::new();
        while !listing.go_on(&watch, ALL, &Known::new()).unwrap() {
            found.push(listing.found.len());
        }
        assert_eq!(found, [NAMES_PER_POLL, 2 * NAMES_PER_POLL]);
        assert_eq!(listing.end().found.len(), count);
    }

    #[test]
    fn a_file_that_is_listed_twice_is_found_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut listing = Listing::begin(&Watch::new(dir.path(), Duration::ZERO, ())).unwrap();
        let file =
            |name: &str, changed_ns| FolderFile { name: StoredPath(name.into()), changed_ns };
        listing.found = vec![file("b", 1), file("a", 2), file("a", 1), file("b", 1)];
        assert_eq!(listing.end().found, [file("a", 1), file("b", 1), file("a", 2)]);
    }

    #[test]
    fn a_marker_that_appears_during_a_listing_counts_for_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::new(dir.path(), Duration::ZERO, ()).until("done");
        let has_marker = |mut listing: Listing| {
            fs::write(dir.path().join("done"), "").unwrap();
            assert!(listing.go_on(&watch, ALL, &Known::new()).unwrap());
            listing.end().has_marker
        };
        assert!(!has_marker(Listing::begin(&watch).unwrap()));
        assert!(has_marker(Listing::begin(&watch).unwrap()));
    }

    #[test]
    fn times_before_1970_are_told_apart_too() {
        let at = |ns: u64| since_1970_ns(UNIX_EPOCH - Duration::from_nanos(ns));
        assert_eq!([at(0), at(1), at(1_500_000_000)], [0, -1, -1_500_000_000]);
    }
}
