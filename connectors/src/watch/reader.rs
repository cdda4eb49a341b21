//! Reads the files of a folder that fall to one split, one after the other.

use std::collections::VecDeque;
use std::io;

use highwater_core::error::{Error, Result};
use highwater_core::record::Batch;
use highwater_core::source::{Poll, Reader, Source};

use super::listing::{Known, Listing, changed_ns};
use super::{FolderSplit, Watch};
use crate::file::FileSplit;
use crate::format::Malformed;
use crate::offset::{FolderFile, FolderOffset};

/// Reads one split of a [`Watch`].
pub struct FolderReader<S: Source<Split = FileSplit>> {
    watch: Watch<S>,
    split: FolderSplit,
    /// What has been read to its end and was still there at the last listing.
    read: Known,
    reading: Option<(FolderFile, S::Reader)>,
    listing: Option<Listing>,
    /// What the last listing found and has not been begun.
    found: VecDeque<FolderFile>,
}

impl<S: Source<Split = FileSplit>> FolderReader<S> {
    pub(super) fn open(watch: Watch<S>, split: FolderSplit) -> Result<Self> {
        let (read, found) = (Known::new(), VecDeque::new());
        Ok(FolderReader { watch, split, read, reading: None, listing: None, found })
    }

    pub(super) fn resume(
        watch: Watch<S>,
        split: FolderSplit,
        offset: &FolderOffset<<S::Reader as Reader>::Offset>,
    ) -> Result<Self> {
        let mut reader = FolderReader::open(watch, split)?;
        reader.read = offset.read.iter().map(|f| (f.name.clone(), f.changed_ns)).collect();
        if let Some((file, at)) = &offset.reading {
            let path = reader.path(file);
            let resumed = reader.watch.files.resume(&path, at)?;
            if changed_ns(path.path())? != Some(file.changed_ns) {
                return Err(Error::input(path.path(), None, Malformed::Changed));
            }
            reader.reading = Some((file.clone(), resumed));
        }
        Ok(reader)
    }

    fn path(&self, file: &FolderFile) -> FileSplit {
        FileSplit::new(self.watch.dir.join(&file.name))
    }

    /// Begins to read a file. One that is gone or another by now is left to the next listing.
    fn begin(&mut self, file: FolderFile) -> Result<()> {
        let path = self.path(&file);
        let reader = match self.watch.files.open(&path) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(());
            }
            reader => reader?,
        };
        // Asked after it was opened, so that what is read is what was listed.
        if changed_ns(path.path())? == Some(file.changed_ns) {
            self.reading = Some((file, reader));
        }
        Ok(())
    }

    /// Lists a piece of the folder.
    fn list(&mut self) -> Result<Poll> {
        let mut listing = match self.listing.take() {
            Some(listing) => listing,
            None => Listing::begin(&self.watch)?,
        };
        if !listing.go_on(&self.watch, self.split, &self.read)? {
            self.listing = Some(listing);
            return Ok(Poll::More);
        }
        let listed = listing.end();
        self.read = listed.known;
        self.found = listed.found.into();
        Ok(match (self.found.is_empty(), listed.has_marker) {
            (false, _) => Poll::More,
            (true, true) => Poll::End,
            (true, false) => Poll::Pending(self.watch.interval),
        })
    }
}

impl<S: Source<Split = FileSplit>> Reader for FolderReader<S> {
    type Item = S::Item;
    type Offset = FolderOffset<<S::Reader as Reader>::Offset>;

    fn offset(&self) -> Self::Offset {
        let read = self.read.iter();
        FolderOffset {
            read: read
                .map(|(name, changed_ns)| FolderFile {
                    name: name.clone(),
                    changed_ns: *changed_ns,
                })
                .collect(),
            reading: self.reading.as_ref().map(|(file, reader)| (file.clone(), reader.offset())),
        }
    }

    fn poll(&mut self, out: &mut Batch<S::Item>, limit: usize) -> Result<Poll> {
        if let Some((file, mut reader)) = self.reading.take() {
            let poll = reader.poll(out, limit)?;
            if poll != Poll::End {
                self.reading = Some((file, reader));
                return Ok(poll);
            }
            self.read.insert(file.name, file.changed_ns);
            return Ok(Poll::More);
        }
        match self.found.pop_front() {
            Some(file) => self.begin(file).map(|()| Poll::More),
            None => self.list(),
        }
    }
}
