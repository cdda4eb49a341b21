//! A job drawn from a seed: two sources and up to six operators behind them.

use std::collections::BTreeSet;

use highwater_core::record::Record;

use crate::random::Random;
use crate::world::Item;

/// Which jobs are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// About a fifth of the records is late at its source; every operator takes part.
    Late,
    /// No record is late at its source; only operators whose final results do not depend on the
    /// order in which records come.
    OnTime,
}

/// The windows of a [`WindowPlan`]; all lengths are ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// Side by side.
    Tumbling {
        /// The length.
        size: i64,
        /// What starts are congruent to.
        offset: i64,
    },
    /// Overlapping, or with holes between them.
    Sliding {
        /// The length.
        size: i64,
        /// The distance of two starts.
        slide: i64,
    },
    /// After a silence of this length.
    Session {
        /// The silence.
        gap: i64,
    },
    /// After a silence whose length depends on the value: from 1 to `most`.
    DynamicSession {
        /// The longest silence.
        most: i64,
    },
}

/// When windows fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firing {
    /// When they end, and at each late record.
    AtEnd,
    /// At every `n`-th record, and never by themselves.
    Count(u64),
    /// At every `n`-th record, which empties them.
    PurgingCount(u64),
    /// At multiples of an interval, in ms, and when they end.
    Every(i64),
}

/// A window operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowPlan {
    /// Its windows.
    pub windows: Windows,
    /// When they fire.
    pub firing: Firing,
    /// How long they take late records, in ms.
    pub lateness: i64,
    /// Whether it keeps all values instead of adding them up.
    pub lists: bool,
}

/// What an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Gives every item another key and value.
    Map,
    /// Drops the items whose id is a multiple of this; 1 drops all.
    Filter(u64),
    /// Makes `id mod (n + 1)` items of one.
    FlatMap(u64),
    /// Merges two streams.
    Union,
    /// Forgets the watermarks of its input and makes its own, by this delay in ms.
    Watermarks(i64),
    /// Adds up the values of a key, one result per item.
    Reduce,
    /// Counts the items of a key, one result per item.
    Count,
    /// Adds up values per key and interval of this many ms by timers.
    Timers(i64),
    /// As `Timers`, subtracting the values of a second stream.
    Connect(i64),
    /// Adds up values per key and window.
    Window(WindowPlan),
}

impl Op {
    /// Returns whether it stands in the dataflow by itself, with a queue and a capability.
    #[must_use]
    pub fn is_stateful(&self) -> bool {
        !matches!(self, Op::Map | Op::Filter(_) | Op::FlatMap(_) | Op::Union)
    }

    /// Returns whether it reads two streams.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        matches!(self, Op::Union | Op::Connect(_))
    }

    /// Returns whether it has a side output of late items.
    #[must_use]
    pub fn has_late_output(&self) -> bool {
        matches!(self, Op::Timers(_) | Op::Connect(_) | Op::Window(_))
    }
}

/// One operator and where its input comes from: 0 and 1 are the sources, 2 the first step, ...
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What it does.
    pub op: Op,
    /// Its input.
    pub left: usize,
    /// Its second input, if it has one.
    pub right: usize,
    /// Whether its output is looked at although other operators read it.
    pub tapped: bool,
}

/// One source.
#[derive(Clone, Debug)]
pub struct SourcePlan {
    /// The records of each split.
    pub splits: Vec<Vec<Record<Item>>>,
    /// By how many ms the watermark trails the greatest event time.
    pub delay_ms: i64,
    /// After how many ms without records a split is idle, if ever.
    pub idle_ms: Option<i64>,
    /// The seed of its pauses.
    pub seed: u64,
}

/// A whole job.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The two sources.
    pub sources: Vec<SourcePlan>,
    /// The operators in an order in which inputs come first.
    pub steps: Vec<Step>,
}

impl Graph {
    /// Draws a job.
    #[must_use]
    pub fn draw(seed: u64, family: Family) -> Self {
        let mut random = Random::new(seed ^ 0x0067_7261_7068);
        let keys = random.pick(&[1, 3, 20]);
        let sources = (0..2u64).map(|s| SourcePlan::draw(&mut random, family, keys, s << 32));
        let sources = sources.collect();
        let count = 1 + random.index(6);
        let mut steps = Vec::with_capacity(count);
        for i in 0..count {
            let op = draw_op(&mut random, family);
            let streams = 2 + i;
            // Half of the inputs are the last stream, so that chains come up.
            let mut input = || if random.chance(500) { streams - 1 } else { random.index(streams) };
            let (left, right) = (input(), input());
            steps.push(Step { op, left, right, tapped: random.chance(300) });
        }
        Graph { sources, steps }
    }

    /// Returns the streams that nobody reads or that are looked at all the same, by their numbers.
    #[must_use]
    pub fn taps(&self) -> Vec<usize> {
        let read = |stream: usize| {
            let reads =
                |step: &Step| step.left == stream || (step.op.is_binary() && step.right == stream);
            self.steps.iter().any(reads)
        };
        let wanted = |stream: usize| {
            let step = stream.checked_sub(2).map(|i| self.steps[i]);
            !read(stream) || step.is_some_and(|step| step.tapped || step.op.is_stateful())
        };
        (0..2 + self.steps.len()).filter(|stream| wanted(*stream)).collect()
    }
}

impl SourcePlan {
    /// Returns the ids of the records that are late within their own split.
    pub(super) fn late(&self) -> BTreeSet<u64> {
        let mut late = BTreeSet::new();
        for split in &self.splits {
            let mut greatest = i64::MIN;
            for record in split {
                if record.event_time < greatest.saturating_sub(self.delay_ms) {
                    late.insert(record.value.id);
                }
                greatest = greatest.max(record.event_time);
            }
        }
        late
    }

    fn draw(random: &mut Random, family: Family, keys: u64, first_id: u64) -> Self {
        let delay_ms = random.between(0, 30);
        let pace = random.between(1, 12);
        let idle_ms = (family == Family::Late && random.chance(300)).then(|| random.between(5, 60));
        let mut id = first_id;
        let splits = (0..random.between(1, 3)).map(|_| {
            let mut now = random.between(0, 50);
            (0..random.between(0, 60))
                .map(|_| {
                    now += random.between(0, 2 * pace);
                    id += 1;
                    let behind = match family {
                        Family::Late if random.chance(420) => delay_ms + random.between(1, 80),
                        _ => random.between(0, delay_ms),
                    };
                    let value = random.between(-50, 50);
                    Record::new(now - behind, Item { key: random.below(keys), value, id })
                })
                .collect()
        });
        let splits = splits.collect();
        SourcePlan { splits, delay_ms, idle_ms, seed: random.draw() }
    }
}

fn draw_op(random: &mut Random, family: Family) -> Op {
    let rolling = family == Family::Late;
    match random.below(if rolling { 21 } else { 18 }) {
        0 | 1 => Op::Map,
        2 | 3 => Op::Filter(random.pick(&[2, 3, 5, 5, 1])),
        4 | 5 => Op::FlatMap(random.pick(&[1, 2, 3])),
        6 | 7 => Op::Union,
        8 | 9 => Op::Timers(random.between(1, 60)),
        10 | 11 => Op::Connect(random.between(1, 60)),
        18 => Op::Reduce,
        19 => Op::Count,
        20 => Op::Watermarks(random.between(0, 50)),
        _ => Op::Window(draw_window(random, family)),
    }
}

fn draw_window(random: &mut Random, family: Family) -> WindowPlan {
    let windows = match random.below(5) {
        0 | 1 => {
            let size = random.between(1, 60);
            Windows::Tumbling { size, offset: random.between(1 - size, size - 1) }
        }
        2 => Windows::Sliding { size: random.between(1, 60), slide: random.between(5, 40) },
        3 => Windows::Session { gap: random.between(1, 40) },
        _ => Windows::DynamicSession { most: random.between(1, 40) },
    };
    let late = family == Family::Late;
    let firing = match random.below(10) {
        0 if late => Firing::Count(random.below(4) + 1),
        1 if late => Firing::PurgingCount(random.below(4) + 1),
        2 if late => Firing::Every(random.between(1, 30)),
        _ => Firing::AtEnd,
    };
    let lateness = if late { random.pick(&[0, 0, 5, 50]) } else { 0 };
    WindowPlan { windows, firing, lateness, lists: random.chance(300) }
}
