//! CSV files as output.

use ::csv::{ErrorKind, WriterBuilder};
use serde::Serialize;

use crate::part_file::{PartBytes, PartSink, RowError, RowFormat};

/// Writes CSV; made by [`CsvFiles::to`](super::CsvFiles::to).
///
/// Values are written as serde gives them: structs, tuples and single values, but nothing nested.
pub type CsvSink = PartSink<CsvFormat>;

impl CsvSink {
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
}

/// How rows are written down as CSV.
#[derive(Clone, Copy, Debug)]
pub struct CsvFormat {
    header: bool,
    delimiter: u8,
}

impl Default for CsvFormat {
    fn default() -> Self {
        CsvFormat { header: false, delimiter: b',' }
    }
}

impl<T: Serialize> RowFormat<T> for CsvFormat {
    type Encoder = ::csv::Writer<PartBytes>;
    const EXTENSION: &'static str = "csv";

    fn start(&self, bytes: PartBytes, buffer_bytes: usize) -> Result<Self::Encoder, RowError> {
        Ok(WriterBuilder::new()
            .has_headers(self.header)
            .delimiter(self.delimiter)
            .buffer_capacity(buffer_bytes)
            .from_writer(bytes))
    }

    fn encode(encoder: &mut Self::Encoder, row: &T) -> Result<(), RowError> {
        encoder.serialize(row).map_err(|error| match error.into_kind() {
            ErrorKind::Io(error) => RowError::Io(error),
            ErrorKind::Serialize(problem) => RowError::Row(problem.into()),
            ErrorKind::UnequalLengths { expected_len, len, .. } => {
                RowError::Row(format!("it has {len} fields, the first has {expected_len}").into())
            }
            other => RowError::Row(format!("{other:?}").into()),
        })
    }

    /// Lags behind by what is buffered.
    fn len(encoder: &Self::Encoder) -> u64 {
        encoder.get_ref().written()
    }

    fn finish(encoder: Self::Encoder) -> Result<PartBytes, RowError> {
        encoder.into_inner().map_err(|error| RowError::Io(error.into_error()))
    }
}
