//! Tasks in turns: an executor whose next step the seed draws, with simulated time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::storage::Pace;

/// A task among [`Turns`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Task(usize);

/// Runs tasks on this thread, one step of one of them at a time.
pub struct Turns {
    random: fastrand::Rng,
    tasks: Vec<Entry>,
    time: Arc<Time>,
}

struct Entry {
    /// `None` once it has ended or was killed.
    future: Option<BoxFuture<'static, ()>>,
    ready: Arc<Ready>,
    stopped: bool,
}

struct Ready(AtomicBool);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The simulated time, and who waits for it.
#[derive(Debug)]
struct Time(Mutex<Sleepers>);

#[derive(Debug)]
struct Sleepers {
    now: Duration,
    until: BTreeMap<(Duration, u64), Waker>,
    drawn: u64,
    seed: u64,
}

impl Time {
    fn lock(&self) -> std::sync::MutexGuard<'_, Sleepers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pace of a simulation: time passes when nobody has anything to do.
#[derive(Debug)]
struct SimulatedPace(Arc<Time>);

impl Pace for SimulatedPace {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let time = Arc::clone(&self.0);
        let (deadline, id) = {
            let mut sleepers = time.lock();
            sleepers.drawn += 1;
            (sleepers.now.saturating_add(duration), sleepers.drawn)
        };
        Box::pin(std::future::poll_fn(move |context| {
            let mut sleepers = time.lock();
            if sleepers.now >= deadline {
                return Poll::Ready(());
            }
            sleepers.until.insert((deadline, id), context.waker().clone());
            Poll::Pending
        }))
    }

    fn nonce(&self) -> u64 {
        let mut sleepers = self.0.lock();
        sleepers.drawn += 1;
        fastrand::Rng::with_seed(sleepers.seed ^ sleepers.drawn).u64(..)
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

impl Turns {
    /// Returns a world without tasks.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let sleepers = Sleepers { now: Duration::ZERO, until: BTreeMap::new(), drawn: 0, seed };
        Turns {
            random: fastrand::Rng::with_seed(seed),
            tasks: Vec::new(),
            time: Arc::new(Time(Mutex::new(sleepers))),
        }
    }

    /// Returns the pace by which tasks wait in simulated time.
    #[must_use]
    pub fn pace(&self) -> Arc<dyn Pace> {
        Arc::new(SimulatedPace(Arc::clone(&self.time)))
    }

    /// Returns how much simulated time has passed.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.time.lock().now
    }

    /// Adds a task.
    pub fn spawn(&mut self, future: impl Future<Output = ()> + Send + 'static) -> Task {
        self.tasks.push(Entry {
            future: Some(Box::pin(future)),
            ready: Arc::new(Ready(AtomicBool::new(true))),
            stopped: false,
        });
        Task(self.tasks.len() - 1)
    }

    /// Ends a task where it stands, as `kill -9` does.
    pub fn kill(&mut self, task: Task) {
        self.tasks[task.0].future = None;
    }

    /// Holds a task where it stands, as `SIGSTOP` does.
    pub fn stop(&mut self, task: Task) {
        self.tasks[task.0].stopped = true;
    }

    /// Lets a stopped task go on.
    pub fn resume(&mut self, task: Task) {
        self.tasks[task.0].stopped = false;
    }

    /// Returns whether a task has ended or was killed.
    #[must_use]
    pub fn is_over(&self, task: Task) -> bool {
        self.tasks[task.0].future.is_none()
    }

    /// Lets one task take one step, or time pass if none can; returns `false` when nothing is left
    /// that could ever happen.
    pub fn step(&mut self) -> bool {
        let can_go_on = |task: &Entry| {
            task.future.is_some() && !task.stopped && task.ready.0.load(Ordering::SeqCst)
        };
        let ready: Vec<usize> =
            (0..self.tasks.len()).filter(|task| can_go_on(&self.tasks[*task])).collect();
        let Some(&next) = self.random.choice(&ready) else {
            return self.pass_time();
        };
        let task = &mut self.tasks[next];
        task.ready.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&task.ready));
        if let Some(future) = &mut task.future
            && future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        {
            task.future = None;
        }
        true
    }

    /// Runs until nothing is left that could ever happen.
    pub fn run(&mut self) {
        while self.step() {}
    }

    /// Runs one more task until it has ended, the others beside it.
    ///
    /// # Panics
    /// If it waits for something that never happens.
    pub fn finish<T: Send + 'static>(
        &mut self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let result = Arc::new(Mutex::new(None));
        let here = Arc::clone(&result);
        let task = self.spawn(async move {
            let value = future.await;
            *here.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        });
        while !self.is_over(task) {
            assert!(self.step(), "task {} waits for ever", task.0);
        }
        let value = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.unwrap_or_else(|| panic!("task {} was killed", task.0))
    }

    fn pass_time(&mut self) -> bool {
        let mut sleepers = self.time.lock();
        let Some(((deadline, _), waker)) = sleepers.until.pop_first() else {
            return false;
        };
        sleepers.now = sleepers.now.max(deadline);
        waker.wake();
        true
    }
}
