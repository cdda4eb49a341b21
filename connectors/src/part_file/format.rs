//! How rows become the bytes of a part file.

use std::fs::File;
use std::io::{self, Write};

use highwater_core::error::Cause;

/// A way to write rows down.
pub trait RowFormat<T>: Clone + Send + 'static {
    /// What writes rows into one file.
    type Encoder: Send + 'static;
    /// What the names of the files end with, without a dot.
    const EXTENSION: &'static str;

    /// Begins a file.
    ///
    /// - `buffer_bytes`: how many bytes to collect before they go into the file.
    ///
    /// # Errors
    /// When the rows' type cannot be written at all.
    fn start(&self, bytes: PartBytes, buffer_bytes: usize) -> Result<Self::Encoder, RowError>;

    /// Writes one row.
    ///
    /// # Errors
    /// When it cannot be written.
    fn encode(encoder: &mut Self::Encoder, row: &T) -> Result<(), RowError>;

    /// Returns about how many bytes the file would have if it ended here.
    fn len(encoder: &Self::Encoder) -> u64;

    /// Writes what is still buffered and gives the file back.
    ///
    /// # Errors
    /// When it cannot be written.
    fn finish(encoder: Self::Encoder) -> Result<PartBytes, RowError>;
}

/// Why a row could not be written.
#[derive(Debug)]
pub enum RowError {
    /// The disk refused it.
    Io(io::Error),
    /// The format cannot express it.
    Row(Cause),
}

/// A file that knows how many bytes were written into it.
#[derive(Debug)]
pub struct PartBytes {
    file: File,
    written: u64,
}

impl PartBytes {
    pub(crate) fn new(file: File) -> Self {
        PartBytes { file, written: 0 }
    }

    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// Returns how many bytes were written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }
}

impl Write for PartBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
