//! `highwater state diff`: the entries that two snapshots do not have in common.
//!
//! Watermarks, workers and the numbers of checkpoints are not compared: two savepoints that hold the
//! same state do not differ, even if different numbers of workers have taken them.

use std::collections::BTreeSet;
use std::io::Write;

use highwater::Result;
use highwater::checkpoint::inspect::{Change, Snapshot, StateParts, StateView, Tally, compare};

use super::{text, written};

#[derive(clap::Args)]
pub(super) struct Args {
    /// A savepoint, or the folder in which a job keeps its checkpoints
    before: String,
    /// Another one
    after: String,
    /// A retained checkpoint of the first job instead of its newest one
    #[arg(long, value_name = "N")]
    checkpoint_before: Option<u64>,
    /// A retained checkpoint of the second job instead of its newest one
    #[arg(long, value_name = "N")]
    checkpoint_after: Option<u64>,
}

/// Returns whether both are the same.
pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<bool> {
    let before = Snapshot::open(&args.before, args.checkpoint_before)?;
    let after = Snapshot::open(&args.after, args.checkpoint_after)?;
    let mut same = true;
    let states: BTreeSet<_> = names(&before).chain(names(&after)).collect();
    for (uid, state) in states {
        let (old, new) = (parts(&before, uid, state)?, parts(&after, uid, state)?);
        let of = |snapshot: &Snapshot| snapshot.operator(uid).map(|found| found.name.clone());
        let name = of(&after).or_else(|| of(&before)).unwrap_or_default();
        let title = format!("state {state:?} of operator {name:?}, uid {uid:?}");
        let (old, new) = (view(old.as_ref())?, view(new.as_ref())?);
        same &= differences(&title, old.as_ref(), new.as_ref(), out)?;
    }
    Ok(same)
}

fn view(parts: Option<&StateParts>) -> Result<Option<StateView<'_>>> {
    Ok(parts.map(StateParts::view).transpose()?)
}

fn names(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &str)> {
    let operators = snapshot.manifest().operators.iter();
    operators.flat_map(|operator| {
        operator.state_names().into_iter().map(|state| (operator.uid.as_str(), state))
    })
}

/// Reads a state; `None` if the snapshot has none of the name.
fn parts(snapshot: &Snapshot, uid: &str, state: &str) -> Result<Option<StateParts>> {
    match snapshot.operator(uid) {
        Some(operator) if operator.state_names().contains(&state) => {
            snapshot.parts(operator, state).map(Some)
        }
        _ => Ok(None),
    }
}

/// Writes what differs in a state; returns whether nothing does.
fn differences(
    title: &str,
    before: Option<&StateView<'_>>,
    after: Option<&StateView<'_>>,
    out: &mut dyn Write,
) -> Result<bool> {
    let mut begun = false;
    let types = |view: &StateView<'_>| view.header().schemas.clone();
    let (old, new) = (before.map(types), after.map(types));
    let missing = match (&old, &new) {
        (Some(_), None) => Some("not in the second"),
        (None, Some(_)) => Some("not in the first"),
        (Some(old), Some(new)) if old != new => Some("of another type"),
        _ => None,
    };
    if let Some(missing) = missing {
        written(writeln!(out, "{title}: {missing}"))?;
        begun = true;
    }
    let tally = compare(before, after, &mut |change| {
        if !begun {
            begun = true;
            written(writeln!(out, "{title}"))?;
        }
        written(match change {
            Change::Added(entry) => {
                writeln!(out, "  + {} = {}", text::place(&entry), entry.value)
            }
            Change::Removed(entry) => {
                writeln!(out, "  - {} = {}", text::place(&entry), entry.value)
            }
            Change::Changed { before, after } => {
                writeln!(out, "  ~ {} = {} -> {after}", text::place(&before), before.value)
            }
        })
    })?;
    if begun {
        let Tally { added, removed, changed } = tally;
        written(writeln!(out, "  {added} added, {removed} removed, {changed} changed"))?;
    }
    Ok(!begun)
}
