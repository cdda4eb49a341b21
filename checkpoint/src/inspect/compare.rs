//! What has changed in a state between two snapshots.
//!
//! ```text
//! before   a  b     d            both sorted alike: walked together, bytes compared
//! after    a  b' c               --> changed b, added c, removed d
//! ```
//!
//! The number of workers makes no difference. Where key groups or types of keys are not the same,
//! and for state that belongs to no key, entries are compared as JSON and all are in memory.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use highwater_core::error::Result;
use serde_json::Value;

use super::{Entry, StateView};

/// One difference.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An entry that was not there before.
    Added(Entry),
    /// An entry that is no longer there.
    Removed(Entry),
    /// An entry whose value is another one.
    Changed {
        /// As it was.
        before: Entry,
        /// Its value now.
        after: Value,
    },
}

/// Where differences go.
type Tell<'t> = &'t mut dyn FnMut(Change) -> Result<()>;

/// Compares a state with what it was before.
///
/// - `before`, `after`: `None` if the snapshot has no such state.
/// - `tell`: takes the differences one by one.
///
/// # Errors
/// When something cannot be read, or those of `tell`.
pub fn compare(
    before: Option<&StateView<'_>>,
    after: Option<&StateView<'_>>,
    tell: Tell<'_>,
) -> Result<()> {
    match (before, after) {
        (Some(before), Some(after)) if sorted_alike(before, after) => walk(before, after, tell),
        (before, after) => match_up(before, after, tell),
    }
}

/// Returns whether entries that belong together stand in the same order on both sides.
fn sorted_alike(before: &StateView<'_>, after: &StateView<'_>) -> bool {
    let of = |view: &StateView<'_>| {
        let header = view.header();
        let schemas = &header.schemas;
        let types = (schemas.namespace.fingerprint(), schemas.key.fingerprint());
        (header.max_parallelism, types)
    };
    !before.kind().is_keyless() && !after.kind().is_keyless() && of(before) == of(after)
}

/// Compares states whose entries stand in the same order.
fn walk(before: &StateView<'_>, after: &StateView<'_>, tell: Tell<'_>) -> Result<()> {
    let type_of = |view: &StateView<'_>| view.header().schemas.value.fingerprint();
    let same_type = type_of(before) == type_of(after);
    let (mut olds, mut news) = (before.undecoded(), after.undecoded());
    let (mut old, mut new) = (olds.next().transpose()?, news.next().transpose()?);
    loop {
        let ordering = match (&old, &new) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.order().cmp(&new.order()),
        };
        match (&old, &new) {
            (Some(old), _) if ordering.is_lt() => {
                tell(Change::Removed(before.decode(old)?))?;
            }
            (_, Some(new)) if ordering.is_gt() => {
                tell(Change::Added(after.decode(new)?))?;
            }
            (Some(old), Some(new)) if !same_type || old.raw.value != new.raw.value => {
                let (before, after) = (before.decode(old)?, after.decode(new)?.value);
                if before.value != after {
                    tell(Change::Changed { before, after })?;
                }
            }
            _ => {}
        }
        if ordering.is_le() {
            old = olds.next().transpose()?;
        }
        if ordering.is_ge() {
            new = news.next().transpose()?;
        }
    }
}

/// Compares entries by what they say.
fn match_up(
    before: Option<&StateView<'_>>,
    after: Option<&StateView<'_>>,
    tell: Tell<'_>,
) -> Result<()> {
    let (mut olds, mut news) = (by_key(before)?, by_key(after)?);
    let keys: BTreeSet<_> = olds.keys().chain(news.keys()).cloned().collect();
    for key in keys {
        let mut old = olds.remove(&key).unwrap_or_default();
        let mut new = news.remove(&key).unwrap_or_default();
        // Elements of a list may be there several times.
        old.retain(|old| match new.iter().position(|new| new.value == old.value) {
            Some(same) => {
                new.swap_remove(same);
                false
            }
            None => true,
        });
        if let ([before], [after]) = (old.as_slice(), new.as_slice())
            && !before.key.is_null()
        {
            let (before, after) = (before.clone(), after.value.clone());
            tell(Change::Changed { before, after })?;
            continue;
        }
        old.into_iter().try_for_each(|old| tell(Change::Removed(old)))?;
        new.into_iter().try_for_each(|new| tell(Change::Added(new)))?;
    }
    Ok(())
}
/// The entries by the texts of namespace and key, those without a key by that of the value.
type ByKey = BTreeMap<(String, String), Vec<Entry>>;

fn by_key(view: Option<&StateView<'_>>) -> Result<ByKey> {
    let mut by_key = ByKey::new();
    if let Some(view) = view {
        for entry in view.entries()? {
            let entry = entry?;
            let name = if entry.key.is_null() { &entry.value } else { &entry.key };
            let at = (entry.namespace.to_string(), name.to_string());
            by_key.entry(at).or_default().push(entry);
        }
    }
    Ok(by_key)
}
