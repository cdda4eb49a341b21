//! A sink that prints, one line a record.

use std::fmt::{Debug, Display};
use std::io::{self, Write};
use std::sync::Arc;

use highwater_core::error::{Error, Result};
use highwater_core::record::{Batch, Data};
use highwater_core::sink::{Committable, Sink, Writer, WriterContext};
use highwater_core::time::Epoch;

/// Writes one value, without the end of the line.
type Show<T> = dyn Fn(&T, &mut Vec<u8>) -> io::Result<()> + Send + Sync;

/// A sink that prints values to the standard output as they arrive.
///
/// - output: one line a record; the lines of one batch are printed in one piece.
/// - state: none.
///
/// Printing is not transactional: a job that fails has printed what came before.
///
/// # Nondeterminism
/// The lines of several workers interleave as they come.
///
/// # Examples
/// ```
/// use highwater_connectors::print::Print;
/// use highwater_core::record::Record;
/// use highwater_core::sink::{Sink, WriterContext};
///
/// let sink = Print::with(|delay: &(&str, f64)| format!("{} {:.1}", delay.0, delay.1));
/// sink.open(WriterContext::new(0, 1))?.write(&mut vec![Record::new(0, ("JFK", 3.25))])?;
/// # Ok::<(), highwater_core::error::Error>(())
/// ```
pub struct Print<T> {
    show: Arc<Show<T>>,
    worker_prefix: bool,
}

impl<T: Debug> Print<T> {
    /// Makes a sink that prints values with [`Debug`].
    #[must_use]
    pub fn new() -> Self {
        Print { show: Arc::new(|value, out| write!(out, "{value:?}")), worker_prefix: false }
    }
}

impl<T: Debug> Default for Print<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Display> Print<T> {
    /// Makes a sink that prints values with [`Display`].
    #[must_use]
    pub fn displayed() -> Self {
        Print { show: Arc::new(|value, out| write!(out, "{value}")), worker_prefix: false }
    }
}

impl<T> Print<T> {
    /// Makes a sink that prints what `show` returns for a value.
    #[must_use]
    pub fn with<S: Display>(show: impl Fn(&T) -> S + Send + Sync + 'static) -> Self {
        let show = move |value: &T, out: &mut Vec<u8>| write!(out, "{}", show(value));
        Print { show: Arc::new(show), worker_prefix: false }
    }

    /// Begins each line with the number of the worker, as in `3> line`.
    #[must_use]
    pub fn with_worker(mut self) -> Self {
        self.worker_prefix = true;
        self
    }
}

impl<T> Clone for Print<T> {
    fn clone(&self) -> Self {
        Print { show: Arc::clone(&self.show), worker_prefix: self.worker_prefix }
    }
}

impl<T: Data> Sink<T> for Print<T> {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer<T>>> {
        Ok(Box::new(self.printer(context.worker)))
    }

    /// Printed is printed.
    fn undo(&self, _: u64, _: Epoch) -> Result<()> {
        Ok(())
    }
}

impl<T> Print<T> {
    fn printer(&self, worker: usize) -> Printer<T> {
        let prefix = if self.worker_prefix { format!("{worker}> ") } else { String::new() };
        Printer { show: Arc::clone(&self.show), prefix, lines: Vec::new() }
    }
}

/// Prints for one worker.
struct Printer<T> {
    show: Arc<Show<T>>,
    prefix: String,
    /// Reused: the lines of one batch.
    lines: Vec<u8>,
}

impl<T> Printer<T> {
    fn print(&mut self, batch: &mut Batch<T>, out: &mut impl Write) -> io::Result<()> {
        self.lines.clear();
        for record in batch.drain(..) {
            self.lines.extend_from_slice(self.prefix.as_bytes());
            (self.show)(&record.value, &mut self.lines)?;
            self.lines.push(b'\n');
        }
        out.write_all(&self.lines)?;
        out.flush()
    }
}

impl<T: Data> Writer<T> for Printer<T> {
    fn write(&mut self, batch: &mut Batch<T>) -> Result<()> {
        let mut stdout = io::stdout().lock();
        self.print(batch, &mut stdout).map_err(|e| Error::io("write", "standard output", e))
    }

    fn pre_commit(&mut self, _: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::record::Record;

    use super::*;

    fn printed<T: Clone>(sink: &Print<T>, values: &[T]) -> String {
        let mut out = Vec::new();
        let mut batch = values.iter().map(|value| Record::new(0, value.clone())).collect();
        sink.printer(3).print(&mut batch, &mut out).unwrap();
        assert!(batch.is_empty());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_record_is_a_line() {
        assert_eq!(printed(&Print::new(), &["a", "b"]), "\"a\"\n\"b\"\n");
        assert_eq!(printed(&Print::displayed(), &["a", "b"]), "a\nb\n");
        assert_eq!(printed(&Print::with(|n: &u32| n + 1), &[1, 2]), "2\n3\n");
    }

    #[test]
    fn a_line_may_begin_with_its_worker() {
        assert_eq!(printed(&Print::displayed().with_worker(), &[7]), "3> 7\n");
    }
}
