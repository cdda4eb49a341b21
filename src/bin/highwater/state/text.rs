//! How instants, sizes and entries are written for people.

use std::time::{Duration, UNIX_EPOCH};

use bytesize::ByteSize;
use highwater::checkpoint::inspect::Entry;

/// Times before 1971 are more likely counts than times.
const LIKELY_MS: i64 = 31_536_000_000;
/// The year 2200, in ms since 1970.
const UNLIKELY_MS: i64 = 7_258_118_400_000;

/// Writes an instant: a number, and what it says if it is a time.
pub(super) fn instant(ms: i64) -> String {
    if !(LIKELY_MS..UNLIKELY_MS).contains(&ms) {
        return ms.to_string();
    }
    let at = UNIX_EPOCH + Duration::from_millis(ms.unsigned_abs());
    format!("{ms} ({})", humantime::format_rfc3339_millis(at))
}

/// Writes a watermark, whose ends have names.
pub(super) fn watermark(ms: i64) -> String {
    match ms {
        i64::MIN => "none yet".to_owned(),
        i64::MAX => "at the end".to_owned(),
        ms => instant(ms),
    }
}

pub(super) fn size(bytes: u64) -> String {
    ByteSize(bytes).to_string()
}

/// Writes a number of things.
pub(super) fn count(number: u64, one: &str, several: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {several}") }
}

/// Writes where an entry stands: its key group, its namespace and its key.
pub(super) fn place(entry: &Entry) -> String {
    let mut place = match entry.key_group {
        Some(group) => format!("[{group}]"),
        None => "-".to_owned(),
    };
    if !entry.namespace.is_null() {
        place.push_str(&format!(" {}", entry.namespace));
    }
    if entry.key_group.is_some() || !entry.key.is_null() {
        place.push_str(&format!(" {}", entry.key));
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_say_what_time_they_are_if_they_are_likely_ones() {
        assert_eq!(instant(1_700_000_000_123), "1700000000123 (2023-11-14T22:13:20.123Z)");
        assert_eq!(instant(59_999), "59999");
        assert_eq!(instant(-1), "-1");
        assert_eq!(watermark(i64::MIN), "none yet");
        assert_eq!(watermark(i64::MAX), "at the end");
        assert_eq!(count(1, "entry", "entries"), "1 entry");
        assert_eq!(count(0, "entry", "entries"), "0 entries");
    }
}
