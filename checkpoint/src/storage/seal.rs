//! The envelope of objects that describe themselves: slots of the log, manifests, markers.
//!
//! ```text
//! magic 8 | version u16 | kind u16 | length u64 | checksum u64 | body
//!                                                  '-- xxh3 of what stands before it, and the body
//! ```
//! Numbers are little-endian, the length is that of the body, the body is JSON.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3;

use crate::error::StorageError;

const MAGIC: &[u8; 8] = b"highwatr";
const VERSION: u16 = 1;
const CHECKED_BYTES: usize = 20;
const HEADER_BYTES: usize = 28;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A slot of the log or its copy.
    Slot = 1,
    /// The manifest of a checkpoint or savepoint.
    Manifest = 2,
    /// The marker of a checkpoint whose effects are visible.
    Marker = 3,
}

fn checksum(head: &[u8], body: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(head);
    hash.update(body);
    hash.digest()
}

/// Returns the object that holds `value`.
///
/// # Errors
/// If the value cannot be written as JSON.
pub(crate) fn seal<T: Serialize>(path: &str, kind: Kind, value: &T) -> Result<Bytes, StorageError> {
    let mut object = vec![0; HEADER_BYTES];
    serde_json::to_writer(&mut object, value).map_err(|error| StorageError::Foreign {
        path: path.into(),
        problem: "its content cannot be written as JSON".into(),
        source: Some(error.into()),
    })?;
    let (header, body) = object.split_at_mut(HEADER_BYTES);
    header[..8].copy_from_slice(MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    header[10..12].copy_from_slice(&(kind as u16).to_le_bytes());
    header[12..20].copy_from_slice(&(body.len() as u64).to_le_bytes());
    let checksum = checksum(&header[..CHECKED_BYTES], body);
    header[20..].copy_from_slice(&checksum.to_le_bytes());
    Ok(object.into())
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut number = [0; N];
    number.copy_from_slice(&bytes[at..at + N]);
    number
}

/// Returns what an object holds.
///
/// # Errors
/// If it is not whole, not of this kind, or of a later version.
pub(crate) fn unseal<T: DeserializeOwned>(
    path: &str,
    kind: Kind,
    object: &[u8],
) -> Result<T, StorageError> {
    let found = object.len() as u64;
    if object.len() < HEADER_BYTES {
        return Err(StorageError::Length {
            path: path.into(),
            expected: HEADER_BYTES as u64,
            found,
        });
    }
    let (header, body) = object.split_at(HEADER_BYTES);
    if &header[..8] != MAGIC {
        return Err(StorageError::foreign(path, "not an object of a checkpoint, or damaged"));
    }
    let length = u64::from_le_bytes(number(header, 12));
    if length != body.len() as u64 {
        let expected = length.saturating_add(HEADER_BYTES as u64);
        return Err(StorageError::Length { path: path.into(), expected, found });
    }
    let expected = u64::from_le_bytes(number(header, 20));
    let found = checksum(&header[..CHECKED_BYTES], body);
    if expected != found {
        return Err(StorageError::Checksum { path: path.into(), expected, found });
    }
    let version = u16::from_le_bytes(number(header, 8));
    if version > VERSION {
        return Err(StorageError::Version {
            path: path.into(),
            found: version.into(),
            known: VERSION.into(),
        });
    }
    let stored = u16::from_le_bytes(number(header, 10));
    if stored != kind as u16 {
        let problem = format!("an object of kind {stored} instead of {}", kind as u16);
        return Err(StorageError::foreign(path, problem));
    }
    serde_json::from_slice(body).map_err(|error| StorageError::Foreign {
        path: path.into(),
        problem: "its content is not what was expected".into(),
        source: Some(error.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Vec<u8> {
        seal("marker", Kind::Marker, &vec!["one", "two"]).unwrap().to_vec()
    }

    #[test]
    fn what_was_sealed_is_read_again() {
        let read: Vec<String> = unseal("marker", Kind::Marker, &object()).unwrap();
        assert_eq!(read, ["one", "two"]);
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_found() {
        let object = object();
        for length in 0..object.len() {
            let read = unseal::<Vec<String>>("marker", Kind::Marker, &object[..length]);
            assert!(read.unwrap_err().is_damage(), "of {length} bytes");
        }
        for bit in 0..object.len() * 8 {
            let mut flipped = object.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = unseal::<Vec<String>>("marker", Kind::Marker, &flipped);
            assert!(read.unwrap_err().is_damage(), "bit {bit}");
        }
    }

    #[test]
    fn an_object_of_another_kind_is_refused() {
        let read = unseal::<Vec<String>>("m", Kind::Manifest, &object());
        assert_eq!(read.unwrap_err().to_string(), "m: an object of kind 3 instead of 2");
    }

    #[test]
    fn a_later_version_is_told_apart_from_damage() {
        let mut object = object();
        object[8] = 9;
        let checksum = checksum(&object[..CHECKED_BYTES], &object[HEADER_BYTES..]);
        object[20..28].copy_from_slice(&checksum.to_le_bytes());
        let error = unseal::<Vec<String>>("m", Kind::Marker, &object).unwrap_err();
        assert!(matches!(error, StorageError::Version { found: 9, known: 1, .. }), "{error}");
        assert!(!error.is_damage());
    }
}
