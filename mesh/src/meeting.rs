//! How the processes of a job come together.
//!
//! ```text
//! listen --> everybody's address is known --> form:
//!     to process 0   (whoever does not know the attempt learns it there)
//!     to the others with a lower index
//!     from those with a higher one     --> all connected: a Mesh
//! ```
//!
//! Nobody has to be there first: who is not there yet is tried again. A process that goes away
//! before all have come may come again if it connects here; if it was connected to, this one gives
//! up, as it may be part of another attempt by now.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use highwater_core::error::{Error, ErrorKind, Result};

use crate::claims::{Expected, Purpose};
use crate::door::{Door, Porter};
use crate::handshake::{Failure, introduce};
use crate::mesh::Mesh;
use crate::secret::Secret;
use crate::socket::prepare;

/// How long a process waits for the others: as long as Flink's slots are waited for.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a refusal that may pass is put up with: until a process of the attempt before is missed.
const REFUSALS: Duration = Duration::from_secs(20);
/// How long one try to connect may take, and the pause before the next.
const TRY: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);
/// When it is said for whom this process waits, and then again.
const IMPATIENCE: Duration = Duration::from_secs(5);

/// What a process needs to know to meet the others.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The name of the job.
    pub job: String,
    /// Which attempt it is; `None` if process 0 decides.
    pub attempt: Option<u64>,
    /// Which of the processes this is, from 0.
    pub index: usize,
    /// How many there are.
    pub processes: usize,
    /// The workers of each process.
    pub workers: usize,
    /// A hash of the executable.
    pub program: u128,
    /// The options that must be equal everywhere, by name.
    pub options: Vec<(String, String)>,
    /// What the processes prove to each other to know.
    pub secret: Secret,
}

/// A process that waits for the others.
#[derive(Debug)]
pub struct Meeting {
    door: Arc<Door>,
    porter: Porter,
    address: SocketAddr,
}

impl Meeting {
    /// Begins to listen at an address; with port 0 at one that is free.
    ///
    /// # Errors
    /// When it is not an address of this host, or in use.
    pub fn listen(spec: Spec, address: &str) -> Result<Self> {
        let failed = |cause| Error::io("listen at", address, cause);
        let listener = TcpListener::bind(address).map_err(failed)?;
        Meeting::at(spec, listener).map_err(failed)
    }

    /// Begins to listen at a free port of an address of this host.
    ///
    /// # Errors
    /// When it is not an address of this host.
    pub fn listen_on(spec: Spec, ip: IpAddr) -> Result<Self> {
        Meeting::listen(spec, &SocketAddr::new(ip, 0).to_string())
    }

    fn at(spec: Spec, listener: TcpListener) -> std::io::Result<Self> {
        let Spec { job, attempt, index, processes, workers, program, options, secret } = spec;
        let attempt = match (attempt, index) {
            (None, 0) => Some(getrandom::u64().map_err(std::io::Error::other)?),
            (attempt, _) => attempt,
        };
        let expected = Expected { job, index, processes, workers, program, options };
        let address = listener.local_addr()?;
        let door = Arc::new(Door::new(expected, secret, attempt));
        let porter = Porter::start(listener, &door)?;
        Ok(Meeting { door, porter, address })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connects all processes with each other.
    ///
    /// - `addresses`: where they listen, by their index.
    ///
    /// # Errors
    /// When another process refuses this one, is not there after five minutes, or goes away.
    pub fn form(self, addresses: &[String]) -> Result<Mesh> {
        let Meeting { door, porter, .. } = self;
        let (index, begin) = (door.expected().index, Instant::now());
        for (to, address) in addresses.iter().enumerate().take(index) {
            for purpose in [Purpose::Link, Purpose::Data] {
                let stream = call(&door, to, address, purpose, begin)?;
                door.put(to, purpose, stream);
            }
        }
        let mut said = begin;
        loop {
            match door.wait(PAUSE * 4) {
                Ok(Some(places)) => return Mesh::start(&door, porter, places),
                Ok(None) => {}
                Err(left) => return Err(gone(left, "it went away before all had come")),
            }
            let missing = door.missing();
            if begin.elapsed() >= PATIENCE {
                let first = missing.first().copied().unwrap_or_default();
                return Err(gone(first, "it did not come within five minutes"));
            }
            if said.elapsed() >= IMPATIENCE {
                said = Instant::now();
                tracing::warn!("still waiting for the processes {missing:?}");
            }
        }
    }
}

fn gone(process: usize, why: &str) -> Error {
    let message = why.to_owned();
    Error::Process { process, kind: ErrorKind::Restart, exit_code: 1, message }
}

/// Connects to a process, as soon as it is there.
fn call(
    door: &Door,
    to: usize,
    address: &str,
    purpose: Purpose,
    begin: Instant,
) -> Result<TcpStream> {
    let (mut said, mut refused) = (Instant::now(), None);
    loop {
        let claims = door.expected().claims(to, door.attempt(), purpose);
        let tried = connect(address).map_err(Failure::Broken).and_then(|stream| {
            let attempt = introduce(&stream, door.secret(), &claims)?;
            prepare(&stream)?;
            door.set_attempt(attempt);
            Ok(stream)
        });
        let why = match tried {
            Ok(stream) => return Ok(stream),
            Err(Failure::Refused(why)) => {
                let since = *refused.get_or_insert_with(Instant::now);
                if !why.may_pass() || since.elapsed() >= REFUSALS {
                    let (kind, exit_code) = match why.is_usage() {
                        true => (ErrorKind::Invalid, 2),
                        false => (ErrorKind::Restart, 1),
                    };
                    let message = format!("at {address}, does not admit this one: {why}");
                    return Err(Error::Process { process: to, kind, exit_code, message });
                }
                why.to_string()
            }
            Err(Failure::Broken(error)) => {
                refused = None;
                error.to_string()
            }
        };
        if begin.elapsed() >= PATIENCE {
            return Err(gone(to, &format!("it is not at {address}: {why}")));
        }
        if said.elapsed() >= IMPATIENCE {
            said = Instant::now();
            tracing::warn!("still waiting for process {to} at {address}: {why}");
        }
        std::thread::sleep(PAUSE);
    }
}

fn connect(address: &str) -> std::io::Result<TcpStream> {
    let mut last = std::io::ErrorKind::AddrNotAvailable.into();
    // Asked anew each time: the address of a host that is not there may change.
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TRY) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
