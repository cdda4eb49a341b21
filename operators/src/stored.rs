//! What sources start with when a job goes on from a checkpoint.

use highwater_core::cut::Cut;
use highwater_core::error::Result;
use highwater_core::shell::{SourceStates, SplitSnapshot};
use highwater_state::{Backend, OperatorListState};

use crate::environment::Env;

/// The name of the state in which a source keeps its splits.
const SPLITS: &str = "splits";

/// The splits of a source, as a list that belongs to no key.
struct StoredSplits {
    splits: OperatorListState<SplitSnapshot>,
    /// Whether the source was part of the checkpoint.
    is_restored: bool,
}

impl SourceStates for StoredSplits {
    fn restored(&self) -> Option<&[SplitSnapshot]> {
        self.is_restored.then(|| self.splits.get())
    }

    fn freeze(&mut self, splits: Vec<SplitSnapshot>, cut: &mut Cut) {
        self.splits.update(splits);
        self.splits.freeze(cut);
    }
}

/// Returns what keeps the splits of a source, `None` if the job takes no checkpoints.
///
/// # Errors
/// When what is stored cannot be read.
pub(crate) fn splits(env: &Env<'_>, uid: &str) -> Result<Option<Box<dyn SourceStates>>> {
    let job = env.dataflow().job();
    let Some(snapshots) = &job.config().snapshots else { return Ok(None) };
    let stored = snapshots.restored(uid)?;
    let is_restored = stored.is_some();
    let backend = Backend::heap(uid, job.key_groups(), env.worker());
    let mut backend = backend.restored(stored.unwrap_or_default());
    Ok(Some(Box::new(StoredSplits { splits: backend.list_state(SPLITS)?, is_restored })))
}
