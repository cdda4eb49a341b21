//! JSON Lines: one JSON value a line, read and written with serde.

use std::io::{BufWriter, Write};
use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use highwater_core::error::Result;
use highwater_core::record::{Batch, Data, Record};
use highwater_core::source::{Boundedness, Poll, Reader, Source};
use highwater_core::time::NO_EVENT_TIME;

use crate::file::{self, FileSplit};
use crate::format::Malformed;
use crate::lines::Lines;
use crate::offset::FileOffset;
use crate::part_file::{PartBytes, PartSink, RowError, RowFormat};
use crate::watch::Watch;

/// JSON Lines files, as input with [`at`](JsonLines::at) and as output with [`to`](JsonLines::to).
///
/// # Examples
/// ```
/// use highwater_connectors::format::json::JsonLines;
/// use highwater_core::record::Record;
/// use highwater_core::sink::{Sink, WriterContext};
/// use highwater_core::source::{Poll, Reader, Source};
/// use highwater_core::time::Epoch;
///
/// let dir = tempfile::tempdir().unwrap();
/// let mut writer = JsonLines::to(dir.path()).open(WriterContext::new(0, 1))?;
/// writer.write(&mut vec![Record::new(0, ("JFK", 3)), Record::new(1, ("LGA", 5))])?;
/// for mut results in writer.pre_commit(Epoch(0))? {
///     results.prepare()?;
///     results.commit()?;
/// }
/// let text = std::fs::read_to_string(dir.path().join("part-00000.jsonl")).unwrap();
/// assert_eq!(text, "[\"JFK\",3]\n[\"LGA\",5]\n");
///
/// let source = JsonLines::<(String, u32)>::at(dir.path());
/// let mut read = Vec::new();
/// let splits = source.splits(1)?;
/// assert_eq!(source.open(&splits[0])?.poll(&mut read, 100)?, Poll::End);
/// assert_eq!(read[1].value, ("LGA".to_owned(), 5));
/// # Ok::<(), highwater_core::error::Error>(())
/// ```
pub struct JsonLines<T = ()>(PhantomData<fn() -> T>);

impl<T: Data + DeserializeOwned> JsonLines<T> {
    /// Makes a source of the lines of a file, or of all the files in a folder.
    ///
    /// - output: a record for each line, without event time; blank lines are skipped.
    /// - state: one line.
    pub fn at(path: impl Into<PathBuf>) -> JsonSource<T> {
        JsonSource { path: path.into(), item: PhantomData }
    }
}

impl JsonLines {
    /// Makes a sink that writes `part-*.jsonl` into the folder `dir`, one file a worker.
    pub fn to(dir: impl Into<PathBuf>) -> JsonSink {
        JsonSink::new(dir, JsonFormat)
    }
}

/// Reads JSON Lines; made by [`JsonLines::at`].
pub struct JsonSource<T> {
    path: PathBuf,
    item: PhantomData<fn() -> T>,
}

impl<T> JsonSource<T> {
    /// Reads the files of the folder as they appear in it, instead of those that are there now.
    ///
    /// - `interval`: how long to wait before the folder is listed again.
    ///
    /// What whoever writes the files must do is said in [`watch`](crate::watch).
    #[must_use]
    pub fn watch(self, interval: Duration) -> Watch<Self> {
        Watch::new(self.path.clone(), interval, self)
    }
}

impl<T> Clone for JsonSource<T> {
    fn clone(&self) -> Self {
        JsonSource { path: self.path.clone(), item: PhantomData }
    }
}

impl<T: Data + DeserializeOwned> Source for JsonSource<T> {
    type Item = T;
    type Split = FileSplit;
    type Reader = JsonReader<T>;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self, _parallelism: usize) -> Result<Vec<FileSplit>> {
        file::list(&self.path)
    }

    fn open(&self, split: &FileSplit) -> Result<JsonReader<T>> {
        Ok(JsonReader { lines: Lines::open(split)?, item: PhantomData })
    }

    fn resume(&self, split: &FileSplit, offset: &FileOffset) -> Result<JsonReader<T>> {
        Ok(JsonReader { lines: Lines::resume(split, offset)?, item: PhantomData })
    }
}

/// Reads one file of JSON Lines.
pub struct JsonReader<T> {
    lines: Lines,
    item: PhantomData<fn() -> T>,
}

impl<T: Data + DeserializeOwned> Reader for JsonReader<T> {
    type Item = T;
    type Offset = FileOffset;

    fn offset(&self) -> FileOffset {
        self.lines.offset()
    }

    fn poll(&mut self, out: &mut Batch<T>, limit: usize) -> Result<Poll> {
        for _ in 0..limit {
            let Some(line) = self.lines.next()? else { return Ok(Poll::End) };
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_str(line) {
                Ok(value) => out.push(Record::new(NO_EVENT_TIME, value)),
                Err(error) => return Err(self.lines.malformed(malformed(&error))),
            }
        }
        Ok(Poll::More)
    }
}

/// Says what is wrong, without the line number within one line, which is always 1.
fn malformed(error: &serde_json::Error) -> Malformed {
    let (message, column) = (error.to_string(), error.column());
    let place = format!(" at line {} column {column}", error.line());
    let problem = message.strip_suffix(&place).unwrap_or(&message).to_owned();
    Malformed::Json { column, problem }
}

/// Writes JSON Lines; made by [`JsonLines::to`].
pub type JsonSink = PartSink<JsonFormat>;

/// One JSON value a line.
#[derive(Clone, Copy, Debug)]
pub struct JsonFormat;

impl<T: Serialize> RowFormat<T> for JsonFormat {
    type Encoder = BufWriter<PartBytes>;
    const EXTENSION: &'static str = "jsonl";

    fn start(&self, bytes: PartBytes, buffer_bytes: usize) -> Result<Self::Encoder, RowError> {
        Ok(BufWriter::with_capacity(buffer_bytes, bytes))
    }

    fn encode(encoder: &mut Self::Encoder, row: &T) -> Result<(), RowError> {
        serde_json::to_writer(&mut *encoder, row).map_err(|error| match error.is_io() {
            true => RowError::Io(error.into()),
            false => RowError::Row(error.into()),
        })?;
        encoder.write_all(b"\n").map_err(RowError::Io)
    }

    fn len(encoder: &Self::Encoder) -> u64 {
        encoder.get_ref().written() + encoder.buffer().len() as u64
    }

    fn finish(encoder: Self::Encoder) -> Result<PartBytes, RowError> {
        encoder.into_inner().map_err(|error| RowError::Io(error.into_error()))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use highwater_core::sink::{Sink, WriterContext};

    use super::*;
    use crate::file::tests::gzip;

    #[derive(Clone, Debug, PartialEq, Deserialize)]
    struct Bid {
        price: u32,
        #[serde(default)]
        bidder: Option<String>,
    }

    fn read(bytes: &[u8]) -> Result<Vec<Bid>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bids.jsonl");
        std::fs::write(&path, bytes).unwrap();
        let source = JsonLines::<Bid>::at(path);
        let (mut reader, mut out) = (source.open(&source.splits(1)?[0])?, Vec::new());
        while reader.poll(&mut out, 2)? == Poll::More {}
        Ok(out.into_iter().map(|record| record.value).collect())
    }

    fn failure(bytes: &[u8]) -> String {
        let sentence = read(bytes).unwrap_err().sentence();
        sentence[sentence.find("bids.jsonl").unwrap()..].to_owned()
    }

    #[test]
    fn blank_lines_are_skipped_and_still_counted() {
        let text = "\u{feff}{\"price\":1}\n\n  \r\n{\"price\":2,\"bidder\":\"ann\"}";
        let prices: Vec<_> = read(text.as_bytes()).unwrap().iter().map(|bid| bid.price).collect();
        assert_eq!(prices, [1, 2]);
        assert_eq!(
            failure(b"{\"price\":1}\n\n{\"price\":-2}\n"),
            "bids.jsonl, line 3: column 11: invalid value: integer `-2`, expected u32"
        );
    }

    #[test]
    fn errors_name_the_line_and_the_column() {
        assert_eq!(
            failure(b"{\"bidder\":null}"),
            "bids.jsonl, line 1: column 15: missing field `price`"
        );
        assert_eq!(
            failure(b"{\"price\":1}\n{\"price\":"),
            "bids.jsonl, line 2: column 9: EOF while parsing a value"
        );
        assert_eq!(
            failure(b"{\"price\":1,\"unread\":\"\xff\"}\n"),
            "bids.jsonl, line 1: byte 22 of the line is not valid UTF-8"
        );
    }

    #[test]
    fn a_truncated_gzip_names_the_file_and_the_line_reached() {
        let whole = gzip(&"{\"price\":1}\n".repeat(3));
        assert_eq!(
            failure(&whole[..whole.len() - 8]),
            "bids.jsonl, line 4: the gzip data is cut off: unexpected end of file"
        );
    }

    #[test]
    fn a_row_that_is_no_json_is_an_error_of_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = JsonLines::to(dir.path()).open(WriterContext::new(0, 1)).unwrap();
        let keyed_by_list = std::collections::BTreeMap::from([(vec![1], 2)]);
        let error = writer.write(&mut vec![Record::new(0, keyed_by_list)]).unwrap_err();
        assert!(error.sentence().contains("key must be a string"), "{}", error.sentence());
    }
}
