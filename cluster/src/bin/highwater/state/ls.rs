//! `highwater state ls`: what there is in a savepoint or checkpoint.
//!
//! ```text
//! {"snapshot":"savepoint","checkpoint":4,"attempt":1,..}
//! {"uid":"counts","name":"count","watermarks":[59999],"states":[{"state":"count","kind":"value",..}],..}
//! ```
//!
//! Everything is read and compared with its checksums, so that a listing also says that the snapshot
//! is whole.

use std::io::Write;

use highwater::Result;
use highwater::checkpoint::inspect::{Extent, Snapshot};
use highwater::checkpoint::manifest::{OperatorSnapshot, SnapshotKind};
use serde::Serialize;

use super::{Place, Types, write_line};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
}

/// The first line.
#[derive(Serialize)]
struct Head {
    snapshot: SnapshotKind,
    checkpoint: u64,
    attempt: u64,
    created_ms: i64,
    workers: usize,
    max_parallelism: u32,
    /// Whether the job had ended.
    finished: bool,
    bytes: u64,
}

#[derive(Serialize)]
struct Operator<'a> {
    uid: &'a str,
    name: &'a str,
    /// The watermark of each former worker, in ms since 1970; `null` where there was none yet.
    watermarks: Vec<Option<i64>>,
    /// How many results its sink had prepared, which a restore makes visible.
    prepared: usize,
    states: Vec<State<'a>>,
}

#[derive(Serialize)]
struct State<'a> {
    state: &'a str,
    kind: String,
    types: Types,
    /// `null` if the entries cannot be told apart.
    entries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries_max: Option<u64>,
    /// How many key groups have entries; `null` for state that belongs to no key.
    key_groups: Option<usize>,
    bytes: u64,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<()> {
    let snapshot = args.place.open()?;
    let manifest = snapshot.manifest();
    let head = Head {
        snapshot: manifest.kind,
        checkpoint: manifest.checkpoint,
        attempt: manifest.attempt,
        created_ms: manifest.created_ms,
        workers: manifest.workers,
        max_parallelism: manifest.max_parallelism,
        finished: manifest.finished,
        bytes: manifest.parts_bytes(),
    };
    write_line(out, &head)?;
    for operator in &manifest.operators {
        let states = operator.state_names().into_iter();
        let line = Operator {
            uid: &operator.uid,
            name: &operator.name,
            watermarks: operator
                .watermarks
                .iter()
                .map(|at| (*at > i64::MIN).then_some(*at))
                .collect(),
            prepared: operator.committables.len(),
            states: states.map(|name| state(&snapshot, operator, name)).collect::<Result<_>>()?,
        };
        write_line(out, &line)?;
    }
    Ok(())
}

fn state<'a>(
    snapshot: &Snapshot,
    operator: &OperatorSnapshot,
    state: &'a str,
) -> Result<State<'a>> {
    let Extent { kind, schemas, entries, is_exact, key_groups } =
        snapshot.parts(operator, state)?.extent()?;
    Ok(State {
        state,
        kind: kind.to_string(),
        types: Types::of(&schemas),
        entries: is_exact.then_some(entries),
        entries_max: (!is_exact).then_some(entries),
        key_groups,
        bytes: operator.state_bytes(state),
    })
}
