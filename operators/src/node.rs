//! The description of one operator: who it is, what it is made of, and when it is built.
//!
//! A node is resolved once. Stateless steps whose only consumer is another step, or the assignment
//! of watermarks, are handed on as they are and share an operator with it; everything else stands
//! in the dataflow and can be consumed any number of times.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use highwater_core::Data;
use highwater_core::config::StateBackend;
use highwater_core::error::{Error, Result};
use highwater_core::shell::{
    Built, Flow, Origin, SourceBuilder, Stage, Staged, StagedFlow, Strategy, forward,
};

use crate::environment::Env;
use crate::stored::splits;

/// The name and the uid of an operator, and where it keeps its state.
#[derive(Debug)]
pub struct Identity {
    name: RefCell<String>,
    uid: RefCell<String>,
    /// `None` if it does not say so itself.
    state: Cell<Option<StateBackend>>,
}

impl Identity {
    pub(crate) fn new(kind: &str, place: usize) -> Self {
        Identity {
            name: RefCell::new(kind.to_owned()),
            uid: RefCell::new(format!("{kind}-{place}")),
            state: Cell::new(None),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.name.borrow().clone()
    }

    pub(crate) fn uid(&self) -> String {
        self.uid.borrow().clone()
    }

    pub(crate) fn set_name(&self, name: &str) {
        name.clone_into(&mut self.name.borrow_mut());
    }

    pub(crate) fn set_uid(&self, uid: &str) {
        uid.clone_into(&mut self.uid.borrow_mut());
    }

    pub(crate) fn state(&self) -> Option<StateBackend> {
        self.state.get()
    }

    pub(crate) fn set_state(&self, state: StateBackend) {
        self.state.set(Some(state));
    }
}

/// What a node resolves to.
pub(crate) struct Pending<'scope, T: Data> {
    /// The names of the steps that share the operator.
    name: String,
    kind: Kind<'scope, T>,
}

enum Kind<'scope, T: Data> {
    Source { uid: String, origin: Box<dyn Origin<T>> },
    Flow { uid: String, flow: Box<dyn Flow<'scope, T> + 'scope> },
    Built(Built<'scope, T>),
}

impl<'scope, T: Data> Pending<'scope, T> {
    /// A source without steps.
    pub(crate) fn source(identity: &Identity, origin: Box<dyn Origin<T>>) -> Self {
        Pending { name: identity.name(), kind: Kind::Source { uid: identity.uid(), origin } }
    }

    /// An operator that stands in the dataflow.
    pub(crate) fn built(built: Built<'scope, T>) -> Self {
        Pending { name: String::new(), kind: Kind::Built(built) }
    }

    /// Adds a stateless step.
    pub(crate) fn then<U: Data>(
        self,
        env: &Env<'scope>,
        identity: &Identity,
        stage: Stage<T, U>,
    ) -> Result<Pending<'scope, U>> {
        let (uid, first) = (identity.uid(), identity.name());
        match self.uid() {
            Some(part_of) => env.dataflow().add_part(&uid, &first, part_of)?,
            None => env.dataflow().add(&uid, &first)?,
        };
        let joined = format!("{} -> {first}", self.name);
        Ok(match self.kind {
            Kind::Source { uid, origin } => {
                let origin = Box::new(Staged { origin, stage });
                Pending { name: joined, kind: Kind::Source { uid, origin } }
            }
            Kind::Flow { uid, flow } => {
                let flow = Box::new(StagedFlow { flow, stage });
                Pending { name: joined, kind: Kind::Flow { uid, flow } }
            }
            Kind::Built(built) => {
                let flow = Box::new(StagedFlow { flow: Box::new(built), stage });
                Pending { name: first, kind: Kind::Flow { uid, flow } }
            }
        })
    }

    /// The uid of the operator that a step which is added now shares.
    fn uid(&self) -> Option<&str> {
        match &self.kind {
            Kind::Source { uid, .. } | Kind::Flow { uid, .. } => Some(uid),
            Kind::Built(_) => None,
        }
    }

    /// Makes it stand in the dataflow; a source may be given a strategy that then is not used.
    pub(crate) fn build(
        self,
        env: &Env<'scope>,
        strategy: &mut Option<Strategy<T>>,
    ) -> Result<Built<'scope, T>> {
        match self.kind {
            Kind::Built(built) => Ok(built),
            Kind::Flow { uid, flow } => Ok(forward(env.dataflow(), &uid, &self.name, flow)),
            Kind::Source { uid, origin } => {
                let states = splits(env, &uid)?;
                SourceBuilder {
                    uid,
                    name: self.name,
                    origin,
                    strategy: strategy.take(),
                    batch_mode: env.is_batch()?,
                    states,
                }
                .build(env.dataflow())
            }
        }
    }
}

type Resolve<'scope, T> =
    Box<dyn FnOnce(&Env<'scope>, &Identity) -> Result<Pending<'scope, T>> + 'scope>;

enum State<'scope, T: Data> {
    Described(Resolve<'scope, T>),
    /// Resolved into the operator of its only consumer, or being resolved.
    Taken,
    Built(Built<'scope, T>),
}

/// The description of one operator, and its place in the dataflow once it is built.
pub(crate) struct Node<'scope, T: Data> {
    identity: Rc<Identity>,
    /// The number of the loop that it stands in, 0 outside of loops.
    level: usize,
    consumers: Cell<usize>,
    state: RefCell<State<'scope, T>>,
}

impl<'scope, T: Data> Node<'scope, T> {
    pub(crate) fn new(identity: Rc<Identity>, level: usize, resolve: Resolve<'scope, T>) -> Self {
        let state = RefCell::new(State::Described(resolve));
        Node { identity, level, consumers: Cell::new(0), state }
    }

    /// Refuses a consumer that stands in another loop.
    fn check_level(&self, env: &Env<'scope>) -> Result<()> {
        if env.level() == self.level {
            return Ok(());
        }
        let name = self.identity.name();
        Err(Error::program(format!(
            "a stream of operator {name:?} is used in another loop than its own: it gets in by \
             `Loop::enter` and out by `Loop::leave`"
        )))
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Counts one more consumer.
    pub(crate) fn consume(&self) {
        self.consumers.set(self.consumers.get() + 1);
    }

    /// Returns the stream, building it first if need be.
    pub(crate) fn built(&self, env: &Env<'scope>) -> Result<Built<'scope, T>> {
        self.check_level(env)?;
        let state = self.state.replace(State::Taken);
        let built = match state {
            State::Built(built) => built,
            State::Described(resolve) => resolve(env, &self.identity)?.build(env, &mut None)?,
            State::Taken => unreachable!("{} is its own input", self.identity.name()),
        };
        *self.state.borrow_mut() = State::Built(built.clone());
        Ok(built)
    }

    /// Returns what the only consumer can add steps to, or the stream if there are several.
    pub(crate) fn take(&self, env: &Env<'scope>) -> Result<Pending<'scope, T>> {
        if self.consumers.get() > 1 {
            return Ok(Pending::built(self.built(env)?));
        }
        self.check_level(env)?;
        match self.state.replace(State::Taken) {
            State::Described(resolve) => resolve(env, &self.identity),
            State::Built(built) => Ok(Pending::built(built)),
            State::Taken => unreachable!("{} is its own input", self.identity.name()),
        }
    }
}

/// A node of any type, to be built at the end of the description.
pub(crate) trait Buildable {
    /// Builds the node, and thereby its inputs, unless a consumer will.
    fn build_if_last(&self) -> Result<()>;
}

impl<'scope, T: Data> Buildable for (Env<'scope>, Rc<Node<'scope, T>>) {
    fn build_if_last(&self) -> Result<()> {
        if self.1.consumers.get() > 0 {
            return Ok(());
        }
        self.1.built(&self.0).map(drop)
    }
}

/// Something without a stream, to be built at the end of the description.
pub(crate) struct Final<F>(Cell<Option<F>>);

impl<F> Final<F> {
    pub(crate) fn new(build: F) -> Self {
        Final(Cell::new(Some(build)))
    }
}

impl<F: FnOnce() -> Result<()>> Buildable for Final<F> {
    fn build_if_last(&self) -> Result<()> {
        self.0.take().map_or(Ok(()), |build| build())
    }
}
