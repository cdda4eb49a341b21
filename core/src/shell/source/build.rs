//! How a source is put into the dataflow: its splits, its generators, its place in the gossip.

use std::sync::Arc;
use std::time::Instant;

use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::{ActiveSplit, SourceShell, SourceStates, Strategy};
use crate::credit::Gate;
use crate::dataflow::Dataflow;
use crate::error::{Error, Result};
use crate::metrics::Role;
use crate::record::{Batch, Data};
use crate::shell::idle::SplitWatermarks;
use crate::shell::install::{Start, install, wakers};
use crate::shell::origin::Origin;
use crate::shell::rate::Rate;
use crate::shell::{Built, Output};
use crate::time::Time;
use crate::worker::Running;

/// What is known of a source before it is built.
pub struct SourceBuilder<T: Data> {
    /// The stable identity.
    pub uid: String,
    /// What people call it.
    pub name: String,
    /// Where the records come from.
    pub origin: Box<dyn Origin<T>>,
    /// How they get event times and watermarks; `None` keeps the source's own event times and
    /// makes no watermarks.
    pub strategy: Option<Strategy<T>>,
    /// Whether there is one watermark only, at the end.
    pub batch_mode: bool,
    /// Keeps its splits in checkpoints; `None` if the job takes none.
    pub states: Option<Box<dyn SourceStates>>,
}

impl<T: Data> std::fmt::Debug for SourceBuilder<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceBuilder").field("uid", &self.uid).finish_non_exhaustive()
    }
}

impl<T: Data> SourceBuilder<T> {
    /// Puts the source into the dataflow.
    ///
    /// # Errors
    /// When the uid is taken, or the splits cannot be listed or opened.
    pub fn build<'scope>(mut self, dataflow: &Dataflow<'scope>) -> Result<Built<'scope, T>> {
        let place = dataflow.add(&self.uid, &self.name)?;
        let job = Arc::clone(dataflow.job());
        let (worker, workers) = (dataflow.worker(), dataflow.workers());
        let name = self.name.clone();
        let named =
            |source: Error| Error::Operator { operator: name.clone(), source: Box::new(source) };
        let running = Running::new(&self.name);
        let restored = self.states.as_ref().and_then(|states| states.restored());
        let readers = {
            let _running = running.enter();
            self.origin.open(dataflow, place, restored).map_err(named)?
        };
        let gossip = job.gossip(place, workers)?;
        let now_ms = job.now_ms();
        let splits = readers.into_iter().map(|reader| ActiveSplit {
            reader,
            generator: self.strategy.as_ref().map(|strategy| (strategy.generator)()),
            last_ms: now_ms,
            due: None,
            finished: false,
            records: 0,
        });
        let mut splits: Vec<_> = splits.collect();
        let mut watermarks = SplitWatermarks::new(splits.len());
        for (i, at) in restored.into_iter().flatten().enumerate() {
            watermarks.resume(i, at.stamp, at.idle, at.finished);
            splits[i].finished = at.finished;
            if let Some(generator) = &mut splits[i].generator {
                generator.restore(&at.generator).map_err(named)?;
            }
        }
        let mut builder = OperatorBuilder::new(self.name.clone(), dataflow.scope());
        let (output, stream) = builder.new_output::<Batch<T>>();
        let gate = Gate::default();
        let built = Built::new(stream, gate.clone(), place, None);
        let (activator, waiter) = wakers(dataflow, &builder.operator_info());
        activator.activate();
        let strategy = self.strategy.take();
        let idleness = strategy.as_ref().and_then(|strategy| strategy.idleness);
        let grid_ms =
            i64::try_from(job.config().watermark_interval.as_millis()).unwrap_or(i64::MAX);
        let rate = job.config().rate.map(|rate| Rate::new(rate as f64 / workers as f64));
        let first = job.first_epoch();
        let metrics = job.metrics().register(&self.uid, &self.name, worker, Role::Source, first);
        job.register_source(waiter.activator.clone());
        let idleness_ms = idleness.map(|d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
        let makes_watermarks = strategy.is_some();
        if makes_watermarks {
            dataflow.makes_watermarks(place);
        }
        let mut shell = SourceShell {
            watermarks,
            splits,
            start: Instant::now(),
            turn: 0,
            assign: strategy.and_then(|strategy| strategy.assign),
            idleness_ms,
            batch_mode: self.batch_mode,
            gossip,
            output: Output::new(output, None, gate),
            made: Vec::new(),
            batch_records: dataflow.batch_records::<T>(),
            epoch: first,
            stamp: i64::MIN,
            states: self.states,
            rate,
            step: now_ms.div_euclid(grid_ms),
            positions_ms: now_ms,
            grid_ms,
            running,
            job,
            worker,
            metrics,
            activator,
            waiter,
        };
        shell.publish(makes_watermarks).map_err(named)?;
        let start: Start = Box::new(move |mut capabilities| {
            shell.output.capability = capabilities.pop();
            shell.output.downgrade(Time::new(shell.epoch, shell.stamp));
            Box::new(move |_frontiers| shell.activate())
        });
        install(builder, start);
        Ok(built)
    }
}
