//! `highwater completions`: what a shell needs to complete commands.

use clap::CommandFactory;
use clap_complete::Shell;
use highwater_cluster::Result;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut command = crate::Args::command();
    clap_complete::generate(args.shell, &mut command, "highwater", &mut std::io::stdout());
    Ok(())
}
