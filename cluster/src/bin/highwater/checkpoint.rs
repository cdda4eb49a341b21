//! `highwater checkpoint`: takes a checkpoint now.

use highwater_cluster::Result;
use highwater_cluster::rest::Triggered;
use serde_json::json;

use crate::place::{Place, find, wait};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// The job: its name, the beginning of that, or what it was called when it was started
    job: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let client = args.place.client()?;
    let path = format!("/jobs/{}/checkpoints", find(&client, &args.job)?.jid);
    let triggered: Triggered = client.post(&path, &json!({}))?;
    let done = wait(&client, &path, &triggered)?;
    let number = done.operation.as_ref().and_then(|done| done.checkpoint_id).unwrap_or_default();
    args.place.answer(&done, &format!("checkpoint {number}"));
    Ok(())
}
