//! CSV files as input.
//!
//! A reader that goes on needs the first row of the file again: for the names in it, and to know how
//! many fields a row has. So it parses the first row, and then what follows its place:
//!
//! ```text
//! file      | first row | rows read before | the rest |
//! parser    | first row |------------------> the rest |
//! ```

use std::io::Read;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::csv::{ByteRecord, ErrorKind, ReaderBuilder, StringRecord};
use serde::de::DeserializeOwned;

use highwater_core::error::{Error, Result};
use highwater_core::record::{Batch, Data, Record};
use highwater_core::source::{Boundedness, Poll, Reader, Source};
use highwater_core::time::NO_EVENT_TIME;

use super::columns::{self, Place};
use crate::file::{self, BUFFER_BYTES, FileSplit, Input};
use crate::format::Malformed;
use crate::offset::FileOffset;
use crate::watch::Watch;

/// How much of a wrong value an error shows, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// Reads CSV; made by [`CsvFiles::at`](super::CsvFiles::at).
pub struct CsvSource<T> {
    path: PathBuf,
    has_header: bool,
    delimiter: u8,
    item: PhantomData<fn() -> T>,
}

impl<T> CsvSource<T> {
    pub(super) fn new(path: PathBuf) -> Self {
        CsvSource { path, has_header: true, delimiter: b',', item: PhantomData }
    }

    /// Takes the first row for data, and matches the columns with the fields of the record by
    /// their order.
    #[must_use]
    pub fn without_header(mut self) -> Self {
        self.has_header = false;
        self
    }

    /// Sets the character between two fields, instead of a comma.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

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

impl<T> Clone for CsvSource<T> {
    fn clone(&self) -> Self {
        CsvSource { path: self.path.clone(), item: PhantomData, ..*self }
    }
}

impl<T: Data + DeserializeOwned> Source for CsvSource<T> {
    type Item = T;
    type Split = FileSplit;
    type Reader = CsvReader<T>;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self, _parallelism: usize) -> Result<Vec<FileSplit>> {
        file::list(&self.path)
    }

    fn open(&self, split: &FileSplit) -> Result<CsvReader<T>> {
        Ok(self.reader(Input::open(split.path())?))
    }

    fn resume(&self, split: &FileSplit, offset: &FileOffset) -> Result<CsvReader<T>> {
        let mut first = self.open(split)?;
        if offset.bytes == 0 {
            return Ok(first);
        }
        first.read_first()?;
        let head = first.offset();
        let failed = |e| Error::io("read", split.path(), e);
        let mut bytes = Vec::new();
        let input = Input::open(split.path())?;
        input.take(head.bytes).read_to_end(&mut bytes).map_err(failed)?;
        let mut reader = self.reader(Input::open_at(split.path(), offset.bytes)?.prepend(bytes));
        reader.read_first()?;
        reader.next = Next::Row;
        reader.skipped = FileOffset {
            bytes: offset.bytes.saturating_sub(head.bytes),
            lines: offset.lines.saturating_sub(head.lines),
        };
        Ok(reader)
    }
}

impl<T> CsvSource<T> {
    fn reader(&self, input: Input) -> CsvReader<T> {
        let rows = ReaderBuilder::new()
            // The reader below takes the header itself, to know its line.
            .has_headers(false)
            .delimiter(self.delimiter)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(input);
        CsvReader {
            rows,
            skipped: FileOffset::default(),
            next: if self.has_header { Next::Header } else { Next::Row },
            header: None,
            row: ByteRecord::new(),
            item: PhantomData,
        }
    }
}

/// What a reader expects next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Header,
    FirstRow,
    Row,
}

/// Reads one CSV file.
pub struct CsvReader<T> {
    rows: ::csv::Reader<Input>,
    /// What was left out between the first row and the place at which the reader went on.
    skipped: FileOffset,
    next: Next,
    header: Option<StringRecord>,
    /// Reused for every row.
    row: ByteRecord,
    item: PhantomData<fn() -> T>,
}

impl<T: Data + DeserializeOwned> Reader for CsvReader<T> {
    type Item = T;
    type Offset = FileOffset;

    fn offset(&self) -> FileOffset {
        let position = self.rows.position();
        FileOffset {
            bytes: position.byte() + self.skipped.bytes,
            lines: position.line() - 1 + self.skipped.lines,
        }
    }

    fn poll(&mut self, out: &mut Batch<T>, limit: usize) -> Result<Poll> {
        // Moved in and out of the loop, because the check for UTF-8 takes a row by value.
        let mut row = std::mem::take(&mut self.row);
        for _ in 0..limit {
            if self.next == Next::Header {
                row = self.read_header(row)?;
            }
            if !self.read(&mut row)? {
                return self.end();
            }
            self.next = Next::Row;
            let text = self.decode(row)?;
            match text.deserialize(self.header.as_ref()) {
                Ok(value) => out.push(Record::new(NO_EVENT_TIME, value)),
                Err(error) => return Err(self.bad_row(&text, error.into_kind())),
            }
            row = text.into_byte_record();
        }
        self.row = row;
        Ok(Poll::More)
    }
}

impl<T: Data + DeserializeOwned> CsvReader<T> {
    /// Reads the header, or a first row that had been emitted before.
    fn read_first(&mut self) -> Result<()> {
        let mut row = ByteRecord::new();
        match self.next {
            Next::Header => self.read_header(row).map(drop),
            Next::FirstRow | Next::Row => self.read(&mut row).map(drop),
        }
    }

    fn read_header(&mut self, mut row: ByteRecord) -> Result<ByteRecord> {
        if !self.read(&mut row)? {
            return Err(self.malformed(1, Malformed::NoHeader));
        }
        let header = self.decode(row)?;
        self.header = Some(header.clone());
        self.next = Next::FirstRow;
        Ok(header.into_byte_record())
    }

    /// Reads a row, or returns `false` after the last one.
    fn read(&mut self, row: &mut ByteRecord) -> Result<bool> {
        self.rows.read_byte_record(row).map_err(|error| match error.into_kind() {
            ErrorKind::Io(error) => {
                let line = self.offset().lines + 1;
                self.rows.get_ref().failure(Some(line), error)
            }
            ErrorKind::UnequalLengths { expected_len, len, .. } => {
                let cause = Malformed::FieldCount { found: len, expected: expected_len };
                self.malformed(self.line_of(row), cause)
            }
            other => self.malformed(self.line_of(row), row_problem(&other)),
        })
    }

    /// Checks that a row is UTF-8.
    fn decode(&self, row: ByteRecord) -> Result<StringRecord> {
        StringRecord::from_byte_record(row).map_err(|error| {
            let (column, problem) = (error.utf8_error().field(), error.utf8_error().to_string());
            let row = error.into_byte_record();
            let value = row.get(column).map(String::from_utf8_lossy).unwrap_or_default();
            let column = self.column_name(column);
            let cause = Malformed::Field { column, value: shorten(&value), problem };
            self.malformed(self.line_of(&row), cause)
        })
    }

    /// Ends the file. A file without rows would else hide that a column is missing.
    fn end(&self) -> Result<Poll> {
        let header = self.header.as_ref().filter(|_| self.next == Next::FirstRow);
        match header.and_then(columns::missing::<T>) {
            Some(column) => Err(self.missing_column(column)),
            None => Ok(Poll::End),
        }
    }

    /// Returns the error for a row that is not a `T`.
    fn bad_row(&self, row: &StringRecord, kind: ErrorKind) -> Error {
        let ErrorKind::Deserialize { err, .. } = &kind else {
            return self.malformed(self.line_of(row.as_byte_record()), row_problem(&kind));
        };
        let place = match err.field().and_then(|field| usize::try_from(field).ok()) {
            Some(column) => Place::Column(column),
            None => columns::locate::<T>(self.header.as_ref(), row),
        };
        let problem = err.kind().to_string();
        let cause = match place {
            Place::Missing(column) => return self.missing_column(column),
            Place::Column(column) => Malformed::Field {
                column: self.column_name(column),
                value: shorten(row.get(column).unwrap_or_default()),
                problem,
            },
            Place::Unknown => Malformed::Row { problem },
        };
        self.malformed(self.line_of(row.as_byte_record()), cause)
    }

    fn missing_column(&self, column: &str) -> Error {
        let found = self.header.iter().flatten().map(str::to_owned).collect();
        self.malformed(1, Malformed::MissingColumn { column: column.to_owned(), found })
    }

    fn column_name(&self, column: usize) -> String {
        match self.header.as_ref().and_then(|header| header.get(column)) {
            Some(name) => format!("{name:?}"),
            None => (column + 1).to_string(),
        }
    }

    /// Returns the line on which a row begins.
    ///
    /// The csv crate knows where the row before it ended, but blank lines may follow, and the `\n`
    /// of a `\r\n` always does. So the file is read once more up to there, unless it is a pipe.
    fn line_of(&self, row: &ByteRecord) -> u64 {
        let Some(before) = row.position() else { return 1 };
        let line = before.line() + self.skipped.lines;
        let path = self.rows.get_ref().path();
        if path.is_file() {
            file::line_at(path, before.byte() + self.skipped.bytes).unwrap_or(line)
        } else {
            line
        }
    }

    fn malformed(&self, line: u64, cause: Malformed) -> Error {
        let path: &Path = self.rows.get_ref().path();
        Error::input(path, Some(line), cause)
    }
}

fn row_problem(kind: &ErrorKind) -> Malformed {
    Malformed::Row { problem: format!("{kind:?}") }
}

fn shorten(value: &str) -> String {
    match value.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.to_owned(),
    }
}
