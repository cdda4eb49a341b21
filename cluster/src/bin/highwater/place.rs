//! Which cluster is meant, which job of it, and how it is answered.

use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater::remote::{Client, Remote};
use highwater_cluster::rest::{Asynchronous, JobOverview, JobsOverview, Token, Triggered};
use highwater_cluster::{Error, Result};
use serde::Serialize;

/// How often it is looked whether something is done.
const INTERVAL: Duration = Duration::from_millis(50);

/// Which cluster is meant.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Place {
    /// Where the coordinator answers
    #[arg(
        long,
        value_name = "URL",
        env = "HIGHWATER_CLUSTER",
        default_value = "http://127.0.0.1:8081"
    )]
    cluster: String,
    /// A file with the token that lets us in
    #[arg(long, value_name = "FILE", env = "HIGHWATER_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl Place {
    pub(crate) fn client(&self) -> Result<Client> {
        let token = token(self.token_file.as_deref())?;
        Ok(Client::new(&self.cluster, token.map(|token| token.secret().to_owned())))
    }

    /// Prints the answer: as JSON, or as a sentence.
    pub(crate) fn answer(&self, json: &impl Serialize, sentence: &str) {
        self.print(json, sentence.to_owned() + "\n");
    }

    /// Prints the answer: as JSON, or as a text with its own lines.
    #[expect(clippy::print_stdout, reason = "the answer")]
    pub(crate) fn print(&self, json: &impl Serialize, text: String) {
        match self.json {
            // What is answered can be written.
            true => println!("{}", serde_json::to_string(json).unwrap_or_default()),
            false => print!("{text}"),
        }
    }
}

/// Which job of which cluster is meant.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Chosen {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The job: its name, the beginning of that, or what it was called when it was started
    job: String,
}

impl Chosen {
    /// Returns the job, as the cluster sees it now.
    pub(crate) fn find(&self, client: &Client) -> Result<JobOverview> {
        find(client, &self.job)
    }
}

/// Reads a token, if there is a file for it.
pub(crate) fn token(path: Option<&Path>) -> Result<Option<Token>> {
    path.map(Token::read).transpose()
}

/// Returns the job that is meant: by its name, the beginning of that, or what people call it.
pub(crate) fn find(client: &Client, text: &str) -> Result<JobOverview> {
    let JobsOverview { jobs } = client.get("/jobs/overview")?;
    let id = |job: &JobOverview| job.jid.to_string();
    let by_name = |job: &&JobOverview| job.name == text && !job.state.is_terminal();
    let mut found: Vec<_> = jobs.iter().filter(|job| id(job).starts_with(text)).collect();
    if found.is_empty() || text.is_empty() {
        found = jobs.iter().filter(by_name).collect();
    }
    let why = match found.as_slice() {
        [job] => return Ok((*job).clone()),
        [] => format!("there is no job {text:?}"),
        several => format!("{text:?} may be any of {} jobs: use more of its name", several.len()),
    };
    Err(Remote::Answered { status: 404, why }.into())
}

/// Waits until something that was asked for is done, and returns what it came to.
pub(crate) fn wait(client: &Client, path: &str, triggered: &Triggered) -> Result<Asynchronous> {
    loop {
        let found: Asynchronous = client.get(&format!("{path}/{}", triggered.request_id))?;
        let Some(operation) = &found.operation else {
            std::thread::sleep(INTERVAL);
            continue;
        };
        return match &operation.failure_cause {
            Some(cause) => {
                let why = format!("{}: {}", cause.class, cause.stack_trace);
                Err(Error::Remote(Remote::Answered { status: 200, why }))
            }
            None => Ok(found),
        };
    }
}
