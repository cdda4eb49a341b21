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
use crate::record::{Batch, Data, ExchangeData, Record, batch_bytes};
use crate::time::Time;

type Envelope<T> = Message<Time, Batch<T>>;

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
    type Puller = TaggingPuller<Box<dyn Pull<Envelope<T>>>>;

    fn connect(
        self,
        worker: &Worker,
        identifier: usize,
        address: Rc<[usize]>,
        logging: Option<TimelyLogger>,
    ) -> (Self::Pusher, Self::Puller) {
        let (senders, receiver) = worker.allocate::<Envelope<T>>(identifier, address);
        let me = worker.index();
        let lanes = senders.into_iter().enumerate().map(|(to, sender)| Lane {
            pusher: LogPusher::new(sender, me, to, identifier, logging.clone()),
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
        let puller = LogPuller::new(receiver, me, identifier, logging);
        (pusher, TaggingPuller { puller, sender: self.sender })
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
    pusher: LogPusher<Box<dyn Push<Envelope<T>>>>,
    buffer: Batch<T>,
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
        self.edge.send(self.me, to, time.epoch, batch_bytes(&data));
        lane.pusher.push(&mut Some(Message::new(time, data)));
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
                self.lanes[0].pusher.push(message);
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
                    lane.pusher.push(&mut None);
                }
            }
        }
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
