//! Streams on their way between operators, and the stateless steps that follow them.
//!
//! ```text
//! Built --stage--> StagedFlow --stage--> StagedFlow --forward--> Built: one operator, no capability
//!   '-- the outputs it comes from, for the plan; their gates, for credit
//! ```

use std::sync::Arc;
use std::time::Instant;

use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Concatenate, InputCapability};
use timely::progress::operate::FrontierInterest;

use super::install::{Start, install};
use super::output::in_pieces;
use crate::credit::{Edge, Gate};
use crate::dataflow::Dataflow;
use crate::metrics::{OperatorMetrics, Role};
use crate::plan::{Outlet, PlannedInput, Way};
use crate::record::{Batch, Data};
use crate::time::Time;
use crate::worker::Running;

/// A stateless step: turns a batch into another, and leaves the first empty.
pub type Stage<A, B> = Box<dyn FnMut(&mut Batch<A>, &mut Batch<B>)>;

/// A stream that stands in the dataflow, with the outputs that it comes from and their gates.
pub struct Built<'scope, T: Data> {
    pub(super) stream: Stream<'scope, Time, Batch<T>>,
    gates: Vec<Gate>,
    pub(super) outlets: Vec<Outlet>,
}

impl<T: Data> Clone for Built<'_, T> {
    fn clone(&self) -> Self {
        let (gates, outlets) = (self.gates.clone(), self.outlets.clone());
        Built { stream: self.stream.clone(), gates, outlets }
    }
}

impl<T: Data> std::fmt::Debug for Built<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Built").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl<'scope, T: Data> Built<'scope, T> {
    /// Returns the stream of an output.
    ///
    /// - `operator`: the place in the plan of whoever emits into it.
    pub(crate) fn new(
        stream: Stream<'scope, Time, Batch<T>>,
        gate: Gate,
        operator: usize,
        tag: Option<String>,
    ) -> Self {
        Built { stream, gates: vec![gate], outlets: vec![Outlet { operator, tag }] }
    }

    /// Returns a stream between operators that are not in the plan.
    pub(crate) fn unplanned(stream: Stream<'scope, Time, Batch<T>>) -> Self {
        Built { stream, gates: Vec::new(), outlets: Vec::new() }
    }

    /// Returns the timely stream.
    #[must_use]
    pub fn stream(&self) -> &Stream<'scope, Time, Batch<T>> {
        &self.stream
    }

    pub(super) fn attach(&self, edge: &Arc<Edge>) {
        self.gates.iter().for_each(|gate| gate.attach(edge));
    }

    /// Merges streams into one.
    pub fn union(dataflow: &Dataflow<'scope>, streams: Vec<Self>) -> Self {
        let gates = streams.iter().flat_map(|built| built.gates.clone()).collect();
        let outlets = streams.iter().flat_map(|built| built.outlets.clone()).collect();
        let stream = dataflow.scope().concatenate(streams.into_iter().map(|built| built.stream));
        Built { stream, gates, outlets }
    }
}

/// Takes batches as they come, with the capability to send on what is made of them.
type Take<'a, T> = &'a mut dyn FnMut(&InputCapability<Time>, &mut Batch<T>);

/// Passes on everything that has arrived.
pub type Drain<T> = Box<dyn FnMut(Take<'_, T>)>;

/// A stream with the stateless steps that follow it, not yet an operator.
pub trait Flow<'scope, T> {
    /// Connects the stream to an operator, which counts the records that come in.
    fn connect(
        self: Box<Self>,
        builder: &mut OperatorBuilder<'scope, Time>,
        metrics: &Arc<OperatorMetrics>,
    ) -> Drain<T>;
    /// Returns the gates of whoever emits into the stream.
    fn gates(&self) -> Vec<Gate>;
    /// Returns the outputs that the stream comes from.
    fn outlets(&self) -> &[Outlet];
}

impl<'scope, T: Data> Flow<'scope, T> for Built<'scope, T> {
    fn connect(
        self: Box<Self>,
        builder: &mut OperatorBuilder<'scope, Time>,
        metrics: &Arc<OperatorMetrics>,
    ) -> Drain<T> {
        let input = builder.shape().inputs();
        let mut pulled = builder.new_input(self.stream, Pipeline);
        builder.set_notify_for(input, FrontierInterest::Never);
        let metrics = Arc::clone(metrics);
        Box::new(move |take| {
            pulled.for_each(|capability, batch| {
                metrics.records_in.add(batch.len() as u64);
                take(&capability, batch);
            });
        })
    }

    fn outlets(&self) -> &[Outlet] {
        &self.outlets
    }

    fn gates(&self) -> Vec<Gate> {
        self.gates.clone()
    }
}

/// A flow with one more step behind it.
pub struct StagedFlow<'scope, A, B> {
    /// The flow so far.
    pub flow: Box<dyn Flow<'scope, A> + 'scope>,
    /// The step.
    pub stage: Stage<A, B>,
}

impl<A, B> std::fmt::Debug for StagedFlow<'_, A, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StagedFlow").finish_non_exhaustive()
    }
}

impl<'scope, A: Data, B: Data> Flow<'scope, B> for StagedFlow<'scope, A, B> {
    fn connect(
        self: Box<Self>,
        builder: &mut OperatorBuilder<'scope, Time>,
        metrics: &Arc<OperatorMetrics>,
    ) -> Drain<B> {
        let mut drain = self.flow.connect(builder, metrics);
        let mut stage = self.stage;
        let mut made = Vec::new();
        Box::new(move |take| {
            drain(&mut |capability, batch| {
                stage(batch, &mut made);
                take(capability, &mut made);
                made.clear();
            });
        })
    }

    fn gates(&self) -> Vec<Gate> {
        self.flow.gates()
    }

    fn outlets(&self) -> &[Outlet] {
        self.flow.outlets()
    }
}

/// Makes one operator of a flow. It holds no capability and forwards stamps.
///
/// - `uid`: that of the first of the steps, which is in the plan.
/// - `name`: the names of all of them.
pub fn forward<'scope, T: Data>(
    dataflow: &Dataflow<'scope>,
    uid: &str,
    name: &str,
    flow: Box<dyn Flow<'scope, T> + 'scope>,
) -> Built<'scope, T> {
    let job = dataflow.job();
    let (role, first) = (Role::Stateless, job.first_epoch());
    let metrics = job.metrics().register(uid, name, dataflow.worker(), role, first);
    let place = dataflow.place(uid).unwrap_or_default();
    dataflow.connect(place, inputs(flow.outlets(), Way::Forward, None));
    let mut builder = OperatorBuilder::new(name.to_owned(), dataflow.scope());
    let gates = flow.gates();
    let mut drain = flow.connect(&mut builder, &metrics);
    let (mut output, stream) = builder.new_output::<Batch<T>>();
    let running = Running::new(name);
    let most = dataflow.batch_records::<T>();
    let start: Start = Box::new(move |_capabilities| {
        Box::new(move |_frontiers| {
            metrics.activity.begin(Instant::now());
            let _running = running.enter();
            let mut session = output.activate();
            drain(&mut |capability, batch| {
                metrics.records_out.add(batch.len() as u64);
                in_pieces(batch, most, |piece| session.give(capability, piece));
            });
            metrics.activity.end(Instant::now(), None);
            false
        })
    });
    install(builder, start);
    Built { stream, gates, outlets: vec![Outlet { operator: place, tag: None }] }
}

/// The streams of some outputs into the first input of an operator.
pub(super) fn inputs(outlets: &[Outlet], way: Way, edge: Option<usize>) -> Vec<PlannedInput> {
    let input = |from: &Outlet| PlannedInput { from: from.clone(), input: 0, way, edge };
    outlets.iter().map(input).collect()
}
