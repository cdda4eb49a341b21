//! The hash of a key without its type, derived from its schema and checked against where keys stand.
//!
//! ```text
//! schema  (u32, string)    bytes  07 03 'J' 'F' 'K'
//!            |                       |
//!            '-- what a derived Hash would feed: 7, "JFK", 0xff --> hash --> key group = its block?
//! ```
//!
//! A hash is defined by the `Hash` of a type, which a schema does not show. Nearly all keys derive
//! theirs, or are of the standard library, so that the words can be told from the structure. Where a
//! structure has several meanings (an array is written like a tuple, a set like a vector), each is a
//! *way*; the ways that put a key elsewhere than it stands are given up.
//!
//! **Invariants**
//! - *Checked*: a way is used only if it puts every key of the chain into the key group in which it
//!   stands, and every key of a delta into one of its slots (by the caller, `untyped/chain.rs`). A
//!   wrong hash would pass with a chance of one in max parallelism for each key.
//! - *Agreed*: where several ways are left, they must give the same answer ([`KeyHash::answer`]).
//!
//! **Left out**: types that write their own `Hash`; floats and types described by hand, which have
//! no hash that could be derived.

use std::hash::Hasher;

use highwater_core::key::StableHasher;

use crate::format::CodecError;
use crate::format::input::{Input, deeper};
use crate::schema::{Fields, Id, Leaf, Node, Schema};

/// How many places of a type may have two meanings.
const AMBIGUOUS_MAX: usize = 6;

/// The ways in which keys of a schema may be hashed.
#[derive(Clone, Debug)]
pub(super) struct KeyHash {
    schema: Schema,
    /// The nodes with two meanings.
    ambiguous: Vec<Id>,
    /// For each way the nodes that have their second meaning, as bits.
    ways: Vec<u32>,
}

impl KeyHash {
    /// Returns all ways.
    pub(super) fn new(schema: &Schema) -> Self {
        let nodes = || (0..).map_while(|id| schema.nodes().get(id).map(|node| (id, node)));
        let cannot =
            |node: &Node| matches!(node, Node::Leaf(Leaf::F32 | Leaf::F64) | Node::Opaque { .. });
        let ambiguous = nodes().filter(|(_, node)| has_two_meanings(schema, node));
        let ambiguous: Vec<Id> = ambiguous.map(|(id, _)| id).take(AMBIGUOUS_MAX).collect();
        let ways = match nodes().any(|(_, node)| cannot(node)) {
            true => Vec::new(),
            false => (0..1 << ambiguous.len()).collect(),
        };
        KeyHash { schema: schema.clone(), ambiguous, ways }
    }

    /// Gives up the ways that hash a key in a way that is not accepted; returns whether one is left.
    pub(super) fn keep(
        &mut self,
        key: &[u8],
        accept: impl Fn(u64) -> bool,
    ) -> Result<bool, CodecError> {
        let mut ways = std::mem::take(&mut self.ways);
        let mut failed = None;
        ways.retain(|way| match self.hash(key, *way) {
            Ok(hash) => accept(hash),
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        self.ways = ways;
        failed.map_or(Ok(!self.ways.is_empty()), Err)
    }

    /// Asks something of the hash of a key; `None` if the ways do not agree about the answer.
    pub(super) fn answer(
        &self,
        key: &[u8],
        ask: impl Fn(u64) -> bool,
    ) -> Result<Option<bool>, CodecError> {
        let mut answer = None;
        for way in &self.ways {
            let says = ask(self.hash(key, *way)?);
            if answer.is_some_and(|answer| answer != says) {
                return Ok(None);
            }
            answer = Some(says);
        }
        Ok(answer)
    }

    fn hash(&self, key: &[u8], way: u32) -> Result<u64, CodecError> {
        let mut feeder =
            Feeder { of: self, way, input: Input::new(key), hasher: StableHasher::default() };
        feeder.feed(0, 0)?;
        feeder.input.finish()?;
        Ok(feeder.hasher.finish())
    }
}

/// Returns whether a node may be hashed in two ways: a sequence of integers at once or one by one, a
/// tuple as such or as an array.
fn has_two_meanings(schema: &Schema, node: &Node) -> bool {
    match node {
        Node::Seq(item) => integer_bytes(schema.node(*item)).is_some(),
        Node::Tuple(items) => match items.split_first() {
            Some((first, rest)) => {
                let first = schema.node(*first);
                matches!(first, Node::Leaf(_))
                    && rest.iter().all(|item| schema.node(*item) == first)
            }
            None => false,
        },
        _ => false,
    }
}

/// Returns how many bytes an integer takes in memory.
fn integer_bytes(node: &Node) -> Option<usize> {
    match node {
        Node::Leaf(Leaf::I8 | Leaf::U8) => Some(1),
        Node::Leaf(Leaf::I16 | Leaf::U16) => Some(2),
        Node::Leaf(Leaf::I32 | Leaf::U32) => Some(4),
        Node::Leaf(Leaf::I64 | Leaf::U64) => Some(8),
        Node::Leaf(Leaf::I128 | Leaf::U128) => Some(16),
        _ => None,
    }
}

/// Feeds one key to the hasher.
struct Feeder<'k, 'b> {
    of: &'k KeyHash,
    way: u32,
    input: Input<'b>,
    hasher: StableHasher,
}

impl Feeder<'_, '_> {
    fn has_second_meaning(&self, id: Id) -> bool {
        let place = self.of.ambiguous.iter().position(|ambiguous| *ambiguous == id);
        place.is_some_and(|place| self.way >> place & 1 == 1)
    }

    fn feed(&mut self, id: Id, depth: usize) -> Result<(), CodecError> {
        let (of, depth) = (self.of, deeper(depth)?);
        let schema = &of.schema;
        match schema.node(id) {
            Node::Leaf(leaf) => self.leaf(*leaf),
            Node::Option(item) => {
                let is_some = self.input.flag()?;
                self.hasher.write_isize(is_some.into());
                if is_some { self.feed(*item, depth) } else { Ok(()) }
            }
            Node::Seq(item) => {
                let count = self.input.count_of(schema, &[*item])?;
                let at_once = !self.has_second_meaning(id);
                self.elements(count, *item, at_once, depth)
            }
            Node::Map(key, value) => {
                let count = self.input.count_of(schema, &[*key, *value])?;
                self.hasher.write_usize(count as usize);
                (0..count).try_for_each(|_| self.each(&[*key, *value], depth))
            }
            Node::Tuple(items) => match items.first() {
                Some(item) if self.has_second_meaning(id) => {
                    self.elements(items.len() as u64, *item, true, depth)
                }
                _ => self.each(items, depth),
            },
            Node::Struct { fields, .. } => self.fields(fields, depth),
            Node::Enum { variants, .. } => {
                let index = self.input.variant(variants.len())? as usize;
                let Some((_, fields)) = variants.get(index) else {
                    return Err(self.input.malformed("a variant that does not exist"));
                };
                // The only variant there is goes without saying.
                if variants.len() > 1 {
                    self.hasher.write_isize(index as isize);
                }
                self.fields(fields, depth)
            }
            Node::Opaque { .. } => Err(self.input.malformed("a part whose structure is not known")),
        }
    }

    /// Feeds a slice.
    ///
    /// - `at_once`: integers as the bytes that they take in memory.
    fn elements(
        &mut self,
        count: u64,
        item: Id,
        at_once: bool,
        depth: usize,
    ) -> Result<(), CodecError> {
        self.hasher.write_usize(count as usize);
        let node = self.of.schema.node(item);
        let Some(width) = integer_bytes(node).filter(|_| at_once) else {
            return (0..count).try_for_each(|_| self.feed(item, depth));
        };
        let mut memory = Vec::new();
        for _ in 0..count {
            let number = match node {
                Node::Leaf(Leaf::I8 | Leaf::U8) => self.input.byte()?.into(),
                Node::Leaf(Leaf::I16 | Leaf::I32 | Leaf::I64 | Leaf::I128) => {
                    self.input.zigzag(width as u32 * 8)?.cast_unsigned()
                }
                _ => self.input.varint(width as u32 * 8)?,
            };
            memory.extend(number.to_le_bytes().into_iter().take(width));
        }
        self.hasher.write(&memory);
        Ok(())
    }

    fn each(&mut self, items: &[Id], depth: usize) -> Result<(), CodecError> {
        items.iter().try_for_each(|item| self.feed(*item, depth))
    }

    fn fields(&mut self, fields: &Fields, depth: usize) -> Result<(), CodecError> {
        match fields {
            Fields::Unit => Ok(()),
            Fields::Newtype(item) => self.feed(*item, depth),
            Fields::Tuple(items) => self.each(items, depth),
            Fields::Named(named) => named.iter().try_for_each(|(_, item)| self.feed(*item, depth)),
        }
    }

    fn leaf(&mut self, leaf: Leaf) -> Result<(), CodecError> {
        let (input, hasher) = (&mut self.input, &mut self.hasher);
        // Narrowing is exact: no number is read that has more bits than its type.
        match leaf {
            Leaf::Unit => {}
            Leaf::Bool => hasher.write_u8(input.flag()?.into()),
            Leaf::I8 => hasher.write_i8(input.byte()? as i8),
            Leaf::I16 => hasher.write_i16(input.zigzag(16)? as i16),
            Leaf::I32 => hasher.write_i32(input.zigzag(32)? as i32),
            Leaf::I64 => hasher.write_i64(input.zigzag(64)? as i64),
            Leaf::I128 => hasher.write_i128(input.zigzag(128)?),
            Leaf::U8 => hasher.write_u8(input.byte()?),
            Leaf::U16 => hasher.write_u16(input.varint(16)? as u16),
            Leaf::U32 => hasher.write_u32(input.varint(32)? as u32),
            Leaf::U64 => hasher.write_u64(input.varint(64)? as u64),
            Leaf::U128 => hasher.write_u128(input.varint(128)?),
            Leaf::Char => hasher.write_u32(input.char()?.into()),
            Leaf::Str => {
                hasher.write(input.text()?.as_bytes());
                hasher.write_u8(0xff);
            }
            Leaf::Bytes => {
                let bytes = input.bytes()?;
                hasher.write_usize(bytes.len());
                hasher.write(bytes);
            }
            // There are no ways for a schema that holds them.
            Leaf::F32 | Leaf::F64 => return Err(input.malformed("a float, which has no hash")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, VecDeque};
    use std::hash::Hash;

    use highwater_core::key::stable_hash;
    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Serialize};

    use super::*;

    /// Returns whether one of the ways, and for how many, gives the hash of the type.
    fn ways_of<K: Hash + Serialize + DeserializeOwned>(keys: &[K]) -> usize {
        let mut hash = KeyHash::new(&Schema::of::<K>().unwrap());
        for key in keys {
            let bytes = postcard::to_allocvec(key).unwrap();
            let known = stable_hash(key);
            if !hash.keep(&bytes, |found| found == known).unwrap() {
                return 0;
            }
        }
        hash.ways.len()
    }

    #[derive(Hash, Serialize, Deserialize)]
    enum Shape {
        Dot,
        Line(u8, String),
        Box { wide: Option<i16>, tall: Vec<u32> },
    }

    #[derive(Hash, Serialize, Deserialize)]
    enum Only {
        One(i8),
    }

    #[derive(Hash, Serialize, Deserialize)]
    struct Order {
        id: u128,
        lines: Vec<(char, bool)>,
        by: BTreeMap<String, i128>,
        of: Id,
        unit: (),
    }

    #[derive(Hash, Serialize, Deserialize)]
    struct Id(u64);

    #[derive(Hash, Serialize, Deserialize)]
    struct Chain {
        at: i64,
        next: Option<Box<Chain>>,
    }

    #[test]
    fn hashes_of_derived_types_are_found_from_their_schemas() {
        assert_eq!(ways_of(&[0u64, 1, u64::MAX]), 1);
        assert_eq!(ways_of(&[-1i32, i32::MIN]), 1);
        assert_eq!(ways_of(&["".to_owned(), "JFK".to_owned()]), 1);
        assert_eq!(ways_of(&[(7u32, "LGA".to_owned())]), 1);
        assert_eq!(ways_of(&[Some('a'), None]), 1);
        assert_eq!(ways_of(&[()]), 1);
        let boxed = Shape::Box { wide: Some(-3), tall: vec![1, 70_000] };
        assert_eq!(ways_of(&[Shape::Dot, Shape::Line(7, "x".into()), boxed]), 1);
        assert_eq!(ways_of(&[Only::One(-1)]), 1);
        let (lines, by) = (vec![('a', true), ('b', false)], [("k".to_owned(), -5)].into());
        assert_eq!(ways_of(&[Order { id: 1 << 90, lines, by, of: Id(3), unit: () }]), 1);
        let last = Chain { at: -4, next: None };
        assert_eq!(ways_of(&[Chain { at: 3, next: Some(Box::new(last)) }]), 1);
    }

    #[test]
    fn what_is_written_alike_is_told_apart_by_where_keys_stand() {
        assert_eq!(ways_of(&[[1u8, 2, 3, 4]]), 1);
        assert_eq!(ways_of(&[(1u8, 2u8, 3u8, 4u8)]), 1);
        assert_eq!(ways_of(&[["a".to_owned(), "b".to_owned()]]), 1);
        assert_eq!(ways_of(&[vec![1u16, 2], vec![]]), 1);
        assert_eq!(ways_of(&[BTreeSet::from([1u16, 2])]), 1);
        assert_eq!(ways_of(&[VecDeque::from([-1i128])]), 1);
        assert_eq!(ways_of(&[(vec![[1i64, 2]], (3u16, 4u16))]), 1);
    }

    /// Says less of itself than it writes.
    #[derive(Serialize, Deserialize)]
    struct Hidden(u64, u64);

    impl Hash for Hidden {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    /// Is no key, since floats are not equal to themselves.
    #[derive(Serialize, Deserialize)]
    struct Float(f64);

    impl Hash for Float {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.to_bits().hash(state);
        }
    }

    #[test]
    fn a_hash_that_is_not_derived_is_not_found() {
        assert_eq!(ways_of(&[Hidden(1, 2)]), 0);
        assert_eq!(ways_of(&[Float(1.0)]), 0);
    }

    #[test]
    fn ways_that_do_not_agree_give_no_answer() {
        let hash = KeyHash::new(&Schema::of::<(u8, u8)>().unwrap());
        assert_eq!(hash.ways.len(), 2);
        let low = stable_hash(&(1u8, 2u8));
        assert_eq!(hash.answer(&[1, 2], |_| true).unwrap(), Some(true));
        assert_eq!(hash.answer(&[1, 2], |hash| hash == low).unwrap(), None);
    }
}
