//! Agents that are lost or come back, and coordinators that take over.

use super::*;

/// What an agent says of a process that has begun.
fn known(attempt: u64, index: usize) -> Known {
    let said = vec![Report::Joined { pid: 100 }];
    Known { key: key(attempt, index), pid: Some(100), said, exit: None }
}

/// A coordinator that takes over from another one.
fn taken_over(world: &World) -> World {
    let coordinator = Coordinator::new(2, 8081, world.coordinator.records(), At::default());
    World { coordinator, now: Duration::ZERO, said: Vec::new() }
}

#[test]
fn an_agent_that_is_silent_is_lost_and_its_processes_with_it() {
    let mut world = World::new(&[("a", 1), ("b", 1)]);
    world.play(submit(1, "fixed-delay:attempts=1,delay=0s"));
    world.begins("a", key(1, 0));
    world.pass(9, &["b"]);
    assert_eq!(world.state(), JobState::Running);
    world.pass(1, &["b"]);
    assert_eq!(world.told(), [("b".to_owned(), "start", 2, 0)]);
    assert!(world.said.iter().any(|said| matches!(said, Command::Drop(lost) if lost.0 == "a")));
    // It was only slow: what it has is not wanted any more.
    world.play(hello("a", 1, vec![known(1, 0)]));
    assert_eq!(world.told(), [("a".to_owned(), "kill", 1, 0)]);
}

#[test]
fn an_agent_whose_connection_breaks_may_come_back_soon() {
    let mut world = World::new(&[("a", 1)]);
    world.play(submit(1, ONCE));
    world.begins("a", key(1, 0));
    world.play(Event::Disconnected(agent("a")));
    world.pass(1, &[]);
    world.play(hello("a", 1, vec![known(1, 0)]));
    world.pass(5, &["a"]);
    assert_eq!(world.state(), JobState::Running);

    world.play(Event::Disconnected(agent("a")));
    world.pass(2, &[]);
    assert_eq!(world.state(), JobState::Restarting, "within two seconds");
    assert_eq!(world.coordinator.agents().count(), 0);
}

#[test]
fn an_agent_that_comes_back_without_a_process_has_lost_it() {
    let mut world = World::new(&[("a", 1)]);
    world.play(submit(1, ONCE));
    world.begins("a", key(1, 0));
    world.play(hello("a", 1, Vec::new()));
    assert_eq!(world.state(), JobState::Restarting);
}

#[test]
fn a_coordinator_that_was_stopped_itself_blames_nobody() {
    let mut world = World::new(&[("a", 1)]);
    world.play(submit(1, ONCE));
    world.begins("a", key(1, 0));
    world.now += Duration::from_secs(60);
    world.play(Event::Slept);
    world.play(Event::Tick);
    assert_eq!(world.state(), JobState::Running);
}

#[test]
fn a_new_coordinator_takes_over_what_runs() {
    let mut world = World::new(&[("a", 2), ("b", 1)]);
    world.play(submit(2, ONCE));
    world.begins("a", key(1, 0));
    world.begins("a", key(1, 1));
    let mut next = taken_over(&world);
    assert_eq!(next.state(), JobState::Reconciling);
    next.play(hello("b", 1, Vec::new()));
    assert_eq!(next.told(), [], "nothing is started while something may run");
    next.play(hello("a", 2, vec![known(1, 0), known(1, 1)]));
    assert_eq!((next.state(), next.told().len()), (JobState::Running, 0));
    next.pass(20, &["a", "b"]);
    assert_eq!(next.state(), JobState::Running);
}

#[test]
fn a_new_coordinator_starts_jobs_again_whose_processes_are_gone() {
    let mut world = World::new(&[("a", 2)]);
    world.play(submit(2, ONCE));
    world.begins("a", key(1, 0));
    world.begins("a", key(1, 1));
    let mut next = taken_over(&world);
    next.play(hello("a", 2, vec![known(1, 0)]));
    next.pass(9, &["a"]);
    assert_eq!(next.state(), JobState::Reconciling);
    next.pass(1, &["a"]);
    assert_eq!(next.state(), JobState::Restarting);
    assert!(next.told().contains(&("a".to_owned(), "kill", 1, 0)), "{:?}", next.told());
    next.exits("a", key(1, 0), exit(None, Some(9)));
    next.pass(2, &["a"]);
    assert!(next.told().iter().all(|told| (told.1, told.2) == ("start", 2)));
    assert_eq!(next.told().len(), 2);
}

#[test]
fn a_new_coordinator_hears_how_processes_ended_that_nobody_had_heard() {
    let mut world = World::new(&[("a", 1)]);
    world.play(submit(1, ONCE));
    world.begins("a", key(1, 0));
    let mut next = taken_over(&world);
    let ended = Known { exit: Some(exit(Some(0), None)), ..known(1, 0) };
    next.play(hello("a", 1, vec![ended]));
    assert_eq!(next.state(), JobState::Finished);
    assert!(next.told().contains(&("a".to_owned(), "forget", 1, 0)));
}

#[test]
fn a_new_coordinator_goes_on_with_what_the_one_before_had_begun() {
    for (begin, end) in
        [(JobState::Cancelling, JobState::Canceled), (JobState::Failing, JobState::Failed)]
    {
        let mut world = World::new(&[("a", 1)]);
        world.play(submit(1, "none"));
        world.begins("a", key(1, 0));
        match begin {
            JobState::Cancelling => world.play(Event::Cancel(job())),
            _ => {
                let sentence = "no".to_owned();
                let failed = Reported { code: 1, sentence, curable: true };
                world.says("a", key(1, 0), Report::Ended(Some(failed)));
            }
        }
        assert_eq!(world.state(), begin);
        let mut next = taken_over(&world);
        next.play(hello("a", 1, vec![known(1, 0)]));
        assert!(next.told().contains(&("a".to_owned(), "kill", 1, 0)), "{begin}");
        next.exits("a", key(1, 0), exit(None, Some(9)));
        assert_eq!(next.state(), end);
    }
}

#[test]
fn jobs_of_a_cluster_that_ends_are_suspended_and_go_on_with_the_next() {
    let mut world = World::new(&[("a", 1)]);
    world.play(submit(1, ONCE));
    world.begins("a", key(1, 0));
    world.play(Event::Close);
    assert!(world.told().contains(&("a".to_owned(), "ask", 1, 0)), "a last checkpoint");
    assert!(!world.coordinator.is_closed());
    assert!(matches!(world.refused(submit(1, ONCE)), Error::Closing));
    world.exits("a", key(1, 0), exit(Some(0), None));
    assert_eq!(world.state(), JobState::Suspended);
    assert!(world.coordinator.is_closed());
    let mut next = taken_over(&world);
    next.play(hello("a", 1, Vec::new()));
    assert_eq!(next.told(), [("a".to_owned(), "start", 2, 0)]);
}

#[test]
fn of_jobs_that_have_ended_the_last_hundred_are_remembered() {
    let mut world = World::new(&[("a", 1)]);
    for number in 0..105 {
        world.now += Duration::from_secs(1);
        world.hear("a", FromAgent::Heartbeat(Hardware::default()));
        let spec = Box::new(JobSpec { id: JobId::of(number), ..spec(1, "none") });
        world.play(Event::Submit { spec, secret: String::new() });
        world.play(Event::Cancel(JobId::of(number)));
        let (key, exit) = (Key { job: JobId::of(number), attempt: 1, index: 0 }, exit(None, None));
        world.exits("a", key, exit);
    }
    let jobs: Vec<_> = world.coordinator.jobs().map(Job::id).collect();
    assert_eq!((jobs.len(), jobs[0]), (100, JobId::of(5)));
}
