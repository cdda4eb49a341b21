//! Jobs of several processes that talk over TCP, as a user runs them.
//!
//! Families: the same answers on any division into processes and workers (catches whatever is lost,
//! doubled or never ends between processes); processes that are killed, with and without somebody
//! who starts them again (catches results that are lost or made twice, and processes that go on
//! alone); processes that do not belong together (catches an admission, a long wait and a missing
//! reason).

#[path = "support/together.rs"]
mod together;
mod support;

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use support::lines;
use together::{Together, ends, said};

/// How a job is divided: processes, and workers of each.
const DIVISIONS: [(usize, usize); 4] = [(1, 2), (2, 1), (2, 2), (4, 1)];

/// The results of one worker.
fn golden(program: &'static str, args: &str, prefix: &str) -> Vec<String> {
    let alone = Together::new(program, args);
    let ended = ends(alone.start(1, 1, &[]));
    assert!(ended[0].status.success(), "{}", said(&ended[0]));
    lines(&alone.out(), prefix)
}

fn is_the_same_everywhere(program: &'static str, args: &str) {
    let golden = golden(program, args, "part");
    assert!(!golden.is_empty(), "the job has results");
    for (processes, workers) in DIVISIONS {
        let job = Together::new(program, args);
        let ended = ends(job.start(processes, workers, &[]));
        for output in &ended {
            assert!(output.status.success(), "{processes} x {workers}: {}", said(output));
        }
        let rows = lines(&job.out(), "part");
        assert_eq!(rows.len(), golden.len(), "{args} on {processes} x {workers}");
        assert!(rows == golden, "{args} on {processes} x {workers} differ");
        let summaries = ended.iter().filter(|output| said(output).contains("records in"));
        assert_eq!(summaries.count(), 1, "only the first process sums up, for all");
    }
}

#[test]
fn flights_are_the_same_on_any_division_into_processes() {
    is_the_same_everywhere("flights", "hourly --out-of-orderness 22h");
}

#[test]
fn nexmark_queries_are_the_same_on_any_division_into_processes() {
    for query in ["q0", "q3", "q5", "q7", "q8", "q11"] {
        is_the_same_everywhere("nexmark", &format!("{query} --events 50000"));
    }
}

/// Numbers from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

fn kill(child: &mut Child) {
    child.kill().expect("a child that can be killed");
}

const UNDER_CHECKPOINTS: &str = "q5 --events 100000 --rate 60000";

fn with_checkpoints<'a>(job: &'a Together, restart: &'a str) -> Vec<String> {
    let ck = job.ck().display().to_string();
    let args = ["--checkpoint-dir", &ck, "--checkpoint-interval", "50ms", "--restart", restart];
    args.into_iter().chain(["--restore", "latest"]).map(str::to_owned).collect()
}

fn start(job: &Together, processes: usize, workers: usize, restart: &str) -> Vec<Child> {
    let more = with_checkpoints(job, restart);
    job.start(processes, workers, &more.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_killed_process_ends_the_others_and_any_number_of_processes_goes_on() {
    let golden = golden("nexmark", "q5 --events 100000", "part");
    let (job, mut draw, mut killed) = (Together::new("nexmark", UNDER_CHECKPOINTS), Draw(7), 0);
    for (processes, workers) in [(2, 1), (4, 1), (2, 2), (3, 1)] {
        let mut children = start(&job, processes, workers, "none");
        std::thread::sleep(Duration::from_millis(600 + draw.below(400)));
        let victim = draw.below(processes as u64) as usize;
        let alive = children[victim].try_wait().expect("a child").is_none();
        kill(&mut children[victim]);
        let begin = Instant::now();
        let ended = ends(children);
        if !alive {
            break;
        }
        killed += 1;
        assert!(begin.elapsed() < Duration::from_secs(10), "the others end at once");
        let others = ended.iter().enumerate().filter(|(index, _)| *index != victim);
        for (index, output) in others.filter(|(_, output)| !output.status.success()) {
            let said = said(output);
            assert!(said.contains(&format!("process {victim}: ")), "process {index}: {said}");
            assert!(!said.contains("panicked"), "process {index}: {said}");
        }
    }
    assert!(killed > 0, "the job has ended before it could be killed");
    for output in ends(start(&job, 2, 1, "none")) {
        assert!(output.status.success(), "{}", said(&output));
    }
    assert!(lines(&job.out(), "part") == golden, "the results differ");
}

/// The attempt that a supervisor has started.
fn attempt_of(supervisor: &Child) -> Option<i32> {
    let pid = supervisor.id().to_string();
    let children = Command::new("pgrep").args(["-P", &pid]).output().expect("pgrep");
    String::from_utf8_lossy(&children.stdout).split_whitespace().next()?.parse().ok()
}

#[test]
fn processes_that_are_killed_come_together_again_by_themselves() {
    let golden = golden("nexmark", "q5 --events 100000", "part");
    let job = Together::new("nexmark", UNDER_CHECKPOINTS);
    let supervisors = start(&job, 3, 1, "fixed-delay:attempts=50,delay=100ms");
    let mut draw = Draw(11);
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(900 + draw.below(300)));
        let victim = draw.below(3) as usize;
        if let Some(pid) = attempt_of(&supervisors[victim]) {
            let pid = rustix::process::Pid::from_raw(pid).expect("a process");
            // It may have ended just now.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
    for output in ends(supervisors) {
        assert!(output.status.success(), "{}", said(&output));
    }
    assert!(lines(&job.out(), "part") == golden, "the results differ");
}

#[test]
fn an_error_of_one_process_is_the_sentence_of_all_and_nothing_becomes_visible() {
    let args = "--numbers 2000000 --panic-at 1999999";
    let job = Together::new("faulty", args);
    let ended = ends(job.start(3, 1, &[]));
    for output in &ended {
        assert_eq!(output.status.code(), Some(1), "{}", said(output));
        assert!(said(output).contains("operator \"source -> fault\" panicked"), "{}", said(output));
        assert!(said(output).contains("told to panic"), "{}", said(output));
    }
    assert_eq!(lines(&job.out(), "part"), Vec::<String>::new());
}

/// The memory of a process, in bytes.
fn resident(child: &Child) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", child.id()));
    let statm = statm.expect("a process that lives");
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("a number of pages") * 4096
}

#[test]
fn a_process_that_hangs_is_not_sent_more_than_it_has_credit_for() {
    let job = Together::new("faulty", "--numbers 4000000000 --hang-at 100");
    let mut children = job.start(2, 1, &[]);
    std::thread::sleep(Duration::from_millis(2500));
    let before: Vec<u64> = children.iter().map(resident).collect();
    std::thread::sleep(Duration::from_millis(2500));
    let after: Vec<u64> = children.iter().map(resident).collect();
    for child in &mut children {
        assert!(child.try_wait().expect("a child").is_none(), "a worker that hangs is no loss");
        kill(child);
    }
    ends(children);
    for (before, after) in before.iter().zip(&after) {
        let grown = after.saturating_sub(*before);
        assert!(grown < 12 << 20 && *after < 400 << 20, "{before} bytes, then {after}");
    }
}

/// Starts two processes, the second as the caller says; returns what both said.
fn refused(second: impl Fn(&Together) -> Command) -> [String; 2] {
    let job = Together::new("nexmark", "q0 --events 1000");
    job.meet(2);
    let mut first = job.command(2, 1, 0).spawn().expect("a child");
    std::thread::sleep(Duration::from_millis(700));
    let begin = Instant::now();
    let refused = second(&job).output().expect("a child");
    // Its start takes a while in a test build; what counts is that nothing is waited for.
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(!refused.status.success(), "{}", said(&refused));
    kill(&mut first);
    let first = first.wait_with_output().expect("a child");
    [said(&first), said(&refused)]
}

#[track_caller]
fn both_say(said: &[String; 2], what: &str) {
    assert!(said.iter().all(|said| said.contains(what)), "{said:?}");
}

#[test]
fn whoever_does_not_belong_is_refused_at_once_with_a_reason_on_both_sides() {
    let stranger = refused(|job| {
        std::fs::write(job.dir.path().join("secret"), "shibboleth").expect("a file");
        job.command(2, 1, 1)
    });
    both_say(&stranger, "it does not know the secret of the job");
    let other_option = refused(|job| {
        let mut command = job.command(2, 1, 1);
        command.args(["--mode", "batch"]);
        command
    });
    both_say(&other_option, "option --mode is batch there, expected streaming");
    let other_division = refused(|job| job.command(2, 2, 1));
    both_say(&other_division, "option --workers is 2 there, expected 1");
    let other_program = refused(|job| job.command_of("flights", &["hourly"], 2, 1, 1));
    both_say(&other_program, "it is of job");
}

#[test]
fn processes_with_another_plan_do_not_begin() {
    let (job, other) = ("q0 --events 1000", "q5 --events 1000");
    let (job, other) = (Together::new("nexmark", job), Together::new("nexmark", other));
    job.meet(2);
    for file in ["hosts", "secret"] {
        let copied = std::fs::copy(job.dir.path().join(file), other.dir.path().join(file));
        copied.expect("a file");
    }
    let commands = [job.command(2, 1, 0), other.command(2, 1, 1)];
    for output in ends(commands.map(|mut command| command.spawn().expect("a child")).into()) {
        assert!(!output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("another plan"), "{}", said(&output));
    }
}
