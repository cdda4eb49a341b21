//! A keyed operator whose key groups have not all come equally far.
//!
//! ```text
//! restored at another parallelism: group 3 had fired up to 150, group 4 up to 200
//! the operator goes on from 150; until it has passed 200, a record of group 4 meets watermark 200
//! ```
//!
//! **Cost**: one comparison a batch. While the floors count, records are handed on one by one.
//!
//! **Invariant**: a key group never fires what it had fired before, and loses nothing that it had
//! not (`window/rescaled.rs`).

use std::cell::RefCell;
use std::rc::Rc;

use highwater_core::context::Context;
use highwater_core::cut::Cut;
use highwater_core::record::{Batch, Data};
use highwater_core::shell::Logic;
use highwater_state::Floors;

/// Returns the hash of the key of a record.
pub(crate) type HashOf<T> = Box<dyn Fn(&T) -> u64>;

/// The logic of a keyed operator, with the floors of its key groups.
pub(crate) struct Floored<L: Logic> {
    logic: L,
    /// `None` when the operator has come further than all its key groups had.
    floors: Option<Floors>,
    least: i64,
    hashes: (HashOf<L::Left>, HashOf<L::Right>),
}

impl<L: Logic> Floored<L> {
    /// - `floors`: those of the backend, after the logic has opened its tables.
    pub(crate) fn new(
        logic: L,
        floors: &Rc<RefCell<Floors>>,
        hashes: (HashOf<L::Left>, HashOf<L::Right>),
    ) -> Self {
        let (least, floors) = (floors.borrow().least(), floors.borrow().uneven());
        Floored { logic, floors, least, hashes }
    }

    /// Forgets the floors when the operator has passed them.
    fn settle(&mut self, watermark: i64) {
        if self.floors.as_ref().is_some_and(|floors| floors.greatest() <= watermark) {
            self.floors = None;
        }
    }
}

/// Hands records on one by one, each at the floor of its key group if that is ahead.
fn one_by_one<L: Logic, T: Data>(
    (logic, floors): (&mut L, &Floors),
    batch: &mut Batch<T>,
    hash: &dyn Fn(&T) -> u64,
    cx: &mut Context<'_, L::Out>,
    part: impl Fn(&mut L, &mut Batch<T>, &mut Context<'_, L::Out>),
) {
    let watermark = cx.watermark();
    let mut one = Vec::with_capacity(1);
    for record in batch.drain(..) {
        let at = watermark.max(floors.of_hash(hash(&record.value)));
        logic.judge_at(at);
        one.push(record);
        cx.at_watermark(at, |cx| part(logic, &mut one, cx));
        one.clear();
    }
    logic.judge_at(watermark);
}

impl<L: Logic> Logic for Floored<L> {
    type Left = L::Left;
    type Right = L::Right;
    type Out = L::Out;

    fn left(&mut self, batch: &mut Batch<L::Left>, cx: &mut Context<'_, L::Out>) {
        self.settle(cx.watermark());
        match &self.floors {
            None => self.logic.left(batch, cx),
            Some(floors) => {
                one_by_one((&mut self.logic, floors), batch, &self.hashes.0, cx, L::left);
            }
        }
    }

    fn right(&mut self, batch: &mut Batch<L::Right>, cx: &mut Context<'_, L::Out>) {
        self.settle(cx.watermark());
        match &self.floors {
            None => self.logic.right(batch, cx),
            Some(floors) => {
                one_by_one((&mut self.logic, floors), batch, &self.hashes.1, cx, L::right);
            }
        }
    }

    fn fire(&mut self, watermark: i64, cx: &mut Context<'_, L::Out>) -> Option<i64> {
        self.logic.fire(watermark, cx)
    }

    fn fire_processing(&mut self, over_ms: i64, cx: &mut Context<'_, L::Out>) {
        self.logic.fire_processing(over_ms, cx);
    }

    fn end_superstep(&mut self, cx: &mut Context<'_, L::Out>) -> bool {
        self.logic.end_superstep(cx)
    }

    fn at_rest(&mut self, cx: &mut Context<'_, L::Out>) -> bool {
        self.logic.at_rest(cx)
    }

    fn first_timer(&self) -> Option<i64> {
        self.logic.first_timer()
    }

    fn first_processing_timer(&self) -> Option<i64> {
        self.logic.first_processing_timer()
    }

    fn promise(&mut self, stamp: i64, now_ms: i64) -> i64 {
        self.logic.promise(stamp, now_ms)
    }

    fn floor(&self) -> i64 {
        self.least
    }

    fn freeze(&mut self, cut: &mut Cut) {
        self.logic.freeze(cut);
    }

    fn fold(&mut self) -> bool {
        self.logic.fold()
    }

    fn end(&mut self, cx: &mut Context<'_, L::Out>) {
        self.logic.end(cx);
    }
}
