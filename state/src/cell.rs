//! What stands behind the handle of a keyed state: a table, whose values expire or do not.

use highwater_core::cut::Cut;
use highwater_core::error::Result;
use highwater_core::key::Key;
use serde::de::DeserializeOwned;

use crate::backend::{Backend, Hashed, StateValue};
use crate::descriptor::TableDescriptor;
use crate::expiring::ExpiringTable;
use crate::snapshot::Migration;
use crate::table::Table;
use crate::ttl::{Expiring, Now, StateTtlConfig};

/// The values of one state.
///
/// - `P`: what a key holds; `X`: what it holds if that expires, with the instants of the elements.
#[derive(Debug)]
pub enum Values<K, P, X> {
    /// They live until they are removed.
    Plain(Table<K, (), P>),
    /// They expire.
    Expiring(ExpiringTable<K, X>),
}

impl<K: Key, P: StateValue, X: StateValue> Values<K, P, X> {
    /// Removes what a key holds.
    pub(crate) fn clear(&mut self, key: Hashed<'_, K>) {
        match self {
            Values::Plain(table) => drop(table.remove(key, &())),
            Values::Expiring(values) => drop(values.table.remove(key, &())),
        }
    }

    pub(crate) fn freeze(&mut self, cut: &mut Cut) {
        match self {
            Values::Plain(table) => table.freeze(cut),
            Values::Expiring(values) => values.table.freeze(cut),
        }
    }

    pub(crate) fn fold(&mut self) -> bool {
        match self {
            Values::Plain(table) => table.fold(),
            Values::Expiring(values) => values.table.fold(),
        }
    }
}

impl<K: Key, V: StateValue> Values<K, V, V> {
    #[inline]
    pub(crate) fn get(&mut self, key: Hashed<'_, K>, now: Now) -> Option<&V> {
        match self {
            Values::Plain(table) => table.get(key, &()),
            Values::Expiring(values) => values.get(key, now),
        }
    }

    /// Returns the value of a key to be changed, made if there is none.
    #[inline]
    pub(crate) fn get_or_insert_with(
        &mut self,
        key: Hashed<'_, K>,
        now: Now,
        make: impl FnOnce() -> V,
    ) -> &mut V {
        match self {
            Values::Plain(table) => table.get_or_insert_with(key, &(), make),
            Values::Expiring(values) => values.get_or_insert_with(key, now, make),
        }
    }

    pub(crate) fn set(&mut self, key: Hashed<'_, K>, now: Now, value: V) {
        match self {
            Values::Plain(table) => table.insert(key, &(), value),
            Values::Expiring(values) => values.set(key, now, value),
        }
    }

    pub(crate) fn take(&mut self, key: Hashed<'_, K>, now: Now) -> Option<V> {
        match self {
            Values::Plain(table) => table.remove(key, &()),
            Values::Expiring(values) => values.take(key, now),
        }
    }

    pub(crate) fn entries(&mut self, now: Now) -> Vec<(K, V)> {
        let mut entries = Vec::new();
        let mut add = |key: &K, value: &V| entries.push((key.clone(), value.clone()));
        match self {
            Values::Plain(table) => table.visit(&(), add),
            Values::Expiring(values) => values.visit(now, &mut add),
        }
        entries
    }
}

/// The description of a table on the way to be made.
pub(crate) enum Form<K, P, X> {
    Plain(TableDescriptor<K, (), P>),
    Expiring(StateTtlConfig, TableDescriptor<K, (), Expiring<X>>),
}

/// What is said of a state before it is made.
pub(crate) struct Described<K, P, X> {
    name: String,
    ttl: Option<StateTtlConfig>,
    /// Its migrations, in the form that they take with and without a time to live.
    steps: Vec<Step<K, P, X>>,
}

/// Adds a migration to a table, whichever form it has.
type Step<K, P, X> = Box<dyn FnOnce(Form<K, P, X>) -> Form<K, P, X>>;

impl<K, P, X> std::fmt::Debug for Described<K, P, X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Described")
            .field("name", &self.name)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

impl<K: Key, P: StateValue, X: StateValue> Described<K, P, X> {
    pub(crate) fn new(name: &str) -> Self {
        Described { name: name.to_owned(), ttl: None, steps: Vec::new() }
    }

    pub(crate) fn ttl(self, ttl: StateTtlConfig) -> Self {
        Described { ttl: Some(ttl), ..self }
    }

    /// Adds a migration of the parts of what a key holds.
    ///
    /// - `plain`, `expiring`: how the whole is migrated by its parts.
    pub(crate) fn migration<From, To, Plain, Stamped>(
        mut self,
        migration: Migration<From, To>,
        plain: impl Fn(Plain, &dyn Fn(From) -> To) -> P + Send + Sync + 'static,
        expiring: impl Fn(Stamped, &dyn Fn(From) -> To) -> X + Send + Sync + 'static,
    ) -> Self
    where
        From: 'static,
        To: 'static,
        Plain: DeserializeOwned + 'static,
        Stamped: DeserializeOwned + 'static,
    {
        self.steps.push(Box::new(move |form| match form {
            Form::Plain(table) => Form::Plain(table.migration(migration.within(plain))),
            Form::Expiring(ttl, table) => {
                let whole = move |whole: Expiring<Stamped>, convert: &dyn Fn(From) -> To| {
                    whole.map(|parts| expiring(parts, convert))
                };
                Form::Expiring(ttl, table.migration(migration.within(whole)))
            }
        }));
        self
    }

    /// Makes the state, with what is stored of it.
    pub(crate) fn open(self, backend: &mut Backend) -> Result<Values<K, P, X>> {
        let Described { name, ttl, steps } = self;
        let form = match ttl {
            None => Form::Plain(TableDescriptor::new(&name)),
            Some(ttl) => Form::Expiring(ttl, TableDescriptor::new(&name).expiring(ttl)),
        };
        match steps.into_iter().fold(form, |form, step| step(form)) {
            Form::Plain(table) => Ok(Values::Plain(backend.open(table)?)),
            Form::Expiring(ttl, table) => {
                Ok(Values::Expiring(ExpiringTable::new(backend.open(table)?, ttl)))
            }
        }
    }
}
