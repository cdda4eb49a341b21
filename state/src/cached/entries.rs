//! Entries as a store holds them: key group, length of the namespace, namespace, key -> value.

use highwater_core::key::{Key, KeyGroup, KeyGroups, stable_hash};

use super::or_damaged;
use crate::backend::{Namespace, StateValue};
use crate::snapshot::StateFormat;

/// Returns what the entries of one key group and namespace begin with.
pub(super) fn prefix(group: KeyGroup, name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(6 + name.len() + 16);
    bytes.extend_from_slice(&group.0.to_be_bytes());
    bytes.extend_from_slice(&(name.len() as u32).to_be_bytes());
    bytes.extend_from_slice(name);
    bytes
}

/// Divides the key of a stored entry into namespace and key.
pub(super) fn divide(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = entry.get(2..)?.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

/// The encoded entries of one write.
#[derive(Debug, Default)]
pub(super) struct Written {
    bytes: Vec<u8>,
    /// Where each entry begins, and where its key and its value end; `None` for a removed one.
    places: Vec<(usize, usize, Option<usize>)>,
    pub(super) value_bytes: u64,
}

impl Written {
    /// Returns how many entries there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn add<K: Key, N: Namespace, V: StateValue>(
        &mut self,
        format: &StateFormat<N, K, V>,
        groups: KeyGroups,
        name: &[u8],
        (key, value): (&K, Option<&V>),
    ) {
        let begin = self.bytes.len();
        let group = groups.of_hash(stable_hash(key));
        self.bytes.extend_from_slice(&prefix(group, name));
        or_damaged(format.key_bytes(key, &mut self.bytes));
        let key_end = self.bytes.len();
        let value_end = value.map(|value| {
            or_damaged(format.value_bytes(value, &mut self.bytes));
            self.value_bytes += (self.bytes.len() - key_end) as u64;
            self.bytes.len()
        });
        self.places.push((begin, key_end, value_end));
    }

    /// Returns the entries in the order of their keys, as stores of sorted entries like it best:
    /// neighbours are found in the processor's cache.
    pub(super) fn sorted(&mut self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let Written { bytes, places, .. } = self;
        let between = |begin: usize, end: usize| bytes.get(begin..end).unwrap_or_default();
        places.sort_by_key(|(begin, key_end, _)| between(*begin, *key_end));
        places.iter().map(move |(begin, key_end, value_end)| {
            (between(*begin, *key_end), value_end.map(|end| between(*key_end, end)))
        })
    }
}
