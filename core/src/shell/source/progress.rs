//! How a source shows how far it has read its splits.
//!
//! ```text
//! step of the grid --> watermark, status, records of every split --> OperatorMetrics::splits
//!                      every second its place, too                     read by whoever reports
//! ```
//!
//! **Cost**: a few stores per split and step of the grid; places are written as JSON once a second.

use super::SourceShell;
use crate::error::Result;
use crate::metrics::{SplitProgress, Strategy};
use crate::record::Data;
use crate::watermark::of_stamp;

/// How often the places of the splits are published, in ms.
const POSITIONS_EVERY_MS: i64 = 1000;

impl<T: Data> SourceShell<T> {
    /// Shows the splits with their places.
    ///
    /// - `makes_watermarks`: whether the source has a strategy for watermarks.
    pub(super) fn publish(&mut self, makes_watermarks: bool) -> Result<()> {
        let splits: Result<Vec<_>> = (0..self.splits.len()).map(|i| self.progress_of(i)).collect();
        let strategy = Strategy { makes_watermarks, idleness_ms: self.idleness_ms };
        self.metrics.splits.publish(splits?, strategy);
        Ok(())
    }

    fn progress_of(&self, index: usize) -> Result<SplitProgress> {
        let split = &self.splits[index];
        let (name, offset) = split.reader.position()?;
        Ok(SplitProgress {
            split: name,
            offset,
            watermark: of_stamp(self.watermarks.position(index).0),
            status: self.watermarks.progress(index),
            records: split.records,
            last_record_ms: split.last_ms,
        })
    }

    /// Shows how far the splits have come.
    pub(super) fn publish_progress(&mut self, now_ms: i64) {
        let positions_are_old = now_ms - self.positions_ms >= POSITIONS_EVERY_MS;
        if positions_are_old {
            self.positions_ms = now_ms;
        }
        let (splits, watermarks) = (&mut self.splits, &self.watermarks);
        self.metrics.splits.update(|published| {
            for (index, (shown, split)) in published.iter_mut().zip(splits).enumerate() {
                shown.watermark = of_stamp(watermarks.position(index).0);
                shown.status = watermarks.progress(index);
                if split.records > shown.records {
                    shown.records = split.records;
                    shown.last_record_ms = now_ms;
                }
                // A place that cannot be written as JSON ends the job at the next checkpoint.
                if positions_are_old && let Ok((_, offset)) = split.reader.position() {
                    shown.offset = offset;
                }
            }
        });
    }
}
