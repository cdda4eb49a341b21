//! `highwater state diff`: the entries that two snapshots do not have in common.
//!
//! ```text
//! {"uid":"counts","state":"count","change":"changed","key_group":17,..,"before":12,"after":13}
//! ```
//!
//! Watermarks, workers and the numbers of checkpoints are not compared: two savepoints that hold the
//! same state do not differ, even if different numbers of workers have taken them.

use std::collections::BTreeSet;
use std::io::Write;

use highwater::Result;
use highwater::checkpoint::inspect::{Change, Entry, Snapshot, StateParts, StateView, compare};
use serde::Serialize;
use serde_json::Value;

use super::{Types, write_line};

#[derive(clap::Args)]
pub(super) struct Args {
    /// A savepoint, or the folder in which a job keeps its checkpoints
    before: String,
    /// Another one, or the same one
    after: String,
    /// A retained checkpoint of the first job instead of its newest one
    #[arg(long, value_name = "N")]
    checkpoint_before: Option<u64>,
    /// A retained checkpoint of the second job instead of its newest one
    #[arg(long, value_name = "N")]
    checkpoint_after: Option<u64>,
}

#[derive(Serialize)]
struct Line<'a, C> {
    uid: &'a str,
    state: &'a str,
    change: &'static str,
    #[serde(flatten)]
    what: C,
}

/// An entry that differs.
#[derive(Serialize)]
struct Differing {
    key_group: Option<u16>,
    namespace: Value,
    key: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

/// A state that is not there, or not of the same types.
#[derive(Serialize)]
struct Retyped {
    before: Option<Types>,
    after: Option<Types>,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<()> {
    let before = Snapshot::open(&args.before, args.checkpoint_before)?;
    let after = Snapshot::open(&args.after, args.checkpoint_after)?;
    let states: BTreeSet<_> = names(&before).chain(names(&after)).collect();
    for (uid, state) in states {
        let (old, new) = (parts(&before, uid, state)?, parts(&after, uid, state)?);
        let (old, new) = (view(old.as_ref())?, view(new.as_ref())?);
        differences(uid, state, old.as_ref(), new.as_ref(), out)?;
    }
    Ok(())
}

fn names(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &str)> {
    let operators = snapshot.manifest().operators.iter();
    operators.flat_map(|operator| {
        operator.state_names().into_iter().map(|state| (operator.uid.as_str(), state))
    })
}

/// Reads a state; `None` if the snapshot has none of the name.
fn parts(snapshot: &Snapshot, uid: &str, state: &str) -> Result<Option<StateParts>> {
    if !names(snapshot).any(|name| name == (uid, state)) {
        return Ok(None);
    }
    snapshot.parts(snapshot.operator(uid)?, state).map(Some)
}

fn view(parts: Option<&StateParts>) -> Result<Option<StateView<'_>>> {
    parts.map(StateParts::view).transpose()
}

/// Writes what differs in a state.
fn differences(
    uid: &str,
    state: &str,
    before: Option<&StateView<'_>>,
    after: Option<&StateView<'_>>,
    out: &mut dyn Write,
) -> Result<()> {
    let types = |view: &StateView<'_>| Types::of(&view.header().schemas);
    let (old, new) = (before.map(types), after.map(types));
    if old != new {
        let what = Retyped { before: old, after: new };
        write_line(out, &Line { uid, state, change: "type", what })?;
    }
    compare(before, after, &mut |change| {
        let (change, entry, before, after) = match change {
            Change::Added(entry) => ("added", entry.clone(), None, Some(entry.value)),
            Change::Removed(entry) => ("removed", entry.clone(), Some(entry.value), None),
            Change::Changed { before, after } => {
                ("changed", before.clone(), Some(before.value), Some(after))
            }
        };
        let Entry { key_group, namespace, key, .. } = entry;
        let what = Differing { key_group, namespace, key, before, after };
        write_line(out, &Line { uid, state, change, what })
    })
}
