//! Which types may be copied byte by byte, decided at compile time.
//!
//! A value is written as its own bytes and, behind them, a *tail*: what it owns, in the order of
//! its fields, each `Vec` as its elements and then the tails of them. Nothing is inserted to align,
//! so two numbers are computed for each type, both powers of two:
//!
//! ```text
//!                                                      u64   String   Vec<u64>   Vec<Vec<u8>>
//! tail align: what the tail must be aligned to           1        1          8              8
//! tail unit: what its length is always a multiple of    16        1          8              1
//! ```
//!
//! A tail behind another is aligned if its align divides the unit of the one before (16 stands for
//! no tail); the first begins right behind a value aligned to 16, so it must divide its size.

/// What values are aligned to, which no alignment exceeds.
pub(super) const ALIGN: usize = 16;

/// Values that a [`Scratch`](super::Scratch) can hold.
///
/// The trait is sealed: what it promises cannot be checked in foreign code.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be copied byte by byte",
    note = "numbers, `bool`, `char`, `String`, `Vec` and tuples of them can"
)]
pub trait Abomonable: Layout {}
impl<T: Layout> Abomonable for T {}

/// How a type and what it owns lie in memory.
///
/// # Contract
/// No byte of a value is padding, or not initialised for another reason, whatever the value.
pub trait Layout: abomonation::Abomonation + Sized {
    /// What its tail must be aligned to.
    const TAIL_ALIGN: usize;
    /// What the length of its tail is a multiple of.
    const TAIL_UNIT: usize;
}

/// Asserts that a value aligned to [`ALIGN`] has a tail that is aligned as well.
pub(super) const fn assert_sound<T: Layout>() {
    assert!(align_of::<T>() <= ALIGN, "the type has a greater alignment than the buffer");
    assert!(size_of::<T>() != 0, "the type takes no bytes");
    assert!(
        size_of::<T>().is_multiple_of(T::TAIL_ALIGN),
        "what the type owns would not be aligned behind it"
    );
}

const fn min(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

const fn max(a: usize, b: usize) -> usize {
    if a < b { b } else { a }
}

/// Joins the tails of fields, each given as its align and its unit.
const fn join(fields: &[(usize, usize)]) -> (usize, usize) {
    let (mut align, mut unit, mut i) = (1, ALIGN, 0);
    while i < fields.len() {
        assert!(
            unit.is_multiple_of(fields[i].0),
            "what a field owns would not be aligned behind what the fields before it own"
        );
        align = max(align, fields[i].0);
        unit = min(unit, fields[i].1);
        i += 1;
    }
    (align, unit)
}

macro_rules! without_tail {
    ($($type:ty)*) => { $(
        impl Layout for $type {
            const TAIL_ALIGN: usize = 1;
            const TAIL_UNIT: usize = ALIGN;
        }
    )* };
}

without_tail!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 bool char);

impl Layout for String {
    const TAIL_ALIGN: usize = {
        assert!(size_of::<String>() == 3 * size_of::<usize>(), "a string is not three words");
        1
    };
    const TAIL_UNIT: usize = 1;
}

impl<T: Abomonable> Layout for Vec<T> {
    const TAIL_ALIGN: usize = {
        assert!(size_of::<Self>() == 3 * size_of::<usize>(), "a vector is not three words");
        assert_sound::<T>();
        assert!(
            T::TAIL_UNIT.is_multiple_of(T::TAIL_ALIGN),
            "what an element owns would not be aligned behind what the one before it owns"
        );
        max(align_of::<T>(), T::TAIL_ALIGN)
    };
    const TAIL_UNIT: usize = min(min(1 << size_of::<T>().trailing_zeros(), ALIGN), T::TAIL_UNIT);
}

macro_rules! tuple {
    ($($field:ident)+) => {
        impl<$($field: Abomonable),+> Layout for ($($field,)+) {
            const TAIL_ALIGN: usize = {
                let bytes = 0 $(+ size_of::<$field>())+;
                assert!(size_of::<Self>() == bytes, "the tuple has padding");
                join(&[$(($field::TAIL_ALIGN, $field::TAIL_UNIT)),+]).0
            };
            const TAIL_UNIT: usize = join(&[$(($field::TAIL_ALIGN, $field::TAIL_UNIT)),+]).1;
        }
    };
}

tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);
tuple!(A B C D E F G H I);
tuple!(A B C D E F G H I J);
tuple!(A B C D E F G H I J K);
tuple!(A B C D E F G H I J K L);

#[cfg(test)]
mod tests {
    use super::*;

    fn tail<T: Layout>() -> (usize, usize) {
        const { assert_sound::<T>() };
        (T::TAIL_ALIGN, T::TAIL_UNIT)
    }

    #[test]
    fn tails_are_aligned_by_what_is_before_them() {
        assert_eq!(tail::<(u64, u64)>(), (1, ALIGN));
        assert_eq!(tail::<String>(), (1, 1));
        assert_eq!(tail::<Vec<u32>>(), (4, 4));
        assert_eq!(tail::<Vec<(u64, u64)>>(), (8, 16));
        assert_eq!(tail::<Vec<(u64, String)>>(), (8, 1));
        assert_eq!(tail::<(Vec<u64>, Vec<u16>, String)>(), (8, 1));
        assert_eq!(tail::<Vec<Vec<u64>>>(), (8, 8));
        assert_eq!(tail::<Vec<Vec<u8>>>(), (8, 1));
    }
}
