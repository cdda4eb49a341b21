//! The watermark of an operator with several inputs.
//!
//! It is the minimum over the channels that are *aligned*: active, and not behind what the operator
//! has already announced. A channel that was idle is aligned again once it has caught up. When the
//! last active channel becomes idle, the maximum over all channels is announced, so that the result
//! does not depend on the order in which they fell silent.
//!
//! A channel that has finished is at the end of time, as Flink's end of input says.
//!
//! Sources: Flink 2.x, `StatusWatermarkValve`.

use std::collections::VecDeque;

/// What a valve announces to the operators behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValveEvent {
    /// No element with a timestamp up to this one follows.
    Watermark(i64),
    /// All channels are idle.
    Idle,
    /// A channel is active again, after all were idle.
    Active,
}

#[derive(Clone, Debug)]
struct Channel {
    watermark: i64,
    active: bool,
    aligned: bool,
}

/// The model of a watermark valve.
#[derive(Clone, Debug)]
pub struct ValveModel {
    channels: Vec<Channel>,
    announced: i64,
    output: VecDeque<ValveEvent>,
}

impl ValveModel {
    /// Makes a valve of so many channels, all active and without a watermark.
    pub fn new(channels: usize) -> Self {
        let channel = Channel { watermark: i64::MIN, active: true, aligned: true };
        let output = VecDeque::new();
        ValveModel { channels: vec![channel; channels], announced: i64::MIN, output }
    }

    /// Takes the watermark of a channel; ignored from an idle one, or if it does not grow.
    pub fn watermark(&mut self, channel: usize, watermark: i64) {
        let announced = self.announced;
        let channel = &mut self.channels[channel];
        if channel.active && watermark > channel.watermark {
            channel.watermark = watermark;
            channel.aligned = channel.aligned || watermark >= announced;
            self.announce_minimum();
        }
    }

    /// Takes the end of a channel's input, whether it was idle or not.
    pub fn finished(&mut self, channel: usize) {
        self.active(channel);
        self.watermark(channel, i64::MAX);
    }

    /// Takes the news that a channel has fallen silent.
    pub fn idle(&mut self, channel: usize) {
        if !self.channels[channel].active {
            return;
        }
        self.channels[channel].active = false;
        self.channels[channel].aligned = false;
        if self.channels.iter().any(|channel| channel.active) {
            self.announce_minimum();
        } else {
            self.announce(self.channels.iter().map(|channel| channel.watermark).max());
            self.output.push_back(ValveEvent::Idle);
        }
    }

    /// Takes the news that a channel speaks again; this alone announces no watermark.
    pub fn active(&mut self, channel: usize) {
        if self.channels[channel].active {
            return;
        }
        if self.channels.iter().all(|channel| !channel.active) {
            self.output.push_back(ValveEvent::Active);
        }
        let channel = &mut self.channels[channel];
        channel.active = true;
        channel.aligned = channel.watermark >= self.announced;
    }

    /// Returns the next announcement.
    pub fn next_output(&mut self) -> Option<ValveEvent> {
        self.output.pop_front()
    }

    fn announce_minimum(&mut self) {
        let aligned = self.channels.iter().filter(|channel| channel.aligned);
        self.announce(aligned.map(|channel| channel.watermark).min());
    }

    fn announce(&mut self, watermark: Option<i64>) {
        if let Some(watermark) = watermark.filter(|watermark| *watermark > self.announced) {
            self.announced = watermark;
            self.output.push_back(ValveEvent::Watermark(watermark));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_channel_to_fall_silent_announces_the_maximum() {
        let mut valve = ValveModel::new(2);
        valve.watermark(0, 10);
        valve.watermark(1, 5);
        assert_eq!(valve.next_output(), Some(ValveEvent::Watermark(5)));
        valve.idle(0);
        assert_eq!(valve.next_output(), None);
        valve.idle(1);
        assert_eq!(valve.next_output(), Some(ValveEvent::Watermark(10)));
        assert_eq!(valve.next_output(), Some(ValveEvent::Idle));
    }

    #[test]
    fn a_finished_channel_holds_nothing_back() {
        let mut valve = ValveModel::new(2);
        valve.watermark(0, 10);
        valve.finished(1);
        assert_eq!(valve.next_output(), Some(ValveEvent::Watermark(10)));
        valve.finished(0);
        assert_eq!(valve.next_output(), Some(ValveEvent::Watermark(i64::MAX)));
    }
}
