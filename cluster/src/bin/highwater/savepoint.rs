//! `highwater savepoint`: takes a savepoint of a running job.

use std::path::PathBuf;

use highwater::control::Client;
use highwater_cluster::Result;
use highwater_cluster::rest::Triggered;
use serde_json::json;

use crate::place::{Place, find, wait};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// The control socket of a job without a cluster, or the folder of its checkpoints
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// The job of a cluster; left out with --control
    #[arg(value_name = "JOB", required_unless_present = "control")]
    first: Option<String>,
    /// Where to put the savepoint: a folder, or an address such as s3://bucket/savepoint
    #[arg(value_name = "URL", required_unless_present = "control")]
    second: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let (job, url) = (args.first.as_deref(), args.second.as_deref());
    let Some(control) = &args.control else {
        return of_cluster(args, job.unwrap_or_default(), &absolute(url.unwrap_or_default())?);
    };
    let url = match (job, url) {
        (Some(url), None) => absolute(url)?,
        (given, _) => {
            let given = given.unwrap_or("none");
            let wrong = highwater::Error::option("URL", given, "one address beside --control");
            return Err(wrong.into());
        }
    };
    let checkpoint = Client::connect(control)?.savepoint(&url)?;
    let said = format!("savepoint of checkpoint {checkpoint}: {url}");
    args.place.answer(&json!({ "checkpoint-id": checkpoint, "location": url }), &said);
    Ok(())
}

fn of_cluster(args: &Args, job: &str, url: &str) -> Result<()> {
    let client = args.place.client()?;
    let path = format!("/jobs/{}/savepoints", find(&client, job)?.jid);
    let triggered: Triggered = client.post(&path, &json!({ "location": url }))?;
    let done = wait(&client, &path, &triggered)?;
    let number = done.operation.as_ref().and_then(|done| done.checkpoint_id).unwrap_or_default();
    args.place.answer(&done, &format!("savepoint of checkpoint {number}: {url}"));
    Ok(())
}

/// Returns an address that means the same in the folder in which the job runs.
pub(crate) fn absolute(url: &str) -> highwater::Result<String> {
    use highwater::Error;
    if url.contains("://") {
        return Ok(url.to_owned());
    }
    let path = std::path::absolute(url).map_err(|cause| Error::io("find", url, cause))?;
    path.into_os_string()
        .into_string()
        .map_err(|path| Error::option("URL", path.display(), "a path in Unicode"))
}
