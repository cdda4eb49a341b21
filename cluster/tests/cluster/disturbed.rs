//! Clusters whose parts are killed and stopped.

use std::time::Duration;

use rustix::process::Signal;

use crate::local::{
    Cluster, processes_of, results, send, text, undisturbed, undisturbed_of, wait_for,
};

/// Compares what a disturbed job has written, and looks for what it has left behind.
fn ends_well(cluster: &Cluster, job: &str) {
    cluster.wait_for_state(job, "FINISHED");
    assert!(results(&cluster.path("out")) == undisturbed());
    wait_for("the end of all processes", || {
        processes_of(cluster.dir.path()).is_empty().then_some(())
    });
}

#[test]
fn a_process_that_is_killed_or_stopped_is_started_again_and_the_results_are_exact() {
    let cluster = Cluster::start(1, 1);
    let job = cluster.start_q5(&["--workers", "2"]);
    for (attempt, signal) in [(1, Signal::KILL), (2, Signal::STOP)] {
        assert_eq!(cluster.wait_for_checkpoints(&job, 2), attempt);
        cluster.pids(&job).into_iter().for_each(|pid| send(pid, signal));
        wait_for("another attempt", || {
            (cluster.job(&job).overview.attempt > attempt).then_some(())
        });
    }
    let failures = cluster.exceptions(&job);
    let failures = &failures["exceptionHistory"]["entries"];
    let sentence = failures[0]["stacktrace"].as_str().unwrap();
    assert!(sentence.contains("did not answer for 10s"), "{failures}");
    assert_eq!(failures[1]["exceptionName"], "signal 9 (SIGKILL)");
    ends_well(&cluster, &job);
}

#[test]
fn an_agent_that_is_killed_takes_its_processes_along_and_others_take_over() {
    let mut cluster = Cluster::start(2, 1);
    let job = cluster.start_q5(&[]);
    cluster.wait_for_checkpoints(&job, 2);
    let process = cluster.pids(&job)[0];
    let agent = cluster.job(&job).processes[0].taskmanager_id.clone().unwrap();
    let killed =
        cluster.agents.iter().position(|part| agent.contains(&format!("-{}-", part.pid())));
    drop(cluster.agents.remove(killed.unwrap()));
    wait_for("the end of its process", || {
        (!processes_of(cluster.dir.path()).contains(&process)).then_some(())
    });
    ends_well(&cluster, &job);
    assert_eq!(cluster.job(&job).overview.attempt, 2);
}

#[test]
fn an_agent_that_is_stopped_is_lost_and_ends_its_processes_when_it_goes_on() {
    let cluster = Cluster::start(2, 1);
    let job = cluster.start_q5(&[]);
    cluster.wait_for_checkpoints(&job, 2);
    let agent = cluster.job(&job).processes[0].taskmanager_id.clone().unwrap();
    let stopped = cluster.agents.iter().find(|part| agent.contains(&format!("-{}-", part.pid())));
    let stopped = stopped.unwrap();
    stopped.signal(Signal::STOP);
    wait_for("another attempt", || (cluster.job(&job).overview.attempt == 2).then_some(()));
    stopped.signal(Signal::CONT);
    cluster.wait_for_agents(2);
    ends_well(&cluster, &job);
}

#[test]
fn a_job_goes_on_while_there_is_no_coordinator_and_the_next_one_takes_it_over() {
    let mut cluster = Cluster::start(1, 1);
    let job = cluster.start_q5(&[]);
    cluster.wait_for_checkpoints(&job, 2);
    let before = cluster.pids(&job);
    cluster.coordinator = None;
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(processes_of(cluster.dir.path()), before, "it runs without a coordinator");
    cluster.start_coordinator();
    cluster.wait_for_state(&job, "RUNNING");
    assert_eq!((cluster.pids(&job), cluster.job(&job).overview.attempt), (before, 1));
    ends_well(&cluster, &job);
}

#[test]
fn a_job_whose_processes_died_with_the_coordinator_is_started_again() {
    let mut cluster = Cluster::start(1, 1);
    let job = cluster.start_q5(&[]);
    cluster.wait_for_checkpoints(&job, 2);
    cluster.coordinator = None;
    cluster.agents.clear();
    wait_for("the end of all processes", || {
        processes_of(cluster.dir.path()).is_empty().then_some(())
    });
    cluster.start_coordinator();
    cluster.start_agent(1);
    ends_well(&cluster, &job);
    assert_eq!(cluster.job(&job).overview.attempt, 2);
}

#[test]
fn of_two_coordinators_the_first_is_fenced_and_says_so() {
    let mut cluster = Cluster::start(0, 1);
    let mut first = cluster.coordinator.take().unwrap();
    let (_second, ..) = cluster.coordinate("127.0.0.1:0", "127.0.0.1:0");
    let code = wait_for("the end of the first", || first.has_ended());
    assert_eq!(code, Some(7));
    let said = std::fs::read_to_string(cluster.path("log")).unwrap();
    assert!(said.contains("coordinator 1 was fenced by coordinator 2"), "{said}");
}

#[test]
fn a_cluster_on_this_machine_is_started_and_stopped_and_its_jobs_go_on() {
    let cluster = Cluster::start(0, 1);
    let dir = text(&cluster.path("local"));
    let start = ["cluster", "start", "--dir", &dir, "--agents", "2", "--slots", "1", "--port", "0"];
    let url = |said: String| said.rsplit(' ').next().unwrap().to_owned();
    let at = url(cluster.done(&start));
    let mut local = cluster;
    local.url.clone_from(&at);
    assert!(local.done(&["cluster", "status"]).contains("2 agents, 2 of 2 slots free"));
    let job = local.start_q5(&[]);
    local.wait_for_checkpoints(&job, 2);
    assert_eq!(local.highwater(&start).status.code(), Some(1), "it runs already");
    local.done(&["cluster", "stop", "--dir", &dir]);
    assert!(processes_of(local.dir.path()).is_empty());
    local.url = url(local.done(&start));
    local.wait_for_state(&job, "FINISHED");
    assert!(results(&local.path("out")) == undisturbed());
    local.done(&["cluster", "stop", "--dir", &dir]);
}

/// How often something is killed or stopped at random.
fn kills() -> u64 {
    let kills = std::env::var("HIGHWATER_CLUSTER_KILLS").ok();
    kills.map_or(6, |kills| kills.parse().expect("HIGHWATER_CLUSTER_KILLS is a number"))
}

#[test]
fn whatever_is_killed_or_stopped_at_random_the_job_returns_and_its_results_are_exact() {
    let mut cluster = Cluster::start(2, 1);
    let events = (300_000 + 60_000 * kills()).to_string();
    let job = cluster.start_q5_of(&events, &["--workers", "2"]);
    let mut draw = fastrand::Rng::with_seed(7);
    for round in 0..kills() {
        let attempt = cluster.wait_for_checkpoints(&job, 1);
        std::thread::sleep(Duration::from_millis(draw.u64(0..500)));
        let what = draw.u8(0..5);
        eprintln!("round {round}, attempt {attempt}: {what}");
        match what {
            0 | 1 => cluster.pids(&job).into_iter().for_each(|pid| send(pid, Signal::KILL)),
            2 => cluster.pids(&job).into_iter().for_each(|pid| send(pid, Signal::STOP)),
            3 => {
                let which = draw.usize(0..cluster.agents.len());
                drop(cluster.agents.remove(which));
                cluster.start_agent(1);
            }
            _ => {
                cluster.coordinator = None;
                std::thread::sleep(Duration::from_millis(draw.u64(0..1000)));
                cluster.start_coordinator();
            }
        }
    }
    cluster.wait_for_state(&job, "FINISHED");
    assert!(results(&cluster.path("out")) == undisturbed_of(&events));
    wait_for("the end of all processes", || {
        processes_of(cluster.dir.path()).is_empty().then_some(())
    });
}
