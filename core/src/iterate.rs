//! Loops: streams that come back to where they came from, until nothing comes back any more.
//!
//! ```text
//!             .------------------ the body: ordinary operators -----------------.
//! outside --> enter --> ... --> ... --> give back --memory--> enter    leave --> outside
//!               '---- phase: Wave, Round 1, Round 2, .., Advance, .., End ---'
//! ```
//!
//! Inside a loop the first coordinate of a stamp does not count epochs but *phases*: supersteps, one
//! after the other, as the barriers of epochs are. The [shell](crate::shell) of an operator does not
//! notice, except that it asks the clock of its loop at the end of a phase whether a checkpoint is
//! to be cut there. Loops need no timestamp of their own, so jobs without loops pay nothing for them,
//! and they nest: for a loop within a loop, the phases of the outer one are what epochs are for it.
//!
//! **Invariants**: a loop is at rest when its position ends, so a cut finds nothing that circulates
//! (`leader::Leader::decide`); the streams that leave promise only what has come to rest
//! (`leave::Exit::follow`).
//!
//! **Cost**: a phase is a round of messages between the workers, whatever the size of the body.
//!
//! **Sources**: Naiad, SOSP 2013 (papers/naiad.md); Flink's FLIP-16, FLIP-176.

mod leader;
mod clock;

mod conductor;
mod enter;
mod give_back;
mod leave;

use std::rc::Rc;

pub use clock::Clock;

use crate::dataflow::Dataflow;
use crate::error::Result;
use crate::record::Data;
use crate::shell::Built;
use enter::Waiting;

/// A loop while one worker builds it.
#[derive(Clone, Debug)]
pub struct Iteration<'scope> {
    outside: Dataflow<'scope>,
    inside: Dataflow<'scope>,
    clock: Rc<Clock>,
}

/// What comes back, on its way from the end of the body to its beginning.
pub struct WayBack<T>(Waiting<T>);

impl<T> Clone for WayBack<T> {
    fn clone(&self) -> Self {
        WayBack(Rc::clone(&self.0))
    }
}

impl<T> Default for WayBack<T> {
    fn default() -> Self {
        WayBack(Waiting::default())
    }
}

impl<T> std::fmt::Debug for WayBack<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WayBack").field(&self.0.borrow().len()).finish()
    }
}

impl<'scope> Iteration<'scope> {
    /// Begins a loop.
    ///
    /// - `outside`: where it stands; may itself be the inside of a loop.
    /// - `at_most`: after how many rounds what comes back is dropped.
    #[must_use]
    pub fn new(outside: &Dataflow<'scope>, at_most: Option<u64>) -> Self {
        let outer = outside.clock().cloned();
        let clock = Rc::new(Clock::new(outer, outside.job().first_epoch()));
        conductor::conduct(outside, &clock, at_most);
        let inside = outside.within(&clock);
        Iteration { outside: outside.clone(), inside, clock }
    }

    /// Returns where the operators of the body are built.
    #[must_use]
    pub fn inside(&self) -> &Dataflow<'scope> {
        &self.inside
    }

    /// Lets a stream in.
    ///
    /// - `identity`: the uid and the name.
    /// - `way_back`: what enters again with it.
    ///
    /// # Errors
    /// When the uid is taken.
    pub fn enter<T: Data>(
        &self,
        identity: (&str, &str),
        stream: Built<'scope, T>,
        way_back: Option<WayBack<T>>,
    ) -> Result<Built<'scope, T>> {
        let waiting = way_back.map(|way_back| way_back.0);
        enter::enter(&self.inside, &self.clock, identity, stream, waiting)
    }

    /// Lets a stream of the body enter again.
    ///
    /// # Errors
    /// When the uid is taken.
    pub fn give_back<T: Data>(
        &self,
        identity: (&str, &str),
        stream: Built<'scope, T>,
        way_back: WayBack<T>,
    ) -> Result<()> {
        give_back::give_back(&self.inside, &self.clock, identity, stream, way_back.0)
    }

    /// Lets a stream of the body out.
    ///
    /// # Errors
    /// When the uid is taken.
    pub fn leave<T: Data>(
        &self,
        identity: (&str, &str),
        stream: Built<'scope, T>,
    ) -> Result<Built<'scope, T>> {
        leave::leave(&self.outside, &self.clock, identity, stream)
    }
}
