//! Where the bytes of a part are: in the manifest, or in an object of their own.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::StorageError;
use crate::storage::{ObjectRef, Storage};

/// The size from which a part is an object of its own, in bytes.
pub const INLINE_BYTES_MAX: usize = 20 << 10;

/// Where the bytes of a part are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartRef {
    /// Here; the checksum of the manifest covers them. Base64 in JSON.
    #[serde(serialize_with = "encode", deserialize_with = "decode")]
    Inline(Bytes),
    /// In this object.
    File(ObjectRef),
}

impl PartRef {
    /// Returns the object that holds the bytes, if they are not here.
    #[must_use]
    pub fn object(&self) -> Option<&ObjectRef> {
        match self {
            PartRef::Inline(_) => None,
            PartRef::File(object) => Some(object),
        }
    }

    /// Returns how many bytes there are.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            PartRef::Inline(content) => content.len() as u64,
            PartRef::File(object) => object.bytes,
        }
    }
}

impl Storage {
    /// Keeps the bytes of a part: in the reference if they are few, else in an object.
    ///
    /// - `path`: where to put them if they are many, see [`crate::storage::file_path`].
    ///
    /// # Errors
    /// If the store did not take them.
    pub async fn put_part(
        &self,
        path: &str,
        content: impl Into<Bytes>,
    ) -> Result<PartRef, StorageError> {
        let content = content.into();
        if content.len() < INLINE_BYTES_MAX {
            // A copy, so that a few bytes do not hold on to the buffer they were cut from.
            return Ok(PartRef::Inline(Bytes::copy_from_slice(&content)));
        }
        Ok(PartRef::File(self.put(path, content).await?))
    }

    /// Returns the bytes of a part, compared with what was written.
    ///
    /// # Errors
    /// If the object that holds them is missing, damaged or cannot be read.
    pub async fn part(&self, part: &PartRef) -> Result<Bytes, StorageError> {
        match part {
            PartRef::Inline(content) => Ok(content.clone()),
            PartRef::File(object) => self.get(object).await,
        }
    }
}

fn encode<S: Serializer>(content: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(content))
}

fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64_STANDARD.decode(text).map(Bytes::from).map_err(D::Error::custom)
}
