//! `highwater cancel`: ends a job at once.

use highwater_cluster::Result;
use serde_json::{Value, json};

use crate::place::{Place, find};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// The job: its name, the beginning of that, or what it was called when it was started
    job: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let client = args.place.client()?;
    let id = find(&client, &args.job)?.jid;
    client.patch::<Value>(&format!("/jobs/{id}?mode=cancel"))?;
    args.place.answer(&json!({ "jobid": id }), &format!("job {id} is being canceled"));
    Ok(())
}
