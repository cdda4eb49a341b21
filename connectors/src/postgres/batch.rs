//! A batch: what one worker has written in one epoch, on its way into the target.
//!
//! ```text
//! rows in memory and in staging --prepare--> all in staging --commit--> moved and noted
//!                 '------------------abort--'--> deleted
//! ```

use std::sync::{Arc, Mutex, PoisonError};

use ::postgres::Error as ClientError;
use ::postgres::binary_copy::BinaryCopyInWriter;
use ::postgres::types::ToSql;
use serde::{Deserialize, Serialize};

use highwater_core::error::{Error, Result};
use highwater_core::sink::Committable;

use super::Cell;
use super::link::Link;
use super::table::Tables;

/// Which batch it is; the text of it goes into checkpoints.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Batch {
    /// Its number in the database, from the first row in staging on.
    pub(super) number: Option<i64>,
    pub(super) sink: String,
    /// 0 in a job without checkpoints.
    pub(super) attempt: i64,
    pub(super) epoch: i64,
    pub(super) worker: i64,
    /// How many of its rows are in staging.
    pub(super) rows: i64,
}

/// How a commit ends in the database.
enum Moved {
    Now,
    Before,
    /// As there are other than that many rows in staging, nothing was done.
    Differs(u64),
}

impl Batch {
    /// Reads a payload.
    pub(super) fn parse(payload: &str) -> Result<Self> {
        serde_json::from_str(payload).map_err(|_| {
            Error::state(format!("{payload:?} is not what a Postgres sink had prepared"))
        })
    }

    /// Takes rows into staging, all of them or none.
    pub(super) fn stage(
        &mut self,
        link: &mut Link,
        tables: &Tables,
        rows: &[Vec<Cell>],
    ) -> Result<()> {
        let number = link.run("stage rows", |client| {
            let number = match self.number {
                Some(number) => number,
                None => client.query_one(&tables.next_batch, &[])?.get(0),
            };
            let mut copy = BinaryCopyInWriter::new(client.copy_in(&tables.copy)?, &tables.types);
            for row in rows {
                let of_batch: [&(dyn ToSql + Sync); 3] = [&number, &self.sink, &self.attempt];
                let cells = row.iter().map(|cell| -> &(dyn ToSql + Sync) { cell.as_ref() });
                copy.write(&of_batch.into_iter().chain(cells).collect::<Vec<_>>())?;
            }
            copy.finish()?;
            Ok(number)
        })?;
        self.number = Some(number);
        self.rows += super::clip(rows.len() as u64);
        Ok(())
    }

    /// Moves the rows into the target, unless that was done before.
    pub(super) fn commit(&self, link: &mut Link, tables: &Tables) -> Result<()> {
        let Some(number) = self.number else { return Ok(()) };
        match link.run("commit", |client| self.move_rows(number, client, tables))? {
            Moved::Now | Moved::Before => Ok(()),
            Moved::Differs(found) => {
                let (path, rows) = (link.about().into(), self.rows);
                let hidden = format!("staging, where batch {number} has {found} rows of {rows}");
                Err(Error::OutputLost { path, hidden })
            }
        }
    }

    fn move_rows(
        &self,
        number: i64,
        client: &mut ::postgres::Client,
        tables: &Tables,
    ) -> Result<Moved, ClientError> {
        let Batch { sink, attempt, epoch, worker, rows, .. } = self;
        let mut transaction = client.transaction()?;
        // Waits for another commit of the batch that is on its way.
        let noted =
            transaction.execute(&tables.note, &[&number, sink, attempt, epoch, worker, rows])?;
        if noted == 0 {
            return Ok(Moved::Before);
        }
        let moved = transaction.execute(&tables.move_rows, &[&number])?;
        if i64::try_from(moved) != Ok(*rows) {
            return Ok(Moved::Differs(moved));
        }
        transaction.commit()?;
        Ok(Moved::Now)
    }
}

/// A batch that no row is added to any more.
pub(super) struct SealedBatch {
    pub(super) tables: Arc<Tables>,
    /// The connection of all batches of a worker.
    pub(super) link: Arc<Mutex<Link>>,
    pub(super) batch: Batch,
    /// Those that are not yet in staging.
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Committable for SealedBatch {
    fn prepare(&mut self) -> Result<String> {
        let rows = std::mem::take(&mut self.rows);
        if !rows.is_empty() {
            let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
            self.batch.stage(&mut link, &self.tables, &rows)?;
        }
        serde_json::to_string(&self.batch).map_err(Error::state)
    }

    fn commit(&mut self) -> Result<()> {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        self.batch.commit(&mut link, &self.tables)
    }

    fn abort(&mut self) {
        self.rows.clear();
        if let Some(number) = self.batch.number {
            let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
            // What stays is in staging, and swept away by the next attempt.
            let _ = link.run("remove rows from staging", |client| {
                client.execute(&self.tables.drop_rows, &[&number])
            });
        }
    }
}
