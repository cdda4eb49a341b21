//! What kind of state a part holds, as far as its schemas show.

use std::fmt;

use crate::format::Header;
use crate::schema::{Fields, Id, Leaf, Node, Schema};

/// What kind of state a part holds.
///
/// The kinds are those of [`crate::keyed`] and [`crate::operator`]. Schemas do not tell a list of
/// values from a single value that is a list, nor the state of an operator from that of the only key
/// `()` of a job with one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredKind {
    /// A value per key.
    Value,
    /// A list per key.
    List,
    /// A map per key.
    Map,
    /// A value per key and namespace, such as a window.
    Namespaced,
    /// Timers: the namespace is a stretch of 1024 ms.
    Timers,
    /// The splits of a source, with offsets.
    Splits,
    /// A list that belongs to no key: each former worker has some of its elements.
    OperatorList,
    /// A map that belongs to no key: the first former worker has it.
    Broadcast,
}

impl StoredKind {
    pub(super) fn of(header: &Header) -> Self {
        let schemas = &header.schemas;
        let value = &schemas.value;
        let held = held(value);
        let of_all = header.range.count() as u64 == u64::from(header.max_parallelism);
        let is_unit = |schema: &Schema| *schema.root() == Node::Leaf(Leaf::Unit);
        match (is_unit(&schemas.namespace), is_unit(&schemas.key) && of_all) {
            (false, _) if is_timers(&schemas.namespace, value) => StoredKind::Timers,
            (false, _) => StoredKind::Namespaced,
            (true, true) if is_splits(value) => StoredKind::Splits,
            (true, true) if matches!(value.root(), Node::Seq(_)) => StoredKind::OperatorList,
            (true, true) if matches!(value.root(), Node::Map(..)) => StoredKind::Broadcast,
            _ => match value.node(held) {
                Node::Seq(_) => StoredKind::List,
                Node::Map(..) => StoredKind::Map,
                _ => StoredKind::Value,
            },
        }
    }

    /// Returns whether the state belongs to no key, so that each former worker may have a part of it
    /// in the same key group.
    #[must_use]
    pub fn is_keyless(self) -> bool {
        matches!(self, StoredKind::Splits | StoredKind::OperatorList | StoredKind::Broadcast)
    }
}

impl fmt::Display for StoredKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoredKind::Value => "value",
            StoredKind::List => "list",
            StoredKind::Map => "map",
            StoredKind::Namespaced => "by namespace",
            StoredKind::Timers => "timers",
            StoredKind::Splits => "splits",
            StoredKind::OperatorList => "operator list",
            StoredKind::Broadcast => "broadcast",
        })
    }
}

/// Returns what a key holds, without the instant of its last use.
fn held(value: &Schema) -> Id {
    match value.root() {
        Node::Struct { fields: Fields::Named(fields), .. } if value.is_expiring(0) => {
            fields.last().map_or(0, |(_, held)| *held)
        }
        _ => 0,
    }
}

/// Returns the names of the fields of a struct.
fn names<'s>(schema: &'s Schema, id: Id, name: &str) -> Option<Vec<&'s str>> {
    match schema.node(id) {
        Node::Struct { name: found, fields: Fields::Named(fields) } if found == name => {
            Some(fields.iter().map(|(name, _)| name.as_str()).collect())
        }
        _ => None,
    }
}

fn is_timers(namespace: &Schema, value: &Schema) -> bool {
    let by_time = *namespace.root() == Node::Leaf(Leaf::I64);
    by_time && names(value, 0, "TimerSet").is_some_and(|names| names == ["first", "more"])
}

fn is_splits(value: &Schema) -> bool {
    let expected = ["split", "offset", "generator", "stamp", "idle", "finished"];
    match value.root() {
        Node::Seq(split) => {
            names(value, *split, "SplitSnapshot").is_some_and(|names| names == expected)
        }
        _ => false,
    }
}
