//! `highwater cancel`: ends a job at once.

use highwater_cluster::Result;
use serde_json::{Value, json};

use crate::place::Chosen;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    chosen: Chosen,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let client = args.chosen.place.client()?;
    let id = args.chosen.find(&client)?.jid;
    client.patch::<Value>(&format!("/jobs/{id}?mode=cancel"))?;
    args.chosen.place.answer(&json!({ "jobid": id }), &format!("job {id} is being canceled"));
    Ok(())
}
