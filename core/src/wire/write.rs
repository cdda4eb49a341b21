//! Writing values.

use serde::ser::{self, Serialize};

use super::Damaged;

/// Appends a value.
///
/// # Errors
/// When its type does not say how long it is, or it is longer than 4 GiB.
pub fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), Damaged> {
    value.serialize(&mut Writer(out))
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn length(&mut self, length: usize) -> Result<(), Damaged> {
        let length = u32::try_from(length).map_err(|_| Damaged("too long".to_owned()))?;
        self.0.extend_from_slice(&length.to_le_bytes());
        Ok(())
    }
}

macro_rules! numbers {
    ($($method:ident $number:ty,)*) => {
        $(
            #[inline]
            fn $method(self, value: $number) -> Result<(), Damaged> {
                self.0.extend_from_slice(&value.to_le_bytes());
                Ok(())
            }
        )*
    };
}

impl<'a, 'b> ser::Serializer for &'a mut Writer<'b> {
    type Ok = ();
    type Error = Damaged;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_i128 i128, serialize_u8 u8, serialize_u16 u16, serialize_u32 u32,
        serialize_u64 u64, serialize_u128 u128, serialize_f32 f32, serialize_f64 f64,
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Damaged> {
        self.serialize_u8(u8::from(value))
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), Damaged> {
        self.serialize_u32(u32::from(value))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Damaged> {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Damaged> {
        self.length(value.len())?;
        self.0.extend_from_slice(value);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Damaged> {
        self.serialize_u8(0)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Damaged> {
        self.0.push(1);
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Damaged> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Damaged> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
    ) -> Result<(), Damaged> {
        self.serialize_u32(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Damaged> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Damaged> {
        self.0.extend_from_slice(&variant.to_le_bytes());
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Damaged> {
        let length = length.ok_or_else(|| Damaged("a sequence of unknown length".to_owned()))?;
        self.length(length)?;
        Ok(self)
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Self, Damaged> {
        self.serialize_seq(length)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Self, Damaged> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Damaged> {
        Ok(self)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Damaged> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Damaged> {
        self.0.extend_from_slice(&variant.to_le_bytes());
        Ok(self)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Damaged> {
        self.0.extend_from_slice(&variant.to_le_bytes());
        Ok(self)
    }
}

macro_rules! elements {
    ($($of:ident $method:ident,)*) => {
        $(
            impl ser::$of for &mut Writer<'_> {
                type Ok = ();
                type Error = Damaged;

                #[inline]
                fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Damaged> {
                    value.serialize(&mut **self)
                }

                #[inline]
                fn end(self) -> Result<(), Damaged> {
                    Ok(())
                }
            }
        )*
    };
}

elements! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

macro_rules! fields {
    ($($of:ident,)*) => {
        $(
            impl ser::$of for &mut Writer<'_> {
                type Ok = ();
                type Error = Damaged;

                #[inline]
                fn serialize_field<T: Serialize + ?Sized>(
                    &mut self,
                    _: &'static str,
                    value: &T,
                ) -> Result<(), Damaged> {
                    value.serialize(&mut **self)
                }

                #[inline]
                fn end(self) -> Result<(), Damaged> {
                    Ok(())
                }
            }
        )*
    };
}

fields! { SerializeStruct, SerializeStructVariant, }

impl ser::SerializeMap for &mut Writer<'_> {
    type Ok = ();
    type Error = Damaged;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Damaged> {
        key.serialize(&mut **self)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Damaged> {
        value.serialize(&mut **self)
    }

    #[inline]
    fn end(self) -> Result<(), Damaged> {
        Ok(())
    }
}
