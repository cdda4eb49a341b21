//! CSV files as output.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use ::csv::{ErrorKind, WriterBuilder};
use serde::Serialize;

use highwater_core::error::Result;
use highwater_core::record::Data;
use highwater_core::sink::{Sink, Writer, WriterContext};

use crate::part_file::{PartFiles, RowError, RowFormat};

/// How many bytes are collected before they are written to the file.
const BUFFER_BYTES: usize = 64 * 1024;

/// Writes CSV; made by [`CsvFiles::to`](super::CsvFiles::to).
///
/// Values are written as serde gives them: structs, tuples and single values, but nothing nested.
/// What is visible when, and what is refused, is said in [`part_file`](crate::part_file).
#[derive(Clone, Debug)]
pub struct CsvSink {
    files: PartFiles,
    format: CsvFormat,
}

impl CsvSink {
    pub(super) fn new(dir: PathBuf) -> Self {
        CsvSink { files: PartFiles::new(dir), format: CsvFormat { header: false, delimiter: b',' } }
    }

    /// Begins every file with the names of the fields, which only a struct has.
    #[must_use]
    pub fn with_header(mut self) -> Self {
        self.format.header = true;
        self
    }

    /// Sets the character between two fields, instead of a comma.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.format.delimiter = delimiter;
        self
    }

    /// Sets how the names of the files begin, instead of `part`.
    #[must_use]
    pub fn named(mut self, prefix: impl Into<String>) -> Self {
        self.files.prefix = prefix.into();
        self
    }

    /// Sets whether results that are already in the folder may be replaced.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.files.overwrite = overwrite;
        self
    }
}

impl<T: Data + Serialize> Sink<T> for CsvSink {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer<T>>> {
        Ok(Box::new(self.files.open(self.format, context)?))
    }
}

/// How rows are written down.
#[derive(Clone, Copy, Debug)]
struct CsvFormat {
    header: bool,
    delimiter: u8,
}

impl RowFormat for CsvFormat {
    type Encoder = ::csv::Writer<File>;
    const EXTENSION: &'static str = "csv";

    fn start(&self, file: File) -> Self::Encoder {
        WriterBuilder::new()
            .has_headers(self.header)
            .delimiter(self.delimiter)
            .buffer_capacity(BUFFER_BYTES)
            .from_writer(file)
    }

    fn encode<T: Serialize>(encoder: &mut Self::Encoder, row: &T) -> Result<(), RowError> {
        encoder.serialize(row).map_err(|error| match error.into_kind() {
            ErrorKind::Io(error) => RowError::Io(error),
            ErrorKind::Serialize(problem) => RowError::Row(problem.into()),
            ErrorKind::UnequalLengths { expected_len, len, .. } => {
                RowError::Row(format!("it has {len} fields, the first has {expected_len}").into())
            }
            other => RowError::Row(format!("{other:?}").into()),
        })
    }

    fn finish(encoder: Self::Encoder) -> io::Result<File> {
        encoder.into_inner().map_err(::csv::IntoInnerError::into_error)
    }
}
