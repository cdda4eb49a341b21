//! How operators are put into the dataflow: inlets, and the shell around a logic.

use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::channels::pact::ParallelizationContract;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::Antichain;

use super::flow::{Built, inputs};
use super::install::{Start, install, wakers};
use super::phases::Phases;
use super::{AnyLogic, Input, Logic, Output, Queue, Shell};
use crate::credit::{Edge, Gate};
use crate::dataflow::Dataflow;
use crate::error::Result;
use crate::exchange::{Route, Straight, flat_bytes};
use crate::key::stable_hash;
use crate::metrics::Role;
use crate::plan::{PlannedInput, Way};
use crate::record::{Batch, Data, ExchangeData, batch_bytes};
use crate::side::{OutputTag, Sides};
use crate::time::Time;
use crate::watermark::to_stamp;
use crate::worker::Running;

/// What timely may conclude from a stamp at an input about stamps at an output: that none is less,
/// or nothing at all.
fn summary(follows_input: bool) -> Antichain<()> {
    if follows_input { Antichain::from_elem(()) } else { Antichain::new() }
}

type Connect<'scope, T> =
    Box<dyn FnOnce(&mut OperatorBuilder<'scope, Time>, bool) -> Input<T> + 'scope>;

/// A stream on its way into an operator, with the way it takes.
pub struct Inlet<'scope, T: Data> {
    connect: Connect<'scope, T>,
    planned: Vec<PlannedInput>,
}

impl<T: Data> std::fmt::Debug for Inlet<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inlet").finish_non_exhaustive()
    }
}

impl<'scope, T: Data> Inlet<'scope, T> {
    /// Connects the stream to an operator.
    ///
    /// - `follows_input`: whether the operator's promise follows this input's.
    pub(crate) fn connect(
        self,
        builder: &mut OperatorBuilder<'scope, Time>,
        follows_input: bool,
    ) -> Input<T> {
        (self.connect)(builder, follows_input)
    }

    /// Writes down that the stream flows into the operator at this place of the plan.
    pub(crate) fn plan(&mut self, dataflow: &Dataflow<'scope>, place: usize) {
        dataflow.connect(place, std::mem::take(&mut self.planned));
    }

    /// Lets records stay on their worker.
    #[must_use]
    pub fn straight(dataflow: &Dataflow<'scope>, input: Built<'scope, T>) -> Self {
        let edge = dataflow.next_edge();
        let sender = Rc::default();
        let pact = Straight { edge: Arc::clone(&edge), sender: Rc::clone(&sender) };
        Inlet::over(input, Way::Forward, pact, edge, sender, flat_bytes)
    }

    fn over<P>(
        input: Built<'scope, T>,
        way: Way,
        pact: P,
        edge: Arc<Edge>,
        sender: crate::exchange::Sender,
        measure: fn(&Batch<T>) -> u64,
    ) -> Self
    where
        P: ParallelizationContract<Time, Batch<T>> + 'scope,
    {
        input.attach(&edge);
        let planned = inputs(&input.outlets, way, Some(edge.place()));
        let connect: Connect<'scope, T> = Box::new(move |builder, promises| {
            let outputs = builder.shape().outputs();
            let summary = || summary(promises);
            let connection: Vec<_> = (0..outputs).map(|output| (output, summary())).collect();
            let mut handle = builder.new_input_connection(input.stream, pact, connection);
            Input {
                puller: Box::new(move |deliver| {
                    handle.for_each(|capability, batch| {
                        deliver(*capability.time(), std::mem::take(batch), sender.get());
                    });
                }),
                edge,
                measure,
            }
        });
        Inlet { connect, planned }
    }
}

impl<'scope, T: ExchangeData> Inlet<'scope, T> {
    /// Sends every record to the worker that `route` names, from 0.
    pub fn route(
        dataflow: &Dataflow<'scope>,
        input: Built<'scope, T>,
        route: impl FnMut(&T) -> usize + 'static,
    ) -> Self {
        let edge = dataflow.next_edge();
        let sender = Rc::default();
        let batch_records = dataflow.batch_records::<T>();
        let pact =
            Route { route, edge: Arc::clone(&edge), sender: Rc::clone(&sender), batch_records };
        Inlet::over(input, Way::Custom, pact, edge, sender, batch_bytes)
    }

    /// Sends every record to the worker that owns the key group of its key.
    pub fn by_key<K: std::hash::Hash>(
        dataflow: &Dataflow<'scope>,
        input: Built<'scope, T>,
        key: impl Fn(&T) -> K + 'static,
    ) -> Self {
        let groups = dataflow.job().key_groups();
        let by_key = move |value: &T| groups.owner(groups.of_hash(stable_hash(&key(value))));
        let mut inlet = Inlet::route(dataflow, input, by_key);
        inlet.planned.iter_mut().for_each(|planned| planned.way = Way::Hash);
        inlet
    }
}

type Attach<'scope> = Box<
    dyn FnOnce(
            &Dataflow<'scope>,
            &mut OperatorBuilder<'scope, Time>,
            usize,
        ) -> Box<dyn FnOnce(Capability<Time>, &mut Sides)>
        + 'scope,
>;

/// Somebody's wish to listen to a side output.
pub struct SideRequest<'scope> {
    attach: Attach<'scope>,
}

impl std::fmt::Debug for SideRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SideRequest").finish_non_exhaustive()
    }
}

impl<'scope> SideRequest<'scope> {
    /// Returns a request for the side output with this tag; `built` is given its stream.
    pub fn new<T: Data>(tag: OutputTag<T>, built: impl FnOnce(Built<'scope, T>) + 'scope) -> Self {
        let attach: Attach<'scope> = Box::new(move |dataflow, builder, operator| {
            let (output, stream) = builder.new_output::<Batch<T>>();
            let gate = Gate::default();
            let name = Some(tag.name().to_owned());
            built(Built::new(stream, gate.clone(), operator, name));
            let batch_records = dataflow.batch_records::<T>();
            Box::new(move |capability, sides| {
                let output = Output::new(output, Some(capability), gate);
                sides.add(&tag, Box::new(output), batch_records);
            })
        });
        SideRequest { attach }
    }
}

/// What is known of an operator before its logic is made.
#[derive(Debug)]
pub struct ShellBuilder<'scope, A: Data, B: Data> {
    /// The stable identity.
    pub uid: String,
    /// What people call it.
    pub name: String,
    /// What it does in the graph.
    pub role: Role,
    /// The first input.
    pub left: Inlet<'scope, A>,
    /// The second input.
    pub right: Option<Inlet<'scope, B>>,
    /// The side outputs that somebody listens to.
    pub sides: Vec<SideRequest<'scope>>,
    /// Whether the operator's promise follows its input's; false if it makes its own watermarks.
    pub follows_input: bool,
}

impl<'scope, A: Data, B: Data> ShellBuilder<'scope, A, B> {
    /// Puts the operator into the dataflow.
    ///
    /// - `logic`: makes the logic on this worker.
    ///
    /// # Errors
    /// When the uid is taken, or those of `logic`.
    pub fn build<L>(
        self,
        dataflow: &Dataflow<'scope>,
        logic: impl FnOnce() -> Result<L>,
    ) -> Result<Built<'scope, L::Out>>
    where
        L: Logic<Left = A, Right = B>,
    {
        let place = dataflow.add(&self.uid, &self.name)?;
        let running = Running::new(&self.name);
        let logic = {
            let _running = running.enter();
            Box::new(logic()?)
        };
        Ok(self.put(dataflow, place, logic, running))
    }

    /// Writes down what flows into the operator.
    fn plan(&mut self, dataflow: &Dataflow<'scope>, place: usize) {
        self.left.plan(dataflow, place);
        if let Some(right) = &mut self.right {
            right.planned.iter_mut().for_each(|planned| planned.input = 1);
            right.plan(dataflow, place);
        }
        if !self.follows_input {
            dataflow.makes_watermarks(place);
        }
    }

    /// Puts an operator with this logic into the dataflow.
    fn put<O: Data>(
        mut self,
        dataflow: &Dataflow<'scope>,
        place: usize,
        logic: AnyLogic<A, B, O>,
        running: Running,
    ) -> Built<'scope, O> {
        let job = Arc::clone(dataflow.job());
        let worker = dataflow.worker();
        let first = job.first_epoch();
        let metrics = job.metrics().register(&self.uid, &self.name, worker, self.role, first);
        self.plan(dataflow, place);
        let mut builder = OperatorBuilder::new(self.name.clone(), dataflow.scope());
        let left = self.left.connect(&mut builder, self.follows_input);
        let right = self.right.map(|right| right.connect(&mut builder, self.follows_input));
        let inputs = builder.shape().inputs();
        let summary = || summary(self.follows_input);
        let connection: Vec<_> = (0..inputs).map(|input| (input, summary())).collect();
        let (output, stream) = builder.new_output_connection::<Batch<O>, _>(connection);
        let attached: Vec<_> = self
            .sides
            .into_iter()
            .map(|side| (side.attach)(dataflow, &mut builder, place))
            .collect();
        let gate = Gate::default();
        let built = Built::new(stream, gate.clone(), place, None);
        let info = builder.operator_info();
        let (activator, waiter) = wakers(dataflow, &info);
        let batch_records = dataflow.batch_records::<O>();
        let phases = Phases::new(dataflow, &activator);
        let batch_mode = job.batch_mode() && !phases.is_inside();
        let floor = to_stamp(logic.floor());
        let start: Start = Box::new(move |mut capabilities| {
            let mut sides = Sides::default();
            let mut of_sides = capabilities.split_off(1).into_iter();
            for attach in attached {
                if let Some(capability) = of_sides.next() {
                    attach(capability, &mut sides);
                }
            }
            let main = capabilities.pop();
            let output = Output::new(output, main, gate);
            let mut shell = Shell {
                logic,
                left,
                right,
                output,
                sides,
                queue: Queue::default(),
                buffer: Vec::new(),
                batch_records,
                epoch: phases.first(),
                watermark: floor,
                floor,
                firing: false,
                batch_mode,
                ended: false,
                folding: false,
                running,
                job,
                worker,
                metrics,
                activator,
                waiter,
                held_by: None,
                wake_ms: None,
                phases,
            };
            shell.begin();
            Box::new(move |frontiers| shell.activate(frontiers))
        });
        install(builder, start);
        built
    }
}
