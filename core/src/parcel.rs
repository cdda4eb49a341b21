//! A batch on its way to another worker: as it is, or as bytes for another process.
//!
//! ```text
//! from u32, epoch u64, watermark i64, records u32 | the records, in the encoding of `wire.rs` | xxh3 u64
//! ```
//!
//! A batch for another process is encoded once, when it is sent: timely would ask for its length
//! first, which takes as long as writing it.
//!
//! **Invariant**: a batch that was damaged on its way ends the job with a sentence: the checksum is
//! compared before anything is read.

use std::io::Write;

use timely::bytes::arc::Bytes;
use timely::communication::Bytesable;
use timely::dataflow::channels::Message;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Error;
use crate::record::{Batch, ExchangeData, Record};
use crate::store::lose;
use crate::time::{Epoch, Time};
use crate::wire::{self, Damaged};

/// A batch with its stamp and its sender.
pub(crate) type Envelope<T> = Message<Time, Batch<T>>;

/// What crosses a channel between workers.
pub(crate) enum Parcel<T> {
    /// In the memory of this process.
    Here(Envelope<T>),
    /// For another process.
    Packed(Vec<u8>),
}

/// The bytes before the records.
const HEAD_BYTES: usize = 24;
/// The least bytes of a record: its event time.
const RECORD_BYTES_MIN: usize = 8;
/// The bytes of the checksum.
const SUM_BYTES: usize = 8;

/// Writes a batch into `out`, which is empty.
///
/// # Errors
/// When its records cannot be written.
pub(crate) fn pack<T: ExchangeData>(
    from: usize,
    time: Time,
    batch: &Batch<T>,
    out: &mut Vec<u8>,
) -> Result<(), Damaged> {
    out.reserve(HEAD_BYTES + batch.len() * size_of::<Record<T>>() + SUM_BYTES);
    wire::write(&(from as u32, time.epoch.0, time.watermark, batch.len() as u32), out)?;
    for record in batch {
        wire::write(record, out)?;
    }
    out.extend_from_slice(&xxh3_64(out).to_le_bytes());
    Ok(())
}

/// Reads a batch.
///
/// # Errors
/// When it is not as it was written.
pub(crate) fn unpack<T: ExchangeData>(bytes: &[u8]) -> Result<Envelope<T>, Damaged> {
    let differs = || Damaged::new("its checksum differs");
    let (mut body, sum) = bytes.split_last_chunk::<SUM_BYTES>().ok_or_else(differs)?;
    if xxh3_64(body) != u64::from_le_bytes(*sum) {
        return Err(differs());
    }
    let (from, epoch, watermark, records): (u32, u64, i64, u32) = wire::read(&mut body)?;
    let records = records as usize;
    if records > body.len() / RECORD_BYTES_MIN {
        return Err(Damaged::new("it has fewer bytes than records"));
    }
    // As much room as there are records: its bytes are counted by room, there as here.
    let mut batch = Batch::with_capacity(records);
    for _ in 0..records {
        batch.push(wire::read(&mut body)?);
    }
    if !body.is_empty() {
        return Err(Damaged::new("it has more bytes than records"));
    }
    let mut envelope = Message::new(Time::new(Epoch(epoch), watermark), batch);
    envelope.from = from as usize;
    Ok(envelope)
}

impl<T: ExchangeData> Bytesable for Parcel<T> {
    fn from_bytes(bytes: Bytes) -> Self {
        match unpack(&bytes) {
            Ok(envelope) => Parcel::Here(envelope),
            Err(damaged) => lose(Error::scratch(format!("a batch was damaged: {damaged}"))),
        }
    }

    fn length_in_bytes(&self) -> usize {
        match self {
            Parcel::Packed(bytes) => bytes.len(),
            Parcel::Here(_) => unreachable!("what leaves the process is packed"),
        }
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        if let Parcel::Packed(bytes) = self
            && let Err(error) = writer.write_all(bytes)
        {
            lose(Error::scratch(format!("a batch could not be sent: {error}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::batch_bytes;

    fn packed() -> (Batch<(u64, String)>, Vec<u8>) {
        let batch: Batch<_> =
            (0..20).map(|i| Record::new(i, (i as u64, "x".repeat(i as usize)))).collect();
        let mut bytes = Vec::new();
        pack(7, Time::new(Epoch(3), -5), &batch, &mut bytes).expect("it can be written");
        (batch, bytes)
    }

    #[test]
    fn a_batch_arrives_as_it_was_sent_and_counts_as_many_bytes() {
        let (mut batch, bytes) = packed();
        let envelope: Envelope<(u64, String)> = unpack(&bytes).expect("nothing is damaged");
        assert_eq!((envelope.from, envelope.time), (7, Time::new(Epoch(3), -5)));
        assert_eq!(envelope.data, batch);
        batch.shrink_to_fit();
        assert_eq!(batch_bytes(&envelope.data), batch_bytes(&batch));
    }

    #[test]
    fn a_batch_that_was_damaged_is_an_error() {
        let (_, bytes) = packed();
        for cut in 0..bytes.len() {
            assert!(unpack::<(u64, String)>(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 0x10;
            assert!(unpack::<(u64, String)>(&flipped).is_err(), "flipped at {place}");
        }
    }
}
