//! What window operators do, one sentence per test, driven record by record.
//!
//! Families: when windows fire and end (boundaries off by one), late records (dropped, refired,
//! sent to the side output), triggers (what they keep and drop), functions (what they are given),
//! and what is refused. Sessions and batch mode are in `session_behaviour.rs`.

use std::time::Duration;

use highwater_core::error::Result;
use highwater_core::harness::Harness;
use highwater_core::key::KeyGroups;
use highwater_core::shell::Logic;
use highwater_core::side::OutputTag;
use highwater_core::time::NO_EVENT_TIME;
use highwater_state::Backend;

use super::aligned::AlignedWindows;
use super::assigner::{Assigner, Global, Sliding, Tumbling};
use super::function::{
    AggregateFunction, Process, ProcessFn, Reduce, Then, WindowFunction, Windowed,
};
use super::general::GeneralWindows;
use super::lifetime::WindowOptions;
use super::repeated::{ContinuousEventTime, ContinuousProcessingTime, Count, Purging};
use super::session::SessionWindows;
use super::session_gap::{Session, SessionAssigner};
use super::time_window::TimeWindow;
use super::trigger::{AtEnd, Trigger, TriggerContext, TriggerResult};

pub(super) type Pair = (char, u64);
pub(super) type Sum = Windowed<char, Pair>;

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn key(pair: &Pair) -> char {
    pair.0
}

pub(super) fn sum() -> impl WindowFunction<char, Pair, Out = Sum> {
    Reduce(|a: Pair, b: Pair| (a.0, a.1 + b.1))
}

pub(super) fn backend() -> Backend {
    Backend::heap("test", KeyGroups::new(128, 1), 0)
}

pub(super) fn late_tag() -> OutputTag<Pair> {
    OutputTag::new("late")
}

pub(super) fn lateness(allowed: u64) -> WindowOptions<Pair> {
    let late_output = Some(late_tag());
    WindowOptions { allowed_lateness: ms(allowed), late_output, final_only: false }
}

pub(super) fn batch() -> WindowOptions<Pair> {
    WindowOptions { final_only: true, ..WindowOptions::default() }
}

pub(super) fn harness<L: Logic>(logic: Result<L>) -> Harness<L> {
    Harness::new(logic.expect("the parameters are allowed"))
}

pub(super) fn aligned(
    assigner: impl Assigner<Pair>,
    options: WindowOptions<Pair>,
) -> Harness<impl Logic<Left = Pair, Out = Sum>> {
    let grid = assigner.alignment().expect("the windows have a grid");
    harness(AlignedWindows::new(&mut backend(), key, grid, sum(), options))
}

pub(super) fn general(
    assigner: impl Assigner<Pair>,
    trigger: impl Trigger<Pair>,
    options: WindowOptions<Pair>,
) -> Harness<impl Logic<Left = Pair, Out = Sum>> {
    harness(GeneralWindows::operator(&mut backend(), key, assigner, trigger, sum(), options))
}

pub(super) fn sessions(
    assigner: impl SessionAssigner<Pair>,
    trigger: impl Trigger<Pair>,
    options: WindowOptions<Pair>,
) -> Harness<impl Logic<Left = Pair, Out = Sum>> {
    harness(SessionWindows::operator(&mut backend(), key, assigner, trigger, sum(), options))
}

/// What came out since the last call: key, start, end, sum, sorted.
pub(super) fn fired<L: Logic<Out = Sum>>(harness: &mut Harness<L>) -> Vec<(char, i64, i64, u64)> {
    let output = harness.take_output().expect("nothing fails");
    let mut rows = Vec::new();
    for record in output {
        let Windowed { key, window, value } = record.value;
        assert_eq!(record.event_time, window.max_timestamp());
        rows.push((key, window.start, window.end, value.1));
    }
    rows.sort_unstable();
    rows
}

#[test]
fn a_window_fires_when_the_watermark_reaches_its_last_instant() {
    let mut windows = aligned(Tumbling::of(ms(10)), lateness(0));
    windows.left(9, ('a', 1));
    windows.left(0, ('b', 2));
    windows.watermark(8);
    assert_eq!(fired(&mut windows), []);
    windows.watermark(9);
    assert_eq!(fired(&mut windows), [('a', 0, 10, 1), ('b', 0, 10, 2)]);
}

#[test]
fn windows_fire_in_the_order_of_their_ends_even_far_apart() {
    let mut windows = aligned(Sliding::of(ms(4), ms(2)), lateness(0));
    for time in [4_000_000_000_000, -7, 1] {
        windows.left(time, ('a', 1));
    }
    windows.end();
    let output = windows.take_output().expect("nothing fails");
    let ends: Vec<i64> = output.iter().map(|record| record.value.window.end).collect();
    assert_eq!(ends, [-6, -4, 2, 4, 4_000_000_000_002, 4_000_000_000_004]);
}

#[test]
fn a_record_is_late_exactly_when_its_last_window_is_gone() {
    let mut windows = aligned(Tumbling::of(ms(10)), lateness(5));
    let late = windows.listen(&late_tag());
    windows.left(3, ('a', 1));
    windows.watermark(13);
    windows.left(4, ('a', 2));
    assert_eq!(fired(&mut windows), [('a', 0, 10, 1), ('a', 0, 10, 3)]);
    windows.watermark(14);
    windows.left(5, ('a', 4));
    assert_eq!(fired(&mut windows), []);
    let values: Vec<_> = late.take().iter().map(|r| (r.event_time, r.value)).collect();
    assert_eq!(values, [(5, ('a', 4))]);
    assert_eq!(windows.late_records_dropped(), 0, "it went to the side output");
}

#[test]
fn late_records_are_counted_when_nobody_listens() {
    let mut windows = aligned(Tumbling::of(ms(10)), WindowOptions::default());
    windows.watermark(9);
    windows.left(9, ('a', 1));
    windows.left(10, ('a', 1));
    assert_eq!(windows.late_records_dropped(), 1);
}

#[test]
fn a_record_too_late_for_one_window_counts_in_the_next() {
    let mut windows = aligned(Sliding::of(ms(10), ms(5)), lateness(0));
    windows.left(7, ('a', 1));
    windows.watermark(9);
    windows.left(6, ('a', 2));
    windows.watermark(14);
    assert_eq!(fired(&mut windows), [('a', 0, 10, 1), ('a', 5, 15, 3)]);
    assert_eq!(windows.late_records_dropped(), 0);
}

#[test]
fn a_late_record_fires_each_window_that_has_ended_and_is_not_gone() {
    let mut windows = aligned(Sliding::of(ms(10), ms(5)), lateness(100));
    windows.left(7, ('a', 1));
    windows.watermark(14);
    assert_eq!(fired(&mut windows), [('a', 0, 10, 1), ('a', 5, 15, 1)]);
    windows.left(8, ('a', 2));
    assert_eq!(fired(&mut windows), [('a', 0, 10, 3), ('a', 5, 15, 3)]);
    windows.left(12, ('b', 4));
    assert_eq!(fired(&mut windows), [('b', 5, 15, 4)], "[10, 20) has not ended");
}

#[test]
fn records_between_sparse_windows_are_late_only_behind_the_watermark() {
    let mut windows = aligned(Sliding::of(ms(2), ms(10)), WindowOptions::default());
    windows.left(5, ('a', 1));
    assert_eq!(windows.late_records_dropped(), 0);
    windows.watermark(7);
    windows.left(5, ('a', 1));
    assert_eq!(windows.late_records_dropped(), 1);
}

#[test]
fn a_record_without_event_time_ends_the_job() {
    let error = |error: highwater_core::Error| error.sentence();
    let mut windows = aligned(Tumbling::of(ms(10)), lateness(0));
    windows.left(i64::MIN + 1, ('a', 1));
    windows.left(NO_EVENT_TIME, ('a', 1));
    assert!(error(windows.take_output().expect_err("no time")).contains("call watermarks()"));
    let mut windows = general(Tumbling::of(ms(10)), Count(1), lateness(0));
    windows.left(NO_EVENT_TIME, ('a', 1));
    assert!(error(windows.take_output().expect_err("no time")).contains("call watermarks()"));
    let mut windows = general(Global, Count(1), lateness(0));
    windows.left(NO_EVENT_TIME, ('a', 1));
    assert_eq!(fired(&mut windows), [('a', i64::MIN, i64::MAX, 1)], "no clock is needed here");
}

#[test]
fn processing_time_windows_end_by_the_clock() {
    let assigner = Tumbling::of(ms(10)).processing_time();
    let mut windows = general(assigner, AtEnd::ProcessingTime, lateness(0));
    windows.processing_time(3);
    windows.left(NO_EVENT_TIME, ('a', 1));
    windows.watermark(1000);
    windows.processing_time(8);
    assert_eq!(fired(&mut windows), []);
    windows.processing_time(9);
    assert_eq!(fired(&mut windows), [('a', 0, 10, 1)]);
    assert_eq!(windows.logic().first_processing_timer(), None);
}

#[test]
fn a_counting_trigger_keeps_what_it_fires_and_a_purging_one_does_not() {
    let mut keeping = general(Global, Count(2), lateness(0));
    let mut dropping = general(Global, Purging(Count(2)), lateness(0));
    for value in [1, 2, 4, 8] {
        keeping.left(0, ('a', value));
        dropping.left(0, ('a', value));
    }
    let sums = |rows: Vec<(char, i64, i64, u64)>| rows.iter().map(|r| r.3).collect::<Vec<_>>();
    assert_eq!(sums(fired(&mut keeping)), [3, 15]);
    assert_eq!(sums(fired(&mut dropping)), [3, 12]);
}

#[test]
fn an_interval_trigger_fires_at_multiples_and_at_the_end() {
    let trigger = ContinuousEventTime::of(ms(4));
    let mut windows = general(Tumbling::of(ms(10)), trigger, lateness(0));
    windows.left(1, ('a', 1));
    for (watermark, results) in [(3, 0), (4, 1), (7, 0), (8, 1), (9, 1), (100, 0)] {
        windows.watermark(watermark);
        assert_eq!(fired(&mut windows).len(), results, "at {watermark}");
    }
}

#[test]
fn an_interval_trigger_on_the_global_window_comes_to_an_end() {
    let mut windows = general(Global, ContinuousEventTime::of(ms(1)), lateness(0));
    windows.left(1, ('a', 1));
    windows.end();
    assert_eq!(fired(&mut windows).len(), 2, "at 2, and at the end of time");
}

#[test]
fn an_interval_trigger_of_processing_time_fires_until_the_window_ends() {
    let assigner = Tumbling::of(ms(10)).processing_time();
    let mut windows = general(assigner, ContinuousProcessingTime::of(ms(6)), lateness(0));
    windows.left(0, ('a', 1));
    for (now, results) in [(5, 0), (6, 1), (9, 1), (100, 0)] {
        windows.processing_time(now);
        assert_eq!(fired(&mut windows).len(), results, "at {now}");
    }
}

#[test]
fn a_window_whose_lateness_reaches_the_end_of_time_is_kept() {
    let mut windows = aligned(Tumbling::of(ms(10)), lateness(i64::MAX.unsigned_abs()));
    windows.left(3, ('a', 1));
    windows.watermark(i64::MAX - 1);
    windows.left(3, ('a', 2));
    assert_eq!(fired(&mut windows), [('a', 0, 10, 1), ('a', 0, 10, 3)]);
}

/// A trigger as a user writes it: fires when the values of a window are a multiple of ten.
struct AtTens;

impl Trigger<Pair> for AtTens {
    type State = u64;

    fn on_element(
        &self,
        (_, value): &Pair,
        _event_time: i64,
        total: &mut u64,
        _cx: &mut TriggerContext<'_>,
    ) -> TriggerResult {
        *total += value;
        if total.is_multiple_of(10) { TriggerResult::FireAndPurge } else { TriggerResult::Continue }
    }
}

#[test]
fn a_trigger_of_the_user_has_a_state_for_each_key_and_window() {
    let mut windows = general(Tumbling::of(ms(10)), AtTens, lateness(0));
    for (time, pair) in [(1, ('a', 4)), (2, ('b', 6)), (11, ('a', 6)), (3, ('a', 6))] {
        windows.left(time, pair);
    }
    assert_eq!(fired(&mut windows), [('a', 0, 10, 10)]);
}

#[test]
fn windows_that_make_no_sense_are_refused_when_they_are_built() {
    let sentence = |result: Result<()>| result.expect_err("must be refused").sentence();
    let general = |assigner: Tumbling, trigger: ContinuousEventTime| {
        let options = WindowOptions::default();
        GeneralWindows::operator(&mut backend(), key, assigner, trigger, sum(), options).map(|_| ())
    };
    let each = ContinuousEventTime::of;
    assert!(sentence(general(Tumbling::of(ms(0)), each(ms(1)))).contains("Tumbling::of"));
    assert!(sentence(general(Tumbling::of(ms(1)), each(ms(0)))).contains("ContinuousEventTime"));
    let options = WindowOptions { allowed_lateness: Duration::from_micros(1), ..batch() };
    let grid = Assigner::<Pair>::alignment(&Tumbling::of(ms(1))).expect("a grid");
    let aligned = AlignedWindows::new(&mut backend(), key, grid, sum(), options).map(|_| ());
    assert!(sentence(aligned).contains("allowed_lateness"));
    let gap = Session::gap(ms(1));
    let session = SessionWindows::operator(&mut backend(), key, gap, AtTens, sum(), batch());
    assert!(sentence(session.map(|_| ())).contains("can_merge"));
}

#[derive(Clone)]
struct Mean;

impl AggregateFunction<Pair> for Mean {
    type Accumulator = (u64, u64);
    type Output = u64;
    fn create(&self) -> (u64, u64) {
        (0, 0)
    }
    fn add(&self, acc: &mut (u64, u64), (_, value): Pair) {
        *acc = (acc.0 + 1, acc.1 + value);
    }
    fn merge(&self, into: &mut (u64, u64), other: (u64, u64)) {
        *into = (into.0 + other.0, into.1 + other.1);
    }
    fn result(&self, (count, total): &(u64, u64)) -> u64 {
        total / count
    }
}

#[test]
fn functions_see_the_key_the_window_and_either_all_values_or_their_aggregate() {
    let all = Process(ProcessFn::new(
        |key: &char, window: &TimeWindow, values: &[Pair], emit: &mut dyn FnMut(String)| {
            values.iter().for_each(|(_, value)| emit(format!("{key} {window} {value}")));
        },
    ));
    let one = Then(
        super::function::Aggregate(Mean),
        ProcessFn::new(
            |key: &char, window: &TimeWindow, means: &[u64], emit: &mut dyn FnMut(String)| {
                emit(format!("{key} {window} {means:?}"));
            },
        ),
    );
    let grid = Assigner::<Pair>::alignment(&Sliding::of(ms(6), ms(3))).expect("a grid");
    let options = WindowOptions::default;
    let mut all = harness(AlignedWindows::new(&mut backend(), key, grid, all, options()));
    let mut one = harness(AlignedWindows::new(&mut backend(), key, grid, one, options()));
    for (time, value) in [(1, 3), (4, 5)] {
        all.left(time, ('a', value));
        one.left(time, ('a', value));
    }
    all.watermark(5);
    one.watermark(5);
    let values = |records: Result<Vec<highwater_core::record::Record<String>>>| {
        records.expect("nothing fails").into_iter().map(|r| r.value).collect::<Vec<_>>()
    };
    assert_eq!(values(all.take_output()), ["a [-3, 3) 3", "a [0, 6) 3", "a [0, 6) 5"]);
    assert_eq!(values(one.take_output()), ["a [-3, 3) [3]", "a [0, 6) [4]"]);
}
