//! A job without a cluster, which is asked at its control socket.

use std::path::PathBuf;

use highwater::control::Client;
use highwater::{Error, Result};
use serde::Serialize;

/// Which job is meant, and how it is answered.
#[derive(clap::Args)]
pub(crate) struct Controlled {
    /// The control socket of the job, or the folder of its checkpoints
    #[arg(long, value_name = "PATH")]
    control: PathBuf,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

impl Controlled {
    /// Connects with the job.
    ///
    /// # Errors
    /// When no job listens there.
    pub(crate) fn client(&self) -> Result<Client> {
        Client::connect(&self.control)
    }

    /// Prints what the job has answered: as JSON, or as a text for people.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    #[expect(clippy::print_stdout, reason = "the answer")]
    pub(crate) fn print<T: Serialize + ?Sized>(
        &self,
        answer: &T,
        render: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        if self.json {
            let json = serde_json::to_string(answer);
            println!("{}", json.map_err(|cause| Error::program(cause.to_string()))?);
        } else {
            print!("{}", render(answer));
        }
        Ok(())
    }
}
