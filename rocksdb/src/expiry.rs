//! Entries that have expired fall out when their files are compacted.
//!
//! ```text
//! value = | last use, 8 bytes LE, ms since 1970 | ... |     gone once  last use + expiry < now
//! ```
//!
//! Whoever reads values must still look at their age: an entry may stay on disk long after it has
//! expired, until a compaction comes by. One that can still be read is never dropped: an instant
//! that the filter calls past is past for readers too, since their clock reads the same or later.
//!
//! **Cost**: the clock is read every 1000 entries.
//!
//! **Sources**: Flink, `RocksDbTtlCompactFiltersManager`.

use std::ffi::CStr;
use std::sync::Arc;

use highwater_core::clock::Clock;
use rocksdb::CompactionDecision;
use rocksdb::compaction_filter::CompactionFilter;
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};

/// After how many entries the clock is read again, as in Flink.
const CLOCK_ENTRIES: u32 = 1000;

const NAME: &CStr = c"highwater.expiry";

/// Makes a filter for each compaction, because several may run at once.
pub(crate) struct Expiry {
    pub(crate) expiry_ms: i64,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The filter of one compaction.
pub(crate) struct ExpiryFilter {
    expiry_ms: i64,
    clock: Arc<dyn Clock>,
    now_ms: i64,
    seen: u32,
}

/// Returns when the entry of a value was last used; `None` if the value is too short to say.
fn last_use_ms(value: &[u8]) -> Option<i64> {
    value.first_chunk().map(|bytes| i64::from_le_bytes(*bytes))
}

impl CompactionFilterFactory for Expiry {
    type Filter = ExpiryFilter;

    fn create(&mut self, _: CompactionFilterContext) -> ExpiryFilter {
        ExpiryFilter {
            expiry_ms: self.expiry_ms,
            clock: Arc::clone(&self.clock),
            now_ms: i64::MIN,
            seen: 0,
        }
    }

    fn name(&self) -> &CStr {
        NAME
    }
}

impl CompactionFilter for ExpiryFilter {
    fn filter(&mut self, _: u32, _: &[u8], value: &[u8]) -> CompactionDecision {
        if self.seen.is_multiple_of(CLOCK_ENTRIES) {
            self.now_ms = self.clock.now_ms();
        }
        self.seen = self.seen.wrapping_add(1);
        match last_use_ms(value) {
            Some(used) if used.saturating_add(self.expiry_ms) < self.now_ms => {
                CompactionDecision::Remove
            }
            _ => CompactionDecision::Keep,
        }
    }

    fn name(&self) -> &CStr {
        NAME
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::clock::ManualClock;

    use super::*;

    fn drops(filter: &mut ExpiryFilter, value: &[u8]) -> bool {
        matches!(filter.filter(0, b"key", value), CompactionDecision::Remove)
    }

    #[test]
    fn an_entry_is_dropped_once_its_time_is_over() {
        let clock = Arc::new(ManualClock::default());
        clock.advance_to(1_000);
        let mut filter =
            ExpiryFilter { expiry_ms: 100, clock: clock.clone(), now_ms: i64::MIN, seen: 0 };
        assert!(drops(&mut filter, &899_i64.to_le_bytes()));
        assert!(!drops(&mut filter, &900_i64.to_le_bytes()));
        assert!(drops(&mut filter, &i64::MIN.to_le_bytes()));
        assert!(!drops(&mut filter, &i64::MAX.to_le_bytes()));
        assert!(!drops(&mut filter, b"short"), "what says no instant is kept");
        clock.advance_to(2_000);
        let kept = (5..CLOCK_ENTRIES).filter(|_| !drops(&mut filter, &900_i64.to_le_bytes()));
        assert_eq!(kept.count(), 995, "the clock is not read yet");
        assert!(drops(&mut filter, &900_i64.to_le_bytes()));
    }
}
