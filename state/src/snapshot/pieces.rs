//! Single namespaces, keys and values as bytes, as a store holds them.

use highwater_core::key::Key;

use crate::format::{Codec, CodecError, FormatError, Place, Postcard, Role};
use crate::snapshot::{StateFormat, Stored};

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

    /// Decodes a key.
    pub(crate) fn key_from(&self, bytes: &[u8]) -> Result<K, FormatError> {
        self.codec.decode(bytes).map_err(decoding(Role::Key))
    }

    /// Decodes a value of the present type.
    pub(crate) fn value_from(&self, bytes: &[u8]) -> Result<V, FormatError> {
        self.codec.decode(bytes).map_err(decoding(Role::Value))
    }
}
