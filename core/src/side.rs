//! Side outputs: further outputs of an operator, told apart by typed tags.

use std::any::Any;
use std::borrow::Cow;
use std::marker::PhantomData;

use crate::credit::Gate;
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
    /// Moves the port's capability; `None` gives it up.
    fn downgrade(&mut self, time: Option<Time>);
    /// Returns the gate of the edges behind the port.
    fn gate(&self) -> &Gate;
}

/// A side output: collects records and ships them now and then.
struct Side<T> {
    records: Batch<T>,
    port: Box<dyn SidePort<T>>,
}

/// A side output of any type.
trait AnySide {
    fn as_any(&mut self) -> &mut dyn Any;
    fn ship(&mut self);
    fn downgrade(&mut self, time: Option<Time>);
    fn gate(&self) -> &Gate;
}

impl<T: Data> AnySide for Side<T> {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
    fn ship(&mut self) {
        if !self.records.is_empty() {
            self.port.ship(&mut self.records);
            self.records.clear();
        }
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
    pub(crate) fn add<T: Data>(&mut self, tag: &OutputTag<T>, port: Box<dyn SidePort<T>>) {
        self.sides.push((tag.name.clone(), Box::new(Side { records: Vec::new(), port })));
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
            side.records.push(record);
        }
    }

    pub(crate) fn ship(&mut self) {
        self.sides.iter_mut().for_each(|(_, side)| side.ship());
    }

    pub(crate) fn downgrade(&mut self, time: Option<Time>) {
        self.sides.iter_mut().for_each(|(_, side)| side.downgrade(time));
    }

    /// Returns the gates of all side outputs.
    pub(crate) fn gates(&self) -> impl Iterator<Item = &Gate> {
        self.sides.iter().map(|(_, side)| side.gate())
    }
}
