//! What version 1 has written stays readable, and is what this program writes.
//!
//! A change here makes the snapshots of users unreadable. A new version gets a new file, and this
//! one stays. (With `HIGHWATER_BLESS=1` the test that compares the bytes writes
//! the file if there is none.)
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::PathBuf;

use highwater_core::key::KeyGroups;
use highwater_state::StateFormat;
use highwater_state::format::PartReader;

mod support;
use support::*;

fn fixture() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", "v1.part"].iter().collect()
}

/// The state of the fixture, written by this program.
fn written() -> Vec<u8> {
    write(&format(), &golden())
}

fn stored() -> Vec<u8> {
    std::fs::read(fixture()).unwrap()
}

#[test]
fn version_1_is_read() {
    let (format, stored) = (format::<(i64, i64), String, Session>(), stored());
    assert_eq!(read(&format, &stored).unwrap(), golden());
    let part = PartReader::open(&stored).unwrap();
    let header = part.header();
    assert_eq!((header.operator.as_str(), header.state.as_str()), ("window-uid", "sessions"));
    assert_eq!((header.max_parallelism, header.codec, header.entries), (128, 1, 10));
    let value = "struct Session { id: u64, name: string, score: f64, lines: seq<struct Line { \
                 price: i32, tags: map<char, bool> }>, last: option<enum Event { Opened, \
                 Moved(i16, i16), Said { what: string, loud: option<bool> }, Closed(u128) }> }";
    assert_eq!(header.schemas.value.to_string(), value);
    assert_eq!(header.schemas.value.fingerprint(), VALUE_FINGERPRINT);
}

#[test]
fn version_1_is_written_byte_for_byte() {
    if std::env::var_os("HIGHWATER_BLESS").is_some() && !fixture().exists() {
        std::fs::write(fixture(), written()).unwrap();
    }
    let (written, stored) = (written(), stored());
    let first = written.iter().zip(&stored).position(|(a, b)| a != b);
    assert_eq!((first, written.len()), (None, stored.len()), "the first byte that differs");
}

#[test]
fn version_1_is_restored_at_another_parallelism() {
    let (format, stored) = (format::<(i64, i64), String, Session>(), stored());
    let (reader, groups) = (format.open(&stored).unwrap(), KeyGroups::new(128, 3));
    let parts: Vec<_> =
        (0..3).map(|worker| read_range(&reader, groups.range(worker)).unwrap()).collect();
    assert!(parts.iter().all(|part| part.len() < golden().len()));
    assert_eq!(parts.into_iter().flatten().collect::<Entries<_, _, _>>(), golden());
}

/// The first bytes, by hand: the drawing in `format.rs` says what they are.
#[test]
fn version_1_begins_as_drawn() {
    let format = StateFormat::<(), u8, bool>::new("op", "s", KeyGroups::new(128, 1)).unwrap();
    let block = format.block(group_of(&5u8), 9, [(&(), &5, &true)]).unwrap();
    let bytes = format.part(range(0, 127), vec![block]).unwrap();
    let mut expected = b"HWPART\r\n\x01\x00".to_vec();
    let body = [
        &[128, 0, 0, 0, 0, 0, 127, 0, 1, 0][..],
        &[1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        &[2, 0, 0, 0, b'o', b'p', 1, 0, 0, 0, b's'],
    ];
    let schema = |name: &str, tag: u8| {
        let hash = xxhash_rust::xxh3::xxh3_64(&[tag]);
        let length = name.len() as u32;
        [&hash.to_le_bytes()[..], &length.to_le_bytes(), name.as_bytes(), &[1, 0, 0, 0, tag]]
            .concat()
    };
    let schemas = [schema("()", 0), schema("u8", 7), schema("bool", 1)].concat();
    let body = [&body.concat()[..], &schemas].concat();
    expected.extend_from_slice(&(body.len() as u32).to_le_bytes());
    expected.extend_from_slice(&body);
    let header = xxhash_rust::xxh3::xxh3_64(&expected);
    expected.extend_from_slice(&header.to_le_bytes());
    let (at, group) = (expected.len(), group_of(&5u8).0.to_le_bytes());
    let sealed = |bytes: Vec<u8>| {
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, header);
        [&bytes[..], &hash.to_le_bytes()].concat()
    };
    let numbers = |numbers: [u64; 3]| numbers.map(u64::to_le_bytes).concat();
    // A floor of 9, one entry, five bytes: an empty namespace, the key 5, the value true.
    expected.extend(sealed([&b"B"[..], &group, &numbers([9, 1, 5]), &[0, 1, 5, 1, 1]].concat()));
    let listed =
        [&b"F\x01\x00\x00\x00"[..], &group, &numbers([1, at as u64, at as u64 + 40])].concat();
    expected.extend(sealed(listed));
    expected.extend_from_slice(b"\r\nHWEND.");
    assert_eq!(bytes, expected);
}

const VALUE_FINGERPRINT: u64 = 0xb1cd_985c_49be_4b76;
