//! The contract between operators and whatever stores their state.

use highwater_core::key::{Key, KeyGroupRange, KeyGroups, stable_hash};

/// What can be stored for a key.
pub trait StateValue: Clone + 'static {}
impl<V: Clone + 'static> StateValue for V {}

/// A second key beside the key of the record: the window of a window operator, or nothing.
pub trait Namespace: Clone + Ord + std::fmt::Debug + 'static {}
impl<N: Clone + Ord + std::fmt::Debug + 'static> Namespace for N {}

/// A key with its hash, so that it is hashed once per record.
#[derive(Debug)]
pub struct Hashed<'a, K> {
    /// The key.
    pub key: &'a K,
    /// Its [`stable_hash`].
    pub hash: u64,
}

impl<K> Clone for Hashed<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Hashed<'_, K> {}

impl<'a, K: Key> Hashed<'a, K> {
    /// Hashes a key.
    #[inline]
    pub fn new(key: &'a K) -> Self {
        Hashed { key, hash: stable_hash(key) }
    }
}

/// Makes the tables of one operator on one worker.
pub trait KeyedBackend: 'static {
    /// A table of values by key and namespace.
    type Table<K: Key, N: Namespace, V: StateValue>: KeyedTable<K, N, V>;

    /// Makes an empty table for the key groups that the worker owns.
    ///
    /// - `name`: unique within the operator.
    fn table<K: Key, N: Namespace, V: StateValue>(&mut self, name: &str) -> Self::Table<K, N, V>;

    /// Returns how keys are divided into groups.
    fn key_groups(&self) -> KeyGroups;

    /// Returns the groups that the worker owns.
    fn range(&self) -> KeyGroupRange;
}

/// Values by key and namespace, stored by key group.
///
/// # Contract
/// - *Own groups only*: every key belongs to a group in the range of the backend (`debug_assert!`).
/// - *Fixed order*: whatever iterates does so in an order that depends on the operations alone.
pub trait KeyedTable<K: Key, N: Namespace, V: StateValue>: 'static {
    /// The values of one namespace.
    type Space<'a>: KeyedSpace<K, V>
    where
        Self: 'a;

    /// Opens a namespace for several accesses in a row, which is cheaper than one by one.
    fn space(&mut self, namespace: &N) -> Self::Space<'_>;

    /// Makes room in a new namespace for about as many values as another one has, which saves
    /// growing it bit by bit. A hint: nothing depends on it.
    fn make_room(&mut self, _namespace: &N, _alike: &N) {}

    /// Returns the value of a key.
    fn get(&self, key: Hashed<'_, K>, namespace: &N) -> Option<&V>;

    /// Returns the value of a key, to be changed.
    fn get_mut(&mut self, key: Hashed<'_, K>, namespace: &N) -> Option<&mut V>;

    /// Returns the value of a key to be changed, made by `make` if there is none.
    fn get_or_insert_with(
        &mut self,
        key: Hashed<'_, K>,
        namespace: &N,
        make: impl FnOnce() -> V,
    ) -> &mut V;

    /// Stores a value and returns the one before.
    fn insert(&mut self, key: Hashed<'_, K>, namespace: &N, value: V) -> Option<V>;

    /// Removes the value of a key and returns it.
    fn remove(&mut self, key: Hashed<'_, K>, namespace: &N) -> Option<V>;

    /// Returns the least namespace that may have values.
    fn first_namespace(&self) -> Option<&N>;

    /// Returns whether a namespace has no values.
    fn is_empty(&self, namespace: &N) -> bool;

    /// Removes the values of one key group of a namespace and passes them to `take`; returns
    /// whether the namespace has more. Called again and again it empties the namespace.
    fn drain_group(&mut self, namespace: &N, take: &mut dyn FnMut(K, V)) -> bool;

    /// Passes the values of the `index`-th group of the range to `visit`.
    fn visit_group(&self, namespace: &N, index: usize, visit: &mut dyn FnMut(&K, &V));

    /// Removes all values of a namespace.
    fn clear(&mut self, namespace: &N);

    /// Returns how many values there are in all namespaces.
    fn size(&self) -> usize;
}

/// The values of one namespace, opened for several accesses.
pub trait KeyedSpace<K: Key, V: StateValue> {
    /// Brings the value of a key near, for an access that follows soon; returns whether there is
    /// one. Touching several keys before changing them lets their cache misses overlap.
    fn touch(&self, key: Hashed<'_, K>) -> bool;

    /// Returns the value of a key to be changed, made by `make` if there is none.
    fn get_or_insert_with(&mut self, key: Hashed<'_, K>, make: impl FnOnce() -> V) -> &mut V;
}
