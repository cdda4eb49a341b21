//! What windows do on a worker whose key groups come from workers that had not come equally far.
//!
//! Two workers with a key group each fire up to different watermarks and freeze; one worker goes on
//! with both groups, at once or after another freeze, in memory or above a store. Catches windows
//! that fire twice or lose records, and floors that fall back.

use std::sync::Arc;

use highwater_core::cut::{CutKind, EncodedState};
use highwater_core::error::Result;
use highwater_core::harness::Harness;
use highwater_core::key::{KeyGroups, stable_hash};
use highwater_core::shell::Logic;
use highwater_core::store::Stores;
use highwater_state::Backend;
use highwater_state::memory::MemoryStores;

use super::aligned::AlignedWindows;
use super::assigner::{Assigner, Sliding, Tumbling};
use super::behaviour::{Pair, Sum, fired, key, lateness, ms, sum};
use super::general::GeneralWindows;
use super::session::SessionWindows;
use super::session_gap::Session;
use super::trigger::AtEnd;
use crate::floored::Floored;

/// Up to where the workers of the groups 0 and 1 have fired.
const WATERMARKS: [i64; 2] = [9, 19];
/// How often the groups are frozen before the worker goes on, and whether they are above a store.
const WAYS: [(usize, bool); 4] = [(1, false), (2, false), (1, true), (3, true)];

/// A key of each group.
fn keys() -> [char; 2] {
    let groups = KeyGroups::new(2, 1);
    let of = |group| ('a'..='z').find(|key| groups.of_hash(stable_hash(key)).0 == group);
    [0, 1].map(|group| of(group).expect("a letter of each group"))
}

fn backend(workers: usize, worker: usize, stored: Vec<EncodedState>, above: bool) -> Backend {
    let stores = above.then(|| Arc::new(MemoryStores { cache_bytes: 1 << 10 }) as Arc<dyn Stores>);
    let backend = Backend::heap("test", KeyGroups::new(2, workers), worker).durable(true);
    backend.stores(stores).restored(stored.into_iter().map(Arc::new).collect())
}

fn freeze<L: Logic>(harness: &mut Harness<L>) -> Vec<EncodedState> {
    harness.freeze(CutKind { delta: false, track: false }).expect("state that can be encoded")
}

/// Hands `before` to the two workers, moves their watermarks, and goes on with both groups on one.
fn rescaled<L: Logic<Left = Pair, Out = Sum>>(
    make: impl Fn(&mut Backend) -> Result<L>,
    before: &[(i64, u64)],
    (freezes, above): (usize, bool),
) -> Harness<Floored<L>> {
    let mut stored = Vec::new();
    for (worker, watermark) in WATERMARKS.into_iter().enumerate() {
        let mut backend = backend(2, worker, vec![], above);
        let mut windows = Harness::new(make(&mut backend).expect("allowed parameters"));
        for (time, value) in before {
            windows.left(*time, (keys()[worker], *value));
        }
        windows.watermark(watermark);
        stored.append(&mut freeze(&mut windows));
    }
    let go_on = |stored| {
        let mut backend = backend(1, 0, stored, above);
        let logic = make(&mut backend).expect("allowed parameters");
        let hash = Box::new(|pair: &Pair| stable_hash(&pair.0));
        let floored = Floored::new(logic, &backend.floors(), (hash, Box::new(|_| 0)));
        Harness::new(floored)
    };
    let mut windows = go_on(stored);
    for _ in 1..freezes {
        windows = go_on(freeze(&mut windows));
    }
    windows
}

/// Tumbling or sliding windows.
macro_rules! aligned {
    ($assigner:expr, $lateness:expr) => {
        |backend: &mut Backend| {
            let grid = Assigner::<Pair>::alignment(&$assigner).expect("the windows have a grid");
            AlignedWindows::new(backend, key, grid, sum(), lateness($lateness))
        }
    };
}

#[test]
fn records_are_judged_by_the_floor_of_their_key_group() {
    let [a, b] = keys();
    for way in WAYS {
        let tumbling = aligned!(Tumbling::of(ms(10)), 0);
        let mut windows = rescaled(tumbling, &[(25, 1)], way);
        windows.left(12, (a, 2));
        windows.left(12, (b, 4));
        windows.left(26, (b, 8));
        assert_eq!(windows.late_records_dropped(), 1, "b had fired up to 19 {way:?}");
        windows.watermark(19);
        assert_eq!(fired(&mut windows), [(a, 10, 20, 2)], "{way:?}");
        windows.watermark(29);
        let mut expected = [(a, 20, 30, 1), (b, 20, 30, 9)];
        expected.sort_unstable();
        assert_eq!(fired(&mut windows), expected, "{way:?}");
    }
}

#[test]
fn a_window_that_is_still_there_does_not_fire_again_for_a_group_that_is_ahead() {
    let [a, b] = keys();
    for way in WAYS {
        let mut windows = rescaled(aligned!(Tumbling::of(ms(10)), 15), &[(12, 1)], way);
        windows.watermark(19);
        assert_eq!(fired(&mut windows), [(a, 10, 20, 1)], "{way:?}");
        windows.left(13, (b, 2));
        assert_eq!(fired(&mut windows), [(b, 10, 20, 3)], "a late one fires it again {way:?}");
    }
}

#[test]
fn a_slice_of_later_windows_does_not_fire_those_that_a_group_had_fired() {
    let [a, b] = keys();
    for way in WAYS {
        let sliding = aligned!(Sliding::of(ms(10), ms(5)), 0);
        let mut windows = rescaled(sliding, &[(12, 1), (16, 2)], way);
        windows.left(16, (b, 4));
        windows.watermark(24);
        let mut expected = [(a, 5, 15, 1), (a, 10, 20, 3), (a, 15, 25, 2), (b, 15, 25, 6)];
        expected.sort_unstable();
        assert_eq!(fired(&mut windows), expected, "{way:?}");
    }
}

#[test]
fn windows_with_timers_fire_once_for_each_group() {
    let [a, b] = keys();
    for way in WAYS {
        let general = |backend: &mut Backend| {
            let options = lateness(15);
            let assigner = Tumbling::of(ms(10));
            GeneralWindows::operator(backend, key, assigner, AtEnd::EventTime, sum(), options)
        };
        let mut windows = rescaled(general, &[(12, 1)], way);
        windows.watermark(19);
        assert_eq!(fired(&mut windows), [(a, 10, 20, 1)], "{way:?}");
        windows.left(13, (b, 2));
        assert_eq!(fired(&mut windows), [(b, 10, 20, 3)], "a late one fires it again {way:?}");
    }
}

#[test]
fn sessions_fire_once_for_each_group() {
    let [a, b] = keys();
    for way in WAYS {
        let sessions = |backend: &mut Backend| {
            let gap = Session::gap(ms(5));
            SessionWindows::operator(backend, key, gap, AtEnd::EventTime, sum(), lateness(0))
        };
        let mut windows = rescaled(sessions, &[(12, 1), (17, 2)], way);
        windows.left(12, (b, 8));
        assert_eq!(windows.late_records_dropped(), 0, "it would belong to a session that is open");
        windows.left(6, (b, 16));
        assert_eq!(windows.late_records_dropped(), 1, "{way:?}");
        windows.watermark(40);
        let mut expected = [(a, 12, 22, 3), (b, 12, 22, 11)];
        expected.sort_unstable();
        assert_eq!(fired(&mut windows), expected, "{way:?}");
    }
}
