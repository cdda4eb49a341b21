//! What CSV files are read as, and what is said about wrong ones.
//!
//! The texts of errors are compared whole: they must name the file, the line as an editor counts
//! it, and the column.

use std::io::Write;

use serde::{Deserialize, Deserializer};

use highwater_core::error::{Error, Result};
use highwater_core::record::Data;
use highwater_core::source::{Poll, Reader, Source};

use super::*;
use crate::file::tests::gzip;

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Flight {
    #[serde(deserialize_with = "time")]
    scheduled: String,
    carrier: Carrier,
    delay: Option<i32>,
    #[serde(default)]
    distance: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
enum Carrier {
    #[serde(rename = "UA")]
    United,
    #[serde(rename = "AA")]
    American,
}

/// Stands for a parser that a user brings along.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.strip_suffix('Z') {
        Some(time) => Ok(time.to_owned()),
        None => Err(serde::de::Error::custom("not a time in UTC")),
    }
}

fn read_all<T: Data + DeserializeOwned>(source: &CsvSource<T>) -> Result<Vec<T>> {
    let mut out = Vec::new();
    for split in source.splits(1)? {
        let mut reader = source.open(&split)?;
        while reader.poll(&mut out, 2)? == Poll::More {}
    }
    Ok(out.into_iter().map(|record| record.value).collect())
}

/// Reads a file with these bytes, adjusting the source first.
fn read_with<T: Data + DeserializeOwned>(
    bytes: &[u8],
    adjust: impl Fn(CsvSource<T>) -> CsvSource<T>,
) -> Result<Vec<T>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.csv");
    std::fs::write(&path, bytes).unwrap();
    read_all(&adjust(CsvFiles::at(path)))
}

fn read<T: Data + DeserializeOwned>(bytes: &[u8]) -> Result<Vec<T>> {
    read_with(bytes, |source| source)
}

/// Returns what is said about a file, from its name on.
fn failure<T: Data + DeserializeOwned + std::fmt::Debug>(bytes: &[u8]) -> String {
    from_name(read::<T>(bytes).unwrap_err())
}

fn from_name(error: Error) -> String {
    let sentence = error.sentence();
    sentence[sentence.find("in.csv").unwrap()..].to_owned()
}

const HEADER: &str = "scheduled,carrier,delay,distance,tail\n";

fn flights(rows: &str) -> Vec<u8> {
    [HEADER, rows].concat().into_bytes()
}

#[test]
fn columns_are_matched_by_name_and_empty_fields_are_none() {
    let read: Vec<Flight> =
        read(b"tail,delay,carrier,scheduled\nN1,-5,UA,10:00Z\nN2,,AA,11:00Z\n").unwrap();
    let united = Flight {
        scheduled: "10:00".to_owned(),
        carrier: Carrier::United,
        delay: Some(-5),
        distance: 0.0,
    };
    let american = Flight {
        scheduled: "11:00".to_owned(),
        carrier: Carrier::American,
        delay: None,
        distance: 0.0,
    };
    assert_eq!(read, [united, american]);
}

#[test]
fn without_a_header_columns_are_matched_by_order() {
    let rows = b"1;a\n2;\"b\n;\"\n";
    let read =
        read_with::<(u32, String)>(rows, |source| source.without_header().delimiter(b';')).unwrap();
    assert_eq!(read, [(1, "a".to_owned()), (2, "b\n;".to_owned())]);
    assert!(read_with::<(u32, String)>(b"", CsvSource::without_header).unwrap().is_empty());
}

#[test]
fn a_wrong_type_names_the_line_and_the_column() {
    assert_eq!(
        failure::<Flight>(&flights("10:00Z,UA,1,2,N1\n10:00Z,UA,soon,2,N1\n")),
        "in.csv, line 3: column \"delay\" has \"soon\": invalid digit found in string"
    );
    let error = read_with::<(u32, i8)>(b"1,2\n3,300\n", CsvSource::without_header).unwrap_err();
    assert_eq!(
        from_name(error),
        "in.csv, line 2: column 2 has \"300\": number too large to fit in target type"
    );
}

#[test]
fn a_value_that_the_record_type_refuses_names_the_column_too() {
    assert_eq!(
        failure::<Flight>(&flights("10:00,UA,1,2,N1\n")),
        "in.csv, line 2: column \"scheduled\" has \"10:00\": not a time in UTC"
    );
    let said = failure::<Flight>(&flights("10:00Z,XX,1,2,N1\n"));
    assert!(said.starts_with("in.csv, line 2: column \"carrier\" has \"XX\": unknown"), "{said}");
    let error =
        read_with::<(u32, Carrier)>(b"1,UA\n2,ZZ\n", CsvSource::without_header).unwrap_err();
    let said = from_name(error);
    assert!(said.starts_with("in.csv, line 2: column 2 has \"ZZ\": unknown variant"), "{said}");
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    for (rows, line) in [
        ("10:00Z,UA,1,2,\"N\n1\n\"\n10:00Z,UA,x,2,N1\n", 5),
        ("10:00Z,UA,x,2,\"N\n1\n\"\n", 2),
        ("10:00Z,UA,x,2,\"N\n1\n\"", 2),
        ("\n\n10:00Z,UA,1,2,N1\n\n\n10:00Z,UA,x,2,N1\n", 7),
        ("\n\n10:00Z,UA,x,2,N1", 4),
        ("10:00Z,UA,1,2,N1\n10:00Z,UA,x,2,N1", 3),
    ] {
        let said = failure::<Flight>(&flights(rows));
        assert!(said.starts_with(&format!("in.csv, line {line}: ")), "{said} for {rows:?}");
        let crlf = String::from_utf8(flights(rows)).unwrap().replace('\n', "\r\n");
        let said = failure::<Flight>(crlf.as_bytes());
        assert!(said.starts_with(&format!("in.csv, line {line}: ")), "{said} for CRLF {rows:?}");
    }
}

#[test]
fn a_missing_column_is_named_with_and_without_rows() {
    let said = "in.csv, line 1: there is no column \"carrier\", the header has scheduled, delay";
    assert_eq!(failure::<Flight>(b"scheduled,delay\n10:00Z,1\n"), said);
    assert_eq!(failure::<Flight>(b"scheduled,delay\n"), said);
    assert_eq!(failure::<Flight>(b"scheduled,delay"), said);
}

#[test]
fn a_column_that_may_be_absent_is_not_missed() {
    assert!(read::<Flight>(b"scheduled,carrier\n").unwrap().is_empty());
    assert_eq!(read::<Flight>(b"scheduled,carrier\n10:00Z,UA\n").unwrap().len(), 1);
    assert!(read::<(String, u32)>(b"any,two\n").unwrap().is_empty());
}

#[test]
fn an_empty_file_has_no_header() {
    let said = "in.csv, line 1: the file is empty, expected a header";
    for empty in [b"".as_slice(), b"\n\n", "\u{feff}".as_bytes(), &gzip("")] {
        assert_eq!(failure::<Flight>(empty), said, "{empty:?}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_row_however_it_is_compressed() {
    let bytes = [b"\xef\xbb\xbf", flights("10:00Z,UA,1,2,N1\n").as_slice()].concat();
    assert_eq!(read::<Flight>(&bytes).unwrap().len(), 1);
    for cut in 1..6 {
        let frame = |piece| zstd::encode_all(piece, 1).unwrap();
        let frames = [frame(&bytes[..cut]), frame(&bytes[cut..])].concat();
        assert_eq!(read::<Flight>(&frames).unwrap().len(), 1, "cut at {cut}");
    }
}

#[test]
fn a_row_of_another_length_is_an_error() {
    assert_eq!(
        failure::<Flight>(&flights("10:00Z,UA,1,2,N1\n\n10:00Z,UA,1\n")),
        "in.csv, line 4: the row has 3 fields, expected 5"
    );
}

#[test]
fn invalid_utf8_names_the_line_and_the_column() {
    let mut bytes = flights("10:00Z,UA,1,2,N1\n\n10:00Z,UA,1,2,N");
    bytes.extend(b"\xff\n");
    let said = failure::<Flight>(&bytes);
    assert!(said.starts_with("in.csv, line 4: column \"tail\" has \"N\u{fffd}\": "), "{said}");
}

#[test]
fn a_truncated_gzip_names_the_line_reached() {
    let whole = gzip(&String::from_utf8(flights(&"10:00Z,UA,1,2,N1\n".repeat(9))).unwrap());
    let cut_off = ": the gzip data is cut off: unexpected end of file";
    let said = failure::<Flight>(&whole[..5]);
    assert_eq!(said, format!("in.csv, line 1{cut_off}"));
    let said = failure::<Flight>(&whole[..whole.len() - 1]);
    assert_eq!(said, format!("in.csv, line 11{cut_off}"));
}

#[test]
fn the_files_of_a_folder_are_read_by_name_each_with_its_own_columns() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    write("b.csv", b"carrier,scheduled\nUA,2Z\n");
    write("a.csv.gz", &[gzip("scheduled,carrier\n0Z,UA\n"), gzip("1Z,AA\n")].concat());
    write("c.csv.zst", &zstd::encode_all(&b"scheduled,carrier\n3Z,AA\n"[..], 1).unwrap());
    write(".d.csv.tmp", b"half a row");
    let read = read_all(&CsvFiles::<Flight>::at(dir.path())).unwrap();
    let times: Vec<_> = read.iter().map(|flight| flight.scheduled.as_str()).collect();
    assert_eq!(times, ["0", "1", "2", "3"]);
}

#[test]
fn a_reader_goes_on_where_the_last_poll_stopped() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "n").unwrap();
    (0..1000).for_each(|n| writeln!(file, "{n}").unwrap());
    let source = CsvFiles::<(u32,)>::at(file.path());
    let mut reader = source.open(&source.splits(4).unwrap()[0]).unwrap();
    let mut out = Vec::new();
    for (limit, total) in [(1, 1), (7, 8), (1000, 1000)] {
        reader.poll(&mut out, limit).unwrap();
        assert_eq!(out.len(), total);
    }
    assert!(out.iter().map(|record| record.value.0).eq(0..1000));
}
