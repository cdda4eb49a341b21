//! Finds the column at which a row of CSV is not what its record type asks for.
//!
//! The csv crate says which field it could not parse, but not when the record type itself refused
//! it (an unknown variant, a parser of the user), nor can it miss a column when there is no row.
//! So, once something is wrong, the record is read again from fields that note how far it came.
//!
//! A file that has a header and no row is probed with made-up values, since serde tells only on
//! reading which fields may be absent. A type that refuses all of them is given the benefit of the
//! doubt: its first real row would tell.

use std::cell::Cell;
use std::fmt::Display;

use ::csv::StringRecord;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};

/// Values to try for a column, one of which most types accept: text and times, numbers, booleans,
/// absent ones.
const MADE_UP: [&str; 6] = ["1970-01-01T00:00:00Z", "0", "true", "1970-01-01", "00:00:00", ""];

/// Where a row is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the field of this column, counted from 0.
    Column(usize),
    /// In the header, which lacks this column.
    Missing(&'static str),
    /// Nowhere in particular.
    Unknown,
}

/// Finds where `row` is not a `T`.
pub(super) fn locate<T: DeserializeOwned>(
    header: Option<&StringRecord>,
    row: &StringRecord,
) -> Place {
    let (values, at): (Vec<_>, _) = (row.iter().collect(), Cell::new(None));
    let probe = Probe { header, values: &values, made_up: false, at: &at };
    match (T::deserialize(probe), at.get()) {
        (Err(Fault::Missing(column)), _) => Place::Missing(column),
        (Err(Fault::Other), Some(column)) => Place::Column(column),
        _ => Place::Unknown,
    }
}

/// Finds a column that `T` cannot do without and that is not in the header of an empty table.
pub(super) fn missing<T: DeserializeOwned>(header: &StringRecord) -> Option<&'static str> {
    // For each column, which of the made-up values to try.
    let mut tries = vec![0; header.len()];
    loop {
        let values: Vec<_> = tries.iter().map(|i| MADE_UP[*i]).collect();
        let at = Cell::new(None);
        let probe = Probe { header: Some(header), values: &values, made_up: true, at: &at };
        match (T::deserialize(probe), at.get()) {
            (Err(Fault::Missing(column)), _) => return Some(column),
            (Err(Fault::Other), Some(column)) if tries[column] + 1 < MADE_UP.len() => {
                tries[column] += 1;
            }
            _ => return None,
        }
    }
}

/// What reading gives instead of a value.
#[derive(Debug)]
enum Fault {
    Missing(&'static str),
    Other,
}

impl Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<M: Display>(_message: M) -> Self {
        Fault::Other
    }

    fn missing_field(field: &'static str) -> Self {
        Fault::Missing(field)
    }
}

/// A row that notes which of its columns is being read.
#[derive(Clone, Copy)]
struct Probe<'a> {
    header: Option<&'a StringRecord>,
    values: &'a [&'a str],
    made_up: bool,
    /// The column being read, `None` before the first and after the last one.
    at: &'a Cell<Option<usize>>,
}

impl<'a> Probe<'a> {
    /// Goes on to the next column, if there is one.
    fn advance(&self) -> Option<usize> {
        let next = self.at.get().map_or(0, |at| at + 1);
        self.at.set((next < self.values.len()).then_some(next));
        self.at.get()
    }

    fn field(&self) -> Field<'a> {
        let text = self.at.get().and_then(|at| self.values.get(at)).copied().unwrap_or_default();
        Field { text, made_up: self.made_up }
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.header.is_some() { visitor.visit_map(self) } else { visitor.visit_seq(self) }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let names: Vec<_> = self.header.into_iter().flatten().collect();
        if self.made_up && fields.iter().all(|field| names.contains(field)) {
            // Nothing is missing, so the type need not see values that nobody gave it.
            return Err(Fault::Other);
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(self)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_seq(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct map enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Probe<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        match self.advance().and_then(|at| self.header?.get(at)) {
            Some(name) => seed.deserialize(StrDeserializer::new(name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        seed.deserialize(self.field())
    }
}

impl<'de> SeqAccess<'de> for Probe<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        self.advance().map(|_| seed.deserialize(self.field())).transpose()
    }
}

/// One field, read as whatever its type asks for.
struct Field<'a> {
    text: &'a str,
    made_up: bool,
}

/// Writes the methods for types that are parsed from text.
macro_rules! parse {
    ($($method:ident $visit:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.$visit(self.text.parse().map_err(|_| Fault::Other)?)
        })*
    };
}

impl<'de> Deserializer<'de> for Field<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.text;
        if let Ok(value) = text.parse() {
            visitor.visit_bool(value)
        } else if let Ok(value) = text.parse() {
            visitor.visit_u64(value)
        } else if let Ok(value) = text.parse() {
            visitor.visit_i64(value)
        } else if let Ok(value) = text.parse() {
            visitor.visit_f64(value)
        } else {
            visitor.visit_str(text)
        }
    }

    parse! {
        deserialize_bool visit_bool
        deserialize_i8 visit_i8
        deserialize_i16 visit_i16
        deserialize_i32 visit_i32
        deserialize_i64 visit_i64
        deserialize_i128 visit_i128
        deserialize_u8 visit_u8
        deserialize_u16 visit_u16
        deserialize_u32 visit_u32
        deserialize_u64 visit_u64
        deserialize_u128 visit_u128
        deserialize_f32 visit_f32
        deserialize_f64 visit_f64
        deserialize_char visit_char
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.text)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_bytes(self.text.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_bytes(self.text.as_bytes())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.text.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let made_up = variants.first().filter(|_| self.made_up).copied();
        let variant: StrDeserializer<'_, Fault> = made_up.unwrap_or(self.text).into_deserializer();
        visitor.visit_enum(variant)
    }

    serde::forward_to_deserialize_any! {
        unit_struct seq tuple tuple_struct map struct identifier
    }
}
