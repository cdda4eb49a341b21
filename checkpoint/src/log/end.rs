//! Where the log ends, and which slots must stay so that its end is found.
//!
//! A listing may be late, and slots in the middle are deleted: the first free slot after those that
//! were listed need not be the end. Slots therefore stay in spans that get wider with their age:
//!
//! ```text
//! kept of those behind the end e:   all n            with e - n < 64
//!                                   multiples of 64  with e - n < 64 * 64
//!                                   of 64 * 64       with e - n < 64 * 64 * 64, ...
//! ```
//!
//! From any slot that ever existed the end is reached by asking for the next multiple of `64^4` while
//! there is one, then for that of `64^3`, down to the next slot: at each step the end is closer than
//! the width up to which such multiples stay. A slot that is not kept for an end is not kept for any
//! later end, so that a reader who knows an older end never deletes what a newer one needs.
//!
//! **Cost**: ten questions when the listing is up to date; 64 kept slots for each factor of 64.

use crate::error::StorageError;
use crate::log::slot::{copy_path, slot_of, slot_path};
use crate::storage::Storage;

/// How many slots before the end are all kept.
pub(crate) const SPAN: u64 = 64;
const LEVELS: u32 = 5;

/// Returns whether a slot must stay so that the end is found.
pub(crate) fn is_kept(slot: u64, end: u64) -> bool {
    (0..LEVELS).any(|level| {
        let step = SPAN.pow(level);
        slot.is_multiple_of(step) && end.saturating_sub(slot) < step * SPAN
    })
}

/// Returns the slots that were kept for the end before this one and are not kept for this one.
pub(crate) fn newly_dispensable(end: u64) -> impl Iterator<Item = u64> {
    (1..=LEVELS)
        .filter_map(move |level| end.checked_sub(SPAN.pow(level)))
        .filter(move |slot| is_kept(*slot, end - 1) && !is_kept(*slot, end))
}

/// Returns the last slot of the log, `None` if it is empty.
///
/// - `known`: a slot that is known to have existed.
pub(crate) async fn find_end(
    storage: &Storage,
    known: Option<u64>,
) -> Result<Option<u64>, StorageError> {
    let listed = match known {
        // Asked again, we are near the end already.
        Some(known) => Some(known),
        None => storage.list("log").await?.iter().filter_map(|path| slot_of(path)).max(),
    };
    let mut end = match listed {
        Some(listed) => listed,
        // The first slot is a fence, and stays.
        None if is_taken(storage, 0).await? => 0,
        None => return Ok(None),
    };
    for level in (0..LEVELS).rev() {
        let step = SPAN.pow(level);
        while let Some(next) = (end / step + 1).checked_mul(step) {
            if !is_taken(storage, next).await? {
                break;
            }
            end = next;
        }
    }
    Ok(Some(end))
}

/// Returns whether either object of a slot is there, so that losing one does not hide the rest.
async fn is_taken(storage: &Storage, slot: u64) -> Result<bool, StorageError> {
    Ok(storage.exists(&copy_path(slot)).await? || storage.exists(&slot_path(slot)).await?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_slot_once_dispensable_stays_so() {
        for end in (0..20_000).step_by(7) {
            for slot in (0..=end).step_by(13) {
                assert!(is_kept(slot, end) || !is_kept(slot, end + 1), "{slot} at {end}");
            }
        }
    }

    #[test]
    fn each_slot_becomes_dispensable_with_one_end() {
        let mut kept = BTreeSet::new();
        for end in 0..10_000 {
            kept.insert(end);
            for slot in newly_dispensable(end) {
                assert!(kept.remove(&slot), "{slot} at {end}");
            }
            if end % 97 == 0 {
                let all: BTreeSet<u64> = (0..=end).filter(|slot| is_kept(*slot, end)).collect();
                assert_eq!(kept, all, "at {end}");
            }
        }
        assert!(kept.len() < 3 * SPAN as usize, "{} kept", kept.len());
    }

    #[test]
    fn the_end_is_reached_from_every_slot_that_ever_existed() {
        for end in [0, 1, 63, 64, 65, 4_000, 4_096, 5_000, 262_144, 300_000, 20_000_000] {
            for start in (0..=end).step_by(1 + end as usize / 50) {
                let mut reached = start;
                for level in (0..LEVELS).rev() {
                    let step = SPAN.pow(level);
                    loop {
                        let next = (reached / step + 1) * step;
                        if next > end || !is_kept(next, end) {
                            break;
                        }
                        reached = next;
                    }
                }
                assert_eq!(reached, end, "from {start}");
            }
        }
    }
}
