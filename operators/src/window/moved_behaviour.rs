//! What window operators do with key groups that come from workers which had not come equally far.
//!
//! Families: windows that some of the keys had fired before, with slices that are kept for later
//! windows or for late records; what a group that was ahead counts as late. Each would catch a
//! result that is made twice, or lost, when a job goes on with fewer workers.

use std::sync::Arc;

use highwater_core::cut::{CutKind, EncodedState};
use highwater_core::harness::Harness;
use highwater_core::key::{KeyGroups, stable_hash};
use highwater_core::shell::Logic;
use highwater_state::Backend;

use super::aligned::AlignedWindows;
use super::assigner::{Assigner, Sliding, Tumbling};
use super::behaviour::{Pair, Sum, fired, harness, key, lateness, ms, sum};
use super::lifetime::WindowOptions;
use crate::floored::Floored;

/// Returns a key that the first or the second of two workers owns.
fn key_of(worker: usize) -> char {
    let groups = KeyGroups::new(128, 2);
    let owns = |key: &char| groups.owner(groups.of_hash(stable_hash(key))) == worker;
    ('a'..='z').find(owns).expect("some letter belongs to either of two workers")
}

/// The operator on one of several workers, with what is stored of it.
fn windows<A: Assigner<Pair> + Clone>(
    (workers, worker): (usize, usize),
    assigner: &A,
    options: WindowOptions<Pair>,
    stored: Vec<Arc<EncodedState>>,
) -> Harness<impl Logic<Left = Pair, Out = Sum> + use<A>> {
    let groups = KeyGroups::new(128, workers);
    let mut backend = Backend::heap("test", groups, worker).restored(stored);
    let grid = assigner.alignment().expect("the windows have a grid");
    let logic = AlignedWindows::new(&mut backend, key, grid, sum(), options);
    let hash = Box::new(|pair: &Pair| stable_hash(&pair.0));
    let hashes: (_, crate::floored::HashOf<_>) = (hash as _, Box::new(|never| match *never {}));
    let mut harness = harness(logic.map(|l| Floored::new(l, &backend.floors(), hashes)));
    let floor = harness.logic().floor();
    harness.watermark(floor);
    harness
}

/// Lets two workers come to different watermarks, each with a record of its own at `time`, and
/// hands both over to one. Returns what the two have fired, and the one.
fn merged<A: Assigner<Pair> + Clone>(
    assigner: &A,
    allowed: u64,
    time: i64,
    watermarks: [i64; 2],
) -> (Vec<(char, i64, i64, u64)>, Harness<impl Logic<Left = Pair, Out = Sum> + use<A>>) {
    let (mut rows, mut stored) = (Vec::new(), Vec::new());
    for (worker, watermark) in watermarks.into_iter().enumerate() {
        let mut one = windows((2, worker), assigner, lateness(allowed), Vec::new());
        one.left(time, (key_of(worker), 1));
        one.watermark(watermark);
        rows.extend(fired(&mut one));
        let frozen = one.freeze(CutKind::default()).expect("nothing fails");
        stored.extend(frozen.into_iter().map(Arc::new));
    }
    (rows, windows((1, 0), assigner, lateness(allowed), stored))
}

#[test]
fn a_sliding_window_fires_once_for_a_key_that_was_ahead() {
    let (behind, ahead) = (key_of(0), key_of(1));
    let (before, mut one) = merged(&Sliding::of(ms(4), ms(2)), 0, 1, [0, 1]);
    assert_eq!(before, [(ahead, -2, 2, 1)]);
    one.watermark(1);
    assert_eq!(fired(&mut one), [(behind, -2, 2, 1)]);
    one.watermark(3);
    let mut expected = [(behind, 0, 4, 1), (ahead, 0, 4, 1)];
    expected.sort_unstable();
    assert_eq!(fired(&mut one), expected);
}

#[test]
fn a_window_that_waits_for_late_records_fires_once_for_a_key_that_was_ahead() {
    let (behind, ahead) = (key_of(0), key_of(1));
    let (before, mut one) = merged(&Tumbling::of(ms(10)), 5, 3, [4, 9]);
    assert_eq!(before, [(ahead, 0, 10, 1)]);
    one.left(4, (ahead, 2));
    assert_eq!(fired(&mut one), [(ahead, 0, 10, 3)], "a late record fires it again");
    one.watermark(9);
    assert_eq!(fired(&mut one), [(behind, 0, 10, 1)]);
}

#[test]
fn a_key_that_was_ahead_counts_as_late_what_its_former_worker_would_have() {
    let (behind, ahead) = (key_of(0), key_of(1));
    let (_, mut one) = merged(&Tumbling::of(ms(10)), 0, 3, [4, 9]);
    one.left(5, (ahead, 2));
    one.left(5, (behind, 2));
    one.end();
    assert_eq!(fired(&mut one), [(behind, 0, 10, 3)]);
}
