//! The environment in which a program describes its job, and the call that runs it.
//!
//! ```text
//! execute(config, |env| { env.read(..).map(..).key_by(..).window(..).sink(..); Ok(()) })
//!     once per worker: describe --> [nodes] --finish: build what has no consumer, and its inputs
//!     then: step all workers to the end --> commit the sinks --> Summary
//! ```
//!
//! Streams are descriptions until the program's closure returns: only then is it known which steps
//! have a single consumer and can share an operator, and whether all sources are bounded.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use highwater_core::config::Config;
use highwater_core::dataflow::Dataflow;
use highwater_core::error::Result;
use highwater_core::iterate::Iteration;
use highwater_core::job::{Job, Totals};
use highwater_core::shell::Plain;
use highwater_core::source::{Boundedness, Source};

use crate::node::{Buildable, Final, Identity, Node, Pending};
use crate::stream::DataStream;

/// What a program describes its job to.
#[derive(Clone)]
pub struct Env<'scope> {
    shared: Rc<Shared<'scope>>,
    /// The loop whose inside this is.
    inside: Option<Rc<Inside<'scope>>>,
}

/// The inside of a loop.
struct Inside<'scope> {
    level: usize,
    iteration: Iteration<'scope>,
}

struct Shared<'scope> {
    dataflow: Dataflow<'scope>,
    nodes: RefCell<Vec<Rc<dyn Buildable + 'scope>>>,
    places: Cell<usize>,
    unbounded: RefCell<Option<Rc<Identity>>>,
    levels: Cell<usize>,
}

impl std::fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Env").field("dataflow", &self.shared.dataflow).finish_non_exhaustive()
    }
}

impl<'scope> Env<'scope> {
    fn new(dataflow: Dataflow<'scope>) -> Self {
        let shared = Shared {
            dataflow,
            nodes: RefCell::default(),
            places: Cell::default(),
            unbounded: RefCell::default(),
            levels: Cell::default(),
        };
        Env { shared: Rc::new(shared), inside: None }
    }

    /// Reads a source.
    ///
    /// - `output`: its records, with the event times the source knows, and no watermark before the
    ///   end unless [`watermarks`](DataStream::watermarks) is called on the stream.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// env.read(Collection::of([3, 1, 2])).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, [1, 2, 3]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    pub fn read<S: Source>(&self, source: S) -> DataStream<'scope, S::Item> {
        let identity = self.identity("source");
        if source.boundedness() == Boundedness::Unbounded {
            let mut unbounded = self.shared.unbounded.borrow_mut();
            unbounded.get_or_insert_with(|| Rc::clone(&identity));
        }
        self.node(identity, move |_, identity| {
            Ok(Pending::source(identity, Box::new(Plain(source))))
        })
    }

    /// Returns the index of this worker, from 0.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.shared.dataflow.worker()
    }

    /// Returns how many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.shared.dataflow.workers()
    }

    pub(crate) fn dataflow(&self) -> &Dataflow<'scope> {
        self.inside.as_ref().map_or(&self.shared.dataflow, |inside| inside.iteration.inside())
    }

    /// Returns the same environment inside a loop.
    pub(crate) fn within(&self, iteration: Iteration<'scope>) -> Self {
        let level = self.shared.levels.get() + 1;
        self.shared.levels.set(level);
        Env { shared: Rc::clone(&self.shared), inside: Some(Rc::new(Inside { level, iteration })) }
    }

    /// Returns the number of the loop whose inside this is, 0 outside of loops.
    pub(crate) fn level(&self) -> usize {
        self.inside.as_ref().map_or(0, |inside| inside.level)
    }

    /// Returns whether operators give final results only: in batch mode, but not inside of loops,
    /// where no round is known to be the last. Known only after the program's closure.
    pub(crate) fn is_batch(&self) -> Result<bool> {
        Ok(self.level() == 0 && self.runs_in_batch_mode()?)
    }

    fn runs_in_batch_mode(&self) -> Result<bool> {
        let unbounded = self.shared.unbounded.borrow();
        let name = unbounded.as_ref().map(|identity| identity.name());
        self.dataflow().job().is_batch(name.as_deref())
    }

    /// Names the next operator by its kind and its place.
    pub(crate) fn identity(&self, kind: &str) -> Rc<Identity> {
        let place = self.shared.places.replace(self.shared.places.get() + 1);
        Rc::new(Identity::new(kind, place))
    }

    /// Adds a node to the description.
    pub(crate) fn node<T: highwater_core::Data>(
        &self,
        identity: Rc<Identity>,
        resolve: impl FnOnce(&Env<'scope>, &Identity) -> Result<Pending<'scope, T>> + 'scope,
    ) -> DataStream<'scope, T> {
        let node = Rc::new(Node::new(identity, self.level(), Box::new(resolve)));
        let buildable: Rc<dyn Buildable + 'scope> = Rc::new((self.clone(), Rc::clone(&node)));
        self.shared.nodes.borrow_mut().push(buildable);
        DataStream::new(self.clone(), node)
    }

    /// Adds something without a stream, to be built at the end of the description.
    pub(crate) fn finally(&self, build: impl FnOnce() -> Result<()> + 'scope) {
        self.shared.nodes.borrow_mut().push(Rc::new(Final::new(build)));
    }

    /// Builds everything that was described.
    fn finish(&self) -> Result<()> {
        let nodes = std::mem::take(&mut *self.shared.nodes.borrow_mut());
        self.dataflow().job().set_batch_mode(self.runs_in_batch_mode()?);
        nodes.iter().try_for_each(|node| node.build_if_last())
    }
}

/// What a job came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The records that the sources read.
    pub records_in: u64,
    /// The records that the sinks took.
    pub records_out: u64,
    /// The records that were dropped because they came too late.
    pub late_records_dropped: u64,
    /// How long it ran.
    pub elapsed: Duration,
}

impl Summary {
    /// Returns the records read per second.
    #[must_use]
    pub fn records_per_second(&self) -> f64 {
        self.records_in as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} records in, {} out, {} late dropped, {:.3} s, {:.0} records/s",
            self.records_in,
            self.records_out,
            self.late_records_dropped,
            self.elapsed.as_secs_f64(),
            self.records_per_second()
        )
    }
}

/// Runs the job that `program` describes, and returns when it has ended.
///
/// - `program`: called once on every worker; it must describe the same job each time.
///
/// Results become visible only if all workers end without an error.
///
/// # Errors
/// The first error of any worker; a panic in user code is an error that names its operator.
pub fn execute<F>(config: Config, program: F) -> Result<Summary>
where
    F: for<'scope> Fn(&Env<'scope>) -> Result<()> + Send + Sync + 'static,
{
    run(&Arc::new(Job::new(config)?), program)
}

/// Runs a job that the caller can watch; see [`execute`].
///
/// # Errors
/// As [`execute`].
pub fn run<F>(job: &Arc<Job>, program: F) -> Result<Summary>
where
    F: for<'scope> Fn(&Env<'scope>) -> Result<()> + Send + Sync + 'static,
{
    let start = Instant::now();
    highwater_core::worker::run(job, move |dataflow| {
        let env = Env::new(dataflow.clone());
        program(&env)?;
        env.finish()
    })?;
    let Totals { records_in, records_out, late_records_dropped } = job.totals();
    Ok(Summary { records_in, records_out, late_records_dropped, elapsed: start.elapsed() })
}
