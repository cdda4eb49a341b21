//! Sinks: where records leave the job.

use std::convert::Infallible;
use std::sync::Arc;

use highwater_core::context::Context;
use highwater_core::cut::Cut;
use highwater_core::error::Result;
use highwater_core::failpoint::reach;
use highwater_core::job::Job;
use highwater_core::metrics::Role;
use highwater_core::record::{Batch, Data};
use highwater_core::shell::{Inlet, Logic};
use highwater_core::sink::{Committable, Sink, Writer, WriterContext};
use highwater_core::time::Epoch;

use crate::environment::Env;
use crate::node::Identity;
use crate::stream::{DataStream, Named, Processed, Shape};

/// A sink that stands behind a stream.
#[derive(Debug)]
pub struct Sunk<'scope> {
    operator: Processed<'scope, Infallible>,
}

impl Named for Sunk<'_> {
    fn identity(&self) -> &Identity {
        self.operator.identity()
    }
}

impl<'scope, T: Data> DataStream<'scope, T> {
    /// Writes the records into a sink. They become visible when the whole job has succeeded, or with
    /// each checkpoint if it takes any.
    pub fn sink(&self, sink: impl Sink<T>) -> Sunk<'scope> {
        let shape = Shape { role: Role::Sink, follows_input: true };
        let operator = self.operator_of(
            "sink",
            shape,
            |env, built| Inlet::straight(env.dataflow(), built),
            move |env, identity, _| {
                let writer = open(env, &identity.uid(), &sink)?;
                Ok(Pour { writer, job: env.dataflow().job().clone(), worker: env.worker() })
            },
        );
        Sunk { operator }
    }

    /// Counts the records and drops them.
    pub fn discard(&self) -> Sunk<'scope> {
        self.sink(Discard)
    }
}

/// Opens the writer of this worker, after what earlier attempts left behind has been dealt with.
fn open<T: Data>(env: &Env<'_>, uid: &str, sink: &impl Sink<T>) -> Result<Box<dyn Writer<T>>> {
    let job = env.dataflow().job();
    let mut context = WriterContext::new(env.worker(), env.workers());
    if let Some(snapshots) = &job.config().snapshots {
        let place = env.dataflow().place(uid).unwrap_or_default();
        job.decided("recovered sink", place, || {
            reach("recover-before")?;
            sink.recover(snapshots.attempt(), &snapshots.committed(uid))?;
            if let Some(after) = snapshots.undo_after() {
                sink.undo(snapshots.attempt(), after)?;
            }
            reach("recover-after")
        })?;
        context.attempt = Some(snapshots.attempt());
        context.resumes = snapshots.resumes();
    }
    sink.open(context)
}

/// Hands records to a writer.
struct Pour<T> {
    writer: Box<dyn Writer<T>>,
    job: Arc<Job>,
    worker: usize,
}

impl<T: Data> Logic for Pour<T> {
    type Left = T;
    type Right = Infallible;
    type Out = Infallible;

    fn left(&mut self, batch: &mut Batch<T>, cx: &mut Context<'_, Infallible>) {
        if let Err(error) = self.writer.write(batch) {
            cx.fail(error);
        }
    }

    fn freeze(&mut self, cut: &mut Cut) {
        match self.writer.pre_commit(cut.epoch) {
            Ok(committables) => cut.add_committables(committables),
            Err(error) => cut.fail(error),
        }
    }

    /// What comes after the last checkpoint belongs to no result: its effect on the state is not
    /// part of the job, either.
    fn end(&mut self, cx: &mut Context<'_, Infallible>) {
        let committables = match self.writer.pre_commit(cx.epoch()) {
            Ok(committables) => committables,
            Err(error) => return cx.fail(error),
        };
        for mut committable in committables {
            if self.job.config().snapshots.is_some() {
                committable.abort();
                continue;
            }
            match committable.prepare() {
                Ok(_) => self.job.hand_over(self.worker, committable),
                Err(error) => {
                    committable.abort();
                    cx.fail(error);
                }
            }
        }
    }
}

/// A sink that drops everything.
struct Discard;

impl<T: Data> Sink<T> for Discard {
    fn open(&self, _: WriterContext) -> Result<Box<dyn Writer<T>>> {
        Ok(Box::new(Discard))
    }

    fn undo(&self, _: u64, _: Epoch) -> Result<()> {
        Ok(())
    }
}

impl<T: Data> Writer<T> for Discard {
    fn write(&mut self, batch: &mut Batch<T>) -> Result<()> {
        batch.clear();
        Ok(())
    }

    fn pre_commit(&mut self, _: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        Ok(Vec::new())
    }
}
