//! A connection that is made when it is needed, and again when it was lost.

use std::io;

use ::postgres::{Client, Config, Error as ClientError, NoTls};

use highwater_core::error::{Error, Result};

/// A connection to the database.
pub(super) struct Link {
    config: Config,
    /// What errors are about.
    about: String,
    client: Option<Client>,
}

impl Link {
    /// Returns a connection that is not yet made.
    pub(super) fn new(address: &str, table: &str) -> Result<Self> {
        let about = format!("postgres table {table}");
        let parsed = address.parse();
        let config = parsed.map_err(|cause: ClientError| {
            // The address itself is left out, as it may hold a password.
            Error::program(format!("{about}: its address cannot be read: {}", chain(&cause)))
        })?;
        Ok(Link { config, about, client: None })
    }

    /// Returns what errors are about.
    pub(super) fn about(&self) -> &str {
        &self.about
    }

    /// Does something with the connection.
    ///
    /// - `action`: what could not be done, if it cannot.
    pub(super) fn run<R>(
        &mut self,
        action: &'static str,
        work: impl FnOnce(&mut Client) -> Result<R, ClientError>,
    ) -> Result<R> {
        let failed = |about: &str, cause: ClientError| {
            Error::io(action, about, io::Error::other(chain(&cause)))
        };
        let mut client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.config.connect(NoTls).map_err(|cause| failed(&self.about, cause))?,
        };
        let done = work(&mut client);
        self.client = Some(client);
        done.map_err(|cause| failed(&self.about, cause))
    }
}

/// Returns an error and its causes, each once: some errors repeat theirs.
fn chain(error: &ClientError) -> String {
    let mut sentence = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let text = next.to_string();
        if !sentence.contains(&text) {
            sentence = format!("{sentence}: {text}");
        }
        cause = next.source();
    }
    sentence
}
