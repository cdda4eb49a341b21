//! `highwater state`: looks into savepoints and checkpoints, without the job that made them.
//!
//! ```text
//! ls PATH      what there is: operators, states, offsets     for people
//! show PATH    the entries of an operator                    for people
//! export PATH  all entries                                   JSON Lines
//! diff A B     entries that differ                           for people; code 1 if there are any
//! ```
//!
//! What is written goes to a pipe as often as to a terminal: when nobody reads on, that is the end
//! and no error.

mod diff;
mod export;
mod ls;
mod show;
mod text;

use std::io::{BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use clap::Subcommand;
use highwater::checkpoint::inspect::Snapshot;
use highwater::checkpoint::manifest::OperatorSnapshot;
use highwater::{Error, Result};

/// The code of `diff` when it could not compare, as that of the program of this name.
const TROUBLE: u8 = 2;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List operators, their states, and how far sources have been read
    Ls(ls::Args),
    /// Show the entries of an operator
    Show(show::Args),
    /// Write all entries as JSON Lines
    Export(export::Args),
    /// Show the entries that two snapshots do not have in common; exit code 1 if there are any
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

pub(crate) fn run(args: &Args) -> ExitCode {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let ended = match &args.command {
        Command::Ls(args) => ls::run(args, &mut out),
        Command::Show(args) => show::run(args, &mut out),
        Command::Export(args) => export::run(args, &mut out),
        Command::Diff(args) => {
            let ended = diff::run(args, &mut out);
            return match until_closed(ended.and_then(|same| flush(&mut out).map(|()| same))) {
                // What nobody reads on from are differences.
                Ok(same) => ExitCode::from(u8::from(same != Some(true))),
                Err(error) => {
                    highwater::exit(Err(error));
                    ExitCode::from(TROUBLE)
                }
            };
        }
    };
    highwater::exit(until_closed(ended.and_then(|()| flush(&mut out))).map(drop))
}

/// Returns `None` if nobody reads on.
fn until_closed<T>(ended: Result<T>) -> Result<Option<T>> {
    match ended {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(None),
        other => other.map(Some),
    }
}

fn flush(out: &mut dyn Write) -> Result<()> {
    written(out.flush())
}

/// Names what could not be written.
fn written(result: std::io::Result<()>) -> Result<()> {
    result.map_err(|cause| Error::io("write", "standard output", cause))
}

/// Returns the operators that are asked for.
///
/// # Errors
/// When there is no operator with the uid.
fn operators<'s>(snapshot: &'s Snapshot, uid: Option<&str>) -> Result<Vec<&'s OperatorSnapshot>> {
    let all = &snapshot.manifest().operators;
    let Some(uid) = uid else { return Ok(all.iter().collect()) };
    match snapshot.operator(uid) {
        Some(operator) => Ok(vec![operator]),
        None => {
            let known =
                all.iter().map(|operator| format!("{:?} ({})", operator.uid, operator.name));
            Err(Error::option("--uid", format!("{uid:?}"), one_of(known.collect())))
        }
    }
}

/// Returns the states of some operators that are asked for.
///
/// # Errors
/// When none of the operators has a state of that name.
fn states<'s>(
    operators: &[&'s OperatorSnapshot],
    state: Option<&str>,
) -> Result<Vec<(&'s OperatorSnapshot, &'s str)>> {
    let all = || {
        operators.iter().flat_map(|operator| {
            operator.state_names().into_iter().map(move |name| (*operator, name))
        })
    };
    let Some(state) = state else { return Ok(all().collect()) };
    let found: Vec<_> = all().filter(|(_, name)| *name == state).collect();
    if found.is_empty() {
        let mut known: Vec<_> = all().map(|(_, name)| format!("{name:?}")).collect();
        known.sort_unstable();
        known.dedup();
        return Err(Error::option("--state", format!("{state:?}"), one_of(known)));
    }
    Ok(found)
}

fn one_of(known: Vec<String>) -> String {
    match known.is_empty() {
        true => "nothing: there is none".to_owned(),
        false => format!("one of {}", known.join(", ")),
    }
}
