//! What a part says about itself before its entries.

use highwater_core::key::{KeyGroup, KeyGroupRange, MAX_PARALLELISM};

use crate::format::bytes::{Cursor, fits, put_text};
use crate::format::error::{FormatError, Place, Role};
use crate::format::{CHECKSUM_BYTES, MAGIC, VERSION, checksum};
use crate::schema::{self, Schema};

/// The bytes of magic, version and length.
const PREFIX_BYTES: u64 = 14;

/// The types of the entries of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schemas {
    /// The namespace.
    pub namespace: Schema,
    /// The key.
    pub key: Schema,
    /// The value.
    pub value: Schema,
}

impl Schemas {
    /// Returns the three schemas with their roles, in the order in which they are stored.
    #[must_use]
    pub fn roles(&self) -> [(Role, &Schema); 3] {
        [(Role::Namespace, &self.namespace), (Role::Key, &self.key), (Role::Value, &self.value)]
    }
}

/// The header of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The number of key groups of the job, which never changes once there is state.
    pub max_parallelism: u32,
    /// The groups that the part stands for, whether they have entries or not.
    pub range: KeyGroupRange,
    /// The id of the codec of namespaces, keys and values.
    pub codec: u16,
    /// How many blocks there are.
    pub blocks: u32,
    /// How many entries all blocks have together.
    pub entries: u64,
    /// The uid of the operator.
    pub operator: String,
    /// The name of the state, unique within the operator.
    pub state: String,
    /// The types of the entries.
    pub schemas: Schemas,
}

impl Header {
    /// Asserts that the key groups are possible ones.
    fn validate(&self) -> Result<(), &'static str> {
        let KeyGroupRange { first, last } = self.range;
        if self.max_parallelism == 0 || self.max_parallelism > MAX_PARALLELISM {
            return Err("an impossible max parallelism");
        }
        if first > last || u32::from(last.0) >= self.max_parallelism {
            return Err("an impossible range of key groups");
        }
        if self.blocks as usize > self.range.count() {
            return Err("more blocks than key groups");
        }
        Ok(())
    }

    /// Writes the header; returns its bytes and its checksum.
    pub(super) fn write(&self) -> Result<(Vec<u8>, u64), FormatError> {
        let place = Place::Header;
        self.validate().map_err(|what| FormatError::Malformed { place, at: 0, what })?;
        let mut body = Vec::new();
        body.extend_from_slice(&self.max_parallelism.to_le_bytes());
        body.extend_from_slice(&self.range.first.0.to_le_bytes());
        body.extend_from_slice(&self.range.last.0.to_le_bytes());
        body.extend_from_slice(&self.codec.to_le_bytes());
        body.extend_from_slice(&self.blocks.to_le_bytes());
        body.extend_from_slice(&self.entries.to_le_bytes());
        put_text(&mut body, "the uid of the operator", &self.operator)?;
        put_text(&mut body, "the name of the state", &self.state)?;
        for (_, schema) in self.schemas.roles() {
            let structure = schema.to_bytes();
            body.extend_from_slice(&schema.fingerprint().to_le_bytes());
            put_text(&mut body, "the name of a type", schema.name())?;
            body.extend_from_slice(&fits(place, "a schema", structure.len())?.to_le_bytes());
            body.extend_from_slice(&structure);
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&fits(place, "the header", body.len())?.to_le_bytes());
        bytes.extend_from_slice(&body);
        let sum = checksum(&bytes, 0);
        bytes.extend_from_slice(&sum.to_le_bytes());
        Ok((bytes, sum))
    }

    /// Reads the header; returns it with its length and its checksum.
    pub(super) fn read(part: &[u8]) -> Result<(Self, u64, u64), FormatError> {
        let mut cursor = Cursor::new(part, 0, Place::Header);
        let magic = part.get(..MAGIC.len()).unwrap_or(part);
        if !MAGIC.starts_with(magic) {
            return Err(FormatError::Magic { found: magic.to_vec(), expected: MAGIC });
        }
        cursor.take(MAGIC.len() as u64)?;
        let version = cursor.u16()?;
        if version == 0 || version > VERSION {
            return Err(FormatError::Version { found: version, newest: VERSION });
        }
        let length = u64::from(cursor.u32()?);
        let body = cursor.take(length)?;
        let stored = cursor.u64()?;
        let covered = (PREFIX_BYTES + length) as usize;
        let found = checksum(part.get(..covered).unwrap_or(part), 0);
        if stored != found {
            return Err(FormatError::Checksum { place: Place::Header, at: 0, stored, found });
        }
        let header = Header::read_body(Cursor::new(body, PREFIX_BYTES, Place::Header))?;
        Ok((header, PREFIX_BYTES + length + CHECKSUM_BYTES, stored))
    }

    fn read_body(mut cursor: Cursor<'_>) -> Result<Self, FormatError> {
        let max_parallelism = cursor.u32()?;
        let (first, last) = (KeyGroup(cursor.u16()?), KeyGroup(cursor.u16()?));
        let header = Header {
            max_parallelism,
            range: KeyGroupRange { first, last },
            codec: cursor.u16()?,
            blocks: cursor.u32()?,
            entries: cursor.u64()?,
            operator: cursor.text()?.to_owned(),
            state: cursor.text()?.to_owned(),
            schemas: Schemas {
                namespace: read_schema(&mut cursor)?,
                key: read_schema(&mut cursor)?,
                value: read_schema(&mut cursor)?,
            },
        };
        cursor.finish()?;
        header.validate().map_err(|what| cursor.malformed(what))?;
        Ok(header)
    }
}

fn read_schema(cursor: &mut Cursor<'_>) -> Result<Schema, FormatError> {
    let fingerprint = cursor.u64()?;
    let name = cursor.text()?;
    let length = u64::from(cursor.u32()?);
    let mut structure = Cursor::new(cursor.take(length)?, cursor.at() - length, Place::Header);
    let schema = schema::read(&mut structure)?;
    structure.finish()?;
    if schema.fingerprint() != fingerprint || schema.name() != name {
        return Err(cursor.malformed("a schema that is not the one it is said to be"));
    }
    Ok(schema)
}
