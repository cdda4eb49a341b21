//! The slots that a delta replaces, as a part of their own.
//!
//! ```text
//! entry   namespace, key: empty for one key group, 1 for all of the part; value: marks (marks.rs)
//! ```
//!
//! What counts for all groups stands in the block of the first: many namespaces have few keys, and
//! would otherwise be named once per group.

use highwater_core::key::{Key, KeyGroup, KeyGroupRange};

use super::marks::{self, Marks};
use super::reader::exact;
use crate::format::{
    Block, Codec, CodecError, FormatError, Header, PartReader, PartWriter, Place, Postcard,
    RawEntry, Role, Schemas,
};
use crate::heap::Dirty;
use crate::schema::Schema;
use crate::snapshot::{StateFormat, Stored};

/// What is added to the name of a state to name the slots of its deltas.
const SLOTS: &str = "/slots";

const OF_GROUP: &[u8] = &[];
const OF_ALL: &[u8] = &[1];

/// An encoded namespace, whether it is about all groups, and the marks.
type Named = (Vec<u8>, &'static [u8], Vec<u8>);

/// The slots of a delta that is being made.
pub(crate) struct Slots {
    range: KeyGroupRange,
    /// By key group.
    named: Vec<Vec<Named>>,
}

impl Slots {
    pub(crate) fn new(range: KeyGroupRange) -> Self {
        Slots { range, named: vec![Vec::new(); range.count()] }
    }

    /// Adds the marks of a namespace in all groups of the range.
    pub(crate) fn of_all(&mut self, namespace: Vec<u8>, marks: &Dirty) {
        self.add(0, namespace, OF_ALL, marks);
    }

    /// Adds the marks of a namespace in one group of the range.
    pub(crate) fn of_group(&mut self, index: usize, namespace: &[u8], marks: &Dirty) {
        self.add(index, namespace.to_vec(), OF_GROUP, marks);
    }

    fn add(&mut self, index: usize, namespace: Vec<u8>, what: &'static [u8], marks: &Dirty) {
        if let Some(named) = self.named.get_mut(index).filter(|_| !marks.is_clean()) {
            named.push((namespace, what, marks::bytes(marks)));
        }
    }

    /// Joins the slots to a part.
    pub(crate) fn encode<N: Stored, K: Key, V: Stored>(
        self,
        format: &StateFormat<N, K, V>,
    ) -> Result<Vec<u8>, FormatError> {
        let mut blocks = Vec::new();
        for (group, named) in (self.range.first.0..).map(KeyGroup).zip(&self.named) {
            let raw =
                named.iter().map(|(namespace, key, value)| RawEntry { namespace, key, value });
            blocks.push(Block::new(group, i64::MIN, raw.collect())?);
        }
        blocks.retain(|block| !block.is_empty());
        let header = Header {
            max_parallelism: format.groups.count(),
            range: self.range,
            codec: Postcard::ID,
            blocks: blocks.len() as u32,
            entries: blocks.iter().map(Block::entries).sum(),
            operator: format.operator.clone(),
            state: slots_name(&format.state),
            schemas: Schemas {
                namespace: format.schemas.namespace.clone(),
                key: Schema::opaque("nothing", 1),
                value: Schema::opaque("slots", 1),
            },
        };
        let mut writer = PartWriter::new(Vec::new(), header)?;
        for block in &blocks {
            writer.block(block)?;
        }
        writer.finish()
    }
}

/// Returns the name of the slots of a state.
pub(crate) fn slots_name(state: &str) -> String {
    format!("{state}{SLOTS}")
}

/// What a delta replaces in a namespace.
pub(crate) struct Slot<'a> {
    /// Where this is said.
    place: Place,
    entry: u64,
    /// In which key groups.
    pub(crate) of: KeyGroupRange,
    /// The encoded namespace.
    pub(crate) namespace: &'a [u8],
    /// The keys, by their hash.
    pub(crate) marks: Marks,
}

/// Passes on what a delta replaces.
pub(crate) fn each_slot<'a>(
    part: &PartReader<'a>,
    mut pass: impl FnMut(Slot<'a>) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let range = part.header().range;
    for block in part.blocks(range) {
        let mut block = block?;
        let group = block.group();
        for (entry, raw) in (0..).zip(&mut block) {
            let (raw, place) = (raw?, Place::Block(group));
            let decode = |role| move |source| FormatError::Decode { place, entry, role, source };
            let of = match raw.key {
                OF_GROUP => Some(KeyGroupRange { first: group, last: group }),
                OF_ALL => Some(range),
                _ => None,
            };
            let of = of.ok_or_else(|| malformed("neither one key group nor all of them"));
            let of = of.map_err(decode(Role::Key))?;
            let marks = Marks::read(raw.value).map_err(decode(Role::Value))?;
            pass(Slot { place, entry, of, namespace: raw.namespace, marks })?;
        }
    }
    Ok(())
}

impl<N: Stored, K: Key, V: Stored> StateFormat<N, K, V, Postcard> {
    /// Reads the slots that a delta replaces, those of the groups in a range.
    ///
    /// - `forget`: takes key groups of the range, a namespace and the marks.
    pub(crate) fn read_slots(
        &self,
        bytes: &[u8],
        range: KeyGroupRange,
        mut forget: impl FnMut(KeyGroupRange, N, Marks),
    ) -> Result<(), FormatError> {
        let part = PartReader::open(bytes)?;
        let header = part.header();
        let expected = slots_name(&self.state);
        if (&header.operator, &header.state) != (&self.operator, &expected) {
            return Err(FormatError::State {
                found: (header.operator.clone(), header.state.clone()),
                expected: (self.operator.clone(), expected),
            });
        }
        let (found, expected) = (&header.schemas.namespace, &self.schemas.namespace);
        if found.fingerprint() != expected.fingerprint() {
            return Err(self.mismatch(Role::Namespace, found, expected));
        }
        let mut again = Vec::new();
        each_slot(&part, |Slot { place, entry, of, namespace, marks }| {
            let namespace =
                exact(&self.codec, expected, namespace, &mut again).map_err(|source| {
                    FormatError::Decode { place, entry, role: Role::Namespace, source }
                })?;
            let (first, last) = (of.first.max(range.first), of.last.min(range.last));
            if first <= last {
                forget(KeyGroupRange { first, last }, namespace, marks);
            }
            Ok(())
        })
    }
}

fn malformed(what: &'static str) -> CodecError {
    CodecError::Malformed { at: 0, what }
}
