//! Graphs as text: a file of vertices and a file of edges.
//!
//! ```text
//! vertices   7            a number a line
//! edges      7 9          from, to
//!            7 9 0.5      from, to, weight
//! ```
//!
//! Fields are separated by blanks or tabs; blank lines and lines that begin with `#` are skipped.
//!
//! **Sources**: LDBC Graphalytics (`.v` and `.e` files); SNAP.

use std::path::{Path, PathBuf};

use highwater_core::error::{Error, Result};
use highwater_core::record::{Batch, Data, Record};
use highwater_core::source::{Boundedness, Poll, Reader, Source};
use highwater_core::time::NO_EVENT_TIME;

use crate::file::{self, FileSplit};
use crate::format::Malformed;
use crate::lines::Lines;
use crate::offset::FileOffset;

/// What to make of a line: nothing, a value, or a sentence about what is wrong.
type Parse<T> = fn(&str) -> std::result::Result<T, Malformed>;

/// A file of vertices or edges, plain or compressed; made by [`vertices`] and [`edges`].
///
/// - output: a record for each line, without event time.
/// - state: one line.
#[derive(Debug)]
pub struct GraphFile<T> {
    path: PathBuf,
    parse: Parse<T>,
}

impl<T> Clone for GraphFile<T> {
    fn clone(&self) -> Self {
        GraphFile { path: self.path.clone(), parse: self.parse }
    }
}

/// What is made of the third column of edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// Nothing: every edge has the weight 1.
    Ignored,
    /// A weight where there is a third column, else 1.
    IfGiven,
    /// A weight, which every edge must have.
    Required,
}

/// Reads the vertices of a graph.
///
/// # Examples
/// ```
/// use highwater_connectors::format::graph::{Weights, edges, vertices};
/// use highwater_core::source::{Reader, Source};
///
/// let dir = tempfile::tempdir().unwrap();
/// let (v, e) = (dir.path().join("graph.v"), dir.path().join("graph.e"));
/// std::fs::write(&v, "1\n2\n").unwrap();
/// std::fs::write(&e, "1 2 0.5\n").unwrap();
///
/// let (source, mut read) = (vertices(&v), Vec::new());
/// source.open(&source.splits(1)?[0])?.poll(&mut read, 10)?;
/// assert_eq!(read[1].value, 2);
/// let (source, mut read) = (edges(&e, Weights::Required), Vec::new());
/// source.open(&source.splits(1)?[0])?.poll(&mut read, 10)?;
/// assert_eq!(read[0].value, (1, 2, 0.5));
/// # Ok::<(), highwater_core::error::Error>(())
/// ```
pub fn vertices(path: impl Into<PathBuf>) -> GraphFile<u64> {
    GraphFile { path: path.into(), parse: vertex }
}

/// Reads the edges of a graph: where they begin, where they lead, and their weights.
pub fn edges(path: impl Into<PathBuf>, weights: Weights) -> GraphFile<(u64, u64, f64)> {
    let parse: Parse<(u64, u64, f64)> = match weights {
        Weights::Ignored => |line| edge(line, Weights::Ignored),
        Weights::IfGiven => |line| edge(line, Weights::IfGiven),
        Weights::Required => |line| edge(line, Weights::Required),
    };
    GraphFile { path: path.into(), parse }
}

/// Returns the error for a vertex that an edge names and that the file of vertices lacks, with the
/// line of the first such edge.
#[must_use]
pub fn unknown_vertex(edges: &Path, vertices: &Path, vertex: u64) -> Error {
    let problem = format!("vertex {vertex} is not in {}", vertices.display());
    let malformed = || Malformed::Row { problem: problem.clone() };
    let mut lines = match Lines::open(&FileSplit::new(edges)) {
        Ok(lines) => lines,
        Err(error) => return error,
    };
    while let Ok(Some(line)) = lines.next() {
        let ends = line.split_ascii_whitespace().take(2);
        if !says_nothing(line)
            && ends.filter_map(|end| end.parse::<u64>().ok()).any(|end| end == vertex)
        {
            return lines.malformed(malformed());
        }
    }
    Error::input(edges, None, malformed())
}

/// Returns whether a line is blank or a comment.
fn says_nothing(line: &str) -> bool {
    line.trim_ascii().is_empty() || line.starts_with('#')
}

fn vertex(line: &str) -> std::result::Result<u64, Malformed> {
    let mut fields = line.split_ascii_whitespace();
    let vertex = number(fields.next(), "1")?;
    match fields.count() {
        0 => Ok(vertex),
        more => Err(Malformed::FieldCount { found: more as u64 + 1, expected: 1 }),
    }
}

fn edge(line: &str, weights: Weights) -> std::result::Result<(u64, u64, f64), Malformed> {
    let mut fields = line.split_ascii_whitespace();
    let (source, target) = (number(fields.next(), "1")?, number(fields.next(), "2")?);
    let weight = match (fields.next(), weights) {
        (_, Weights::Ignored) | (None, Weights::IfGiven) => 1.0,
        (None, Weights::Required) => {
            return Err(Malformed::FieldCount { found: 2, expected: 3 });
        }
        (Some(text), _) => weight(text)?,
    };
    match fields.count() {
        0 => Ok((source, target, weight)),
        more => Err(Malformed::FieldCount { found: more as u64 + 3, expected: 3 }),
    }
}

fn number(field: Option<&str>, column: &str) -> std::result::Result<u64, Malformed> {
    let text = field.unwrap_or_default();
    text.parse().map_err(|_| wrong(column, text, "a vertex is a whole number from 0 to 2^64 - 1"))
}

fn weight(text: &str) -> std::result::Result<f64, Malformed> {
    match text.parse::<f64>() {
        // 0.0 also for -0.0, so that equal weights have equal bits.
        Ok(weight) if weight >= 0.0 && weight.is_finite() => Ok(weight + 0.0),
        _ => Err(wrong("3", text, "a weight is a finite number, and not negative")),
    }
}

fn wrong(column: &str, value: &str, problem: &str) -> Malformed {
    let (column, value, problem) = (column.to_owned(), value.to_owned(), problem.to_owned());
    Malformed::Field { column, value, problem }
}

impl<T: Data> Source for GraphFile<T> {
    type Item = T;
    type Split = FileSplit;
    type Reader = GraphReader<T>;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self, _parallelism: usize) -> Result<Vec<FileSplit>> {
        file::list(&self.path)
    }

    fn open(&self, split: &FileSplit) -> Result<GraphReader<T>> {
        Ok(GraphReader { lines: Lines::open(split)?, parse: self.parse })
    }

    fn resume(&self, split: &FileSplit, offset: &FileOffset) -> Result<GraphReader<T>> {
        Ok(GraphReader { lines: Lines::resume(split, offset)?, parse: self.parse })
    }
}

/// Reads one file of vertices or edges.
pub struct GraphReader<T> {
    lines: Lines,
    parse: Parse<T>,
}

impl<T: Data> Reader for GraphReader<T> {
    type Item = T;
    type Offset = FileOffset;

    fn offset(&self) -> FileOffset {
        self.lines.offset()
    }

    fn poll(&mut self, out: &mut Batch<T>, limit: usize) -> Result<Poll> {
        for _ in 0..limit {
            let Some(line) = self.lines.next()? else { return Ok(Poll::End) };
            if says_nothing(line) {
                continue;
            }
            match (self.parse)(line) {
                Ok(value) => out.push(Record::new(NO_EVENT_TIME, value)),
                Err(malformed) => return Err(self.lines.malformed(malformed)),
            }
        }
        Ok(Poll::More)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::tests::gzip;

    fn read<T: Data>(bytes: &[u8], make: impl FnOnce(PathBuf) -> GraphFile<T>) -> Result<Vec<T>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("graph");
        std::fs::write(&path, bytes).unwrap();
        let (source, mut out) = (make(path), Vec::new());
        let mut reader = source.open(&source.splits(1)?[0])?;
        while reader.poll(&mut out, 2)? == Poll::More {}
        Ok(out.into_iter().map(|record| record.value).collect())
    }

    #[test]
    fn blanks_comments_and_compression_make_no_difference() {
        let text = "# a graph\n1 2\n\n 3\t4 0.5 \r\n18446744073709551615 0 7\n";
        let expected = [(1, 2, 1.0), (3, 4, 0.5), (u64::MAX, 0, 7.0)];
        for bytes in [text.as_bytes().to_vec(), gzip(text)] {
            assert_eq!(read(&bytes, |path| edges(path, Weights::IfGiven)).unwrap(), expected);
        }
        let ignored = read(text.as_bytes(), |path| edges(path, Weights::Ignored)).unwrap();
        assert!(ignored.iter().all(|edge| edge.2 == 1.0));
        assert_eq!(read(b"7\n\n9\n", vertices).unwrap(), [7, 9]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_column() {
        let required = |path| edges(path, Weights::Required);
        for (text, expected) in [
            ("1 2 3\n1 x 3\n", "line 2: column 2 has \"x\": a vertex is a whole number"),
            ("1 2 3\n1\n", "line 2: column 2 has \"\": a vertex"),
            ("1 2\n", "line 1: the row has 2 fields, expected 3"),
            ("1 2 3 4\n", "line 1: the row has 4 fields, expected 3"),
            ("1 2 -1\n", "line 1: column 3 has \"-1\": a weight is a finite number"),
            ("1 2 NaN\n", "line 1: column 3 has \"NaN\""),
            ("-1 2 1\n", "line 1: column 1 has \"-1\""),
        ] {
            let sentence = read(text.as_bytes(), required).unwrap_err().sentence();
            assert!(sentence.contains(expected), "{text:?}: {sentence}");
        }
        let sentence = read(b"1\n2 3\n", vertices).unwrap_err().sentence();
        assert!(sentence.contains("line 2: the row has 2 fields, expected 1"), "{sentence}");
    }

    #[test]
    fn the_first_edge_with_an_unknown_vertex_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("graph.e");
        std::fs::write(&path, "1 2\n# 9\n2 9\n9 1\n").unwrap();
        let sentence = unknown_vertex(&path, Path::new("graph.v"), 9).sentence();
        assert!(sentence.ends_with("graph.e, line 3: vertex 9 is not in graph.v"), "{sentence}");
    }
}
