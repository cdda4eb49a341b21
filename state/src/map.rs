//! Values by a second key, for each key, after Flink's `MapState`.
//!
//! Entries are sorted by the second key, so that iterating them gives the same order on every run.
//! With a time to live, each entry has one of its own. Entries that have expired are removed when
//! they are read, and a few neighbours with each entry that is written.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Bound;

use highwater_core::key::Key;
use serde::de::DeserializeOwned;

use crate::backend::{Hashed, StateValue};
use crate::cell::{Described, Values};
use crate::expiring::{ExpiringTable, Limit};
use crate::keyed::{Current, Handle, Kind};
use crate::snapshot::Migration;
use crate::ttl::{Expiring, Now, StateTtlConfig};
use crate::value::stamped;

/// Values by a second key, for each key.
#[derive(Debug)]
pub struct Map<U, V>(PhantomData<fn() -> (U, V)>);

/// A handle to a map per key.
pub type MapState<U, V> = Handle<Map<U, V>>;

/// Entries that expire.
type Entries<U, V> = BTreeMap<U, Expiring<V>>;

impl<U: StateValue + Ord, V: StateValue> Kind for Map<U, V> {
    type Cell<K: Key> = Values<K, BTreeMap<U, V>, BTreeMap<U, Expiring<V>>>;
    type Held = BTreeMap<U, V>;

    fn entries<K: Key>(cell: &mut Self::Cell<K>, now: Now) -> Vec<(K, BTreeMap<U, V>)> {
        let mut all = Vec::new();
        match cell {
            Values::Plain(table) => {
                table.visit(&(), |key, map| all.push((key.clone(), map.clone())));
            }
            Values::Expiring(values) => values.visit_alive(now, |key, map| {
                let map = map.into_iter().map(|(entry, value)| (entry, value.value));
                all.push((key.clone(), map.collect()));
            }),
        }
        all
    }
}

/// Describes a [`MapState`].
#[derive(Debug)]
pub struct MapStateDescriptor<K, U, V>(
    pub(crate) Described<K, BTreeMap<U, V>, BTreeMap<U, Expiring<V>>>,
);

impl<K: Key, U: StateValue + Ord, V: StateValue> MapStateDescriptor<K, U, V> {
    /// Describes a state by its name, unique within the operator.
    #[must_use]
    pub fn new(name: &str) -> Self {
        MapStateDescriptor(Described::new(name))
    }

    /// Lets entries expire, each for itself.
    #[must_use]
    pub fn ttl(self, ttl: StateTtlConfig) -> Self {
        MapStateDescriptor(self.0.ttl(ttl))
    }

    /// Says how values of an older type become values of the present one; the second key keeps its
    /// type.
    #[must_use]
    pub fn migration<From: DeserializeOwned + 'static>(
        self,
        migration: Migration<From, V>,
    ) -> Self {
        let plain = |map: BTreeMap<U, From>, convert: &dyn Fn(From) -> V| {
            map.into_iter()
                .map(|(entry, value)| (entry, convert(value)))
                .collect::<BTreeMap<_, _>>()
        };
        let expiring = |map: Entries<U, From>, convert: &dyn Fn(From) -> V| {
            map.into_iter().map(|(entry, value)| (entry, stamped(value, convert))).collect()
        };
        MapStateDescriptor(self.0.migration(migration, plain, expiring))
    }
}

impl<K: Key, U: StateValue + Ord, V: StateValue> ExpiringTable<K, Entries<U, V>> {
    fn get_entry(&mut self, key: Hashed<'_, K>, now: Now, entry: &U) -> Option<&V> {
        let (limit, stamp) = self.begin(now);
        let used = self.table.get(key, &())?.value.get(entry)?.used();
        if limit.has_expired(used) {
            let (entry, expired) = self.remove_entry(key, entry)?;
            let last = self.keep_last(BTreeMap::from([(entry, expired)]))?;
            return last.values().next().map(|expired| &expired.value);
        }
        if self.ttl.updates_on_read() && used != stamp {
            let map = self.table.get_mut(key, &())?;
            map.touch(stamp);
            map.value.get_mut(entry)?.touch(stamp);
        }
        self.table.get(key, &())?.value.get(entry).map(|found| &found.value)
    }

    fn entry_mut(
        &mut self,
        key: Hashed<'_, K>,
        now: Now,
        entry: U,
        make: impl FnOnce() -> V,
    ) -> &mut V {
        let (limit, stamp) = self.begin(now);
        let (swept, returns_expired) = (self.ttl.swept(), self.ttl.returns_expired());
        let map = self.table.get_or_insert_with(key, &(), || Expiring::new(stamp, BTreeMap::new()));
        map.touch(stamp);
        sweep_after(&mut map.value, &entry, limit, swept);
        if !returns_expired && map.value.get(&entry).is_some_and(|e| limit.has_expired(e.used())) {
            map.value.remove(&entry);
        }
        let found = map.value.entry(entry).or_insert_with(|| Expiring::new(stamp, make()));
        found.touch(stamp);
        &mut found.value
    }

    /// Removes an entry, and the map if it was the last one.
    fn remove_entry(&mut self, key: Hashed<'_, K>, entry: &U) -> Option<(U, Expiring<V>)> {
        let map = self.table.get_mut(key, &())?;
        let removed = map.value.remove_entry(entry);
        if map.value.is_empty() {
            self.table.remove(key, &());
        }
        removed
    }
}

/// Removes what has expired of the few entries after one, round the end.
fn sweep_after<U: Clone + Ord, V>(
    map: &mut BTreeMap<U, Expiring<V>>,
    entry: &U,
    limit: Limit,
    count: usize,
) {
    let after = map.range((Bound::Excluded(entry), Bound::Unbounded));
    let near = after.chain(map.range(..entry)).take(count);
    let expired = near.filter(|(_, value)| limit.has_expired(value.used()));
    let expired: Vec<U> = expired.map(|(entry, _)| entry.clone()).collect();
    for entry in &expired {
        map.remove(entry);
    }
}

impl<K: Key, U: StateValue + Ord, V: StateValue> Current<'_, K, Map<U, V>> {
    /// Returns the value of an entry.
    #[must_use]
    pub fn get(&mut self, entry: &U) -> Option<&V> {
        match self.cell {
            Values::Plain(table) => table.get(self.key, &())?.get(entry),
            Values::Expiring(maps) => maps.get_entry(self.key, self.now, entry),
        }
    }

    /// Returns whether there is an entry. It is a read of the entry.
    #[must_use]
    pub fn contains(&mut self, entry: &U) -> bool {
        self.get(entry).is_some()
    }

    /// Returns the value of an entry to be changed; made by default first.
    pub fn get_mut(&mut self, entry: U) -> &mut V
    where
        V: Default,
    {
        match self.cell {
            Values::Plain(table) => {
                let map = table.get_or_insert_with(self.key, &(), BTreeMap::new);
                map.entry(entry).or_default()
            }
            Values::Expiring(maps) => maps.entry_mut(self.key, self.now, entry, V::default),
        }
    }

    /// Stores the value of an entry.
    pub fn put(&mut self, entry: U, value: V) {
        match self.cell {
            Values::Plain(table) => {
                table.get_or_insert_with(self.key, &(), BTreeMap::new).insert(entry, value);
            }
            Values::Expiring(maps) => {
                let mut value = Some(value);
                let make = || match value.take() {
                    Some(value) => value,
                    None => unreachable!("a value is made once"),
                };
                let stored = maps.entry_mut(self.key, self.now, entry, make);
                if let Some(value) = value {
                    *stored = value;
                }
            }
        }
    }

    /// Stores the values of entries.
    pub fn put_all(&mut self, entries: impl IntoIterator<Item = (U, V)>) {
        entries.into_iter().for_each(|(entry, value)| self.put(entry, value));
    }

    /// Removes an entry and returns its value.
    pub fn remove(&mut self, entry: &U) -> Option<V> {
        match self.cell {
            Values::Plain(table) => {
                table.get(self.key, &())?.get(entry)?;
                let map = table.get_mut(self.key, &())?;
                let removed = map.remove(entry);
                if map.is_empty() {
                    table.remove(self.key, &());
                }
                removed
            }
            Values::Expiring(maps) => {
                let (limit, _) = maps.begin(self.now);
                maps.table.get(self.key, &())?.value.get(entry)?;
                let (_, removed) = maps.remove_entry(self.key, entry)?;
                maps.returns(limit, removed.used()).then_some(removed.value)
            }
        }
    }

    /// Returns the entries, sorted by the second key.
    pub fn iter(&mut self) -> impl Iterator<Item = (&U, &V)> {
        let (plain, expiring) = match self.cell {
            Values::Plain(table) => (table.get(self.key, &()), None),
            Values::Expiring(maps) => (None, maps.read(self.key, self.now)),
        };
        let expiring = expiring.into_iter().flatten().map(|(entry, value)| (entry, &value.value));
        plain.into_iter().flatten().chain(expiring)
    }

    /// Returns the second keys, sorted.
    pub fn keys(&mut self) -> impl Iterator<Item = &U> {
        self.iter().map(|(entry, _)| entry)
    }

    /// Returns the values, sorted by the second key.
    pub fn values(&mut self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&mut self) -> bool {
        self.iter().next().is_none()
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.cell.clear(self.key);
    }
}
