//! State of an operator that belongs to no key: what a source has read, what a sink has open.
//!
//! ```text
//! kind        at a cut                           when the job starts again
//! list        every worker stores its elements   dealt out: element i goes to worker i mod workers
//! union       every worker stores its elements   every worker gets the elements of all
//! broadcast   worker 0 stores the one map        every worker gets it
//! ```
//!
//! Elements are dealt in the order of the former workers and of their lists, so that the same
//! snapshot always gives the same lists.
//!
//! A frozen state is a clone of an `Arc`; the next change copies the elements, of which there are
//! few: splits and offsets, not records. It is stored as a part like that of a keyed state, with one
//! entry under the key `()`, and is always complete, even in a delta.
//!
//! **Invariants**
//! - *One copy*: what all workers hold of a broadcast state is equal; whoever writes it must do so
//!   from the same input on each (asserted by nobody: as in Flink, it is the contract of the user).
//!
//! **Sources**: Flink's `OperatorStateStore`, `RoundRobinOperatorStateRepartitioner`; Carbone et
//! al., State Management in Apache Flink, VLDB 2017, section 3.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_core::cut::{Cut, EncodedState, FrozenState};
use highwater_core::error::Result;
use highwater_core::key::{KeyGroups, stable_hash};
use serde::de::DeserializeOwned;

use crate::backend::{Backend, StateValue};
use crate::format::FormatError;
use crate::snapshot::{Migration, StateFormat};

/// How a state is stored: as one value.
type Format<V> = StateFormat<(), (), V>;

/// How the elements of a list come back to the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redistribution {
    /// Each element to one worker, in turn.
    Split,
    /// All elements to all workers.
    Union,
}

/// Describes a list that belongs to no key.
pub struct OperatorListDescriptor<V> {
    name: String,
    redistribution: Redistribution,
    migrations: Vec<Migrate<Vec<V>>>,
}

/// Adds a migration to a format.
type Migrate<V> = Box<dyn FnOnce(Format<V>) -> Result<Format<V>, FormatError>>;

impl<V> std::fmt::Debug for OperatorListDescriptor<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorListDescriptor")
            .field("name", &self.name)
            .field("redistribution", &self.redistribution)
            .finish_non_exhaustive()
    }
}

impl<V: StateValue> OperatorListDescriptor<V> {
    /// Describes a list by its name, unique within the operator.
    #[must_use]
    pub fn new(name: &str, redistribution: Redistribution) -> Self {
        OperatorListDescriptor { name: name.to_owned(), redistribution, migrations: Vec::new() }
    }

    /// Says how elements of an older type become elements of the present one.
    #[must_use]
    pub fn migration<From: DeserializeOwned + 'static>(
        mut self,
        migration: Migration<From, V>,
    ) -> Self {
        let list = |list: Vec<From>, convert: &dyn Fn(From) -> V| {
            list.into_iter().map(convert).collect::<Vec<V>>()
        };
        let migration = migration.within(list);
        self.migrations.push(Box::new(|format| format.with_migration(migration)));
        self
    }
}

/// What all operator states share: a value that is frozen as it is.
struct Whole<V> {
    name: String,
    groups: KeyGroups,
    /// `None` if it is never stored.
    format: Option<Arc<Format<V>>>,
    value: Arc<V>,
}

impl<V: StateValue> Whole<V> {
    /// Makes the state.
    ///
    /// - `join`: makes one value of those that the former workers stored.
    fn open(
        backend: &mut Backend,
        name: &str,
        migrations: Vec<Migrate<V>>,
        join: impl FnOnce(Vec<V>) -> V,
    ) -> Result<Self> {
        let groups = backend.key_groups();
        let format = match backend.claim::<(), (), V>(name)? {
            None => None,
            Some(format) => {
                let migrated = migrations.into_iter().try_fold(format, |format, step| step(format));
                Some(Arc::new(migrated?))
            }
        };
        let mut stored = Vec::new();
        if let Some(format) = &format {
            for part in backend.stored(name) {
                stored.extend(read(format, groups, &part.part)?);
            }
        }
        Ok(Whole { name: name.to_owned(), groups, format, value: Arc::new(join(stored)) })
    }

    /// # Panics
    /// When the state was not made to be frozen.
    fn freeze(&self, cut: &mut Cut, stores: bool) {
        let Some(format) = &self.format else {
            panic!("state {:?} was not made to be frozen (Backend::durable)", self.name)
        };
        cut.add(Box::new(FrozenWhole {
            name: self.name.clone(),
            groups: self.groups,
            format: Arc::clone(format),
            floor: cut.watermark,
            value: stores.then(|| Arc::clone(&self.value)),
        }));
    }
}

/// Reads what a part holds: one value, or none of a worker that stores no copy.
fn read<V: StateValue>(
    format: &Format<V>,
    groups: KeyGroups,
    part: &[u8],
) -> Result<Option<V>, FormatError> {
    let all = KeyGroups::new(groups.count(), 1).range(0);
    let mut found = None;
    for group in format.open(part)?.groups(all) {
        for entry in group? {
            let ((), (), value) = entry?;
            found = Some(value);
        }
    }
    Ok(found)
}

struct FrozenWhole<V> {
    name: String,
    groups: KeyGroups,
    format: Arc<Format<V>>,
    floor: i64,
    value: Option<Arc<V>>,
}

impl<V: StateValue> FrozenState for FrozenWhole<V> {
    fn state(&self) -> &str {
        &self.name
    }

    fn encode(self: Box<Self>) -> Result<EncodedState> {
        let group = self.groups.of_hash(stable_hash(&()));
        let all = KeyGroups::new(self.groups.count(), 1).range(0);
        let entries = self.value.iter().map(|value| (&(), &(), &**value));
        let block = self.format.block(group, self.floor, entries)?;
        let part = self.format.part(all, vec![block])?;
        Ok(EncodedState { state: self.name, part, slots: None })
    }
}

/// A list that belongs to no key, after Flink's operator `ListState`.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use highwater_core::cut::{Cut, CutKind};
/// use highwater_core::key::KeyGroups;
/// use highwater_core::time::Epoch;
/// use highwater_state::Backend;
///
/// // A worker that reads three splits freezes how far it has come.
/// let mut backend = Backend::heap("source-uid", KeyGroups::new(128, 1), 0).durable(true);
/// let mut splits = backend.list_state::<(u32, u64)>("splits")?;
/// splits.update([(0, 700), (1, 0), (2, 950)]);
/// let mut cut = Cut::new(Epoch(1), CutKind::default(), i64::MIN, 0);
/// splits.freeze(&mut cut);
/// let stored: Vec<_> = cut.encode()?.into_iter().map(Arc::new).collect();
///
/// // Two workers go on: one with the first and the third split, one with the second.
/// let two = KeyGroups::new(128, 2);
/// let mut backend = Backend::heap("source-uid", two, 0).restored(stored.clone());
/// assert_eq!(backend.list_state::<(u32, u64)>("splits")?.get(), [(0, 700), (2, 950)]);
/// let mut backend = Backend::heap("source-uid", two, 1).restored(stored);
/// assert_eq!(backend.list_state::<(u32, u64)>("splits")?.get(), [(1, 0)]);
/// # Ok::<(), highwater_core::Error>(())
/// ```
pub struct OperatorListState<V> {
    whole: Whole<Vec<V>>,
    redistribution: Redistribution,
}

impl<V: std::fmt::Debug> std::fmt::Debug for OperatorListState<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorListState")
            .field("name", &self.whole.name)
            .field("redistribution", &self.redistribution)
            .field("values", &self.whole.value)
            .finish()
    }
}

impl<V: StateValue> OperatorListState<V> {
    fn open(backend: &mut Backend, descriptor: OperatorListDescriptor<V>) -> Result<Self> {
        let OperatorListDescriptor { name, redistribution, migrations } = descriptor;
        let (worker, workers) = (backend.worker(), backend.key_groups().workers());
        let mine = |i: usize| redistribution == Redistribution::Union || i % workers == worker;
        let join = |stored: Vec<Vec<V>>| {
            let all = stored.into_iter().flatten().enumerate();
            all.filter(|(i, _)| mine(*i)).map(|(_, value)| value).collect()
        };
        let whole = Whole::open(backend, &name, migrations, join)?;
        Ok(OperatorListState { whole, redistribution })
    }

    /// Returns the elements of this worker.
    #[must_use]
    pub fn get(&self) -> &[V] {
        &self.whole.value
    }

    /// Returns the elements of this worker, to be changed.
    pub fn get_mut(&mut self) -> &mut Vec<V> {
        Arc::make_mut(&mut self.whole.value)
    }

    /// Adds an element.
    pub fn add(&mut self, value: V) {
        self.get_mut().push(value);
    }

    /// Replaces all elements; those that are being stored are not copied.
    pub fn update(&mut self, values: impl IntoIterator<Item = V>) {
        self.whole.value = Arc::new(values.into_iter().collect());
    }

    /// Freezes the elements and adds them to a cut.
    ///
    /// # Panics
    /// When the state was not made to be frozen.
    pub fn freeze(&self, cut: &mut Cut) {
        self.whole.freeze(cut, true);
    }
}

/// A map that every worker has, equal on each, after Flink's `BroadcastState`.
///
/// # Contract
/// - *Equal*: every worker writes the same entries, from input that all of them receive.
pub struct BroadcastState<U, V> {
    whole: Whole<BTreeMap<U, V>>,
    /// Whether this worker stores the one copy.
    stores: bool,
}

impl<U: std::fmt::Debug, V: std::fmt::Debug> std::fmt::Debug for BroadcastState<U, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BroadcastState")
            .field("name", &self.whole.name)
            .field("entries", &self.whole.value)
            .finish_non_exhaustive()
    }
}

impl<U: StateValue + Ord, V: StateValue> BroadcastState<U, V> {
    /// Returns the value of an entry.
    #[must_use]
    pub fn get(&self, entry: &U) -> Option<&V> {
        self.whole.value.get(entry)
    }

    /// Returns whether there is an entry.
    #[must_use]
    pub fn contains(&self, entry: &U) -> bool {
        self.whole.value.contains_key(entry)
    }

    /// Returns the entries, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&U, &V)> {
        self.whole.value.iter()
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.whole.value.is_empty()
    }

    /// Stores the value of an entry.
    pub fn put(&mut self, entry: U, value: V) {
        Arc::make_mut(&mut self.whole.value).insert(entry, value);
    }

    /// Removes an entry and returns its value.
    pub fn remove(&mut self, entry: &U) -> Option<V> {
        Arc::make_mut(&mut self.whole.value).remove(entry)
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.whole.value = Arc::default();
    }

    /// Freezes the entries and adds them to a cut: all of them on worker 0, none on the others.
    ///
    /// # Panics
    /// When the state was not made to be frozen.
    pub fn freeze(&self, cut: &mut Cut) {
        self.whole.freeze(cut, self.stores);
    }
}

impl Backend {
    /// Makes a list that belongs to no key, whose elements are dealt out when the job starts again
    /// with another number of workers.
    ///
    /// # Errors
    /// When the operator has a state of that name already, its type does not show its schema, or
    /// what is stored of it cannot be read.
    pub fn list_state<V: StateValue>(&mut self, name: &str) -> Result<OperatorListState<V>> {
        self.list_state_with(OperatorListDescriptor::new(name, Redistribution::Split))
    }

    /// Makes a list that belongs to no key, whose elements all come to every worker when the job
    /// starts again.
    ///
    /// # Errors
    /// Those of [`list_state`](Self::list_state).
    pub fn union_state<V: StateValue>(&mut self, name: &str) -> Result<OperatorListState<V>> {
        self.list_state_with(OperatorListDescriptor::new(name, Redistribution::Union))
    }

    /// Makes a list that belongs to no key, as it is described.
    ///
    /// # Errors
    /// Those of [`list_state`](Self::list_state).
    pub fn list_state_with<V: StateValue>(
        &mut self,
        descriptor: OperatorListDescriptor<V>,
    ) -> Result<OperatorListState<V>> {
        OperatorListState::open(self, descriptor)
    }

    /// Makes a map that every worker has.
    ///
    /// # Errors
    /// Those of [`list_state`](Self::list_state).
    pub fn broadcast_state<U: StateValue + Ord, V: StateValue>(
        &mut self,
        name: &str,
    ) -> Result<BroadcastState<U, V>> {
        let stores = self.worker() == 0;
        let copy = |stored: Vec<BTreeMap<U, V>>| stored.into_iter().next_back().unwrap_or_default();
        Ok(BroadcastState { whole: Whole::open(self, name, Vec::new(), copy)?, stores })
    }
}
