//! What the first coordinate of an operator's stamps means: epochs, or the phases of a loop.
//!
//! ```text
//! outside of loops    e       e + 1     ...   every step is a cut
//! inside of a loop    p  p+1  p+2  p+3  ...   the clock of the loop knows which steps are cuts
//! ```

use std::rc::Rc;

use timely::scheduling::Activator;

use crate::dataflow::Dataflow;
use crate::iterate::Clock;
use crate::time::Epoch;

/// Tells an operator what its steps mean.
pub(crate) struct Phases {
    clock: Option<Rc<Clock>>,
    first: Epoch,
    /// Whether what the operator does at the end of the present superstep is done.
    pub(crate) has_ended: bool,
}

impl Phases {
    /// - `activator`: activated when a phase begins.
    pub(crate) fn new(dataflow: &Dataflow<'_>, activator: &Activator) -> Self {
        let clock = dataflow.clock().cloned();
        if let Some(clock) = &clock {
            clock.add_operator(activator.clone());
        }
        let first = if clock.is_some() { Epoch(0) } else { dataflow.job().first_epoch() };
        Phases { clock, first, has_ended: false }
    }

    /// Returns the first step.
    pub(crate) fn first(&self) -> Epoch {
        self.first
    }

    pub(crate) fn is_inside(&self) -> bool {
        self.clock.is_some()
    }

    /// Returns whether a step has begun on this worker; its records may be here before.
    pub(crate) fn has_begun(&self, step: Epoch) -> bool {
        self.clock.as_ref().is_none_or(|clock| clock.kind(step).is_some())
    }

    /// Returns the superstep, in a loop.
    pub(crate) fn superstep(&self, step: Epoch) -> Option<u64> {
        self.clock.as_ref().map(|clock| clock.superstep(step))
    }

    /// Returns whether the loop is at rest in a step: nothing goes round.
    pub(crate) fn is_at_rest(&self, step: Epoch) -> bool {
        self.clock.as_ref().is_some_and(|clock| clock.is_at_rest(step))
    }

    /// Returns the checkpoint that is cut at the end of a step, if any is.
    pub(crate) fn cut(&self, step: Epoch) -> Option<Epoch> {
        match &self.clock {
            None => Some(step),
            Some(clock) => clock.cut(step),
        }
    }
}
