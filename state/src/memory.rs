//! A store in memory: what a store on disk must be like, for tests and simulations.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use highwater_core::error::{Error, Result};
use highwater_core::store::{Family, FrozenStore, Store, Stores, Visit};

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// Opens stores in memory.
#[derive(Clone, Copy, Debug)]
pub struct MemoryStores {
    /// The bytes of decoded values that a table may keep.
    pub cache_bytes: usize,
}

impl Stores for MemoryStores {
    fn open(&self, _uid: &str, _worker: usize) -> Result<Box<dyn Store>> {
        Ok(Box::new(MemoryStore::default()))
    }

    fn cache_bytes(&self) -> usize {
        self.cache_bytes
    }
}

/// Sorted entries in memory.
#[derive(Debug, Default)]
struct MemoryStore {
    families: Vec<(String, Entries)>,
}

fn entries(families: &[(String, Entries)], family: Family) -> Result<&Entries> {
    let found = families.get(family.0).map(|(_, entries)| entries);
    found.ok_or_else(|| Error::program(format!("{family:?} is not one of this store")))
}

fn scan(entries: &Entries, prefix: &[u8], after: Option<&[u8]>, visit: Visit<'_>) {
    let from = match after {
        Some(after) => Bound::Excluded(after.max(prefix)),
        None => Bound::Included(prefix),
    };
    let found = entries.range::<[u8], _>((from, Bound::Unbounded));
    for (key, value) in found.take_while(|(key, _)| key.starts_with(prefix)) {
        if !visit(key, value) {
            break;
        }
    }
}

impl Store for MemoryStore {
    fn family(&mut self, name: &str, _expiry_ms: Option<i64>) -> Result<Family> {
        self.families.push((name.to_owned(), Entries::new()));
        Ok(Family(self.families.len() - 1))
    }

    fn get_many(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        let entries = entries(&self.families, family)?;
        Ok(keys.iter().map(|key| entries.get(*key).cloned()).collect())
    }

    fn write(
        &mut self,
        family: Family,
        written: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>,
    ) -> Result<()> {
        entries(&self.families, family)?;
        if let Some((_, entries)) = self.families.get_mut(family.0) {
            for (key, value) in written {
                match value {
                    Some(value) => entries.insert(key.to_vec(), value.to_vec()),
                    None => entries.remove(key),
                };
            }
        }
        Ok(())
    }

    fn scan(
        &self,
        family: Family,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: Visit<'_>,
    ) -> Result<()> {
        scan(entries(&self.families, family)?, prefix, after, visit);
        Ok(())
    }

    fn freeze(&mut self) -> Result<Box<dyn FrozenStore>> {
        Ok(Box::new(FrozenMemory { families: Arc::new(self.families.clone()) }))
    }
}

/// A copy of a store.
#[derive(Clone, Debug)]
struct FrozenMemory {
    families: Arc<Vec<(String, Entries)>>,
}

impl FrozenStore for FrozenMemory {
    fn share(&self) -> Box<dyn FrozenStore> {
        Box::new(self.clone())
    }

    fn is_apart(&self) -> bool {
        true
    }

    fn scan(&self, family: Family, prefix: &[u8], visit: Visit<'_>) -> Result<()> {
        scan(entries(&self.families, family)?, prefix, None, visit);
        Ok(())
    }
}
