//! A value with its event time, and the batches in which records travel.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::time::EventTime;

/// What may travel between operators of one worker: any owned, cloneable value.
pub trait Data: Clone + 'static {}
impl<T: Clone + 'static> Data for T {}

/// What may travel between workers, and between processes: data that serde can write and read.
pub trait ExchangeData: Data + Send + Sync + Serialize + DeserializeOwned {}
impl<T: Data + Send + Sync + Serialize + DeserializeOwned> ExchangeData for T {}

/// A value and the instant at which it happened.
///
/// The event time is data: operators carry it along, windows sort by it, and only a watermark
/// strategy assigns it. It says nothing about the stamp of the message that carries the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Record<T> {
    /// When it happened, in ms since 1970; [`NO_EVENT_TIME`](crate::time::NO_EVENT_TIME) when
    /// nobody has said so yet.
    pub event_time: EventTime,
    /// What happened.
    pub value: T,
}

impl<T> Record<T> {
    /// Returns a record of `value` at `event_time`, in ms since 1970.
    pub fn new(event_time: EventTime, value: T) -> Self {
        Record { event_time, value }
    }
}

/// Records that travel together under one stamp. Never sent empty.
pub type Batch<T> = Vec<Record<T>>;

/// The bytes of memory that a batch keeps in use, for flow control: of its room, not only of the
/// records in it, as batches that were sent before they were full have more room than records.
///
/// Values without owned memory count exactly. For others the first record is measured by the size
/// of its serialised form and stands for all: one measurement a batch, not one a record.
pub(crate) fn batch_bytes<T: Serialize>(batch: &Batch<T>) -> u64 {
    bytes_with_room(batch, batch.capacity())
}

/// The bytes of a batch in the process that it arrives in: there it has as much room as records.
pub(crate) fn bytes_on_arrival<T: Serialize>(batch: &Batch<T>) -> u64 {
    bytes_with_room(batch, batch.len())
}

fn bytes_with_room<T: Serialize>(batch: &Batch<T>, room: usize) -> u64 {
    let flat = std::mem::size_of::<Record<T>>();
    let owned = match batch.first() {
        Some(first) if std::mem::needs_drop::<T>() => {
            postcard::experimental::serialized_size(&first.value).unwrap_or(0)
        }
        _ => 0,
    };
    (room * flat + batch.len() * owned) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_batch_count_owned_memory() {
        let plain: Batch<u64> = (0..10).map(|i| Record::new(0, i)).collect();
        assert_eq!(batch_bytes(&plain), plain.capacity() as u64 * 16);
        let owning: Batch<String> = (0..10).map(|_| Record::new(0, "x".repeat(1000))).collect();
        assert!(batch_bytes(&owning) > 10_000, "{}", batch_bytes(&owning));
    }
}
