//! A worker of a graph: gathers its part, meets the others, runs a program, tells the results.
//!
//! ```text
//! letters: vertices, edges --until the input has ended--> Part
//!     --Ghosts--> owners --Homes--> linked --start--> step, step, .. --at rest--> results
//! ```
//!
//! **Cost**: at one worker nothing is sent: a program works on arrays as it would without an engine.
//!
//! **Sources**: Pregel, SIGMOD 2010; PowerGraph, OSDI 2012, section 3 (mirrors, called ghosts here).

use std::convert::Infallible;

use highwater_core::OutputTag;
use highwater_core::context::Context;
use highwater_core::cut::Cut;
use highwater_core::error::Error;
use highwater_core::record::Batch;
use highwater_core::shell::Logic;
use highwater_core::time::NO_EVENT_TIME;
use highwater_state::OperatorListState;

use super::ids::owner;
use super::letter::{Body, Letter};
use super::part::{Part, Raw};
use super::program::{Post, Program};
use super::{Unknown, Value};

/// How far a worker has come.
enum Stage {
    /// Vertices and edges come in.
    Loading(Raw),
    /// Ghosts and their vertices meet, for so many supersteps.
    Linking(Part, u8),
    /// The program runs.
    Running(Part),
    /// Results are told up to a slot.
    Telling(Part, usize),
    /// There is nothing more to do.
    Done,
}

/// The letters of the parts that are being loaded, in checkpoints; a part that is done says so.
pub(crate) type Stored = OperatorListState<Vec<Letter>>;

/// The logic of a worker.
pub(crate) struct Worker {
    me: u32,
    workers: u32,
    directed: bool,
    stage: Stage,
    program: Box<dyn Program>,
    post: Post,
    globals: Vec<(u32, u64)>,
    unknown: Unknown,
    results: OutputTag<(u64, Value)>,
    /// `None` if the job takes no checkpoints.
    stored: Option<Stored>,
}

impl Worker {
    /// - `place`: the number of the worker, and how many there are.
    /// - `unknown`: makes the error for a vertex that is not known.
    pub(crate) fn new(
        (me, workers): (u32, u32),
        directed: bool,
        program: Box<dyn Program>,
        unknown: Unknown,
        results: OutputTag<(u64, Value)>,
        stored: Option<Stored>,
    ) -> Self {
        let mut worker = Worker {
            me,
            workers,
            directed,
            stage: Stage::Loading(Raw::default()),
            program,
            post: Post::new(me, workers),
            globals: Vec::new(),
            unknown,
            results,
            stored: None,
        };
        worker.restore(stored.iter().flat_map(|stored| stored.get()).flatten());
        worker.stored = stored;
        worker
    }

    /// Takes its part of what all workers had loaded.
    fn restore<'a>(&mut self, letters: impl Iterator<Item = &'a Letter>) {
        for letter in letters {
            match letter.body {
                Body::Again => self.stage = Stage::Done,
                Body::Vertex(id) | Body::Edge { at: id, .. }
                    if owner(id, self.workers) == self.me =>
                {
                    // A part that is loading takes in everything.
                    let _known = self.take_in(letter.body.clone());
                }
                _ => {}
            }
        }
    }

    fn take_in(&mut self, body: Body) -> Result<(), u64> {
        match (&mut self.stage, body) {
            (Stage::Loading(raw), Body::Vertex(id)) => raw.vertices.push(id),
            (Stage::Loading(raw), Body::Edge { at, other, weight, out: true }) => {
                raw.out.push((at, other));
                if self.program.needs().weights {
                    raw.weights.push(weight);
                }
            }
            (Stage::Loading(raw), Body::Edge { at, other, .. }) => raw.into.push((at, other)),
            (Stage::Linking(part, _), Body::Ghosts { from, ghosts }) => {
                let mut homes = Vec::with_capacity(ghosts.len());
                for (id, ghost) in ghosts {
                    let slot = part.own_slot(id).ok_or(id)?;
                    part.add_mirror(slot, from, ghost);
                    homes.push((ghost, slot));
                }
                self.post.letter(from, Body::Homes { from: self.me, homes });
            }
            (Stage::Linking(part, _), Body::Homes { from, homes }) => {
                homes.into_iter().for_each(|(ghost, slot)| part.set_home(ghost, (from, slot)));
            }
            (_, Body::Global { from, value }) => self.globals.push((from, value)),
            (Stage::Running(part), Body::Values(values)) => self.program.receive(part, &values),
            (Stage::Running(part), Body::Lists(lists)) => self.program.receive_lists(part, lists),
            // Vertices and edges that come after the end of the input do not exist.
            _ => {}
        }
        Ok(())
    }

    /// Makes the part of what has come, and looks for the vertices of its ghosts.
    fn meet(&mut self, raw: Raw) -> Result<(), u64> {
        let part = Part::new(self.me, self.workers, self.directed, raw)?;
        let mut ghosts = vec![Vec::new(); self.workers as usize];
        for slot in part.ghosts() {
            let id = part.ids[slot];
            ghosts[owner(id, self.workers) as usize].push((id, slot as u32));
        }
        for (to, ghosts) in ghosts.into_iter().enumerate().filter(|(_, g)| !g.is_empty()) {
            self.post.letter(to as u32, Body::Ghosts { from: self.me, ghosts });
        }
        self.post.tell_all(part.own as u64);
        self.stage = Stage::Linking(part, 0);
        Ok(())
    }

    /// Ends a superstep.
    fn step(&mut self) -> Result<(), u64> {
        self.globals.sort_unstable();
        let globals: Vec<u64> = self.globals.drain(..).map(|(_, value)| value).collect();
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Linking(part, 0) => self.stage = Stage::Linking(part, 1),
            Stage::Linking(mut part, 1) => {
                part.link(globals.iter().sum());
                self.post.again();
                self.stage = Stage::Linking(part, 2);
            }
            Stage::Linking(part, _) => {
                self.program.start(&part, &mut self.post)?;
                self.stage = Stage::Running(part);
            }
            Stage::Running(part) => {
                self.program.step(&part, &globals, &mut self.post);
                self.stage = Stage::Running(part);
            }
            other => self.stage = other,
        }
        Ok(())
    }

    fn send(&mut self, done: Result<(), u64>, cx: &mut Context<'_, Letter>) {
        if let Err(vertex) = done {
            cx.fail((self.unknown)(vertex));
        }
        for letter in self.post.take() {
            cx.emit(NO_EVENT_TIME, letter);
        }
    }

    /// The letters that would load the part again.
    fn letters(raw: &Raw) -> Vec<Vec<Letter>> {
        let letter = |body| Letter { to: 0, body };
        let weight = |edge: usize| raw.weights.get(edge).copied().unwrap_or(1.0);
        let vertices = raw.vertices.iter().map(|id| letter(Body::Vertex(*id)));
        let out = raw.out.iter().enumerate().map(|(edge, &(at, other))| {
            letter(Body::Edge { at, other, weight: weight(edge), out: true })
        });
        let into = raw
            .into
            .iter()
            .map(|&(at, other)| letter(Body::Edge { at, other, weight: 1.0, out: false }));
        let all: Vec<Letter> = vertices.chain(out).chain(into).collect();
        all.chunks(1024).map(<[Letter]>::to_vec).collect()
    }
}

impl Logic for Worker {
    type Left = Letter;
    type Right = Infallible;
    type Out = Letter;

    fn left(&mut self, batch: &mut Batch<Letter>, cx: &mut Context<'_, Letter>) {
        for record in batch.drain(..) {
            if let Err(vertex) = self.take_in(record.value.body) {
                cx.fail((self.unknown)(vertex));
                return;
            }
        }
    }

    fn fire(&mut self, watermark: i64, cx: &mut Context<'_, Letter>) -> Option<i64> {
        if watermark == i64::MAX && matches!(self.stage, Stage::Loading(_)) {
            let loading = std::mem::replace(&mut self.stage, Stage::Done);
            if let Stage::Loading(raw) = loading {
                let met = self.meet(raw);
                self.send(met, cx);
            }
        }
        None
    }

    fn end_superstep(&mut self, cx: &mut Context<'_, Letter>) -> bool {
        let stepped = self.step();
        self.send(stepped, cx);
        true
    }

    fn at_rest(&mut self, cx: &mut Context<'_, Letter>) -> bool {
        let (part, told) = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Running(part) => (part, 0),
            Stage::Telling(part, told) => (part, told),
            other => {
                self.stage = other;
                return true;
            }
        };
        for slot in told..part.own {
            if cx.should_yield() {
                self.stage = Stage::Telling(part, slot);
                return false;
            }
            let result = (part.ids[slot], self.program.value(&part, slot));
            cx.emit_to(&self.results, NO_EVENT_TIME, result);
        }
        true
    }

    fn freeze(&mut self, cut: &mut Cut) {
        if let Some(stored) = &mut self.stored {
            stored.update(match &self.stage {
                Stage::Loading(raw) => Worker::letters(raw),
                // The loop is at rest: the results are told, and nothing is to be done again.
                _ => vec![vec![Letter { to: 0, body: Body::Again }]],
            });
            stored.freeze(cut);
        }
    }
}

/// Returns the error for a vertex that is not known, when nobody knows better.
pub(crate) fn unknown(vertex: u64) -> Error {
    Error::program(format!("vertex {vertex} is named but is not among the vertices"))
}
