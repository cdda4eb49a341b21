//! `highwater state show`: the entries of an operator, for people.

use std::io::Write;

use highwater::Result;
use highwater::checkpoint::inspect::{Entry, StateView};
use highwater::state::untyped::StoredKind;
use serde_json::Value;

use super::{Place, operators, states, text, written};

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
    /// How many entries of each state to show
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<()> {
    let snapshot = args.place.open()?;
    let operators = operators(&snapshot, Some(&args.uid))?;
    for (operator, state) in states(&operators, args.state.as_deref())? {
        let parts = snapshot.parts(operator, state)?;
        let view = parts.view()?;
        let (name, kind) = (&operator.name, view.kind());
        written(writeln!(out, "state {state:?} of operator {name:?}: {kind}"))?;
        show(&view, args, out)?;
    }
    Ok(())
}

fn show(view: &StateView<'_>, args: &Args, out: &mut dyn Write) -> Result<()> {
    let keys = args.key.as_deref().map(keys);
    let (mut shown, mut left) = (0, 0);
    for entry in view.entries()? {
        let entry = entry?;
        if keys.as_ref().is_some_and(|keys| !keys.contains(&entry.key)) {
            continue;
        }
        if shown == args.limit {
            left += 1;
            continue;
        }
        shown += 1;
        match view.kind() {
            StoredKind::Timers => timers(&entry, out)?,
            _ => written(writeln!(out, "  {} = {}", text::place(&entry), entry.value))?,
        }
    }
    if left > 0 {
        let more = text::count(left, "more entry", "more entries");
        written(writeln!(out, "  and {more}, shown with --limit"))?;
    }
    Ok(())
}

/// Returns what a key given on the command line may mean.
fn keys(given: &str) -> Vec<Value> {
    let mut keys = vec![Value::from(given)];
    keys.extend(serde_json::from_str::<Value>(given));
    keys
}

/// Writes the timers of a key within a stretch of time, one a line.
fn timers(entry: &Entry, out: &mut dyn Write) -> Result<()> {
    let of = |name: &str| entry.value.get(name);
    let more = of("more").and_then(Value::as_array).into_iter().flatten();
    let mut timers: Vec<_> = of("first").into_iter().chain(more).collect();
    timers.sort_by_key(|timer| timer.get(0).and_then(Value::as_i64));
    for timer in timers {
        let at = timer.get(0).and_then(Value::as_i64).unwrap_or_default();
        let mut place = text::place(&Entry { namespace: Value::Null, ..entry.clone() });
        if let Some(namespace) = timer.get(1).filter(|namespace| !namespace.is_null()) {
            place.push_str(&format!(" {namespace}"));
        }
        written(writeln!(out, "  {place} at {}", text::instant(at)))?;
    }
    Ok(())
}
