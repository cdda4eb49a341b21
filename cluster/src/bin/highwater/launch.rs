//! `highwater launch`: what an agent starts instead of a program, see
//! [`highwater_cluster::agent::launch`].

use std::ffi::OsString;
use std::path::PathBuf;

use highwater_cluster::Result;
use highwater_cluster::agent::launch::{Launch, become_program};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The process of the agent
    agent: u32,
    /// The program
    program: PathBuf,
    /// What it is called
    name: String,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let Args { agent, program, name, arguments } = args;
    Err(become_program(&Launch { agent, program, name, arguments }))
}
