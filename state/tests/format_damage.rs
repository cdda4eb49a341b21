//! Damaged bytes are refused: never a panic, never another value.
//!
//! - Every flipped bit and every cut of a small part, exhaustively: would catch a byte that no
//!   checksum covers and a length that is used before it is checked.
//! - Random corruption (`HIGHWATER_LONG=1` for a million): would catch what single bits do not,
//!   such as blocks that have changed places.
//! - Random corruption with all checksums made right again: would catch a decoder that relies on
//!   checksums to keep it from panicking or from allocating what a length says.
//! - Each kind of error with what it has to name.
#![allow(clippy::unwrap_used, reason = "a test")]

use highwater_core::error::ErrorKind;
use highwater_core::key::{KeyGroup, KeyGroups, stable_hash};
use highwater_state::format::{FormatError, MAGIC, PartReader, Place, Role};
use highwater_state::{StateFormat, StateReader};

mod support;
use support::*;

type Format = StateFormat<(i64, i64), String, Session>;

/// A part with a few groups, and how it is read.
fn small() -> (Format, Vec<u8>) {
    let format = format();
    let entries = golden().into_iter().take(3).collect();
    let bytes = write(&format, &entries);
    (format, bytes)
}

/// Random numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (stable_hash(&self.0) >> 16) as usize % limit
    }
}

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

/// Changes a part in one of many ways; the result differs from it.
fn corrupt(part: &[u8], random: &mut Random) -> Vec<u8> {
    loop {
        let mut bytes = part.to_vec();
        let length = bytes.len();
        match random.below(6) {
            0 => bytes.truncate(random.below(length)),
            1 => bytes.extend((0..=random.below(40)).map(|i| part[(i * 7) % length])),
            2 => {
                let (a, b) = (random.below(length), random.below(length));
                bytes.copy_within(a.min(b)..a.max(b), random.below(length - (a.max(b) - a.min(b))));
            }
            3 => {
                let (a, b) = (random.below(length), random.below(length));
                bytes[a.min(b)..a.max(b)].rotate_left(random.below(a.abs_diff(b) + 1));
            }
            4 => {
                let at = random.below(length);
                bytes.drain(at..(at + 1 + random.below(20)).min(length));
            }
            _ => {
                for _ in 0..=random.below(8) {
                    let interesting = [0, 1, 0x7f, 0x80, 0xff, random.below(256) as u8];
                    bytes[random.below(length)] = interesting[random.below(6)];
                }
            }
        }
        if bytes != part {
            return bytes;
        }
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

/// Makes all checksums right that can be found by the lengths before them.
fn reseal(bytes: &mut [u8]) -> Option<()> {
    use xxhash_rust::xxh3::xxh3_64_with_seed;
    let number = |bytes: &[u8], at: usize, count: usize| {
        let digits = bytes.get(at..at.checked_add(count)?)?;
        Some(digits.iter().rev().fold(0usize, |sum, digit| sum << 8 | usize::from(*digit)))
    };
    let put = |bytes: &mut [u8], from: usize, at: usize, seed: u64| {
        let sum = xxh3_64_with_seed(bytes.get(from..at)?, seed);
        bytes.get_mut(at..at.checked_add(8)?)?.copy_from_slice(&sum.to_le_bytes());
        Some(sum)
    };
    let mut at = number(bytes, 10, 4)?.checked_add(14)?;
    let seed = put(bytes, 0, at, 0)?;
    at += 8;
    while *bytes.get(at)? == b'B' {
        let length = number(bytes, at + 19, 8)?;
        let end = at.checked_add(27)?.checked_add(length)?;
        put(bytes, at, end, seed)?;
        at = end + 8;
    }
    let end = number(bytes, at + 1, 4)?.checked_mul(18)?.checked_add(at + 13)?;
    put(bytes, at, end, seed).map(|_| ())
}

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

/// Reads everything without looking at it.
fn drain(format: &Format, bytes: &[u8]) -> Result<(), FormatError> {
    let reader: StateReader<'_, _, _, _> = format.open(bytes)?;
    for group in reader.groups(all()) {
        for entry in group? {
            entry?;
        }
    }
    Ok(())
}

/// Changes a part and makes its checksums right again.
fn forged(part: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = part.to_vec();
    change(&mut bytes);
    let _ = reseal(&mut bytes);
    bytes
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
fn forged_values_are_neither_too_deep_nor_too_long() {
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
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
}

/// Bytes that are written as they are.
struct Raw(Vec<u8>);

/// Reads bytes as the value of the only entry of a part.
fn decode<V: highwater_state::snapshot::Stored>(value: &Raw) -> Result<V, String> {
    use highwater_state::format::{Block, Header, PartWriter, RawEntry};
    let format = format::<(), u32, V>();
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
        schemas: format.schemas().clone(),
    };
    let mut writer = PartWriter::new(Vec::new(), header).unwrap();
    writer.block(&block).unwrap();
    let bytes = writer.finish().unwrap();
    let entry = format.open(&bytes).unwrap().groups(all()).next().unwrap().unwrap().next();
    entry.unwrap().map(|(_, _, value)| value).map_err(|error| {
        assert!(matches!(error, FormatError::Decode { role: Role::Value, .. }));
        std::error::Error::source(&error).unwrap().to_string()
    })
}
