//! `highwater agent`: an agent of a cluster, until it is told to end.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use highwater::options::duration;
use highwater_cluster::agent::{self, Options};
use highwater_cluster::{Error, Result};

use crate::coordinator::{log, runtime, told_to_end};
use crate::place::token;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where the coordinator takes agents
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:6123")]
    coordinator: String,
    /// How many processes of jobs it takes; by default one for each processor
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
    /// Where it keeps programs and logs
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Where processes of other hosts reach those of this one; by default the address with which it
    /// reaches the coordinator
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpAddr>,
    /// How long it keeps its processes when there is no coordinator
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    grace: Duration,
    /// A file with the token that lets it in
    #[arg(long, value_name = "FILE", env = "HIGHWATER_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or a filter
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

pub(crate) fn run(args: Args) -> Result<()> {
    log(&args.log)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let launcher = std::env::current_exe();
    let options = Options {
        coordinator: args.coordinator,
        token: token(args.token_file.as_deref())?,
        slots: args.slots.unwrap_or(cores),
        address: args.address,
        folder: args.folder,
        grace: args.grace,
        launcher: launcher.map_err(|cause| Error::io("find", "this program", cause))?,
    };
    runtime()?.block_on(async { agent::run(options, told_to_end()?).await })
}
