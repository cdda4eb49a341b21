//! What jobs and requests are called: 128 random bits, as 32 hexadecimal digits, as in Flink.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Error;

/// Declares a name.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, example = "6b1f0c2ad3b94d3e8a1c5f7f0a9b8c7d")]
        pub struct $name(u128);

        impl $name {
            /// Returns the name that has these bits.
            #[must_use]
            pub fn of(bits: u128) -> Self {
                $name(bits)
            }

            /// Draws a name.
            ///
            /// # Errors
            /// When the system has no random numbers.
            pub fn random() -> Result<Self, Error> {
                Ok($name(u128::from(random()?) << 64 | u128::from(random()?)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                bits(text).map($name).ok_or_else(|| Error::Id { text: text.to_owned() })
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                text.parse()
            }
        }
    };
}

name! {
    /// The name of a job, unique for all time.
    JobId
}

name! {
    /// The name of a request that takes time, under which its outcome is found.
    TriggerId
}

fn bits(text: &str) -> Option<u128> {
    // The parser would take a sign, too.
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Returns 64 random bits.
///
/// # Errors
/// When the system has no random numbers.
pub fn random() -> Result<u64, Error> {
    getrandom::u64().map_err(|cause| Error::Randomness { cause: cause.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_it_is_read_and_nothing_else_is_a_name() {
        let id = JobId::of(0xab);
        assert_eq!(id.to_string(), "000000000000000000000000000000ab");
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
        let long = "0".repeat(33);
        for text in ["", "ab", "+00000000000000000000000000000ab", &long, &"g".repeat(32)] {
            assert!(text.parse::<JobId>().is_err(), "{text}");
        }
        assert_ne!(JobId::random().unwrap(), JobId::random().unwrap());
    }
}
