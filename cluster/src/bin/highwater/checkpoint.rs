//! `highwater checkpoint`: takes a checkpoint now.

use highwater_cluster::Result;
use highwater_cluster::rest::Triggered;
use serde_json::json;

use crate::place::{Chosen, wait};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    chosen: Chosen,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let client = args.chosen.place.client()?;
    let path = format!("/jobs/{}/checkpoints", args.chosen.find(&client)?.jid);
    let triggered: Triggered = client.post(&path, &json!({}))?;
    let done = wait(&client, &path, &triggered)?;
    let number = done.operation.as_ref().and_then(|done| done.checkpoint_id).unwrap_or_default();
    args.chosen.place.answer(&done, &format!("checkpoint {number}"));
    Ok(())
}
