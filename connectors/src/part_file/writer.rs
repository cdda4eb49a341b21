//! The writer of one worker: one file after the other, each sealed when it is complete.
//!
//! ```text
//! rows --> open file --large or old enough--> closed --.
//!               '------the epoch ends-------------------+--> [SealedPart] for each
//! ```

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempPath;

use highwater_core::clock::{Clock, SystemClock};
use highwater_core::error::Result;
use highwater_core::record::{Batch, Data};
use highwater_core::sink::{Committable, Writer, WriterContext};
use highwater_core::time::Epoch;

use super::format::{PartBytes, RowFormat};
use super::name::Naming;
use super::place::{OldFile, OldFiles, Place};
use super::sealed::{Codec, Replaced, SealedPart, Stage, explain};

/// How many bytes are collected at the most before they are written to the file.
const BUFFER_BYTES: u64 = 64 * 1024;
/// How many at the least, if the files are to be tiny.
const LEAST_BUFFER_BYTES: u64 = 16;

/// When a file ends within an epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rolling {
    pub(super) bytes: u64,
    pub(super) every: Duration,
}

impl Default for Rolling {
    /// Flink's `DefaultRollingPolicy`.
    fn default() -> Self {
        Rolling { bytes: 128 * 1024 * 1024, every: Duration::from_secs(60) }
    }
}

/// Writes the parts of one worker.
pub(super) struct PartWriter<T, F: RowFormat<T>> {
    pub(super) place: Arc<dyn Place>,
    pub(super) naming: Naming,
    pub(super) context: WriterContext,
    /// `None` in a job without checkpoints, whose workers write one file each.
    pub(super) rolling: Option<Rolling>,
    /// The old results that this worker has to remove.
    pub(super) old: Vec<OldFile>,
    /// The number of the first file of each epoch.
    pub(super) first: u64,
    format: F,
    clock: SystemClock,
    open: Option<OpenPart<F::Encoder>>,
    closed: Vec<TempPath>,
    rows: PhantomData<fn(T)>,
}

/// A file that is being written.
struct OpenPart<E> {
    since_ms: i64,
    encoder: E,
    /// Comes last, so that the file is closed when it is removed.
    path: TempPath,
}

impl<T: Data, F: RowFormat<T>> PartWriter<T, F> {
    /// Returns the writer of a worker, which has not yet created a file.
    pub(super) fn new(
        place: Arc<dyn Place>,
        naming: Naming,
        format: F,
        context: WriterContext,
    ) -> Self {
        PartWriter {
            place,
            naming,
            context,
            rolling: None,
            old: Vec::new(),
            first: 0,
            format,
            clock: SystemClock::default(),
            open: None,
            closed: Vec::new(),
            rows: PhantomData,
        }
    }

    fn codec(&self) -> Codec<F::Encoder> {
        Codec { finish: F::finish, extension: F::EXTENSION }
    }

    fn create(&self) -> Result<OpenPart<F::Encoder>> {
        let (file, path) = self.place.create(&self.naming, self.context)?;
        let limit = self.rolling.map_or(u64::MAX, |rolling| rolling.bytes);
        let buffer_bytes = limit.clamp(LEAST_BUFFER_BYTES, BUFFER_BYTES) as usize;
        let started = self.format.start(PartBytes::new(file), buffer_bytes);
        let encoder = started.map_err(|error| explain(error, &path, F::EXTENSION))?;
        Ok(OpenPart { since_ms: self.clock.now_ms(), encoder, path })
    }

    fn write_row(&mut self, row: &T) -> Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let created = self.create()?;
                self.open.insert(created)
            }
        };
        F::encode(&mut open.encoder, row)
            .map_err(|error| explain(error, &open.path, F::EXTENSION))?;
        match self.rolling {
            Some(rolling) if F::len(&open.encoder) >= rolling.bytes => self.roll(),
            _ => Ok(()),
        }
    }

    /// Closes the file. What is written next goes into another one.
    fn roll(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            self.codec().close(open.encoder, &open.path)?;
            self.closed.push(open.path);
        }
        Ok(())
    }

    /// Seals a file of the epoch.
    fn seal(
        &mut self,
        stage: Stage<F::Encoder>,
        (epoch, number): (Epoch, u64),
    ) -> Box<dyn Committable> {
        let worker = self.context.worker;
        let name = match self.context.attempt {
            Some(attempt) => self.naming.of_epoch((worker, attempt), epoch, number),
            None => self.naming.whole(worker),
        };
        let place_of_old = self.old.iter().position(|old| old.name == name);
        if let Some(place) = place_of_old {
            self.old.remove(place);
        }
        Box::new(SealedPart {
            place: Arc::clone(&self.place),
            name,
            replaces: place_of_old.is_some(),
            is_kept: self.context.attempt.is_some(),
            stage,
            codec: self.codec(),
        })
    }
}

impl<T: Data, F: RowFormat<T>> Writer<T> for PartWriter<T, F> {
    fn write(&mut self, batch: &mut Batch<T>) -> Result<()> {
        for record in batch.drain(..) {
            self.write_row(&record.value)?;
        }
        if let (Some(open), Some(rolling)) = (&self.open, self.rolling) {
            let age_ms = self.clock.now_ms().saturating_sub(open.since_ms);
            if u128::try_from(age_ms).is_ok_and(|age_ms| age_ms >= rolling.every.as_millis()) {
                self.roll()?;
            }
        }
        Ok(())
    }

    fn pre_commit(&mut self, epoch: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        let closed = std::mem::take(&mut self.closed).into_iter().map(Stage::Closed);
        let open = self.open.take().map(|open| Stage::Written(open.encoder, open.path));
        let stages: Vec<_> = closed.chain(open).collect();
        let mut committables: Vec<_> = stages
            .into_iter()
            .zip(self.first..)
            .map(|(stage, number)| self.seal(stage, (epoch, number)))
            .collect();
        if !self.old.is_empty() {
            let (folder, files) = (self.place.folder().to_owned(), std::mem::take(&mut self.old));
            let old = OldFiles { folder, files };
            committables.push(Box::new(Replaced { place: Arc::clone(&self.place), old }));
        }
        Ok(committables)
    }
}
