//! A world that fails from a seed, to test what survives it.
//!
//! ```text
//! seed --> Turns: which task goes on next, when time passes, who is killed in the middle of a step
//!     '--> FaultyStore: what fails before it is done, after it, or is done much later
//! ```
//!
//! Everything runs on one thread and draws from the seed alone, so that a seed repeats a run. For
//! tests and simulations only.

mod store;
mod turns;

pub use store::{Faults, FaultyStore};
pub use turns::{Task, Turns};

use std::pin::Pin;
use std::task::{Context, Poll};

/// Lets the other tasks go first, once.
#[derive(Debug, Default)]
struct Turn {
    over: bool,
}

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.over {
            return Poll::Ready(());
        }
        self.over = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
