//! Drives the logic of one operator by hand, record by record, without a dataflow.
//!
//! For tests of operators and for playing transcripts: every watermark and every tick of the clock
//! is a call, and what was emitted can be looked at after each.
//!
//! **Sources**: Flink's `KeyedOneInputStreamOperatorTestHarness`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::context::{Allowance, Context, Port};
use crate::credit::Gate;
use crate::cut::{Cut, CutKind, EncodedState};
use crate::error::{Error, Result};
use crate::metrics::{Metrics, OperatorMetrics, Role};
use crate::record::{Batch, Data, Record};
use crate::shell::Logic;
use crate::side::{OutputTag, SidePort, Sides};
use crate::time::{Epoch, EventTime, Time};

/// The records of a full batch.
const BATCH_RECORDS: usize = 1024;

/// Collects what is emitted.
#[derive(Debug)]
pub(crate) struct Basket<T> {
    records: Rc<RefCell<Vec<Record<T>>>>,
    gate: Gate,
}

impl<T> Default for Basket<T> {
    fn default() -> Self {
        Basket { records: Rc::default(), gate: Gate::default() }
    }
}

impl<T> Basket<T> {
    /// Returns what is collected, now and later.
    pub(crate) fn records(&self) -> SideRecords<T> {
        SideRecords { records: Rc::clone(&self.records) }
    }
}

impl<T: Data> Port<T> for Basket<T> {
    fn ship(&mut self, batch: &mut Batch<T>) {
        self.records.borrow_mut().append(batch);
    }
    fn gate(&self) -> &Gate {
        &self.gate
    }
}

impl<T: Data> SidePort<T> for Basket<T> {
    fn ship(&mut self, batch: &mut Batch<T>) {
        Port::ship(self, batch);
    }
    fn done(&mut self) {}
    fn downgrade(&mut self, _time: Option<Time>) {}
    fn gate(&self) -> &Gate {
        &self.gate
    }
}

/// The records of a side output that a [`Harness`] listens to.
#[derive(Clone, Debug)]
pub struct SideRecords<T> {
    records: Rc<RefCell<Vec<Record<T>>>>,
}

impl<T> SideRecords<T> {
    /// Takes what was emitted into the side output since the last call.
    pub fn take(&self) -> Vec<Record<T>> {
        std::mem::take(&mut *self.records.borrow_mut())
    }
}

/// An operator's logic, and what it has emitted.
pub struct Harness<L: Logic> {
    logic: L,
    port: Basket<L::Out>,
    sides: Sides,
    buffer: Batch<L::Out>,
    watermark: i64,
    now_ms: i64,
    metrics: Arc<OperatorMetrics>,
    failure: Option<Error>,
}

impl<L: Logic> std::fmt::Debug for Harness<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Harness").field("watermark", &self.watermark).finish_non_exhaustive()
    }
}

impl<L: Logic> Harness<L> {
    /// Returns a harness around a logic, before the first watermark or at the one with which a
    /// restored logic goes on, and at processing time 0.
    pub fn new(logic: L) -> Self {
        Harness {
            watermark: logic.floor(),
            logic,
            port: Basket::default(),
            sides: Sides::default(),
            buffer: Vec::new(),
            now_ms: 0,
            metrics: Metrics::default().register("harness", "harness", 0, Role::Operator, Epoch(0)),
            failure: None,
        }
    }

    /// Listens to a side output.
    pub fn listen<X: Data>(&mut self, tag: &OutputTag<X>) -> SideRecords<X> {
        let port = Basket::default();
        let records = port.records();
        self.sides.add(tag, Box::new(port), BATCH_RECORDS);
        records
    }

    fn run<R>(&mut self, part: impl FnOnce(&mut L, &mut Context<'_, L::Out>) -> R) -> R {
        let mut allowance = Allowance::new(None, usize::MAX);
        let mut cx = Context {
            buffer: &mut self.buffer,
            batch_records: BATCH_RECORDS,
            port: &mut self.port,
            sides: &mut self.sides,
            watermark: self.watermark,
            now_ms: self.now_ms,
            allowance: &mut allowance,
            worker: 0,
            epoch: Epoch(0),
            superstep: None,
            metrics: &self.metrics,
            failure: &mut self.failure,
        };
        let result = part(&mut self.logic, &mut cx);
        cx.flush();
        result
    }

    /// Hands a record to the first input.
    pub fn left(&mut self, event_time: EventTime, value: L::Left) {
        let mut batch = vec![Record::new(event_time, value)];
        self.run(|logic, cx| logic.left(&mut batch, cx));
    }

    /// Hands a record to the second input.
    pub fn right(&mut self, event_time: EventTime, value: L::Right) {
        let mut batch = vec![Record::new(event_time, value)];
        self.run(|logic, cx| logic.right(&mut batch, cx));
    }

    /// Moves the watermark to `watermark`, in ms as Flink counts it, and fires what is due. A
    /// watermark that does not move forward changes nothing.
    pub fn watermark(&mut self, watermark: i64) {
        if watermark > self.watermark {
            self.watermark = watermark;
            while self.run(|logic, cx| logic.fire(watermark, cx)).is_some() {}
        }
    }

    /// Moves processing time to `now_ms`, and fires what is due.
    pub fn processing_time(&mut self, now_ms: i64) {
        self.now_ms = self.now_ms.max(now_ms);
        self.run(|logic, cx| logic.fire_processing(now_ms, cx));
    }

    /// Ends the input.
    pub fn end(&mut self) {
        self.watermark(i64::MAX);
        self.run(|logic, cx| logic.end(cx));
    }

    /// Freezes the state of the logic and encodes it; the logic goes on.
    ///
    /// # Errors
    /// When the state cannot be encoded.
    pub fn freeze(&mut self, kind: CutKind) -> Result<Vec<EncodedState>> {
        let mut cut = Cut::new(Epoch(0), kind, self.watermark, self.now_ms);
        self.logic.freeze(&mut cut);
        cut.encode()
    }

    /// Goes on with another logic, such as one that was restored, at the same watermark and time.
    pub fn replace(&mut self, logic: L) {
        self.logic = logic;
    }

    /// Takes what was emitted since the last call.
    ///
    /// # Errors
    /// The error with which the logic failed.
    pub fn take_output(&mut self) -> Result<Vec<Record<L::Out>>> {
        match self.failure.take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut *self.port.records.borrow_mut())),
        }
    }

    /// Returns how many records were dropped as late.
    #[must_use]
    pub fn late_records_dropped(&self) -> u64 {
        self.metrics.late_records_dropped.get()
    }

    /// Returns the logic.
    pub fn logic(&mut self) -> &mut L {
        &mut self.logic
    }
}
