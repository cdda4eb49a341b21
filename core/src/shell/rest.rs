//! When an operator runs again: at once, or when credit, a timer or a batch comes.
//!
//! | it has | it is activated |
//! |---|---|
//! | spent its budget | at once |
//! | no credit | by the receiver that gives half of it back |
//! | a processing-time timer | when that is over; under seeded turns always, as their clock jumps |
//! | work that a freeze has left | within a ms |
//! | to wait for the next phase of its loop | by the clock of the loop |
//! | nothing to do | by timely, when a batch or a frontier comes |

use std::time::Duration;

use super::Shell;
use crate::credit::Gate;
use crate::record::Data;

/// How long an idle operator rests before it looks again whether a freeze has been encoded.
const FOLD_EVERY: Duration = Duration::from_millis(1);

/// What an activation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing more can be done before something arrives.
    Idle,
    /// The budget is spent, there is more to do.
    More,
    /// There is no credit.
    Blocked,
    /// The phase of the loop has not begun yet.
    Resting,
}

impl<A: Data, B: Data, O: Data> Shell<A, B, O> {
    /// Step 7: arranges for the next activation.
    pub(super) fn rest(&mut self, outcome: Outcome, now_ms: i64) {
        match outcome {
            Outcome::More => self.activator.activate(),
            Outcome::Blocked => {
                self.metrics.blocked.add(1);
                let blocker = self.gates().find_map(|gate| gate.blocker(self.worker, self.epoch));
                self.held_by = blocker;
                if !self.gates().any(|gate| gate.wait(self.worker, self.epoch, &self.waiter)) {
                    self.activator.activate();
                }
            }
            Outcome::Idle | Outcome::Resting if self.folding => {
                self.activator.activate_after(FOLD_EVERY)
            }
            Outcome::Idle => {}
            // Its timers wait, too: the clock of the loop wakes it.
            Outcome::Resting => return,
        }
        let due = self.logic.first_processing_timer().map(|due| due.saturating_add(1));
        if due.is_some() && self.job.config().turns.is_some() {
            self.activator.activate();
        } else if let Some(due) = due
            && self.wake_ms.is_none_or(|wake| due < wake || wake <= now_ms)
        {
            self.wake_ms = Some(due);
            let delay = u64::try_from(due.saturating_sub(now_ms)).unwrap_or(0);
            self.activator.activate_after(Duration::from_millis(delay));
        }
    }

    /// Returns [`Outcome::Blocked`] when there is no credit.
    pub(super) fn blocked_or(&self, otherwise: Outcome) -> Outcome {
        if self.is_blocked() { Outcome::Blocked } else { otherwise }
    }

    /// Returns whether any output is out of credit.
    pub(super) fn is_blocked(&self) -> bool {
        self.gates().any(|gate| gate.blocked(self.worker, self.epoch))
    }

    /// The gates of all outputs.
    fn gates(&self) -> impl Iterator<Item = &Gate> {
        std::iter::once(&self.output.gate).chain(self.sides.gates())
    }
}
