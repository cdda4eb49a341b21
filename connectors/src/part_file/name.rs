//! The names of part files: those that readers see, and the hidden ones before them.
//!
//! ```text
//! part-WORKER.csv                          visible, of a job without checkpoints
//! part-WORKER-ATTEMPT-EPOCH-NUMBER.csv     visible, of a job with checkpoints
//! .part-WORKER[-ATTEMPT].csv.RANDOM.tmp    hidden, until the epoch is known and committed
//! ```

use highwater_core::error::{Error, Result};
use highwater_core::sink::WriterContext;
use highwater_core::time::Epoch;

use crate::file::is_hidden;

/// What the names of hidden files end with.
pub(crate) const HIDDEN_SUFFIX: &str = ".tmp";

/// How the files of one sink are named.
#[derive(Clone, Debug)]
pub(crate) struct Naming {
    /// What the names begin with, `part` unless the user gave another.
    pub(crate) prefix: String,
    /// What they end with, without a dot.
    pub(crate) extension: &'static str,
}

impl Naming {
    /// Refuses a prefix with which files would be hidden or in another folder.
    pub(crate) fn check(&self) -> Result<()> {
        let prefix = &self.prefix;
        if prefix.is_empty() || is_hidden(prefix) || prefix.contains(['/', '\\']) {
            let expected = "a name without slashes that does not begin with . or _";
            return Err(Error::option("the name of the output files", prefix, expected));
        }
        Ok(())
    }

    /// Returns the name of the only file of a worker in a job without checkpoints.
    pub(crate) fn whole(&self, worker: usize) -> String {
        format!("{}-{worker:05}.{}", self.prefix, self.extension)
    }

    /// Returns the name of a file of an epoch.
    pub(crate) fn of_epoch(
        &self,
        (worker, attempt): (usize, u64),
        epoch: Epoch,
        number: u64,
    ) -> String {
        let Naming { prefix, extension } = self;
        format!("{prefix}-{worker:05}-{attempt}-{}-{number}.{extension}", epoch.0)
    }

    /// Returns how the hidden names of a writer begin.
    pub(crate) fn hidden(&self, context: WriterContext) -> String {
        let attempt = context.attempt.map(|attempt| format!("-{attempt}")).unwrap_or_default();
        format!(".{}-{:05}{attempt}.{}.", self.prefix, context.worker, self.extension)
    }

    /// Returns the attempt that wrote a hidden file, if it is one of this sink in a job with
    /// checkpoints.
    pub(crate) fn attempt_of_hidden(&self, name: &str) -> Option<u64> {
        let name = name.strip_prefix('.')?.strip_suffix(HIDDEN_SUFFIX)?;
        let (stem, random) = name.rsplit_once('.')?;
        let stem = stem.strip_suffix(self.extension)?.strip_suffix('.')?;
        match self.numbers(stem)?.as_slice() {
            [_, attempt] if !random.is_empty() => Some(*attempt),
            _ => None,
        }
    }

    /// Returns the numbers in a visible name of ours, whatever its extension; `None` for a name of
    /// others, such as `part-late-00000.csv` of a sink named `part-late`.
    pub(crate) fn visible(&self, name: &str) -> Option<Vec<u64>> {
        let numbers = self.numbers(name.split('.').next()?)?;
        matches!(numbers.len(), 1 | 4).then_some(numbers)
    }

    fn numbers(&self, stem: &str) -> Option<Vec<u64>> {
        let rest = stem.strip_prefix(&self.prefix)?.strip_prefix('-')?;
        let digits = |field: &str| field.bytes().all(|byte| byte.is_ascii_digit());
        rest.split('-').map(|field| field.parse().ok().filter(|_| digits(field))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMING: Naming = Naming { prefix: String::new(), extension: "csv" };

    fn naming(prefix: &str) -> Naming {
        Naming { prefix: prefix.to_owned(), ..NAMING }
    }

    #[test]
    fn visible_names_are_told_from_those_of_other_sinks() {
        let part = naming("part");
        assert_eq!(part.visible(&part.whole(7)), Some(vec![7]));
        let name = part.of_epoch((7, 2), Epoch(31), 4);
        assert_eq!(name, "part-00007-2-31-4.csv");
        assert_eq!(part.visible(&name), Some(vec![7, 2, 31, 4]));
        assert_eq!(part.visible("part-00000.jsonl"), Some(vec![0]));
        for other in ["part-late-00000.csv", "late-00000.csv", "part-.csv", "part-1-2.csv", "part"]
        {
            assert_eq!(part.visible(other), None, "{other}");
        }
        assert_eq!(part.visible("part-+1.csv"), None);
    }

    #[test]
    fn hidden_names_belong_to_one_sink_and_one_attempt() {
        let part = naming("part");
        let of = |attempt| WriterContext { attempt, ..WriterContext::new(3, 4) };
        let hidden = |naming: &Naming, attempt| format!("{}aB3.tmp", naming.hidden(of(attempt)));
        assert_eq!(hidden(&part, Some(12)), ".part-00003-12.csv.aB3.tmp");
        assert_eq!(part.attempt_of_hidden(&hidden(&part, Some(12))), Some(12));
        for other in [
            hidden(&part, None),
            hidden(&naming("part-late"), Some(12)),
            hidden(&naming("part-1"), Some(12)),
            hidden(&Naming { extension: "jsonl", ..naming("part") }, Some(12)),
            ".part-00003-12.csv..tmp".to_owned(),
            ".part-00003-12.csv.aB3".to_owned(),
            "part-00003-12.csv.aB3.tmp".to_owned(),
        ] {
            assert_eq!(part.attempt_of_hidden(&other), None, "{other}");
        }
    }
}
