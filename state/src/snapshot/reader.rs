//! Reading the entries of a part as values of the present types.

use std::fmt;

use highwater_core::key::{Key, KeyGroup, KeyGroupRange, stable_hash};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::format::{
    BlockReader, Codec, CodecError, FormatError, Header, PartReader, Place, Postcard, Role,
};
use crate::schema::Schema;
use crate::snapshot::{StateFormat, Step, Stored};

/// How stored values become values of the present type.
pub(super) enum Reading<'a, V, C> {
    Same,
    Grown,
    Migrated { step: &'a Step<V, C>, grown: bool },
}

impl<V, C> Clone for Reading<'_, V, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V, C> Copy for Reading<'_, V, C> {}

/// A part of a state that fits to the program.
pub struct StateReader<'a, N, K, V, C = Postcard> {
    format: &'a StateFormat<N, K, V, C>,
    part: PartReader<'a>,
    reading: Reading<'a, V, C>,
}

impl<N, K, V, C> fmt::Debug for StateReader<'_, N, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateReader({:?})", self.part.header())
    }
}

impl<'a, N: Stored, K: Key, V: Stored, C: Codec> StateReader<'a, N, K, V, C> {
    pub(super) fn new(
        format: &'a StateFormat<N, K, V, C>,
        part: PartReader<'a>,
        reading: Reading<'a, V, C>,
    ) -> Self {
        StateReader { format, part, reading }
    }

    /// Returns the header of the part.
    #[must_use]
    pub fn header(&self) -> &Header {
        self.part.header()
    }

    /// Reads the groups of a range, one after the other, and no other bytes of the part.
    ///
    /// Groups that are not in the part, or had nothing to say, do not come.
    pub fn groups(
        &self,
        range: KeyGroupRange,
    ) -> impl Iterator<Item = Result<GroupReader<'a, N, K, V, C>, FormatError>> + '_ {
        self.part.blocks(range).map(|block| {
            let stored = self.part.header().schemas.value.clone();
            let (format, reading) = (self.format, self.reading);
            let (block, again) = (block?, Vec::new());
            Ok(GroupReader { format, reading, stored, block, again, read: 0, failed: false })
        })
    }
}

/// The entries of one key group, in the order of their encoded namespaces and keys.
///
/// After an error it ends.
pub struct GroupReader<'a, N, K, V, C = Postcard> {
    format: &'a StateFormat<N, K, V, C>,
    reading: Reading<'a, V, C>,
    /// The schema of the stored values.
    stored: Schema,
    block: BlockReader<'a>,
    /// A key, encoded again.
    again: Vec<u8>,
    read: u64,
    failed: bool,
}

impl<N, K, V, C> fmt::Debug for GroupReader<'_, N, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupReader({:?})", self.block)
    }
}

impl<N: Stored, K: Key, V: Stored, C: Codec> GroupReader<'_, N, K, V, C> {
    /// Returns the key group.
    #[must_use]
    pub fn group(&self) -> KeyGroup {
        self.block.group()
    }

    /// Returns the watermark that the group had seen, `i64::MIN` for none.
    #[must_use]
    pub fn floor(&self) -> i64 {
        self.block.floor()
    }

    /// Returns how many entries the group has, for a table that is made large enough at once.
    ///
    /// The count has been compared with the bytes that there are, so it may be relied on.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.block.entries()
    }

    fn entry(&mut self) -> Result<Option<(N, K, V)>, FormatError> {
        let Some(raw) = self.block.next().transpose()? else { return Ok(None) };
        let (entry, place) = (self.read, Place::Block(self.block.group()));
        let decode = |role| move |source| FormatError::Decode { place, entry, role, source };
        let schemas = &self.format.schemas;
        let (codec, again) = (&self.format.codec, &mut self.again);
        let namespace = exact(codec, &schemas.namespace, raw.namespace, again);
        let namespace = namespace.map_err(decode(Role::Namespace))?;
        let key: K = exact(codec, &schemas.key, raw.key, again).map_err(decode(Role::Key))?;
        let value = self.value(raw.value).map_err(decode(Role::Value))?;
        let found = self.format.groups.of_hash(stable_hash(&key));
        if found != self.block.group() {
            return Err(FormatError::KeyGroup { place, entry, found });
        }
        self.read += 1;
        Ok(Some((namespace, key, value)))
    }

    fn value(&self, bytes: &[u8]) -> Result<V, CodecError> {
        let (codec, stored) = (&self.format.codec, &self.stored);
        match self.reading {
            Reading::Same => same(codec, stored, bytes),
            Reading::Grown => codec.decode_evolved(stored, bytes),
            Reading::Migrated { step, grown: true } => (step.decode)(codec, Some(stored), bytes),
            Reading::Migrated { step, grown: false } => {
                checked(codec, stored, bytes)?;
                (step.decode)(codec, None, bytes)
            }
        }
    }
}

impl<N: Stored, K: Key, V: Stored, C: Codec> Iterator for GroupReader<'_, N, K, V, C> {
    type Item = Result<(N, K, V), FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let entry = self.entry();
        self.failed = !matches!(entry, Ok(Some(_)));
        entry.transpose()
    }
}

/// Decodes what is compared by its bytes: a number may be longer than it need be, or a set out of
/// order, and a key would come twice.
///
/// - `again`: room to encode it again.
pub(super) fn exact<T: Serialize + DeserializeOwned>(
    codec: &impl Codec,
    schema: &Schema,
    bytes: &[u8],
    again: &mut Vec<u8>,
) -> Result<T, CodecError> {
    let value = same(codec, schema, bytes)?;
    again.clear();
    codec.encode(&value, again)?;
    if again == bytes {
        return Ok(value);
    }
    let at = again.iter().zip(bytes).take_while(|(written, stored)| written == stored).count();
    Err(CodecError::Malformed { at, what: "other bytes than its type writes" })
}

/// Decodes a value that was stored with the schema of its type.
fn same<T: DeserializeOwned>(
    codec: &impl Codec,
    schema: &Schema,
    bytes: &[u8],
) -> Result<T, CodecError> {
    checked(codec, schema, bytes)?;
    codec.decode(bytes)
}

/// Asserts that a value is neither too deep nor too long to be decoded, nor more than is decoded.
fn checked(codec: &impl Codec, schema: &Schema, bytes: &[u8]) -> Result<(), CodecError> {
    if schema.is_unbounded() || schema.is_lax() { codec.check(schema, bytes) } else { Ok(()) }
}
