//! Parts that say something wrong with checksums that are right: written by a faulty program, or by
//! somebody who wants the reader to fail.
//!
//! - Random corruption with all checksums made right again (`HIGHWATER_LONG=1` for a million):
//!   would catch a decoder that relies on checksums to keep it from panicking or from allocating
//!   what a length says.
//! - What each block and entry must fulfil, violated one by one.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;

use highwater_core::error::ErrorKind;
use highwater_core::key::{Key, KeyGroup};
use highwater_state::StateFormat;
use highwater_state::format::{
    Block, FormatError, Header, PartReader, PartWriter, Place, RawEntry, Role,
};
use highwater_state::snapshot::Stored;
use serde::{Deserialize, Serialize};

mod support;
use support::damage::*;
use support::*;

#[test]
fn forged_parts_do_not_panic() {
    let long = std::env::var("HIGHWATER_LONG").is_ok_and(|long| long == "1");
    let (cases, (format, part)) = (if long { 1_000_000 } else { 20_000 }, small());
    let mut resealed = part.clone();
    reseal(&mut resealed).unwrap();
    assert_eq!(resealed, part, "an undamaged part is sealed already");
    let (mut random, mut accepted) = (Random(2), 0);
    let mut blocks_reached = 0;
    for _ in 0..cases {
        let mut bytes = corrupt(&part, &mut random);
        let _ = reseal(&mut bytes);
        // Such a part says something else and may say it well.
        accepted += usize::from(drain(&format, &bytes).is_ok());
        blocks_reached += usize::from(PartReader::open(&bytes).is_ok());
    }
    assert!(accepted > cases / 200, "{accepted} of {cases} reach the decoder's end");
    assert!(blocks_reached > cases / 20, "{blocks_reached} of {cases} reach the blocks");
}

#[test]
fn counts_that_do_not_fit_are_named() {
    let (format, part) = small();
    let header = u32::from_le_bytes(part[10..14].try_into().unwrap()) as usize + 22;
    let refused = |what: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let error = drain(&format, &forged(&part, change)).unwrap_err();
        assert!(error.to_string().contains(what), "{error}, expected {what}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    };
    refused("blocks", &|bytes| bytes[24..28].copy_from_slice(&9u32.to_le_bytes()));
    refused("entries", &|bytes| bytes[28..36].copy_from_slice(&u64::MAX.to_le_bytes()));
    refused("entries", &|bytes| bytes[header + 11] += 1);
    refused("cut off", &|bytes| bytes[header + 27] = 0x7f);
    refused("cannot be read", &|bytes| bytes[header + 27 + 1] = 0x80);
    refused("impossible range", &|bytes| bytes[18] = 200);
    refused("impossible max parallelism", &|bytes| bytes[14..18].fill(0xff));
}

#[test]
fn a_key_in_a_wrong_group_is_refused() {
    let format = format::<(), u32, u64>();
    let own = group_of(&1u32);
    let part = format.part(all(), vec![format.block(own, 0, [(&(), &1, &2)]).unwrap()]).unwrap();
    let wrong = KeyGroup(own.0 ^ 1);
    let header = u32::from_le_bytes(part[10..14].try_into().unwrap()) as usize + 22;
    let footer = part.len() - 24 - 18;
    let bytes = forged(&part, |bytes| {
        bytes[header + 1] ^= 1;
        bytes[footer] ^= 1;
    });
    let entry = format.open(&bytes).unwrap().groups(all()).next().unwrap().unwrap().next();
    let error = entry.unwrap().unwrap_err();
    let FormatError::KeyGroup { place, entry: 0, found } = error else { panic!("{error}") };
    assert_eq!((place, found), (Place::Block(wrong), own));
}

#[test]
fn values_of_older_types_are_read_to_their_end() {
    mod old {
        #[derive(serde::Serialize, serde::Deserialize)]
        pub(crate) struct Point {
            x: u8,
        }
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Point {
        x: u8,
        y: Option<u8>,
    }
    let decode = |bytes: &[u8]| decode_as::<old::Point, Point>(&Raw(bytes.to_vec()));
    assert_eq!(decode(&[7]).unwrap(), Point { x: 7, y: None });
    assert_eq!(decode(&[7, 0]).unwrap_err(), "1 bytes follow after its end");
    assert_eq!(decode(&[]).unwrap_err(), "it is cut off at byte 0");
}

#[test]
fn entries_that_do_not_ascend_are_refused() {
    let format = format::<(), u8, u8>();
    let group = group_of(&1u8);
    let other = (2..).find(|key| group_of(key) == group).unwrap();
    let block = format.block(group, 0, [(&(), &1, &3), (&(), &other, &4)]).unwrap();
    let part = format.part(all(), vec![block]).unwrap();
    let payload = part.len() - 24 - 18 - 5 - 8 - 10;
    assert_eq!(part[payload..payload + 10], [0, 1, 1, 1, 3, 0, 1, other, 1, 4]);
    for keys in [(other, 1), (1, 1)] {
        let bytes = forged(&part, |bytes| {
            (bytes[payload + 2], bytes[payload + 7]) = keys;
        });
        let entries = format.open(&bytes).unwrap().groups(all()).next().unwrap().unwrap();
        let error = entries.collect::<Result<Vec<_>, _>>().unwrap_err();
        assert!(matches!(error, FormatError::Order { .. }), "{error}");
    }
}

#[test]
fn a_count_that_all_agree_on_has_to_fit_into_the_block() {
    let format = format::<(), u8, u8>();
    let block = format.block(group_of(&1u8), 0, [(&(), &1, &3)]).unwrap();
    let part = format.part(all(), vec![block]).unwrap();
    let block = part.len() - 24 - 18 - 5 - 8 - 5 - 27;
    for count in [2, u64::MAX] {
        let bytes = forged(&part, |bytes| {
            for at in [28, block + 11, part.len() - 24 - 16] {
                bytes[at..at + 8].copy_from_slice(&count.to_le_bytes());
            }
        });
        let error = format.open(&bytes).unwrap().groups(all()).next().unwrap().unwrap_err();
        let text = format!("declares {count} entries, there are 1");
        assert!(error.to_string().contains(&text), "{error}");
    }
}

#[test]
fn blocks_that_do_not_fill_the_part_are_refused() {
    let (format, part) = small();
    let blocks = PartReader::open(&part).unwrap().header().blocks as usize;
    let listed = part.len() - 24 - 18 * blocks;
    assert!(blocks > 1);
    for (index, by) in [(0, 1), (0, u64::MAX), (1, 1), (1, 1 << 40), (1, u64::MAX), (1, 1 << 63)] {
        let at = listed + 18 * index + 10;
        let bytes = forged(&part, |bytes| {
            let offset = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
            bytes[at..at + 8].copy_from_slice(&offset.wrapping_add(by).to_le_bytes());
        });
        let error = drain(&format, &bytes).unwrap_err();
        if index == 0 || by == 1 << 40 {
            assert!(error.to_string().contains("blocks that do not fill the part"), "{error}");
        } else {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        }
    }
    let twice = forged(&part, |bytes| bytes.copy_within(listed..listed + 2, listed + 18));
    assert!(matches!(drain(&format, &twice), Err(FormatError::Order { .. })));
}

#[test]
fn a_schema_that_is_not_the_one_it_is_said_to_be_is_refused() {
    let (format, part) = small();
    let find = |text: &[u8]| part.windows(text.len()).position(|bytes| bytes == text).unwrap();
    // The fingerprint, the name, and the structure: a score of f64 that becomes an f32.
    let name = find(b"\x07\0\0\0Session");
    let score = find(b"score") + 5;
    for at in [name - 1, name + 5, score] {
        let error = drain(&format, &forged(&part, |bytes| bytes[at] ^= 1)).unwrap_err();
        assert!(error.to_string().contains("not the one it is said to be"), "{error}");
    }
}

#[test]
fn forged_values_are_neither_too_deep_nor_too_long() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Chain {
        next: Option<Box<Chain>>,
    }
    // A value of 100,000 bytes, each of which is one more level.
    let endless = Raw(vec![1; 100_000]);
    let error = decode::<Chain>(&endless).unwrap_err();
    assert!(error.contains("nested deeper than 1024"), "{error}");
    // A sequence of 2^63 elements that take no bytes.
    let long = Raw([&[0x80; 9][..], &[1]].concat());
    let error = decode::<Vec<()>>(&long).unwrap_err();
    assert!(error.contains("more elements than there is room for"), "{error}");
    assert_eq!(decode::<u8>(&Raw(vec![1, 2])).unwrap_err(), "1 bytes follow after its end");
}

#[test]
fn regression_a_key_that_is_written_in_two_ways_is_refused() {
    // The number 7, and a set of 1 and 2.
    let numbers = format::<(), u32, ()>();
    let error = read_raw(&numbers, group_of(&7u32), &[], &[&[7], &[0x87, 0]]).unwrap_err();
    assert!(matches!(error, FormatError::Decode { role: Role::Key, .. }), "{error}");
    let sets = format::<(), BTreeSet<u8>, ()>();
    let group = group_of(&BTreeSet::from([1u8, 2]));
    assert_eq!(read_raw(&sets, group, &[], &[&[2, 1, 2]]).unwrap(), 1);
    let error = read_raw(&sets, group, &[], &[&[2, 1, 2], &[2, 2, 1]]).unwrap_err();
    assert!(matches!(error, FormatError::Decode { role: Role::Key, .. }), "{error}");
    let windows = format::<i64, u32, ()>();
    let error = read_raw(&windows, group_of(&7u32), &[0x80, 0], &[&[7]]).unwrap_err();
    assert!(matches!(error, FormatError::Decode { role: Role::Namespace, .. }), "{error}");
}

#[test]
fn regression_characters_behind_a_character_are_refused() {
    assert_eq!(decode::<char>(&Raw(vec![1, b'a'])).unwrap(), 'a');
    let error = decode::<char>(&Raw(vec![2, b'a', b'b'])).unwrap_err();
    assert!(error.contains("not one character"), "{error}");
    let error = decode::<Vec<(u8, char)>>(&Raw(vec![1, 0, 2, b'a', b'b'])).unwrap_err();
    assert!(error.contains("not one character"), "{error}");
}

/// Writes keys as they are, in one namespace, and returns how many are read.
fn read_raw<N: Stored, K: Key>(
    format: &StateFormat<N, K, ()>,
    group: KeyGroup,
    namespace: &[u8],
    keys: &[&[u8]],
) -> Result<usize, FormatError> {
    let raw = keys.iter().map(|key| RawEntry { namespace, key, value: &[] });
    let block = Block::new(group, 0, raw.collect())?;
    let bytes = format.part(all(), vec![block])?;
    let mut entries = format.open(&bytes)?.groups(all()).next().unwrap()?;
    entries.try_fold(0, |count, entry| entry.map(|_| count + 1))
}

/// Bytes that are written as they are.
struct Raw(Vec<u8>);

/// Reads bytes as the value of the only entry of a part.
fn decode<V: Stored>(value: &Raw) -> Result<V, String> {
    decode_as::<V, V>(value)
}

/// Reads bytes that are said to be an `Old` as a `New`.
fn decode_as<Old: Stored, New: Stored>(value: &Raw) -> Result<New, String> {
    let entry = RawEntry { namespace: &[], key: &[1], value: &value.0 };
    let block = Block::new(group_of(&1u32), 0, vec![entry]).unwrap();
    let header = Header {
        max_parallelism: 128,
        range: all(),
        codec: 1,
        blocks: 1,
        entries: 1,
        operator: "window-uid".into(),
        state: "sessions".into(),
        schemas: format::<(), u32, Old>().schemas().clone(),
    };
    let mut writer = PartWriter::new(Vec::new(), header).unwrap();
    writer.block(&block).unwrap();
    let (format, bytes) = (format::<(), u32, New>(), writer.finish().unwrap());
    let entry = format.open(&bytes).unwrap().groups(all()).next().unwrap().unwrap().next();
    entry.unwrap().map(|(_, _, value)| value).map_err(|error| {
        assert!(matches!(error, FormatError::Decode { role: Role::Value, .. }));
        std::error::Error::source(&error).unwrap().to_string()
    })
}
