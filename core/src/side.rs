//! Side outputs: further outputs of an operator, told apart by typed tags.

use std::any::Any;
use std::borrow::Cow;
use std::marker::PhantomData;

use crate::credit::Gate;
use crate::exchange::grow;
use crate::record::{Batch, Data, Record};
use crate::time::Time;

/// The name and type of a side output, after Flink's `OutputTag`.
///
/// Two tags are the same if their names and types are.
#[derive(Debug)]
pub struct OutputTag<T> {
    name: Cow<'static, str>,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for OutputTag<T> {
    fn clone(&self) -> Self {
        OutputTag { name: self.name.clone(), value: PhantomData }
    }
}

impl<T: Data> OutputTag<T> {
    /// Returns a tag.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        OutputTag { name: name.into(), value: PhantomData }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What ships the records of a side output.
pub(crate) trait SidePort<T> {
    /// Takes the records and leaves the batch empty.
    fn ship(&mut self, records: &mut Batch<T>);
    /// Sends on what the way to other workers has collected.
    fn done(&mut self);
    /// Moves the port's capability; `None` gives it up.
    fn downgrade(&mut self, time: Option<Time>);
    /// Returns the gate of the edges behind the port.
    fn gate(&self) -> &Gate;
}

/// A side output: collects records and ships them when a batch is full, and at every flush.
struct Side<T> {
    records: Batch<T>,
    batch_records: usize,
    port: Box<dyn SidePort<T>>,
}

/// A side output of any type.
trait AnySide {
    fn as_any(&mut self) -> &mut dyn Any;
    fn flush(&mut self);
    fn downgrade(&mut self, time: Option<Time>);
    fn gate(&self) -> &Gate;
}

impl<T: Data> Side<T> {
    fn push(&mut self, record: Record<T>) {
        if self.records.len() == self.records.capacity() {
            grow(&mut self.records, self.batch_records);
        }
        self.records.push(record);
        if self.records.len() >= self.batch_records {
            self.ship();
        }
    }

    fn ship(&mut self) {
        if !self.records.is_empty() {
            self.port.ship(&mut self.records);
            self.records.clear();
        }
    }
}

impl<T: Data> AnySide for Side<T> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
    fn flush(&mut self) {
        self.ship();
        self.port.done();
    }
    fn downgrade(&mut self, time: Option<Time>) {
        self.port.downgrade(time);
    }
    fn gate(&self) -> &Gate {
        self.port.gate()
    }
}

/// The side outputs of one operator.
#[derive(Default)]
pub(crate) struct Sides {
    sides: Vec<(Cow<'static, str>, Box<dyn AnySide>)>,
}

impl Sides {
    /// Adds a side output.
    ///
    /// - `batch_records`: the records of a full batch.
    pub(crate) fn add<T: Data>(
        &mut self,
        tag: &OutputTag<T>,
        port: Box<dyn SidePort<T>>,
        batch_records: usize,
    ) {
        let side = Side { records: Vec::new(), batch_records, port };
        self.sides.push((tag.name.clone(), Box::new(side)));
    }

    fn find<T: Data>(&mut self, tag: &OutputTag<T>) -> Option<&mut Side<T>> {
        let named = self.sides.iter_mut().filter(|(name, _)| *name == tag.name);
        named.map(|(_, side)| side.as_any()).find_map(|side| side.downcast_mut())
    }

    pub(crate) fn has<T: Data>(&mut self, tag: &OutputTag<T>) -> bool {
        self.find(tag).is_some()
    }

    pub(crate) fn push<T: Data>(&mut self, tag: &OutputTag<T>, record: Record<T>) {
        if let Some(side) = self.find(tag) {
            side.push(record);
        }
    }

    /// Ships everything, and sends on what the way to other workers has collected.
    pub(crate) fn flush(&mut self) {
        self.sides.iter_mut().for_each(|(_, side)| side.flush());
    }

    pub(crate) fn downgrade(&mut self, time: Option<Time>) {
        self.sides.iter_mut().for_each(|(_, side)| side.downgrade(time));
    }

    /// Returns the gates of all side outputs.
    pub(crate) fn gates(&self) -> impl Iterator<Item = &Gate> {
        self.sides.iter().map(|(_, side)| side.gate())
    }
}
