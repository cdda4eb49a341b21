//! The nouns of highwater, and the shell around every operator.
//!
//! ```text
//! Source -> source shell -> [exchange] -> operator shell -> ... -> sink shell -> Committable
//!             |  stamps batches with Time { epoch, watermark }  |
//!             '------- timely's frontier carries both on -------'
//! ```
//!
//! The life of one record: a [`source::Reader`] yields it; the source shell runs the stateless
//! stages on its batch, gives it an event time and sends the batch on, stamped with the source's
//! promise. An exchange takes it to the worker that owns its key group and counts its bytes against
//! the credit of the edge. There the operator [`shell`] queues the batch, and hands it to the
//! [`shell::Logic`] when its epoch is due; what the logic emits is stamped with the operator's own
//! capability. When the frontier shows that no record below an event time can come any more, the
//! shell fires the timers below it and moves the capability.
//!
//! One word for one thing: a *frontier* is what may still appear at a port, a *watermark* is Flink's
//! scalar at the edge of the API ([`watermark`] converts), an *epoch* is the number of a checkpoint.

pub mod time;
pub mod record;
pub mod key;
pub mod watermark;

pub mod source;
pub mod sink;
pub mod side;

pub mod cut;
pub mod store;
pub mod shell;
pub mod context;
pub mod harness;
mod exchange;
mod parcel;
pub mod wire;
pub mod credit;
pub mod iterate;

pub mod plan;
pub mod job;
pub mod peers;
mod across;
pub mod dataflow;
pub mod worker;
pub mod witness;
pub mod metrics;

pub mod config;
pub mod clock;
pub mod error;
pub mod failpoint;

pub use context::Context;
pub use error::{Error, Result};
pub use record::{Batch, Data, ExchangeData, Record};
pub use side::OutputTag;
pub use time::{Epoch, EventTime, Time};
