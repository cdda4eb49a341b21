//! The writer of one worker: rows are collected and taken into staging, many at a time.

use std::sync::{Arc, Mutex};

use highwater_core::error::{Error, Result};
use highwater_core::record::{Batch as Records, Data};
use highwater_core::sink::{Committable, Writer};
use highwater_core::time::Epoch;

use super::batch::{Batch, SealedBatch};
use super::link::Link;
use super::table::Tables;
use super::{Cell, Cells};

/// How many rows are taken into staging at a time.
const BUFFER_ROWS: usize = 4096;

/// Returns a number as the database stores it.
pub(super) fn clip(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Writes the rows of one worker.
pub(super) struct TableWriter<T> {
    pub(super) cells: Arc<Cells<T>>,
    pub(super) tables: Arc<Tables>,
    pub(super) link: Link,
    /// The connection of the batches that are sealed: this one does not wait for their commits.
    pub(super) commits: Arc<Mutex<Link>>,
    /// That of the epoch, which has a number if some of its rows are in staging.
    pub(super) batch: Batch,
    /// The rows that are not yet in staging.
    pub(super) rows: Vec<Vec<Cell>>,
}

impl<T: Data> Writer<T> for TableWriter<T> {
    fn write(&mut self, batch: &mut Records<T>) -> Result<()> {
        // Three columns of staging are not the user's.
        let expected = self.tables.types.len() - 3;
        for record in batch.drain(..) {
            let cells = (self.cells)(&record.value);
            if cells.len() != expected {
                let (about, found) = (self.link.about(), cells.len());
                return Err(Error::program(format!(
                    "{about}: a row has {found} values for {expected} columns"
                )));
            }
            self.rows.push(cells);
            if self.rows.len() == BUFFER_ROWS {
                self.batch.stage(&mut self.link, &self.tables, &self.rows)?;
                self.rows.clear();
            }
        }
        Ok(())
    }

    fn pre_commit(&mut self, epoch: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        let rows = std::mem::take(&mut self.rows);
        let next = Batch { number: None, rows: 0, ..self.batch.clone() };
        let mut batch = std::mem::replace(&mut self.batch, next);
        if rows.is_empty() && batch.number.is_none() {
            return Ok(Vec::new());
        }
        batch.epoch = clip(epoch.0);
        let (tables, link) = (Arc::clone(&self.tables), Arc::clone(&self.commits));
        Ok(vec![Box::new(SealedBatch { tables, link, batch, rows })])
    }
}
