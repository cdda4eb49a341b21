//! Single namespaces, keys and values as bytes, as a store holds them, and the slots of a delta.

use highwater_core::key::{Key, KeyGroup, KeyGroupRange};

use crate::format::{
    Block, Codec, CodecError, FormatError, Header, PartReader, PartWriter, Place, Postcard, Role,
    Schemas,
};
use crate::schema::Schema;
use crate::snapshot::{StateFormat, Stored};

/// What is added to the name of a state to name the slots of its deltas.
const SLOTS: &str = "/slots";

fn encoding(role: Role) -> impl FnOnce(CodecError) -> FormatError {
    move |source| FormatError::Encode { place: Place::Store, entry: 0, role, source }
}

fn decoding(role: Role) -> impl FnOnce(CodecError) -> FormatError {
    move |source| FormatError::Decode { place: Place::Store, entry: 0, role, source }
}

impl<N: Stored, K: Key, V: Stored> StateFormat<N, K, V, Postcard> {
    /// Encodes a namespace.
    pub(crate) fn namespace_bytes(&self, namespace: &N) -> Result<Vec<u8>, FormatError> {
        let mut bytes = Vec::new();
        self.codec.encode(namespace, &mut bytes).map_err(encoding(Role::Namespace))?;
        Ok(bytes)
    }

    /// Appends an encoded key.
    pub(crate) fn key_bytes(&self, key: &K, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.codec.encode(key, out).map_err(encoding(Role::Key))
    }

    /// Appends an encoded value.
    pub(crate) fn value_bytes(&self, value: &V, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.codec.encode(value, out).map_err(encoding(Role::Value))
    }

    /// Decodes a namespace.
    pub(crate) fn namespace_from(&self, bytes: &[u8]) -> Result<N, FormatError> {
        self.codec.decode(bytes).map_err(decoding(Role::Namespace))
    }

    /// Decodes a key.
    pub(crate) fn key_from(&self, bytes: &[u8]) -> Result<K, FormatError> {
        self.codec.decode(bytes).map_err(decoding(Role::Key))
    }

    /// Decodes a value of the present type.
    pub(crate) fn value_from(&self, bytes: &[u8]) -> Result<V, FormatError> {
        self.codec.decode(bytes).map_err(decoding(Role::Value))
    }

    /// Joins the slots that a delta replaces to a part of their own.
    pub(crate) fn slots_part(
        &self,
        range: KeyGroupRange,
        blocks: &[Block],
    ) -> Result<Vec<u8>, FormatError> {
        let header = Header {
            max_parallelism: self.groups.count(),
            range,
            codec: Postcard::ID,
            blocks: blocks.len() as u32,
            entries: blocks.iter().map(Block::entries).sum(),
            operator: self.operator.clone(),
            state: format!("{}{SLOTS}", self.state),
            schemas: Schemas {
                namespace: self.schemas.namespace.clone(),
                key: Schema::opaque("nothing", 1),
                value: Schema::opaque("slots", 1),
            },
        };
        let mut writer = PartWriter::new(Vec::new(), header)?;
        for block in blocks {
            writer.block(block)?;
        }
        writer.finish()
    }

    /// Reads the slots that a delta replaces, those of the groups in a range.
    ///
    /// - `forget`: takes a key group, a namespace and the words of its marks, none for all keys.
    pub(crate) fn read_slots(
        &self,
        bytes: &[u8],
        range: KeyGroupRange,
        mut forget: impl FnMut(KeyGroup, N, Vec<u64>),
    ) -> Result<(), FormatError> {
        let part = PartReader::open(bytes)?;
        let header = part.header();
        let expected = format!("{}{SLOTS}", self.state);
        if (&header.operator, &header.state) != (&self.operator, &expected) {
            return Err(FormatError::State {
                found: (header.operator.clone(), header.state.clone()),
                expected: (self.operator.clone(), expected),
            });
        }
        for block in part.blocks(range) {
            let mut block = block?;
            let group = block.group();
            for entry in &mut block {
                let entry = entry?;
                let words = entry
                    .value
                    .chunks(8)
                    .map(|word| word.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)));
                forget(group, self.namespace_from(entry.namespace)?, words.collect());
            }
        }
        Ok(())
    }
}
