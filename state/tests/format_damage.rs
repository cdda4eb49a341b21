//! Damaged bytes are refused: never a panic, never another value.
//!
//! - Every flipped bit and every cut of a small part, exhaustively: would catch a byte that no
//!   checksum covers and a length that is used before it is checked.
//! - Random corruption (`HIGHWATER_LONG=1` for a million): would catch what single bits do not,
//!   such as blocks that have changed places.
//! - Each kind of error with what it has to name.
#![allow(clippy::unwrap_used, reason = "a test")]

use highwater_core::error::ErrorKind;
use highwater_core::key::KeyGroups;
use highwater_state::StateFormat;
use highwater_state::format::{FormatError, MAGIC, PartReader, Place};

mod support;
use support::damage::*;
use support::*;

#[test]
fn every_flipped_bit_is_refused() {
    let (format, mut bytes) = small();
    assert!(read(&format, &bytes).is_ok());
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&format, &bytes).is_err(), "bit {bit} of {}", bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn every_replaced_byte_is_refused() {
    let (format, mut bytes) = small();
    for at in 0..bytes.len() {
        let byte = bytes[at];
        for wrong in (0..=255).filter(|wrong| *wrong != byte) {
            bytes[at] = wrong;
            assert!(read(&format, &bytes).is_err(), "{wrong} at {at} instead of {byte}");
        }
        bytes[at] = byte;
    }
}

#[test]
fn every_truncation_is_refused_as_such() {
    let (format, bytes) = small();
    for length in 0..bytes.len() {
        let error = read(&format, &bytes[..length]).unwrap_err();
        let FormatError::Truncated { at, needed, left, .. } = error else {
            panic!("cut at {length} of {}: {error}", bytes.len())
        };
        assert!(at <= length as u64 && left < needed, "cut at {length}: {at}, {needed}, {left}");
    }
}

#[test]
fn trailing_bytes_are_refused_as_such() {
    let (format, bytes) = small();
    for more in [&[0][..], &[0; 100], b"\r\nHWEND.", &bytes] {
        let longer = [&bytes, more].concat();
        let error = read(&format, &longer).unwrap_err();
        let FormatError::Trailing { place: Place::Footer, at, extra } = error else {
            panic!("{error}")
        };
        assert_eq!((at, extra), (bytes.len() as u64, more.len() as u64));
    }
}

#[test]
fn random_corruption_is_refused() {
    let long = std::env::var("HIGHWATER_LONG").is_ok_and(|long| long == "1");
    let (cases, (format, part)) = (if long { 1_000_000 } else { 20_000 }, small());
    let mut random = Random(1);
    for case in 0..cases {
        let bytes = corrupt(&part, &mut random);
        let error = read(&format, &bytes).err();
        assert!(error.is_some(), "case {case} of {cases} is accepted: {bytes:02x?}");
    }
}

#[test]
fn what_is_no_part_is_named_as_such() {
    let (format, part) = small();
    let error = read(&format, b"PK\x03\x04 and more bytes").unwrap_err();
    let text = "not a part of a snapshot: begins with 504b030420616e64, expected 4857504152540d0a";
    assert_eq!(error.to_string(), text);
    // Text mode transfers change line ends, which the magic shows.
    let text_mode = [&MAGIC[..6], b"\n", &part[8..]].concat();
    assert!(matches!(read(&format, &text_mode), Err(FormatError::Magic { .. })));
    for version in [0, 2, u16::MAX] {
        let newer = forged(&part, |bytes| bytes[8..10].copy_from_slice(&version.to_le_bytes()));
        let error = read(&format, &newer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let text = format!("format version {version} is not known, this program reads 1 to 1");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn damage_is_named_with_its_place() {
    let (format, part) = small();
    let place = |at: usize| {
        let mut bytes = part.clone();
        bytes[at] ^= 4;
        let error = read(&format, &bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let FormatError::Checksum { place, at: from, .. } = error else { panic!("{error}") };
        assert!(from <= at as u64);
        place
    };
    let reader = PartReader::open(&part).unwrap();
    let first = reader.blocks(all()).next().unwrap().unwrap().group();
    let header = u32::from_le_bytes(part[10..14].try_into().unwrap()) as usize + 22;
    assert_eq!(place(20), Place::Header);
    assert_eq!(place(header + 30), Place::Block(first));
    assert_eq!(place(part.len() - 30), Place::Footer);
}

#[test]
fn parts_of_others_are_refused() {
    let (_, part) = small();
    let groups = key_groups();
    let error = StateFormat::<(i64, i64), String, Session>::new("other", "sessions", groups)
        .unwrap()
        .open(&part)
        .map(|_| ())
        .unwrap_err();
    let text = "the part holds state \"sessions\" of operator \"window-uid\", expected state \
                \"sessions\" of operator \"other\"";
    assert_eq!(error.to_string(), text);
    let (groups, uid) = (KeyGroups::new(256, 1), "window-uid");
    let wider = StateFormat::<(i64, i64), String, Session>::new(uid, "sessions", groups).unwrap();
    let error = wider.open(&part).unwrap_err();
    let text = "the part was written with max parallelism 128, the job has 256";
    assert_eq!((error.to_string().as_str(), error.kind()), (text, ErrorKind::Invalid));
    let codec = forged(&part, |bytes| bytes[22] = 7);
    let error = read(&format::<(i64, i64), String, Session>(), &codec).unwrap_err();
    assert_eq!(error.to_string(), "values are encoded with codec 7, expected 1");
}

#[test]
fn a_block_of_another_part_is_refused() {
    let write = |operator: &str, value: u64| {
        let groups = key_groups();
        let format = StateFormat::<(), u32, u64>::new(operator, "count", groups).unwrap();
        let block = format.block(group_of(&1u32), 0, [(&(), &1, &value)]).unwrap();
        let bytes = format.part(all(), vec![block]).unwrap();
        (format, bytes)
    };
    let ((format, mut one), (_, other)) = (write("count-a", 1), write("count-b", 2));
    let header = u32::from_le_bytes(one[10..14].try_into().unwrap()) as usize + 22;
    let end = one.len() - 29 - 18;
    one[header..end].copy_from_slice(&other[header..end]);
    let mut group = format.open(&one).unwrap().groups(all()).collect::<Vec<_>>();
    let error = group.remove(0).map(|_| ()).unwrap_err();
    assert!(matches!(error, FormatError::Checksum { .. }), "{error}");
}
