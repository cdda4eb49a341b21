//! What the store says, read behind the back of the engine: the log, and what is retained.
//!
//! ```text
//! log/{n}, copies/{n} --parsed here--> fences and commits --> is it committed? what is retained?
//! ```
//!
//! Nothing of the engine's own reader is used, so that a mistake in it cannot hide.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::store::Objects;

/// The bytes before the JSON of an object that describes itself.
const HEADER_BYTES: usize = 28;

#[derive(Clone, Debug, Deserialize)]
struct Slot {
    slot: u64,
    attempt: u64,
    what: What,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Fence,
    Commit { checkpoint: u64, manifest: Named, base: Option<u64>, oldest: u64 },
}

#[derive(Clone, Debug, Deserialize)]
struct Named {
    path: String,
}

/// What was ever seen in the log.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    slots: BTreeMap<u64, Slot>,
}

impl Audit {
    /// Reads what is new in the log.
    ///
    /// # Panics
    /// When a slot does not hold what it held before, or an attempt has a commit after a later
    /// attempt has begun (I10).
    pub(crate) fn look(&mut self, objects: &Objects) {
        for path in objects.paths() {
            let name = path.strip_prefix("log/").or(path.strip_prefix("copies/"));
            let Some(number) = name.and_then(|name| name.parse().ok()) else { continue };
            if !self.slots.contains_key(&number)
                && let Some(slot) = read::<Slot>(objects, &path)
            {
                assert_eq!(slot.slot, number, "{path} holds another slot");
                self.slots.insert(number, slot);
            }
        }
        let mut latest = 0;
        for slot in self.slots.values() {
            assert!(
                slot.attempt >= latest,
                "I10: attempt {} has slot {} after attempt {latest} has begun",
                slot.attempt,
                slot.slot
            );
            latest = slot.attempt;
        }
    }

    /// Returns whether the log holds a commit of an attempt that covers an epoch.
    pub(crate) fn covers(&self, attempt: u64, epoch: u64) -> bool {
        self.slots.values().any(|slot| {
            let covers =
                matches!(slot.what, What::Commit { checkpoint, .. } if checkpoint >= epoch);
            covers && slot.attempt == attempt
        })
    }

    /// Returns how many checkpoints were ever completed.
    pub(crate) fn commits(&self) -> usize {
        self.slots.values().filter(|slot| matches!(slot.what, What::Commit { .. })).count()
    }

    /// Returns the paths of the manifests that are retained, and of all that they name.
    pub(crate) fn retained(&self, objects: &Objects) -> BTreeSet<String> {
        let is_commit = |slot: &&Slot| matches!(slot.what, What::Commit { .. });
        let mut next = self.slots.values().rev().find(is_commit);
        let mut retained = BTreeSet::new();
        let mut oldest_kept = None;
        while let Some(Slot { what: What::Commit { manifest, base, oldest, .. }, .. }) = next {
            let oldest_kept = *oldest_kept.get_or_insert(*oldest);
            let named = read::<Value>(objects, &manifest.path);
            named.iter().for_each(|named| paths(named, &mut retained));
            retained.insert(manifest.path.clone());
            next = base.filter(|base| *base >= oldest_kept).and_then(|base| self.slots.get(&base));
        }
        retained
    }
}

/// Reads the JSON of an object, if it is there and whole.
fn read<T: for<'de> Deserialize<'de>>(objects: &Objects, path: &str) -> Option<T> {
    let content = objects.content(path)?;
    serde_json::from_slice(content.get(HEADER_BYTES..)?).ok()
}

/// Collects all paths in a manifest.
fn paths(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            into.extend(fields.get("path").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| paths(value, into));
        }
        Value::Array(values) => values.iter().for_each(|value| paths(value, into)),
        _ => {}
    }
}
