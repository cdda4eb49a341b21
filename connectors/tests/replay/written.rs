//! Files as they may be found: line ends, blank lines and compression drawn at random.

use std::fs;
use std::io::Write;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// How a file is compressed.
#[derive(Clone, Debug)]
pub(crate) enum Packing {
    Plain,
    /// Gzip members, cut at these places.
    Gzip(Vec<Index>),
    /// Zstd frames, cut at these places.
    Zstd(Vec<Index>),
}

impl Packing {
    pub(crate) fn any() -> impl Strategy<Value = Packing> {
        let cuts = || vec(any::<Index>(), 0..3);
        prop_oneof![
            Just(Packing::Plain),
            cuts().prop_map(Packing::Gzip),
            cuts().prop_map(Packing::Zstd)
        ]
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) {
        let packed = match self {
            Packing::Plain => bytes.to_vec(),
            Packing::Gzip(cuts) => pieces(bytes, cuts).into_iter().flat_map(gzip).collect(),
            Packing::Zstd(cuts) => {
                let frame = |piece| zstd::encode_all(piece, 1).unwrap();
                pieces(bytes, cuts).into_iter().flat_map(frame).collect()
            }
        };
        fs::write(path, packed).unwrap();
    }
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|place| &bytes[place[0]..place[1]]).collect()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// How lines are put together.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    byte_order_mark: bool,
    /// Whether the last line has an end.
    ended: bool,
    /// The end of each line, and how many blank lines follow it; used in turn.
    ends: Vec<(bool, u8)>,
}

impl Layout {
    pub(crate) fn any() -> impl Strategy<Value = Layout> {
        let blank = prop_oneof![3 => Just(0), 1 => 1..3_u8];
        (any::<bool>(), any::<bool>(), vec((any::<bool>(), blank), 1..5))
            .prop_map(|(byte_order_mark, ended, ends)| Layout { byte_order_mark, ended, ends })
    }

    /// Returns the text of a file.
    pub(crate) fn join(&self, lines: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.byte_order_mark {
            bytes.extend("\u{feff}".as_bytes());
        }
        for (i, line) in lines.iter().enumerate() {
            let (crlf, blank) = self.ends[i % self.ends.len()];
            bytes.extend(line);
            let end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
            let is_last = i + 1 == lines.len();
            let ends = if is_last { usize::from(self.ended) } else { 1 + usize::from(blank) };
            bytes.extend(end.repeat(ends));
        }
        bytes
    }
}
