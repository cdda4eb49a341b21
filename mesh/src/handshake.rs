//! How two processes convince each other that they belong together.
//!
//! ```text
//! caller                                   host
//!        <-- Challenge { version, nonce } --
//!        -- Hello { nonce, claims, proof } -->   proof over both nonces and the claims
//!        <-- Welcome { attempt, proof } ----     proof over both nonces and the attempt
//!         or Refused(why)
//! ```
//!
//! A proof is an HMAC with the secret of the job. As each side has chosen a nonce, what was
//! overheard once proves nothing a second time; as the roles differ, nothing can be sent back to who
//! said it.
//!
//! **Invariants**: `admit` returns claims only with a proof of them; `introduce` returns only with a
//! proof of the host (`tests/handshake.rs`: nobody is admitted by random, replayed or cut bytes).

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::claims::{Claims, Refusal};
use crate::frame::{self, Fault};
use crate::secret::{Proof, Role, Secret};

/// The version of the handshake, of links and of what batches look like on the wire.
pub const VERSION: u16 = 1;
/// How long a host listens to somebody who has not proved anything.
pub const DEADLINE: Duration = Duration::from_millis(800);
/// How long a caller waits for a host.
const PATIENCE: Duration = Duration::from_secs(2);

type Nonce = [u8; 32];

/// What a host says first.
#[derive(Debug, Serialize, Deserialize)]
pub struct Challenge {
    /// `highwtr` and a zero.
    pub magic: [u8; 8],
    /// The version of the protocol.
    pub version: u16,
    /// What the caller has to prove over.
    pub nonce: Nonce,
}

/// What says that the other side is one of ours.
const MAGIC: [u8; 8] = *b"highwtr\0";

/// What a caller says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the protocol.
    pub version: u16,
    /// What the host has to prove over.
    pub nonce: Nonce,
    /// [`Claims`], in postcard.
    pub claims: Vec<u8>,
    /// The proof of the claims.
    pub proof: Proof,
}

/// What a host answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The caller is admitted.
    Welcome {
        /// The attempt of which both are.
        attempt: u64,
        /// The proof of it.
        proof: Proof,
    },
    /// It is not.
    Refused(Refusal),
}

/// Why two processes did not come together.
#[derive(Debug)]
pub enum Failure {
    /// One has refused the other.
    Refused(Refusal),
    /// The connection broke, or nothing came.
    Broken(std::io::Error),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Late => Failure::Broken(std::io::ErrorKind::TimedOut.into()),
            Fault::Gone(error) => Failure::Broken(error),
            Fault::Damaged => Failure::Refused(Refusal::Unreadable),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Broken(error)
    }
}

fn nonce() -> std::io::Result<Nonce> {
    let mut nonce = Nonce::default();
    getrandom::fill(&mut nonce).map_err(std::io::Error::other)?;
    Ok(nonce)
}

/// Receives a caller: returns what it has proved to be.
///
/// - `judge`: says of which attempt both are, or why the caller is refused; asked only about claims
///   that are proved.
///
/// # Errors
/// When the caller is refused, which it is told, or says nothing in time.
pub fn admit(
    stream: &TcpStream,
    secret: &Secret,
    judge: impl FnOnce(&Claims) -> Result<u64, Refusal>,
) -> Result<Claims, Failure> {
    let deadline = Instant::now() + DEADLINE;
    stream.set_write_timeout(Some(DEADLINE))?;
    let ours = nonce()?;
    frame::write(stream, &Challenge { magic: MAGIC, version: VERSION, nonce: ours })?;
    let judged = match frame::read::<Hello>(stream, deadline) {
        Ok(hello) => check(&hello, &ours, secret).and_then(|claims| {
            let attempt = judge(&claims)?;
            Ok((hello, claims, attempt))
        }),
        Err(Fault::Damaged) => Err(Refusal::Unreadable),
        Err(fault) => return Err(fault.into()),
    };
    match judged {
        Ok((hello, claims, attempt)) => {
            let proof = secret.prove(Role::Host, &[&ours, &hello.nonce, &attempt.to_le_bytes()]);
            frame::write(stream, &Answer::Welcome { attempt, proof })?;
            Ok(claims)
        }
        Err(refusal) => {
            frame::write(stream, &Answer::Refused(refusal.clone()))?;
            Err(Failure::Refused(refusal))
        }
    }
}

/// Reads what a caller has proved.
fn check(hello: &Hello, ours: &Nonce, secret: &Secret) -> Result<Claims, Refusal> {
    if hello.version != VERSION {
        return Err(Refusal::Version { ours: VERSION, theirs: hello.version });
    }
    let proved = [&ours[..], &hello.nonce[..], &hello.claims[..]];
    if !secret.is_proved(Role::Caller, &proved, &hello.proof) {
        return Err(Refusal::Stranger);
    }
    postcard::from_bytes(&hello.claims).map_err(|_| Refusal::Unreadable)
}

/// Introduces this process to a host: returns the attempt of which both are.
///
/// # Errors
/// When the host refuses it, proves nothing, or says nothing in time.
pub fn introduce(stream: &TcpStream, secret: &Secret, claims: &Claims) -> Result<u64, Failure> {
    let deadline = Instant::now() + PATIENCE;
    stream.set_write_timeout(Some(PATIENCE))?;
    let challenge: Challenge = frame::read(stream, deadline)?;
    if challenge.magic != MAGIC {
        return Err(Failure::Refused(Refusal::Unreadable));
    }
    if challenge.version != VERSION {
        let (ours, theirs) = (VERSION, challenge.version);
        return Err(Failure::Refused(Refusal::Version { ours, theirs }));
    }
    let (theirs, ours) = (challenge.nonce, nonce()?);
    let claims = postcard::to_stdvec(claims).map_err(std::io::Error::other)?;
    let proof = secret.prove(Role::Caller, &[&theirs, &ours, &claims]);
    frame::write(stream, &Hello { version: VERSION, nonce: ours, claims, proof })?;
    match frame::read(stream, deadline)? {
        Answer::Refused(refusal) => Err(Failure::Refused(refusal)),
        Answer::Welcome { attempt, proof } => {
            let proved = [&theirs[..], &ours[..], &attempt.to_le_bytes()[..]];
            match secret.is_proved(Role::Host, &proved, &proof) {
                true => Ok(attempt),
                false => Err(Failure::Refused(Refusal::Stranger)),
            }
        }
    }
}
