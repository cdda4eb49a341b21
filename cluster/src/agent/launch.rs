//! What stands between an agent and a program: it lets the system end the process with its agent.
//!
//! ```text
//! agent --spawn--> highwater launch AGENT PROGRAM NAME ARG.. --exec--> the program, the same process
//! ```
//!
//! The system can be asked to send a process a signal when its parent ends; only the process itself
//! may ask, and what it asked for stays when it becomes another program.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;

/// The name of the command.
pub const COMMAND: &str = "launch";

/// What the command is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The number of the agent's process.
    pub agent: u32,
    /// The program.
    pub program: PathBuf,
    /// What it is called.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// Returns the arguments that let this process start a program.
pub(super) fn arguments(program: &Path, name: &str, arguments: &[String]) -> Vec<OsString> {
    let agent = std::process::id().to_string();
    let own = [COMMAND.into(), agent.into(), program.into(), OsString::from(name)];
    own.into_iter().chain(arguments.iter().map(OsString::from)).collect()
}

/// Becomes the program.
///
/// Returns why it did not.
#[must_use]
pub fn become_program(launch: &Launch) -> Error {
    let failed = |cause| Error::io("start", launch.program.display(), cause);
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
    {
        return failed(error.into());
    }
    // It may have ended before the system was asked.
    if parent_id() != launch.agent {
        return failed(std::io::ErrorKind::BrokenPipe.into());
    }
    failed(Command::new(&launch.program).arg0(&launch.name).args(&launch.arguments).exec())
}
