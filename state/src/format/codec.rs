//! How keys, namespaces and values become bytes.
//!
//! The default is postcard: compact, stable, and a function of the value alone as long as the value
//! is (a `BTreeMap` is, a `HashMap` is not: its order is not part of it). Where the stored type is
//! an older form of the present one, `evolve.rs` reads postcard's bytes by the stored schema.

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::format::evolve::decode_evolved;
use crate::format::walk::walk;
use crate::schema::Schema;

/// Why a key, a namespace or a value could not be encoded or decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes end within the value.
    #[error("it is cut off at byte {at}")]
    Truncated {
        /// The offset within the value.
        at: usize,
    },
    /// There are bytes after the value.
    #[error("{extra} bytes follow after its end")]
    Trailing {
        /// How many.
        extra: usize,
    },
    /// The bytes are not what the schema says.
    #[error("byte {at}: {what}")]
    Malformed {
        /// The offset within the value.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// The value is nested too deep.
    #[error("it is nested deeper than {limit}")]
    Deep {
        /// The greatest depth.
        limit: usize,
    },
    /// The type refused what was read.
    #[error("its type refuses it: {message}")]
    Refused {
        /// What the type said.
        message: String,
    },
    /// The type writes other bytes than its schema describes: its `Serialize` and `Deserialize` do
    /// not agree (`skip_serializing_if` is one way to get there).
    #[error("its type writes something else than it reads")]
    Disagreement {
        /// Where the written bytes leave the schema.
        source: Box<CodecError>,
    },
    /// Postcard failed.
    #[error("postcard")]
    Postcard(#[from] postcard::Error),
}

/// Turns values into bytes and back.
///
/// # Contract
/// - *Whole*: decoding consumes all bytes or fails.
/// - *Total*: no bytes make decoding panic, or allocate more than a constant multiple of them.
/// - *For ever*: what an id has written once is decoded by every later version of the codec.
/// - *Fixed*: equal values give equal bytes, else equal state would not give equal snapshots.
pub trait Codec: Send + Sync + 'static {
    /// Identifies the codec in stored state.
    const ID: u16;

    /// Appends the bytes of a value.
    ///
    /// # Errors
    /// When the value cannot be written.
    fn encode<T: Serialize>(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads a value whose stored schema is the one of `T`.
    ///
    /// # Errors
    /// When the bytes are not exactly one value.
    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CodecError>;

    /// Reads a value that was stored with another schema, which is
    /// [readable as](Schema::readable_as) the one of `T`.
    ///
    /// # Errors
    /// When the bytes are not exactly one value.
    fn decode_evolved<T: DeserializeOwned>(
        &self,
        stored: &Schema,
        bytes: &[u8],
    ) -> Result<T, CodecError>;

    /// Asserts that bytes are one value as the schema describes it, not nested too deep to be read.
    ///
    /// # Errors
    /// When they are not.
    fn check(&self, schema: &Schema, bytes: &[u8]) -> Result<(), CodecError>;
}

/// The default codec: [postcard](https://postcard.jamesmunns.com/wire-format), version 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postcard;

impl Codec for Postcard {
    const ID: u16 = 1;

    fn encode<T: Serialize>(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        Ok(postcard::serialize_with_flavor(value, Append(out))?)
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, CodecError> {
        match postcard::take_from_bytes(bytes)? {
            (value, []) => Ok(value),
            (_, rest) => Err(CodecError::Trailing { extra: rest.len() }),
        }
    }

    fn decode_evolved<T: DeserializeOwned>(
        &self,
        stored: &Schema,
        bytes: &[u8],
    ) -> Result<T, CodecError> {
        decode_evolved(stored, bytes)
    }

    fn check(&self, schema: &Schema, bytes: &[u8]) -> Result<(), CodecError> {
        walk(schema, bytes)
    }
}

/// Appends postcard's bytes to those that are there.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
