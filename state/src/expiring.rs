//! A table whose values expire: one value per key, or a list or map whose elements expire one by one.
//!
//! **Invariants**
//! - *Newest in front*: the instant in front of a list or map is not before that of any element, so
//!   that what is removed by it as a whole holds nothing alive.
//! - *Nothing empty*: a list or map without elements is removed with its key.
//!
//! **Cost**: one access more for each access, and the few entries that are swept.

use std::collections::BTreeMap;

use highwater_core::key::Key;

use crate::backend::{Hashed, StateValue};
use crate::table::{Table, TableWalk};
use crate::ttl::{Expiring, Now, StateTtlConfig};

/// The last use that is too long ago; `None` if none is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub(crate) Option<i64>);

impl Limit {
    /// Returns whether a value that was used last at `used` has expired.
    #[inline]
    #[must_use]
    pub fn has_expired(self, used: i64) -> bool {
        self.0.is_some_and(|limit| used <= limit)
    }
}

/// What holds elements that expire one by one.
pub trait Elements: StateValue {
    /// Returns whether an element has expired.
    fn any_expired(&self, limit: Limit) -> bool;
    /// Removes the elements that have expired.
    fn retain_alive(&mut self, limit: Limit);
    /// Says that all elements were used now.
    fn touch_all(&mut self, used: i64);
    /// Returns whether there are no elements.
    fn holds_nothing(&self) -> bool;
}

impl<V: StateValue> Elements for Vec<Expiring<V>> {
    fn any_expired(&self, limit: Limit) -> bool {
        self.iter().any(|element| limit.has_expired(element.used()))
    }
    fn retain_alive(&mut self, limit: Limit) {
        self.retain(|element| !limit.has_expired(element.used()));
    }
    fn touch_all(&mut self, used: i64) {
        self.iter_mut().for_each(|element| element.touch(used));
    }
    fn holds_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl<U: StateValue + Ord, V: StateValue> Elements for BTreeMap<U, Expiring<V>> {
    fn any_expired(&self, limit: Limit) -> bool {
        self.values().any(|entry| limit.has_expired(entry.used()))
    }
    fn retain_alive(&mut self, limit: Limit) {
        self.retain(|_, entry| !limit.has_expired(entry.used()));
    }
    fn touch_all(&mut self, used: i64) {
        self.values_mut().for_each(|entry| entry.touch(used));
    }
    fn holds_nothing(&self) -> bool {
        self.is_empty()
    }
}

/// A table whose values expire.
#[derive(Debug)]
pub struct ExpiringTable<K, X> {
    pub(crate) table: Table<K, (), Expiring<X>>,
    pub(crate) ttl: StateTtlConfig,
    walk: TableWalk,
    /// What a read has removed, but returns this once.
    last: Option<X>,
}

impl<K: Key, X: StateValue> ExpiringTable<K, X> {
    pub(crate) fn new(table: Table<K, (), Expiring<X>>, ttl: StateTtlConfig) -> Self {
        ExpiringTable { table, ttl, walk: TableWalk::default(), last: None }
    }

    /// Begins an access: removes a little of what has expired.
    ///
    /// - output: what has expired by now, and the instant that a use is remembered by.
    pub(crate) fn begin(&mut self, now: Now) -> (Limit, i64) {
        let limit = self.ttl.limit(now);
        self.last = None;
        if self.ttl.swept() > 0 {
            for key in &self.table.walk(&(), &mut self.walk, self.ttl.swept(), limit) {
                let key = Hashed::new(key);
                if self.table.get(key, &()).is_some_and(|found| limit.has_expired(found.used())) {
                    self.table.remove(key, &());
                }
            }
        }
        (limit, self.ttl.stamp(now))
    }

    /// Reads the value of a key.
    pub(crate) fn get(&mut self, key: Hashed<'_, K>, now: Now) -> Option<&X> {
        let (limit, stamp) = self.begin(now);
        let used = self.table.get(key, &())?.used();
        if limit.has_expired(used) {
            let expired = self.table.remove(key, &())?;
            self.last = self.ttl.returns_expired().then_some(expired.value);
            return self.last.as_ref();
        }
        if self.ttl.updates_on_read() && used != stamp {
            self.table.get_mut(key, &())?.touch(stamp);
        }
        self.table.get(key, &()).map(|found| &found.value)
    }

    /// Returns the value of a key to be changed, made if there is none that a read would return.
    pub(crate) fn get_or_insert_with(
        &mut self,
        key: Hashed<'_, K>,
        now: Now,
        make: impl FnOnce() -> X,
    ) -> &mut X {
        let (limit, stamp) = self.begin(now);
        if !self.ttl.returns_expired()
            && self.table.get(key, &()).is_some_and(|found| limit.has_expired(found.used()))
        {
            self.table.remove(key, &());
        }
        let found = self.table.get_or_insert_with(key, &(), || Expiring::new(stamp, make()));
        found.touch(stamp);
        &mut found.value
    }

    /// Stores the value of a key.
    pub(crate) fn set(&mut self, key: Hashed<'_, K>, now: Now, value: X) {
        let (_, stamp) = self.begin(now);
        let mut value = Some(Expiring::new(stamp, value));
        let found = self.table.get_or_insert_with(key, &(), || match value.take() {
            Some(value) => value,
            None => unreachable!("a value is made once"),
        });
        if let Some(Expiring { value, .. }) = value {
            found.value = value;
            found.touch(stamp);
        }
    }

    /// Takes the value of a key.
    pub(crate) fn take(&mut self, key: Hashed<'_, K>, now: Now) -> Option<X> {
        let (limit, _) = self.begin(now);
        let found = self.table.remove(key, &())?;
        self.returns(limit, found.used()).then_some(found.value)
    }

    /// Returns whether a read returns what was used last at `used`.
    pub(crate) fn returns(&self, limit: Limit, used: i64) -> bool {
        self.ttl.returns_expired() || !limit.has_expired(used)
    }

    /// Keeps what a read has removed, to return it this once if it may.
    pub(crate) fn keep_last(&mut self, expired: X) -> Option<&X> {
        self.last = self.ttl.returns_expired().then_some(expired);
        self.last.as_ref()
    }

    /// Passes the keys and values that a read would return to `visit`, and changes nothing.
    pub(crate) fn visit(&mut self, now: Now, mut visit: impl FnMut(&K, &X)) {
        let (limit, returns_expired) = (self.ttl.limit(now), self.ttl.returns_expired());
        self.table.visit(&(), |key, found| {
            if returns_expired || !limit.has_expired(found.used()) {
                visit(key, &found.value);
            }
        });
    }
}

impl<K: Key, X: Elements> ExpiringTable<K, X> {
    /// Reads the elements of a key, all of them.
    pub(crate) fn read(&mut self, key: Hashed<'_, K>, now: Now) -> Option<&X> {
        let (limit, stamp) = self.begin(now);
        let stale = self.table.get(key, &())?.value.any_expired(limit);
        if stale || self.ttl.updates_on_read() {
            let whole = self.table.get_mut(key, &())?;
            let all = (stale && self.ttl.returns_expired()).then(|| whole.value.clone());
            whole.value.retain_alive(limit);
            if self.ttl.updates_on_read() {
                whole.value.touch_all(stamp);
                whole.touch(stamp);
            }
            if whole.value.holds_nothing() {
                self.table.remove(key, &());
            }
            if all.is_some() {
                self.last = all;
                return self.last.as_ref();
            }
        }
        self.table.get(key, &()).map(|whole| &whole.value)
    }

    /// Passes the keys and what they hold alive to `visit`, and changes nothing.
    pub(crate) fn visit_alive(&mut self, now: Now, mut visit: impl FnMut(&K, X)) {
        let (limit, returns_expired) = (self.ttl.limit(now), self.ttl.returns_expired());
        self.visit(now, |key, elements| {
            let mut elements = elements.clone();
            if !returns_expired {
                elements.retain_alive(limit);
            }
            if !elements.holds_nothing() {
                visit(key, elements);
            }
        });
    }
}
