//! What the interval join does with records and watermarks, step by step.
//!
//! - *pairs*: bounds, keys, equal event times, which of two records comes first.
//! - *lateness*: what is late, where it goes, records without event time.
//! - *state*: when records are forgotten.

use highwater_core::harness::Harness;
use highwater_core::key::KeyGroups;
use highwater_core::record::Record;
use highwater_core::side::OutputTag;
use highwater_core::time::NO_EVENT_TIME;
use highwater_state::Backend;

use super::bounds::IntervalBounds;
use super::interval::IntervalPairs;

type Item = (char, u32);
type Key = fn(&Item) -> char;
type Pair = fn(&Item, &Item) -> (u32, u32);
type Join = Harness<IntervalPairs<char, Item, Key, Item, Key, Pair>>;

fn join(bounds: IntervalBounds) -> Join {
    let mut backend = Backend::heap("test", KeyGroups::new(128, 1), 0);
    let key: Key = |item| item.0;
    let pair: Pair = |left, right| (left.1, right.1);
    let pairs = IntervalPairs::new(&mut backend, (key, key), bounds, pair);
    Harness::new(pairs.expect("a join in memory can always be made"))
}

fn output(join: &mut Join) -> Vec<(i64, u32, u32)> {
    let output = join.take_output().expect("the join does not fail").into_iter();
    output.map(|Record { event_time, value }| (event_time, value.0, value.1)).collect()
}

#[test]
fn a_pair_comes_at_the_later_event_time_whichever_record_comes_first() {
    let mut join = join(IntervalBounds::new(-10, 10));
    join.left(20, ('k', 1));
    join.right(15, ('k', 2));
    join.right(25, ('k', 3));
    assert_eq!(output(&mut join), [(20, 1, 2), (25, 1, 3)]);
    join.left(16, ('k', 4));
    assert_eq!(output(&mut join), [(16, 4, 2), (25, 4, 3)]);
}

#[test]
fn records_of_different_keys_are_no_pair() {
    let mut join = join(IntervalBounds::new(0, 10));
    join.left(20, ('a', 1));
    join.right(20, ('b', 2));
    join.right(20, ('a', 3));
    assert_eq!(output(&mut join), [(20, 1, 3)]);
}

#[test]
fn records_with_equal_event_times_are_all_paired() {
    let mut join = join(IntervalBounds::new(0, 0));
    join.left(5, ('k', 1));
    join.left(5, ('k', 2));
    join.right(5, ('k', 3));
    join.right(5, ('k', 4));
    assert_eq!(output(&mut join), [(5, 1, 3), (5, 2, 3), (5, 1, 4), (5, 2, 4)]);
}

#[test]
fn bounds_are_included_unless_they_are_said_not_to_be() {
    let bounds = IntervalBounds::new(-1, 2);
    let distances = |bounds: IntervalBounds| {
        let mut join = join(bounds);
        join.left(10, ('k', 10));
        (5..15).for_each(|time| join.right(i64::from(time), ('k', time)));
        let found = output(&mut join).into_iter();
        found.map(|(_, left, right)| right.cast_signed() - left.cast_signed()).collect::<Vec<_>>()
    };
    assert_eq!(distances(bounds), [-1, 0, 1, 2]);
    assert_eq!(distances(bounds.exclusive_lower()), [0, 1, 2]);
    assert_eq!(distances(bounds.exclusive_upper()), [-1, 0, 1]);
    assert!(distances(IntervalBounds::new(3, 1)).is_empty());
}

#[test]
fn a_record_below_the_watermark_is_late_and_one_at_it_is_not() {
    let mut join = join(IntervalBounds::new(-10, 10));
    join.watermark(20);
    join.left(20, ('k', 1));
    join.right(20, ('k', 2));
    join.left(19, ('k', 3));
    join.right(19, ('k', 4));
    assert_eq!(output(&mut join), [(20, 1, 2)]);
    assert_eq!(join.late_records_dropped(), 2);
}

#[test]
fn late_records_go_to_the_side_output_of_their_stream() {
    let mut join = join(IntervalBounds::new(-10, 10));
    let left = join.listen(&OutputTag::<Item>::new("late-left"));
    let right = join.listen(&OutputTag::<Item>::new("late-right"));
    join.watermark(20);
    join.left(19, ('k', 1));
    join.right(5, ('k', 2));
    assert_eq!(left.take(), [Record::new(19, ('k', 1))]);
    assert_eq!(right.take(), [Record::new(5, ('k', 2))]);
    assert_eq!(join.late_records_dropped(), 0);
}

#[test]
fn records_are_forgotten_when_no_partner_can_come() {
    let mut join = join(IntervalBounds::new(-2, 5));
    for time in [10, 10, 11] {
        join.left(time, ('k', 0));
        join.right(time, ('k', 0));
    }
    join.watermark(11);
    assert_eq!(join.logic().left_times(&'k'), [10, 10, 11]);
    assert_eq!(join.logic().right_times(&'k'), [10, 10, 11]);
    join.watermark(12);
    assert_eq!(join.logic().right_times(&'k'), [11]);
    join.watermark(15);
    assert_eq!(join.logic().left_times(&'k'), [11]);
    assert!(join.logic().right_times(&'k').is_empty());
    join.watermark(16);
    assert!(join.logic().left_times(&'k').is_empty());
}

#[test]
fn a_record_without_event_time_ends_the_job() {
    let mut join = join(IntervalBounds::new(0, 0));
    join.right(NO_EVENT_TIME, ('k', 0));
    let error = join.take_output().expect_err("must be refused");
    assert!(error.sentence().contains("call watermarks() before the join"), "{error}");
}
