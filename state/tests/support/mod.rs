//! A small job's state, and how it is written and read in the tests of the format.
#![allow(dead_code, reason = "each test file uses another part of it")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

pub(crate) mod counted;
pub(crate) mod damage;

use std::collections::BTreeMap;

use highwater_core::key::{Key, KeyGroup, KeyGroupRange, KeyGroups, stable_hash};
use highwater_state::format::{Block, FormatError};
use highwater_state::snapshot::Stored;
use highwater_state::{StateFormat, StateReader};
use serde::{Deserialize, Serialize};

/// The entries of a state.
pub(crate) type Entries<N, K, V> = BTreeMap<(N, K), V>;

/// A value with one of everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) score: f64,
    pub(crate) lines: Vec<Line>,
    pub(crate) last: Option<Event>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) price: i32,
    pub(crate) tags: BTreeMap<char, bool>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Event {
    Opened,
    Moved(i16, i16),
    Said { what: String, loud: Option<bool> },
    Closed(u128),
}

pub(crate) fn key_groups() -> KeyGroups {
    KeyGroups::new(128, 1)
}

pub(crate) fn all() -> KeyGroupRange {
    key_groups().range(0)
}

pub(crate) fn range(first: u16, last: u16) -> KeyGroupRange {
    KeyGroupRange { first: KeyGroup(first), last: KeyGroup(last) }
}

pub(crate) fn group_of<K: Key>(key: &K) -> KeyGroup {
    key_groups().of_hash(stable_hash(key))
}

pub(crate) fn format<N: Stored, K: Key, V: Stored>() -> StateFormat<N, K, V> {
    StateFormat::new("window-uid", "sessions", key_groups()).unwrap()
}

/// Makes the blocks of all groups that have entries; the floor of group `g` is `1000 + g`.
pub(crate) fn blocks<N: Stored + Ord, K: Key, V: Stored>(
    format: &StateFormat<N, K, V>,
    entries: &Entries<N, K, V>,
) -> Result<Vec<Block>, FormatError> {
    let mut groups: BTreeMap<KeyGroup, Vec<_>> = BTreeMap::new();
    for ((namespace, key), value) in entries {
        groups.entry(group_of(key)).or_default().push((namespace, key, value));
    }
    let block = |(group, entries): (KeyGroup, Vec<_>)| {
        format.block(group, 1_000 + i64::from(group.0), entries)
    };
    groups.into_iter().map(block).collect()
}

pub(crate) fn write<N: Stored + Ord, K: Key, V: Stored>(
    format: &StateFormat<N, K, V>,
    entries: &Entries<N, K, V>,
) -> Vec<u8> {
    format.part(all(), blocks(format, entries).unwrap()).unwrap()
}

pub(crate) fn read_range<N: Stored + Ord, K: Key, V: Stored>(
    reader: &StateReader<'_, N, K, V>,
    range: KeyGroupRange,
) -> Result<Entries<N, K, V>, FormatError> {
    let mut entries = BTreeMap::new();
    for group in reader.groups(range) {
        let group = group?;
        assert_eq!(group.floor(), 1_000 + i64::from(group.group().0));
        for entry in group {
            let (namespace, key, value) = entry?;
            entries.insert((namespace, key), value);
        }
    }
    Ok(entries)
}

pub(crate) fn read<N: Stored + Ord, K: Key, V: Stored>(
    format: &StateFormat<N, K, V>,
    bytes: &[u8],
) -> Result<Entries<N, K, V>, FormatError> {
    read_range(&format.open(bytes)?, all())
}

/// The state whose bytes are committed as `fixtures/v1.part`: never change it.
pub(crate) fn golden() -> Entries<(i64, i64), String, Session> {
    let session = |id: u64| Session {
        id,
        name: format!("session {id}"),
        score: id as f64 / 4.0,
        lines: (0..id % 3)
            .map(|i| Line { price: -(i as i32), tags: [('a', true), ('b', false)].into() })
            .collect(),
        last: match id % 5 {
            0 => None,
            1 => Some(Event::Opened),
            2 => Some(Event::Moved(-1, 300)),
            3 => Some(Event::Said { what: "hello".into(), loud: Some(true) }),
            _ => Some(Event::Closed(u128::MAX)),
        },
    };
    let entry = |id: u64| {
        let window = 60_000 * (id as i64 % 2);
        (((window, window + 60_000), format!("key {}", id / 2)), session(id))
    };
    (0..10).map(entry).collect()
}
