//! Triggers and windows of all kinds, each behind one type.
//!
//! The compiler makes an operator for every combination of windows, trigger and function, and tests
//! that draw or read their jobs have most combinations. With one type for all triggers and one for
//! all windows it makes a handful. What is tested stays the same: every question is handed on to the
//! engine's own trigger or assigner.

use std::rc::Rc;

use highwater_core::error::Result;
use highwater_core::time::EventTime;
use highwater_operators::window::assigner::{Alignment, Assigner};
use highwater_operators::window::{
    AtEnd, ContinuousEventTime, Count, Purging, SessionAssigner, TimeWindow, Trigger,
    TriggerContext, TriggerResult,
};
use serde::{Deserialize, Serialize};

/// A trigger that leaves the contents of its window.
#[derive(Clone, Copy, Debug)]
pub enum Keeping {
    /// By one of the clocks, or never.
    AtEnd(AtEnd),
    /// By count.
    Count(Count),
    /// At intervals.
    Every(ContinuousEventTime),
}

/// A trigger that leaves the contents of its window, or empties it.
#[derive(Clone, Copy, Debug)]
pub enum AnyTrigger {
    /// Leaves them.
    Keeping(Keeping),
    /// Empties it.
    Purging(Purging<Keeping>),
}

impl AnyTrigger {
    /// Returns a trigger of this kind.
    #[must_use]
    pub fn new(kind: Keeping, purging: bool) -> Self {
        if purging { AnyTrigger::Purging(Purging(kind)) } else { AnyTrigger::Keeping(kind) }
    }
}

/// What a trigger remembers, as the kind of trigger says.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Remembered {
    at_end: bool,
    count: u64,
    every: Option<i64>,
}

/// Implements a trigger that hands every question on.
///
/// - `trigger`, `part`: names of the trigger that is asked and of its part of what is remembered.
macro_rules! hands_on {
    ($name:ident { $($kind:ident => |$state:ident| $part:expr,)* }) => {
        impl<T> Trigger<T> for $name {
            type State = Remembered;

            fn check(&self) -> Result<()> {
                match self { $($name::$kind(trigger) => Trigger::<T>::check(trigger),)* }
            }

            fn on_element(
                &self,
                value: &T,
                event_time: EventTime,
                state: &mut Remembered,
                cx: &mut TriggerContext<'_>,
            ) -> TriggerResult {
                match self {
                    $($name::$kind(trigger) => {
                        let $state = state;
                        trigger.on_element(value, event_time, &mut $part, cx)
                    })*
                }
            }

            fn on_event_time(
                &self,
                time: i64,
                state: &mut Remembered,
                cx: &mut TriggerContext<'_>,
            ) -> TriggerResult {
                match self {
                    $($name::$kind(trigger) => {
                        let $state = state;
                        Trigger::<T>::on_event_time(trigger, time, &mut $part, cx)
                    })*
                }
            }

            fn on_processing_time(
                &self,
                time: i64,
                state: &mut Remembered,
                cx: &mut TriggerContext<'_>,
            ) -> TriggerResult {
                match self {
                    $($name::$kind(trigger) => {
                        let $state = state;
                        Trigger::<T>::on_processing_time(trigger, time, &mut $part, cx)
                    })*
                }
            }

            fn can_merge(&self) -> bool {
                match self { $($name::$kind(trigger) => Trigger::<T>::can_merge(trigger),)* }
            }

            fn merge_states(&self, into: &mut Remembered, mut from: Remembered) {
                match self {
                    $($name::$kind(trigger) => {
                        let $state = &mut from;
                        let from = $part;
                        let $state = into;
                        Trigger::<T>::merge_states(trigger, &mut $part, from);
                    })*
                }
            }

            fn on_merge(&self, state: &mut Remembered, cx: &mut TriggerContext<'_>) {
                match self {
                    $($name::$kind(trigger) => {
                        let $state = state;
                        Trigger::<T>::on_merge(trigger, &mut $part, cx);
                    })*
                }
            }

            fn clear(&self, state: &mut Remembered, cx: &mut TriggerContext<'_>) {
                match self {
                    $($name::$kind(trigger) => {
                        let $state = state;
                        Trigger::<T>::clear(trigger, &mut $part, cx);
                    })*
                }
            }

            fn is_clear(&self, state: &Remembered) -> bool {
                match self {
                    $($name::$kind(trigger) => {
                        let $state = state;
                        Trigger::<T>::is_clear(trigger, &$part)
                    })*
                }
            }

            fn needs_event_time(&self) -> bool {
                match self { $($name::$kind(trigger) => Trigger::<T>::needs_event_time(trigger),)* }
            }
        }
    };
}

hands_on!(Keeping {
    AtEnd => |state| state.at_end,
    Count => |state| state.count,
    Every => |state| state.every,
});
hands_on!(AnyTrigger {
    Keeping => |state| *state,
    Purging => |state| *state,
});

/// Declares a type that stands for every type of a trait, and hands every question on.
///
/// - `rest`: the methods in which the traits differ.
macro_rules! any_of {
    ($(#[$doc:meta])* $name:ident: $kind:ident { $($rest:item)* }) => {
        $(#[$doc])*
        pub struct $name<T>(Rc<dyn $kind<T>>);

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                $name(Rc::clone(&self.0))
            }
        }

        impl<T> std::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }

        impl<T> $name<T> {
            /// Returns one of them.
            pub fn new(one: impl $kind<T>) -> Self {
                $name(Rc::new(one))
            }
        }

        impl<T: 'static> $kind<T> for $name<T> {
            fn check(&self) -> Result<()> {
                self.0.check()
            }

            fn is_event_time(&self) -> bool {
                self.0.is_event_time()
            }

            fn default_trigger(&self) -> AtEnd {
                self.0.default_trigger()
            }

            $($rest)*
        }
    };
}

any_of! {
    /// Windows that do not merge, of any kind.
    AnyWindows: Assigner {
        fn assign(&self, value: &T, event_time: EventTime, now_ms: i64, to: &mut Vec<TimeWindow>) {
            self.0.assign(value, event_time, now_ms, to);
        }

        fn alignment(&self) -> Option<Alignment> {
            self.0.alignment()
        }
    }
}

any_of! {
    /// Sessions of any kind.
    AnySessions: SessionAssigner {
        fn session(&self, value: &T, time: i64) -> Result<TimeWindow> {
            self.0.session(value, time)
        }
    }
}
