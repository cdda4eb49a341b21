//! The marks of changed keys as bytes: a bit for each slot, or the slots that are marked if they are
//! few.
//!
//! ```text
//! 0 | word u64 each                     no word: everything has changed
//! 1 | bits of a slot u8 | distance each from behind the last marked slot to the next, 7 bits a byte
//! ```
//!
//! **Invariants**
//! - *Shortest*: the shorter form is written. One of a hundred keys takes two bytes instead of the 25
//!   that the bits of so many slots take.

use crate::format::bytes::{Cursor, put_length};
use crate::format::{CodecError, Place};
use crate::heap::Dirty;

const BITS: u8 = 0;
const SLOTS: u8 = 1;

/// The marks of a delta, as they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Marks {
    /// A bit for each slot.
    Bits(Dirty),
    /// The marked slots, ascending, and how many slots there are, a power of two.
    Slots { count: u64, marked: Vec<u64> },
}

impl Marks {
    /// Returns marks of everything.
    pub(crate) fn all() -> Self {
        Marks::Bits(Dirty::default())
    }

    /// Returns whether the slot of a hash is marked.
    pub(crate) fn has(&self, hash: u64) -> bool {
        match self {
            Marks::Bits(dirty) => dirty.has(hash),
            Marks::Slots { count, marked } => marked.binary_search(&(hash & (count - 1))).is_ok(),
        }
    }

    /// Returns whether everything counts as changed.
    pub(crate) fn marks_all(&self) -> bool {
        matches!(self, Marks::Bits(dirty) if dirty.marks_all())
    }

    /// Reads marks.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, CodecError> {
        let malformed = |what| CodecError::Malformed { at: 0, what };
        let impossible = || malformed("marks of a number of slots that there cannot be");
        match bytes.split_first() {
            Some((&BITS, words)) => {
                let (words, rest) = words.as_chunks::<8>();
                let words = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
                let dirty = Dirty::from_words(words).filter(|_| rest.is_empty());
                dirty.map(Marks::Bits).ok_or_else(impossible)
            }
            Some((&SLOTS, bytes)) => {
                let mut cursor = Cursor::new(bytes, 0, Place::Store);
                let bits = cursor.u8().ok().filter(|bits| *bits < 64).ok_or_else(impossible)?;
                let (count, mut next, mut marked) = (1 << bits, 0, Vec::new());
                while cursor.left() > 0 {
                    let distance = cursor.length().map_err(|_| malformed("half a distance"))?;
                    let slot = next + u64::from(distance);
                    if slot >= count {
                        return Err(malformed("a mark behind the last slot"));
                    }
                    marked.push(slot);
                    next = slot + 1;
                }
                Ok(Marks::Slots { count, marked })
            }
            _ => Err(malformed("neither bits nor slots")),
        }
    }
}

/// Writes marks.
pub(super) fn bytes(dirty: &Dirty) -> Vec<u8> {
    let words = dirty.words();
    slots(words).unwrap_or_else(|| {
        let mut bytes = vec![BITS];
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes
    })
}

/// Writes the slots that are marked; `None` if that is longer than the bits.
fn slots(words: &[u64]) -> Option<Vec<u8>> {
    let bits = (64 * words.len() as u64).checked_ilog2()?;
    let (mut bytes, mut next) = (vec![SLOTS, bits as u8], 0);
    for (place, word) in (0..).map(|place| 64 * place).zip(words) {
        let mut left = *word;
        while left != 0 {
            let slot = place + u64::from(left.trailing_zeros());
            put_length(&mut bytes, u32::try_from(slot - next).ok()?);
            next = slot + 1;
            left &= left - 1;
        }
        if bytes.len() > 8 * words.len() {
            return None;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirty(slots: u64, marked: impl Fn(u64) -> bool) -> Dirty {
        let mut words = vec![0; slots as usize / 64];
        let all = (0..slots).filter(|slot| marked(*slot));
        all.for_each(|slot| words[slot as usize / 64] |= 1 << (slot % 64));
        Dirty::from_words(words).unwrap()
    }

    #[test]
    fn marks_are_read_as_they_were_written_in_the_shorter_form() {
        for every in [1, 2, 5, 8, 9, 64, 100, 1023, 1024, 5000] {
            let written = dirty(1024, |slot| slot % every == every - 1);
            let bytes = bytes(&written);
            let few = 1024 / every as usize;
            assert!(bytes.len() <= 129.min(2 + 2 * few), "{every}: {} bytes", bytes.len());
            let read = Marks::read(&bytes).unwrap();
            assert_eq!(matches!(read, Marks::Bits(_)), every < 9, "{every}");
            for hash in (0..4096).map(|n: u64| n | n << 40) {
                assert_eq!(read.has(hash), written.has(hash), "{every}: {hash}");
            }
        }
        let all = bytes(&Dirty::default());
        assert_eq!((all.as_slice(), Marks::read(&all).unwrap()), (&[BITS][..], Marks::all()));
    }

    #[test]
    fn marks_that_there_cannot_be_are_refused() {
        assert!(Marks::read(&[SLOTS, 7, 0, 126]).is_ok());
        assert!(Marks::read(&[SLOTS, 7, 0, 0xff, 0]).is_err(), "longer than it need be");
        let words = [0; 24];
        let wrong = [
            &[SLOTS, 7, 0, 127][..],
            &[SLOTS, 7, 0x80, 1],
            &[SLOTS, 63, 0xff, 0xff, 0xff, 0xff, 0x1f],
            &[SLOTS, 64, 0],
            &[SLOTS, 7, 0x80],
            &[SLOTS],
            &[&[BITS], &words[..7]].concat(),
            &[&[BITS], &words[..]].concat(),
            &[2],
            &[],
        ];
        for bytes in wrong {
            assert!(Marks::read(bytes).is_err(), "{bytes:?}");
        }
    }
}
