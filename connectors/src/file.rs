//! Files as input: which ones a path means, and how their bytes are reached.
//!
//! ```text
//! path --list--> [FileSplit] --open--> Input: plain, gzip or zstd, told apart by the first bytes
//! ```
//!
//! A path is a file, or a folder, which stands for the files in it: sorted by name, without
//! subfolders, and without names that begin with `.` or `_`, which by custom hide unfinished or
//! auxiliary files. Each file is one split.
//!
//! A reader that goes on in a plain file seeks; in a compressed file it decompresses everything before
//! its place once more and throws it away.
//!
//! Several gzip members or zstd frames in one file are read as one. A compressed file that is cut
//! off or damaged is an error that names the file and the line reached, never a short result.

use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use highwater_core::error::{Error, Result};

use crate::format::Malformed;
use crate::stored_path::StoredPath;

/// How many bytes are asked of the system at once, and of a decoder.
pub(crate) const BUFFER_BYTES: usize = 256 * 1024;

/// What some editors put before the first character of a UTF-8 text.
pub(crate) const BYTE_ORDER_MARK: &str = "\u{feff}";

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// What follows the first byte of a zstd frame that holds no data, as parallel compressors write.
const ZSTD_SKIPPABLE_TAIL: [u8; 3] = [0x2a, 0x4d, 0x18];

/// One file of a file source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSplit {
    path: StoredPath,
}

impl FileSplit {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        FileSplit { path: StoredPath(path.into()) }
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path.0
    }
}

/// How the bytes of a file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// One or more gzip members.
    Gzip,
    /// One or more zstd frames.
    Zstd,
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        })
    }
}

/// Whether a name by custom hides a file from readers of the folder.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

/// Returns the files that `path` stands for.
pub(crate) fn list(path: &Path) -> Result<Vec<FileSplit>> {
    let about = fs::metadata(path).map_err(|e| Error::io("open", path, e))?;
    if !about.is_dir() {
        return Ok(vec![FileSplit::new(path)]);
    }
    let failed = |e| Error::io("list", path, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let hidden = is_hidden(&entry.file_name().to_string_lossy());
        // Follows symbolic links, which the entry's own file type does not.
        let is_folder = || fs::metadata(entry.path()).map(|about| about.is_dir());
        if !hidden && !is_folder().map_err(|e| Error::io("open", entry.path(), e))? {
            names.push(entry.file_name());
        }
    }
    if names.is_empty() {
        return Err(Error::input(path, None, Malformed::NoFiles));
    }
    names.sort();
    Ok(names.into_iter().map(|name| FileSplit::new(path.join(name))).collect())
}

/// The bytes of one file after decompression.
pub(crate) struct Input {
    path: PathBuf,
    compression: Option<Compression>,
    /// Boxed, because one call in 256 KiB does not matter and a type parameter would.
    bytes: Box<dyn Read>,
    /// Whether something was read.
    has_begun: bool,
}

impl Input {
    /// Opens a file and finds out how it is compressed.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |e| Error::io("open", path, e);
        let mut file = File::open(path).map_err(failed)?;
        let mut head = Vec::with_capacity(ZSTD_MAGIC.len());
        file.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut head).map_err(failed)?;
        if let (true, Some(compression)) = (head.is_empty(), compression_of_name(path)) {
            let source = io::ErrorKind::UnexpectedEof.into();
            return Err(Error::input(path, None, Malformed::Compressed { compression, source }));
        }
        let compression = compression_of_head(&head);
        let bytes = Cursor::new(head).chain(BufReader::with_capacity(BUFFER_BYTES, file));
        let bytes: Box<dyn Read> = match compression {
            None => Box::new(bytes),
            Some(Compression::Gzip) => Box::new(MultiGzDecoder::new(bytes)),
            Some(Compression::Zstd) => {
                Box::new(zstd::stream::read::Decoder::with_buffer(bytes).map_err(failed)?)
            }
        };
        Ok(Input { path: path.to_owned(), compression, bytes, has_begun: false })
    }

    /// Opens a file behind its first `bytes` bytes, counted after decompression.
    ///
    /// Takes no time in a plain file; a compressed one is decompressed up to there, and a pipe read.
    pub(crate) fn open_at(path: &Path, bytes: u64) -> Result<Self> {
        let mut input = Input::open(path)?;
        let about = fs::metadata(path).map_err(|e| Error::io("open", path, e))?;
        let found = if input.compression.is_none() && about.is_file() {
            let failed = |e| Error::io("seek", path, e);
            let mut file = File::open(path).map_err(failed)?;
            file.seek(SeekFrom::Start(bytes)).map_err(failed)?;
            input.bytes = Box::new(BufReader::with_capacity(BUFFER_BYTES, file));
            about.len().min(bytes)
        } else {
            let copied = io::copy(&mut input.by_ref().take(bytes), &mut io::sink());
            copied.map_err(|e| input.failure(None, e))?
        };
        if found < bytes {
            return Err(Error::input(path, None, Malformed::Shorter { found, expected: bytes }));
        }
        Ok(input)
    }

    /// Puts bytes before those that have not been read yet.
    pub(crate) fn prepend(self, bytes: Vec<u8>) -> Self {
        Input { bytes: Box::new(Cursor::new(bytes).chain(self.bytes)), ..self }
    }

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the error of the job for an error that reading gave.
    ///
    /// - `line`: the line that had been reached, counted from 1, if it is known.
    pub(crate) fn failure(&self, line: Option<u64>, source: io::Error) -> Error {
        match self.compression {
            // Decoders make their errors up, only the system's have a number.
            Some(compression) if source.raw_os_error().is_none() => {
                Error::input(&self.path, line, Malformed::Compressed { compression, source })
            }
            _ => Error::io("read", &self.path, source),
        }
    }
}

impl Read for Input {
    /// Fills more than a byte order mark the first time, where there is more: the csv crate takes one
    /// away only if it is read in one piece, takes it for the end of the file if it is read alone,
    /// and a small gzip member or zstd frame may end within or behind it.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = self.bytes.read(into)?;
        let least = if self.has_begun { 0 } else { (BYTE_ORDER_MARK.len() + 1).min(into.len()) };
        while filled < least {
            match self.bytes.read(&mut into[filled..])? {
                0 => break,
                more => filled += more,
            }
        }
        self.has_begun = true;
        Ok(filled)
    }
}

/// Returns the line of the first byte at or after `offset` that does not end a line.
///
/// - `offset`: counted in bytes after decompression.
pub(crate) fn line_at(path: &Path, offset: u64) -> Result<u64> {
    let mut line = 1;
    let input = BufReader::with_capacity(BUFFER_BYTES, Input::open(path)?);
    for (at, byte) in (0..).zip(input.bytes()) {
        match byte.map_err(|e| Error::io("read", path, e))? {
            b'\n' => line += 1,
            b'\r' => {}
            _ if at >= offset => break,
            _ => {}
        }
    }
    Ok(line)
}

/// Tells the compression by the first bytes, of which there are fewer than four in a tiny file.
///
/// What is left of a magic number that is cut off counts as well, so that it is not taken for text.
fn compression_of_head(head: &[u8]) -> Option<Compression> {
    let is_skippable = matches!(head, [0x50..=0x5f, tail @ ..] if *tail == ZSTD_SKIPPABLE_TAIL);
    if head.starts_with(&GZIP_MAGIC) || *head == GZIP_MAGIC[..1] {
        Some(Compression::Gzip)
    } else if is_skippable || (head.len() > 1 && ZSTD_MAGIC.starts_with(head)) {
        Some(Compression::Zstd)
    } else {
        None
    }
}

/// Tells the compression by the name, which is used only for a file without a single byte: an
/// empty text file has no records, but no compressor writes nothing.
fn compression_of_name(path: &Path) -> Option<Compression> {
    match path.extension()?.to_str()? {
        "gz" => Some(Compression::Gzip),
        "zst" => Some(Compression::Zstd),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use super::*;

    /// Returns `text` as one gzip member.
    pub(crate) fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd_frame(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 1).unwrap()
    }

    fn read(bytes: &[u8], name: &str) -> io::Result<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let mut text = String::new();
        Input::open(&path).map_err(io::Error::other)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn compression_is_told_by_the_bytes_and_not_by_the_name() {
        assert_eq!(read(b"plain\n", "a.gz").unwrap(), "plain\n");
        assert_eq!(read(&gzip("zipped\n"), "a.csv").unwrap(), "zipped\n");
        assert_eq!(read(&zstd_frame("zipped\n"), "a.gz").unwrap(), "zipped\n");
        assert_eq!(read(b"", "a.csv").unwrap(), "");
        assert_eq!(read(b"(", "a.csv").unwrap(), "(");
    }

    #[test]
    fn several_members_and_frames_are_one_text() {
        let members = [gzip("one\n"), gzip(""), gzip("two\n")].concat();
        assert_eq!(read(&members, "a").unwrap(), "one\ntwo\n");
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9].to_vec();
        let frames = [skippable, zstd_frame("one\n"), zstd_frame("two\n")].concat();
        assert_eq!(read(&frames, "a").unwrap(), "one\ntwo\n");
    }

    #[test]
    fn every_truncation_of_a_compressed_file_is_an_error() {
        for whole in [gzip("some text\n"), zstd_frame("some text\n")] {
            // Two bytes of the longer magic number are needed to tell it from a text.
            let first = if whole.starts_with(&GZIP_MAGIC) { 1 } else { 2 };
            for length in first..whole.len() {
                let error = read(&whole[..length], "a").unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{length} bytes: {error}");
            }
        }
        for name in ["a.gz", "a.zst"] {
            assert!(read(b"", name).is_err(), "{name}");
        }
    }

    #[test]
    fn damage_is_an_error() {
        let mut bytes = gzip(&"some text\n".repeat(100));
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        assert!(read(&bytes, "a").is_err());
    }

    #[test]
    fn a_folder_is_its_files_by_name_without_hidden_ones_and_subfolders() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a10.csv", "a2.csv", ".a.csv.tmp", "_SUCCESS", "C.csv"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("a0")).unwrap();
        let splits = list(dir.path()).unwrap();
        let names: Vec<_> = splits.iter().map(|s| s.path().file_name().unwrap()).collect();
        assert_eq!(names, ["C.csv", "a10.csv", "a2.csv", "b.csv"]);
    }

    #[test]
    fn a_path_that_is_missing_and_a_folder_without_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let missing = list(&dir.path().join("no")).unwrap_err();
        assert!(matches!(missing, Error::Io { action: "open", .. }), "{missing:?}");
        fs::write(dir.path().join("_SUCCESS"), "").unwrap();
        let empty = list(dir.path()).unwrap_err();
        assert!(empty.sentence().ends_with("the folder holds no file to read"), "{empty}");
    }
}
