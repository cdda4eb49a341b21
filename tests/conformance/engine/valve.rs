//! The watermarks of a source as a valve.
//!
//! Between operators, the engine has no valve: watermarks are timely's frontiers, the minimum over
//! all senders, and idleness is settled where it arises, at the source. So a channel is a split
//! here, once of a worker that reads them all, and once of a worker of its own; both must say the
//! same after each step. In a job the news spread once per tick; a step here is as many ticks as it
//! takes.

use std::collections::VecDeque;

use highwater_core::shell::{Gossip, SplitWatermarks, Status};
use highwater_core::watermark::of_stamp;
use highwater_sim::oracle::ValveEvent;

use crate::subject::{Made, ValveSubject};

/// Makes the source of so many channels.
pub(super) fn make(channels: usize) -> Made<dyn ValveSubject> {
    Some(Box::new(Valve { one: Source::new(channels, 1), many: Source::new(channels, channels) }))
}

struct Valve {
    one: Source,
    many: Source,
}

impl Valve {
    fn step(&mut self, channel: usize, input: impl Fn(&mut SplitWatermarks, usize)) {
        input(&mut self.one.workers[0], channel);
        input(&mut self.many.workers[channel], 0);
        self.one.settle();
        self.many.settle();
        assert_eq!(self.one.output, self.many.output, "one worker and a worker for each channel");
    }
}

impl ValveSubject for Valve {
    fn watermark(&mut self, channel: usize, watermark: i64) {
        self.step(channel, |splits, split| splits.watermark(split, watermark));
    }

    fn idle(&mut self, channel: usize) {
        self.step(channel, SplitWatermarks::idle);
    }

    fn active(&mut self, channel: usize) {
        self.step(channel, SplitWatermarks::active);
    }

    fn finished(&mut self, channel: usize) {
        self.step(channel, SplitWatermarks::finished);
    }

    fn next_output(&mut self) -> Option<ValveEvent> {
        self.many.output.pop_front();
        self.one.output.pop_front()
    }
}

/// A source on several workers, and what an operator behind it sees.
struct Source {
    workers: Vec<SplitWatermarks>,
    gossip: Gossip,
    /// The stamps that the workers have promised.
    stamps: Vec<i64>,
    announced: i64,
    idle: bool,
    output: VecDeque<ValveEvent>,
}

impl Source {
    fn new(splits: usize, workers: usize) -> Self {
        Source {
            workers: (0..workers).map(|_| SplitWatermarks::new(splits / workers)).collect(),
            gossip: Gossip::new(workers),
            stamps: vec![i64::MIN; workers],
            announced: i64::MIN,
            idle: false,
            output: VecDeque::new(),
        }
    }

    /// Lets the workers tell each other until nobody moves, then announces what has changed.
    fn settle(&mut self) {
        loop {
            let before = self.stamps.clone();
            for (worker, splits) in self.workers.iter().enumerate() {
                let may = self.gossip.tell(worker, splits.status());
                self.stamps[worker] = self.stamps[worker].max(may);
            }
            if before == self.stamps {
                break;
            }
        }
        let idle = self.is_idle();
        if self.idle && !idle {
            self.output.push_back(ValveEvent::Active);
        }
        let frontier = self.stamps.iter().copied().min().expect("a source has workers");
        if frontier > self.announced {
            self.announced = frontier;
            self.output.push_back(ValveEvent::Watermark(of_stamp(frontier)));
        }
        if idle && !self.idle {
            self.output.push_back(ValveEvent::Idle);
        }
        self.idle = idle;
    }

    /// Says whether nobody is active, though somebody may become so.
    fn is_idle(&self) -> bool {
        let mut statuses = self.workers.iter().map(SplitWatermarks::status);
        let active = statuses.clone().any(|status| matches!(status, Status::Active(_)));
        !active && statuses.any(|status| matches!(status, Status::Idle(_)))
    }
}
