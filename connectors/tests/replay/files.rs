//! Text, JSON Lines and CSV at every offset, in files drawn at random and in a long one.

use std::collections::BTreeMap;
use std::fs;

use highwater_connectors::format::csv::CsvFiles;
use highwater_connectors::format::json::JsonLines;
use highwater_connectors::format::text::TextFiles;
use highwater_core::source::{Reader, Source};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::written::{Layout, Packing};
use crate::{check, read_on, stored};

/// The rows of the files, whose text may hold whatever must be quoted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Row {
    text: Option<String>,
    number: u32,
}

/// Up to three files, each with its texts, layout and compression.
type Files = Vec<(Vec<String>, Layout, Packing)>;

fn files() -> impl Strategy<Value = Files> {
    vec((vec("[a-c\u{e9}\u{feff},\" \r\n]{0,5}", 0..8), Layout::any(), Packing::any()), 1..4)
}

/// Writes the files, each made of its lines by `line`, of a first one and perhaps a bad last one.
fn write(
    files: &Files,
    first: Option<&str>,
    bad: Option<&[u8]>,
    line: impl Fn(u32, &str) -> String,
) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (i, (texts, layout, packing)) in files.iter().enumerate() {
        let rows = (0..).zip(texts).map(|(n, text)| line(n, text).into_bytes());
        let first = first.map(|first| first.as_bytes().to_vec());
        let lines: Vec<_> = first.into_iter().chain(rows).chain(bad.map(<[u8]>::to_vec)).collect();
        packing.write(&dir.path().join(format!("{i}.in")), &layout.join(&lines));
    }
    dir
}

fn csv_line(number: u32, text: &str) -> String {
    match text.contains(|c: char| ",\"\r\n".contains(c)) {
        true => format!("{number},\"{}\"", text.replace('"', "\"\"")),
        false => format!("{number},{text}"),
    }
}

fn json_line(number: u32, text: &str) -> String {
    format!("{{\"number\":{number},\"text\":{}}}", serde_json::to_string(text).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn text_goes_on_at_every_line(files in files(), bad in any::<bool>()) {
        let bad = bad.then_some(b"b\xffd".as_slice());
        let dir = write(&files, None, bad, |_, text| text.to_owned());
        check(&TextFiles::at(dir.path()), 2);
    }

    #[test]
    fn json_lines_go_on_at_every_line(files in files(), bad in any::<bool>()) {
        let bad = bad.then_some(b"{\"number\":true}".as_slice());
        let dir = write(&files, None, bad, json_line);
        let count = check(&JsonLines::<Row>::at(dir.path()), 2);
        prop_assert_eq!(count, files.iter().map(|(texts, ..)| texts.len()).sum::<usize>());
    }

    #[test]
    fn csv_goes_on_at_every_row(files in files(), header in any::<bool>(), bad in 0..4_usize) {
        let bad = [None, Some("1".as_bytes()), Some(b"x,bad"), Some(b"1,b\xffd")][bad];
        let first = header.then_some("number,\"text\"");
        let dir = write(&files, first, bad, csv_line);
        let count = if header {
            check(&CsvFiles::<Row>::at(dir.path()), 2)
        } else {
            check(&CsvFiles::<(u32, Option<String>)>::at(dir.path()).without_header(), 2)
        };
        let expected = files.iter().map(|(texts, ..)| texts.len()).sum::<usize>();
        // Without a header a short row that comes first is the measure for the others.
        let short_first = !header && bad == Some(b"1");
        prop_assert!(count == expected || short_first, "{count} of {expected} rows");
    }
}

#[test]
fn a_header_of_several_lines_and_blank_ones_before_it_are_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        "\u{feff}\n\r\n\"number\",\"of\nlines\",text\r\n\n1,,a\r\n\n\n2,\"\n\",\r\n3,,\"b\r\n\"";
    fs::write(dir.path().join("in.csv"), text).unwrap();
    assert_eq!(check(&CsvFiles::<Row>::at(dir.path()), 1), 3);
    fs::write(dir.path().join("in.csv"), [text, "\r\n\nx,,\n"].concat()).unwrap();
    assert_eq!(check(&CsvFiles::<Row>::at(dir.path()), 1), 3);
}

#[test]
fn a_header_without_rows_has_nothing_more_to_give() {
    for text in ["number,text", "number,text\r\n", "number,text\n\n\n"] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("in.csv"), text).unwrap();
        let source = CsvFiles::<Row>::at(dir.path());
        let split = &source.splits(1).unwrap()[0];
        let (mut reader, mut out) = (source.open(split).unwrap(), Vec::new());
        assert_eq!(read_on(&mut reader, &mut out, 1), None);
        let mut resumed = source.resume(split, &stored(&reader.offset())).unwrap();
        assert_eq!(read_on(&mut resumed, &mut out, 1), None);
        assert!(out.is_empty());
    }
}

/// A record whose fields depend on a value: an `a` stands alone.
#[derive(Clone, Debug, PartialEq)]
struct Sparse;

impl<'de> Deserialize<'de> for Sparse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = BTreeMap::<String, String>::deserialize(deserializer)?;
        match fields.get("kind").map(String::as_str) {
            Some("a") => Ok(Sparse),
            _ => Err(D::Error::missing_field("value")),
        }
    }
}

#[test]
fn a_file_that_had_rows_before_is_not_probed_as_one_without() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in.csv"), "kind\na\n").unwrap();
    assert_eq!(check(&CsvFiles::<Sparse>::at(dir.path()), 1), 1);
}

#[test]
fn places_far_behind_the_first_buffer_are_found_again() {
    let rows: String = (0..60_000).map(|n| csv_line(n, &format!("\"{n}\n")) + "\r\n").collect();
    let text = ["number,text\r\n", &rows].concat();
    let cuts = vec![];
    for packing in [Packing::Plain, Packing::Gzip(cuts.clone()), Packing::Zstd(cuts)] {
        let dir = tempfile::tempdir().unwrap();
        packing.write(&dir.path().join("in.csv"), text.as_bytes());
        resumes_far_behind(&CsvFiles::<Row>::at(dir.path()));
        resumes_far_behind(&TextFiles::at(dir.path()));
    }
}

/// Checks the offsets that a reader has every 7,000 records.
fn resumes_far_behind<S: Source>(source: &S)
where
    S::Item: PartialEq + std::fmt::Debug,
{
    let split = &source.splits(1).unwrap()[0];
    let mut whole = Vec::new();
    assert_eq!(read_on(&mut source.open(split).unwrap(), &mut whole, 1000), None);
    let (mut reader, mut read) = (source.open(split).unwrap(), Vec::new());
    while read.len() < whole.len() - 7000 {
        reader.poll(&mut read, 7000).unwrap();
        let mut all = read.clone();
        let mut resumed = source.resume(split, &stored(&reader.offset())).unwrap();
        assert_eq!(read_on(&mut resumed, &mut all, 1000), None);
        assert!(all == whole, "another text behind record {}", read.len());
    }
}
