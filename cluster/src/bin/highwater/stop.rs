//! `highwater stop`: ends a running job.

use std::path::PathBuf;

use highwater::control::{Client, How};
use highwater_cluster::Result;
use highwater_cluster::rest::Triggered;
use serde_json::json;

use crate::place::{Place, find, wait};
use crate::savepoint::absolute;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// The control socket of a job without a cluster, or the folder of its checkpoints
    #[arg(long, value_name = "PATH", conflicts_with = "job")]
    control: Option<PathBuf>,
    /// End the sources first, so that windows fire and all results appear; nothing is left to go on
    /// with
    #[arg(long)]
    drain: bool,
    /// Stop where it is, to go on later (the default)
    #[arg(long, conflicts_with = "drain")]
    suspend: bool,
    /// Put a savepoint there; without it the job ends with a checkpoint
    #[arg(long, value_name = "URL")]
    savepoint: Option<String>,
    /// The job of a cluster
    #[arg(required_unless_present = "control")]
    job: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let url = args.savepoint.as_deref().map(absolute).transpose()?;
    let how = if args.drain { How::Drain } else { How::Suspend };
    let checkpoint = match &args.control {
        Some(control) => Client::connect(control)?.stop(how, url.as_deref())?,
        None => of_cluster(args, url.as_deref())?,
    };
    let said = match &url {
        Some(url) => format!("stopped with the savepoint of checkpoint {checkpoint}: {url}"),
        None => format!("stopped with checkpoint {checkpoint}"),
    };
    args.place.answer(&json!({ "checkpoint-id": checkpoint, "location": url }), &said);
    Ok(())
}

fn of_cluster(args: &Args, url: Option<&str>) -> Result<u64> {
    let client = args.place.client()?;
    let id = find(&client, args.job.as_deref().unwrap_or_default())?.jid;
    let wanted = json!({ "drain": args.drain, "location": url });
    let triggered: Triggered = client.post(&format!("/jobs/{id}/stop"), &wanted)?;
    let done = wait(&client, &format!("/jobs/{id}/savepoints"), &triggered)?;
    Ok(done.operation.and_then(|done| done.checkpoint_id).unwrap_or_default())
}
