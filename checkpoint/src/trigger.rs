//! Starts an epoch now and then, while a job runs.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use highwater_core::job::Job;

/// Starts an epoch of a job at regular intervals, until it is dropped.
#[derive(Debug)]
pub struct PeriodicTrigger {
    /// Dropped to stop the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<u64>>,
}

impl PeriodicTrigger {
    /// Starts an epoch every `interval`, the first after one interval.
    #[must_use]
    pub fn every(job: &Arc<Job>, interval: Duration) -> Self {
        let (stop, stopped) = channel();
        let job = Arc::clone(job);
        let thread = std::thread::spawn(move || {
            let mut triggered = 0;
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let epoch = job.trigger();
                tracing::debug!(%epoch, "triggered");
                triggered += 1;
            }
            triggered
        });
        PeriodicTrigger { stop: Some(stop), thread: Some(thread) }
    }

    /// Stops, and returns how many epochs were started.
    #[must_use]
    pub fn stop(mut self) -> u64 {
        self.join()
    }

    fn join(&mut self) -> u64 {
        drop(self.stop.take());
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or(0)
    }
}

impl Drop for PeriodicTrigger {
    fn drop(&mut self) {
        self.join();
    }
}
