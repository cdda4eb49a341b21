//! The connection that timely reads and writes: checks what comes, and never breaks under its hands.
//!
//! ```text
//! socket --read--> headers are checked as they pass --> timely's thread
//!    '-- closed, damaged --> the process is lost; the thread waits for the end of this one
//! ```
//!
//! Timely's threads panic when a connection breaks, and so do the workers that they serve. Here
//! they only wait: the job fails with a sentence, and its workers end by themselves.
//!
//! **Invariant**: a header is handed to timely only as long as it names a worker of the other process
//! as its source, workers of this one as its targets, and no more than [`FRAME_BYTES_MAX`] bytes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::sync::Arc;

use timely::communication::allocator::zero_copy::stream::Stream;

use crate::fate::Fate;

/// The longest message of timely's, in bytes: a batch, whose records may be large.
const FRAME_BYTES_MAX: u64 = 1 << 30;
/// The bytes of timely's header: six numbers.
const HEADER_BYTES: usize = 48;

/// Who may send what to whom on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// The workers of the other process.
    pub(crate) sources: Range<u64>,
    /// The workers of this one.
    pub(crate) targets: Range<u64>,
}

/// Follows a stream of frames.
#[derive(Clone, Debug)]
struct Track {
    bounds: Bounds,
    header: [u8; HEADER_BYTES],
    filled: usize,
    /// The bytes of the present frame that are still to come.
    left: u64,
    /// Whether the other side has said that nothing follows.
    ended: bool,
}

impl Track {
    fn new(bounds: Bounds) -> Self {
        Track { bounds, header: [0; HEADER_BYTES], filled: 0, left: 0, ended: false }
    }

    /// Takes note of bytes that have come.
    fn follow(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            if self.ended {
                return Err("it went on after its end".to_owned());
            }
            if self.left > 0 {
                let passed = self.left.min(bytes.len() as u64);
                self.left -= passed;
                bytes = &bytes[passed as usize..];
                continue;
            }
            let taken = bytes.len().min(HEADER_BYTES - self.filled);
            self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            (self.filled, bytes) = (self.filled + taken, &bytes[taken..]);
            if self.filled == HEADER_BYTES {
                self.filled = 0;
                self.begin()?;
            }
        }
        Ok(())
    }

    /// Reads a header: channel, source, first and last target, length, number.
    fn begin(&mut self) -> Result<(), String> {
        let mut numbers = self
            .header
            .chunks_exact(8)
            .map(|chunk| chunk.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)));
        let mut next = || numbers.next().unwrap_or_default();
        let [_channel, source, lower, upper, length] = [next(), next(), next(), next(), next()];
        if length == 0 {
            self.ended = true;
            return Ok(());
        }
        let targets = &self.bounds.targets;
        if length > FRAME_BYTES_MAX {
            return Err(format!("it sent a frame of {length} bytes"));
        }
        if !self.bounds.sources.contains(&source)
            || lower < targets.start
            || upper > targets.end
            || lower >= upper
        {
            return Err(format!("it sent a frame from worker {source} to {lower}..{upper}"));
        }
        self.left = length;
        Ok(())
    }
}

/// A connection for data.
pub(crate) struct DataStream {
    socket: TcpStream,
    process: usize,
    fate: Arc<Fate>,
    track: Track,
}

impl DataStream {
    pub(crate) fn new(socket: TcpStream, process: usize, fate: &Arc<Fate>, bounds: Bounds) -> Self {
        DataStream { socket, process, fate: Arc::clone(fate), track: Track::new(bounds) }
    }

    /// The job is lost: nothing that could be returned is of use, and the process is about to end.
    fn rest(&self, why: String) -> ! {
        self.fate.lose_data(self.process, why);
        loop {
            std::thread::park();
        }
    }
}

impl Read for DataStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.socket.read(buffer) {
                Ok(0) if self.track.ended => return Ok(0),
                Ok(0) => self.rest("its connection for data was closed".to_owned()),
                Ok(read) => match self.track.follow(&buffer[..read]) {
                    Ok(()) => return Ok(read),
                    Err(damage) => self.rest(damage),
                },
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Reset by a process that has read everything and is gone.
                Err(_) if self.track.ended => return Ok(0),
                Err(error) => self.rest(format!("its connection for data broke: {error}")),
            }
        }
    }
}

impl Write for DataStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.socket.write(bytes) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                let why = format!("its connection for data broke: {error}");
                self.fate.lose_data(self.process, why);
                Ok(bytes.len())
            }
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for DataStream {
    fn try_clone(&self) -> io::Result<Self> {
        let (socket, fate) = (self.socket.try_clone()?, Arc::clone(&self.fate));
        Ok(DataStream { socket, process: self.process, fate, track: self.track.clone() })
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        // One that is broken has been reported.
        let _ = self.socket.shutdown(how);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use timely::communication::networking::MessageHeader;

    use super::*;

    fn header(source: usize, targets: Range<usize>, length: usize) -> Vec<u8> {
        let (target_lower, target_upper) = (targets.start, targets.end);
        let header =
            MessageHeader { channel: 7, source, target_lower, target_upper, length, seqno: 3 };
        let mut bytes = Vec::new();
        header.write_to(&mut bytes).expect("memory");
        bytes
    }

    fn track() -> Track {
        Track::new(Bounds { sources: 2..4, targets: 0..2 })
    }

    #[test]
    fn frames_are_followed_however_they_are_cut() {
        let mut stream = header(2, 0..1, 5);
        stream.extend_from_slice(b"12345");
        stream.extend(header(3, 0..2, 1));
        stream.push(b'x');
        stream.extend(header(0, 0..0, 0));
        for size in 1..stream.len() {
            let mut track = track();
            for piece in stream.chunks(size) {
                track.follow(piece).expect("nothing is wrong");
            }
            assert!(track.ended, "pieces of {size} bytes");
            assert!(track.follow(b"more").is_err(), "nothing follows the end");
        }
    }

    #[test]
    fn a_header_that_names_others_or_too_much_is_damage() {
        for wrong in [
            header(1, 0..1, 5),
            header(4, 0..1, 5),
            header(2, 0..3, 5),
            header(2, 1..1, 5),
            header(2, 0..1, 2 << 30),
            header(2, 0..1, usize::MAX),
        ] {
            let right = track().follow(&header(2, 0..2, 5));
            assert_eq!(right, Ok(()));
            assert!(track().follow(&wrong).is_err(), "{wrong:?}");
        }
    }
}
