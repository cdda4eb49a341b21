//! The entries of one state, over all former workers.
//!
//! ```text
//! keyed      worker 0: groups 0 .. 63   worker 1: groups 64 .. 127    --> one after the other
//! keyless    worker 0: elements         worker 1: elements            --> all together, sorted
//! ```
//!
//! Entries come in an order that does not depend on the number of workers. State that belongs to no
//! key is shown by its elements: a split of a source with its offset, an element of a list, an entry
//! of a broadcast map.

use std::collections::BTreeSet;

use highwater_core::cut::EncodedState;
use highwater_core::error::Result;
use highwater_core::key::KeyGroup;
use highwater_state::format::{FormatError, Header, PartReader, Place, RawEntry};
use highwater_state::untyped::{JsonEntry, StoredKind, UntypedGroup, UntypedState};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::UnreadableState;

/// What a worker has stored of a state: a full part and the deltas after it.
type WorkerChain = (usize, Vec<EncodedState>);

/// The parts of one state of one operator, by former worker.
#[derive(Clone, Debug)]
pub struct StateParts {
    uid: String,
    state: String,
    chains: Vec<WorkerChain>,
}

impl StateParts {
    pub(super) fn new(uid: String, state: String, chains: Vec<WorkerChain>) -> Self {
        StateParts { uid, state, chains }
    }

    /// Returns the headers of all parts, the workers in order, each from the full part to its newest
    /// delta.
    ///
    /// # Errors
    /// When a part is damaged.
    pub fn headers(&self) -> Result<Vec<Header>, UnreadableState> {
        let parts = self.chains.iter().flat_map(|(worker, chain)| {
            chain.iter().map(|part| {
                let opened = PartReader::open(&part.part);
                opened
                    .map(|part| part.header().clone())
                    .map_err(|source| self.error(*worker, source))
            })
        });
        parts.collect()
    }

    /// Opens the entries.
    ///
    /// # Errors
    /// When a part is damaged or belongs to another state, there is none, or there are deltas whose
    /// keys cannot be found (see [`highwater_state::untyped`]).
    pub fn view(&self) -> Result<StateView<'_>, UnreadableState> {
        let mut workers = Vec::with_capacity(self.chains.len());
        for (worker, chain) in &self.chains {
            let opened = UntypedState::open(chain).and_then(|opened| self.belongs(opened));
            workers.push((*worker, opened.map_err(|source| self.error(*worker, source))?));
        }
        let Some((_, first)) = workers.first() else {
            let what = "nobody has stored it";
            return Err(self.error(0, FormatError::Order { place: Place::Header, what }));
        };
        Ok(StateView { header: first.header().clone(), kind: first.kind(), workers, parts: self })
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

    fn error(&self, worker: usize, source: FormatError) -> UnreadableState {
        let (operator, state) = (self.uid.clone(), self.state.clone());
        UnreadableState { operator, state, worker, source }
    }
}

/// The entries of one state of one operator.
#[derive(Debug)]
pub struct StateView<'a> {
    header: Header,
    kind: StoredKind,
    workers: Vec<(usize, UntypedState<'a>)>,
    parts: &'a StateParts,
}

/// An entry of a state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The key group; `None` for state that belongs to no key.
    pub key_group: Option<u16>,
    /// The namespace; `null` for most states.
    pub namespace: Value,
    /// The key; for a split of a source what it is, `null` for an element of a list without keys.
    pub key: Value,
    /// The value.
    pub value: Value,
}

/// An entry before it is decoded.
pub(super) struct Undecoded<'a> {
    worker: usize,
    pub(super) group: KeyGroup,
    pub(super) raw: RawEntry<'a>,
    /// Which one of the group it is.
    at: u64,
}

impl<'a> StateView<'a> {
    /// Returns the header of the first worker's newest part.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns what kind of state it is, as far as its schemas show.
    #[must_use]
    pub fn kind(&self) -> StoredKind {
        self.kind
    }

    /// Returns how many entries there are, and in how many key groups; none if they have no keys.
    ///
    /// # Errors
    /// When a block is damaged.
    pub fn count(&self) -> Result<(u64, usize)> {
        let (mut entries, mut groups) = (0, BTreeSet::new());
        if self.kind.is_keyless() {
            for entry in self.entries()? {
                entry?;
                entries += 1;
            }
            return Ok((entries, 0));
        }
        for entry in self.undecoded() {
            groups.insert(entry?.group);
            entries += 1;
        }
        Ok((entries, groups.len()))
    }

    /// Reads the entries, by key group, namespace and key as they are encoded; those that belong to
    /// no key sorted by what they say.
    ///
    /// # Errors
    /// When a block is damaged; the iterator says so where it comes to it.
    pub fn entries(&self) -> Result<Box<dyn Iterator<Item = Result<Entry>> + '_>> {
        if self.kind.is_keyless() {
            let mut entries = Vec::new();
            for entry in self.undecoded() {
                entries.extend(elements(self.kind, self.json(&entry?)?));
            }
            entries.sort_by_cached_key(|entry| (entry.key.to_string(), entry.value.to_string()));
            return Ok(Box::new(entries.into_iter().map(Ok)));
        }
        Ok(Box::new(self.undecoded().map(|entry| self.decode(&entry?))))
    }

    /// Reads the entries as they are stored.
    pub(super) fn undecoded(&self) -> impl Iterator<Item = Result<Undecoded<'a>>> + '_ {
        let mut last = None;
        let groups = self
            .workers
            .iter()
            .flat_map(|(worker, state)| state.groups().map(|group| (*worker, group)));
        groups.flat_map(move |(worker, group)| {
            let group = group.and_then(|group| {
                let comes_late = last >= Some(group.group) && !self.kind.is_keyless();
                last = Some(group.group);
                match comes_late {
                    false => Ok(group),
                    true => {
                        let place = Place::Block(group.group);
                        let what = "a worker before has stored this key group or a later one";
                        Err(FormatError::Order { place, what })
                    }
                }
            });
            let (group, error) = match group {
                Ok(group) => (Some(group), None),
                Err(error) => (None, Some(Err(self.parts.error(worker, error).into()))),
            };
            let entries =
                group.into_iter().flat_map(move |UntypedGroup { group, entries, .. }| {
                    let entries = (0..).zip(entries);
                    entries.map(move |(at, raw)| Ok(Undecoded { worker, group, raw, at }))
                });
            entries.chain(error)
        })
    }

    /// Decodes an entry with a key.
    pub(super) fn decode(&self, entry: &Undecoded<'_>) -> Result<Entry> {
        let JsonEntry { namespace, key, value } = self.json(entry)?;
        Ok(Entry { key_group: Some(entry.group.0), namespace, key, value })
    }

    fn json(&self, entry: &Undecoded<'_>) -> Result<JsonEntry> {
        let Undecoded { worker, group, raw, at } = entry;
        let decoded = JsonEntry::decode(&self.header.schemas, raw, Place::Block(*group), *at);
        decoded.map_err(|source| self.parts.error(*worker, source).into())
    }
}

/// Divides what a worker has stored of a state that belongs to no key.
fn elements(kind: StoredKind, stored: JsonEntry) -> Vec<Entry> {
    let entry = |(key, value)| Entry { key_group: None, namespace: Value::Null, key, value };
    let elements: Vec<(Value, Value)> = match (kind, stored.value) {
        (StoredKind::Splits, Value::Array(splits)) => splits.into_iter().map(split).collect(),
        (StoredKind::Broadcast, Value::Object(entries)) => {
            entries.into_iter().map(|(key, value)| (Value::String(key), value)).collect()
        }
        (StoredKind::Broadcast, Value::Array(pairs)) => pairs
            .into_iter()
            .map(|pair| match pair {
                Value::Array(pair) => pair_of(pair),
                other => (Value::Null, other),
            })
            .collect(),
        (_, Value::Array(elements)) => {
            elements.into_iter().map(|element| (Value::Null, element)).collect()
        }
        (_, other) => vec![(Value::Null, other)],
    };
    elements.into_iter().map(entry).collect()
}

fn pair_of(pair: Vec<Value>) -> (Value, Value) {
    match <[Value; 2]>::try_from(pair) {
        Ok([key, value]) => (key, value),
        Err(other) => (Value::Null, Value::Array(other)),
    }
}

/// Returns a split of a source, and what is known of it. Splits and offsets are texts of JSON.
fn split(stored: Value) -> (Value, Value) {
    let inner = |name: &str| match stored.get(name).and_then(Value::as_str) {
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        None => Value::Null,
    };
    let plain = |name: &str| stored.get(name).cloned().unwrap_or_default();
    let value = json!({
        "offset": inner("offset"),
        "generator": inner("generator"),
        "stamp": plain("stamp"),
        "idle": plain("idle"),
        "finished": plain("finished"),
    });
    (inner("split"), value)
}
