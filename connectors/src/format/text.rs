//! Text files, a record for each line, as input and as output.

use std::fmt::Display;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use highwater_core::error::Result;
use highwater_core::record::{Batch, Record};
use highwater_core::source::{Boundedness, Poll, Reader, Source};
use highwater_core::time::NO_EVENT_TIME;

use crate::file::{self, FileSplit};
use crate::lines::Lines;
use crate::offset::FileOffset;
use crate::part_file::{PartBytes, PartSink, RowError, RowFormat};
use crate::watch::Watch;

/// Text files, plain or compressed.
///
/// - output: the lines of each file in order, without their ends and without event times; empty
///   lines are records too.
/// - state: one line.
///
/// # Examples
/// ```
/// use highwater_connectors::format::text::TextFiles;
/// use highwater_core::source::{Poll, Reader, Source};
///
/// let dir = tempfile::tempdir().unwrap();
/// std::fs::write(dir.path().join("poem.txt"), "to be\nor not\n").unwrap();
///
/// let source = TextFiles::at(dir.path());
/// let mut lines = Vec::new();
/// let splits = source.splits(1)?;
/// assert_eq!(source.open(&splits[0])?.poll(&mut lines, 100)?, Poll::End);
/// assert_eq!(lines[1].value, "or not");
/// # Ok::<(), highwater_core::error::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TextFiles {
    path: PathBuf,
}

impl TextFiles {
    /// Makes a source of the lines of a file, or of all the files in a folder.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        TextFiles { path: path.into() }
    }

    /// Makes a sink that writes each value as a line of `part-*.txt` in the folder `dir`.
    ///
    /// # Examples
    /// ```
    /// use highwater_connectors::format::text::TextFiles;
    /// use highwater_core::record::Record;
    /// use highwater_core::sink::{Sink, WriterContext};
    /// use highwater_core::time::Epoch;
    ///
    /// let dir = tempfile::tempdir().unwrap();
    /// let mut writer = TextFiles::to(dir.path()).open(WriterContext::new(0, 1))?;
    /// writer.write(&mut vec![Record::new(0, "to be"), Record::new(0, "or not")])?;
    /// for mut results in writer.pre_commit(Epoch(0))? {
    ///     results.prepare()?;
    ///     results.commit()?;
    /// }
    /// let text = std::fs::read_to_string(dir.path().join("part-00000.txt")).unwrap();
    /// assert_eq!(text, "to be\nor not\n");
    /// # Ok::<(), highwater_core::error::Error>(())
    /// ```
    pub fn to(dir: impl Into<PathBuf>) -> TextSink {
        TextSink::new(dir, TextFormat)
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

impl Source for TextFiles {
    type Item = String;
    type Split = FileSplit;
    type Reader = TextReader;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self, _parallelism: usize) -> Result<Vec<FileSplit>> {
        file::list(&self.path)
    }

    fn open(&self, split: &FileSplit) -> Result<TextReader> {
        Ok(TextReader { lines: Lines::open(split)? })
    }

    fn resume(&self, split: &FileSplit, offset: &FileOffset) -> Result<TextReader> {
        Ok(TextReader { lines: Lines::resume(split, offset)? })
    }
}

/// Reads the lines of one file.
pub struct TextReader {
    lines: Lines,
}

impl Reader for TextReader {
    type Item = String;
    type Offset = FileOffset;

    fn offset(&self) -> FileOffset {
        self.lines.offset()
    }

    fn poll(&mut self, out: &mut Batch<String>, limit: usize) -> Result<Poll> {
        for _ in 0..limit {
            match self.lines.next()? {
                Some(line) => out.push(Record::new(NO_EVENT_TIME, line.to_owned())),
                None => return Ok(Poll::End),
            }
        }
        Ok(Poll::More)
    }
}

/// Writes lines of text; made by [`TextFiles::to`].
pub type TextSink = PartSink<TextFormat>;

/// One value a line, as it displays.
#[derive(Clone, Copy, Debug)]
pub struct TextFormat;

impl<T: Display> RowFormat<T> for TextFormat {
    type Encoder = BufWriter<PartBytes>;
    const EXTENSION: &'static str = "txt";

    fn start(&self, bytes: PartBytes, buffer_bytes: usize) -> Result<Self::Encoder, RowError> {
        Ok(BufWriter::with_capacity(buffer_bytes, bytes))
    }

    fn encode(encoder: &mut Self::Encoder, row: &T) -> Result<(), RowError> {
        writeln!(encoder, "{row}").map_err(RowError::Io)
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
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines.txt");
        std::fs::write(&path, bytes).unwrap();
        let source = TextFiles::at(path);
        let (mut reader, mut out) = (source.open(&source.splits(1)?[0])?, Vec::new());
        while reader.poll(&mut out, 2)? == Poll::More {}
        Ok(out.into_iter().map(|record| record.value).collect())
    }

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        assert_eq!(
            read("\u{feff}a\r\n\n b \r\r\n\u{feff}\nlast".as_bytes()).unwrap(),
            ["a", "", " b \r", "\u{feff}", "last"]
        );
        assert!(read(b"").unwrap().is_empty());
    }

    #[test]
    fn invalid_utf8_names_its_line_and_byte() {
        let sentence = read(b"good\nb\xffd\n").unwrap_err().sentence();
        assert!(
            sentence.ends_with("lines.txt, line 2: byte 2 of the line is not valid UTF-8"),
            "{sentence}"
        );
    }
}
