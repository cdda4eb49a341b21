//! `highwater savepoint`: takes a savepoint of a running job.

use std::path::PathBuf;

use highwater::control::Client;
use highwater::{Error, Result};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The control socket of the job, or the folder of its checkpoints
    #[arg(long, value_name = "PATH")]
    control: PathBuf,
    /// Where to put the savepoint: a folder, or an address such as s3://bucket/savepoint
    url: String,
}

#[expect(clippy::print_stdout, reason = "the answer")]
pub(crate) fn run(args: &Args) -> Result<()> {
    let url = absolute(&args.url)?;
    let checkpoint = Client::connect(&args.control)?.savepoint(&url)?;
    println!("savepoint of checkpoint {checkpoint}: {url}");
    Ok(())
}

/// Returns an address that means the same in the folder in which the job runs.
pub(crate) fn absolute(url: &str) -> Result<String> {
    if url.contains("://") {
        return Ok(url.to_owned());
    }
    let path = std::path::absolute(url).map_err(|cause| Error::io("find", url, cause))?;
    path.into_os_string()
        .into_string()
        .map_err(|path| Error::option("URL", path.display(), "a path in Unicode"))
}
