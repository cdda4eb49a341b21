//! `highwater coordinator`: the coordinator of a cluster, until it is told to end.

use std::net::SocketAddr;
use std::path::PathBuf;

use highwater_cluster::serve::{Options, Server};
use highwater_cluster::{Error, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::place::token;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to answer HTTP; elsewhere than on this machine only with a token
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Where agents connect; elsewhere than on this machine only with a token
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:6123")]
    agents_listen: SocketAddr,
    /// Where all coordinators of the cluster remember their jobs: a folder, or an address such as
    /// s3://bucket/cluster
    #[arg(long, value_name = "URL")]
    state: String,
    /// Where jobs keep their checkpoints that do not say it, each in a folder of its own
    #[arg(long, value_name = "URL")]
    checkpoint_dir: Option<String>,
    /// A file with the token that lets users and agents in
    #[arg(long, value_name = "FILE", env = "HIGHWATER_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or a filter
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

/// Starts the log on the standard error.
pub(crate) fn log(filter: &str) -> Result<()> {
    use tracing_subscriber::EnvFilter;
    let parsed = EnvFilter::try_new(filter).map_err(|cause| {
        highwater::Error::option("--log", filter, format!("a filter ({cause})"))
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr);
    if log.try_init().is_err() {
        tracing::debug!("the log was started before");
    }
    Ok(())
}

/// Waits for a signal that says to end.
///
/// # Errors
/// When the system does not let the process take signals.
pub(crate) fn told_to_end() -> Result<impl Future<Output = ()>> {
    let take = |kind| signal(kind).map_err(|cause| Error::io("take", "signals", cause));
    let (mut term, mut int) = (take(SignalKind::terminate())?, take(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

/// Returns what runs the tasks of this process on its main thread.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|cause| Error::io("start", "a runtime", cause))
}

#[expect(clippy::print_stdout, reason = "where it listens")]
pub(crate) fn run(args: Args) -> Result<()> {
    log(&args.log)?;
    let options = Options {
        listen: args.listen,
        agents_listen: args.agents_listen,
        state: args.state,
        token: token(args.token_file.as_deref())?,
        checkpoints: args.checkpoint_dir,
    };
    runtime()?.block_on(async {
        let end = told_to_end()?;
        let server = Server::open(options).await?;
        let (rest, agents) = server.addresses()?;
        println!("listening at http://{rest}, for agents at {agents}");
        server.run(end).await
    })
}
