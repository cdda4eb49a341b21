//! How values look on the wire between processes: numbers in their full width, nothing named.
//!
//! ```text
//! number: little endian, as wide as it is     bool, option, char: u8, u8 (and the value), u32
//! str, bytes: length u32, content              seq, map: length u32, elements
//! struct, tuple: its fields                    enum: variant u32, its fields
//! ```
//!
//! Both sides run the same program, so that nothing has to be described or compatible. Numbers of full
//! width are written and read without a branch, which is what costs time; the wire is wide. Measured
//! against timely's own encoding and others in `benches/wire.rs`.
//!
//! Types that can only be read if they describe themselves, such as `serde_json::Value`, or that leave
//! fields out, cannot be exchanged between processes; neither could they by timely's encoding.
//!
//! **Invariant**: whatever the bytes are, reading them gives a value or an error, and takes no more
//! memory than a small multiple of their length.

mod read;
mod write;

pub use read::read;
pub use write::write;

/// Why a value could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged(String);

impl Damaged {
    pub(crate) fn new(why: &str) -> Self {
        Damaged(why.to_owned())
    }
}

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Damaged {}

impl serde::ser::Error for Damaged {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Damaged(message.to_string())
    }
}

impl serde::de::Error for Damaged {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Damaged(message.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Nothing,
        One(u8),
        Two(i16, char),
        Named { text: String, maybe: Option<Box<Kind>> },
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        numbers: (i8, u16, i32, u64, i128, u128, f32, f64),
        flags: [bool; 2],
        kinds: Vec<Kind>,
        map: BTreeMap<String, u32>,
        unit: (),
    }

    fn everything() -> Everything {
        let inner = Kind::Named { text: "sch\u{f6}n".to_owned(), maybe: None };
        Everything {
            numbers: (-1, 2, -3, 4, -5, 6, 7.5, -8.25),
            flags: [true, false],
            kinds: vec![
                Kind::Nothing,
                Kind::One(9),
                Kind::Two(-10, '\u{1f980}'),
                Kind::Named { text: String::new(), maybe: Some(Box::new(inner)) },
            ],
            map: [("a".to_owned(), 1), ("b".to_owned(), 2)].into(),
            unit: (),
        }
    }

    #[test]
    fn values_are_read_as_they_were_written_and_leave_what_follows() {
        let mut bytes = Vec::new();
        write(&everything(), &mut bytes).expect("it can be written");
        write(&7_u8, &mut bytes).expect("it can be written");
        let mut from = &bytes[..];
        assert_eq!(read::<Everything>(&mut from), Ok(everything()));
        assert_eq!((read::<u8>(&mut from), from.len()), (Ok(7), 0));
    }

    #[test]
    fn damaged_bytes_are_a_value_or_an_error() {
        let mut bytes = Vec::new();
        write(&everything(), &mut bytes).expect("it can be written");
        for cut in 0..bytes.len() {
            assert!(read::<Everything>(&mut &bytes[..cut]).is_err(), "cut at {cut}");
        }
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[place] ^= 1 << bit;
                // It must come back, whatever it says.
                let _ = read::<Everything>(&mut &flipped[..]);
            }
        }
        let huge = u32::MAX.to_le_bytes();
        assert!(read::<Vec<u64>>(&mut &huge[..]).is_err());
        assert!(read::<String>(&mut &huge[..]).is_err());
        assert!(read::<serde_json::Value>(&mut &huge[..]).is_err());
    }
}
