//! A watched folder: what is read, in which order, and what is left to somebody else.

mod model;

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use highwater_connectors::format::csv::CsvFiles;
use highwater_connectors::format::json::JsonLines;
use highwater_connectors::format::text::TextFiles;
use highwater_connectors::watch::Watch;
use highwater_core::error::Result;
use highwater_core::source::{Boundedness, Poll, Reader, Source};

use crate::written::gzip;
use crate::{check, read_on, stored};

const INTERVAL: Duration = Duration::from_millis(700);

/// Makes a file appear as it should: by a rename, at a time in s since 1970.
fn appear(dir: &Path, name: &str, bytes: impl AsRef<[u8]>, changed_s: u64) {
    let hidden = dir.join(".appearing");
    fs::write(&hidden, bytes).unwrap();
    let changed = UNIX_EPOCH + Duration::from_secs(changed_s);
    File::options().write(true).open(&hidden).unwrap().set_modified(changed).unwrap();
    fs::rename(hidden, dir.join(name)).unwrap();
}

fn watch(dir: &Path) -> Watch<TextFiles> {
    TextFiles::at(dir).watch(INTERVAL)
}

/// Reads until there is nothing more for now.
fn read_all<R: Reader<Item = String>>(reader: &mut R) -> Result<Vec<String>> {
    let mut out = Vec::new();
    loop {
        match reader.poll(&mut out, 3)? {
            Poll::More => {}
            Poll::Pending(wait) => {
                assert_eq!(wait, INTERVAL);
                break;
            }
            Poll::End => break,
        }
    }
    Ok(out.into_iter().map(|record| record.value).collect())
}

#[test]
fn files_are_read_in_the_order_of_their_changes_then_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    for (name, changed_s) in [("a", 30), ("b", 10), ("d", 20), ("c", 20)] {
        appear(dir.path(), name, name, changed_s);
    }
    let source = watch(dir.path());
    assert_eq!(source.boundedness(), Boundedness::Unbounded);
    let mut reader = source.open(&source.splits(1).unwrap()[0]).unwrap();
    assert_eq!(read_all(&mut reader).unwrap(), ["b", "c", "d", "a"]);
    // One that appears later comes later, however old it is.
    appear(dir.path(), "e", "e", 5);
    assert_eq!(read_all(&mut reader).unwrap(), ["e"]);
    assert!(read_all(&mut reader).unwrap().is_empty());
}

#[test]
fn hidden_names_folders_and_the_marker_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    for name in [".hidden", "_hidden", "done", "seen"] {
        appear(dir.path(), name, name, 1);
    }
    let source = watch(dir.path()).until("done");
    assert_eq!(source.boundedness(), Boundedness::Bounded);
    let mut reader = source.open(&source.splits(1).unwrap()[0]).unwrap();
    let mut out = Vec::new();
    assert_eq!(read_on(&mut reader, &mut out, 10), None);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].value, "seen");
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_those_to_nothing_skipped() {
    use std::os::unix::fs::symlink;
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    appear(elsewhere.path(), "file", "linked", 1);
    symlink(elsewhere.path().join("file"), dir.path().join("a")).unwrap();
    symlink(elsewhere.path().join("nothing"), dir.path().join("b")).unwrap();
    let source = watch(dir.path());
    let mut reader = source.open(&source.splits(1).unwrap()[0]).unwrap();
    assert_eq!(read_all(&mut reader).unwrap(), ["linked"]);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let source = watch(dir.path());
    let mut reader = source.open(&source.splits(1).unwrap()[0]).unwrap();
    assert!(read_all(&mut reader).unwrap().is_empty());
}

#[test]
fn there_is_a_pause_between_listings_even_if_none_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let source = TextFiles::at(dir.path()).watch(Duration::ZERO);
    let mut reader = source.open(&source.splits(1).unwrap()[0]).unwrap();
    let pause = Poll::Pending(Duration::from_millis(1));
    assert_eq!(reader.poll(&mut Vec::new(), 1).unwrap(), pause);
}

#[test]
fn every_format_can_be_watched_and_left_at_every_record() {
    let dir = tempfile::tempdir().unwrap();
    for (n, name) in (0..).zip(["a", "b", "c", "d", "e"]) {
        appear(dir.path(), name, gzip(format!("1\n{n}\n\n3\n").as_bytes()), 1);
    }
    appear(dir.path(), "_SUCCESS", "", 1);
    for workers in 1..4 {
        let text = TextFiles::at(dir.path()).watch(INTERVAL).until("_SUCCESS");
        assert_eq!(check(&text, workers), 20);
        let json = JsonLines::<u32>::at(dir.path()).watch(INTERVAL).until("_SUCCESS");
        assert_eq!(check(&json, workers), 15);
        let csv = CsvFiles::<(u32,)>::at(dir.path()).watch(INTERVAL).until("_SUCCESS");
        assert_eq!(check(&csv, workers), 10);
    }
}

#[test]
fn the_source_ends_only_with_what_had_appeared_before_the_marker() {
    let dir = tempfile::tempdir().unwrap();
    appear(dir.path(), "a", "a", 1);
    let source = watch(dir.path()).until("done");
    let mut reader = source.open(&source.splits(1).unwrap()[0]).unwrap();
    let mut out = Vec::new();
    // The listing has come to `a` when `b` and the marker appear.
    assert_eq!(reader.poll(&mut out, 10).unwrap(), Poll::More);
    appear(dir.path(), "b", "b", 1);
    appear(dir.path(), "done", "", 1);
    assert_eq!(read_on(&mut reader, &mut out, 10), None);
    assert_eq!(out.len(), 2);
}

#[test]
fn a_file_that_is_gone_or_another_when_its_turn_comes_is_left_to_the_next_listing() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        appear(dir.path(), name, name, 1);
    }
    let source = watch(dir.path());
    let mut reader = source.open(&source.splits(1).unwrap()[0]).unwrap();
    assert_eq!(reader.poll(&mut Vec::new(), 10).unwrap(), Poll::More);
    fs::remove_file(dir.path().join("a")).unwrap();
    appear(dir.path(), "b", "another b", 2);
    assert_eq!(read_all(&mut reader).unwrap(), ["c", "another b"]);
}

#[test]
fn a_name_that_is_free_again_may_be_given_to_another_file() {
    let dir = tempfile::tempdir().unwrap();
    let source = watch(dir.path());
    let split = source.splits(1).unwrap()[0];
    let mut reader = source.open(&split).unwrap();
    appear(dir.path(), "a", "first", 1);
    assert_eq!(read_all(&mut reader).unwrap(), ["first"]);
    appear(dir.path(), "a", "second", 2);
    assert_eq!(read_all(&mut reader).unwrap(), ["second"]);

    fs::remove_file(dir.path().join("a")).unwrap();
    assert!(read_all(&mut reader).unwrap().is_empty());
    assert_eq!(serde_json::to_string(&reader.offset()).unwrap(), "{\"read\":[],\"reading\":null}");
    appear(dir.path(), "a", "third", 2);
    let mut resumed = source.resume(&split, &stored(&reader.offset())).unwrap();
    assert_eq!(read_all(&mut resumed).unwrap(), ["third"]);
}

/// Reads two of three lines of a file, changes the folder, and returns what is said about going on.
fn refusal(change: impl Fn(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    appear(dir.path(), "in.txt", "1\n2\n3\n", 1);
    let source = watch(dir.path());
    let split = source.splits(1).unwrap()[0];
    let (mut reader, mut out) = (source.open(&split).unwrap(), Vec::new());
    while out.len() < 2 {
        reader.poll(&mut out, 1).unwrap();
    }
    change(dir.path());
    let sentence = source.resume(&split, &stored(&reader.offset())).err().unwrap().sentence();
    sentence[sentence.find("in.txt").unwrap()..].to_owned()
}

#[test]
fn a_file_that_was_changed_while_it_was_read_is_not_gone_on_with() {
    let changed =
        "in.txt: the file was changed while it was read, files of a watched folder must not be";
    assert_eq!(refusal(|dir| appear(dir, "in.txt", "4\n5\n6\n", 2)), changed);
    assert_eq!(
        refusal(|dir| appear(dir, "in.txt", "", 2)),
        "in.txt: the file has 0 bytes, but 4 had been read of it before"
    );
    let gone = refusal(|dir| fs::remove_file(dir.join("in.txt")).unwrap());
    assert!(gone.starts_with("in.txt: could not open: No such file"), "{gone}");
}

#[test]
fn a_path_that_is_no_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let said = |name: &str| {
        let sentence = watch(&dir.path().join(name)).splits(1).unwrap_err().sentence();
        sentence[sentence.rfind('/').unwrap() + 1..].to_owned()
    };
    assert_eq!(said("file"), "file: it is no folder, which could be watched");
    assert!(said("missing").starts_with("missing: could not open: No such file"));
}
