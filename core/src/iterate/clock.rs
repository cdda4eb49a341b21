//! What the operators of a loop on one worker know of its phases, and tell of themselves.
//!
//! ```text
//! conductor --begin(phase, kind)--> clock --> enter, leave and the shells inside look it up
//! enter: bounds of its input     give back: what came back, how far    leave: how far
//!      '-------------------------> clock --> conductor <-----------------------'
//! ```
//!
//! Everything happens on the thread of the worker; between workers only the conductors talk.
//!
//! **Invariant**: an operator that has left a phase finds out what kind of phase it was: its worker
//! has begun every phase that any frontier has passed (`Clock::kind`).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use timely::scheduling::Activator;

use super::leader::{Kind, Report};
use crate::credit::BUCKETS;
use crate::time::{Bounds, Epoch};

/// How many phases can be looked up: operators that nothing waits for may be behind.
const REMEMBERED: usize = 4096;

/// A stream that enters the loop, as it tells of itself.
#[derive(Debug)]
struct Entry {
    bounds: Bounds,
    stamp: i64,
    has_let_in: bool,
}

/// A way back, as it tells of itself.
#[derive(Debug, Default)]
struct WayBack {
    /// The first phase that it may still see records of.
    passed: u64,
    /// The records of the phases that are not yet told, by phase.
    returned: VecDeque<(u64, u64)>,
}

/// The phases of one loop on one worker.
#[derive(Debug)]
pub struct Clock {
    /// The loop around this one.
    outer: Option<Rc<Clock>>,
    /// The checkpoint epoch in which the job begins.
    first: Epoch,
    /// The number of the first phase that is remembered.
    oldest: Cell<u64>,
    kinds: RefCell<VecDeque<Kind>>,
    /// The wave that was closed last.
    closed: Cell<Option<u64>>,
    entries: RefCell<Vec<Entry>>,
    ways_back: RefCell<Vec<WayBack>>,
    exits: RefCell<Vec<u64>>,
    operators: RefCell<Vec<Activator>>,
    conductor: RefCell<Option<Activator>>,
}

impl Clock {
    /// - `outer`: the clock of the loop around this one.
    /// - `first`: the checkpoint epoch in which the job begins.
    pub(crate) fn new(outer: Option<Rc<Clock>>, first: Epoch) -> Self {
        Clock {
            outer,
            first,
            oldest: Cell::new(0),
            kinds: RefCell::default(),
            closed: Cell::new(None),
            entries: RefCell::default(),
            ways_back: RefCell::default(),
            exits: RefCell::default(),
            operators: RefCell::default(),
            conductor: RefCell::new(None),
        }
    }

    /// Returns whether the loop stands in the outermost level of the job.
    pub(crate) fn is_outermost(&self) -> bool {
        self.outer.is_none()
    }

    /// Returns the position of the stream that enters, at the start.
    pub(crate) fn first_position(&self) -> Epoch {
        if self.is_outermost() { self.first } else { Epoch(0) }
    }

    /// Registers an operator of the loop: it is activated when a phase begins.
    pub(crate) fn add_operator(&self, activator: Activator) {
        self.operators.borrow_mut().push(activator);
    }

    pub(crate) fn set_conductor(&self, activator: Activator) {
        *self.conductor.borrow_mut() = Some(activator);
    }

    fn tell(&self) {
        if let Some(conductor) = &*self.conductor.borrow() {
            conductor.activate();
        }
    }

    /// Begins a phase.
    pub(crate) fn begin(&self, phase: u64, kind: Kind) {
        let mut kinds = self.kinds.borrow_mut();
        debug_assert_eq!(phase, self.oldest.get() + kinds.len() as u64, "phases are begun in turn");
        kinds.push_back(kind);
        if kind == Kind::Wave {
            self.entries.borrow_mut().iter_mut().for_each(|entry| entry.has_let_in = false);
        }
        if kinds.len() > REMEMBERED {
            kinds.pop_front();
            self.oldest.set(self.oldest.get() + 1);
        }
        drop(kinds);
        self.wake();
    }

    /// Closes a wave: what has come for it enters, and nothing after that.
    pub(crate) fn close(&self, phase: u64) {
        self.closed.set(Some(phase));
        self.wake();
    }

    /// Returns whether a wave is closed.
    pub(crate) fn is_closed(&self, phase: Epoch) -> bool {
        self.closed.get().is_some_and(|closed| closed >= phase.0)
    }

    fn wake(&self) {
        self.operators.borrow().iter().for_each(Activator::activate);
    }

    /// Returns what kind of phase it is, `None` before it has begun.
    pub(crate) fn kind(&self, phase: Epoch) -> Option<Kind> {
        let kinds = self.kinds.borrow();
        let place = phase.0.checked_sub(self.oldest.get());
        assert!(place.is_some(), "an operator is {REMEMBERED} phases behind its loop");
        kinds.get(place? as usize).copied()
    }

    /// Returns the phase that was begun last.
    pub(crate) fn phase(&self) -> Option<u64> {
        (self.oldest.get() + self.kinds.borrow().len() as u64).checked_sub(1)
    }

    /// Returns the checkpoint that is cut at the end of a phase that has begun.
    pub(crate) fn cut(&self, phase: Epoch) -> Option<Epoch> {
        match self.kind(phase) {
            Some(Kind::End { cut, .. }) => cut,
            _ => None,
        }
    }

    /// Returns the checkpoint that is cut when this loop's input leaves a position.
    pub(crate) fn cut_of_position(&self, position: Epoch) -> Option<Epoch> {
        match &self.outer {
            None => Some(position),
            Some(outer) => outer.cut(position),
        }
    }

    /// Returns whether nothing goes round in a phase.
    pub(crate) fn is_at_rest(&self, phase: Epoch) -> bool {
        matches!(self.kind(phase), Some(Kind::Rest(_) | Kind::End { .. }))
    }

    /// Returns the superstep of a phase: how often what enters in it has gone round.
    pub(crate) fn superstep(&self, phase: Epoch) -> u64 {
        match self.kind(phase) {
            Some(Kind::Round(round)) => round,
            _ => 0,
        }
    }

    /// Adds a stream that enters; returns its place.
    pub(crate) fn add_entry(&self) -> usize {
        let bounds = Bounds { epoch: Some(Epoch(0)), watermark: i64::MIN };
        let mut entries = self.entries.borrow_mut();
        entries.push(Entry { bounds, stamp: i64::MIN, has_let_in: false });
        entries.len() - 1
    }

    /// Tells of a stream that enters.
    ///
    /// - `bounds`: what may still arrive.
    /// - `stamp`: what it promises inside the loop.
    /// - `has_let_in`: whether it has let records into the open wave.
    pub(crate) fn entry(&self, place: usize, bounds: Bounds, stamp: i64, has_let_in: bool) {
        let entry = &mut self.entries.borrow_mut()[place];
        let is_news = entry.bounds != bounds || has_let_in && !entry.has_let_in;
        *entry = Entry { bounds, stamp, has_let_in };
        if is_news {
            self.tell();
        }
    }

    /// Returns the least of what may still arrive at the streams that enter.
    pub(crate) fn input(&self) -> Bounds {
        let mut least = Bounds::closed();
        for Entry { bounds, .. } in &*self.entries.borrow() {
            if let Some(epoch) = bounds.epoch {
                least.epoch = Some(least.epoch.map_or(epoch, |other| other.min(epoch)));
            }
            least.watermark = least.watermark.min(bounds.watermark);
        }
        least
    }

    /// Returns whether there is anything in the open wave, or has come back from what a timer made.
    pub(crate) fn has_entered(&self) -> bool {
        self.entries.borrow().iter().any(|entry| entry.has_let_in)
            || self.ways_back.borrow().iter().any(|way| !way.returned.is_empty())
    }

    /// Adds a way back; returns its place.
    pub(crate) fn add_way_back(&self) -> usize {
        let mut ways = self.ways_back.borrow_mut();
        ways.push(WayBack::default());
        ways.len() - 1
    }

    /// Tells that records have come back.
    pub(crate) fn came_back(&self, place: usize, phase: u64, records: u64) {
        let returned = &mut self.ways_back.borrow_mut()[place].returned;
        match returned.back_mut() {
            Some((last, count)) if *last == phase => *count += records,
            _ => returned.push_back((phase, records)),
        }
        self.tell();
    }

    /// Tells that nothing more comes back of the phases before `passed`.
    pub(crate) fn way_back_passed(&self, place: usize, passed: u64) {
        let before = std::mem::replace(&mut self.ways_back.borrow_mut()[place].passed, passed);
        if before != passed {
            self.tell();
        }
    }

    /// Adds a way out; returns its place.
    pub(crate) fn add_exit(&self) -> usize {
        let mut exits = self.exits.borrow_mut();
        exits.push(0);
        exits.len() - 1
    }

    /// Tells that a way out is done with the phases before `passed`.
    pub(crate) fn exit_passed(&self, place: usize, passed: u64) {
        self.exits.borrow_mut()[place] = passed;
        self.tell();
    }

    /// Returns what this worker tells of a phase, `None` while more may come back in it.
    ///
    /// What leaves the loop is at most a few phases behind: the credit of an edge is counted for so
    /// many apart.
    pub(crate) fn report(&self, phase: u64) -> Option<Report> {
        let mut ways = self.ways_back.borrow_mut();
        let most_behind = BUCKETS as u64 - 2;
        if ways.iter().any(|way| way.passed <= phase)
            || self.exits.borrow().iter().any(|passed| passed + most_behind <= phase)
        {
            return None;
        }
        let mut returned = 0;
        for way in &mut *ways {
            while let Some((_, records)) = way.returned.pop_front_if(|(of, _)| *of <= phase) {
                returned += records;
            }
        }
        let stamps = self.entries.borrow();
        let stamp = stamps.iter().map(|entry| entry.stamp).min().unwrap_or(i64::MAX);
        Some(Report { phase, returned, stamp })
    }
}
