//! A frozen view of a store, on its way to become bytes on another thread.

use std::sync::Arc;

use highwater_core::cut::{EncodedState, FrozenState};
use highwater_core::error::Result;
use highwater_core::key::{Key, KeyGroup, KeyGroupRange, KeyGroups};
use highwater_core::store::{Family, FrozenStore};

use super::entries::divide;
use super::store::PendingView;
use crate::backend::{Namespace, StateValue};
use crate::expiring::Limit;
use crate::format::{Block, RawEntry};
use crate::snapshot::{StateFormat, encode};
use crate::ttl::used_in;

/// A table in a store as it was when it was frozen.
pub(crate) struct FrozenCache<K, N, V> {
    pub(super) name: String,
    pub(super) format: Arc<StateFormat<N, K, V>>,
    pub(super) family: Family,
    pub(super) keys: (KeyGroups, KeyGroupRange),
    pub(super) floor: i64,
    pub(super) view: PendingView,
    /// How many entries there are at most.
    pub(super) entries: usize,
    /// What is left out.
    pub(super) expired: Option<Limit>,
}

impl<K, N, V> FrozenCache<K, N, V> {
    /// Leaves out what has expired.
    pub(crate) fn without(self, expired: Option<Limit>) -> Self {
        FrozenCache { expired, ..self }
    }
}

impl<K: Key, N: Namespace, V: StateValue> FrozenState for FrozenCache<K, N, V> {
    fn state(&self) -> &str {
        &self.name
    }

    fn encode(self: Box<Self>) -> Result<EncodedState> {
        let FrozenCache { name, format, family, keys, floor, view, entries, expired } = *self;
        let (groups, range) = keys;
        let view = view.wait()?;
        let each = (range.first.0..=range.last.0).map(KeyGroup);
        let each = each.map(|group| (group, view.share())).collect();
        let blocks = encode((entries, groups.workers()), each, |(group, view)| {
            block(&*view, (family, group), floor, expired)
        })?;
        let part = format.part(range, blocks)?;
        Ok(EncodedState { state: name, part, slots: None })
    }
}

/// Encodes the entries of a key group.
fn block(
    view: &dyn FrozenStore,
    (family, group): (Family, KeyGroup),
    floor: i64,
    expired: Option<Limit>,
) -> Result<Block> {
    let has_expired = |value: &[u8]| {
        expired.zip(used_in(value)).is_some_and(|(limit, used)| limit.has_expired(used))
    };
    let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut visit = |stored: &[u8], value: &[u8]| {
        if !has_expired(value) {
            entries.push((stored.to_vec(), value.to_vec()));
        }
        true
    };
    view.scan(family, &group.0.to_be_bytes(), &mut visit)?;
    let raw = entries.iter().filter_map(|(stored, value)| {
        let (namespace, key) = divide(stored)?;
        Some(RawEntry { namespace, key, value })
    });
    Ok(Block::new(group, floor, raw.collect())?)
}
