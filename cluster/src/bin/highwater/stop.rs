//! `highwater stop`: ends a running job.

use std::path::PathBuf;

use highwater::Result;
use highwater::control::{Client, How};

use crate::savepoint::absolute;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The control socket of the job, or the folder of its checkpoints
    #[arg(long, value_name = "PATH")]
    control: PathBuf,
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
}

#[expect(clippy::print_stdout, reason = "the answer")]
pub(crate) fn run(args: &Args) -> Result<()> {
    let how = if args.drain { How::Drain } else { How::Suspend };
    let url = args.savepoint.as_deref().map(absolute).transpose()?;
    let checkpoint = Client::connect(&args.control)?.stop(how, url.as_deref())?;
    match url {
        Some(url) => println!("stopped with the savepoint of checkpoint {checkpoint}: {url}"),
        None => println!("stopped with checkpoint {checkpoint}"),
    }
    Ok(())
}
