//! Frames with a length: what is said before a process is admitted.
//!
//! ```text
//! length: u32, little endian | postcard
//! ```
//!
//! **Invariant**: a frame takes no more memory than has arrived of it, nor more than
//! [`HANDSHAKE_BYTES_MAX`], and no more time than its deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest frame of a handshake, in bytes.
pub const HANDSHAKE_BYTES_MAX: usize = 16 << 10;

/// Why a frame could not be read.
#[derive(Debug)]
pub enum Fault {
    /// It did not come in time.
    Late,
    /// The other side closed the connection, or it broke.
    Gone(std::io::Error),
    /// It is too long, or not what was expected.
    Damaged,
}

/// Sends a frame.
///
/// # Errors
/// When the connection is broken.
pub fn write(mut to: &TcpStream, message: &impl Serialize) -> std::io::Result<()> {
    let body = postcard::to_stdvec(message).map_err(std::io::Error::other)?;
    let mut frame = (body.len() as u32).to_le_bytes().to_vec();
    frame.extend_from_slice(&body);
    to.write_all(&frame)
}

/// Receives a frame.
///
/// # Errors
/// When it does not come until `deadline`, is too long, or is not a `T`.
pub fn read<T: DeserializeOwned>(from: &TcpStream, deadline: Instant) -> Result<T, Fault> {
    let mut length = [0; 4];
    fill(from, &mut length, deadline)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > HANDSHAKE_BYTES_MAX {
        return Err(Fault::Damaged);
    }
    let mut body = vec![0; length];
    fill(from, &mut body, deadline)?;
    match postcard::take_from_bytes(&body) {
        Ok((message, [])) => Ok(message),
        _ => Err(Fault::Damaged),
    }
}

fn fill(mut from: &TcpStream, mut bytes: &mut [u8], deadline: Instant) -> Result<(), Fault> {
    while !bytes.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Fault::Late);
        }
        from.set_read_timeout(Some(left.max(Duration::from_millis(1)))).map_err(Fault::Gone)?;
        match from.read(bytes) {
            Ok(0) => return Err(Fault::Gone(ErrorKind::UnexpectedEof.into())),
            Ok(read) => bytes = &mut bytes[read..],
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(Fault::Late),
                _ => return Err(Fault::Gone(error)),
            },
        }
    }
    Ok(())
}
