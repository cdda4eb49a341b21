//! A program on its way to a cluster, and what becomes of it there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Client, Remote};

/// How often it is looked how far a job is.
const INTERVAL: Duration = Duration::from_millis(200);
/// How often in a row a cluster may not answer before the wait is over: coordinators are replaced.
const SILENCES_MAX: u32 = 300;

/// Returns the SHA-256 of a file, in hexadecimal digits.
#[must_use]
pub fn hash(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        // Nothing can go wrong in writing to a string.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A program to be run on a cluster.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    /// The executable file.
    pub program: PathBuf,
    /// What people call the job; the name of the file, if it is not said.
    pub name: Option<String>,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Further fields of the request, see `POST /jars/{jarid}/run`.
    pub fields: BTreeMap<String, Value>,
}

/// How a job has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It has come to its end, or was stopped.
    Finished,
    /// It has failed, and why.
    Failed(String),
    /// It was canceled.
    Canceled,
}

impl Submission {
    /// Sends the program, if the cluster does not have it, and starts the job. Returns its name.
    ///
    /// # Errors
    /// When the program cannot be read, the cluster does not answer, or does not take it.
    pub fn submit(&self, cluster: &Client) -> Result<String, Remote> {
        let path = self.program.display();
        let unread = |cause: std::io::Error| Remote::Program { path: path.to_string(), cause };
        let content = std::fs::read(&self.program).map_err(unread)?;
        let hash = hash(&content);
        let file = self.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match cluster.get::<Value>(&format!("/jars/{hash}")) {
            Ok(_) => {}
            Err(Remote::Answered { status: 404, .. }) => {
                let plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
                let name: String = file.chars().filter(plain).collect();
                cluster.upload::<Value>(&format!("/jars/upload?name={name}"), &content)?;
            }
            Err(error) => return Err(error),
        }
        let mut request = json!({ "programArgsList": self.arguments });
        request["jobName"] = json!(self.name.as_ref().unwrap_or(&file));
        if let Ok(folder) = std::env::current_dir() {
            request["workingDirectory"] = json!(folder);
        }
        for (field, value) in &self.fields {
            request[field] = value.clone();
        }
        let answer: Value = cluster.post(&format!("/jars/{hash}/run"), &request)?;
        let job = answer["jobid"].as_str();
        job.map(str::to_owned).ok_or_else(|| Remote::Answered {
            status: 200,
            why: format!("{} does not say which job it has started: {answer}", cluster.url()),
        })
    }
}

/// Waits until a job has ended, and passes on what its first process prints.
///
/// # Errors
/// When the cluster does not answer for too long, or does not know the job.
pub fn attend(cluster: &Client, job: &str) -> Result<Ended, Remote> {
    let mut printed = Printed::default();
    let mut silences = 0;
    loop {
        let looked = cluster.get::<Value>(&format!("/jobs/{job}"));
        match looked {
            Ok(detail) => {
                silences = 0;
                printed.pass_on(cluster, job, detail["attempt"].as_u64().unwrap_or_default());
                match detail["state"].as_str() {
                    Some("FINISHED") => return Ok(Ended::Finished),
                    Some("CANCELED") => return Ok(Ended::Canceled),
                    Some("FAILED") => return Ok(Ended::Failed(why(cluster, job)?)),
                    _ => {}
                }
            }
            Err(Remote::Unreachable { .. }) if silences < SILENCES_MAX => silences += 1,
            Err(error) => return Err(error),
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Returns the sentence about the last failure.
fn why(cluster: &Client, job: &str) -> Result<String, Remote> {
    let exceptions: Value = cluster.get(&format!("/jobs/{job}/exceptions?maxExceptions=1"))?;
    let last = &exceptions["exceptionHistory"]["entries"][0]["stacktrace"];
    Ok(last.as_str().unwrap_or("the job has failed").to_owned())
}

/// How far the outputs of an attempt were passed on.
#[derive(Debug, Default)]
struct Printed {
    attempt: u64,
    offsets: [u64; 2],
}

impl Printed {
    fn pass_on(&mut self, cluster: &Client, job: &str, attempt: u64) {
        if attempt != self.attempt {
            *self = Printed { attempt, offsets: [0; 2] };
        }
        for (stream, offset) in ["out", "err"].into_iter().zip(&mut self.offsets) {
            loop {
                let path =
                    format!("/jobs/{job}/logs?attempt={attempt}&stream={stream}&offset={offset}");
                // It may not be there yet, or no more.
                let Ok(piece) = cluster.get::<Value>(&path) else { break };
                let text = piece["text"].as_str().unwrap_or_default();
                // Nobody may read it.
                let _ = match stream {
                    "out" => std::io::stdout().write_all(text.as_bytes()),
                    _ => std::io::stderr().write_all(text.as_bytes()),
                };
                let next = piece["next"].as_u64().unwrap_or(*offset);
                if next <= *offset {
                    break;
                }
                *offset = next;
            }
        }
        let _ = std::io::stdout().flush();
    }
}
