//! Reading a family, of a store or of a checkpoint.
//!
//! **Cost**: blocks that a scan reads do not enter the cache: a scan passes once, and what it finds
//! is kept decoded or is gone afterwards. Values found by keys are copied out a few hundred at a
//! time, because each of them pins a block until it is copied.

use highwater_core::store::Visit;
use rocksdb::{AsColumnFamilyRef, ReadOptions};

use crate::Db;

/// The keys that are looked up at once: they pin 1 MiB of blocks at most.
const KEYS_AT_ONCE: usize = 256;

/// Visits the entries of a family whose keys begin with `prefix` and are greater than `after`.
pub(crate) fn scan(
    db: &Db,
    family: &impl AsColumnFamilyRef,
    (prefix, after): (&[u8], Option<&[u8]>),
    visit: Visit<'_>,
) -> Result<(), rocksdb::Error> {
    let mut options = ReadOptions::default();
    options.fill_cache(false);
    if let Some(end) = end_of(prefix) {
        options.set_iterate_upper_bound(end);
    }
    let mut entries = db.raw_iterator_cf_opt(family, options);
    match after {
        Some(after) if after >= prefix => entries.seek([after, b"\0"].concat()),
        _ => entries.seek(prefix),
    }
    while let Some((key, value)) = entries.item() {
        if !visit(key, value) {
            return Ok(());
        }
        entries.next();
    }
    entries.status()
}

/// Returns the values of several keys, in their order.
pub(crate) fn get_many(
    db: &Db,
    family: &impl AsColumnFamilyRef,
    keys: &[&[u8]],
) -> Result<Vec<Option<Vec<u8>>>, rocksdb::Error> {
    let options = ReadOptions::default();
    if let [key] = keys {
        let found = db.get_pinned_cf_opt(family, key, &options)?;
        return Ok(vec![found.map(|value| value.to_vec())]);
    }
    let mut values = Vec::with_capacity(keys.len());
    for keys in keys.chunks(KEYS_AT_ONCE) {
        // RocksDB sorts them itself; keys that come sorted were not found any faster.
        let found = db.batched_multi_get_cf_opt(family, keys.iter().copied(), false, &options);
        for value in found {
            values.push(value?.map(|value| value.to_vec()));
        }
    }
    Ok(values)
}

/// Returns the least key that is greater than all that begin with `prefix`; `None` if there is
/// none.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_the_next_key_without_it() {
        assert_eq!(end_of(b""), None);
        assert_eq!(end_of(b"\xff\xff"), None);
        assert_eq!(end_of(b"ab").unwrap(), b"ac");
        assert_eq!(end_of(b"a\xff\xff").unwrap(), b"b");
        assert_eq!(end_of(b"\0").unwrap(), b"\x01");
        assert_eq!(end_of(b"\xfe\xff").unwrap(), b"\xff");
    }
}
