//! Sinks: where records leave the job.

use std::convert::Infallible;

use highwater_core::context::Context;
use highwater_core::metrics::Role;
use highwater_core::record::{Batch, Data};
use highwater_core::shell::{Inlet, Logic};
use highwater_core::sink::{Sink, Writer};

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
    /// Writes the records into a sink. They become visible when the whole job has succeeded.
    pub fn sink(&self, sink: impl Sink<T>) -> Sunk<'scope> {
        let shape = Shape { role: Role::Sink, follows_input: true };
        let operator = self.operator_of(
            "sink",
            shape,
            |env, built| Inlet::straight(env.dataflow(), built),
            move |env, _, _| {
                let writer = sink.open(env.worker(), env.workers())?;
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

/// Hands records to a writer.
struct Pour<T> {
    writer: Box<dyn Writer<T>>,
    job: std::sync::Arc<highwater_core::job::Job>,
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

    fn end(&mut self, cx: &mut Context<'_, Infallible>) {
        match self.writer.pre_commit() {
            Ok(Some(committable)) => self.job.hand_over(self.worker, committable),
            Ok(None) => {}
            Err(error) => cx.fail(error),
        }
    }
}

/// A sink that drops everything.
struct Discard;

impl<T: Data> Sink<T> for Discard {
    fn open(&self, _: usize, _: usize) -> highwater_core::Result<Box<dyn Writer<T>>> {
        Ok(Box::new(Discard))
    }
}

impl<T: Data> Writer<T> for Discard {
    fn write(&mut self, batch: &mut Batch<T>) -> highwater_core::Result<()> {
        batch.clear();
        Ok(())
    }

    fn pre_commit(
        &mut self,
    ) -> highwater_core::Result<Option<Box<dyn highwater_core::sink::Committable>>> {
        Ok(None)
    }
}
