//! What happens to a call: drawn from the seed, or as the store was told.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, Result};

/// How often what goes wrong: in so many of 1000 calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A call is not done and fails.
    pub before: u16,
    /// A write is done and fails.
    pub after: u16,
    /// A write fails and is done later, in the course of another call.
    pub late: u16,
    /// A call gets no answer; a write may be done later.
    pub hang: u16,
    /// A write leaves part of the object and fails.
    pub torn: u16,
    /// Tears only what is below this folder; everything if it is empty.
    pub torn_below: &'static str,
    /// A listing shows what was there some changes ago.
    pub stale: u16,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) random: fastrand::Rng,
    pub(super) faults: Faults,
    pub(super) full: bool,
    pub(super) denied: bool,
    pub(super) blind: bool,
    pub(super) late: Vec<Write>,
    listed: BTreeSet<Path>,
    /// Changes that listings may not show yet: a path, and whether it is there.
    unlisted: VecDeque<(Path, bool)>,
    pub(super) calls: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) to: Path,
    pub(super) content: Bytes,
    pub(super) create: bool,
}

/// What happens to a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    Before,
    After,
    Late,
    Hang,
    Torn,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        State {
            random: fastrand::Rng::with_seed(seed),
            faults: Faults::default(),
            full: false,
            denied: false,
            blind: false,
            late: Vec::new(),
            listed: BTreeSet::new(),
            unlisted: VecDeque::new(),
            calls: 0,
        }
    }

    pub(super) fn draw(&mut self, path: &Path, write: Option<&Write>) -> Result<Fate> {
        if self.denied {
            let path = path.to_string();
            return Err(Error::PermissionDenied { path, source: "permission was lost".into() });
        }
        if self.full && write.is_some() {
            let source = Box::new(std::io::Error::from(std::io::ErrorKind::StorageFull));
            return Err(Error::Generic { store: "FaultyStore", source });
        }
        let Faults { before, after, late, hang, torn, torn_below, .. } = self.faults;
        let mut drawn = self.random.u16(..1000);
        let fates = [
            (before, Fate::Before),
            (hang, Fate::Hang),
            (after, Fate::After),
            (late, Fate::Late),
            (torn, Fate::Torn),
        ];
        for (often, fate) in fates {
            if drawn < often {
                let torn_elsewhere =
                    fate == Fate::Torn && !path.as_ref().split('/').any(|part| part == torn_below);
                return Ok(if torn_elsewhere && !torn_below.is_empty() {
                    Fate::Done
                } else {
                    fate
                });
            }
            drawn -= often;
        }
        Ok(Fate::Done)
    }

    pub(super) fn changed(&mut self, path: Path, there: bool) {
        self.unlisted.push_back((path, there));
    }

    /// Returns what a listing shows now.
    pub(super) fn list(&mut self) -> BTreeSet<Path> {
        if self.blind {
            return BTreeSet::new();
        }
        let stale = self.random.u16(..1000) < self.faults.stale;
        let shown =
            if stale { self.random.usize(..=self.unlisted.len()) } else { self.unlisted.len() };
        for (path, there) in self.unlisted.drain(..shown) {
            if there {
                self.listed.insert(path);
            } else {
                self.listed.remove(&path);
            }
        }
        self.listed.clone()
    }
}
