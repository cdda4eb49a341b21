//! Parquet files as output, through Arrow.
//!
//! ```text
//! Record<T> --serde_arrow--> columns of 1024 rows --row groups, snappy--> DIR/part-00000.parquet
//! ```
//!
//! The schema is that of the type of the rows and the same in every file, so that the files of a job
//! are one table. It is found by asking `Deserialize` of the type for every field; a type that does
//! not say (one that is read from text of a certain form, say) is given its schema by hand.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::path::PathBuf;

use arrow_schema::FieldRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_arrow::ArrayBuilder;
use serde_arrow::schema::{SchemaLike, TracingOptions};

use highwater_core::error::{Error, Result};

use crate::part_file::{PartBytes, PartSink, RowError, RowFormat};

/// How many rows become columns at a time.
const BATCH_ROWS: usize = 1024;

/// Parquet files as output.
///
/// # Examples
/// ```
/// use highwater_connectors::format::parquet::ParquetFiles;
/// use highwater_core::record::Record;
/// use highwater_core::sink::{Sink, WriterContext};
/// use highwater_core::time::Epoch;
///
/// #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
/// struct Delay {
///     origin: String,
///     minutes: Option<i32>,
/// }
///
/// let dir = tempfile::tempdir().unwrap();
/// let mut writer = ParquetFiles::<Delay>::to(dir.path())?.open(WriterContext::new(0, 1))?;
/// let late = Delay { origin: "JFK".to_owned(), minutes: Some(12) };
/// writer.write(&mut vec![Record::new(0, late)])?;
/// for mut results in writer.pre_commit(Epoch(0))? {
///     results.prepare()?;
///     results.commit()?;
/// }
/// let bytes = std::fs::read(dir.path().join("part-00000.parquet")).unwrap();
/// assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
/// # Ok::<(), highwater_core::error::Error>(())
/// ```
#[derive(Debug)]
pub struct ParquetFiles<T = ()>(PhantomData<fn() -> T>);

impl<T: Serialize + DeserializeOwned> ParquetFiles<T> {
    /// Makes a sink that writes `part-*.parquet` into the folder `dir`, with a column for each field
    /// of `T`, a struct or a tuple.
    ///
    /// # Errors
    /// When the type does not say what its fields are, or has fields that no column can hold.
    pub fn to(dir: impl Into<PathBuf>) -> Result<ParquetSink> {
        Ok(ParquetSink::new(dir, ParquetFormat { fields: fields_of::<T>()? }))
    }
}

impl ParquetFiles {
    /// Makes a sink that writes `part-*.parquet` into the folder `dir`, with these columns.
    pub fn with_schema(dir: impl Into<PathBuf>, fields: Vec<FieldRef>) -> ParquetSink {
        ParquetSink::new(dir, ParquetFormat { fields })
    }
}

/// Writes Parquet; made by [`ParquetFiles::to`].
pub type ParquetSink = PartSink<ParquetFormat>;

/// Rows as columns, in row groups of the size that the Parquet library gives them.
#[derive(Clone, Debug)]
pub struct ParquetFormat {
    fields: Vec<FieldRef>,
}

/// Returns the columns for the fields of a type.
fn fields_of<T: DeserializeOwned>() -> Result<Vec<FieldRef>> {
    let options = TracingOptions::default().enums_without_data_as_strings(true);
    Vec::<FieldRef>::from_type::<T>(options).map_err(|cause| {
        Error::program(format!(
            "rows of type {} have no schema for Parquet, give them one: {}",
            std::any::type_name::<T>(),
            first_line(&cause)
        ))
    })
}

/// Writes rows into one Parquet file.
pub struct ParquetEncoder {
    writer: ArrowWriter<PartBytes>,
    columns: ArrayBuilder,
    /// How many rows are in `columns`.
    rows: usize,
}

impl fmt::Debug for ParquetEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetEncoder").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl ParquetEncoder {
    fn flush(&mut self) -> Result<(), RowError> {
        if self.rows == 0 {
            return Ok(());
        }
        self.rows = 0;
        let batch = self.columns.to_record_batch().map_err(unwritable)?;
        self.writer.write(&batch).map_err(refused)
    }
}

impl<T: Serialize> RowFormat<T> for ParquetFormat {
    type Encoder = ParquetEncoder;
    const EXTENSION: &'static str = "parquet";

    /// A Parquet file is written a row group at a time and needs no other buffer.
    fn start(&self, bytes: PartBytes, _: usize) -> Result<ParquetEncoder, RowError> {
        let mut columns = ArrayBuilder::from_arrow(&self.fields).map_err(unwritable)?;
        let schema = columns.to_record_batch().map_err(unwritable)?.schema();
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = ArrowWriter::try_new(bytes, schema, Some(properties)).map_err(refused)?;
        Ok(ParquetEncoder { writer, columns, rows: 0 })
    }

    fn encode(encoder: &mut ParquetEncoder, row: &T) -> Result<(), RowError> {
        encoder.columns.push(row).map_err(unwritable)?;
        encoder.rows += 1;
        if encoder.rows == BATCH_ROWS { encoder.flush() } else { Ok(()) }
    }

    /// Lags behind by the rows that are not yet columns.
    fn len(encoder: &ParquetEncoder) -> u64 {
        (encoder.writer.bytes_written() + encoder.writer.in_progress_size()) as u64
    }

    fn finish(mut encoder: ParquetEncoder) -> Result<PartBytes, RowError> {
        encoder.flush()?;
        encoder.writer.into_inner().map_err(refused)
    }
}

fn unwritable(cause: serde_arrow::Error) -> RowError {
    RowError::Row(first_line(&cause).into())
}

/// Returns what happened without the backtrace that may follow it.
fn first_line(cause: &serde_arrow::Error) -> String {
    cause.message().lines().next().unwrap_or_default().to_owned()
}

fn refused(error: ParquetError) -> RowError {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => RowError::Io(*error),
            Err(cause) => RowError::Row(cause),
        },
        other => RowError::Row(other.into()),
    }
}

#[cfg(test)]
mod tests;
