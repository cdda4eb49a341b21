//! Reads postcard's bytes by the schema they were written with, for a type that has grown since.
//!
//! ```text
//! stored schema  struct Order { id: u64 }        bytes  07
//!                                                  |
//! this file      a map  { "id" => 7 }  <-----------'
//!                  |
//! type now       struct Order { id: u64, note: Option<String> }  =>  Order { id: 7, note: None }
//! ```
//!
//! Structs are presented as maps from the names of their fields, so that serde fills in `None` for
//! what is missing; everything else is presented as it was written. It is slower than postcard
//! alone, hence used only where the schemas differ.
//!
//! **Invariants**: the type has been found compatible before; what it does not read of a struct or
//! a sequence is an error (asserted after each visit), since the next value would begin there.

use serde::de::value::{StrDeserializer, U32Deserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use crate::format::codec::CodecError;
use crate::format::input::{Input, deeper};
use crate::schema::{Fields, Id, Leaf, Node, Schema};

/// Reads one value that was stored with another schema.
pub(super) fn decode_evolved<T: DeserializeOwned>(
    schema: &Schema,
    bytes: &[u8],
) -> Result<T, CodecError> {
    let mut input = Input::new(bytes);
    let value = T::deserialize(Evolved { schema, input: &mut input, id: 0, depth: 0 })?;
    input.finish()?;
    Ok(value)
}

impl serde::de::Error for CodecError {
    fn custom<M: std::fmt::Display>(message: M) -> Self {
        CodecError::Refused { message: message.to_string() }
    }
}

/// A value, or a part of one, that is about to be read.
struct Evolved<'e, 'de> {
    schema: &'e Schema,
    input: &'e mut Input<'de>,
    id: Id,
    depth: usize,
}

impl<'e, 'de> Evolved<'e, 'de> {
    fn list(self, items: Items<'e>) -> List<'e, 'de> {
        List { schema: self.schema, input: self.input, items, taken: 0, depth: self.depth }
    }

    fn leaf<V: Visitor<'de>>(self, leaf: Leaf, visitor: V) -> Result<V::Value, CodecError> {
        let input = self.input;
        // Narrowing is exact: no number is read that has more bits than its type.
        match leaf {
            Leaf::Unit => visitor.visit_unit(),
            Leaf::Bool => visitor.visit_bool(input.flag()?),
            Leaf::I8 => visitor.visit_i8(input.byte()? as i8),
            Leaf::I16 => visitor.visit_i16(input.zigzag(16)? as i16),
            Leaf::I32 => visitor.visit_i32(input.zigzag(32)? as i32),
            Leaf::I64 => visitor.visit_i64(input.zigzag(64)? as i64),
            Leaf::I128 => visitor.visit_i128(input.zigzag(128)?),
            Leaf::U8 => visitor.visit_u8(input.byte()?),
            Leaf::U16 => visitor.visit_u16(input.varint(16)? as u16),
            Leaf::U32 => visitor.visit_u32(input.varint(32)? as u32),
            Leaf::U64 => visitor.visit_u64(input.varint(64)? as u64),
            Leaf::U128 => visitor.visit_u128(input.varint(128)?),
            Leaf::F32 => visitor.visit_f32(f32::from_le_bytes(input.array()?)),
            Leaf::F64 => visitor.visit_f64(f64::from_le_bytes(input.array()?)),
            Leaf::Char => visitor.visit_char(input.char()?),
            Leaf::Str => visitor.visit_borrowed_str(input.text()?),
            Leaf::Bytes => visitor.visit_borrowed_bytes(input.bytes()?),
        }
    }

    fn fields<V: Visitor<'de>>(
        self,
        fields: &'e Fields,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        match fields {
            Fields::Unit => visitor.visit_unit(),
            Fields::Newtype(id) => visitor.visit_newtype_struct(Evolved { id: *id, ..self }),
            Fields::Tuple(ids) => self.list(Items::Each(ids)).visit_seq(visitor),
            Fields::Named(named) => self.list(Items::Named(named)).visit_map(visitor),
        }
    }
}

impl<'de> Deserializer<'de> for Evolved<'_, 'de> {
    type Error = CodecError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, CodecError> {
        self.depth = deeper(self.depth)?;
        let schema = self.schema;
        match schema.node(self.id) {
            Node::Leaf(leaf) => self.leaf(*leaf, visitor),
            Node::Option(id) => match self.input.flag()? {
                true => visitor.visit_some(Evolved { id: *id, ..self }),
                false => visitor.visit_none(),
            },
            Node::Seq(item) => {
                let count = self.input.count_of(schema, &[*item])?;
                self.list(Items::Repeat(count, *item)).visit_seq(visitor)
            }
            Node::Map(key, value) => {
                let count = self.input.count_of(schema, &[*key, *value])?;
                self.list(Items::Pairs(count, *key, *value)).visit_map(visitor)
            }
            Node::Tuple(ids) => self.list(Items::Each(ids)).visit_seq(visitor),
            Node::Struct { fields, .. } => self.fields(fields, visitor),
            Node::Enum { variants, .. } => {
                let index = self.input.variant(variants.len())?;
                match variants.get(index as usize) {
                    Some((_, fields)) => visitor.visit_enum(Variant { of: self, index, fields }),
                    None => Err(self.input.malformed("a variant that does not exist")),
                }
            }
            Node::Opaque { .. } => Err(self.input.malformed("its structure is not known")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

/// The types of the elements of a list.
enum Items<'e> {
    Each(&'e [Id]),
    Named(&'e [(String, Id)]),
    Repeat(u64, Id),
    Pairs(u64, Id, Id),
}

/// The elements of a sequence, a map, a tuple or a struct.
struct List<'e, 'de> {
    schema: &'e Schema,
    input: &'e mut Input<'de>,
    items: Items<'e>,
    taken: u64,
    depth: usize,
}

impl<'de> List<'_, 'de> {
    fn visit_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, CodecError> {
        let value = visitor.visit_seq(&mut self)?;
        self.finish(value)
    }

    fn visit_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, CodecError> {
        let value = visitor.visit_map(&mut self)?;
        self.finish(value)
    }

    fn left(&self) -> u64 {
        let count = match &self.items {
            Items::Each(ids) => ids.len() as u64,
            Items::Named(named) => named.len() as u64,
            Items::Repeat(count, _) | Items::Pairs(count, ..) => *count,
        };
        count.saturating_sub(self.taken)
    }

    fn finish<T>(&self, value: T) -> Result<T, CodecError> {
        match self.left() {
            0 => Ok(value),
            left => Err(CodecError::Refused { message: format!("{left} elements are not read") }),
        }
    }

    fn part(&mut self, id: Id) -> Evolved<'_, 'de> {
        Evolved { schema: self.schema, input: &mut *self.input, id, depth: self.depth }
    }

    fn out_of_order(&self) -> CodecError {
        self.input.malformed("an element that the type reads in another form")
    }
}

impl<'de> SeqAccess<'de> for List<'_, 'de> {
    type Error = CodecError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, CodecError> {
        if self.left() == 0 {
            return Ok(None);
        }
        let id = match &self.items {
            Items::Each(ids) => ids.get(self.taken as usize).copied(),
            Items::Repeat(_, id) => Some(*id),
            Items::Named(_) | Items::Pairs(..) => None,
        };
        let id = id.ok_or_else(|| self.out_of_order())?;
        self.taken += 1;
        seed.deserialize(self.part(id)).map(Some)
    }
}

impl<'de> MapAccess<'de> for List<'_, 'de> {
    type Error = CodecError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, CodecError> {
        if self.left() == 0 {
            return Ok(None);
        }
        if let Items::Pairs(_, key, _) = self.items {
            return seed.deserialize(self.part(key)).map(Some);
        }
        let Items::Named(named) = self.items else { return Err(self.out_of_order()) };
        let (name, _) = named.get(self.taken as usize).ok_or_else(|| self.out_of_order())?;
        let name: StrDeserializer<'_, CodecError> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, CodecError> {
        let id = match &self.items {
            Items::Pairs(_, _, value) => Some(*value),
            Items::Named(named) => named.get(self.taken as usize).map(|(_, id)| *id),
            Items::Each(_) | Items::Repeat(..) => None,
        };
        let id = id.ok_or_else(|| self.out_of_order())?;
        self.taken += 1;
        seed.deserialize(self.part(id))
    }
}

/// One variant of an enum.
struct Variant<'e, 'de> {
    of: Evolved<'e, 'de>,
    index: u32,
    fields: &'e Fields,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = CodecError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self), CodecError> {
        let index: U32Deserializer<CodecError> = self.index.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = CodecError;

    fn unit_variant(self) -> Result<(), CodecError> {
        match self.fields {
            Fields::Unit => Ok(()),
            _ => Err(self.of.input.malformed("a variant that holds something")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, CodecError> {
        match self.fields {
            Fields::Newtype(id) => seed.deserialize(Evolved { id: *id, ..self.of }),
            _ => Err(self.of.input.malformed("a variant of another form")),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.of.fields(self.fields, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.of.fields(self.fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// Reads the first of two numbers only.
    #[derive(Debug)]
    struct Hasty;

    impl<'de> Deserialize<'de> for Hasty {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct First;
            impl<'de> Visitor<'de> for First {
                type Value = Hasty;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a number")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Hasty, A::Error> {
                    seq.next_element::<u8>().map(|_| Hasty)
                }
            }
            deserializer.deserialize_tuple(2, First)
        }
    }

    #[test]
    fn a_type_that_does_not_read_everything_is_refused() {
        let schema = Schema::of::<((u8, u8), u8)>().unwrap();
        let error = decode_evolved::<(Hasty, u8)>(&schema, &[1, 2, 3]).unwrap_err();
        assert_eq!(error.to_string(), "its type refuses it: 1 elements are not read");
        assert_eq!(decode_evolved::<((u8, u8), u8)>(&schema, &[1, 2, 3]).unwrap(), ((1, 2), 3));
    }
}
