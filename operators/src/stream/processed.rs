//! Operators with several outputs: a main one, and side outputs told apart by tags.
//!
//! ```text
//! operator --main output--> Processed, which is a DataStream
//!     '-----tag "late"----> side_output(&late): a DataStream, if somebody asks for it
//! ```
//!
//! An operator is given its side outputs when it is built, which is when the description of the job
//! is complete: only those exist that somebody listens to.

use std::cell::RefCell;
use std::rc::Rc;

use highwater_core::OutputTag;
use highwater_core::error::Result;
use highwater_core::record::Data;
use highwater_core::shell::{Built, SideRequest};

use super::{DataStream, Named};
use crate::environment::Env;
use crate::node::{Identity, Pending};

/// The main output of an operator that may have side outputs.
pub struct Processed<'scope, T: Data> {
    stream: DataStream<'scope, T>,
    sides: Sides<'scope>,
}

/// The side outputs that somebody listens to.
type Sides<'scope> = Rc<RefCell<Vec<SideRequest<'scope>>>>;

impl<T: Data> std::fmt::Debug for Processed<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.stream.fmt(f)
    }
}

impl<T: Data> Clone for Processed<'_, T> {
    fn clone(&self) -> Self {
        Processed { stream: self.stream.clone(), sides: Rc::clone(&self.sides) }
    }
}

impl<'scope, T: Data> std::ops::Deref for Processed<'scope, T> {
    type Target = DataStream<'scope, T>;
    fn deref(&self) -> &Self::Target {
        &self.stream
    }
}

impl<T: Data> Named for Processed<'_, T> {
    fn identity(&self) -> &Identity {
        self.stream.identity()
    }
}

impl<'scope, T: Data> Processed<'scope, T> {
    /// Adds a node that is an operator with side outputs.
    pub(crate) fn new(
        env: &Env<'scope>,
        kind: &str,
        build: impl FnOnce(
            &Env<'scope>,
            &Identity,
            Vec<SideRequest<'scope>>,
        ) -> Result<Built<'scope, T>>
        + 'scope,
    ) -> Self {
        let sides: Sides<'scope> = Rc::default();
        let requested = Rc::clone(&sides);
        let stream = env.node(env.identity(kind), move |env, identity| {
            let sides = requested.take();
            Ok(Pending::built(build(env, identity, sides)?))
        });
        Processed { stream, sides }
    }

    /// Returns the side output with this tag, after Flink's `getSideOutput`.
    ///
    /// - `output`: what the operator emits under the tag; nothing if it never does.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use highwater_core::OutputTag;
    /// # use highwater_operators::process::{KeyedProcessFunction, ProcessContext};
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// struct Sort { odd: OutputTag<u64> }
    ///
    /// impl KeyedProcessFunction<(), u64> for Sort {
    ///     type Out = u64;
    ///     fn process_element(&mut self, n: u64, cx: &mut ProcessContext<(), u64>) {
    ///         if n % 2 == 0 { cx.emit(n) } else { cx.emit_to(&self.odd, n) }
    ///     }
    /// }
    ///
    /// let odd = OutputTag::new("odd");
    /// let tag = odd.clone();
    /// let even = env.read(Collection::of(1..=5)).key_by(|_| ()).process(|_| Ok(Sort { odd: tag }));
    /// even.side_output(&odd).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [1, 3, 5]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn side_output<X: Data>(&self, tag: &OutputTag<X>) -> DataStream<'scope, X> {
        let place = Rc::new(RefCell::new(None));
        let found = Rc::clone(&place);
        let request = SideRequest::new(tag.clone(), move |built| {
            *place.borrow_mut() = Some(built);
        });
        self.sides.borrow_mut().push(request);
        let operator = self.stream.consumed();
        let env = self.stream.env();
        env.node(env.identity("side_output"), move |env, _| {
            operator.built(env)?;
            match found.take() {
                Some(built) => Ok(Pending::built(built)),
                None => unreachable!("an operator connects its side outputs when it is built"),
            }
        })
    }

    /// Returns the stream without its side outputs.
    #[must_use]
    pub fn stream(&self) -> DataStream<'scope, T> {
        self.stream.clone()
    }
}
