//! Little-endian numbers and length-prefixed bytes, read without trusting any length.
//!
//! **Invariant**: a [`Cursor`] never reads behind its end and never allocates; whoever collects
//! what it returns allocates at most as much as there are bytes (asserted in [`Cursor::take`]).

use std::fmt;

use crate::format::error::{FormatError, Place};

/// The most bytes that a length in front of an entry's part takes.
const LENGTH_BYTES: u32 = 5;

/// Reads one piece of a part from its beginning.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// The offset of `rest` in the part.
    at: u64,
    place: Place,
}

impl fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({} bytes left at byte {} in {})", self.rest.len(), self.at, self.place)
    }
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(rest: &'a [u8], at: u64, place: Place) -> Self {
        Cursor { rest, at, place }
    }

    /// Returns the offset of the next byte.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    pub(crate) fn left(&self) -> u64 {
        self.rest.len() as u64
    }

    pub(crate) fn malformed(&self, what: &'static str) -> FormatError {
        FormatError::Malformed { place: self.place, at: self.at, what }
    }

    /// Takes so many bytes.
    pub(crate) fn take(&mut self, length: u64) -> Result<&'a [u8], FormatError> {
        let taken = usize::try_from(length).ok().and_then(|n| self.rest.split_at_checked(n));
        let Some((taken, rest)) = taken else {
            let (place, at) = (self.place, self.at);
            return Err(FormatError::Truncated { place, at, needed: length, left: self.left() });
        };
        self.rest = rest;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FormatError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, FormatError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, FormatError> {
        self.array().map(i64::from_le_bytes)
    }

    /// Takes a text with its length in four bytes before it.
    pub(crate) fn text(&mut self) -> Result<&'a str, FormatError> {
        let length = self.u32()?;
        let at = self.at;
        let bytes = self.take(u64::from(length))?;
        std::str::from_utf8(bytes).map_err(|error| FormatError::Malformed {
            place: self.place,
            at: at + error.valid_up_to() as u64,
            what: "text that is not UTF-8",
        })
    }

    /// Takes bytes with their length before them.
    pub(crate) fn prefixed(&mut self) -> Result<&'a [u8], FormatError> {
        let length = self.length()?;
        self.take(u64::from(length))
    }

    /// Takes a length, seven bits a byte, low bits first.
    pub(crate) fn length(&mut self) -> Result<u32, FormatError> {
        let mut length = 0u64;
        for i in 0..LENGTH_BYTES {
            let byte = self.u8()?;
            length |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                let shortest = byte != 0 || i == 0;
                return u32::try_from(length).ok().filter(|_| shortest).ok_or_else(|| self.long());
            }
        }
        Err(self.long())
    }

    fn long(&self) -> FormatError {
        self.malformed("a length that is not written in the shortest way")
    }

    /// Asserts that nothing is left.
    pub(crate) fn finish(&self) -> Result<(), FormatError> {
        match self.left() {
            0 => Ok(()),
            extra => Err(FormatError::Trailing { place: self.place, at: self.at, extra }),
        }
    }
}

/// Appends a length in the form that [`Cursor::length`] reads.
pub(crate) fn put_length(out: &mut Vec<u8>, mut length: u32) {
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// Appends a text in the form that [`Cursor::text`] reads.
pub(crate) fn put_text(
    out: &mut Vec<u8>,
    what: &'static str,
    text: &str,
) -> Result<(), FormatError> {
    let length = fits(Place::Header, what, text.len())?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Returns a length as it is stored, if it can be.
pub(crate) fn fits(place: Place, what: &'static str, length: usize) -> Result<u32, FormatError> {
    let limit = u64::from(u32::MAX);
    u32::try_from(length).map_err(|_| FormatError::TooLong {
        place,
        what,
        bytes: length as u64,
        limit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_written_and_only_in_their_shortest_form() {
        for length in [0u32, 1, 127, 128, 16_383, 16_384, 70_000] {
            let mut bytes = Vec::new();
            put_length(&mut bytes, length);
            bytes.resize(bytes.len() + length as usize, 7);
            let mut cursor = Cursor::new(&bytes, 0, Place::Footer);
            assert_eq!(cursor.prefixed().unwrap().len(), length as usize);
            cursor.finish().unwrap();
        }
        for wrong in [&[0x80, 0x00][..], &[0xff; 9], &[0xff, 0xff, 0xff, 0xff, 0x10], &[0x80]] {
            assert!(Cursor::new(wrong, 0, Place::Footer).prefixed().is_err(), "{wrong:?}");
        }
        let mut most = Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x0f], 3, Place::Footer);
        let Err(FormatError::Truncated { at, needed, left, .. }) = most.prefixed() else {
            panic!("taken")
        };
        assert_eq!((at, needed, left), (8, u64::from(u32::MAX), 0));
    }
}
