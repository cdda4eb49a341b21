//! Which operator serves which windows: a choice by assigner and trigger.
//!
//! | windows | default trigger | another trigger |
//! |---|---|---|
//! | on a grid, in event time | `AlignedWindows` | `GeneralWindows` |
//! | sessions | `SessionWindows` | `SessionWindows` |
//! | any others | `GeneralWindows` | `GeneralWindows` |

use std::marker::PhantomData;
use std::time::Duration;

use highwater_core::OutputTag;
use highwater_core::key::Key;
use highwater_core::record::{Data, ExchangeData};

use super::aligned::AlignedWindows;
use super::assigner::{Assigner, Global, Sliding, Tumbling};
use super::function::WindowFunction;
use super::general::GeneralWindows;
use super::lifetime::WindowOptions;
use super::session::SessionWindows;
use super::session_gap::{Session, SessionAssigner};
use super::trigger::Trigger;
use crate::key_by::KeyedStream;
use crate::stream::Processed;

/// The types of a window operator, under one name.
pub trait Types: 'static {
    /// The keys.
    type Key: Key;
    /// The values.
    type Value: ExchangeData;
    /// What reads a key from a value.
    type Select: Fn(&Self::Value) -> Self::Key + 'static;
    /// What is computed in a window.
    type Function: WindowFunction<Self::Key, Self::Value>;
}

/// The results of a window operator.
type Results<'scope, S> = Processed<
    'scope,
    <<S as Types>::Function as WindowFunction<<S as Types>::Key, <S as Types>::Value>>::Out,
>;

/// [`Types`] from a list of types.
#[derive(Debug)]
pub struct Of<K, T, F, W>(PhantomData<(K, T, F, W)>);

impl<K, T, F, W> Types for Of<K, T, F, W>
where
    K: Key,
    T: ExchangeData,
    F: Fn(&T) -> K + 'static,
    W: WindowFunction<K, T>,
{
    type Key = K;
    type Value = T;
    type Select = F;
    type Function = W;
}

/// Everything about a window operator but the windows and the trigger.
pub struct Setup<'scope, S: Types> {
    kind: &'static str,
    keyed: KeyedStream<'scope, S::Key, S::Value, S::Select>,
    function: S::Function,
    allowed_lateness: Duration,
    late: OutputTag<S::Value>,
}

impl<S: Types> std::fmt::Debug for Setup<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("keyed", &self.keyed).finish_non_exhaustive()
    }
}

impl<'scope, K, T, F, W> Setup<'scope, Of<K, T, F, W>>
where
    K: Key,
    T: ExchangeData,
    F: Fn(&T) -> K + 'static,
    W: WindowFunction<K, T>,
{
    pub(super) fn new(
        kind: &'static str,
        keyed: KeyedStream<'scope, K, T, F>,
        function: W,
        allowed_lateness: Duration,
        late: OutputTag<T>,
    ) -> Self {
        Setup { kind, keyed, function, allowed_lateness, late }
    }
}

impl<'scope, S: Types> Setup<'scope, S> {
    /// Adds the operator for windows on a grid, or for any others if they stand on none.
    fn assigned<A: Assigner<S::Value>>(self, windows: A) -> Results<'scope, S> {
        let Some(grid) = windows.alignment() else {
            let trigger = windows.default_trigger();
            return self.general(windows, trigger);
        };
        let Setup { kind, keyed, function, allowed_lateness, late } = self;
        keyed.operator(kind, move |mut backend, key, batch_mode| {
            windows.check()?;
            let options = options(allowed_lateness, late, batch_mode);
            let key = move |value: &S::Value| key(value);
            AlignedWindows::new(&mut backend, key, grid, function, options)
        })
    }

    fn general<A: Assigner<S::Value>, G: Trigger<S::Value>>(
        self,
        windows: A,
        trigger: G,
    ) -> Results<'scope, S> {
        let Setup { kind, keyed, function, allowed_lateness, late } = self;
        keyed.operator(kind, move |mut backend, key, batch_mode| {
            let options = options(allowed_lateness, late, batch_mode);
            let key = move |value: &S::Value| key(value);
            GeneralWindows::operator(&mut backend, key, windows, trigger, function, options)
        })
    }

    fn sessions<A: SessionAssigner<S::Value>, G: Trigger<S::Value>>(
        self,
        windows: A,
        trigger: G,
    ) -> Results<'scope, S> {
        let Setup { kind, keyed, function, allowed_lateness, late } = self;
        keyed.operator(kind, move |mut backend, key, batch_mode| {
            let options = options(allowed_lateness, late, batch_mode);
            let key = move |value: &S::Value| key(value);
            SessionWindows::operator(&mut backend, key, windows, trigger, function, options)
        })
    }
}

fn options<T>(
    allowed_lateness: Duration,
    late: OutputTag<T>,
    final_only: bool,
) -> WindowOptions<T> {
    WindowOptions { allowed_lateness, late_output: Some(late), final_only }
}

/// Windows that a stream can be divided into.
pub trait Windows<T: Data>: Sized + 'static {
    /// Adds the operator for these windows with their default trigger.
    #[doc(hidden)]
    fn by_default<S: Types<Value = T>>(self, setup: Setup<'_, S>) -> Results<'_, S>;

    /// Adds the operator for these windows with a trigger.
    #[doc(hidden)]
    fn by<S: Types<Value = T>, G: Trigger<T>>(
        self,
        trigger: G,
        setup: Setup<'_, S>,
    ) -> Results<'_, S>;
}

/// Windows of one's own, by an [`Assigner`].
#[derive(Clone, Copy, Debug)]
pub struct Assigned<A>(pub A);

/// Makes a type that is, or holds, an assigner usable as windows.
macro_rules! windows_by_assigner {
    ($name:ty, [$($generics:tt)*], $self:ident => $assigner:expr) => {
        impl<T: Data, $($generics)*> Windows<T> for $name {
            fn by_default<S: Types<Value = T>>($self, setup: Setup<'_, S>) -> Results<'_, S> {
                setup.assigned($assigner)
            }

            fn by<S: Types<Value = T>, G: Trigger<T>>(
                $self,
                trigger: G,
                setup: Setup<'_, S>,
            ) -> Results<'_, S> {
                setup.general($assigner, trigger)
            }
        }
    };
}

windows_by_assigner!(Tumbling, [], self => self);
windows_by_assigner!(Sliding, [], self => self);
windows_by_assigner!(Global, [], self => self);
windows_by_assigner!(Assigned<A>, [A: Assigner<T>], self => self.0);

impl<T: Data, P: 'static> Windows<T> for Session<P>
where
    Session<P>: SessionAssigner<T>,
{
    fn by_default<S: Types<Value = T>>(self, setup: Setup<'_, S>) -> Results<'_, S> {
        let trigger = self.default_trigger();
        setup.sessions(self, trigger)
    }

    fn by<S: Types<Value = T>, G: Trigger<T>>(
        self,
        trigger: G,
        setup: Setup<'_, S>,
    ) -> Results<'_, S> {
        setup.sessions(self, trigger)
    }
}

/// The trigger that the windows have when nobody names another.
#[derive(Clone, Copy, Debug)]
pub struct ByDefault;

/// A trigger that was named.
#[derive(Clone, Copy, Debug)]
pub struct By<G>(G);

impl<G> By<G> {
    pub(super) fn new(trigger: G) -> Self {
        By(trigger)
    }
}

/// A choice of trigger: none, or one.
pub trait TriggerChoice<T: Data>: Sized {
    /// Adds the operator for the windows with this choice.
    #[doc(hidden)]
    fn apply<S: Types<Value = T>, A: Windows<T>>(
        self,
        windows: A,
        setup: Setup<'_, S>,
    ) -> Results<'_, S>;
}

impl<T: Data> TriggerChoice<T> for ByDefault {
    fn apply<S: Types<Value = T>, A: Windows<T>>(
        self,
        windows: A,
        setup: Setup<'_, S>,
    ) -> Results<'_, S> {
        windows.by_default(setup)
    }
}

impl<T: Data, G: Trigger<T>> TriggerChoice<T> for By<G> {
    fn apply<S: Types<Value = T>, A: Windows<T>>(
        self,
        windows: A,
        setup: Setup<'_, S>,
    ) -> Results<'_, S> {
        windows.by(self.0, setup)
    }
}
