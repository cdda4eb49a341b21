//! CSV files, read and written with serde.
//!
//! ```text
//! file --csv--> row --serde, by the names in the header--> Record<T>
//! Record<T> --serde--> row --csv--> DIR/part-00000.csv
//! ```
//!
//! Files may be plain, gzip or zstd. Fields are separated by commas, quoted with `"` where needed,
//! and rows end with `\n` or `\r\n`. An empty field is `None` for an `Option`.

mod columns;
mod sink;
mod source;

use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::DeserializeOwned;

use highwater_core::record::Data;

use crate::part_file::PartSink;

pub use self::sink::{CsvFormat, CsvSink};
pub use self::source::{CsvReader, CsvSource};

/// CSV files, as input with [`at`](CsvFiles::at) and as output with [`to`](CsvFiles::to).
///
/// # Examples
/// ```
/// use highwater_connectors::format::csv::CsvFiles;
/// use highwater_core::record::Record;
/// use highwater_core::sink::{Sink, WriterContext};
/// use highwater_core::source::{Poll, Reader, Source};
/// use highwater_core::time::Epoch;
///
/// #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
/// struct Delay {
///     origin: String,
///     minutes: Option<i32>,
/// }
///
/// let dir = tempfile::tempdir().unwrap();
/// let mut writer = CsvFiles::to(dir.path()).with_header().open(WriterContext::new(0, 1))?;
/// let late = Delay { origin: "JFK".to_owned(), minutes: Some(12) };
/// let lost = Delay { origin: "LGA".to_owned(), minutes: None };
/// writer.write(&mut vec![Record::new(0, late.clone()), Record::new(0, lost.clone())])?;
/// for mut results in writer.pre_commit(Epoch(0))? {
///     results.prepare()?;
///     results.commit()?;
/// }
/// let text = std::fs::read_to_string(dir.path().join("part-00000.csv")).unwrap();
/// assert_eq!(text, "origin,minutes\nJFK,12\nLGA,\n");
///
/// let source = CsvFiles::<Delay>::at(dir.path());
/// let mut read = Vec::new();
/// let splits = source.splits(1)?;
/// assert_eq!(source.open(&splits[0])?.poll(&mut read, 100)?, Poll::End);
/// assert_eq!([&read[0].value, &read[1].value], [&late, &lost]);
/// # Ok::<(), highwater_core::error::Error>(())
/// ```
pub struct CsvFiles<T = ()>(PhantomData<fn() -> T>);

impl<T: Data + DeserializeOwned> CsvFiles<T> {
    /// Makes a source of the rows of a file, or of all the files in a folder.
    ///
    /// - output: a record for each row, without event time.
    /// - state: one row.
    ///
    /// Each file begins with a header, whose names are matched with those of the fields of `T`;
    /// columns that `T` does not have are ignored.
    pub fn at(path: impl Into<PathBuf>) -> CsvSource<T> {
        CsvSource::new(path.into())
    }
}

impl CsvFiles {
    /// Makes a sink that writes `part-*.csv` into the folder `dir`, one file a worker.
    pub fn to(dir: impl Into<PathBuf>) -> CsvSink {
        PartSink::new(dir, CsvFormat::default())
    }
}

#[cfg(test)]
mod tests;
