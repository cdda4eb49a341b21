//! `highwater state show`: the entries of one operator, in the lines of `export`.

use std::io::Write;

use highwater::Result;
use highwater::checkpoint::inspect::Entry;
use serde_json::Value;

use super::{Place, write_entries};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// The operator
    #[arg(long)]
    uid: String,
    /// One of its states; all when not given
    #[arg(long, value_name = "NAME")]
    state: Option<String>,
    /// The entries of this key only: JSON, or a text as it is
    #[arg(long, value_name = "JSON")]
    key: Option<String>,
    /// At most so many entries
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<()> {
    let snapshot = args.place.open()?;
    let operator = snapshot.operator(&args.uid)?;
    let states = match &args.state {
        Some(state) => vec![state.as_str()],
        None => operator.state_names(),
    };
    let keys = args.key.as_deref().map(keys);
    let is_wanted = |entry: &Entry| keys.as_ref().is_none_or(|keys| keys.contains(&entry.key));
    let mut left = args.limit;
    for state in states {
        let parts = snapshot.parts(operator, state)?;
        left -= write_entries((&operator.uid, state), &parts.view()?, is_wanted, left, out)?;
    }
    Ok(())
}

/// Returns what a key given on the command line may mean.
fn keys(given: &str) -> Vec<Value> {
    let mut keys = vec![Value::from(given)];
    keys.extend(serde_json::from_str::<Value>(given));
    keys
}
