//! What the processes of a job tell each other while it runs.
//!
//! ```text
//! plan of a process --> all: nobody steps before all plans are equal          (I11)
//! what one process decides --> all: splits, that sinks are recovered
//! bytes processed --every 10 ms, or half of a credit--> the process of the sender
//! status of a source's worker --> all: idle workers follow the active ones
//! least epoch of a process --> all: no source runs ahead of the slowest operator
//! ```
//!
//! How the processes end together is in `ending.rs`.
//!
//! **Invariant** I11: no worker steps before all processes have told the same plan (`Across::plan`).

mod credits;
mod ending;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::peers::{Peers, Topic, tell_all};
use crate::shell::{Gossip, Status};
use crate::time::Epoch;

pub(crate) use credits::Credits;
use ending::Ending;
pub use ending::Totals;

/// What one process tells another.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum News {
    /// All its workers have built this plan.
    Plan(u64),
    /// The value that all processes share under this name, as JSON.
    Decided { kind: String, place: usize, value: String },
    /// A worker of the source at this place in the plan.
    Source { place: usize, worker: usize, status: Status },
    /// Bytes that were processed, of senders in the process that is told.
    Released(Vec<credits::Release>),
    /// The least epoch that its operators are in, `None` when all have ended.
    LeastEpoch(Option<u64>),
    /// How the processes end.
    Ending(ending::Step),
}

struct State {
    plans: Vec<Option<u64>>,
    decided: BTreeMap<(String, usize), String>,
    least: Vec<Option<u64>>,
    ending: Ending,
    /// Whether the job fails here: nothing more is waited for.
    failed: bool,
}

/// The other processes of a job.
pub(crate) struct Across {
    peers: Arc<dyn Peers>,
    pub(crate) credits: Arc<Credits>,
    gossips: Mutex<BTreeMap<usize, Arc<Gossip>>>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Across {
    /// How often the others are told what was processed.
    pub(crate) const INTERVAL: std::time::Duration = credits::INTERVAL;

    /// - `workers`: of one process.
    /// - `first`: the epoch that the job begins in.
    pub(crate) fn new(peers: Arc<dyn Peers>, workers: usize, first: Epoch) -> Arc<Self> {
        let (processes, index) = (peers.processes(), peers.index());
        let state = State {
            plans: vec![None; processes],
            decided: BTreeMap::new(),
            least: vec![Some(first.0); processes],
            ending: Ending::new(processes),
            failed: false,
        };
        let across = Arc::new(Across {
            credits: Arc::new(Credits::new(workers, index, processes)),
            gossips: Mutex::default(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            peers,
        });
        let hearing = Arc::downgrade(&across);
        across.peers.listen(
            Topic::Job,
            Box::new(move |from, message| {
                if let Some(across) = hearing.upgrade() {
                    across.hear(from, message);
                }
            }),
        );
        across
    }

    pub(crate) fn peers(&self) -> &Arc<dyn Peers> {
        &self.peers
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_all(&self, news: &News) {
        match postcard::to_stdvec(news) {
            Ok(message) => tell_all(&*self.peers, Topic::Job, &message),
            Err(error) => unreachable!("news are plain data: {error}"),
        }
    }

    fn tell(&self, to: usize, news: &News) {
        match postcard::to_stdvec(news) {
            Ok(message) => self.peers.send(to, Topic::Job, message),
            Err(error) => unreachable!("news are plain data: {error}"),
        }
    }

    /// Takes what another process says.
    fn hear(&self, from: usize, message: &[u8]) {
        let Ok(news) = postcard::from_bytes(message) else {
            tracing::warn!("process {from} said something that is not understood");
            return;
        };
        match news {
            News::Released(released) => return self.credits.give_back(from, &released),
            News::Source { place, worker, status } => {
                return self.gossip(place, |gossip| gossip.hear(worker, status));
            }
            News::Plan(hash) => self.state().plans[from] = Some(hash),
            News::Decided { kind, place, value } => {
                self.state().decided.insert((kind, place), value);
            }
            News::LeastEpoch(least) => self.state().least[from] = least,
            News::Ending(step) => self.state().ending.take(from, step),
        }
        self.changed.notify_all();
    }

    fn gossip(&self, place: usize, hear: impl FnOnce(&Gossip)) {
        let gossips = self.gossips.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody reads before all processes have built their sources.
        if let Some(gossip) = gossips.get(&place) {
            hear(gossip);
        }
    }

    /// Lets a source hear of its workers in other processes.
    pub(crate) fn add_gossip(&self, place: usize, gossip: &Arc<Gossip>) {
        let mut gossips = self.gossips.lock().unwrap_or_else(PoisonError::into_inner);
        gossips.insert(place, Arc::clone(gossip));
    }

    /// Tells the others what a worker of a source says.
    pub(crate) fn tell_status(&self, place: usize, worker: usize, status: Status) {
        self.tell_all(&News::Source { place, worker, status });
    }

    /// Waits for what others say, until `found` finds something or the job fails.
    fn wait<T>(&self, mut found: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let mut state = self.state();
        loop {
            if state.failed {
                return None;
            }
            if let Some(found) = found(&mut state) {
                return Some(found);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends all waiting: the job fails here.
    pub(crate) fn fail(&self, error: &Error) {
        self.state().failed = true;
        self.changed.notify_all();
        self.peers.fail(error);
    }

    /// Tells the plan of this process, once.
    pub(crate) fn tell_plan(&self, hash: u64) {
        self.state().plans[self.peers.index()] = Some(hash);
        self.changed.notify_all();
        self.tell_all(&News::Plan(hash));
    }

    /// Waits until all processes have the same plan; false if the job fails meanwhile.
    ///
    /// # Errors
    /// [`Error::PlanMismatch`] when they have not.
    pub(crate) fn wait_for_plans(&self, workers: usize) -> Result<bool> {
        let agreed = self.wait(|state| {
            let plans: Option<Vec<u64>> = state.plans.iter().copied().collect();
            plans.map(|plans| {
                let other = plans.iter().position(|plan| *plan != plans[0]);
                other.map_or(Ok(()), |other| Err((other, plans[other], plans[0])))
            })
        });
        match agreed {
            None => Ok(false),
            Some(Ok(())) => Ok(true),
            Some(Err((process, found, expected))) => {
                Err(Error::PlanMismatch { worker: process * workers, found, expected })
            }
        }
    }

    /// Returns the value that process 0 makes under this name.
    ///
    /// # Errors
    /// Those of `make`, in process 0; in others when the job fails meanwhile.
    pub(crate) fn decide<T: Serialize + DeserializeOwned>(
        &self,
        kind: &str,
        place: usize,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if self.peers.index() == 0 {
            let value = make()?;
            let json = serde_json::to_string(&value).map_err(Error::state)?;
            self.tell_all(&News::Decided { kind: kind.to_owned(), place, value: json });
            return Ok(value);
        }
        let name = (kind.to_owned(), place);
        match self.wait(|state| state.decided.remove(&name)) {
            Some(json) => serde_json::from_str(&json).map_err(Error::state),
            // Another error came first, and counts.
            None => Err(Error::program("the job failed while it was built")),
        }
    }

    /// Makes the calling thread the one that tells what was processed.
    pub(crate) fn attend(&self) {
        self.credits.attend();
    }

    /// Tells what was processed since the last time.
    pub(crate) fn tell_owed(&self) {
        for (process, owed) in self.credits.take_owed() {
            self.tell(process, &News::Released(owed));
        }
    }

    /// Tells the least epoch of this process.
    pub(crate) fn tell_least(&self, least: Option<Epoch>) {
        let least = least.map(|epoch| epoch.0);
        let mine = self.peers.index();
        let before = std::mem::replace(&mut self.state().least[mine], least);
        if before != least {
            self.tell_all(&News::LeastEpoch(least));
        }
    }

    /// Returns the least epoch of the other processes, `None` when all their operators have ended.
    pub(crate) fn least_of_others(&self) -> Option<Epoch> {
        let mine = self.peers.index();
        let state = self.state();
        let others = state.least.iter().enumerate().filter(|(process, _)| *process != mine);
        others.filter_map(|(_, least)| *least).min().map(Epoch)
    }
}
