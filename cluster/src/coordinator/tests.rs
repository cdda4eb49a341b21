//! The machine, driven by hand: every state, and what is told to whom on the way.

use highwater::control::{How, Response};
use highwater::supervisor::protocol::{Described, Order, Overrides, Report, Reported};

use super::event::{At, Command, Event, Wish};
use super::job::Outcome;
use super::*;
use crate::error::Error;
use crate::frame::{Exit, FromAgent, Hello, Key, Known, VERSION};
use crate::id::TriggerId;
use crate::record::JobSpec;

mod recovery;

/// A coordinator, a clock, and what it last said.
struct World {
    coordinator: Coordinator,
    now: Duration,
    said: Vec<Command>,
}

fn job() -> JobId {
    JobId::of(7)
}

fn agent(name: &str) -> AgentId {
    AgentId(name.to_owned())
}

fn hello(name: &str, slots: usize, processes: Vec<Known>) -> Event {
    Event::Hello(Box::new(Hello {
        version: VERSION,
        token: None,
        id: agent(name),
        host: "host".to_owned(),
        pid: 1,
        address: [127, 0, 0, 1].into(),
        slots,
        hardware: Hardware::default(),
        processes,
    }))
}

fn spec(parallelism: usize, restart: &str) -> JobSpec {
    JobSpec {
        id: job(),
        name: "words".to_owned(),
        program: "00".repeat(32),
        program_name: "words".to_owned(),
        arguments: Vec::new(),
        environment: BTreeMap::new(),
        folder: None,
        parallelism,
        overrides: Overrides::default(),
        restart: Some(restart.to_owned()),
    }
}

fn submit(parallelism: usize, restart: &str) -> Event {
    let spec = Box::new(spec(parallelism, restart));
    Event::Submit { spec, secret: "secret".to_owned() }
}

fn key(attempt: u64, index: usize) -> Key {
    Key { job: job(), attempt, index }
}

fn exit(code: Option<i32>, signal: Option<i32>) -> Exit {
    Exit { code, signal, killed: None, ordered: false }
}

impl World {
    /// One with these agents.
    fn new(agents: &[(&str, usize)]) -> Self {
        let coordinator = Coordinator::new(1, 8081, Vec::new(), At::default());
        let mut world = World { coordinator, now: Duration::ZERO, said: Vec::new() };
        for (name, slots) in agents {
            world.play(hello(name, *slots, Vec::new()));
        }
        world
    }

    fn at(&self) -> At {
        At { now: self.now, now_ms: self.now.as_millis() as i64, chance: 0.5 }
    }

    fn play(&mut self, event: Event) {
        self.said = self.coordinator.handle(self.at(), event).expect("it can be done");
    }

    fn refused(&mut self, event: Event) -> Error {
        self.coordinator.handle(self.at(), event).expect_err("it cannot be done")
    }

    /// Lets time pass, in which these agents are alive.
    fn pass(&mut self, seconds: u64, alive: &[&str]) {
        let mut said = Vec::new();
        for _ in 0..seconds * 2 {
            self.now += Duration::from_millis(500);
            for name in alive {
                let beat = FromAgent::Heartbeat(Hardware::default());
                self.play(Event::Frame(agent(name), beat));
                said.append(&mut self.said);
            }
            self.play(Event::Tick);
            said.append(&mut self.said);
        }
        self.said = said;
    }

    fn hear(&mut self, from: &str, frame: FromAgent) {
        self.play(Event::Frame(agent(from), frame));
    }

    fn says(&mut self, from: &str, key: Key, report: Report) {
        self.hear(from, FromAgent::Said { key, report });
    }

    /// Lets a process begin.
    fn begins(&mut self, from: &str, key: Key) {
        self.hear(from, FromAgent::Started { key, pid: 100 });
        self.says(from, key, Report::Joined { pid: 100 });
    }

    fn exits(&mut self, from: &str, key: Key, exit: Exit) {
        self.hear(from, FromAgent::Exited { key, exit });
    }

    fn state(&self) -> JobState {
        self.coordinator.job(job()).expect("the job").record.state
    }

    /// What agents were told last about processes: `start`, `kill`, `ask`, ..
    fn told(&self) -> Vec<(String, &'static str, u64, usize)> {
        let told = self.said.iter().filter_map(|command| match command {
            Command::Tell(agent, what) => Some((agent, what)),
            _ => None,
        });
        let named = told.filter_map(|(agent, what)| {
            let (name, key) = match what {
                ToAgent::Start(start) => ("start", start.key),
                ToAgent::Kill { key, .. } => ("kill", *key),
                ToAgent::Forget(key) => ("forget", *key),
                ToAgent::Pass { key, order } => match &**order {
                    Order::Ask { .. } => ("ask", *key),
                    Order::Peers { .. } => ("peers", *key),
                    Order::Verdict { again: true } => ("again", *key),
                    Order::Verdict { again: false } => ("no more", *key),
                    Order::Begin(_) | Order::Signal(_) => ("other", *key),
                },
                _ => return None,
            };
            Some((agent.0.clone(), name, key.attempt, key.index))
        });
        named.collect()
    }

    /// The number of the question that was asked last.
    fn ask(&self) -> u64 {
        let ask = self.said.iter().find_map(|command| match command {
            Command::Tell(_, ToAgent::Pass { order, .. }) => match **order {
                Order::Ask { id, .. } => Some(id),
                _ => None,
            },
            _ => None,
        });
        ask.expect("a question")
    }

    fn wish(&mut self, wish: Wish) -> TriggerId {
        let trigger = TriggerId::of(99);
        self.play(Event::Wish { job: job(), trigger, wish });
        trigger
    }

    fn outcome(&self, trigger: TriggerId) -> Outcome {
        self.coordinator.job(job()).expect("the job").operations[&trigger].outcome.clone()
    }

    fn answers(&mut self, attempt: u64, ask: u64, response: Response) {
        self.says("a", key(attempt, 0), Report::Answer { id: ask, response });
    }
}

const ONCE: &str = "fixed-delay:attempts=1,delay=2s";

#[test]
fn a_job_runs_when_its_processes_have_begun_and_has_finished_when_they_have_ended() {
    let mut world = World::new(&[("a", 2), ("b", 1)]);
    world.play(submit(2, "none"));
    assert!(matches!(world.said[0], Command::Save(_)), "an attempt is remembered first");
    let started = [("a".to_owned(), "start", 1, 0), ("a".to_owned(), "start", 1, 1)];
    assert_eq!(world.told(), started);
    assert_eq!(world.state(), JobState::Created);
    world.begins("a", key(1, 0));
    assert_eq!(world.state(), JobState::Created);
    world.begins("a", key(1, 1));
    assert_eq!(world.state(), JobState::Running);
    for index in 0..2 {
        world.says("a", key(1, index), Report::Ended(None));
        assert_eq!(world.state(), JobState::Running);
        world.exits("a", key(1, index), exit(Some(0), None));
        assert_eq!(world.told(), [("a".to_owned(), "forget", 1, index)]);
    }
    assert_eq!(world.state(), JobState::Finished);
}

#[test]
fn a_job_waits_for_slots_and_takes_them_when_they_come() {
    let mut world = World::new(&[("a", 1)]);
    world.play(submit(2, "none"));
    assert_eq!((world.told().len(), world.state()), (0, JobState::Created));
    assert_eq!(world.coordinator.job(job()).unwrap().waits_for, Some(2));
    world.play(hello("b", 1, Vec::new()));
    let agents: Vec<_> = world.told().into_iter().map(|(agent, ..)| agent).collect();
    assert_eq!(agents, ["a", "b"]);
    assert!(world.coordinator.free_slots().values().all(|slots| *slots == 0));
}

#[test]
fn processes_of_an_attempt_learn_of_each_other_when_all_listen() {
    let mut world = World::new(&[("a", 1), ("b", 1)]);
    world.play(submit(2, "none"));
    let address = "10.0.0.1:99".parse().unwrap();
    world.says("a", key(1, 0), Report::Listening { address });
    assert_eq!(world.told(), []);
    world.says("b", key(1, 1), Report::Listening { address });
    let told = world.told();
    assert_eq!(told, [("a".to_owned(), "peers", 1, 0), ("b".to_owned(), "peers", 1, 1)]);
}

#[test]
fn a_process_that_is_killed_ends_the_attempt_and_the_next_one_begins_after_the_delay() {
    let mut world = World::new(&[("a", 1), ("b", 1)]);
    world.play(submit(2, ONCE));
    world.begins("a", key(1, 0));
    world.begins("b", key(1, 1));
    world.exits("a", key(1, 0), exit(None, Some(9)));
    assert_eq!(world.state(), JobState::Restarting);
    assert!(world.told().contains(&("b".to_owned(), "kill", 1, 1)), "{:?}", world.told());
    world.pass(3, &["a", "b"]);
    assert_eq!(world.state(), JobState::Restarting, "one of its processes is still there");
    world.exits("b", key(1, 1), exit(Some(1), None));
    world.pass(1, &["a", "b"]);
    assert_eq!(world.state(), JobState::Restarting);
    world.pass(1, &["a", "b"]);
    assert_eq!(world.told().len(), 2, "{:?}", world.told());
    assert!(world.told().iter().all(|told| (told.1, told.2) == ("start", 2)));
    let failures = &world.coordinator.job(job()).unwrap().record.failures;
    assert_eq!(failures.len(), 1, "what follows from a failure is none of its own");
    assert_eq!(failures[0].exit, "signal 9 (SIGKILL)");

    world.exits("a", key(2, 0), exit(None, Some(9)));
    assert_eq!(world.state(), JobState::Failing);
    world.exits("b", key(2, 1), exit(Some(1), None));
    assert_eq!(world.state(), JobState::Failed);
}

#[test]
fn whoever_reports_a_failure_learns_whether_there_will_be_another_attempt() {
    let report = |curable| {
        let sentence = "disk full".to_owned();
        Report::Ended(Some(Reported { code: 1, sentence, curable }))
    };
    for (curable, verdict, state) in
        [(true, "again", JobState::Restarting), (false, "no more", JobState::Failed)]
    {
        let mut world = World::new(&[("a", 1)]);
        world.play(submit(1, ONCE));
        world.begins("a", key(1, 0));
        world.says("a", key(1, 0), report(curable));
        assert!(world.told().contains(&("a".to_owned(), verdict, 1, 0)), "{:?}", world.told());
        world.exits("a", key(1, 0), exit(Some(1), None));
        assert_eq!(world.state(), state);
    }
}

#[test]
fn a_program_that_chooses_its_exit_code_has_failed_for_good() {
    let mut world = World::new(&[("a", 1)]);
    world.play(submit(1, ONCE));
    world.exits("a", key(1, 0), exit(Some(2), None));
    assert_eq!(world.state(), JobState::Failed);
}

#[test]
fn what_is_said_of_another_attempt_ends_that_process_and_nothing_else() {
    let mut world = World::new(&[("a", 2), ("b", 2)]);
    world.play(submit(1, ONCE));
    world.begins("a", key(1, 0));
    for (from, key) in [("a", key(9, 0)), ("a", key(1, 5)), ("b", key(1, 0))] {
        world.says(from, key, Report::Ended(None));
        assert_eq!(world.told(), [(from.to_owned(), "kill", key.attempt, key.index)]);
        world.exits(from, key, exit(Some(1), None));
        assert_eq!(world.state(), JobState::Running, "{key}");
    }
}

#[test]
fn a_canceled_job_is_ended_at_once_and_never_started_again() {
    let mut world = World::new(&[("a", 1)]);
    world.play(submit(1, ONCE));
    world.begins("a", key(1, 0));
    world.play(Event::Cancel(job()));
    assert_eq!(world.told(), [("a".to_owned(), "kill", 1, 0)]);
    assert_eq!(world.state(), JobState::Cancelling);
    world.exits("a", key(1, 0), exit(None, Some(9)));
    assert_eq!(world.state(), JobState::Canceled);
    world.pass(5, &["a"]);
    assert_eq!(world.state(), JobState::Canceled);
    assert!(matches!(world.refused(Event::Cancel(job())), Error::Ended { .. }));
    assert!(matches!(world.refused(Event::Cancel(JobId::of(8))), Error::NoJob { .. }));
    assert!(matches!(world.refused(submit(1, ONCE)), Error::KnownJob { .. }));
}

#[test]
fn a_savepoint_is_remembered_and_a_refused_one_says_why() {
    let mut world = World::new(&[("a", 1)]);
    world.play(submit(1, ONCE));
    let wish = Wish::Savepoint { url: "/there".to_owned() };
    let too_early = Event::Wish { job: job(), trigger: TriggerId::of(1), wish: wish.clone() };
    assert!(matches!(world.refused(too_early), Error::NotRunning { .. }));
    world.begins("a", key(1, 0));
    let trigger = world.wish(wish.clone());
    assert_eq!(world.outcome(trigger), Outcome::InProgress);
    world.answers(1, world.ask(), Response::Checkpoint(5));
    let url = Some("/there".to_owned());
    assert_eq!(world.outcome(trigger), Outcome::Completed { checkpoint: Some(5), url });
    assert!(matches!(&world.said[0], Command::Save(record) if record.savepoints.len() == 1));

    let trigger = world.wish(wish);
    world.answers(1, world.ask(), Response::Error("taken".to_owned()));
    assert_eq!(world.outcome(trigger), Outcome::Failed { why: "taken".to_owned() });
    let trigger = world.wish(Wish::Checkpoint);
    world.exits("a", key(1, 0), exit(None, Some(9)));
    assert!(matches!(world.outcome(trigger), Outcome::Failed { .. }));
}

#[test]
fn a_stopped_job_has_finished() {
    let mut world = World::new(&[("a", 1)]);
    world.play(submit(1, ONCE));
    world.begins("a", key(1, 0));
    let trigger = world.wish(Wish::Stop { how: How::Drain, url: None });
    world.answers(1, world.ask(), Response::Checkpoint(5));
    assert!(matches!(world.outcome(trigger), Outcome::Completed { checkpoint: Some(5), .. }));
    world.says("a", key(1, 0), Report::Ended(None));
    world.exits("a", key(1, 0), exit(Some(0), None));
    assert_eq!(world.state(), JobState::Finished);
}

#[test]
fn a_rescaled_job_goes_on_with_other_slots_from_its_checkpoint() {
    let mut world = World::new(&[("a", 1), ("b", 2)]);
    world.play(submit(1, ONCE));
    assert_eq!(world.told()[0].0, "b");
    world.begins("b", key(1, 0));
    let described = Described { restart: ONCE.to_owned(), ..Described::default() };
    world.says("b", key(1, 0), Report::Described(Box::new(described)));
    world.says("b", key(1, 0), Report::Begun { url: "ck".to_owned(), attempt: 4 });
    let rescale = |parallelism| Wish::Rescale { parallelism, workers: Some(3) };
    let too_many = Event::Wish { job: job(), trigger: TriggerId::of(1), wish: rescale(4) };
    assert!(matches!(world.refused(too_many), Error::Slots { wanted: 4, slots: 3 }));
    let trigger = world.wish(rescale(3));
    let ask = world.ask();
    world.says("b", key(1, 0), Report::Answer { id: ask, response: Response::Checkpoint(8) });
    assert_eq!(
        (world.state(), world.outcome(trigger)),
        (JobState::Restarting, Outcome::InProgress)
    );
    world.exits("b", key(1, 0), exit(Some(0), None));
    let starts: Vec<_> = world.told().into_iter().filter(|told| told.1 == "start").collect();
    assert_eq!(starts.len(), 3);
    let begin = world.said.iter().find_map(|command| match command {
        Command::Tell(_, ToAgent::Start(start)) => Some(start.begin.clone()),
        _ => None,
    });
    let begin = begin.expect("a start");
    assert_eq!((begin.overrides.workers, begin.since["ck"]), (Some(3), 4));
    for (agent, _, attempt, index) in starts {
        world.begins(&agent, key(attempt, index));
    }
    assert_eq!(world.state(), JobState::Running);
    let done = Outcome::Completed { checkpoint: Some(8), url: None };
    assert_eq!(world.outcome(trigger), done);
}

#[test]
fn a_job_that_cannot_be_stopped_is_not_rescaled_and_goes_on() {
    let mut world = World::new(&[("a", 2)]);
    world.play(submit(1, ONCE));
    world.begins("a", key(1, 0));
    let trigger = world.wish(Wish::Rescale { parallelism: 2, workers: None });
    world.answers(1, world.ask(), Response::Error("no checkpoints".to_owned()));
    assert_eq!(world.state(), JobState::Running);
    assert_eq!(world.outcome(trigger), Outcome::Failed { why: "no checkpoints".to_owned() });
    world.exits("a", key(1, 0), exit(Some(0), None));
    assert_eq!(world.state(), JobState::Finished);
}
