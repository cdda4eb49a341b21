//! The connections of a process with all others of its job.
//!
//! ```text
//! Mesh --link per process--> ears by topic          --data per process--> Network: timely's workers
//! ```
//!
//! Messages of a topic that nobody listens to yet are kept for whoever will.

use std::collections::BTreeMap;
use std::mem::forget;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use highwater_core::error::{Error, Result};
use highwater_core::peers::{Ear, Network, OnLoss, Peers, Topic};
use timely::communication::Hooks;
use timely::communication::allocator::zero_copy::initialize::{
    CommsGuard, initialize_networking_from_sockets,
};
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};

use crate::data::{Bounds, DataStream};
use crate::door::{Door, Place, Porter};
use crate::fate::Fate;
use crate::link::{Failed, Frame, Link, SILENCE};

/// Who takes the messages of a topic.
enum Hearing {
    Nobody(Vec<(usize, Vec<u8>)>),
    Ear(Ear),
}

type Ears = Mutex<BTreeMap<Topic, Hearing>>;

/// The connections of a process with all others of its job.
pub struct Mesh {
    index: usize,
    processes: usize,
    workers: usize,
    attempt: u64,
    links: Mutex<Vec<Option<Link>>>,
    data: Mutex<Option<Vec<Option<TcpStream>>>>,
    ears: Arc<Ears>,
    fate: Arc<Fate>,
    /// Tells whoever still connects that nobody is missing.
    porter: Mutex<Option<Porter>>,
}

impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh")
            .field("index", &self.index)
            .field("processes", &self.processes)
            .finish_non_exhaustive()
    }
}

impl Mesh {
    pub(crate) fn start(door: &Door, porter: Porter, places: Vec<Place>) -> Result<Self> {
        let (ears, fate) = (Arc::<Ears>::default(), Arc::<Fate>::default());
        let (mut links, mut data) = (Vec::new(), Vec::new());
        for (process, place) in places.into_iter().enumerate() {
            let (ears, fate) = (Arc::clone(&ears), Arc::clone(&fate));
            let start = |socket| {
                Link::start(process, socket, move |frame| hear(process, frame, &ears, &fate))
            };
            links.push(place.link.map(start).transpose()?);
            data.push(place.data);
        }
        let expected = door.expected();
        Ok(Mesh {
            index: expected.index,
            processes: expected.processes,
            workers: expected.workers,
            attempt: door.attempt().unwrap_or_default(),
            links: Mutex::new(links),
            data: Mutex::new(Some(data)),
            ears,
            fate,
            porter: Mutex::new(Some(porter)),
        })
    }

    /// Returns which attempt the processes have agreed to be.
    #[must_use]
    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    /// Takes leave of the others: what was sent arrives, and what becomes of them is no concern of
    /// this process any more.
    pub fn leave(&self) {
        self.fate.leave();
        let links = std::mem::take(&mut *self.links.lock().unwrap_or_else(PoisonError::into_inner));
        // All at once: each may take a while.
        let ends = links.into_iter().flatten().map(|link| std::thread::spawn(move || link.end()));
        let ends: Vec<_> = ends.collect();
        for end in ends {
            if end.join().is_err() {
                tracing::warn!("the end of a link panicked");
            }
        }
        drop(self.porter.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Takes what comes from a process; returns whether more may come.
fn hear(process: usize, frame: std::io::Result<Frame>, ears: &Ears, fate: &Fate) -> bool {
    let lost = |message: String| {
        fate.lose(Failed::lost(process, message));
        false
    };
    match frame {
        Ok(Frame::Heartbeat) => true,
        Ok(Frame::Message(topic, message)) => {
            let mut ears = ears.lock().unwrap_or_else(PoisonError::into_inner);
            match ears.entry(topic).or_insert_with(|| Hearing::Nobody(Vec::new())) {
                Hearing::Nobody(kept) => kept.push((process, message)),
                Hearing::Ear(ear) => ear(process, &message),
            }
            true
        }
        Ok(Frame::Failed(failed)) => {
            fate.lose(failed);
            true
        }
        Ok(Frame::Bye) => false,
        Err(error) => match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
                lost(format!("no sign of life for {} s", SILENCE.as_secs()))
            }
            std::io::ErrorKind::UnexpectedEof => lost("its connection was closed".to_owned()),
            _ => lost(format!("its connection broke: {error}")),
        },
    }
}

impl Peers for Mesh {
    fn index(&self) -> usize {
        self.index
    }

    fn processes(&self) -> usize {
        self.processes
    }

    fn send(&self, to: usize, topic: Topic, message: Vec<u8>) {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Some(link)) = links.get(to) {
            link.send(Frame::Message(topic, message));
        }
    }

    fn listen(&self, topic: Topic, ear: Ear) {
        let mut ears = self.ears.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Hearing::Nobody(kept)) = ears.remove(&topic) {
            kept.iter().for_each(|(process, message)| ear(*process, message));
        }
        ears.insert(topic, Hearing::Ear(ear));
    }

    fn on_loss(&self, act: OnLoss) {
        self.fate.on_loss(act);
    }

    fn fail(&self, error: &Error) {
        let failed = Failed::of(self.index, error);
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        for link in links.iter().flatten() {
            link.send(Frame::Failed(failed.clone()));
        }
    }

    fn network(&self, workers: usize) -> Result<Box<dyn Network>> {
        let failed = |cause: std::io::Error| Error::Start { message: cause.to_string() };
        let data = self.data.lock().unwrap_or_else(PoisonError::into_inner).take();
        let data = data.ok_or_else(|| failed(std::io::Error::other("a mesh runs one job")))?;
        let of = |process: usize| {
            let first = (process * self.workers) as u64;
            first..first + self.workers as u64
        };
        let closed: std::io::Result<Vec<_>> =
            data.iter().flatten().map(TcpStream::try_clone).collect();
        self.fate.close_with(closed.map_err(failed)?);
        let streams = data.into_iter().enumerate().map(|(process, socket)| {
            let bounds = Bounds { sources: of(process), targets: of(self.index) };
            socket.map(|socket| DataStream::new(socket, process, &self.fate, bounds))
        });
        let hooks = Hooks::default();
        let inner = ProcessBuilder::new_typed_vector(workers, hooks.refill.clone(), None);
        let (builders, guard) = initialize_networking_from_sockets(
            inner,
            streams.collect(),
            self.index,
            workers,
            hooks,
        )
        .map_err(failed)?;
        let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
        Ok(Box::new(Sockets { builders, guard, fate: Arc::clone(&self.fate) }))
    }
}

/// Timely's threads, while its workers run.
struct Sockets {
    builders: Vec<AllocatorBuilder>,
    guard: CommsGuard,
    fate: Arc<Fate>,
}

impl Network for Sockets {
    fn builders(&mut self) -> Vec<AllocatorBuilder> {
        std::mem::take(&mut self.builders)
    }

    fn end(self: Box<Self>, well: bool) {
        let Sockets { builders, guard, fate } = *self;
        drop(builders);
        if !well || fate.is_lost() {
            // Its threads wait for others that are gone, and end with the process.
            return forget(guard);
        }
        let done = Arc::new(AtomicBool::new(false));
        let (said, told) = (Arc::clone(&done), Arc::clone(&fate));
        std::thread::spawn(move || {
            drop(guard);
            said.store(true, Ordering::SeqCst);
            told.notify();
        });
        fate.wait(&done);
    }
}
