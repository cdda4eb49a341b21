//! `highwater state export`: all entries as JSON Lines, one entry a line, in a fixed order.
//!
//! ```text
//! {"uid":"counts","state":"count","key_group":17,"namespace":null,"key":"JFK","value":12}
//! ```

use std::io::Write;

use highwater::Result;
use highwater::checkpoint::inspect::Entry;
use serde::Serialize;

use super::{Place, operators, states, written};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// One operator only
    #[arg(long)]
    uid: Option<String>,
    /// The states of this name only
    #[arg(long, value_name = "NAME")]
    state: Option<String>,
}

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    uid: &'a str,
    state: &'a str,
    #[serde(flatten)]
    entry: &'a Entry,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<()> {
    let snapshot = args.place.open()?;
    let operators = operators(&snapshot, args.uid.as_deref())?;
    for (operator, state) in states(&operators, args.state.as_deref())? {
        let parts = snapshot.parts(operator, state)?;
        let view = parts.view()?;
        for entry in view.entries()? {
            let line = Line { uid: &operator.uid, state, entry: &entry? };
            let json = serde_json::to_writer(&mut *out, &line).map_err(std::io::Error::from);
            written(json.and_then(|()| out.write_all(b"\n")))?;
        }
    }
    Ok(())
}
