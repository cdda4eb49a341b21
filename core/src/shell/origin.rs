//! Where the records of a source come from: its splits, read through the stateless steps behind it.
//!
//! ```text
//! Plain(source) --open--> a reader per split of this worker
//!      '-- in Staged { stage } --open--> the same readers, each followed by the stage
//! ```
//!
//! Steps that have a source as their only input share its operator: a batch is read and passes all
//! of them before it is given event times. Splits are dealt out to the workers in turn; the list is
//! made once, by the first process, so that all workers divide the same one.
//!
//! **Cost**: one virtual call per batch and step, nothing per record.

use std::cell::RefCell;
use std::rc::Rc;

use super::flow::Stage;
use super::source::{SplitSnapshot, from_json, to_json};
use crate::dataflow::Dataflow;
use crate::error::Result;
use crate::record::{Batch, Data};
use crate::source::{Poll, Reader, Source};

/// Reads one split through the stateless steps that follow the source.
pub trait SplitReader<T> {
    /// Appends what was made of up to `limit` records; returns how many were read.
    ///
    /// # Errors
    /// Those of the reader.
    fn poll(&mut self, out: &mut Batch<T>, limit: usize) -> Result<(Poll, usize)>;

    /// Returns the split and the place behind the last record that was read, both as JSON.
    ///
    /// # Errors
    /// When they cannot be written as JSON.
    fn position(&self) -> Result<(String, String)>;
}

/// A source with the stateless steps that follow it.
pub trait Origin<T> {
    /// Opens the splits that this worker reads.
    ///
    /// - `place`: the source's place in the plan, the same on all workers.
    /// - `restored`: the splits that a checkpoint has for this worker; `None` to list them anew.
    ///
    /// # Errors
    /// When the splits cannot be listed or opened.
    fn open(
        self: Box<Self>,
        dataflow: &Dataflow<'_>,
        place: usize,
        restored: Option<&[SplitSnapshot]>,
    ) -> Result<Vec<Box<dyn SplitReader<T>>>>;
}

/// A source without any steps behind it.
#[derive(Debug)]
pub struct Plain<S>(pub S);

/// Reads a split of a [`Plain`] source.
struct PlainReader<S: Source> {
    split: S::Split,
    reader: S::Reader,
}

impl<S: Source> SplitReader<S::Item> for PlainReader<S> {
    fn poll(&mut self, out: &mut Batch<S::Item>, limit: usize) -> Result<(Poll, usize)> {
        let before = out.len();
        let poll = self.reader.poll(out, limit)?;
        Ok((poll, out.len() - before))
    }

    fn position(&self) -> Result<(String, String)> {
        Ok((to_json(&self.split)?, to_json(&self.reader.offset())?))
    }
}

/// Stands for a split that had been read to its end when the checkpoint was taken.
struct ReadBefore {
    split: String,
    offset: String,
}

impl<T> SplitReader<T> for ReadBefore {
    fn poll(&mut self, _out: &mut Batch<T>, _limit: usize) -> Result<(Poll, usize)> {
        Ok((Poll::End, 0))
    }

    fn position(&self) -> Result<(String, String)> {
        Ok((self.split.clone(), self.offset.clone()))
    }
}

/// Opens a split where a checkpoint says.
fn resume<S: Source>(source: &S, at: &SplitSnapshot) -> Result<Box<dyn SplitReader<S::Item>>> {
    if at.finished {
        return Ok(Box::new(ReadBefore { split: at.split.clone(), offset: at.offset.clone() }));
    }
    let split = from_json("split", &at.split)?;
    let reader = source.resume(&split, &from_json("offset", &at.offset)?)?;
    Ok(Box::new(PlainReader::<S> { split, reader }))
}

impl<S: Source> Origin<S::Item> for Plain<S> {
    fn open(
        self: Box<Self>,
        dataflow: &Dataflow<'_>,
        place: usize,
        restored: Option<&[SplitSnapshot]>,
    ) -> Result<Vec<Box<dyn SplitReader<S::Item>>>> {
        if let Some(restored) = restored {
            return restored.iter().map(|at| resume(&self.0, at)).collect();
        }
        let (worker, workers) = (dataflow.worker(), dataflow.workers());
        let splits = dataflow.job().decided("splits", place, || self.0.splits(workers))?;
        let mine = splits.iter().skip(worker).step_by(workers);
        mine.map(|split| {
            let reader = PlainReader::<S> { split: split.clone(), reader: self.0.open(split)? };
            let reader: Box<dyn SplitReader<S::Item>> = Box::new(reader);
            Ok(reader)
        })
        .collect()
    }
}

/// A source with one more step behind it.
pub struct Staged<A, B> {
    /// The source so far.
    pub origin: Box<dyn Origin<A>>,
    /// The step.
    pub stage: Stage<A, B>,
}

impl<A, B> std::fmt::Debug for Staged<A, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Staged").finish_non_exhaustive()
    }
}

/// Reads a split of a [`Staged`] source; the splits of a worker share the step.
struct StagedReader<A, B> {
    reader: Box<dyn SplitReader<A>>,
    stage: Rc<RefCell<Stage<A, B>>>,
    read: Batch<A>,
}

impl<A, B> SplitReader<B> for StagedReader<A, B> {
    fn poll(&mut self, out: &mut Batch<B>, limit: usize) -> Result<(Poll, usize)> {
        let polled = self.reader.poll(&mut self.read, limit)?;
        (self.stage.borrow_mut())(&mut self.read, out);
        self.read.clear();
        Ok(polled)
    }

    fn position(&self) -> Result<(String, String)> {
        self.reader.position()
    }
}

impl<A: Data, B: Data> Origin<B> for Staged<A, B> {
    fn open(
        self: Box<Self>,
        dataflow: &Dataflow<'_>,
        place: usize,
        restored: Option<&[SplitSnapshot]>,
    ) -> Result<Vec<Box<dyn SplitReader<B>>>> {
        let stage = Rc::new(RefCell::new(self.stage));
        let readers = self.origin.open(dataflow, place, restored)?.into_iter();
        Ok(readers
            .map(|reader| {
                let stage = Rc::clone(&stage);
                let staged: Box<dyn SplitReader<B>> =
                    Box::new(StagedReader { reader, stage, read: Vec::new() });
                staged
            })
            .collect())
    }
}
