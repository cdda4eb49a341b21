//! Asks a coordinator over HTTP.

use std::io::Read;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body, RequestBuilder};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a program may be on its way.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);
/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Why a cluster did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Remote {
    /// Nobody answers.
    #[error("no cluster answers at {url}: {cause}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What happened instead.
        cause: String,
    },
    /// The program cannot be read.
    #[error("could not read the program {path}: {cause}")]
    Program {
        /// Its file.
        path: String,
        /// What the system says.
        cause: std::io::Error,
    },
    /// It says why not.
    #[error("{why}")]
    Answered {
        /// The status of the answer.
        status: u16,
        /// What it says.
        why: String,
    },
}

/// What became of a request.
type Answered = Result<Response<Body>, ureq::Error>;

/// Asks one coordinator.
#[derive(Clone, Debug)]
pub struct Client {
    url: String,
    token: Option<String>,
    agent: Agent,
}

impl Client {
    /// Returns a client of the coordinator at an address such as `http://127.0.0.1:8081`.
    #[must_use]
    pub fn new(url: &str, token: Option<String>) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None).build();
        Client { url: url.trim_end_matches('/').to_owned(), token, agent: config.into() }
    }

    /// Returns where it asks.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks for something.
    ///
    /// # Errors
    /// [`Remote::Unreachable`] when nobody answers, [`Remote::Answered`] when it is not done.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Remote> {
        self.read(self.request(self.agent.get(self.at(path)), TIMEOUT).call())
    }

    /// Removes something.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Remote> {
        self.read(self.request(self.agent.delete(self.at(path)), TIMEOUT).call())
    }

    /// Lets something be done.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &impl Serialize,
    ) -> Result<T, Remote> {
        self.read(self.request(self.agent.post(self.at(path)), TIMEOUT).send_json(what))
    }

    /// Changes something.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn patch<T: DeserializeOwned>(&self, path: &str) -> Result<T, Remote> {
        self.read(self.request(self.agent.patch(self.at(path)), TIMEOUT).send_empty())
    }

    /// Sends a file.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn upload<T: DeserializeOwned>(&self, path: &str, content: &[u8]) -> Result<T, Remote> {
        let request = self.agent.post(self.at(path));
        let request = request.header("content-type", "application/octet-stream");
        self.read(self.request(request, UPLOAD_TIMEOUT).send(content))
    }

    /// Returns what is in a file.
    ///
    /// - `timeout`: how long it may take.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn download(&self, path: &str, timeout: Duration) -> Result<impl Read + use<>, Remote> {
        let response = self.request(self.agent.get(self.at(path)), timeout).call();
        Ok(self.checked(response)?.into_body().into_reader())
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn request<B>(&self, request: RequestBuilder<B>, timeout: Duration) -> RequestBuilder<B> {
        let request = request.config().timeout_global(Some(timeout)).build();
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn read<T: DeserializeOwned>(&self, answered: Answered) -> Result<T, Remote> {
        let mut response = self.checked(answered)?;
        let json = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_json();
        json.map_err(|cause| self.unreachable(&cause))
    }

    /// Returns what was answered, if it is what was asked for.
    fn checked(&self, answered: Answered) -> Result<Response<Body>, Remote> {
        let mut response = answered.map_err(|cause| self.unreachable(&cause))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let said: Option<Value> = response.body_mut().read_json().ok();
        let why = said.as_ref().and_then(|said| said["errors"][0].as_str()).map(str::to_owned);
        let why = why.unwrap_or_else(|| format!("{} answers {status}", self.url));
        Err(Remote::Answered { status: status.as_u16(), why })
    }

    fn unreachable(&self, cause: &ureq::Error) -> Remote {
        Remote::Unreachable { url: self.url.clone(), cause: cause.to_string() }
    }
}
