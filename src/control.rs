//! Savepoints, the end and the state of a running job, for whoever asks at its control socket.
//!
//! ```text
//! highwater stop --control PATH --> Client --Request--> Server --> Desk --> the job's checkpoints
//!                                          <-Response-'             '-- one after the other
//! ```
//!
//! The socket is a Unix domain socket that only its owner may use. Each message is a line of JSON:
//!
//! ```text
//! {"savepoint":{"url":"/backup/1"}}             --> {"checkpoint":12} | {"error":"disk full"}
//! "checkpoint"                                  --> {"checkpoint":12} | ..
//! {"stop":{"how":"suspend","url":"/backup/2"}}  --> {"checkpoint":13} | ..
//! {"stop":{"how":"drain"}}                      --> {"checkpoint":14} | ..
//! "status"                                      --> {"status":{"attempt":1,"epoch":15,..}} | ..
//! ```
//!
//! A request may take as long as a checkpoint does. The server closes its connections when the job
//! has ended and everything is written.

mod client;
mod desk;
mod protocol;
mod server;

use std::path::{Path, PathBuf};

use url::Url;

pub use client::Client;
pub(crate) use desk::Desk;
pub use protocol::{How, JobStatus, Request, Response};
pub(crate) use server::Server;

/// The name of the socket in a folder of checkpoints.
const NAME: &str = "control";
/// The longest path of a socket that every system takes, in bytes: macOS has room for 104, with a
/// zero at the end.
const PATH_BYTES_MAX: usize = 103;

/// Returns where a job listens that was not told where to: beside its checkpoints, if these are in a
/// folder of this machine whose path is short enough for a socket.
#[must_use]
pub fn default_path(checkpoints: &str) -> Option<PathBuf> {
    let folder = match checkpoints.contains("://") {
        true => Url::parse(checkpoints).ok()?.to_file_path().ok()?,
        false => PathBuf::from(checkpoints),
    };
    let path = folder.join(NAME);
    is_short(&path).then_some(path)
}

fn is_short(path: &Path) -> bool {
    path.as_os_str().len() <= PATH_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_listens_beside_its_checkpoints_if_it_can() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(default_path("ckpts"), path("ckpts/control"));
        assert_eq!(default_path("file:///var/ckpts"), path("/var/ckpts/control"));
        assert_eq!(default_path("s3://bucket/job"), None);
        assert_eq!(default_path(&"x".repeat(95)), path(&format!("{}/control", "x".repeat(95))));
        assert_eq!(default_path(&"x".repeat(96)), None);
    }
}
