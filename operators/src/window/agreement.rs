//! Aligned windows against general ones on random input: each catches what the other gets wrong.
//!
//! General windows copy a record into each of its windows, so whatever sharing slices, two stacks
//! or firing in several calls could break shows as a difference: in what is emitted after any step,
//! or in which records are late.

use std::time::Duration;

use highwater_core::harness::{Harness, SideRecords};
use highwater_core::key::KeyGroups;
use highwater_core::record::Record;
use highwater_core::shell::Logic;
use highwater_core::side::OutputTag;
use highwater_core::time::NO_EVENT_TIME;
use highwater_state::Backend;

use super::aligned::AlignedWindows;
use super::assigner::{Assigner, Sliding};
use super::function::{Aggregate, AggregateFunction, Process, ProcessFn, WindowFunction, Windowed};
use super::general::GeneralWindows;
use super::lifetime::WindowOptions;
use super::time_window::TimeWindow;

/// Random numbers from a seed.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: i64) -> i64 {
        (self.next() % limit.unsigned_abs()) as i64
    }
}

/// A key and a value.
type Pair = (u64, u64);

#[derive(Clone, Copy, Debug)]
struct Case {
    size: i64,
    slide: i64,
    offset: i64,
    lateness: i64,
    final_only: bool,
    /// The job has failed already, so that the operator wants to yield as often as it can.
    yields: bool,
}

impl Case {
    fn random(random: &mut SplitMix) -> Self {
        let size = 1 + random.below(12);
        let slide = if random.below(4) == 0 { size } else { 1 + random.below(15) };
        let offset = random.below(2 * slide - 1) - (slide - 1);
        let lateness = if random.below(2) == 0 { 0 } else { random.below(15) };
        let final_only = random.below(8) == 0;
        Case { size, slide, offset, lateness, final_only, yields: random.below(4) == 0 }
    }

    fn assigner(&self) -> Sliding {
        let ms = |ms: i64| Duration::from_millis(ms.unsigned_abs());
        Sliding::of(ms(self.size), ms(self.slide)).offset_ms(self.offset)
    }

    fn options(&self) -> WindowOptions<Pair> {
        WindowOptions {
            allowed_lateness: Duration::from_millis(self.lateness.unsigned_abs()),
            late_output: Some(late()),
            final_only: self.final_only,
        }
    }
}

fn late() -> OutputTag<Pair> {
    OutputTag::new("late")
}

fn backend() -> Backend {
    Backend::heap("test", KeyGroups::new(128, 1), 0)
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Record(i64, Pair),
    Watermark(i64),
    End,
}

/// Steps in which event times are around the watermark, now and then far away.
fn steps(random: &mut SplitMix) -> Vec<Step> {
    let mut now = random.below(100) - 50;
    let mut steps = Vec::new();
    for value in 0..20 + random.next() % 60 {
        if random.below(50) == 0 {
            now += random.below(1000);
        }
        if random.below(5) == 0 {
            now += random.below(12);
            steps.push(Step::Watermark(now));
        } else {
            let event_time = now - 15 + random.below(40);
            steps.push(Step::Record(event_time, (random.next() % 4, value)));
        }
    }
    steps.push(Step::End);
    steps
}

/// What an operator emits, and what it finds late.
struct Side<L: Logic> {
    harness: Harness<L>,
    late: SideRecords<Pair>,
    yields: bool,
}

impl<L> Side<L>
where
    L: Logic<Left = Pair>,
    L::Out: Ord + std::fmt::Debug,
{
    fn new(logic: L, case: &Case) -> Self {
        let mut harness = Harness::new(logic);
        let late = harness.listen(&late());
        Side { harness, late, yields: case.yields }
    }

    /// Returns what the step emitted, sorted, and which records were late.
    fn play(&mut self, step: Step) -> (Vec<Record<L::Out>>, Vec<Record<Pair>>) {
        if self.yields {
            self.harness.left(NO_EVENT_TIME, (0, 0));
        }
        match step {
            Step::Record(event_time, pair) => self.harness.left(event_time, pair),
            Step::Watermark(watermark) => self.harness.watermark(watermark),
            Step::End => self.harness.end(),
        }
        if self.yields {
            self.harness.take_output().expect_err("a record had no event time");
        }
        let mut output = self.harness.take_output().expect("nothing fails");
        output.sort_unstable();
        (output, self.late.take())
    }
}

fn compare<W>(seed: u64, function: impl Fn() -> W)
where
    W: WindowFunction<u64, Pair>,
    W::Out: Ord + std::fmt::Debug,
{
    let mut random = SplitMix(seed);
    let case = Case::random(&mut random);
    let (assigner, key) = (case.assigner(), |pair: &Pair| pair.0);
    let grid = Assigner::<Pair>::alignment(&assigner).expect("sliding windows have a grid");
    let trigger = Assigner::<Pair>::default_trigger(&assigner);
    let aligned = AlignedWindows::new(&mut backend(), key, grid, function(), case.options());
    let general = GeneralWindows::operator(
        &mut backend(),
        key,
        assigner,
        trigger,
        function(),
        case.options(),
    );
    let mut aligned = Side::new(aligned.expect("the case is allowed"), &case);
    let mut general = Side::new(general.expect("the case is allowed"), &case);
    let steps = steps(&mut random);
    for (place, step) in steps.iter().enumerate() {
        let (found, expected) = (aligned.play(*step), general.play(*step));
        assert_eq!(found, expected, "seed {seed}, {case:?}, step {place} of {steps:?}");
    }
}

#[derive(Clone)]
struct Sum;

impl AggregateFunction<Pair> for Sum {
    type Accumulator = (u64, u64);
    type Output = (u64, u64);
    fn create(&self) -> (u64, u64) {
        (0, 0)
    }
    fn add(&self, (count, sum): &mut (u64, u64), (_, value): Pair) {
        *count += 1;
        *sum += 1 + value * value;
    }
    fn merge(&self, into: &mut (u64, u64), other: (u64, u64)) {
        *into = (into.0 + other.0, into.1 + other.1);
    }
    fn result(&self, sum: &(u64, u64)) -> (u64, u64) {
        *sum
    }
}

#[test]
fn aligned_windows_aggregate_what_windows_with_their_own_copies_do() {
    (0..6000).for_each(|seed| compare(seed, || Aggregate(Sum)));
}

#[test]
fn aligned_windows_keep_the_values_that_windows_with_their_own_copies_do() {
    let sorted = |key: &u64, window: &TimeWindow, values: &[Pair], emit: &mut dyn FnMut(_)| {
        let mut value = values.to_vec();
        value.sort_unstable();
        emit(Windowed { key: *key, window: *window, value });
    };
    (0..2000).for_each(|seed| compare(seed, || Process(ProcessFn::new(sorted))));
}
