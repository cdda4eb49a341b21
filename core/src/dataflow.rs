//! The dataflow of a job while one worker builds it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::Scope;

use crate::credit::Edge;
use crate::error::Result;
use crate::exchange::default_batch_records;
use crate::iterate::Clock;
use crate::job::Job;
use crate::plan::{Plan, PlannedInput};
use crate::time::Time;

/// A dataflow under construction: the timely scope, the job, and the plan as far as it is built.
#[derive(Clone)]
pub struct Dataflow<'scope> {
    scope: Scope<'scope, Time>,
    job: Arc<Job>,
    plan: Rc<RefCell<Plan>>,
    edges: Rc<Cell<usize>>,
    /// The clock of the loop whose inside this is.
    clock: Option<Rc<Clock>>,
}

impl std::fmt::Debug for Dataflow<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataflow").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl<'scope> Dataflow<'scope> {
    pub(crate) fn new(scope: Scope<'scope, Time>, job: Arc<Job>) -> Self {
        Dataflow { scope, job, plan: Rc::default(), edges: Rc::default(), clock: None }
    }

    /// Returns the same dataflow inside a loop.
    pub(crate) fn within(&self, clock: &Rc<Clock>) -> Self {
        Dataflow { clock: Some(Rc::clone(clock)), ..self.clone() }
    }

    /// Returns the clock of the loop whose inside this is.
    pub(crate) fn clock(&self) -> Option<&Rc<Clock>> {
        self.clock.as_ref()
    }

    /// Returns the timely scope.
    #[must_use]
    pub fn scope(&self) -> Scope<'scope, Time> {
        self.scope
    }

    /// Returns what the workers share.
    #[must_use]
    pub fn job(&self) -> &Arc<Job> {
        &self.job
    }

    /// Returns the index of this worker.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.scope.index()
    }

    /// Returns how many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.scope.peers()
    }

    /// Returns the plan as far as it is built.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.plan.borrow().clone()
    }

    /// Adds an operator to the plan and returns its place in it.
    ///
    /// # Errors
    /// When another operator has the uid.
    pub fn add(&self, uid: &str, name: &str) -> Result<usize> {
        self.plan.borrow_mut().add(uid, name, None)
    }

    /// Adds a stateless step that shares an operator, and returns its place in the plan.
    ///
    /// - `part_of`: the uid of the operator.
    ///
    /// # Errors
    /// When another operator has the uid.
    pub fn add_part(&self, uid: &str, name: &str, part_of: &str) -> Result<usize> {
        self.plan.borrow_mut().add(uid, name, Some(part_of))
    }

    /// Notes which streams flow into the operator at this place.
    pub(crate) fn connect(&self, place: usize, inputs: Vec<PlannedInput>) {
        self.plan.borrow_mut().connect(place, inputs);
    }

    /// Notes that the operator at this place makes watermarks of its own.
    pub(crate) fn makes_watermarks(&self, place: usize) {
        self.plan.borrow_mut().makes_watermarks(place);
    }

    /// Returns the place in the plan of the operator with this uid, the same on all workers.
    #[must_use]
    pub fn place(&self, uid: &str) -> Option<usize> {
        self.plan.borrow().place(uid)
    }

    /// Returns the records that a batch of `T` should have.
    #[must_use]
    pub fn batch_records<T>(&self) -> usize {
        self.job.config().batch_records.unwrap_or_else(default_batch_records::<T>).max(1)
    }

    /// Makes the next edge, shared with the same edge on the other workers.
    pub(crate) fn next_edge(&self) -> Arc<Edge> {
        let place = self.edges.replace(self.edges.get() + 1);
        self.job.edge(place, self.workers())
    }
}
