//! What sessions do, and what all windows do in batch mode, one sentence per test.
//!
//! Families: which sessions merge (boundaries off by one), when a merged session is late or fires
//! again, sessions by the clock; in batch mode nothing early and nothing twice.

use highwater_core::harness::Harness;
use highwater_core::shell::Logic;

use super::assigner::{Global, Tumbling};
use super::behaviour::{
    Pair, Sum, aligned, batch, fired, general, late_tag, lateness, ms, sessions,
};
use super::repeated::{ContinuousEventTime, Count, Purging};
use super::session_gap::Session;
use super::trigger::AtEnd;

#[test]
fn sessions_merge_when_their_distance_is_the_gap_and_not_one_more() {
    let mut windows = sessions(Session::gap(ms(10)), AtEnd::EventTime, lateness(0));
    for (time, pair) in [(0, ('a', 1)), (10, ('a', 2)), (0, ('b', 4)), (11, ('b', 8))] {
        windows.left(time, pair);
    }
    windows.watermark(18);
    assert_eq!(fired(&mut windows), [('b', 0, 10, 4)]);
    windows.end();
    assert_eq!(fired(&mut windows), [('a', 0, 20, 3), ('b', 11, 21, 8)]);
}

#[test]
fn a_record_between_two_sessions_makes_them_one() {
    let mut windows = sessions(Session::gap(ms(5)), Count(3), lateness(0));
    windows.left(0, ('a', 1));
    windows.left(9, ('a', 2));
    assert_eq!(fired(&mut windows), []);
    windows.left(4, ('a', 4));
    assert_eq!(fired(&mut windows), [('a', 0, 14, 7)], "the counts of both add up");
}

#[test]
fn lateness_is_asked_of_the_merged_session() {
    let mut windows = sessions(Session::gap(ms(10)), AtEnd::EventTime, lateness(0));
    let late = windows.listen(&late_tag());
    windows.left(15, ('a', 1));
    windows.watermark(20);
    windows.left(5, ('a', 2));
    windows.left(5, ('b', 4));
    windows.watermark(24);
    assert_eq!(fired(&mut windows), [('a', 5, 25, 3)]);
    assert_eq!(late.take().iter().map(|r| r.value).collect::<Vec<_>>(), [('b', 4)]);
}

#[test]
fn a_session_that_is_over_and_not_gone_fires_again() {
    let mut windows = sessions(Session::gap(ms(10)), AtEnd::EventTime, lateness(20));
    windows.left(0, ('a', 1));
    windows.watermark(12);
    windows.left(1, ('a', 2));
    assert_eq!(fired(&mut windows), [('a', 0, 10, 1), ('a', 0, 11, 3)]);
    windows.left(5, ('a', 4));
    windows.watermark(14);
    assert_eq!(fired(&mut windows), [('a', 0, 15, 7)], "longer than the watermark: it waits");
    windows.watermark(34);
    windows.left(5, ('a', 8));
    assert_eq!((fired(&mut windows), windows.logic().first_timer()), (vec![], None));
}

#[test]
fn sessions_of_processing_time_end_by_the_clock() {
    let assigner = Session::gap(ms(10)).processing_time();
    let mut windows = sessions(assigner, AtEnd::ProcessingTime, lateness(0));
    windows.left(0, ('a', 1));
    windows.processing_time(7);
    windows.left(0, ('a', 2));
    windows.processing_time(15);
    assert_eq!(fired(&mut windows), []);
    windows.processing_time(16);
    assert_eq!(fired(&mut windows), [('a', 0, 17, 3)]);
}

#[test]
fn in_batch_mode_every_window_fires_once_and_at_the_end() {
    let mut tumbling = aligned(Tumbling::of(ms(10)), batch());
    let mut often = general(Tumbling::of(ms(10)), ContinuousEventTime::of(ms(2)), batch());
    let mut clock = general(Tumbling::of(ms(10)).processing_time(), AtEnd::ProcessingTime, batch());
    let mut session = sessions(Session::gap(ms(5)), Count(1), batch());
    assert_eq!(play_in_batch_mode(&mut tumbling), [('a', 0, 10, 3), ('a', 20, 30, 4)]);
    assert_eq!(play_in_batch_mode(&mut often), [('a', 0, 10, 3), ('a', 20, 30, 4)]);
    assert_eq!(play_in_batch_mode(&mut clock), [('a', 0, 10, 7)]);
    assert_eq!(play_in_batch_mode(&mut session), [('a', 1, 7, 3), ('a', 21, 26, 4)]);
}

/// Hands in records that would be late in streaming mode; nothing may come out before the end.
fn play_in_batch_mode<L: Logic<Left = Pair, Out = Sum>>(
    windows: &mut Harness<L>,
) -> Vec<(char, i64, i64, u64)> {
    windows.left(1, ('a', 1));
    windows.left(21, ('a', 4));
    windows.watermark(1000);
    windows.processing_time(1);
    windows.left(2, ('a', 2));
    assert_eq!(fired(windows), []);
    windows.end();
    fired(windows)
}

#[test]
fn in_batch_mode_contents_that_are_purged_are_emitted_before() {
    let mut windows = general(Global, Purging(Count(2)), batch());
    for value in [1, 2, 4] {
        windows.left(0, ('a', value));
    }
    windows.end();
    assert_eq!(fired(&mut windows), [('a', i64::MIN, i64::MAX, 3)], "the third waits for a fourth");
}
