//! A frozen view of a store, on its way to become bytes on another thread.

use std::sync::Arc;

use highwater_core::cut::{EncodedState, FrozenState};
use highwater_core::error::{Error, Result};
use highwater_core::key::{Key, KeyGroup, KeyGroupRange};
use highwater_core::store::{Family, FrozenStore};

use super::entries::divide;
use crate::backend::{Namespace, StateValue};
use crate::expiring::Limit;
use crate::format::{Block, RawEntry};
use crate::snapshot::StateFormat;
use crate::ttl::used_in;

/// A table in a store as it was when it was frozen.
pub(crate) struct FrozenCache<K, N, V> {
    pub(super) name: String,
    pub(super) format: Arc<StateFormat<N, K, V>>,
    pub(super) family: Family,
    pub(super) range: KeyGroupRange,
    pub(super) floor: i64,
    pub(super) view: Box<dyn FrozenStore>,
    /// What is left out.
    pub(super) expired: Option<Limit>,
}

impl<K, N, V> FrozenCache<K, N, V> {
    /// Leaves out what has expired.
    pub(crate) fn without(self, expired: Option<Limit>) -> Self {
        FrozenCache { expired, ..self }
    }

    fn has_expired(&self, value: &[u8]) -> bool {
        let used = used_in(value);
        self.expired.zip(used).is_some_and(|(limit, used)| limit.has_expired(used))
    }
}

impl<K: Key, N: Namespace, V: StateValue> FrozenState for FrozenCache<K, N, V> {
    fn state(&self) -> &str {
        &self.name
    }

    fn encode(self: Box<Self>) -> Result<EncodedState> {
        let mut blocks = Vec::new();
        for group in (self.range.first.0..=self.range.last.0).map(KeyGroup) {
            let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            let mut visit = |stored: &[u8], value: &[u8]| {
                if !self.has_expired(value) {
                    entries.push((stored.to_vec(), value.to_vec()));
                }
                true
            };
            self.view.scan(self.family, &group.0.to_be_bytes(), &mut visit)?;
            let raw = entries.iter().filter_map(|(stored, value)| {
                let (namespace, key) = divide(stored)?;
                Some(RawEntry { namespace, key, value })
            });
            let block = Block::new(group, self.floor, raw.collect()).map_err(Error::state)?;
            blocks.push(block);
        }
        let part = self.format.part(self.range, blocks).map_err(Error::state)?;
        Ok(EncodedState { state: self.name, part, slots: None })
    }
}
