//! Savepoints that somebody wishes for.

use super::{Action, Coordinator, Request, Then};
use crate::messages::Order;

impl Coordinator {
    /// Takes a wish for a savepoint, if the job is not ending and there is no other.
    pub(super) fn requested(&mut self, request: Request) {
        let last = self.last();
        let why = match self.request {
            _ if self.released || (last.is_some() && request.url.is_some()) => "the job is ending",
            Some(_) => "another one is under way",
            None => "",
        };
        if !why.is_empty() {
            self.actions.push(Action::Answer(Err(why.to_owned())));
            return;
        }
        // No other checkpoint follows the last one.
        self.requested = last;
        if request.then == Then::Drain {
            self.actions.push(Action::Order(Order::Drain));
        }
        self.request = Some(request);
    }

    /// Answers the wish, and does what is to happen afterwards.
    pub(super) fn exported(&mut self, exported: Result<(), String>) {
        let (Some(request), Some(checkpoint)) = (self.request.take(), self.requested.take()) else {
            return;
        };
        let failed = exported.is_err();
        self.actions.push(Action::Answer(exported.map(|()| checkpoint)));
        match request.then {
            // A job that was to stop with a savepoint goes on without one.
            Then::Suspend if !failed => {
                self.released = true;
                self.actions.push(Action::Order(Order::Halt));
            }
            Then::Drain => self.release(),
            _ => self.release_if_done(),
        }
    }
}
