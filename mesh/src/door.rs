//! The side of the host: takes connections, and keeps those of processes that belong here.
//!
//! ```text
//! accept --a thread each, few at a time--> handshake --admitted--> the place of that process
//!                                              '-- refused: said on both sides
//! ```
//!
//! It goes on after the mesh is complete, so that whoever comes then learns why it is not admitted.
//!
//! **Invariant**: a place is taken once; a connection whose other side has closed it before the mesh
//! was complete makes room for another one (`Door::is_free`).

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use crate::claims::{Claims, Expected, Purpose, Refusal};
use crate::handshake::{Failure, admit};
use crate::secret::Secret;
use crate::socket::{is_closed, prepare};

/// How many callers are listened to at once.
const CALLERS_MAX: usize = 64;

/// The connections with one other process.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) link: Option<TcpStream>,
    pub(crate) data: Option<TcpStream>,
}

impl Place {
    fn of(&mut self, purpose: Purpose) -> &mut Option<TcpStream> {
        match purpose {
            Purpose::Link => &mut self.link,
            Purpose::Data => &mut self.data,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.link.is_some() && self.data.is_some()
    }

    /// Returns whether the other process is there and has gone again.
    pub(crate) fn is_left(&self) -> bool {
        self.link.iter().chain(&self.data).any(is_closed)
    }
}

/// What the threads of a door share.
#[derive(Debug)]
struct State {
    attempt: Option<u64>,
    places: Vec<Place>,
    callers: usize,
    /// Whether all have come: nobody else is admitted.
    complete: bool,
}

/// Where other processes connect.
#[derive(Debug)]
pub(crate) struct Door {
    expected: Expected,
    secret: Secret,
    state: Mutex<State>,
    changed: Condvar,
}

impl Door {
    pub(crate) fn new(expected: Expected, secret: Secret, attempt: Option<u64>) -> Self {
        let places = (0..expected.processes).map(|_| Place::default()).collect();
        let state = State { attempt, places, callers: 0, complete: false };
        Door { expected, secret, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn expected(&self) -> &Expected {
        &self.expected
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) fn attempt(&self) -> Option<u64> {
        self.state().attempt
    }

    pub(crate) fn set_attempt(&self, attempt: u64) {
        self.state().attempt = Some(attempt);
    }

    /// Puts a connection where it belongs.
    pub(crate) fn put(&self, index: usize, purpose: Purpose, stream: TcpStream) {
        *self.state().places[index].of(purpose) = Some(stream);
        self.changed.notify_all();
    }

    /// Waits for the others; returns their connections when all are there.
    pub(crate) fn wait(&self, most: Duration) -> Result<Option<Vec<Place>>, usize> {
        let state = self.state();
        let mine = self.expected.index;
        let missing = |places: &[Place]| {
            (0..places.len()).any(|other| other != mine && !places[other].is_full())
        };
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, most, |state| missing(&state.places))
            .unwrap_or_else(PoisonError::into_inner);
        if missing(&state.places) {
            // Those that connect here may come again, those that this one has connected to not.
            let left = (0..mine).find(|other| state.places[*other].is_left());
            return left.map_or(Ok(None), Err);
        }
        state.complete = true;
        Ok(Some(std::mem::take(&mut state.places)))
    }

    /// Returns who is missing.
    pub(crate) fn missing(&self) -> Vec<usize> {
        let (state, mine) = (self.state(), self.expected.index);
        let places = state.places.iter().enumerate();
        let missing = places.filter(|(other, place)| *other != mine && !place.is_full());
        missing.map(|(other, _)| other).collect()
    }

    fn judge(&self, claims: &Claims) -> Result<u64, Refusal> {
        let mut state = self.state();
        let attempt = self.expected.judge(claims, state.attempt)?;
        match state.is_free(claims) {
            true => Ok(attempt),
            false => Err(Refusal::Taken { index: claims.index }),
        }
    }

    /// Listens to one caller.
    fn hear(&self, stream: TcpStream, from: SocketAddr) {
        match admit(&stream, &self.secret, |claims| self.judge(claims)) {
            Ok(claims) => {
                let mut state = self.state();
                if prepare(&stream).is_ok() && state.is_free(&claims) {
                    tracing::debug!(process = claims.index, %from, "connected");
                    *state.places[claims.index].of(claims.purpose) = Some(stream);
                    drop(state);
                    self.changed.notify_all();
                }
            }
            Err(Failure::Refused(Refusal::NotYet)) => {}
            Err(Failure::Refused(why)) => {
                tracing::warn!("a connection from {from} was refused: {why}");
            }
            Err(Failure::Broken(error)) => {
                tracing::warn!("a connection from {from} did not say what it is: {error}");
            }
        }
    }
}

impl State {
    fn is_free(&mut self, claims: &Claims) -> bool {
        let Some(place) = self.places.get_mut(claims.index).filter(|_| !self.complete) else {
            return false;
        };
        let place = place.of(claims.purpose);
        place.take_if(|stream| is_closed(stream));
        place.is_none()
    }
}

/// The thread that takes connections, until it is dropped.
#[derive(Debug)]
pub(crate) struct Porter {
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Porter {
    pub(crate) fn start(listener: TcpListener, door: &Arc<Door>) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (stop, stopped) = UnixStream::pair()?;
        let door = Arc::clone(door);
        let thread = std::thread::Builder::new()
            .name("mesh:door".to_owned())
            .spawn(move || take(&listener, &stopped, &door))?;
        Ok(Porter { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Porter {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the thread that takes connections panicked");
        }
    }
}

/// Takes connections until the other end of `stopped` is dropped.
fn take(listener: &TcpListener, stopped: &UnixStream, door: &Arc<Door>) {
    loop {
        let mut waits = [PollFd::new(listener, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        let polled = poll(&mut waits, None);
        if !waits[1].revents().is_empty() {
            return;
        }
        match polled.map_err(std::io::Error::from).and_then(|_| listener.accept()) {
            Ok((stream, from)) => receive(stream, from, door),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => {
                tracing::warn!("taking connections: {error}");
                // Such as too many open files: others may be closed meanwhile.
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

fn receive(stream: TcpStream, from: SocketAddr, door: &Arc<Door>) {
    {
        let mut state = door.state();
        if state.callers >= CALLERS_MAX || stream.set_nonblocking(false).is_err() {
            return;
        }
        state.callers += 1;
    }
    let hearing = Arc::clone(door);
    let started = std::thread::Builder::new().name("mesh:caller".to_owned()).spawn(move || {
        hearing.hear(stream, from);
        hearing.state().callers -= 1;
    });
    if started.is_err() {
        door.state().callers -= 1;
    }
}
