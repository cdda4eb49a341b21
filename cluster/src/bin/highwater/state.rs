//! `highwater state`: looks into savepoints and checkpoints, without the job that made them.
//!
//! ```text
//! ls PATH              the snapshot; then a line an operator, with its states and how much they hold
//! show PATH --uid U    the entries of an operator, or those of one key
//! export PATH          all entries, each once
//! diff BEFORE AFTER    the entries that were added, removed or changed
//! ```
//!
//! All write JSON Lines, in an order that does not depend on the number of workers. What is written
//! goes to a pipe as often as to a terminal: when nobody reads on, that is the end and no error.

mod diff;
mod export;
mod ls;
mod show;

use std::io::{BufWriter, ErrorKind, Write};

use clap::Subcommand;
use highwater::checkpoint::inspect::{Entry, Snapshot, StateView};
use highwater::state::format::Schemas;
use highwater::{Error, Result};
use serde::Serialize;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List operators and their states, with types, entries, key groups and sizes
    Ls(ls::Args),
    /// Write the entries of an operator
    Show(show::Args),
    /// Write all entries
    Export(export::Args),
    /// Write the entries that two snapshots do not have in common
    Diff(diff::Args),
}

/// Where to look.
#[derive(clap::Args)]
struct Place {
    /// A savepoint, or the folder in which a job keeps its checkpoints: a folder, or an address such
    /// as `s3://bucket/savepoint`
    path: String,
    /// A retained checkpoint of the job instead of its newest one
    #[arg(long, value_name = "N")]
    checkpoint: Option<u64>,
}

impl Place {
    fn open(&self) -> Result<Snapshot> {
        Snapshot::open(&self.path, self.checkpoint)
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let ended = match &args.command {
        Command::Ls(args) => ls::run(args, &mut out),
        Command::Show(args) => show::run(args, &mut out),
        Command::Export(args) => export::run(args, &mut out),
        Command::Diff(args) => diff::run(args, &mut out),
    };
    match ended.and_then(|()| written(out.flush())) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(()),
        ended => ended,
    }
}

/// Writes a line.
fn write_line(out: &mut dyn Write, line: &impl Serialize) -> Result<()> {
    let json = serde_json::to_writer(&mut *out, line).map_err(std::io::Error::from);
    written(json.and_then(|()| out.write_all(b"\n")))
}

/// Names what could not be written.
fn written(result: std::io::Result<()>) -> Result<()> {
    result.map_err(|cause| Error::io("write", "standard output", cause))
}

/// Writes the entries of a state for which `is_wanted`, at most so many; returns how many.
fn write_entries(
    (uid, state): (&str, &str),
    view: &StateView<'_>,
    is_wanted: impl Fn(&Entry) -> bool,
    most: u64,
    out: &mut dyn Write,
) -> Result<u64> {
    #[derive(Serialize)]
    struct Line<'a> {
        uid: &'a str,
        state: &'a str,
        #[serde(flatten)]
        entry: &'a Entry,
    }
    let mut count = 0;
    for entry in view.entries()? {
        if count == most {
            break;
        }
        let entry = entry?;
        if is_wanted(&entry) {
            write_line(out, &Line { uid, state, entry: &entry })?;
            count += 1;
        }
    }
    Ok(count)
}

/// The types of the entries of a state, as texts.
#[derive(PartialEq, Eq, Serialize)]
struct Types {
    namespace: String,
    key: String,
    value: String,
}

impl Types {
    fn of(schemas: &Schemas) -> Self {
        let [namespace, key, value] = schemas.roles().map(|(_, schema)| schema.to_string());
        Types { namespace, key, value }
    }
}
