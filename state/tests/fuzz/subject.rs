//! The parts that are corrupted, and the programs that read them.

use std::collections::BTreeMap;

use highwater_core::cut::EncodedState;
use highwater_core::key::{Key, KeyGroup};
use highwater_state::format::{Codec, FormatError, PartReader, Postcard};
use highwater_state::snapshot::Stored;
use highwater_state::untyped::UntypedState;
use highwater_state::{Migration, StateFormat};
use serde::{Deserialize, Serialize};

use crate::support::{Entries, all, format, golden, write};

/// A program that reads a part.
type Read = dyn Fn(&[u8]) -> Verdict;

/// A whole part and a reader of it.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) part: Vec<u8>,
    pub(crate) read: Box<Read>,
}

/// What a reader makes of a part.
#[derive(Debug)]
pub(crate) enum Verdict {
    Refused(FormatError),
    /// Accepted, and exactly these bytes are written again.
    Same,
    /// Accepted, written again as other bytes that say the same.
    Equivalent,
    /// Accepted, although it should not be.
    Wrong(String),
}

mod old {
    use super::*;

    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub(crate) struct Point {
        pub(crate) x: i32,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub(crate) struct Order {
        pub(crate) id: u64,
        pub(crate) points: Vec<Point>,
        pub(crate) best: Option<Point>,
        pub(crate) tag: char,
    }
}

mod new {
    use super::*;

    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub(crate) struct Point {
        pub(crate) x: i32,
        pub(crate) label: Option<String>,
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub(crate) struct Order {
        pub(crate) id: u64,
        pub(crate) points: Vec<Point>,
        pub(crate) best: Option<Point>,
        pub(crate) tag: char,
        pub(crate) note: Option<Vec<u16>>,
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Tree {
    leaf: i16,
    below: Vec<Tree>,
}

fn tree(depth: i16) -> Tree {
    let below = (0..depth).map(tree).collect();
    Tree { leaf: -depth, below }
}

fn orders() -> Entries<(), u32, old::Order> {
    let order = |id: u64| old::Order {
        id: id << 20,
        points: (0..id as i32 % 4).map(|x| old::Point { x: x * -1_000 }).collect(),
        best: id.is_multiple_of(2).then_some(old::Point { x: i32::MAX }),
        tag: char::from_u32(0x41 + id as u32 * 50).unwrap(),
    };
    (0..12).map(|id| (((), id as u32), order(id))).collect()
}

/// Reads a part without its types; returns how many entries it has.
pub(crate) fn show(part: &[u8]) -> Result<usize, FormatError> {
    let stored = [EncodedState { state: String::new(), part: part.to_vec(), slots: None }];
    let state = UntypedState::open(&stored)?;
    let mut entries = 0;
    for group in state.groups() {
        for entry in group?.json(&state.header().schemas) {
            entry?;
            entries += 1;
        }
    }
    Ok(entries)
}

/// All parts, each with a reader that has something else to do.
pub(crate) fn subjects() -> Vec<Subject> {
    let old_orders = write(&format::<(), u32, old::Order>(), &orders());
    let sum = |order: new::Order| order.points.iter().map(|point| f64::from(point.x)).sum::<f64>();
    let ids = |order: old::Order| order.id.to_string();
    let maps: Entries<(i64, i64), String, BTreeMap<String, Vec<u64>>> = (0..6u64)
        .map(|i| {
            let lists = (0..i).map(|j| (format!("list {j}"), (0..j).map(|n| n << n).collect()));
            (((-(i as i64), 60_000), format!("key {i}")), lists.collect())
        })
        .collect();
    vec![
        subject(
            "nothing",
            write(&format(), &Entries::<(), u32, u64>::new()),
            format::<(), u32, u64>(),
        ),
        written("one", (0..1u64).map(|i| (((), i), i)).collect()),
        written("counters", (0..300u64).map(|i| (((), i), i * i)).collect()),
        written("sessions", golden()),
        written("maps", maps),
        written("trees", (0..5u8).map(|i| (((), i), tree(i16::from(i)))).collect()),
        subject("grown", old_orders.clone(), format::<(), u32, new::Order>()),
        subject(
            "migrated",
            old_orders.clone(),
            format::<(), u32, String>().with_migration(Migration::new(ids)).unwrap(),
        ),
        subject(
            "grown and migrated",
            old_orders,
            format::<(), u32, f64>().with_migration(Migration::new(sum)).unwrap(),
        ),
    ]
}

/// A part that is read as what was written.
fn written<N: Stored + Ord, K: Key, V: Stored>(
    name: &'static str,
    entries: Entries<N, K, V>,
) -> Subject {
    subject(name, write(&format(), &entries), format::<N, K, V>())
}

fn subject<N: Stored, K: Key, V: Stored>(
    name: &'static str,
    part: Vec<u8>,
    format: StateFormat<N, K, V>,
) -> Subject {
    Subject { name, part, read: Box::new(move |bytes| judge(&format, bytes)) }
}

/// The groups of a part: number, watermark floor, entries.
type Groups<N, K, V> = Vec<(KeyGroup, i64, Vec<(N, K, V)>)>;

fn decode<N: Stored, K: Key, V: Stored>(
    format: &StateFormat<N, K, V>,
    bytes: &[u8],
) -> Result<Groups<N, K, V>, FormatError> {
    let mut groups = Vec::new();
    for group in format.open(bytes)?.groups(all()) {
        let group = group?;
        groups.push((group.group(), group.floor(), group.collect::<Result<_, _>>()?));
    }
    Ok(groups)
}

/// Reads a part; if it is accepted, compares what was read with what the bytes say.
fn judge<N: Stored, K: Key, V: Stored>(format: &StateFormat<N, K, V>, bytes: &[u8]) -> Verdict {
    let groups = match decode(format, bytes) {
        Ok(groups) => groups,
        Err(error) => return Verdict::Refused(error),
    };
    if let Err(why) = assert_described(bytes, &groups) {
        return Verdict::Wrong(why);
    }
    let write = |groups: &Groups<N, K, V>| encode(format, bytes, groups);
    let again = match write(&groups) {
        Err(error) => return Verdict::Wrong(format!("it cannot be written again: {error}")),
        Ok(again) => again,
    };
    match decode(format, &again).and_then(|groups| write(&groups)) {
        Err(error) => Verdict::Wrong(format!("it is not read again: {error}")),
        Ok(third) if third != again => Verdict::Wrong("writing it changes it".to_owned()),
        Ok(_) if again == bytes => Verdict::Same,
        Ok(_) => Verdict::Equivalent,
    }
}

/// Asserts that everything was read, and is what the stored schemas say to the last byte.
fn assert_described<N, K, V>(bytes: &[u8], groups: &Groups<N, K, V>) -> Result<(), String> {
    let reader = PartReader::open(bytes).map_err(|error| error.to_string())?;
    let (header, mut stored) = (reader.header(), 0);
    for block in reader.blocks(all()) {
        for entry in block.map_err(|error| error.to_string())? {
            let entry = entry.map_err(|error| error.to_string())?;
            for ((role, schema), bytes) in
                header.schemas.roles().into_iter().zip([entry.namespace, entry.key, entry.value])
            {
                Postcard.check(schema, bytes).map_err(|error| {
                    format!("the {role} is not what its schema says: {error}: {bytes:02x?}")
                })?;
            }
            stored += 1;
        }
    }
    let read: u64 = groups.iter().map(|(_, _, entries)| entries.len() as u64).sum();
    match (stored, header.entries) == (read, read) {
        true => Ok(()),
        false => Err(format!("{read} of {stored} entries were read, {} said", header.entries)),
    }
}

/// Writes groups as a part for the range of another part.
fn encode<N: Stored, K: Key, V: Stored>(
    format: &StateFormat<N, K, V>,
    like: &[u8],
    groups: &Groups<N, K, V>,
) -> Result<Vec<u8>, FormatError> {
    let block = |(group, floor, entries): &(KeyGroup, i64, Vec<(N, K, V)>)| {
        let entries = entries.iter().map(|(namespace, key, value)| (namespace, key, value));
        format.block(*group, *floor, entries)
    };
    let blocks = groups.iter().map(block).collect::<Result<Vec<_>, _>>()?;
    format.part(PartReader::open(like)?.header().range, blocks)
}
