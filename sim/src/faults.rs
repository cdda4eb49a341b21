//! What goes wrong in a simulation: workers that are slow, and workers that stand still.

use crate::random::Random;

/// The faults of one run.
#[derive(Clone, Debug)]
pub struct Faults {
    /// How often a worker gets the turn, relative to the others; never zero.
    pub weights: Vec<u64>,
    /// In how many of a thousand turns a worker begins to stand still.
    pub stalls: u64,
    /// The turns for which a stalled worker gets none, at the most.
    pub stall_turns_max: u64,
    /// In how many of a thousand turns a checkpoint is triggered.
    pub triggers: u64,
    /// The ms by which the clock moves in a turn, at the most.
    pub tick_ms_max: i64,
}

impl Faults {
    /// Returns a run without faults: equal workers, a clock that moves by one ms a turn.
    #[must_use]
    pub fn none(workers: usize) -> Self {
        let weights = vec![1; workers];
        Faults { weights, stalls: 0, stall_turns_max: 1, triggers: 0, tick_ms_max: 1 }
    }

    /// Draws the faults of a run.
    #[must_use]
    pub fn draw(random: &mut Random, workers: usize) -> Self {
        Faults {
            weights: (0..workers).map(|_| random.pick(&[1, 4, 4, 16])).collect(),
            stalls: random.pick(&[0, 5, 50]),
            stall_turns_max: random.pick(&[5, 50, 200]),
            triggers: random.pick(&[0, 5, 20, 100]),
            tick_ms_max: random.pick(&[1, 5, 20]),
        }
    }
}
