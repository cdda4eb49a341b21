//! Everything that can be wrong with stored state, each with both sides of what did not agree.

use std::fmt;

use highwater_core::error::{Error, ErrorKind};
use highwater_core::key::KeyGroup;

use crate::format::codec::CodecError;
use crate::schema::{Difference, Schema, SchemaError};

/// Where in a part something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In the header.
    Header,
    /// In the block of a key group.
    Block(KeyGroup),
    /// In the index at the end.
    Footer,
    /// In a store that holds entries one by one.
    Store,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Header => write!(f, "the header"),
            Place::Block(group) => write!(f, "the block of key group {}", group.0),
            Place::Footer => write!(f, "the footer"),
            Place::Store => write!(f, "the store"),
        }
    }
}

/// Which of the three things that an entry consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The namespace, such as a window.
    Namespace,
    /// The key of the record.
    Key,
    /// What is stored for them.
    Value,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Namespace => "namespace",
            Role::Key => "key",
            Role::Value => "value",
        })
    }
}

/// A stored type that the program can no longer read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaMismatch {
    /// The uid of the operator.
    pub operator: String,
    /// The name of the state.
    pub state: String,
    /// Which of the three types it is.
    pub role: Role,
    /// What the part was written with.
    pub stored: Schema,
    /// What the program has now.
    pub expected: Schema,
    /// The first place at which they do not fit.
    pub difference: Difference,
}

impl fmt::Display for SchemaMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stored, expected) = (&self.stored, &self.expected);
        write!(
            f,
            "state {:?} of operator {:?}: the stored {} cannot be read as the type of the program: \
             {}; stored {} ({:016x}): {stored}; expected {} ({:016x}): {expected}",
            self.state,
            self.operator,
            self.role,
            self.difference,
            stored.name(),
            stored.fingerprint(),
            expected.name(),
            expected.fingerprint(),
        )
    }
}

/// Why stored state could not be written or read.
///
/// Offsets are bytes from the beginning of the part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes are something else.
    #[error("not a part of a snapshot: begins with {}, expected {}", hex(found), hex(expected))]
    Magic {
        /// The first bytes.
        found: Vec<u8>,
        /// What a part begins with.
        expected: [u8; 8],
    },
    /// The part was written by a newer version, or by none that ever was.
    #[error("format version {found} is not known, this program reads 1 to {newest}")]
    Version {
        /// The version in the part.
        found: u16,
        /// The newest version that can be read.
        newest: u16,
    },
    /// The bytes end too early.
    #[error("{place} is cut off: {needed} bytes are needed at byte {at}, {left} are left")]
    Truncated {
        /// What is cut off.
        place: Place,
        /// Where the missing thing begins.
        at: u64,
        /// How long it is, at least.
        needed: u64,
        /// How many bytes there are.
        left: u64,
    },
    /// The bytes are not those that were written.
    #[error("{place}, from byte {at}, is damaged: checksum {found:016x}, stored {stored:016x}")]
    Checksum {
        /// What is damaged.
        place: Place,
        /// Where the damaged bytes begin.
        at: u64,
        /// The checksum that is stored.
        stored: u64,
        /// The checksum of the bytes.
        found: u64,
    },
    /// There are bytes after the end.
    #[error("{extra} bytes too many after the end of {place} at byte {at}")]
    Trailing {
        /// What has ended.
        place: Place,
        /// Where it ended.
        at: u64,
        /// How many bytes follow.
        extra: u64,
    },
    /// A count does not fit to what it counts.
    #[error("{place} declares {declared} {what}, there are {found}")]
    Count {
        /// Where the count stands.
        place: Place,
        /// What is counted.
        what: &'static str,
        /// The declared count.
        declared: u64,
        /// What there is, or what there is room for.
        found: u64,
    },
    /// Something is not written as the format says.
    #[error("{place} is malformed at byte {at}: {what}")]
    Malformed {
        /// Where it is.
        place: Place,
        /// The offset.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Blocks or entries that must ascend do not.
    #[error("{place}: {what}")]
    Order {
        /// Where it is.
        place: Place,
        /// What does not ascend.
        what: &'static str,
    },
    /// The part belongs to another state.
    #[error("the part holds {}, expected {}", owner(found), owner(expected))]
    State {
        /// The uid of the operator and the name of the state in the part.
        found: (String, String),
        /// Those of the program.
        expected: (String, String),
    },
    /// The part belongs to a job with other key groups.
    #[error("the part was written with max parallelism {found}, the job has {expected}")]
    MaxParallelism {
        /// The one in the part.
        found: u32,
        /// The one of the job.
        expected: u32,
    },
    /// Values are encoded in another way.
    #[error("values are encoded with codec {found}, expected {expected}")]
    Codec {
        /// The id in the part.
        found: u16,
        /// The id of the program's codec.
        expected: u16,
    },
    /// The stored type is not what the program keeps, and nobody told how to convert it.
    #[error("{0}")]
    Schema(Box<SchemaMismatch>),
    /// A type has no schema.
    #[error("the {role} of state {state:?} of operator {operator:?} has no schema")]
    Untraceable {
        /// The uid of the operator.
        operator: String,
        /// The name of the state.
        state: String,
        /// Which of its types.
        role: Role,
        /// Why.
        source: SchemaError,
    },
    /// Changes name their keys by a hash that cannot be had without the type of the keys.
    #[error(
        "state {state:?} of operator {operator:?} is kept as changes that name their keys by a \
         hash, which cannot be derived from the stored type {key}; take a savepoint, where it is \
         whole"
    )]
    Unhashed {
        /// The uid of the operator.
        operator: String,
        /// The name of the state.
        state: String,
        /// The structure of the keys.
        key: String,
    },
    /// A key belongs to another key group.
    #[error("entry {entry} in {place} has a key of key group {}", found.0)]
    KeyGroup {
        /// Where it stands.
        place: Place,
        /// Which entry, from 0.
        entry: u64,
        /// The group that its hash gives.
        found: KeyGroup,
    },
    /// An entry could not be decoded.
    #[error("the {role} of entry {entry} in {place} cannot be read")]
    Decode {
        /// Where it stands.
        place: Place,
        /// Which entry, from 0.
        entry: u64,
        /// Which part of it.
        role: Role,
        /// Why.
        source: CodecError,
    },
    /// An entry could not be encoded.
    #[error("the {role} of entry {entry} in {place} cannot be written")]
    Encode {
        /// Where it would stand.
        place: Place,
        /// Which entry, from 0 in the order given.
        entry: u64,
        /// Which part of it.
        role: Role,
        /// Why.
        source: CodecError,
    },
    /// Something is longer than the format can say.
    #[error("{what} of {place} is {bytes} bytes long, at most {limit} fit")]
    TooLong {
        /// Where it would stand.
        place: Place,
        /// What it is.
        what: &'static str,
        /// Its length.
        bytes: u64,
        /// The greatest length.
        limit: u64,
    },
    /// The part could not be passed on.
    #[error("could not write {place}")]
    Io {
        /// What was being written.
        place: Place,
        /// The cause given by the system.
        source: std::io::Error,
    },
}

impl FormatError {
    /// Returns what the caller must do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            FormatError::Magic { .. }
            | FormatError::Truncated { .. }
            | FormatError::Checksum { .. }
            | FormatError::Trailing { .. }
            | FormatError::Count { .. }
            | FormatError::Malformed { .. }
            | FormatError::Order { .. }
            | FormatError::KeyGroup { .. }
            | FormatError::Decode { .. } => ErrorKind::Corrupt,
            FormatError::Version { .. }
            | FormatError::State { .. }
            | FormatError::MaxParallelism { .. }
            | FormatError::Codec { .. }
            | FormatError::Schema(_)
            | FormatError::Untraceable { .. }
            | FormatError::Unhashed { .. }
            | FormatError::Encode { .. }
            | FormatError::TooLong { .. } => ErrorKind::Invalid,
            FormatError::Io { .. } => ErrorKind::Retry,
        }
    }
}

impl From<FormatError> for Error {
    fn from(error: FormatError) -> Self {
        Error::state_of(error.kind(), error)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn owner((operator, state): &(String, String)) -> String {
    format!("state {state:?} of operator {operator:?}")
}
