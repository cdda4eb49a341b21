//! Keyed streams: all records of a key meet on the worker that owns its key group.

use std::marker::PhantomData;
use std::rc::Rc;

use highwater_core::error::Result;
use highwater_core::key::{Key, stable_hash};
use highwater_core::record::{Data, ExchangeData};
use highwater_core::shell::{Inlet, Logic};
use highwater_state::Backend;

use crate::floored::{Floored, HashOf};
use crate::stateful::backend;
use crate::stream::{DataStream, Processed};

/// A stream divided by key, after Flink's `KeyedStream`.
///
/// - `F`: the function that reads the key from a value.
pub struct KeyedStream<'scope, K, T: Data, F> {
    pub(crate) stream: DataStream<'scope, T>,
    pub(crate) key: Rc<F>,
    key_type: PhantomData<fn() -> K>,
}

impl<K, T: Data, F> Clone for KeyedStream<'_, K, T, F> {
    fn clone(&self) -> Self {
        let (stream, key) = (self.stream.clone(), Rc::clone(&self.key));
        KeyedStream { stream, key, key_type: PhantomData }
    }
}

impl<K, T: Data, F> std::fmt::Debug for KeyedStream<'_, K, T, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl<'scope, T: ExchangeData> DataStream<'scope, T> {
    /// Divides the stream by key.
    ///
    /// - `key`: reads the key; called where the record is sent and where it arrives, so it must
    ///   always give the same key for the same value.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let words = env.read(Collection::of(["to", "be", "or", "not", "to", "be"].map(String::from)));
    /// let last = words.key_by(|word| word.len()).reduce(|longer, word| longer.max(word));
    /// last.sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results.last().map(String::as_str), Some("to"));
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn key_by<K: Key, F: Fn(&T) -> K + 'static>(&self, key: F) -> KeyedStream<'scope, K, T, F> {
        KeyedStream { stream: self.clone(), key: Rc::new(key), key_type: PhantomData }
    }
}

impl<'scope, K: Key, T: ExchangeData, F: Fn(&T) -> K + 'static> KeyedStream<'scope, K, T, F> {
    /// Adds an operator to which every record of a key comes on the same worker.
    pub(crate) fn operator<L>(
        &self,
        kind: &str,
        logic: impl FnOnce(Backend, Rc<F>, bool) -> Result<L> + 'scope,
    ) -> Processed<'scope, L::Out>
    where
        L: Logic<Left = T, Right = std::convert::Infallible>,
    {
        let (by_key, of_hash) = (Rc::clone(&self.key), Rc::clone(&self.key));
        let key = Rc::clone(&self.key);
        self.stream.operator(
            kind,
            move |env, built| Inlet::by_key(env.dataflow(), built, move |value| by_key(value)),
            move |env, identity, batch_mode| {
                let backend = backend(env, identity)?;
                let floors = backend.floors();
                let logic = logic(backend, key, batch_mode)?;
                let left: HashOf<T> = Box::new(move |value| stable_hash(&of_hash(value)));
                Ok(Floored::new(logic, &floors, (left, Box::new(|never| match *never {}))))
            },
        )
    }
}
