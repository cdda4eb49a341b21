//! The elements of postcard's encoding, read without trusting any length.
//!
//! ```text
//! bool, option   0 or 1                        u16 .. u128   seven bits a byte, low bits first
//! u8, i8         one byte                      i16 .. i128   the same, zigzag: 0, -1, 1, -2, ...
//! f32, f64       their bits, little-endian     string, bytes, char   length, then that many bytes
//! seq, map       count, then the elements      enum          index of the variant, then its fields
//! unit, tuple, struct   only what they hold
//! ```

use crate::format::codec::CodecError;
use crate::schema::{Id, Schema};

/// How deep a value may be nested.
pub(crate) const NESTING_MAX: usize = 1024;
/// How many elements there may be that take no bytes.
const EMPTY_MAX: u64 = 1 << 24;

/// The bytes of one value.
pub(crate) struct Input<'de> {
    bytes: &'de [u8],
    at: usize,
}

impl<'de> Input<'de> {
    pub(crate) fn new(bytes: &'de [u8]) -> Self {
        Input { bytes, at: 0 }
    }

    /// Returns how many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn malformed(&self, what: &'static str) -> CodecError {
        CodecError::Malformed { at: self.at, what }
    }

    pub(crate) fn take(&mut self, length: u64) -> Result<&'de [u8], CodecError> {
        let (at, all) = (self.at, self.bytes);
        let end = usize::try_from(length).ok().and_then(|length| at.checked_add(length));
        let taken = end.and_then(|end| all.get(at..end)).ok_or(CodecError::Truncated { at })?;
        self.at += taken.len();
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, CodecError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, CodecError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.malformed("neither 0 nor 1")),
        }
    }

    /// Reads a number of at most so many bits.
    pub(crate) fn varint(&mut self, bits: u32) -> Result<u128, CodecError> {
        let mut number = 0u128;
        for shift in (0..bits).step_by(7) {
            let byte = self.byte()?;
            let digit = u128::from(byte & 0x7f);
            if bits - shift < 7 && digit >> (bits - shift) != 0 {
                break;
            }
            number |= digit << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.malformed("a number that is too long"))
    }

    pub(crate) fn zigzag(&mut self, bits: u32) -> Result<i128, CodecError> {
        let number = self.varint(bits)?;
        Ok((number >> 1) as i128 ^ -((number & 1) as i128))
    }

    /// Reads a length.
    pub(crate) fn length(&mut self) -> Result<u64, CodecError> {
        self.varint(64).map(|length| length as u64)
    }

    /// Reads how many elements follow, which must have room.
    ///
    /// - `empty`: whether the elements take no bytes.
    pub(crate) fn count(&mut self, empty: bool) -> Result<u64, CodecError> {
        let count = self.length()?;
        let limit = if empty { EMPTY_MAX } else { self.left() as u64 };
        if count > limit {
            return Err(self.malformed("more elements than there is room for"));
        }
        Ok(count)
    }

    /// Reads how many elements of a sequence or a map follow.
    pub(crate) fn count_of(&mut self, schema: &Schema, items: &[Id]) -> Result<u64, CodecError> {
        self.count(items.iter().all(|item| schema.is_empty(*item)))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'de [u8], CodecError> {
        let length = self.length()?;
        self.take(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'de str, CodecError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.malformed("text that is not UTF-8"))
    }

    pub(crate) fn char(&mut self) -> Result<char, CodecError> {
        let text = self.text()?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(self.malformed("not one character")),
        }
    }

    /// Reads which variant of so many follows.
    pub(crate) fn variant(&mut self, count: usize) -> Result<u32, CodecError> {
        let index = self.varint(32)? as u32;
        if (index as usize) < count {
            Ok(index)
        } else {
            Err(self.malformed("a variant that does not exist"))
        }
    }

    /// Asserts that nothing is left.
    pub(crate) fn finish(&self) -> Result<(), CodecError> {
        match self.left() {
            0 => Ok(()),
            extra => Err(CodecError::Trailing { extra }),
        }
    }
}

/// Returns the depth of what is within something at this depth.
pub(crate) fn deeper(depth: usize) -> Result<usize, CodecError> {
    if depth < NESTING_MAX { Ok(depth + 1) } else { Err(CodecError::Deep { limit: NESTING_MAX }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_more_bits_than_their_type() {
        let varint = |bytes: &[u8], bits| Input::new(bytes).varint(bits).ok();
        assert_eq!(varint(&[0xff, 0xff, 0x03], 16), Some(0xffff));
        assert_eq!(varint(&[0xff, 0xff, 0x04], 16), None);
        assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0x10], 32), None);
        assert_eq!(varint(&[[0xff; 9].as_slice(), &[1]].concat(), 64), Some(u128::from(u64::MAX)));
        assert_eq!(varint(&[[0xff; 9].as_slice(), &[2]].concat(), 64), None);
        assert_eq!(varint(&[[0xff; 18].as_slice(), &[3]].concat(), 128), Some(u128::MAX));
        assert_eq!(varint(&[[0xff; 18].as_slice(), &[4]].concat(), 128), None);
        for number in [0, 1, -1, i128::from(i64::MIN), i128::MAX, i128::MIN] {
            let bytes = postcard::to_allocvec(&number).unwrap();
            assert_eq!(Input::new(&bytes).zigzag(128).unwrap(), number);
        }
    }
}
