//! Lines of text out of a file, each with its number.

use std::io::{BufRead, BufReader};

use highwater_core::error::{Error, Result};

use crate::file::{BUFFER_BYTES, BYTE_ORDER_MARK, FileSplit, Input};
use crate::format::Malformed;
use crate::offset::FileOffset;

/// Reads a file line by line into one buffer.
pub(crate) struct Lines {
    input: BufReader<Input>,
    /// Behind the line that was read last.
    offset: FileOffset,
    /// Reused, so that only a line longer than all before it allocates.
    buffer: Vec<u8>,
}

impl Lines {
    /// Opens a file.
    pub(crate) fn open(split: &FileSplit) -> Result<Self> {
        Self::resume(split, &FileOffset::default())
    }

    /// Opens a file behind the lines before `offset`.
    pub(crate) fn resume(split: &FileSplit, offset: &FileOffset) -> Result<Self> {
        let input = match offset.bytes {
            0 => Input::open(split.path()),
            bytes => Input::open_at(split.path(), bytes),
        };
        let input = BufReader::with_capacity(BUFFER_BYTES, input?);
        Ok(Lines { input, offset: *offset, buffer: Vec::new() })
    }

    /// Returns the place behind the line that was read last.
    pub(crate) fn offset(&self) -> FileOffset {
        self.offset
    }

    /// Returns the next line without its end, `\n` or `\r\n`, and `None` after the last one.
    pub(crate) fn next(&mut self) -> Result<Option<&str>> {
        self.buffer.clear();
        let read = self.input.read_until(b'\n', &mut self.buffer).map_err(|error| {
            let line = self.offset.lines + 1;
            self.input.get_ref().failure(Some(line), error)
        })?;
        if read == 0 {
            return Ok(None);
        }
        self.offset.bytes += read as u64;
        self.offset.lines += 1;
        let line = std::str::from_utf8(trim_end(&self.buffer)).map_err(|error| {
            let byte = error.valid_up_to() + 1;
            Error::input(
                self.input.get_ref().path(),
                Some(self.offset.lines),
                Malformed::Encoding { byte },
            )
        })?;
        let first = self.offset.lines == 1;
        Ok(Some(line.strip_prefix(BYTE_ORDER_MARK).filter(|_| first).unwrap_or(line)))
    }

    /// Returns an error about the line that was read last.
    pub(crate) fn malformed(&self, cause: Malformed) -> Error {
        Error::input(self.input.get_ref().path(), Some(self.offset.lines), cause)
    }
}

/// Returns `line` without its end, `\n` or `\r\n`.
pub(crate) fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
