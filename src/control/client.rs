//! Asks a running job at its control socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use highwater_core::error::{Error, Result};

use super::NAME;
use super::protocol::{How, JobStatus, Request, Response};
use crate::observe::{Blame, JobView};

/// A connection with a running job.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to a running job.
    ///
    /// - `path`: its control socket, or the folder of its checkpoints.
    ///
    /// # Errors
    /// When no job listens there.
    pub fn connect(path: &Path) -> Result<Self> {
        let path = if path.is_dir() { path.join(NAME) } else { path.to_owned() };
        let stream = UnixStream::connect(&path)
            .map_err(|cause| Error::io("reach a running job at", &path, cause))?;
        Ok(Client { path, stream: BufReader::new(stream) })
    }

    /// Asks for a savepoint, waits for it and returns the number of its checkpoint.
    ///
    /// - `url`: where to put it, see [`Request::Savepoint`].
    ///
    /// # Errors
    /// When there is none, and why.
    pub fn savepoint(&mut self, url: &str) -> Result<u64> {
        self.checkpoint(&Request::Savepoint { url: url.to_owned() })
    }

    /// Asks for a checkpoint now, waits for it and returns its number.
    ///
    /// # Errors
    /// When there is none, and why.
    pub fn take_checkpoint(&mut self) -> Result<u64> {
        self.checkpoint(&Request::Checkpoint)
    }

    /// Asks the job to end, waits until it has, and returns the number of its last checkpoint.
    ///
    /// - `url`: where to put a savepoint, if one is wanted.
    ///
    /// # Errors
    /// When it does not end, and why.
    pub fn stop(mut self, how: How, url: Option<&str>) -> Result<u64> {
        let url = url.map(str::to_owned);
        let checkpoint = self.checkpoint(&Request::Stop { how, url })?;
        // The job closes the connection when everything is written.
        let _ = self.stream.read_to_end(&mut Vec::new());
        Ok(checkpoint)
    }

    /// Asks how far the job has come.
    ///
    /// # Errors
    /// When it has ended.
    pub fn status(&mut self) -> Result<JobStatus> {
        match self.ask(&Request::Status)? {
            Response::Status(status) => Ok(*status),
            other => Err(self.unexpected(other)),
        }
    }

    /// Asks what the operators of the job do.
    ///
    /// # Errors
    /// When it has ended.
    pub fn view(&mut self) -> Result<JobView> {
        match self.ask(&Request::View)? {
            Response::View(view) => Ok(*view),
            other => Err(self.unexpected(other)),
        }
    }

    /// Asks what holds back the watermark of an operator, and the barrier of a checkpoint under way.
    ///
    /// - `operator`: its uid or name; `None` for the job.
    ///
    /// # Errors
    /// When there is no such operator, or the job has ended.
    pub fn why(&mut self, operator: Option<&str>) -> Result<Vec<Blame>> {
        match self.ask(&Request::Why { operator: operator.map(str::to_owned) })? {
            Response::Why(blames) => Ok(blames),
            other => Err(self.unexpected(other)),
        }
    }

    fn checkpoint(&mut self, request: &Request) -> Result<u64> {
        match self.ask(request)? {
            Response::Checkpoint(checkpoint) => Ok(checkpoint),
            other => Err(self.unexpected(other)),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Response> {
        let exchanged = (|| {
            let mut line = serde_json::to_vec(request)?;
            line.push(b'\n');
            self.stream.get_mut().write_all(&line)?;
            let mut answer = String::new();
            match self.stream.read_line(&mut answer)? {
                0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(serde_json::from_str(&answer)?),
            }
        })();
        exchanged.map_err(|cause: std::io::Error| {
            Error::io("get an answer from the job at", &self.path, cause)
        })
    }

    fn unexpected(&self, response: Response) -> Error {
        match response {
            Response::Error(why) => Error::program(why),
            other => {
                Error::program(format!("{}: unexpected answer {other:?}", self.path.display()))
            }
        }
    }
}
