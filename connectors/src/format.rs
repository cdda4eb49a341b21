//! How records are written down in files, and what can be wrong with them.

pub mod csv;
pub mod graph;
pub mod json;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod text;

use std::io;

use crate::file::Compression;

/// What is wrong with an input, apart from its path and line, which
/// [`Error::Input`](highwater_core::error::Error::Input) carries.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A folder has no file that could be read.
    #[error("the folder holds no file to read")]
    NoFiles,
    /// Only a folder can be watched.
    #[error("it is no folder, which could be watched")]
    NoFolder,
    /// A file of a watched folder is not the one that was being read.
    #[error("the file was changed while it was read, files of a watched folder must not be")]
    Changed,
    /// A compressed file ends too early or is damaged.
    #[error("the {compression} data is {}", cut_off_or_damaged(.source))]
    Compressed {
        /// How the file is compressed.
        compression: Compression,
        /// What the decoder said.
        source: io::Error,
    },
    /// A file ends before the place at which a checkpoint says to go on.
    #[error("the file has {found} bytes, but {expected} had been read of it before")]
    Shorter {
        /// How many bytes it has, after decompression.
        found: u64,
        /// How many come before the place.
        expected: u64,
    },
    /// Text is not UTF-8.
    #[error("byte {byte} of the line is not valid UTF-8")]
    Encoding {
        /// The first byte that is wrong, counted from 1.
        byte: usize,
    },
    /// A file that should begin with a header is empty.
    #[error("the file is empty, expected a header")]
    NoHeader,
    /// The header lacks a column that the record type needs.
    #[error("there is no column {column:?}, the header has {}", .found.join(", "))]
    MissingColumn {
        /// The column, by the name of the field.
        column: String,
        /// The columns that are there.
        found: Vec<String>,
    },
    /// A row has more or fewer fields than the first one.
    #[error("the row has {found} fields, expected {expected}")]
    FieldCount {
        /// How many it has.
        found: u64,
        /// How many the header or the first row has.
        expected: u64,
    },
    /// A field of a row has a value that its type does not allow.
    #[error("column {column} has {value:?}: {problem}")]
    Field {
        /// The column by its name in quotes, or by its number from 1 without a header.
        column: String,
        /// What the field holds.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A row cannot be read as a record, for a reason that concerns no single field.
    #[error("{problem}")]
    Row {
        /// What is wrong with it.
        problem: String,
    },
    /// A line is not the JSON of a record.
    #[error("column {column}: {problem}")]
    Json {
        /// Where in the line, in bytes counted from 1.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
}

fn cut_off_or_damaged(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => "cut off",
        _ => "damaged",
    }
}
