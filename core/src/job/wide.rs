//! What a job knows of its other processes, and how it ends with them.
//!
//! Without other processes everything here is a matter of this one.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{EDGE, Job};
use crate::across::{Across, Totals};
use crate::credit::Edge;
use crate::error::{Error, Result};
use crate::metrics::Role;
use crate::shell::Gossip;
use crate::sink::Committable;
use crate::time::Epoch;

impl Job {
    /// Returns the value that the workers of all processes share under this name, made by whoever
    /// comes first in process 0.
    ///
    /// - `kind`, `place`: the name, as in [`shared`](Self::shared).
    ///
    /// # Errors
    /// Those of `make`, or when the job fails while this process waits for the value.
    pub fn decided<T: Serialize + DeserializeOwned + Send + Sync + 'static>(
        &self,
        kind: &'static str,
        place: usize,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        self.shared(kind, place, || match &self.across {
            Some(across) => across.decide(kind, place, make),
            None => make(),
        })
    }

    /// Returns the edge with this number, the same on all workers.
    pub(crate) fn edge(&self, place: usize, workers: usize) -> Arc<Edge> {
        let Self { config, across, .. } = self;
        let edge = self.shared(EDGE, place, || {
            let edge = Edge::new(workers, config.credit_bytes).at(place);
            Ok(match across {
                Some(across) => edge.across(&across.credits, config.credit_bytes_across),
                None => edge,
            })
        });
        let edge = edge.unwrap_or_else(|_| unreachable!("making an edge cannot fail"));
        if let Some(across) = across {
            across.credits.add(place, &edge);
        }
        edge
    }

    /// Returns what the workers of the source at this place of the plan say.
    ///
    /// # Errors
    /// Never: making it cannot fail.
    pub(crate) fn gossip(&self, place: usize, workers: usize) -> Result<Arc<Gossip>> {
        let Some(across) = &self.across else {
            return self.shared("gossip", place, || Ok(Gossip::new(workers)));
        };
        let gossip = self.shared("gossip", place, || {
            let telling = Arc::downgrade(across);
            Ok(Gossip::new(workers).passed_on(Box::new(move |worker, status| {
                if let Some(across) = telling.upgrade() {
                    across.tell_status(place, worker, status);
                }
            })))
        })?;
        across.add_gossip(place, &gossip);
        Ok(gossip)
    }

    /// Returns the least epoch that an operator behind the sources is in, in any process; `None`
    /// when all have ended.
    pub(crate) fn least_epoch(&self) -> Option<Epoch> {
        let here = self.metrics.least_epoch();
        let elsewhere = self.across.as_ref().and_then(|across| across.least_of_others());
        here.into_iter().chain(elsewhere).min()
    }

    /// Lets a worker begin when all processes have built the same plan; false if the job fails
    /// before.
    ///
    /// # Errors
    /// [`Error::PlanMismatch`] when they have not.
    pub(crate) fn may_begin(&self) -> Result<bool> {
        match &self.across {
            Some(across) => across.wait_for_plans(self.config.workers),
            None => Ok(true),
        }
    }

    /// Returns the other processes, if there are any.
    pub(crate) fn others(&self) -> Option<&Arc<Across>> {
        self.across.as_ref()
    }

    /// Tells the other processes what was processed and how far this one is, now and then.
    ///
    /// - `wait`: waits, and returns whether to go on.
    pub(crate) fn keep_telling(&self, wait: impl Fn(Duration) -> bool) {
        let Some(across) = &self.across else { return };
        across.attend();
        while wait(Across::INTERVAL) {
            across.tell_owed();
            if self.is_built() {
                across.tell_least(self.metrics.least_epoch());
            }
        }
    }

    /// Returns what all workers have counted: in process 0 those of all processes, once the job has
    /// ended.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let totals = *self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.unwrap_or_else(|| Totals {
            records_in: self.metrics.sum(Role::Source, |o| o.records_in.get()),
            records_out: self.metrics.sum(Role::Sink, |o| o.records_in.get()),
            late_records_dropped: self
                .metrics
                .sum(Role::Operator, |o| o.late_records_dropped.get()),
        })
    }

    /// The error that ended a wait for other processes.
    fn ended_by(&self) -> Error {
        self.take_failure().unwrap_or_else(|| Error::program("the job has failed"))
    }

    /// Waits until the workers of all processes have ended.
    fn all_done(&self) -> Result<()> {
        if let Some(error) = self.take_failure() {
            return Err(error);
        }
        let Some(across) = &self.across else { return Ok(()) };
        let totals = across.all_done(self.totals()).ok_or_else(|| self.ended_by())?;
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = Some(totals);
        Ok(())
    }

    /// Makes the results of a job visible, worker by worker, or throws them away if it failed in
    /// any process.
    ///
    /// # Errors
    /// The first error of a commit; the results that follow it are then thrown away.
    pub fn finish(&self) -> Result<()> {
        let mut verdict = self.all_done();
        let mut committables: Vec<(usize, Box<dyn Committable>)> =
            std::mem::take(&mut *self.committables.lock().unwrap_or_else(PoisonError::into_inner));
        committables.sort_by_key(|(worker, _)| *worker);
        for (_, mut committable) in committables {
            match verdict {
                Ok(()) => verdict = committable.commit(),
                Err(_) => committable.abort(),
            }
        }
        match (&self.across, &verdict) {
            (Some(across), Ok(())) if !across.all_settled() => Err(self.ended_by()),
            (Some(across), Err(error)) => {
                across.fail(error);
                verdict
            }
            _ => verdict,
        }
    }
}
