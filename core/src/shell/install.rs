//! How an operator is handed over to timely, and what wakes it.
//!
//! Operators are erased here to closures over frontiers: timely's part of an operator depends on the
//! timestamp alone and is compiled once, in this crate.

use std::rc::Rc;

use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OperatorInfo;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;
use timely::scheduling::Activator;

use crate::credit::Waiter;
use crate::dataflow::Dataflow;
use crate::time::Time;

/// An operator that stands in the dataflow: is given the frontiers of its inputs, and returns
/// whether it must be kept alive.
pub(crate) type Activate = Box<dyn FnMut(&[MutableAntichain<Time>]) -> bool>;

/// Makes an operator of its capabilities, one for each output.
pub(crate) type Start = Box<dyn FnOnce(Vec<Capability<Time>>) -> Activate>;

/// Hands an operator over to timely, whose part is the same for all types and is compiled here.
pub(crate) fn install(builder: OperatorBuilder<'_, Time>, start: Start) {
    builder.build_reschedule_boxed(start);
}

/// Returns what wakes an operator, on its worker and from any thread.
pub(crate) fn wakers(dataflow: &Dataflow<'_>, info: &OperatorInfo) -> (Activator, Waiter) {
    let worker = dataflow.scope().worker();
    let activator = worker.activator_for(Rc::clone(&info.address));
    let sync = worker.sync_activator_for(info.address.to_vec());
    (activator, Waiter { operator: info.global_id, activator: sync })
}
