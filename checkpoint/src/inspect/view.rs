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

use highwater_core::error::Result;
use highwater_core::key::KeyGroup;
use highwater_state::format::{FormatError, Header, Place, RawEntry};
use highwater_state::untyped::{JsonEntry, StoredKind, UntypedGroup, UntypedState};
use serde::Serialize;
use serde_json::{Value, json};

use super::StateParts;

/// The entries of one state of one operator.
#[derive(Debug)]
pub struct StateView<'a> {
    pub(super) header: Header,
    pub(super) kind: StoredKind,
    pub(super) workers: Vec<(usize, UntypedState<'a>)>,
    pub(super) parts: &'a StateParts,
}

/// An entry of a state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The key group; `None` for state that belongs to no key.
    pub key_group: Option<u16>,
    /// The namespace; `null` for most states, for timers the stretch of 1024 ms in which they are.
    pub namespace: Value,
    /// The key; for a split of a source what it is, `null` for an element of a list without keys.
    pub key: Value,
    /// The value; for timers a list, each an instant in ms since 1970 and its namespace.
    pub value: Value,
}

/// An entry before it is decoded.
pub(super) struct Undecoded<'a> {
    worker: usize,
    group: KeyGroup,
    pub(super) raw: RawEntry<'a>,
    /// Which one of the group it is.
    at: u64,
}

impl<'a> Undecoded<'a> {
    /// Returns by what the entries of a state with keys are sorted.
    pub(super) fn order(&self) -> (KeyGroup, &'a [u8], &'a [u8]) {
        (self.group, self.raw.namespace, self.raw.key)
    }
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
                Err(error) => (None, Some(Err(self.parts.error(worker, error)))),
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
        let JsonEntry { namespace, key, mut value } = self.json(entry)?;
        if self.kind == StoredKind::Timers {
            value = timers(&value);
        }
        Ok(Entry { key_group: Some(entry.group.0), namespace, key, value })
    }

    fn json(&self, entry: &Undecoded<'_>) -> Result<JsonEntry> {
        let Undecoded { worker, group, raw, at } = entry;
        let decoded = JsonEntry::decode(&self.header.schemas, raw, Place::Block(*group), *at);
        decoded.map_err(|source| self.parts.error(*worker, source))
    }
}

/// Returns the timers of a key within a stretch of time, each an instant and its namespace, sorted.
fn timers(stored: &Value) -> Value {
    let more = stored.get("more").and_then(Value::as_array).into_iter().flatten();
    let mut timers: Vec<_> = stored.get("first").into_iter().chain(more).cloned().collect();
    timers.sort_by_cached_key(|timer| (timer.get(0).and_then(Value::as_i64), timer.to_string()));
    Value::Array(timers)
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
