//! Where work is done that takes long: on other threads, or at once in a simulation.

use std::any::Any;

use futures_util::future::{BoxFuture, FutureExt};
use highwater_core::error::{Error, Result};

/// A piece of work of any result.
type Work = Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>;

/// Does work elsewhere.
pub trait Offload: Send + Sync {
    /// Does a piece of work, and returns its result; an error says why it has none.
    fn offload(&self, work: Work) -> BoxFuture<'static, Result<Box<dyn Any + Send>, String>>;
}

/// Does work on the threads that tokio keeps for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Threads;

impl Offload for Threads {
    fn offload(&self, work: Work) -> BoxFuture<'static, Result<Box<dyn Any + Send>, String>> {
        tokio::task::spawn_blocking(work)
            .map(|done| done.map_err(|panicked| panicked.to_string()))
            .boxed()
    }
}

/// Does work at once, on the thread that asks for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtOnce;

impl Offload for AtOnce {
    fn offload(&self, work: Work) -> BoxFuture<'static, Result<Box<dyn Any + Send>, String>> {
        let done = work();
        async move { Ok(done) }.boxed()
    }
}

impl dyn Offload + '_ {
    /// Does a piece of work of any type.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let done = self.offload(Box::new(move || Box::new(work()))).await;
        let done = done.map_err(|why| Error::state(format!("work in the background: {why}")))?;
        match done.downcast() {
            Ok(value) => Ok(*value),
            Err(_) => unreachable!("work has the result of its own type"),
        }
    }
}
