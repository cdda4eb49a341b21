//! Where agents connect: who they are, whether they may, and what they say.
//!
//! **Invariant**: nobody who has not shown the token is heard for longer than [`PATIENCE`], nor at
//! greater length than a `Hello` may have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::{Message, PATIENCE, SILENCE, WAITING_MAX};
use crate::error::Error;
use crate::frame::{self, FRAME_BYTES_MAX, FromAgent, HELLO_BYTES_MAX, Hello, ToAgent, VERSION};
use crate::rest::Token;

/// How many may connect at once who have not said who they are.
const STRANGERS_MAX: usize = 64;

/// Takes connections for ever.
pub(super) async fn open(listener: TcpListener, token: Option<Token>, to: mpsc::Sender<Message>) {
    let (token, strangers) = (Arc::new(token), Arc::new(Semaphore::new(STRANGERS_MAX)));
    let connections = Arc::new(AtomicU64::new(0));
    loop {
        let Ok(permit) = Arc::clone(&strangers).acquire_owned().await else { return };
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "an agent could not connect");
                tokio::time::sleep(PATIENCE).await;
                continue;
            }
        };
        let (token, to) = (Arc::clone(&token), to.clone());
        let connection = connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            let mut stream = stream;
            let admitted = admit(&mut stream, &token).await;
            drop(permit);
            match admitted {
                Ok(hello) => attend(stream, hello, connection, &to).await,
                Err(error) => tracing::warn!(%from, "who connects as an agent is refused: {error}"),
            }
        });
    }
}

/// Returns who has connected.
async fn admit(stream: &mut TcpStream, token: &Option<Token>) -> Result<Hello, Error> {
    let hello = timeout(PATIENCE, frame::read::<Hello>(stream, HELLO_BYTES_MAX)).await;
    let silent = |_| Error::io("hear", "who connects", std::io::ErrorKind::TimedOut.into());
    let hello = hello.map_err(silent)??;
    let gone = || Error::io("hear", "who connects", std::io::ErrorKind::UnexpectedEof.into());
    let hello = hello.ok_or_else(gone)?;
    let given = hello.token.as_deref().unwrap_or_default();
    let why = match token {
        Some(token) if !token.is(given) => "the token is wrong".to_owned(),
        _ if hello.version != VERSION => {
            format!("it speaks version {}, expected {VERSION}", hello.version)
        }
        _ => return Ok(hello),
    };
    let refused = ToAgent::Refused { why: why.clone() };
    // It may be gone.
    let _ = timeout(PATIENCE, frame::write(stream, &refused)).await;
    Err(Error::Frame { problem: why })
}

/// Passes on what an agent says, and what it is told, until its connection ends.
async fn attend(stream: TcpStream, hello: Hello, connection: u64, to: &mpsc::Sender<Message>) {
    let agent = hello.id.clone();
    let (mut from, mut back) = stream.into_split();
    let (sender, mut told) = mpsc::channel(WAITING_MAX);
    let message = Message::Hello { hello: Box::new(hello), connection, to: sender };
    if to.send(message).await.is_err() {
        return;
    }
    let writing = tokio::spawn(async move {
        while let Some(what) = told.recv().await {
            if frame::write(&mut back, &what).await.is_err() {
                return;
            }
        }
    });
    let heard = async {
        loop {
            match timeout(SILENCE, frame::read::<FromAgent>(&mut from, FRAME_BYTES_MAX)).await {
                Ok(Ok(Some(frame))) => {
                    let message = Message::Frame { agent: agent.clone(), connection, frame };
                    if to.send(message).await.is_err() {
                        return;
                    }
                }
                Ok(Err(error)) => return tracing::warn!(%agent, "its connection ends: {error}"),
                Ok(Ok(None)) | Err(_) => return,
            }
        }
    };
    let abort = writing.abort_handle();
    tokio::select! {
        () = heard => abort.abort(),
        // The driver has dropped the connection, or nothing can be written.
        _ = writing => {}
    }
    let _ = to.send(Message::Disconnected { agent, connection }).await;
}
