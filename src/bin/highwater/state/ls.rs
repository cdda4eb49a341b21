//! `highwater state ls`: what there is in a savepoint or checkpoint.
//!
//! Everything is read and compared with its checksums, so that a listing also says that the snapshot
//! is whole.

use std::collections::BTreeSet;
use std::io::Write;

use highwater::checkpoint::error::UnreadableState;
use highwater::checkpoint::inspect::{Entry, Snapshot, StateParts};
use highwater::checkpoint::manifest::{Manifest, OperatorSnapshot, SnapshotKind};
use highwater::state::format::{FormatError, Header};
use highwater::state::untyped::StoredKind;
use highwater::{Error, Result};
use serde_json::Value;

use super::{Place, text, written};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<()> {
    let snapshot = args.place.open()?;
    written(writeln!(out, "{}", head(snapshot.manifest())))?;
    for operator in &snapshot.manifest().operators {
        list(&snapshot, operator, out)?;
    }
    Ok(())
}

/// Describes the whole.
fn head(manifest: &Manifest) -> String {
    let Manifest { checkpoint, attempt, workers, max_parallelism, .. } = manifest;
    let what = match manifest.kind {
        SnapshotKind::Savepoint => "savepoint of checkpoint",
        SnapshotKind::Checkpoint => "checkpoint",
    };
    let ended = if manifest.finished { ", after which the job had ended" } else { "" };
    let workers = text::count(*workers as u64, "worker", "workers");
    let (taken, size) = (text::instant(manifest.created_ms), text::size(manifest.parts_bytes()));
    format!(
        "{what} {checkpoint} of attempt {attempt}{ended}\n\
         taken at {taken} by {workers}, max parallelism {max_parallelism}, {size}"
    )
}

fn list(snapshot: &Snapshot, operator: &OperatorSnapshot, out: &mut dyn Write) -> Result<()> {
    let OperatorSnapshot { uid, name, watermarks, committables, .. } = operator;
    let watermarks: BTreeSet<i64> = watermarks.iter().copied().collect();
    let watermark = match (watermarks.first(), watermarks.last()) {
        (None, _) | (_, None) => "none yet".to_owned(),
        (Some(first), Some(last)) if first == last => text::watermark(*first),
        (Some(first), Some(last)) => {
            format!("{} to {}", text::watermark(*first), text::watermark(*last))
        }
    };
    written(writeln!(out, "\noperator {name:?}, uid {uid:?}, watermark {watermark}"))?;
    for state in operator.state_names() {
        let parts = snapshot.parts(operator, state)?;
        let stored = operator.states.iter().filter(|stored| stored.state == state);
        let chains = stored.flat_map(|stored| &stored.chain);
        let bytes = chains.flat_map(|link| std::iter::once(&link.part).chain(&link.slots));
        let size = text::size(bytes.map(|part| part.bytes()).sum());
        let Listed { kind, header, entries, splits } = look(&parts)?;
        let types = &header.schemas;
        let (key, value) = (&types.key, &types.value);
        written(writeln!(out, "  state {state:?}: {kind}, {entries}, {size}"))?;
        if kind == StoredKind::Splits {
            splits.iter().try_for_each(|split| written(writeln!(out, "    {}", line(split))))?;
            continue;
        }
        if !kind.is_keyless() {
            let namespace = types.namespace.to_string();
            if namespace != "()" {
                written(writeln!(out, "    namespace {namespace}"))?;
            }
            written(writeln!(out, "    key {key}"))?;
        }
        written(writeln!(out, "    value {value}"))?;
    }
    if !committables.is_empty() {
        let count = text::count(committables.len() as u64, "result", "results");
        written(writeln!(out, "  {count} prepared by its sink, to be made visible by a restore"))?;
    }
    Ok(())
}

/// What is said of a state.
struct Listed {
    kind: StoredKind,
    header: Header,
    entries: String,
    splits: Vec<Entry>,
}

fn look(parts: &StateParts) -> Result<Listed> {
    let headers = parts.headers()?;
    let Some(header) = headers.last().cloned() else {
        return Err(Error::state("a state without parts"));
    };
    let kind = StoredKind::of(&header);
    let entries = |number, exact| {
        let entries = text::count(number, "entry", "entries");
        if exact { entries } else { format!("at most {entries}") }
    };
    let view = match parts.view() {
        Ok(view) => view,
        Err(UnreadableState { source: FormatError::Unhashed { .. }, .. }) => {
            let number = headers.iter().map(|header| header.entries).sum();
            return Ok(Listed { kind, header, entries: entries(number, false), splits: vec![] });
        }
        Err(error) => return Err(error.into()),
    };
    let (number, groups) = view.count()?;
    let mut listed = Listed { kind, header, entries: entries(number, true), splits: vec![] };
    if !kind.is_keyless() {
        let groups = text::count(groups as u64, "key group", "key groups");
        listed.entries.push_str(&format!(" in {groups}"));
    }
    if kind == StoredKind::Splits {
        listed.splits = view.entries()?.collect::<Result<_>>()?;
    }
    Ok(listed)
}

/// Writes a split of a source, and how far it has been read.
fn line(split: &Entry) -> String {
    let of = |name: &str| split.value.get(name).unwrap_or(&Value::Null);
    let mut line = format!("{} read up to {}", split.key, of("offset"));
    for state in ["idle", "finished"] {
        if of(state) == &Value::Bool(true) {
            line.push_str(&format!(", {state}"));
        }
    }
    line
}
