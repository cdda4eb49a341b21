//! Where a keyed operator keeps its state: where the job says, or where the operator does.
//!
//! ```text
//! --state, Config::state --default--> operator --> Backend: in memory, or over a store of the job
//! .state(StateBackend::Heap) -------> operator --'
//! ```

use highwater_core::config::StateBackend;
use highwater_core::error::{Error, Result};
use highwater_core::record::Data;
use highwater_state::Backend;

use crate::environment::Env;
use crate::join::JoinResult;
use crate::node::Identity;
use crate::stream::{Named, Processed};
use crate::window::WindowResult;

/// What comes out of an operator that keeps state.
pub trait Stateful: Named {
    /// Says where the operator keeps its state, whatever the job says.
    ///
    /// A snapshot does not depend on it: the state may be restored into the other place.
    ///
    /// # Examples
    /// ```
    /// # use std::sync::Arc;
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_operators::stream::Named;
    /// # use highwater_state::memory::MemoryStores;
    /// use highwater_core::config::{Config, StateBackend};
    /// use highwater_operators::stateful::Stateful;
    ///
    /// // The counts of all users need a store; the few of their countries are faster in memory.
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// let stores = MemoryStores { cache_bytes: 1 << 20 };
    /// let config = Config { stores: Some(Arc::new(stores)), ..Config::workers(2) };
    /// highwater_operators::environment::execute(config, move |env| {
    ///     let visits = [("ada", "GB"), ("bob", "US"), ("cat", "GB")];
    ///     let visits = visits.map(|(user, country)| (user.to_owned(), country.to_owned()));
    ///     let visits = env.read(Collection::of(visits));
    ///     let by_user = visits.key_by(|visit| visit.0.clone()).count().uid("users");
    ///     let by_country = visits.key_by(|visit| visit.1.clone()).count();
    ///     let by_country = by_country.state(StateBackend::Heap).uid("countries");
    ///     by_user.union(&[&by_country]).sink(sink.clone());
    ///     Ok(())
    /// })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results[..2], [("GB".to_string(), 1), ("GB".to_string(), 2)]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    fn state(self, backend: StateBackend) -> Self {
        self.identity().set_state(backend);
        self
    }
}

impl<T: Data> Stateful for Processed<'_, T> {}
impl<O: Data, T> Stateful for WindowResult<'_, O, T> {}
impl<O: Data, A, B> Stateful for JoinResult<'_, O, A, B> {}

/// Returns what makes the states of an operator on this worker, with what is stored of them.
///
/// # Errors
/// When what is stored cannot be read, or the operator wants a store and the job has none.
pub(crate) fn backend(env: &Env<'_>, identity: &Identity) -> Result<Backend> {
    let (job, uid) = (env.dataflow().job(), identity.uid());
    let config = job.config();
    let stores = match identity.state().or(config.state) {
        Some(StateBackend::Heap) => None,
        Some(StateBackend::Store) if config.stores.is_none() => {
            let name = identity.name();
            let message =
                format!("operator {name:?} keeps its state in a store, and the job has none");
            return Err(Error::program(message));
        }
        Some(StateBackend::Store) | None => config.stores.clone(),
    };
    let backend = Backend::heap(&uid, job.key_groups(), env.worker()).stores(stores);
    match &config.snapshots {
        None => Ok(backend),
        Some(snapshots) => {
            Ok(backend.durable(true).restored(snapshots.restored(&uid)?.unwrap_or_default()))
        }
    }
}
