//! Runs a program on a cluster, and asks clusters over HTTP.
//!
//! ```text
//! my-job --cluster URL --> hash --> is it there? --no--> upload --> run --> wait, show what it prints
//!                                                                             '--> exit code
//! ```
//!
//! What a program does before [`execute`](crate::execute) happens here and again in the processes of
//! the job, what it does afterwards in these alone, as with a supervisor.

mod client;
mod submission;

use std::collections::BTreeMap;
use std::convert::Infallible;

use highwater_core::error::{Error, Result};

pub use client::{Client, Remote};
pub use submission::{Ended, Submission, attend, hash};

/// The variable that names a file with the token that lets us in.
const TOKEN_FILE: &str = "HIGHWATER_TOKEN_FILE";
/// The exit code of a program whose job was canceled.
const CANCELED: i32 = 6;

/// Lets a cluster run this program with these arguments, and ends with it.
///
/// # Errors
/// When the cluster does not take it, or the job fails.
pub(crate) fn run_there(url: &str) -> Result<Infallible> {
    let failed = |error: Remote| Error::program(error.to_string());
    let token = std::env::var_os(TOKEN_FILE).map(|path| {
        let token = std::fs::read_to_string(&path);
        let token = token.map(|token| token.trim_end().to_owned());
        token.map_err(|cause| Error::io("read the token in", path, cause))
    });
    let cluster = Client::new(url, token.transpose()?);
    let program = std::env::current_exe()
        .map_err(|cause| Error::io("find", "the program of this process", cause))?;
    let arguments = std::env::args_os().skip(1).map(|argument| {
        let argument = argument.into_string();
        argument.map_err(|given| Error::option("an argument", given.display(), "Unicode"))
    });
    let arguments = arguments.collect::<Result<Vec<_>>>()?;
    let submission = Submission { program, name: None, arguments, fields: BTreeMap::new() };
    let job = submission.submit(&cluster).map_err(failed)?;
    tracing::info!("the program runs as job {job} at {url}");
    match attend(&cluster, &job).map_err(failed)? {
        Ended::Finished => std::process::exit(0),
        Ended::Canceled => std::process::exit(CANCELED),
        Ended::Failed(why) => Err(Error::program(why)),
    }
}
