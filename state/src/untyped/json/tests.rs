//! Values of random types as JSON, and damaged ones.
//!
//! - *Agreement* with `serde_json::to_value` of the same value would catch a field, a variant or a
//!   sign that is lost.
//! - *Damage*: a hundred thousand changed values never panic, and are refused exactly if they are not
//!   what the schema says.

use std::cell::Cell;

use highwater_core::key::stable_hash;
use serde::ser::{
    Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};
use serde::{Serialize, Serializer};
use serde_json::json;

use super::*;
use crate::format::walk::walk;
use crate::ttl::Expiring;

/// Names that live for ever, as serde wants them.
const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Random numbers that are the same in every run.
struct Random(Cell<u64>);

impl Random {
    fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let hash = stable_hash(&self.0.get());
        hash ^ hash >> 32
    }

    fn below(&self, limit: usize) -> usize {
        self.next() as usize % limit
    }
}

/// Makes a type of all others, some levels deep.
struct Types<'r> {
    random: &'r Random,
    nodes: Vec<Node>,
}

impl Types<'_> {
    fn node(&mut self, levels: usize) -> Id {
        let id = self.nodes.len();
        self.nodes.push(Node::Leaf(Leaf::Unit));
        let kinds = if levels == 0 { 4 } else { 12 };
        let node = match self.random.below(kinds) {
            0..4 => Node::Leaf(Leaf::ALL[self.random.below(Leaf::ALL.len())].0),
            4 => Node::Option(self.node(levels - 1)),
            5 => Node::Seq(self.node(levels - 1)),
            6 | 7 => Node::Map(self.node(levels - 1), self.node(levels - 1)),
            8 => Node::Tuple(self.some(levels)),
            9 | 10 => Node::Struct { name: NAMES[0].into(), fields: self.fields(levels) },
            _ => {
                let variants = NAMES.iter().take(1 + self.random.below(4));
                let variants = variants.map(|name| ((*name).to_owned(), self.fields(levels)));
                let variants = variants.collect();
                Node::Enum { name: NAMES[1].into(), variants }
            }
        };
        self.nodes[id] = node;
        id
    }

    fn some(&mut self, levels: usize) -> Vec<Id> {
        (0..self.random.below(4)).map(|_| self.node(levels - 1)).collect()
    }

    fn fields(&mut self, levels: usize) -> Fields {
        match self.random.below(5) {
            0 | 1 => Fields::Unit,
            2 => Fields::Newtype(self.node(levels - 1)),
            3 => Fields::Tuple(self.some(levels)),
            _ => {
                let names = NAMES.iter().map(|name| (*name).to_owned());
                Fields::Named(names.zip(self.some(levels)).collect())
            }
        }
    }
}

fn name(name: &str) -> &'static str {
    NAMES.into_iter().find(|known| *known == name).unwrap()
}

/// A value that is drawn while it is written: the same one from the same seed.
struct Drawn<'s> {
    schema: &'s Schema,
    id: Id,
    random: &'s Random,
}

impl Drawn<'_> {
    fn at(&self, id: Id) -> Self {
        Drawn { id, ..*self }
    }

    fn number(&self, bits: u32) -> u128 {
        let number = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
        // Small ones as often as large ones.
        number >> (128 - bits) >> (self.random.next() as u32 % bits)
    }

    fn leaf<S: Serializer>(&self, leaf: Leaf, to: S) -> Result<S::Ok, S::Error> {
        let (human, signs) = (to.is_human_readable(), self.random.next() % 2 * u64::MAX);
        let signed =
            |bits: u32| self.number(bits - 1).cast_signed() ^ i128::from(signs.cast_signed());
        match leaf {
            Leaf::Unit => to.serialize_unit(),
            Leaf::Bool => to.serialize_bool(signs == 0),
            Leaf::I8 => to.serialize_i8(signed(8) as i8),
            Leaf::I16 => to.serialize_i16(signed(16) as i16),
            Leaf::I32 => to.serialize_i32(signed(32) as i32),
            Leaf::I64 => to.serialize_i64(signed(64) as i64),
            Leaf::I128 => match signed(128) {
                large
                    if human && i64::try_from(large).is_err() && u64::try_from(large).is_err() =>
                {
                    to.collect_str(&large)
                }
                number => to.serialize_i128(number),
            },
            Leaf::U8 => to.serialize_u8(self.number(8) as u8),
            Leaf::U16 => to.serialize_u16(self.number(16) as u16),
            Leaf::U32 => to.serialize_u32(self.number(32) as u32),
            Leaf::U64 => to.serialize_u64(self.number(64) as u64),
            Leaf::U128 => match self.number(128) {
                large if human && u64::try_from(large).is_err() => to.collect_str(&large),
                number => to.serialize_u128(number),
            },
            Leaf::F32 => match f32::from_bits(self.random.next() as u32) {
                odd if human && !odd.is_finite() => to.collect_str(&f64::from(odd)),
                float => to.serialize_f32(float),
            },
            Leaf::F64 => {
                let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0];
                let any = f64::from_bits(self.random.next());
                match odd.get(self.random.below(8)).copied().unwrap_or(any) {
                    odd if human && !odd.is_finite() => to.collect_str(&odd),
                    float => to.serialize_f64(float),
                }
            }
            Leaf::Char => to.serialize_char(char::from_u32(self.number(16) as u32).unwrap_or('x')),
            Leaf::Str => to.serialize_str(&self.text()),
            Leaf::Bytes => to.serialize_bytes(self.text().as_bytes()),
        }
    }

    fn text(&self) -> String {
        (0..self.random.below(5))
            .map(|_| ['k', '"', '\u{e9}', '\n'][self.random.below(4)])
            .collect()
    }

    /// Says for a type what `Reader::is_text` says, in other words.
    fn is_text(&self, id: Id) -> bool {
        match self.schema.node(id) {
            Node::Leaf(Leaf::Str | Leaf::Char) => true,
            Node::Struct { fields: Fields::Newtype(item), .. } => self.is_text(*item),
            Node::Enum { variants, .. } => {
                variants.iter().all(|(_, held)| held.ids().is_empty() && *held == Fields::Unit)
            }
            _ => false,
        }
    }

    fn fields<S: Serializer>(&self, held: &Fields, to: S) -> Result<S::Ok, S::Error> {
        match held {
            Fields::Unit => to.serialize_unit_struct("s"),
            Fields::Newtype(item) => to.serialize_newtype_struct("s", &self.at(*item)),
            Fields::Tuple(items) => {
                let mut tuple = to.serialize_tuple_struct("s", items.len())?;
                items.iter().try_for_each(|item| tuple.serialize_field(&self.at(*item)))?;
                tuple.end()
            }
            Fields::Named(named) => {
                let mut fields = to.serialize_struct("s", named.len())?;
                for (field, item) in named {
                    fields.serialize_field(name(field), &self.at(*item))?;
                }
                fields.end()
            }
        }
    }

    fn variant<S: Serializer>(
        &self,
        (index, variant, held): (u32, &'static str, &Fields),
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match held {
            Fields::Unit => to.serialize_unit_variant("e", index, variant),
            Fields::Newtype(item) => {
                to.serialize_newtype_variant("e", index, variant, &self.at(*item))
            }
            Fields::Tuple(items) => {
                let mut tuple = to.serialize_tuple_variant("e", index, variant, items.len())?;
                items.iter().try_for_each(|item| tuple.serialize_field(&self.at(*item)))?;
                tuple.end()
            }
            Fields::Named(named) => {
                let mut fields = to.serialize_struct_variant("e", index, variant, named.len())?;
                for (field, item) in named {
                    fields.serialize_field(name(field), &self.at(*item))?;
                }
                fields.end()
            }
        }
    }
}

impl Serialize for Drawn<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let length = self.random.below(4);
        match self.schema.node(self.id) {
            Node::Leaf(leaf) => self.leaf(*leaf, to),
            Node::Option(_) if length == 0 => to.serialize_none(),
            Node::Option(item) => to.serialize_some(&self.at(*item)),
            Node::Seq(item) => {
                let mut items = to.serialize_seq(Some(length))?;
                (0..length).try_for_each(|_| items.serialize_element(&self.at(*item)))?;
                items.end()
            }
            Node::Map(key, value) if to.is_human_readable() && !self.is_text(*key) => {
                let mut pairs = to.serialize_seq(Some(length))?;
                for _ in 0..length {
                    pairs.serialize_element(&(self.at(*key), self.at(*value)))?;
                }
                pairs.end()
            }
            Node::Map(key, value) => {
                let mut map = to.serialize_map(Some(length))?;
                (0..length)
                    .try_for_each(|_| map.serialize_entry(&self.at(*key), &self.at(*value)))?;
                map.end()
            }
            Node::Tuple(items) => {
                let mut tuple = to.serialize_tuple(items.len())?;
                items.iter().try_for_each(|item| tuple.serialize_element(&self.at(*item)))?;
                tuple.end()
            }
            Node::Struct { fields, .. } => self.fields(fields, to),
            Node::Enum { variants, .. } => {
                let index = self.random.below(variants.len());
                let (variant, held) = &variants[index];
                self.variant((index as u32, name(variant), held), to)
            }
            Node::Opaque { .. } => Err(S::Error::custom("is not drawn")),
        }
    }
}

/// Draws a type, and a value of it as bytes and as JSON.
fn draw(seed: u64) -> (Schema, Vec<u8>, Value) {
    let random = Random(Cell::new(seed));
    let mut types = Types { random: &random, nodes: Vec::new() };
    types.node(1 + random.below(4));
    let schema = Schema::from_nodes(types.nodes);
    let value = Drawn { schema: &schema, id: 0, random: &random };
    let begin = random.0.get();
    let bytes = postcard::to_allocvec(&value).unwrap();
    random.0.set(begin);
    let json = serde_json::to_value(&value).unwrap();
    (schema, bytes, json)
}

#[test]
fn values_of_any_type_are_read_as_serde_writes_them() {
    for seed in 0..20_000 {
        let (schema, bytes, expected) = draw(stable_hash(&seed));
        let found = schema.to_json(&bytes);
        assert_eq!(found.as_ref(), Ok(&expected), "seed {seed}, {schema}: {bytes:02x?}");
    }
}

#[test]
fn damaged_values_are_refused_exactly_if_they_are_not_what_the_schema_says() {
    let (mut refused, mut read) = (0, 0);
    for case in 0..100_000u64 {
        let random = Random(Cell::new(stable_hash(&("case", case))));
        let (schema, mut bytes, _) = draw(random.next());
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len() + 1);
            match (random.below(5), bytes.get_mut(at)) {
                (0, Some(byte)) => *byte ^= 1 << random.below(8),
                (1, Some(byte)) => *byte = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
                (2, _) => bytes.truncate(at),
                (3, Some(_)) => drop(bytes.remove(at)),
                _ => bytes.insert(at, random.next() as u8),
            }
        }
        let (found, expected) = (schema.to_json(&bytes), walk(&schema, &bytes));
        let many = "more elements without content than can be shown";
        match (&found, &expected) {
            (Ok(_), Ok(())) => read += 1,
            (Err(error), Err(_)) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
            (Err(CodecError::Malformed { what, .. }), Ok(())) if *what == many => refused += 1,
            _ => panic!("case {case}, {schema}: {found:?}, {expected:?}: {bytes:02x?}"),
        }
    }
    assert!(refused > 10_000 && read > 10_000, "{refused} refused, {read} read");
}

#[test]
fn what_json_cannot_say_is_said_in_words() {
    let shown = |schema: Schema, bytes: &[u8]| schema.to_json(bytes).unwrap();
    let bytes = postcard::to_allocvec(&(u128::MAX, i128::MIN, f32::NAN)).unwrap();
    let expected = json!([u128::MAX.to_string(), i128::MIN.to_string(), "NaN"]);
    assert_eq!(shown(Schema::of::<(u128, i128, f32)>().unwrap(), &bytes), expected);
    assert_eq!(shown(Schema::opaque("acme.Blob", 3), &[7, 0xa1]), json!("0x07a1"));
    let used = Expiring::new(1_700_000_000_123, Some(4u8));
    let bytes = postcard::to_allocvec(&used).unwrap();
    let schema = Schema::of::<Expiring<Option<u8>>>().unwrap();
    assert_eq!(shown(schema, &bytes), json!({"used": 1_700_000_000_123i64, "value": 4}));
}

#[test]
fn few_bytes_do_not_stand_for_many_elements() {
    let schema = Schema::of::<Vec<Vec<()>>>().unwrap();
    let millions = postcard::to_allocvec(&vec![1u32 << 20; 16]).unwrap();
    walk(&schema, &millions).unwrap();
    let error = schema.to_json(&millions).unwrap_err().to_string();
    assert!(error.contains("more elements without content"), "{error}");
    let several = postcard::to_allocvec(&vec![3u32; 2]).unwrap();
    assert_eq!(schema.to_json(&several), Ok(json!([[null, null, null], [null, null, null]])));
}
