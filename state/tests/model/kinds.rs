//! Where the state of a history lives, and by which keys.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, OnceLock};

use highwater_core::cut::EncodedState;
use highwater_core::error::Result;
use highwater_core::key::{KeyGroups, stable_hash};
use highwater_core::store::{Family, FrozenStore, Store, Stores, Visit};
use highwater_state::Backend;
use serde::{Deserialize, Serialize};

use crate::support::damage::Random;

/// A key that shares its hash with two others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Id(pub(crate) u16);

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u16(self.0 / 3);
    }
}

/// Returns the keys of a history: of all groups, or of a few.
pub(crate) fn keys(groups: KeyGroups, random: &mut Random) -> Vec<Id> {
    let count = 1 + random.below(200);
    let step = if random.below(2) == 0 { 1 } else { 23 };
    let of_few = |id: &Id| groups.of_hash(stable_hash(id)).0.is_multiple_of(step);
    (0..30_000).map(Id).filter(of_few).take(count).collect()
}

/// Returns how keys are divided among workers.
pub(crate) fn groups(random: &mut Random) -> KeyGroups {
    let max = [128, 128, 128, 7][random.below(4)];
    KeyGroups::new(max, 1 + random.below(3))
}

/// Returns the same groups for any number of workers.
pub(crate) fn regrouped(groups: KeyGroups, random: &mut Random) -> KeyGroups {
    KeyGroups::new(groups.count(), 1 + random.below(3))
}

/// Where values live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Heap,
    /// The store of the test: one that freezes at once, or RocksDB; under the smallest cache.
    Store,
    /// A store that freezes on another thread, and must not be written until then.
    LateStore,
}

impl Kind {
    pub(crate) fn any(random: &mut Random) -> Kind {
        [Kind::Heap, Kind::Store, Kind::LateStore][random.below(3)]
    }

    pub(crate) fn backend(
        self,
        groups: KeyGroups,
        worker: usize,
        stored: Vec<Arc<EncodedState>>,
    ) -> Backend {
        let stores: Option<Arc<dyn Stores>> = match self {
            Kind::Heap => None,
            Kind::Store => Some(crate::stores()),
            Kind::LateStore => Some(Arc::new(LateStores)),
        };
        Backend::heap("model", groups, worker).durable(true).stores(stores).restored(stored)
    }
}

type Families = Vec<BTreeMap<Vec<u8>, Vec<u8>>>;

struct LateStores;

impl Stores for LateStores {
    fn open(&self, _uid: &str, _worker: usize) -> Result<Box<dyn Store>> {
        Ok(Box::new(LateStore { families: Arc::default() }))
    }

    fn cache_bytes(&self) -> usize {
        0
    }
}

struct LateStore {
    families: Arc<Mutex<Families>>,
}

fn scan_of(
    families: &Families,
    family: Family,
    prefix: &[u8],
    after: Option<&[u8]>,
    visit: Visit<'_>,
) {
    let within = |key: &&Vec<u8>| key.starts_with(prefix) && after.is_none_or(|a| key[..] > *a);
    for (key, value) in families[family.0].iter().filter(|(key, _)| within(key)) {
        if !visit(key, value) {
            return;
        }
    }
}

impl Store for LateStore {
    fn family(&mut self, _name: &str, _expiry_ms: Option<i64>) -> Result<Family> {
        let mut families = self.families.lock().unwrap();
        families.push(BTreeMap::new());
        Ok(Family(families.len() - 1))
    }

    fn get_many(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        let families = self.families.lock().unwrap();
        Ok(keys.iter().map(|key| families[family.0].get(*key).cloned()).collect())
    }

    fn write(
        &mut self,
        family: Family,
        written: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>,
    ) -> Result<()> {
        let mut families = self.families.lock().unwrap();
        for (key, value) in written {
            match value {
                Some(value) => families[family.0].insert(key.to_vec(), value.to_vec()),
                None => families[family.0].remove(key),
            };
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
        scan_of(&self.families.lock().unwrap(), family, prefix, after, visit);
        Ok(())
    }

    fn freeze(&mut self) -> Result<Box<dyn FrozenStore>> {
        let (families, view) = (Arc::clone(&self.families), LateView::default());
        let copy = Arc::clone(&view.copy);
        std::thread::spawn(move || {
            (0..20).for_each(|_| std::thread::yield_now());
            let now = families.lock().unwrap().clone();
            copy.set(now).unwrap();
        });
        Ok(Box::new(view))
    }
}

#[derive(Clone, Default)]
struct LateView {
    copy: Arc<OnceLock<Families>>,
}

impl FrozenStore for LateView {
    fn share(&self) -> Box<dyn FrozenStore> {
        Box::new(self.clone())
    }

    fn is_apart(&self) -> bool {
        self.copy.get().is_some()
    }

    fn scan(&self, family: Family, prefix: &[u8], visit: Visit<'_>) -> Result<()> {
        scan_of(self.copy.wait(), family, prefix, None, visit);
        Ok(())
    }
}
