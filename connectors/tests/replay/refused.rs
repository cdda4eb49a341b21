//! Offsets at which there is nothing to go on with.

use std::fs;
use std::path::Path;

use highwater_connectors::collection::Collection;
use highwater_connectors::format::csv::CsvFiles;
use highwater_connectors::format::text::TextFiles;
use highwater_connectors::generator::Generator;
use highwater_core::source::{Reader, Source};

use crate::written::gzip;

const TEXT: &str = "number\n1\n2\n3\n";

/// Reads two records of a file, changes it, and returns what is said about going on, from the name
/// of the file on.
fn refusal<S: Source>(source: &S, path: &Path, change: impl Fn(&Path)) -> String {
    fs::write(path, TEXT).unwrap();
    let split = &source.splits(1).unwrap()[0];
    let mut reader = source.open(split).unwrap();
    reader.poll(&mut Vec::new(), 2).unwrap();
    change(path);
    let error = source.resume(split, &reader.offset()).err().unwrap();
    let sentence = error.sentence();
    sentence[sentence.find("in.txt").unwrap()..].to_owned()
}

/// What is said when text and CSV go on in a file that was changed.
fn refusals(change: impl Fn(&Path)) -> [String; 2] {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.txt");
    [
        refusal(&TextFiles::at(&path), &path, &change),
        refusal(&CsvFiles::<(u32,)>::at(&path), &path, &change),
    ]
}

#[test]
fn a_file_that_is_shorter_than_the_offset_says_by_how_much() {
    let said = refusals(|path| fs::write(path, &TEXT[..8]).unwrap());
    assert_eq!(said[0], "in.txt: the file has 8 bytes, but 9 had been read of it before");
    assert_eq!(said[1], "in.txt: the file has 8 bytes, but 11 had been read of it before");
    let said = refusals(|path| fs::write(path, gzip(&TEXT.as_bytes()[..8])).unwrap());
    assert_eq!(said[0], "in.txt: the file has 8 bytes, but 9 had been read of it before");
    assert_eq!(said[1], "in.txt: the file has 8 bytes, but 11 had been read of it before");
    let said = refusals(|path| fs::write(path, "").unwrap());
    assert_eq!(said[0], "in.txt: the file has 0 bytes, but 9 had been read of it before");
}

#[test]
fn a_file_that_is_gone_cannot_be_opened() {
    for said in refusals(|path| fs::remove_file(path).unwrap()) {
        assert!(said.starts_with("in.txt: could not open: No such file"), "{said}");
    }
}

#[test]
fn compressed_data_that_is_cut_off_before_the_offset_says_so() {
    let whole = gzip(TEXT.as_bytes());
    for said in refusals(|path| fs::write(path, &whole[..12]).unwrap()) {
        assert!(said.contains("the gzip data is cut off"), "{said}");
    }
}

#[test]
fn a_collection_that_has_become_smaller_and_a_split_of_nothing_are_refused() {
    let splits = Collection::of(0..10).splits(1).unwrap();
    let said = Collection::of(0..5).resume(&splits[0], &7).unwrap_err().to_string();
    assert_eq!(said, "the collection has 5 values, not 7..10");

    let source = Generator::new(10, |n| n);
    let split = serde_json::from_str("{\"index\":0,\"of\":1,\"block\":0}").unwrap();
    let said = source.open(&split).err().unwrap().to_string();
    assert!(said.ends_with("is no part of the numbers of a generator"), "{said}");
}
