//! How batches get from one operator to the next: to the worker that owns the key, or straight on.
//!
//! ```text
//! batch --route(record)--> buffer of worker i --full or flushed--> channel --> queue of worker i
//! ```
//!
//! Both ways count the bytes in flight against the edge's [credit](crate::credit), and tell the
//! receiver who sent a batch so that it can give the credit back.
//!
//! **Invariant** I6: as many records leave as come in, per stamp, and no batch is empty; asserted
//! in [`RoutePusher`] on every flush. Timely counts records: one lost here freezes the job.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use timely::communication::{Pull, Push};
use timely::dataflow::channels::Message;
use timely::dataflow::channels::pact::{LogPuller, LogPusher, ParallelizationContract};
use timely::logging::TimelyLogger;
use timely::worker::Worker;

use crate::credit::Edge;
use crate::error::Error;
use crate::parcel::{Envelope, Parcel, pack};
use crate::record::{Batch, Data, ExchangeData, Record, batch_bytes, bytes_on_arrival};
use crate::store::lose;
use crate::time::Time;

/// Who sent the batch that was pulled last; shared between a puller and its operator.
pub(crate) type Sender = Rc<Cell<usize>>;

/// Sends every record to the worker that `route` names.
pub(crate) struct Route<F> {
    pub(crate) route: F,
    pub(crate) edge: Arc<Edge>,
    pub(crate) sender: Sender,
    pub(crate) batch_records: usize,
}

impl<T, F> ParallelizationContract<Time, Batch<T>> for Route<F>
where
    T: ExchangeData,
    F: FnMut(&T) -> usize + 'static,
{
    type Pusher = RoutePusher<T, F>;
    type Puller = Unpacker<T>;

    fn connect(
        self,
        worker: &Worker,
        identifier: usize,
        address: Rc<[usize]>,
        _logging: Option<TimelyLogger>,
    ) -> (Self::Pusher, Self::Puller) {
        let (senders, receiver) = worker.allocate::<Parcel<T>>(identifier, address);
        let me = worker.index();
        let lanes = senders.into_iter().enumerate().map(|(to, sender)| Lane {
            sender,
            is_here: self.edge.is_here(to),
            packed: Vec::new(),
            buffer: Vec::new(),
        });
        let pusher = RoutePusher {
            lanes: lanes.collect(),
            time: None,
            pending: 0,
            route: self.route,
            edge: self.edge,
            me,
            batch_records: self.batch_records,
        };
        (pusher, Unpacker { receiver, sender: self.sender, current: None })
    }
}

/// Passes batches on to the next operator of the same worker.
pub(crate) struct Straight {
    pub(crate) edge: Arc<Edge>,
    pub(crate) sender: Sender,
}

impl<T: Data> ParallelizationContract<Time, Batch<T>> for Straight {
    type Pusher = StraightPusher<Box<dyn Push<Envelope<T>>>>;
    type Puller = TaggingPuller<Box<dyn Pull<Envelope<T>>>>;

    fn connect(
        self,
        worker: &Worker,
        identifier: usize,
        address: Rc<[usize]>,
        logging: Option<TimelyLogger>,
    ) -> (Self::Pusher, Self::Puller) {
        let (sender, receiver) = worker.pipeline::<Envelope<T>>(identifier, address);
        let me = worker.index();
        let sender: Box<dyn Push<Envelope<T>>> = Box::new(sender);
        let receiver: Box<dyn Pull<Envelope<T>>> = Box::new(receiver);
        let pusher = LogPusher::new(sender, me, me, identifier, logging.clone());
        let puller = LogPuller::new(receiver, me, identifier, logging);
        (
            StraightPusher { pusher, edge: self.edge, me },
            TaggingPuller { puller, sender: self.sender },
        )
    }
}

/// Counts the bytes of batches that stay on the worker.
pub(crate) struct StraightPusher<P> {
    pusher: LogPusher<P>,
    edge: Arc<Edge>,
    me: usize,
}

impl<T: Data, P: Push<Envelope<T>>> Push<Envelope<T>> for StraightPusher<P> {
    fn push(&mut self, message: &mut Option<Envelope<T>>) {
        if let Some(message) = message {
            debug_assert!(!message.data.is_empty(), "I6: an empty batch was sent");
            self.edge.send(self.me, self.me, message.time.epoch, flat_bytes(&message.data));
        }
        self.pusher.push(message);
    }
}

/// The bytes of a batch that is not serialised: of its room, without the memory its values own.
pub(crate) fn flat_bytes<T>(batch: &Batch<T>) -> u64 {
    (batch.capacity() * std::mem::size_of::<Record<T>>()) as u64
}

/// The way to one worker.
struct Lane<T: 'static> {
    sender: Box<dyn Push<Parcel<T>>>,
    /// Whether the worker is in this process.
    is_here: bool,
    /// Room for the bytes of batches for another process.
    packed: Vec<u8>,
    buffer: Batch<T>,
}

impl<T: ExchangeData> Lane<T> {
    /// Sends a batch; the memory of one that was packed is used again.
    fn send(&mut self, me: usize, time: Time, mut data: Batch<T>) {
        if self.is_here {
            let mut envelope = Envelope::new(time, data);
            envelope.from = me;
            self.sender.push(&mut Some(Parcel::Here(envelope)));
            return;
        }
        let mut packed = std::mem::take(&mut self.packed);
        packed.clear();
        if let Err(error) = pack(me, time, &data, &mut packed) {
            lose(Error::program(format!("its records cannot be sent to another process: {error}")));
        }
        let mut parcel = Some(Parcel::Packed(packed));
        self.sender.push(&mut parcel);
        if let Some(Parcel::Packed(packed)) = parcel {
            self.packed = packed;
        }
        data.clear();
        if self.buffer.capacity() == 0 {
            self.buffer = data;
        }
    }
}

/// Divides batches among the workers.
pub(crate) struct RoutePusher<T: 'static, F> {
    lanes: Vec<Lane<T>>,
    time: Option<Time>,
    /// Records taken in at `time` and not sent yet, for I6.
    pending: usize,
    route: F,
    edge: Arc<Edge>,
    me: usize,
    batch_records: usize,
}

impl<T: ExchangeData, F: FnMut(&T) -> usize> RoutePusher<T, F> {
    fn send(&mut self, to: usize, time: Time) {
        let lane = &mut self.lanes[to];
        let data = std::mem::take(&mut lane.buffer);
        self.pending -= data.len();
        let bytes = if lane.is_here { batch_bytes(&data) } else { bytes_on_arrival(&data) };
        self.edge.send(self.me, to, time.epoch, bytes);
        lane.send(self.me, time, data);
    }

    fn flush(&mut self) {
        let Some(time) = self.time.take() else { return };
        for to in 0..self.lanes.len() {
            if !self.lanes[to].buffer.is_empty() {
                self.send(to, time);
            }
        }
        debug_assert_eq!(self.pending, 0, "I6: records were lost or made at {time:?}");
    }

    fn divide(&mut self, time: Time, data: &mut Batch<T>) {
        self.pending += data.len();
        for record in data.drain(..) {
            let to = (self.route)(&record.value);
            let buffer = &mut self.lanes[to].buffer;
            if buffer.len() == buffer.capacity() {
                grow(buffer, self.batch_records);
            }
            buffer.push(record);
            if buffer.len() >= self.batch_records {
                self.send(to, time);
            }
        }
    }
}

/// Makes room in a buffer: little for few records, at once for many, never above `most`.
#[cold]
pub(crate) fn grow<T>(buffer: &mut Batch<T>, most: usize) {
    let wanted = if buffer.is_empty() { 32 } else { most };
    buffer.reserve_exact(wanted.min(most).max(buffer.len() + 1) - buffer.len());
}

impl<T: ExchangeData, F: FnMut(&T) -> usize> Push<Envelope<T>> for RoutePusher<T, F> {
    fn push(&mut self, message: &mut Option<Envelope<T>>) {
        match message {
            Some(Message { time, data, .. }) if self.lanes.len() == 1 => {
                debug_assert!(!data.is_empty(), "I6: an empty batch was sent");
                self.edge.send(self.me, 0, time.epoch, batch_bytes(data));
                self.lanes[0].send(self.me, *time, std::mem::take(data));
                *message = None;
            }
            Some(Message { time, data, .. }) => {
                if self.time != Some(*time) {
                    self.flush();
                    self.time = Some(*time);
                }
                self.divide(*time, data);
            }
            None => {
                self.flush();
                for lane in &mut self.lanes {
                    lane.sender.push(&mut None);
                }
            }
        }
    }
}

/// Takes batches out of their parcels, and notes who sent each.
pub(crate) struct Unpacker<T> {
    receiver: Box<dyn Pull<Parcel<T>>>,
    sender: Sender,
    current: Option<Envelope<T>>,
}

impl<T: ExchangeData> Pull<Envelope<T>> for Unpacker<T> {
    #[inline]
    fn pull(&mut self) -> &mut Option<Envelope<T>> {
        self.current = match self.receiver.pull().take() {
            Some(Parcel::Here(envelope)) => {
                self.sender.set(envelope.from);
                Some(envelope)
            }
            Some(Parcel::Packed(_)) => unreachable!("what has arrived is unpacked"),
            None => None,
        };
        &mut self.current
    }
}

/// Notes who sent each batch.
pub(crate) struct TaggingPuller<P> {
    puller: LogPuller<P>,
    sender: Sender,
}

impl<T: 'static, P: Pull<Envelope<T>>> Pull<Envelope<T>> for TaggingPuller<P> {
    #[inline]
    fn pull(&mut self) -> &mut Option<Envelope<T>> {
        let message = self.puller.pull();
        if let Some(message) = message {
            self.sender.set(message.from);
        }
        message
    }
}

/// The records of a batch that fit the processor's cache: about 16 KiB of them.
pub(crate) fn default_batch_records<T>() -> usize {
    const BATCH_BYTES: usize = 16 * 1024;
    (BATCH_BYTES / std::mem::size_of::<Record<T>>().max(1)).clamp(16, 2048)
}
