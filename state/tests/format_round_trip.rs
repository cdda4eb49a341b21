//! What is written is read: for nested types, for any range of key groups, in one order of bytes.
//!
//! - Round trips with made-up values would catch a decoder that loses or mixes fields.
//! - Determinism would catch bytes that depend on the order in which a backend iterates.
//! - Ranges would catch entries that are lost or restored twice at another parallelism.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;

use highwater_core::cut::EncodedState;
use highwater_core::key::KeyGroups;
use highwater_state::format::{FormatError, PartReader};
use highwater_state::untyped::{JsonEntry, UntypedState};
use highwater_state::{Migration, StateFormat};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

mod support;
use support::*;

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Opened),
        any::<(i16, i16)>().prop_map(|(x, y)| Event::Moved(x, y)),
        (".*", option::of(any::<bool>())).prop_map(|(what, loud)| Event::Said { what, loud }),
        any::<u128>().prop_map(Event::Closed),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    (any::<i32>(), btree_map(any::<char>(), any::<bool>(), 0..4))
        .prop_map(|(price, tags)| Line { price, tags })
}

fn session() -> impl Strategy<Value = Session> {
    let score = any::<f64>().prop_filter("NaN is not equal to itself", |score| !score.is_nan());
    (any::<u64>(), ".*", score, vec(line(), 0..3), option::of(event()))
        .prop_map(|(id, name, score, lines, last)| Session { id, name, score, lines, last })
}

fn sessions() -> impl Strategy<Value = Entries<(i64, i64), String, Session>> {
    btree_map((any::<(i64, i64)>(), ".{0,8}"), session(), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn entries_are_read_as_they_were_written(entries in sessions()) {
        let format = format();
        let bytes = write(&format, &entries);
        prop_assert_eq!(&read(&format, &bytes).unwrap(), &entries);
        prop_assert_eq!(PartReader::open(&bytes).unwrap().header().entries, entries.len() as u64);
    }

    /// Reading with the stored schema must give what postcard gives: the same values, migrated from
    /// a type that has one optional field less.
    #[test]
    fn the_decoder_by_schema_agrees_with_postcard(entries in sessions()) {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename = "Session")]
        struct Grown {
            id: u64,
            name: String,
            score: f64,
            lines: Vec<Line>,
            last: Option<Event>,
            more: Option<BTreeMap<String, u8>>,
        }
        let bytes = write(&format(), &entries);
        let grown = read(&format::<(i64, i64), String, Grown>(), &bytes).unwrap();
        prop_assert_eq!(grown.len(), entries.len());
        for (key, Grown { id, name, score, lines, last, more }) in grown {
            prop_assert_eq!(&entries[&key], &Session { id, name, score, lines, last });
            prop_assert_eq!(more, None);
        }
    }

    /// What is shown of a part is what its types say of themselves.
    #[test]
    fn the_reader_without_types_agrees_with_the_one_with_types(entries in sessions()) {
        let bytes = write(&format(), &entries);
        let stored = [EncodedState { state: "sessions".into(), part: bytes, slots: None }];
        let state = UntypedState::open(&stored).unwrap();
        let mut shown = BTreeMap::new();
        for group in state.groups() {
            let group = group.unwrap();
            prop_assert_eq!(group.floor, 1_000 + i64::from(group.group.0));
            for entry in group.json(&state.header().schemas) {
                let JsonEntry { namespace, key, value } = entry.unwrap();
                prop_assert_eq!(group_of(&key.as_str().unwrap().to_owned()), group.group);
                shown.insert((namespace.to_string(), key.to_string()), value);
            }
        }
        let expected = entries.iter().map(|((namespace, key), session)| {
            let mut value = serde_json::to_value(Session { last: None, ..session.clone() }).unwrap();
            value["last"] = match &session.last {
                Some(Event::Closed(large)) if u64::try_from(*large).is_err() => {
                    json!({ "Closed": large.to_string() })
                }
                last => json!(last),
            };
            ((json!(namespace).to_string(), json!(key).to_string()), value)
        });
        prop_assert_eq!(shown, expected.collect::<BTreeMap<_, _>>());
    }

    #[test]
    fn equal_state_has_equal_bytes(entries in sessions(), seed in any::<u64>()) {
        let format = format();
        let mut shuffled: Vec<_> = entries.iter().map(|((n, k), v)| (n, k, v)).collect();
        shuffled.sort_by_key(|(n, k, _)| highwater_core::key::stable_hash(&(seed, n, k)));
        let mut blocks = Vec::new();
        for group in (0..128).rev().map(highwater_core::key::KeyGroup) {
            let own = shuffled.iter().filter(|(_, key, _)| group_of(*key) == group);
            let floor = 1_000 + i64::from(group.0);
            let own: Vec<_> = own.copied().collect();
            // A group without entries and without a floor says nothing.
            let floor = if own.is_empty() { i64::MIN } else { floor };
            blocks.push(format.block(group, floor, own).unwrap());
        }
        prop_assert_eq!(format.part(all(), blocks).unwrap(), write(&format, &entries));
    }

    #[test]
    fn every_group_is_restored_once_at_any_parallelism(
        entries in btree_map((any::<u8>(), any::<u32>()), any::<u64>(), 0..300),
        workers in 1usize..=128,
    ) {
        let format = format();
        let bytes = write(&format, &entries);
        let (reader, groups) = (format.open(&bytes).unwrap(), KeyGroups::new(128, workers));
        let mut restored = BTreeMap::new();
        for worker in 0..workers {
            let range = groups.range(worker);
            for (key, value) in read_range(&reader, range).unwrap() {
                prop_assert!(range.contains(group_of(&key.1)));
                prop_assert_eq!(restored.insert(key, value), None, "restored twice");
            }
        }
        prop_assert_eq!(restored, entries);
    }
}

#[test]
fn a_range_is_read_without_looking_at_the_other_blocks() {
    let entries: Entries<(), u32, u64> = (0..1_000).map(|i| (((), i), u64::from(i))).collect();
    let format = format();
    let mut bytes = write(&format, &entries);
    let needle = PartReader::open(&bytes).unwrap().blocks(range(90, 90)).count();
    assert_eq!(needle, 1);
    // Damage every byte of the blocks that are not read.
    let (begin, end) = (block_offset(&bytes, 0), block_offset(&bytes, 64));
    bytes[begin..end].fill(0xaa);
    let reader = format.open(&bytes).unwrap();
    let upper = read_range(&reader, range(64, 127)).unwrap();
    assert_eq!(upper.len(), entries.keys().filter(|(_, key)| group_of(key).0 >= 64).count());
    let damaged = read_range(&reader, range(63, 127)).unwrap_err();
    assert!(matches!(damaged, FormatError::Checksum { .. }), "{damaged}");
}

/// Where the block of a group begins, by the footer: 18 bytes for each of 128 groups, 24 after.
fn block_offset(part: &[u8], group: usize) -> usize {
    let at = part.len() - 24 - 18 * (128 - group) + 10;
    u64::from_le_bytes(part[at..at + 8].try_into().unwrap()) as usize
}

#[test]
fn a_floor_is_kept_for_groups_without_entries() {
    let format = format::<(), u32, u64>();
    let block = |group, floor| format.block(highwater_core::key::KeyGroup(group), floor, []);
    let blocks =
        vec![block(3, -7).unwrap(), block(2, i64::MAX).unwrap(), block(4, i64::MIN).unwrap()];
    let bytes = format.part(range(0, 63), blocks).unwrap();
    let reader = format.open(&bytes).unwrap();
    assert_eq!((reader.header().blocks, reader.header().range), (2, range(0, 63)));
    let floors = reader.groups(all()).map(|group| group.map(|g| (g.group().0, g.floor())));
    assert_eq!(floors.collect::<Result<Vec<_>, _>>().unwrap(), [(2, i64::MAX), (3, -7)]);
}

#[test]
fn wrong_blocks_are_not_written() {
    let format = format::<(), u32, u64>();
    let (own, other) = (group_of(&1u32), highwater_core::key::KeyGroup(group_of(&1u32).0 ^ 1));
    let error = format.block(other, 0, [(&(), &1, &2)]).unwrap_err();
    assert!(matches!(error, FormatError::KeyGroup { found, .. } if found == own), "{error}");
    let error = format.block(own, 0, [(&(), &1, &2), (&(), &1, &3)]).unwrap_err();
    assert!(matches!(error, FormatError::Order { .. }), "{error}");
    let block = format.block(own, 0, [(&(), &1, &2)]).unwrap();
    let error = format.part(all(), vec![block.clone(), block.clone()]).unwrap_err();
    assert!(matches!(error, FormatError::Order { .. }), "{error}");
    let error = format.part(range(own.0 + 1, 127), vec![block]).unwrap_err();
    assert!(matches!(error, FormatError::Order { .. }), "{error}");
}

#[test]
fn a_type_that_writes_something_else_than_it_reads_is_not_written() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Sly {
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<u64>,
        id: u64,
    }
    let format = format::<(), u32, Sly>();
    let block = |note| format.block(group_of(&1u32), 0, [(&(), &1, &Sly { note, id: 700 })]);
    block(Some(3)).unwrap();
    let error = block(None).unwrap_err();
    let message = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    let expected = "the value of entry 0 in the block of key group 66 cannot be written: its type \
                    writes something else than it reads";
    assert_eq!(message.replace(char::is_numeric, "#"), expected.replace(char::is_numeric, "#"));
}

#[test]
fn values_may_be_deep_but_not_too_deep_to_be_read() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Chain {
        next: Option<Box<Chain>>,
    }
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(rename = "Chain")]
    struct Grown {
        next: Option<Box<Grown>>,
        more: Option<u8>,
    }
    let chain = |length| {
        (0..length).fold(Chain { next: None }, |chain, _| Chain { next: Some(Box::new(chain)) })
    };
    let write = |length| {
        let (format, chain) = (format::<(), u32, Chain>(), chain(length));
        format.block(group_of(&1u32), 1_000 + i64::from(group_of(&1u32).0), [(&(), &1, &chain)])
    };
    let bytes = format::<(), u32, Chain>().part(all(), vec![write(510).unwrap()]).unwrap();
    assert_eq!(read(&format::<(), u32, Chain>(), &bytes).unwrap()[&((), 1)], chain(510));
    let grown = read(&format::<(), u32, Grown>(), &bytes).unwrap();
    assert!(grown[&((), 1)].next.is_some());
    let back = |mut grown: Grown| {
        let mut length = 0;
        while let Some(next) = grown.next {
            (grown, length) = (*next, length + 1);
        }
        length
    };
    let counting = format::<(), u32, u64>().with_migration(Migration::new(back)).unwrap();
    assert_eq!(read(&counting, &bytes).unwrap()[&((), 1)], 510);
    let error = write(520).unwrap_err();
    assert!(matches!(error, FormatError::Encode { .. }), "{error}");
}

#[test]
fn a_state_can_be_described_by_hand() {
    use highwater_state::format::{Postcard, Schemas};
    use highwater_state::schema::Schema;
    let schemas = |version| Schemas {
        namespace: Schema::of::<()>().unwrap(),
        key: Schema::of::<u32>().unwrap(),
        value: Schema::opaque("acme.Blob", version),
    };
    let described = |version| {
        StateFormat::<(), u32, u64>::described("op", "s", key_groups(), schemas(version), Postcard)
    };
    let entries: Entries<(), u32, u64> = [(((), 1), 2)].into();
    let bytes = write(&described(1), &entries);
    assert_eq!(read(&described(1), &bytes).unwrap(), entries);
    let error = described(2).open(&bytes).unwrap_err().to_string();
    assert!(error.contains("was opaque acme.Blob version 1, is opaque acme.Blob version 2"));
    let old = Migration::described(Schema::opaque("acme.Blob", 1), |old: u64| old * 10);
    let migrated = described(2).with_migration(old).unwrap();
    assert_eq!(read(&migrated, &bytes).unwrap()[&((), 1)], 20);
}
