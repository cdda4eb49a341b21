//! How handlers of requests reach the coordinator.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::Message;
use crate::coordinator::Coordinator;
use crate::coordinator::event::Event;
use crate::coordinator::job::Job;
use crate::error::{Error, Result};
use crate::frame::{AgentId, Logged, Piece};
use crate::id::JobId;

/// How long an agent may take to find a log.
const LOG_TIMEOUT: Duration = Duration::from_secs(5);

/// Who waits for a piece of a log.
pub(crate) type LogAnswer = oneshot::Sender<Logged>;

/// The way to a coordinator that is at work.
#[derive(Clone, Debug)]
pub struct Handle {
    to: mpsc::Sender<Message>,
    coordinator: Arc<Mutex<Coordinator>>,
}

impl Handle {
    pub(super) fn new(to: mpsc::Sender<Message>, coordinator: Arc<Mutex<Coordinator>>) -> Self {
        Handle { to, coordinator }
    }

    /// Looks at the coordinator; it waits meanwhile.
    pub fn look<T>(&self, at: impl FnOnce(&Coordinator) -> T) -> T {
        at(&self.coordinator.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at a job.
    ///
    /// # Errors
    /// When there is none with this name.
    pub fn job<T>(&self, id: JobId, at: impl FnOnce(&Job) -> T) -> Result<T> {
        self.look(|coordinator| coordinator.job(id).map(at))
    }

    /// Lets something happen, and waits until all that follows at once is done.
    ///
    /// # Errors
    /// When it cannot be done.
    pub async fn ask(&self, event: Event) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.to.send(Message::Asked { event, answer }).await.map_err(|_| Error::Closing)?;
        answered.await.map_err(|_| Error::Closing)?
    }

    /// Returns a piece of a log of an agent, or the names of its logs.
    ///
    /// - `from`: where it begins, in bytes; from the end if it is negative.
    ///
    /// # Errors
    /// When there is no such log, or the agent does not answer.
    pub async fn log(&self, agent: AgentId, name: Option<String>, from: i64) -> Result<Piece> {
        let (answer, answered) = oneshot::channel();
        let missing = |why: String| Error::NoLog { why };
        let message = Message::Log { agent, name, from, answer };
        self.to.send(message).await.map_err(|_| Error::Closing)?;
        match timeout(LOG_TIMEOUT, answered).await {
            Ok(Ok(Logged::Piece(piece))) => Ok(piece),
            Ok(Ok(Logged::Nothing(why))) => Err(missing(why)),
            Ok(Err(_)) | Err(_) => {
                Err(missing("the agent with the log does not answer".to_owned()))
            }
        }
    }
}
