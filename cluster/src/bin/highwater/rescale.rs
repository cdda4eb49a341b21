//! `highwater rescale`: lets a job go on with other slots.

use highwater_cluster::Result;
use highwater_cluster::rest::Triggered;

use crate::place::{Chosen, wait};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    chosen: Chosen,
    /// Worker threads in each process; as before if it is not said
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// How many processes it has then, each in a slot
    parallelism: usize,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let client = args.chosen.place.client()?;
    let path = format!("/jobs/{}/rescaling", args.chosen.find(&client)?.jid);
    let mut change = format!("{path}?parallelism={}", args.parallelism);
    if let Some(workers) = args.workers {
        change.push_str(&format!("&workers={workers}"));
    }
    let triggered: Triggered = client.patch(&change)?;
    let done = wait(&client, &path, &triggered)?;
    let number = done.operation.as_ref().and_then(|done| done.checkpoint_id).unwrap_or_default();
    let said = format!("runs in {} processes, from checkpoint {number}", args.parallelism);
    args.chosen.place.answer(&done, &said);
    Ok(())
}
