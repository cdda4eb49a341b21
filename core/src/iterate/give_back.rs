//! Where what goes round leaves the body of a loop, to enter it again.
//!
//! ```text
//! body --> give back --memory of the worker--> enter
//! ```
//!
//! No edge of the dataflow leads back: timely sees no cycle, and the phases of the
//! [clock](super::clock) stand for it. Whatever comes is taken in at once, so that the body can
//! always go on.

use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

use super::clock::Clock;
use super::enter::Waiting;
use crate::dataflow::Dataflow;
use crate::error::Result;
use crate::metrics::Role;
use crate::record::Data;
use crate::shell::{Built, Inlet, Start, install};
use crate::time::{Bounds, Epoch, Time};
use crate::worker::Running;

/// Puts the end of a way back into the dataflow.
///
/// # Errors
/// When the uid is taken.
pub(crate) fn give_back<'scope, T: Data>(
    dataflow: &Dataflow<'scope>,
    clock: &Rc<Clock>,
    (uid, name): (&str, &str),
    stream: Built<'scope, T>,
    waiting: Waiting<T>,
) -> Result<()> {
    let place = dataflow.add(uid, name)?;
    let metrics = dataflow.job().metrics();
    let metrics = metrics.register(uid, name, dataflow.worker(), Role::Stateless, Epoch(0));
    let mut builder = OperatorBuilder::new(name.to_owned(), dataflow.scope());
    let mut inlet = Inlet::straight(dataflow, stream);
    inlet.plan(dataflow, place);
    let mut input = inlet.connect(&mut builder, false);
    let (clock, place, job) = (Rc::clone(clock), clock.add_way_back(), Arc::clone(dataflow.job()));
    let (worker, running) = (dataflow.worker(), Running::new(name));
    let activate = move |frontiers: &[MutableAntichain<Time>]| {
        if job.must_stop() {
            return false;
        }
        let _running = running.enter();
        let mut come = Vec::new();
        input.pull(&mut |time, batch, from| come.push((time, batch, from)));
        for (time, batch, from) in come {
            input.release(from, worker, time.epoch, input.bytes(&batch));
            metrics.records_in.add(batch.len() as u64);
            clock.came_back(place, time.epoch.0, batch.len() as u64);
            waiting.borrow_mut().push_back((time.epoch.0, batch));
        }
        let mut bounds = Bounds::closed();
        bounds.include_all(&frontiers[0].frontier());
        clock.way_back_passed(place, bounds.epoch.map_or(u64::MAX, |epoch| epoch.0));
        false
    };
    let start: Start = Box::new(move |_capabilities| Box::new(activate));
    install(builder, start);
    Ok(())
}
