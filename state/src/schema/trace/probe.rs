//! A deserializer that writes down what it is asked for and answers with made-up values.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::U32Deserializer,
};

use super::{Fault, Form, Head, Trace};
use crate::schema::Leaf;

/// Texts, one of which most types accept that are written as text.
const TEXTS: [&str; 10] = [
    "",
    "0",
    "a",
    "true",
    "1970-01-01T00:00:00Z",
    "1970-01-01",
    "00:00:00",
    "127.0.0.1",
    "UTC",
    "00000000-0000-0000-0000-000000000000",
];
const BYTES: [&[u8]; 5] = [&[], &[0], &[0; 4], &[0; 8], &[0; 16]];
/// How many elements a sequence may be given.
const LENGTHS: [usize; 4] = [0, 1, 2, 3];

/// The value of one slot.
pub(super) struct Probe<'t> {
    trace: &'t mut Trace,
    slot: usize,
}

impl<'t> Probe<'t> {
    pub(super) fn new(trace: &'t mut Trace, slot: usize) -> Self {
        Probe { trace, slot }
    }

    /// Notes that a leaf is asked for and chooses one of its values.
    fn leaf<'de, V: Visitor<'de>, T: Copy>(self, leaf: Leaf, values: &[T]) -> Result<T, Fault> {
        self.trace.ask::<V>(self.slot, Head::Leaf(leaf))?;
        Ok(values[self.trace.choose(values.len())])
    }

    /// Reads the elements of something, one or more times the same or one after the other.
    fn list<'de, V: Visitor<'de>>(self, head: Head, visitor: V) -> Result<V::Value, Fault> {
        let slot = self.trace.ask::<V>(self.slot, head)?;
        self.trace.open.push((slot, None));
        let result = visit_list(self.trace, slot, visitor);
        self.trace.open.pop();
        result
    }

    /// Reads something that is repeated if it is there at all; returns how often it is there.
    fn repeated<'de, V: Visitor<'de>>(&mut self, head: Head) -> Result<usize, Fault> {
        self.slot = self.trace.ask::<V>(self.slot, head)?;
        let trace = &mut *self.trace;
        let explore = !trace.is_open(self.slot) && !trace.is_complete(self.slot);
        Ok(if explore { 1 } else { LENGTHS[trace.choose(LENGTHS.len())] })
    }

    fn hopeless<T>(self, what: &str) -> Result<T, Fault> {
        self.trace.give_up(format!("it asks {what}, which only self-describing formats can answer"))
    }
}

/// Reads the children of a slot, one after the other.
fn visit_list<'de, V: Visitor<'de>>(
    trace: &mut Trace,
    slot: usize,
    visitor: V,
) -> Result<V::Value, Fault> {
    let count = trace.slots[slot].children.len();
    let mut list = List { trace: &mut *trace, slot, step: 1, taken: 0, count };
    let value = visitor.visit_seq(&mut list)?;
    let taken = list.taken;
    if matches!(trace.slots[slot].head, Some(Head::Struct(_, Form::Named(_)))) {
        trace.shorten(slot, taken);
    }
    Ok(value)
}

/// Writes the methods for types without parts.
macro_rules! leaves {
    ($($method:ident $visit:ident $leaf:ident $values:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let value = self.leaf::<V, _>(Leaf::$leaf, &$values)?;
            visitor.$visit(value)
        })*
    };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Fault;

    fn is_human_readable(&self) -> bool {
        false
    }

    leaves! {
        deserialize_bool visit_bool Bool [false, true];
        deserialize_i8 visit_i8 I8 [0, 1, 10, -1];
        deserialize_i16 visit_i16 I16 [0, 1, 10, 100, -1];
        deserialize_i32 visit_i32 I32 [0, 1, 10, 100, -1];
        deserialize_i64 visit_i64 I64 [0, 1, 10, 100, -1];
        deserialize_i128 visit_i128 I128 [0, 1, 10, 100, -1];
        deserialize_u8 visit_u8 U8 [0, 1, 10, 100];
        deserialize_u16 visit_u16 U16 [0, 1, 10, 100];
        deserialize_u32 visit_u32 U32 [0, 1, 10, 100];
        deserialize_u64 visit_u64 U64 [0, 1, 10, 100];
        deserialize_u128 visit_u128 U128 [0, 1, 10, 100];
        deserialize_f32 visit_f32 F32 [0.0, 1.0, 0.5];
        deserialize_f64 visit_f64 F64 [0.0, 1.0, 0.5];
        deserialize_char visit_char Char ['a', '0'];
        deserialize_str visit_borrowed_str Str TEXTS;
        deserialize_string visit_str Str TEXTS;
        deserialize_bytes visit_borrowed_bytes Bytes BYTES;
        deserialize_byte_buf visit_bytes Bytes BYTES;
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.trace.ask::<V>(self.slot, Head::Leaf(Leaf::Unit))?;
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let slot = self.trace.ask::<V>(self.slot, Head::Option)?;
        let explore = !self.trace.is_open(slot) && !self.trace.is_complete(slot);
        if !explore && self.trace.choose(2) == 0 {
            return visitor.visit_none();
        }
        let inner = self.trace.child(slot, 0);
        self.trace.open.push((slot, None));
        let result = visitor.visit_some(Probe::new(self.trace, inner));
        self.trace.open.pop();
        result
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        let (count, trace) = (self.repeated::<V>(Head::Seq)?, self.trace);
        trace.open.push((self.slot, None));
        let list = List { trace: &mut *trace, slot: self.slot, step: 0, taken: 0, count };
        let result = visitor.visit_seq(list);
        trace.open.pop();
        result
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Fault> {
        let (count, trace) = (self.repeated::<V>(Head::Map)?, self.trace);
        trace.open.push((self.slot, None));
        let list = List { trace: &mut *trace, slot: self.slot, step: 0, taken: 0, count };
        let result = visitor.visit_map(list);
        trace.open.pop();
        result
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.list(Head::Tuple(len), visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.trace.ask::<V>(self.slot, Head::Struct(name, Form::Unit))?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let slot = self.trace.ask::<V>(self.slot, Head::Struct(name, Form::Newtype))?;
        let inner = self.trace.child(slot, 0);
        self.trace.open.push((slot, None));
        let result = visitor.visit_newtype_struct(Probe::new(self.trace, inner));
        self.trace.open.pop();
        result
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.list(Head::Struct(name, Form::Tuple(len)), visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.list(Head::Struct(name, Form::Named(fields)), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let slot = self.trace.ask::<V>(self.slot, Head::Enum(name, variants))?;
        let index = self.trace.variant(slot)?;
        self.trace.open.push((slot, Some(index)));
        let result = visitor.visit_enum(Variant { trace: &mut *self.trace, slot, index });
        self.trace.open.pop();
        result
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Fault> {
        self.hopeless("what there is")
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Fault> {
        self.hopeless("for the name of a field")
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Fault> {
        self.hopeless("to skip something")
    }
}

/// The elements of a sequence, a map or a struct.
struct List<'t> {
    trace: &'t mut Trace,
    slot: usize,
    /// 0 if all elements are alike, 1 if each has its own slot.
    step: usize,
    taken: usize,
    count: usize,
}

impl<'de> SeqAccess<'de> for List<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        if self.taken == self.count {
            return Ok(None);
        }
        let child = self.trace.child(self.slot, self.taken * self.step);
        self.taken += 1;
        seed.deserialize(Probe::new(self.trace, child)).map(Some)
    }
}

impl<'de> MapAccess<'de> for List<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        if self.taken == self.count {
            return Ok(None);
        }
        self.taken += 1;
        let key = self.trace.child(self.slot, 0);
        seed.deserialize(Probe::new(self.trace, key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let value = self.trace.child(self.slot, 1);
        seed.deserialize(Probe::new(self.trace, value))
    }
}

/// One variant of an enum.
struct Variant<'t> {
    trace: &'t mut Trace,
    slot: usize,
    index: usize,
}

impl Variant<'_> {
    /// Notes what the variant holds; returns its slot.
    fn ask<'de, V: Visitor<'de>>(&mut self, form: Form) -> Result<usize, Fault> {
        let slot = self.trace.child(self.slot, self.index);
        self.trace.ask::<V>(slot, Head::Struct("", form))
    }
}

impl<'de, 't> EnumAccess<'de> for Variant<'t> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let index: U32Deserializer<Fault> = (self.index as u32).into_deserializer();
        match seed.deserialize(index) {
            Ok(variant) => Ok((variant, self)),
            Err(fault) => {
                let slot = self.trace.child(self.slot, self.index);
                if self.trace.slots[slot].head.replace(Head::NoVariant).is_none() {
                    self.trace.found += 1;
                }
                Err(fault)
            }
        }
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Fault;

    fn unit_variant(mut self) -> Result<(), Fault> {
        self.ask::<serde::de::IgnoredAny>(Form::Unit).map(|_| ())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(mut self, seed: S) -> Result<S::Value, Fault> {
        let slot = self.ask::<serde::de::IgnoredAny>(Form::Newtype)?;
        let inner = self.trace.child(slot, 0);
        seed.deserialize(Probe::new(self.trace, inner))
    }

    fn tuple_variant<V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        let slot = self.ask::<V>(Form::Tuple(len))?;
        visit_list(self.trace, slot, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let slot = self.ask::<V>(Form::Named(fields))?;
        visit_list(self.trace, slot, visitor)
    }
}
