//! The entries of one key group.

use highwater_core::key::KeyGroup;

use crate::format::bytes::{Cursor, fits, put_length};
use crate::format::error::{FormatError, Place};
use crate::format::{BLOCK, CHECKSUM_BYTES, checksum};

/// The bytes of a block before its payload.
pub(super) const HEAD_BYTES: u64 = 27;
/// The least bytes of an entry: three lengths.
const ENTRY_BYTES: u64 = 3;

/// What says that a key group has no watermark floor.
pub(super) const NO_FLOOR: i64 = i64::MIN;

/// The entries of one key group, encoded and sorted, ready to be written.
///
/// Blocks do not depend on each other, so several threads may make those of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub(super) group: KeyGroup,
    pub(super) floor: i64,
    pub(super) entries: u64,
    pub(super) payload: Vec<u8>,
}

impl Block {
    /// Sorts encoded entries into a block.
    ///
    /// - `floor`: the watermark that the group had seen, `i64::MIN` for none.
    ///
    /// # Errors
    /// When two entries have the same namespace and key, or something is longer than 4 GiB.
    pub fn new(
        group: KeyGroup,
        floor: i64,
        entries: Vec<RawEntry<'_>>,
    ) -> Result<Self, FormatError> {
        let place = Place::Block(group);
        let entries = sorted(&entries);
        if entries.windows(2).any(|pair| pair[0].order() == pair[1].order()) {
            let what = "two entries have the same namespace and key";
            return Err(FormatError::Order { place, what });
        }
        let bytes = |entry: &&RawEntry<'_>| {
            entry.namespace.len() + entry.key.len() + entry.value.len() + ENTRY_BYTES as usize
        };
        let mut payload = Vec::with_capacity(entries.iter().map(bytes).sum());
        for entry in &entries {
            for (what, part) in
                [("a namespace", entry.namespace), ("a key", entry.key), ("a value", entry.value)]
            {
                put_length(&mut payload, fits(place, what, part.len())?);
                payload.extend_from_slice(part);
            }
        }
        Ok(Block { group, floor, entries: entries.len() as u64, payload })
    }

    /// Returns the key group.
    #[must_use]
    pub fn group(&self) -> KeyGroup {
        self.group
    }

    /// Returns how many entries there are.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Returns whether the block says nothing, so that it is not written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0 && self.floor == NO_FLOOR
    }

    /// Returns what stands before the payload.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = vec![BLOCK];
        head.extend_from_slice(&self.group.0.to_le_bytes());
        head.extend_from_slice(&self.floor.to_le_bytes());
        head.extend_from_slice(&self.entries.to_le_bytes());
        head.extend_from_slice(&(self.payload.len() as u64).to_le_bytes());
        head
    }
}

/// The encoded parts of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawEntry<'a> {
    /// The namespace.
    pub namespace: &'a [u8],
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
}

impl<'a> RawEntry<'a> {
    /// Returns what entries are sorted by.
    fn order(&self) -> (&'a [u8], &'a [u8]) {
        (self.namespace, self.key)
    }

    /// Returns a number for the beginning of what entries are sorted by: smaller for an entry that
    /// comes before another, or equal.
    ///
    /// ```text
    /// namespace, 7 bytes | its length, at most 8 | key, 8 bytes; none if the namespace is longer
    /// ```
    fn rank(&self) -> u128 {
        let RawEntry { namespace, key, .. } = self;
        let within = namespace.len() <= RANKED_BYTES;
        let mut rank = [0; 16];
        beginning(&mut rank[..RANKED_BYTES], namespace);
        rank[RANKED_BYTES] = namespace.len().min(RANKED_BYTES + 1) as u8;
        beginning(&mut rank[RANKED_BYTES + 1..], if within { key } else { &[] });
        u128::from_be_bytes(rank)
    }
}

/// The bytes of a namespace that count for the rank of an entry.
const RANKED_BYTES: usize = 7;

/// Copies as many bytes as there is room for.
fn beginning(to: &mut [u8], bytes: &[u8]) {
    to.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
}

/// Sorts entries. Comparing numbers instead of bytes elsewhere in memory takes a fifth of the time.
fn sorted<'e, 'a>(entries: &'e [RawEntry<'a>]) -> Vec<&'e RawEntry<'a>> {
    let mut ranked: Vec<(u128, &RawEntry<'a>)> =
        entries.iter().map(|entry| (entry.rank(), entry)).collect();
    ranked.sort_unstable_by(|(a, left), (b, right)| {
        a.cmp(b).then_with(|| left.order().cmp(&right.order()))
    });
    ranked.into_iter().map(|(_, entry)| entry).collect()
}

/// One block of a part, its checksum verified: iterates over its entries.
///
/// After an error it ends.
#[derive(Clone, Debug)]
pub struct BlockReader<'a> {
    group: KeyGroup,
    floor: i64,
    entries: u64,
    /// How many entries have been read.
    read: u64,
    last: Option<RawEntry<'a>>,
    cursor: Cursor<'a>,
    failed: bool,
}

impl<'a> BlockReader<'a> {
    /// Verifies a block.
    ///
    /// - `bytes`: the whole block, up to the beginning of the next one.
    /// - `listed`: its group and its entries as the footer says.
    pub(super) fn open(
        bytes: &'a [u8],
        at: u64,
        listed: (KeyGroup, u64),
        seed: u64,
    ) -> Result<Self, FormatError> {
        let (group, entries) = listed;
        let place = Place::Block(group);
        let mut cursor = Cursor::new(bytes, at, place);
        let covered = bytes.len() as u64 - CHECKSUM_BYTES.min(bytes.len() as u64);
        let body = cursor.take(covered)?;
        let (stored, found) = (cursor.u64()?, checksum(body, seed));
        if stored != found {
            return Err(FormatError::Checksum { place, at, stored, found });
        }
        let mut cursor = Cursor::new(body, at, place);
        let (tag, found_group) = (cursor.u8()?, KeyGroup(cursor.u16()?));
        if tag != BLOCK || found_group != group {
            return Err(cursor.malformed("another block than the footer says"));
        }
        let floor = cursor.i64()?;
        let (declared, length) = (cursor.u64()?, cursor.u64()?);
        let count = |what, declared, found| FormatError::Count { place, what, declared, found };
        if declared != entries {
            return Err(count("entries in the footer", entries, declared));
        }
        if length != cursor.left() {
            return Err(count("bytes", length, cursor.left()));
        }
        if declared > length / ENTRY_BYTES {
            return Err(count("entries", declared, length / ENTRY_BYTES));
        }
        Ok(BlockReader { group, floor, entries, read: 0, last: None, cursor, failed: false })
    }

    /// Returns the key group.
    #[must_use]
    pub fn group(&self) -> KeyGroup {
        self.group
    }

    /// Returns the watermark that the group had seen, `i64::MIN` for none.
    #[must_use]
    pub fn floor(&self) -> i64 {
        self.floor
    }

    /// Returns how many entries the block has, those that have been read included.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    fn entry(&mut self) -> Result<Option<RawEntry<'a>>, FormatError> {
        if self.read == self.entries {
            return self.cursor.finish().map(|()| None);
        }
        let entry = RawEntry {
            namespace: self.cursor.prefixed()?,
            key: self.cursor.prefixed()?,
            value: self.cursor.prefixed()?,
        };
        if self.last.is_some_and(|last| last.order() >= entry.order()) {
            let what = "the entries do not ascend";
            return Err(FormatError::Order { place: Place::Block(self.group), what });
        }
        self.last = Some(entry);
        self.read += 1;
        Ok(Some(entry))
    }
}

impl<'a> Iterator for BlockReader<'a> {
    type Item = Result<RawEntry<'a>, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let entry = self.entry();
        self.failed = !matches!(entry, Ok(Some(_)));
        entry.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that agree for long, with zeros and ends at all places around what is ranked.
    fn pieces() -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        for length in 0..12 {
            let zeros = vec![0; length];
            pieces.push([zeros.as_slice(), &[1]].concat());
            pieces.push([zeros.as_slice(), &[0xff]].concat());
            pieces.push(zeros);
        }
        pieces
    }

    #[test]
    fn entries_are_sorted_by_their_namespaces_then_by_their_keys() {
        let pieces = pieces();
        let entry = |(n, k): (usize, usize)| {
            let n = n % pieces.len();
            RawEntry { namespace: &pieces[n], key: &pieces[k % pieces.len()], value: &[] }
        };
        let all: Vec<_> = (0..36 * 36).map(|i| entry((i / 36, i))).collect();
        let shuffled: Vec<_> = (0..all.len()).map(|i| all[i * 7919 % all.len()]).collect();
        let mut expected = all.clone();
        expected.sort_by_key(RawEntry::order);
        assert!(sorted(&shuffled).into_iter().eq(&expected));
    }
}
