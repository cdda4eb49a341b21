//! The job whose state the tool shows: what is known of shops from the lines of a watched folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use highwater::Summary;
use highwater::checkpoint::CheckpointOptions;
use highwater::control::{Client, How, JobStatus};
use highwater::operators::keyed_state::{
    ListState, MapState, MapStateDescriptor, StateTtlConfig, States, TtlTime, ValueState,
};
use highwater::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

/// When shops report, in ms: later than any sale.
pub(crate) const REPORT_MS: i64 = 3_000_000;

/// Time in ms, shop and article.
type Sale = (i64, String, String);

/// Remembers articles in every kind of state.
struct Shops {
    newest: ValueState<String>,
    articles: ListState<String>,
    counts: MapState<String, u64>,
    recent: MapState<String, ()>,
}

impl Shops {
    fn new(states: &mut States<String>) -> Result<Self> {
        let hour = StateTtlConfig::new(Duration::from_secs(3600)).time(TtlTime::Event);
        Ok(Shops {
            newest: states.value("newest")?,
            articles: states.list("articles")?,
            counts: states.map("counts")?,
            recent: states.map_with(MapStateDescriptor::new("recent").ttl(hour))?,
        })
    }
}

impl KeyedProcessFunction<String, Sale> for Shops {
    type Out = String;

    fn process_element(
        &mut self,
        (_, _, article): Sale,
        cx: &mut ProcessContext<'_, '_, String, String>,
    ) {
        if article == "closes" {
            cx.take(self.newest);
            return cx.list(self.articles).clear();
        }
        cx.set_event_timer(REPORT_MS);
        cx.set(self.newest, article.clone());
        cx.list(self.articles).add(article.clone());
        *cx.map(self.counts).get_mut(article.clone()) += 1;
        cx.map(self.recent).put(article, ());
    }
}

/// A job that runs in this process until it is stopped.
pub(crate) struct Job {
    dir: TempDir,
    read: u64,
    ended: Option<JoinHandle<Result<Summary>>>,
}

impl Job {
    pub(crate) fn start(workers: usize) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let input = dir.path().join("input");
        std::fs::create_dir(&input).expect("a folder");
        let mut config = Config::workers(workers);
        config.engine.max_parallelism = Some(128);
        let checkpoints = text(&dir.path().join("checkpoints"));
        let interval = Duration::from_millis(50);
        config.checkpoints =
            Some(CheckpointOptions { interval, ..CheckpointOptions::at(&checkpoints) });
        config.control = Some(dir.path().join("control"));
        let output = dir.path().join("output");
        let job = move || {
            highwater::execute(config, move |env| {
                let lines = TextFiles::at(&input).watch(Duration::from_millis(3));
                let sales = env
                    .read(lines)
                    .uid("sales")
                    .map(sale)
                    .watermarks(Watermarks::monotonous().event_time(|sale: &Sale| sale.0));
                let shops = sales.key_by(|sale| sale.1.clone());
                shops.process(Shops::new).uid("shops").sink(JsonLines::to(output.join("shops")));
                let hourly =
                    shops.window(Tumbling::of(hours(1))).reduce(|first, _| first).uid("hourly");
                hourly.sink(JsonLines::to(output.join("hourly")));
                Ok(())
            })
        };
        Job { dir, read: 0, ended: Some(std::thread::spawn(job)) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Lets the job read lines and waits until it has.
    pub(crate) fn read(&mut self, name: &str, lines: &[&str]) {
        let hidden = self.path("appearing");
        std::fs::write(&hidden, lines.join("\n")).expect("a file");
        std::fs::rename(hidden, self.path("input").join(name)).expect("a new name");
        self.read += lines.len() as u64;
        self.wait(|status| status.records_in == self.read);
    }

    /// Waits until the newest checkpoint holds all that was read.
    pub(crate) fn wait_for_checkpoint(&self) {
        let completed = |status: &JobStatus| status.checkpoints.checkpoints.completed;
        let mut before = None;
        // The first one after now may have begun before the last line was read.
        self.wait(|status| {
            let now = completed(status);
            now >= *before.get_or_insert(now) + 2
        });
    }

    fn wait(&self, mut until: impl FnMut(&JobStatus) -> bool) {
        let begin = Instant::now();
        loop {
            let status = Client::connect(&self.path("control")).and_then(|mut job| job.status());
            if status.is_ok_and(|status| until(&status)) {
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "it has not happened in a minute");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Takes a savepoint and returns its folder.
    pub(crate) fn savepoint(&self, name: &str) -> String {
        let url = text(&self.path(name));
        let mut client = Client::connect(&self.path("control")).expect("a running job");
        client.savepoint(&url).expect("a savepoint");
        url
    }

    /// Stops the job with a savepoint and returns its folder.
    pub(crate) fn stop(&mut self, name: &str) -> String {
        let url = text(&self.path(name));
        let client = Client::connect(&self.path("control")).expect("a running job");
        client.stop(How::Suspend, Some(&url)).expect("a savepoint");
        let job = self.ended.take().expect("it was not stopped before");
        job.join().expect("no panic").expect("no error");
        url
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let (Some(job), Ok(client)) = (self.ended.take(), Client::connect(&self.path("control")))
        {
            let _ = client.stop(How::Suspend, None);
            let _ = job.join();
        }
    }
}

fn sale(line: String) -> Sale {
    let mut words = line.split(' ');
    let mut next = || words.next().unwrap_or_default().to_owned();
    let at = next().parse().expect("a time");
    (at, next(), next())
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in Unicode").to_owned()
}

/// Runs `highwater state` with these arguments.
fn tool(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    command.arg("state").args(args).output().expect("the program highwater")
}

/// Runs `highwater state` with these arguments and returns the lines that it writes.
#[track_caller]
pub(crate) fn lines(args: &[&str]) -> Vec<Value> {
    let output = tool(args);
    let (said, why) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}: {why}");
    said.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Runs `highwater state` with arguments that it refuses; returns how many bytes it writes, what it
/// says and the exit code.
#[track_caller]
pub(crate) fn refused(args: &[&str]) -> (usize, String, Option<i32>) {
    let Output { status, stdout, stderr } = tool(args);
    assert!(!status.success(), "{args:?}");
    let said = String::from_utf8_lossy(&stderr).trim_end().to_owned();
    (stdout.len(), said, status.code())
}
