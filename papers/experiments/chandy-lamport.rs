//! Chandy and Lamport's snapshots: coins are conserved, and a broken rule is caught.
//!
//! Processes pass coins to each other over channels in both directions, so that there are loops. A
//! snapshot is begun at some moment; what it holds of processes and channels must come to as many
//! coins as there are. Once with markers in channels that keep their order, as in the paper, and
//! once with epochs in the stamps, in channels that do not, as in highwater. Each rule is then
//! broken. Last come drawn jobs on the engine itself, which has no loops: there a cut holds no
//! channel, as every record arrives in the epoch in which it was sent.
//!
//! Run: `cargo xtask paper chandy-lamport`. Note: `papers/chandy-lamport.md`.
#![expect(clippy::print_stdout, reason = "an experiment prints what it finds")]

use std::process::ExitCode;

use highwater::prelude::*;
use highwater_sim::scenario::{Coverage, Family, Graph, build, check};
use highwater_sim::{Random, World};

const SCHEDULES: u64 = 10_000;
/// How soon a broken rule must be caught.
const CAUGHT_WITHIN: u64 = 100;
const JOBS: u64 = 500;
const COINS_EACH: u64 = 100;
/// For how many steps coins are passed on before the channels are emptied.
const STEPS: u64 = 120;

/// How snapshots are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Markers, in channels that keep their order.
    Markers,
    /// Channels are left out of the snapshot.
    ChannelsLeftOut,
    /// A process sends once more between recording its own state and sending the markers.
    MarkersLate,
    /// A marker overtakes what was sent before it.
    MarkersOvertake,
    /// Epochs in the stamps, in channels that do not keep their order.
    Stamps,
    /// What comes from the epoch before is not added to the log.
    LogLeftOut,
    /// What comes from the next epoch is taken before the cut.
    TakenEarly,
}

impl Rule {
    fn is_stamped(self) -> bool {
        matches!(self, Rule::Stamps | Rule::LogLeftOut | Rule::TakenEarly)
    }
}

enum Message {
    Coins { coins: u64, epoch: u64 },
    Marker,
}

/// What a process has recorded.
#[derive(Clone, Default)]
struct Process {
    coins: u64,
    /// The coins it had at its cut, once it has made it.
    recorded: Option<u64>,
    /// The coins that were on their way to it.
    in_channels: u64,
    /// From whom the marker has come.
    closed: Vec<bool>,
}

/// Processes, each with a channel to each.
struct Bank {
    rule: Rule,
    random: Random,
    processes: Vec<Process>,
    /// By sender and receiver.
    channels: Vec<Vec<Vec<Message>>>,
}

impl Bank {
    fn draw(rule: Rule, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let count = 2 + random.index(4);
        let process =
            Process { coins: COINS_EACH, closed: vec![false; count], ..Process::default() };
        let channel = || (0..count).map(|_| Vec::new()).collect();
        let channels = (0..count).map(|_| channel()).collect();
        Bank { rule, random, processes: vec![process; count], channels }
    }

    /// Returns the coins in the snapshot, and those that there are.
    fn play(mut self) -> (u64, u64) {
        let begin = self.random.below(STEPS);
        for step in 0..STEPS {
            if step == begin {
                self.cut(0);
            } else if self.random.chance(400) {
                self.deliver();
            } else {
                let from = self.random.index(self.processes.len());
                self.send(from);
            }
        }
        while self.deliver() {}
        for process in 0..self.processes.len() {
            // With stamps a process is told to cut; it need not hear of it from another.
            self.cut(process);
        }
        while self.deliver() {}
        let recorded = self.processes.iter().map(|p| p.recorded.unwrap_or(0) + p.in_channels);
        (recorded.sum(), COINS_EACH * self.processes.len() as u64)
    }

    fn send(&mut self, from: usize) {
        let to = self.random.index(self.processes.len());
        let most = self.processes[from].coins;
        if to != from && most > 0 {
            let coins = 1 + self.random.below(most.min(20));
            self.processes[from].coins -= coins;
            let epoch = u64::from(self.processes[from].recorded.is_some());
            self.channels[from][to].push(Message::Coins { coins, epoch });
        }
    }

    /// Records the state of a process, if it has not been recorded.
    fn cut(&mut self, at: usize) {
        let process = &mut self.processes[at];
        if process.recorded.is_some() {
            return;
        }
        process.recorded = Some(process.coins);
        if self.rule.is_stamped() {
            return;
        }
        if self.rule == Rule::MarkersLate {
            self.send(at);
        }
        for to in (0..self.processes.len()).filter(|to| *to != at) {
            let channel = &mut self.channels[at][to];
            let place = match self.rule {
                Rule::MarkersOvertake => channel.len().saturating_sub(1),
                _ => channel.len(),
            };
            channel.insert(place, Message::Marker);
        }
    }

    /// Delivers a message, if any is on its way.
    fn deliver(&mut self) -> bool {
        let count = self.processes.len();
        let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
        let full = pairs.filter(|(from, to)| !self.channels[*from][*to].is_empty());
        let full: Vec<_> = full.collect();
        if full.is_empty() {
            return false;
        }
        let (from, to) = full[self.random.index(full.len())];
        let waiting = self.channels[from][to].len();
        let place = if self.rule.is_stamped() { self.random.index(waiting) } else { 0 };
        match self.channels[from][to].remove(place) {
            Message::Marker => {
                self.cut(to);
                self.processes[to].closed[from] = true;
            }
            Message::Coins { coins, epoch } => self.take(from, to, coins, epoch),
        }
        true
    }

    fn take(&mut self, from: usize, to: usize, coins: u64, epoch: u64) {
        if self.rule.is_stamped() && epoch == 1 && self.rule != Rule::TakenEarly {
            self.cut(to);
        }
        let process = &mut self.processes[to];
        let was_on_its_way = match self.rule.is_stamped() {
            true => epoch == 0 && process.recorded.is_some(),
            false => process.recorded.is_some() && !process.closed[from],
        };
        if was_on_its_way && !matches!(self.rule, Rule::ChannelsLeftOut | Rule::LogLeftOut) {
            process.in_channels += coins;
        }
        process.coins += coins;
    }
}

/// Returns how many of the schedules lose or make coins, and the first that does.
fn violations(rule: Rule) -> (u64, Option<u64>) {
    let violates = |seed: &u64| {
        let (recorded, all) = Bank::draw(rule, *seed).play();
        recorded != all
    };
    let violating: Vec<u64> = (0..SCHEDULES).filter(violates).collect();
    (violating.len() as u64, violating.first().map(|first| first + 1))
}

fn main() -> ExitCode {
    highwater::exit(experiment())
}

fn experiment() -> Result<()> {
    println!("{SCHEDULES} schedules for each rule");
    println!("rule               violations  first in schedule");
    let rules = [
        (Rule::Markers, true),
        (Rule::ChannelsLeftOut, false),
        (Rule::MarkersLate, false),
        (Rule::MarkersOvertake, false),
        (Rule::Stamps, true),
        (Rule::LogLeftOut, false),
        (Rule::TakenEarly, false),
    ];
    for (rule, holds) in rules {
        let (violations, first) = violations(rule);
        let shown = first.map_or("-".to_owned(), |first| first.to_string());
        println!("{:18} {violations:10}  {shown:>17}", format!("{rule:?}"));
        if holds != (violations == 0) || first.is_some_and(|first| first > CAUGHT_WITHIN) {
            return Err(Error::program(format!("{rule:?} does not behave as the paper says")));
        }
    }
    let mut total = Coverage::default();
    for seed in 0..JOBS {
        let graph = Graph::draw(seed, Family::Late);
        let described = graph.clone();
        let ran = World::draw(seed).run(move |env| {
            build(&described, env);
            Ok(())
        });
        let coverage = check(&graph, &ran)
            .map_err(|what| Error::program(format!("seed {seed} of the engine: {what}")))?;
        total.add(&coverage);
    }
    println!(
        "{JOBS} jobs on the engine: {} cuts, {} records, each in the epoch of its sender",
        total.cuts, total.records
    );
    Ok(())
}
