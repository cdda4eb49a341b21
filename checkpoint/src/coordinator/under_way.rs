//! What the checkpoints under way wait for, for whoever wants to know.

use std::time::Duration;

use super::Coordinator;
use super::statistics::{Stage, UnderWay};

impl Coordinator {
    /// Returns the checkpoints under way, oldest first; those that were given up are not.
    pub(super) fn under_way(&self) -> Vec<UnderWay> {
        let triggered_ms = |since: Duration| {
            let ago = self.now.saturating_sub(since).as_millis();
            self.now_ms.saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX))
        };
        let completing = self.completing.iter().map(|completing| UnderWay {
            checkpoint: completing.checkpoint.0,
            triggered_ms: triggered_ms(completing.triggered),
            stage: if completing.completed.is_some() { Stage::Committing } else { Stage::Storing },
            acknowledged: self.instances.as_ref().map_or(0, |instances| instances.len()),
            waits_for: Vec::new(),
        });
        let pending = self.pending.iter().filter(|(_, pending)| !pending.aborted);
        let pending = pending.map(|(checkpoint, pending)| UnderWay {
            checkpoint: checkpoint.0,
            triggered_ms: triggered_ms(pending.since),
            stage: Stage::Freezing,
            acknowledged: pending.acks.len(),
            waits_for: pending.silent().cloned().collect(),
        });
        completing.chain(pending).collect()
    }
}
