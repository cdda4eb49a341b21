//! The parts of one state over all former workers: how much they hold, and of what types.

use std::collections::BTreeSet;

use highwater_core::cut::EncodedState;
use highwater_core::error::{Error, Result};
use highwater_state::format::{FormatError, Header, PartReader, Place, Schemas};
use highwater_state::untyped::{StoredKind, UntypedState};

use super::StateView;
use crate::error::InspectError;

/// What a worker has stored of a state: a full part and the deltas after it.
type WorkerChain = (usize, Vec<EncodedState>);

/// The parts of one state of one operator, by former worker.
#[derive(Clone, Debug)]
pub struct StateParts {
    /// Where they were read, for errors.
    pub(super) address: String,
    pub(super) uid: String,
    pub(super) state: String,
    pub(super) chains: Vec<WorkerChain>,
}

/// How much of a state there is, and of what types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// What kind of state it is, as far as its types show.
    pub kind: StoredKind,
    /// The types of its entries.
    pub schemas: Schemas,
    /// How many entries there are; without [`Extent::is_exact`], at most.
    pub entries: u64,
    /// Whether the entries could be told apart. They cannot if there are deltas and the program
    /// hashes keys in a way of its own.
    pub is_exact: bool,
    /// How many key groups have entries; `None` if the state belongs to no key, or it is not known.
    pub key_groups: Option<usize>,
}

impl StateParts {
    /// Opens the entries.
    ///
    /// # Errors
    /// When a part is damaged or belongs to another state, or there are deltas whose keys cannot be
    /// found (see [`highwater_state::untyped`]).
    pub fn view(&self) -> Result<StateView<'_>> {
        let workers = self.open().map_err(|(worker, source)| self.error(worker, source))?;
        let Some((_, first)) = workers.first() else {
            let (place, what) = (Place::Header, "nobody has stored it");
            return Err(self.error(0, FormatError::Order { place, what }));
        };
        Ok(StateView { header: first.header().clone(), kind: first.kind(), workers, parts: self })
    }

    /// Reads all parts and returns how much they hold.
    ///
    /// # Errors
    /// When a part is damaged or belongs to another state.
    pub fn extent(&self) -> Result<Extent> {
        if let Err((worker, source @ FormatError::Unhashed { .. })) = self.open() {
            let headers = self.headers()?;
            let header = headers.last().ok_or_else(|| self.error(worker, source))?;
            let entries = headers.iter().map(|header| header.entries).sum();
            let (kind, schemas) = (StoredKind::of(header), header.schemas.clone());
            return Ok(Extent { kind, schemas, entries, is_exact: false, key_groups: None });
        }
        let view = self.view()?;
        let (mut entries, mut groups) = (0, BTreeSet::new());
        for entry in view.entries()? {
            groups.extend(entry?.key_group);
            entries += 1;
        }
        let (kind, schemas) = (view.kind(), view.header().schemas.clone());
        let key_groups = (!kind.is_keyless()).then_some(groups.len());
        Ok(Extent { kind, schemas, entries, is_exact: true, key_groups })
    }

    fn open(&self) -> Result<Vec<(usize, UntypedState<'_>)>, (usize, FormatError)> {
        let mut workers = Vec::with_capacity(self.chains.len());
        for (worker, chain) in &self.chains {
            let opened = UntypedState::open(chain).and_then(|opened| self.belongs(opened));
            workers.push((*worker, opened.map_err(|source| (*worker, source))?));
        }
        Ok(workers)
    }

    fn belongs<'a>(&self, opened: UntypedState<'a>) -> Result<UntypedState<'a>, FormatError> {
        let Header { operator, state, .. } = opened.header();
        let (found, expected) = ((operator, state), (&self.uid, &self.state));
        if found == expected {
            return Ok(opened);
        }
        let owned = |(operator, state): (&String, &String)| (operator.clone(), state.clone());
        Err(FormatError::State { found: owned(found), expected: owned(expected) })
    }

    /// Returns the headers of all parts, the workers in order, each from the full part to its newest
    /// delta.
    fn headers(&self) -> Result<Vec<Header>> {
        let parts = self.chains.iter().flat_map(|(worker, chain)| {
            chain.iter().map(|part| {
                let opened = PartReader::open(&part.part);
                let header = opened.map(|part| part.header().clone());
                header.map_err(|source| self.error(*worker, source))
            })
        });
        parts.collect()
    }

    pub(super) fn error(&self, worker: usize, source: FormatError) -> Error {
        let (operator, state) = (self.uid.clone(), self.state.clone());
        InspectError::Unreadable { operator, state, worker, source }.at(&self.address)
    }
}
