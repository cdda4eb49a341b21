//! A stored value as JSON, by the schema it was written with.
//!
//! ```text
//! schema  struct Order { id: u64, at: option<(i32, i32)> }     bytes  07 01 02 03
//! JSON    {"id": 7, "at": [1, -2]}                             as serde_json::to_value would say
//! ```
//!
//! | what JSON cannot say | how it is said |
//! |---|---|
//! | a number beyond 64 bits, NaN, an infinity | a string: `"340282366920938463463"`, `"NaN"`, `"-inf"` |
//! | a map whose keys are no texts | a list of pairs: `[[1, "a"], [2, "b"]]` |
//! | a value that expires | `{"used": ms since 1970, "value": ..}` |
//! | a value that is described by hand | a string of its bytes: `"0x07a1"` |
//!
//! A type that serde writes in one way for people and in another for machines, such as an address of
//! the internet, is shown as the latter.

use std::fmt::Write;

use serde_json::{Map, Number, Value};

use crate::format::CodecError;
use crate::format::input::{Input, deeper};
use crate::schema::{Fields, Id, Leaf, Node, Schema};

/// How many elements that take no bytes are shown, in one value.
const EMPTY_MAX: u64 = 1 << 16;

impl Schema {
    /// Reads bytes that were stored with this schema, by the default codec.
    ///
    /// # Errors
    /// When they are not exactly one such value.
    ///
    /// # Examples
    /// ```
    /// # use highwater_state::schema::Schema;
    /// let schema = Schema::of::<(String, Option<u128>, std::collections::BTreeMap<u8, f64>)>()?;
    /// let value = schema.to_json(&[1, b'a', 1, 7, 1, 3, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f])?;
    /// assert_eq!(value, serde_json::json!(["a", 7, [[3, "NaN"]]]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_json(&self, bytes: &[u8]) -> Result<Value, CodecError> {
        if matches!(self.root(), Node::Opaque { .. }) {
            return Ok(hex(bytes));
        }
        let mut reader = Reader { schema: self, input: Input::new(bytes), empty: 0 };
        let value = reader.value(0, 0)?;
        reader.input.finish()?;
        Ok(value)
    }

    /// Returns whether a type is the one that stands around values that expire.
    pub(super) fn is_expiring(&self, id: Id) -> bool {
        let Node::Struct { name, fields: Fields::Named(fields) } = self.node(id) else {
            return false;
        };
        let [(used, instant), (value, _)] = fields.as_slice() else { return false };
        let is_byte = |item: &Id| *self.node(*item) == Node::Leaf(Leaf::U8);
        let bytes = match self.node(*instant) {
            Node::Tuple(items) => items.iter().filter(|item| is_byte(item)).count(),
            _ => 0,
        };
        (name.as_str(), used.as_str(), value.as_str(), bytes) == ("Expiring", "used", "value", 8)
    }
}

/// Returns bytes of which nothing is known.
fn hex(bytes: &[u8]) -> Value {
    let mut text = "0x".to_owned();
    for byte in bytes {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Value::String(text)
}

struct Reader<'s, 'b> {
    schema: &'s Schema,
    input: Input<'b>,
    /// How many elements without bytes there have been.
    empty: u64,
}

impl Reader<'_, '_> {
    fn value(&mut self, id: Id, depth: usize) -> Result<Value, CodecError> {
        let (schema, depth) = (self.schema, deeper(depth)?);
        match schema.node(id) {
            Node::Leaf(leaf) => self.leaf(*leaf),
            Node::Option(item) => match self.input.flag()? {
                true => self.value(*item, depth),
                false => Ok(Value::Null),
            },
            Node::Seq(item) => {
                let count = self.count(&[*item])?;
                let items = (0..count).map(|_| self.value(*item, depth));
                items.collect::<Result<_, _>>().map(Value::Array)
            }
            Node::Map(key, value) => self.map(*key, *value, depth),
            Node::Tuple(items) => self.each(items, depth),
            Node::Struct { fields: Fields::Named(fields), .. } if schema.is_expiring(id) => {
                let used = i64::from_le_bytes(self.input.array()?);
                let [_, (_, value)] = fields.as_slice() else {
                    return Err(self.input.malformed("not a value that expires"));
                };
                let members = [("used", used.into()), ("value", self.value(*value, depth)?)];
                Ok(Value::Object(
                    members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
                ))
            }
            Node::Struct { fields, .. } => self.fields(fields, depth),
            Node::Enum { variants, .. } => {
                let index = self.input.variant(variants.len())? as usize;
                match variants.get(index) {
                    Some((name, Fields::Unit)) => Ok(Value::String(name.clone())),
                    Some((name, fields)) => {
                        let held = self.fields(fields, depth)?;
                        Ok(Value::Object([(name.clone(), held)].into_iter().collect()))
                    }
                    None => Err(self.input.malformed("a variant that does not exist")),
                }
            }
            Node::Opaque { .. } => Err(self.input.malformed("a part whose structure is not known")),
        }
    }

    /// Reads how many elements follow, few enough to be shown.
    fn count(&mut self, items: &[Id]) -> Result<u64, CodecError> {
        let count = self.input.count_of(self.schema, items)?;
        if items.iter().all(|item| self.schema.is_empty(*item)) {
            self.empty += count;
            if self.empty > EMPTY_MAX {
                return Err(self
                    .input
                    .malformed("more elements without content than can be shown"));
            }
        }
        Ok(count)
    }

    fn map(&mut self, key: Id, value: Id, depth: usize) -> Result<Value, CodecError> {
        let count = self.count(&[key, value])?;
        if !self.is_text(key, 0) {
            let pairs = (0..count).map(|_| self.each(&[key, value], depth));
            return pairs.collect::<Result<_, _>>().map(Value::Array);
        }
        let mut members = Map::new();
        for _ in 0..count {
            let Value::String(name) = self.value(key, depth)? else {
                return Err(self.input.malformed("a key that is not a text"));
            };
            members.insert(name, self.value(value, depth)?);
        }
        Ok(Value::Object(members))
    }

    /// Returns whether every value of a type is a text.
    fn is_text(&self, id: Id, depth: usize) -> bool {
        let variant_is_name = |(_, fields): &(_, Fields)| *fields == Fields::Unit;
        match self.schema.node(id) {
            Node::Leaf(leaf) => matches!(leaf, Leaf::Str | Leaf::Char),
            Node::Struct { fields: Fields::Newtype(item), .. } => {
                deeper(depth).is_ok_and(|depth| self.is_text(*item, depth))
            }
            Node::Enum { variants, .. } => variants.iter().all(variant_is_name),
            _ => false,
        }
    }

    fn each(&mut self, items: &[Id], depth: usize) -> Result<Value, CodecError> {
        let items = items.iter().map(|item| self.value(*item, depth));
        items.collect::<Result<_, _>>().map(Value::Array)
    }

    fn fields(&mut self, fields: &Fields, depth: usize) -> Result<Value, CodecError> {
        match fields {
            Fields::Unit => Ok(Value::Null),
            Fields::Newtype(item) => self.value(*item, depth),
            Fields::Tuple(items) => self.each(items, depth),
            Fields::Named(named) => {
                let members =
                    named.iter().map(|(name, item)| Ok((name.clone(), self.value(*item, depth)?)));
                members.collect::<Result<_, _>>().map(Value::Object)
            }
        }
    }

    fn leaf(&mut self, leaf: Leaf) -> Result<Value, CodecError> {
        let input = &mut self.input;
        // Narrowing is exact: no number is read that has more bits than its type.
        Ok(match leaf {
            Leaf::Unit => Value::Null,
            Leaf::Bool => input.flag()?.into(),
            Leaf::I8 => (input.byte()? as i8).into(),
            Leaf::I16 => signed(input.zigzag(16)?),
            Leaf::I32 => signed(input.zigzag(32)?),
            Leaf::I64 => signed(input.zigzag(64)?),
            Leaf::I128 => signed(input.zigzag(128)?),
            Leaf::U8 => input.byte()?.into(),
            Leaf::U16 => unsigned(input.varint(16)?),
            Leaf::U32 => unsigned(input.varint(32)?),
            Leaf::U64 => unsigned(input.varint(64)?),
            Leaf::U128 => unsigned(input.varint(128)?),
            Leaf::F32 => float(f32::from_le_bytes(input.array()?).into()),
            Leaf::F64 => float(f64::from_le_bytes(input.array()?)),
            Leaf::Char => Value::String(input.char()?.into()),
            Leaf::Str => input.text()?.into(),
            Leaf::Bytes => input.bytes()?.into(),
        })
    }
}

fn signed(number: i128) -> Value {
    i64::try_from(number).map_or_else(
        |_| u64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from),
        Value::from,
    )
}

fn unsigned(number: u128) -> Value {
    u64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from)
}

fn float(number: f64) -> Value {
    Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
}

#[cfg(test)]
mod tests;
