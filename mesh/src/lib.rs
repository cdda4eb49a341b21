//! The sockets between the processes of a job: who may connect, and what they carry.
//!
//! ```text
//! Meeting::listen --> address --> everybody knows everybody's --> Meeting::form --> Mesh
//!                                                                    |
//!   process i connects to every j < i, twice; each connection begins with a handshake:
//!     link   messages of core::peers, heartbeats             two threads of ours a process
//!     data   batches and progress of timely's workers        two threads of timely's a process
//! ```
//!
//! Nobody is admitted who does not know the secret of the job, and nobody who is of another job,
//! attempt, program or option (`handshake.rs`, `claims.rs`). A process that is killed closes its
//! sockets, one that hangs or is cut off is noticed by its missing heartbeats; either way the job
//! fails in all others, with a sentence that names the process (`fate.rs`).
//!
//! **Invariants**
//! - *No admission without proof*: both sides prove the secret over fresh nonces of both
//!   (`handshake.rs`, `tests/handshake.rs`).
//! - *Nobody waits for a stranger*: a connection that does not prove itself within
//!   [`handshake::DEADLINE`] is closed, and cannot make this process keep more than
//!   [`frame::HANDSHAKE_BYTES_MAX`] bytes of it.
//! - *A damaged frame is an error*: lengths and workers are checked before they are used
//!   (`data.rs`, `link.rs`).
//!
//! **Left out**: encryption. What crosses the wire can be read by whoever can read the wire.

pub mod secret;
pub mod claims;
pub mod frame;
pub mod handshake;
mod socket;

pub mod meeting;
mod door;

mod mesh;
mod fate;
mod link;
mod data;

pub use claims::{Claims, Purpose, Refusal};
pub use meeting::{Meeting, Spec};
pub use mesh::Mesh;
pub use secret::Secret;
