//! Jobs that nobody disturbs.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::local::{Cluster, processes_of, program, results, text, undisturbed, wait_for};

/// The folder of the stored events and answers.
fn stored() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/nexmark/disorder")
}

/// The answers that a real Flink agrees with.
fn answers(query: &str) -> Vec<String> {
    let file = stored().join("expected").join(format!("{query}.jsonl.zst"));
    let file = std::fs::File::open(file).unwrap();
    let lines = BufReader::new(zstd::Decoder::new(file).unwrap()).lines();
    let mut lines: Vec<_> = lines.map(Result::unwrap).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn queries_give_on_a_cluster_the_answers_of_a_real_flink() {
    let cluster = Cluster::start(2, 1);
    let (nexmark, input) = (program("nexmark"), text(&stored().join("events.jsonl.zst")));
    for query in ["q3", "q5", "q8", "q11"] {
        let output = text(&cluster.path(query));
        let own = ["--input", &input, "--out-of-orderness", "5s", "--output", &output];
        cluster.done(&[&["run", "--workers", "2", &nexmark, query], &own[..]].concat());
        assert!(results(&cluster.path(query)) == answers(query), "{query}");
    }
    assert_eq!(cluster.done(&["list"]), "", "they have ended");
    assert_eq!(cluster.done(&["list", "--all"]).lines().count(), 4);
    wait_for("the end of all processes", || {
        processes_of(cluster.dir.path()).is_empty().then_some(())
    });
}

#[test]
fn several_jobs_run_side_by_side_and_each_is_shown() {
    let cluster = Cluster::start(2, 1);
    let (first, second) = (cluster.start_q5(&["--name", "first"]), {
        let (faulty, output) = (program("faulty"), text(&cluster.path("faulty")));
        cluster.done(&["run", "-d", &faulty, "--output", &output, "--rate", "20000"])
    });
    cluster.wait_for_state(&first, "RUNNING");
    cluster.wait_for_state(&second, "RUNNING");
    let listed = cluster.done(&["list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 2);
    let third = cluster.done(&["run", "-d", &program("faulty"), "--output", "nowhere"]);
    let overview = cluster.wait_for_state(&third, "CREATED");
    assert_eq!(overview.waits_for_slots, Some(1));
    cluster.done(&["cancel", &third]);
    cluster.wait_for_state(&third, "CANCELED");

    cluster.wait_for_checkpoints(&first, 3);
    let shown: Value = serde_json::from_str(&cluster.done(&["info", "first", "--json"])).unwrap();
    assert_eq!(shown["job"]["state"], "RUNNING");
    assert_eq!(shown["checkpoints"]["history"][0]["status"], "COMPLETED");
    let config: Value = cluster.client().get(&format!("/jobs/{first}/checkpoints/config")).unwrap();
    assert_eq!((&config["interval"], &config["mode"]), (&100.into(), &"exactly_once".into()));
    let agents: Value = cluster.client().get("/taskmanagers").unwrap();
    let agents = agents["taskmanagers"].as_array().unwrap();
    assert!(agents.iter().all(|agent| agent["freeSlots"] == 0), "{agents:?}");
    assert!(agents.iter().all(|agent| agent["hardware"]["cpuCores"].as_u64() > Some(0)));

    cluster.done(&["cancel", &second]);
    cluster.wait_for_state(&second, "CANCELED");
    cluster.wait_for_state(&first, "FINISHED");
    assert!(results(&cluster.path("out")) == undisturbed());
}

#[test]
fn what_a_program_says_and_how_it_ends_reaches_whoever_runs_it() {
    let cluster = Cluster::start(1, 1);
    let ended = cluster.highwater(&["run", &program("nexmark"), "q9"]);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1));
    assert!(said.contains("invalid value 'q9'"), "{said}");

    let faulty = program("faulty");
    let output = text(&cluster.path("out"));
    let ended = cluster.highwater(&["run", &faulty, "--panic-at", "10", "--output", &output]);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("panicked on worker 0: told to panic"), "{said}");
    let missing = cluster.highwater(&["run", "no-such-program"]);
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(cluster.highwater(&["info", "nothing"]).status.code(), Some(5));
    assert_eq!(cluster.highwater(&["info"]).status.code(), Some(2));
    let nowhere = ["list", "--cluster", "http://127.0.0.1:1"];
    assert_eq!(cluster.highwater(&nowhere).status.code(), Some(3));
}

#[test]
fn a_job_goes_on_from_its_savepoint_with_other_workers() {
    let cluster = Cluster::start(1, 1);
    let first = cluster.start_q5(&[]);
    cluster.wait_for_checkpoints(&first, 2);
    assert!(cluster.done(&["checkpoint", &first]).starts_with("checkpoint "));
    let (one, two) = (text(&cluster.path("one")), text(&cluster.path("two")));
    let said = cluster.done(&["savepoint", &first, &one]);
    assert!(said.starts_with("savepoint of checkpoint "), "{said}");
    let again = cluster.highwater(&["savepoint", &first, &one]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("holds a savepoint already"));
    let said = cluster.done(&["stop", &first, "--savepoint", &two]);
    assert!(said.starts_with("stopped with the savepoint of checkpoint "), "{said}");
    cluster.wait_for_state(&first, "FINISHED");
    std::fs::remove_dir_all(cluster.path("ck")).unwrap();
    let second = cluster.start_q5(&["--restore", &two, "--workers", "3"]);
    cluster.wait_for_state(&second, "FINISHED");
    assert!(results(&cluster.path("out")) == undisturbed());
}

#[test]
fn a_job_is_rescaled_under_load_by_command_and_by_request() {
    let cluster = Cluster::start(1, 1);
    let job = cluster.start_q5(&["--workers", "1"]);
    cluster.wait_for_checkpoints(&job, 2);
    cluster.done(&["rescale", &job, "1", "--workers", "3"]);
    assert_eq!(cluster.job(&job).overview.workers, Some(3));
    cluster.wait_for_checkpoints(&job, 1);
    let path = format!("/jobs/{job}/rescaling?parallelism=1&workers=2");
    let triggered: Value = cluster.client().patch(&path).unwrap();
    let trigger = triggered["request-id"].as_str().unwrap().to_owned();
    wait_for("the rescaling", || {
        let path = format!("/jobs/{job}/rescaling/{trigger}");
        let found: Value = cluster.client().get(&path).ok()?;
        (found["status"]["id"] == "COMPLETED").then_some(())
    });
    let detail = cluster.job(&job);
    assert_eq!((detail.overview.workers, detail.overview.attempt), (Some(2), 3));
    cluster.wait_for_state(&job, "FINISHED");
    assert!(results(&cluster.path("out")) == undisturbed());
    let too_many = cluster.highwater(&["rescale", &job, "5"]);
    assert_eq!(too_many.status.code(), Some(1));
}

#[test]
fn a_program_runs_itself_on_a_cluster_and_waits() {
    let cluster = Cluster::start(1, 1);
    let (input, output) = (text(&stored().join("events.jsonl.zst")), text(&cluster.path("q8")));
    let run = |query: &str| {
        let mut command = Command::new(program("nexmark"));
        command.args([query, "--cluster", &cluster.url, "--input", &input, "--output", &output]);
        command.args(["-w", "2", "--out-of-orderness", "5s"]).output().unwrap()
    };
    let ended = run("q8");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    assert!(said.contains(" records in"), "what it says there is said here: {said}");
    assert!(results(&cluster.path("q8")) == answers("q8"));
    let again = run("q8");
    let said = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(1), "the results are there already: {said}");
    assert_eq!(cluster.done(&["list", "--all"]).lines().count(), 2);
}
