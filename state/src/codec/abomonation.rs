//! Values set aside as they lie in memory, and looked at again without being decoded.
//!
//! ```text
//! push(&(7, "JFK"))                          a buffer of u128, aligned to 16 bytes
//!      |    value: 7 | pointer, capacity, length         what it owns, packed      up to 16
//!      '--> [ 07 .. | ........ 03 .. 03 ..           ]   [ J F K ]                 [ 0 .. ]
//! get(0)                |                                ^
//!      '--> &(u64, String), its pointers set anew -------'        no copy, no allocation
//! ```
//!
//! abomonation writes the bytes of a value and behind them what it owns; reading corrects the
//! pointers in place and returns a reference into the buffer. This says nothing about versions,
//! layouts or byte orders, and wrong bytes are undefined behaviour: good for scratch data that the
//! same process reads again (spilled batches, caches), **never for durable state, never for the
//! wire**. Durable state is what [`Codec`](crate::format::Codec) writes.
//!
//! **Invariants**
//! - *Own bytes*: a [`Scratch`] decodes only what it has encoded itself, as the same type. There is
//!   no way to put bytes in or to take them out; the type is a parameter, which is checked earlier
//!   than a `TypeId`; the length is asserted in [`Scratch::push`] and [`Scratch::get`].
//! - *No padding*: bytes that were never written are not read. [`Abomonable`] has no type with
//!   padding (tuples: asserted at compile time), and no enum: the fields of `None` are such bytes.
//! - *Aligned*: values begin at 16 bytes, and what they own falls on its alignment by the sizes of
//!   what is before it. Types for which it would not do not compile (asserted in `layout.rs`).
//! - *Never dropped, never changed*: the buffer is of integers, and only `&T` is handed out.
//!
//! **Cost**: writing copies the memory once; reading visits each pointer once, every time.
//!
//! **What is not sound by the letter.** The crate is unmaintained (RUSTSEC-2021-0120: alignment,
//! layout). Alignment, padding and its `decode` are avoided here. What remains is that it makes a
//! `Vec` or `String` of memory that the allocator did not give, which `from_raw_parts` forbids; as
//! they are neither dropped nor grown nothing comes of it today, and Miri accepts it, but the
//! standard library does not promise it. That is why this is a feature, off by default.
//!
//! **Left out**: structs and enums of users (an `unsafe` promise per type), arrays, boxes.
//!
//! **Sources**: design.md section 4; the documentation of abomonation 0.7.
#![allow(unsafe_code, reason = "abomonation's functions are unsafe, and this is where they stay")]

mod layout;

use std::fmt;
use std::marker::PhantomData;

use layout::ALIGN;
pub use layout::Abomonable;

/// What a buffer consists of: its alignment is that of the values.
type Word = u128;

/// Where a value lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The index of the first word.
    begin: usize,
    /// The length without what fills the last word.
    bytes: usize,
}

/// Values of one type, set aside in memory of its own.
///
/// - `T`: integers, floats, `bool`, `char`, `String`, `Vec`, and tuples of them without padding.
///   Put the larger numbers first and the strings last if the compiler refuses a type.
///
/// # Examples
/// ```
/// use highwater_state::codec::abomonation::Scratch;
///
/// let mut scratch = Scratch::new();
/// let bid = scratch.push(&(7u64, 1_000i64, "JFK".to_string()));
/// scratch.push(&(8, 2_000, "LHR".to_string()));
/// assert_eq!(scratch.get(bid), Some(&(7, 1_000, "JFK".to_string())));
/// assert_eq!((scratch.len(), scratch.get(2)), (2, None));
/// ```
/// Foreign bytes cannot get in, nor can a type that has padding or would not be aligned:
/// ```compile_fail
/// # use highwater_state::codec::abomonation::Scratch;
/// let scratch = Scratch::<u64>::from(vec![0u8; 8]);
/// ```
/// ```compile_fail
/// # use highwater_state::codec::abomonation::Scratch;
/// Scratch::new().push(&(1u64, 2u8)); // seven bytes of padding
/// ```
/// ```compile_fail
/// # use highwater_state::codec::abomonation::Scratch;
/// Scratch::new().push(&(String::new(), vec![1u64])); // numbers behind a string of any length
/// ```
/// ```compile_fail
/// # use highwater_state::codec::abomonation::Scratch;
/// Scratch::new().push(&Some(1u64)); // `None` leaves bytes unwritten
/// ```
pub struct Scratch<T> {
    /// Zeroed where nothing has been written.
    words: Vec<Word>,
    /// How many words are in use.
    used: usize,
    places: Vec<Place>,
    types: PhantomData<fn(T) -> T>,
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Scratch { words: Vec::new(), used: 0, places: Vec::new(), types: PhantomData }
    }
}

impl<T> fmt::Debug for Scratch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scratch({} values in {} bytes)", self.len(), self.bytes())
    }
}

impl<T> Scratch<T> {
    /// Returns an empty buffer, which allocates nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Scratch::default()
    }

    /// Returns how many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns how many bytes the values take, with what aligns them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.used * size_of::<Word>()
    }

    /// Forgets all values and keeps the memory.
    pub fn clear(&mut self) {
        self.places.clear();
        self.used = 0;
    }
}

impl<T: Abomonable> Scratch<T> {
    /// Sets a value aside, and returns its index.
    ///
    /// # Panics
    /// When abomonation writes another number of bytes than it has announced.
    pub fn push(&mut self, value: &T) -> usize {
        const { layout::assert_sound::<T>() };
        let place = Place { begin: self.used, bytes: abomonation::measure(value) };
        let end = place.begin + place.bytes.div_ceil(size_of::<Word>());
        if self.words.len() < end {
            self.words.resize(end, 0);
        }
        let mut out = bytes_of(self.words.get_mut(place.begin..end).unwrap_or_default());
        let room = out.len();
        // SAFETY: the bytes of `T` and of what it owns are all initialised, since `Abomonable` has
        // no type with padding (`layout::assert_sound`); they are copied while `value` is borrowed.
        let written = unsafe { abomonation::encode(value, &mut out) };
        let bytes = room - out.len();
        assert!(
            written.is_ok() && bytes == place.bytes,
            "a value of {} bytes was written as {bytes}: {written:?}",
            place.bytes
        );
        self.used = end;
        self.places.push(place);
        self.places.len() - 1
    }

    /// Looks at a value, `None` if there are not so many.
    ///
    /// It takes `&mut self` since the pointers within the buffer are set anew: the buffer may have
    /// moved since they were written. Clone the value to keep it.
    ///
    /// # Panics
    /// When a value is not exactly as long as when it was written.
    pub fn get(&mut self, index: usize) -> Option<&T> {
        let Place { begin, bytes } = *self.places.get(index)?;
        let bytes = bytes_of(self.words.get_mut(begin..)?).get_mut(..bytes)?;
        let length = bytes.len();
        let (head, owned) = bytes.split_at_mut_checked(size_of::<T>())?;
        let head: *mut T = head.as_mut_ptr().cast();
        assert!(head.is_aligned(), "a value is not aligned to {}", align_of::<T>());
        // SAFETY: `push` has written a `T` here, nothing else writes between values, and the bytes
        // do not change their meaning within a process; `head` is aligned, spans `size_of::<T>()`
        // bytes and borrows from `self`. A `Vec` or `String` in it points nowhere that is looked
        // at: their pointers were those of the value that was written, never null.
        let value = unsafe { &mut *head };
        // SAFETY: `owned` is what `push` has written behind the value, of the lengths that stand in
        // it, and aligned for its elements (`layout::assert_sound`). `exhume` overwrites `Vec` and
        // `String` without dropping them and makes them borrow from `owned`, hence from `self`.
        let rest = unsafe { value.exhume(owned) };
        let left = rest.map(|rest| rest.len());
        assert_eq!(left, Some(0), "a value of {length} bytes has another length than it had");
        Some(value)
    }
}

/// Shows words as the bytes that they are.
fn bytes_of(words: &mut [Word]) -> &mut [u8] {
    const { assert!(align_of::<Word>() == ALIGN && size_of::<Word>() == ALIGN) };
    let length = size_of_val(words);
    // SAFETY: any bytes are a `u128` and the other way round, a byte has no alignment, the length
    // is that of the same memory, and the borrow is passed on.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), length) }
}

#[cfg(test)]
mod tests;
