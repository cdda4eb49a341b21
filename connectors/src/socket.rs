//! A source of the lines that come in over TCP.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::Duration;

use highwater_core::error::{Error, Result};
use highwater_core::record::{Batch, Record};
use highwater_core::source::{Boundedness, Poll, Reader, Source};
use highwater_core::time::NO_EVENT_TIME;

use crate::format::Malformed;
use crate::lines::trim_end;

/// How long the engine should wait before it asks an idle connection again.
const PAUSE: Duration = Duration::from_millis(10);

/// How many bytes are asked of the system at once.
const READ_BYTES: usize = 64 * 1024;

/// A connection to a server that sends lines of text, such as `nc -lk 9999`.
///
/// - output: the lines in order, without their ends and without event times; what follows the last
///   line end is a line too. The stream ends when the server closes the connection.
/// - state: the bytes of the line that is not complete yet.
///
/// There is one split, which one worker reads. It cannot be replayed: what was read is gone, so a
/// job that is run again, or goes on from a checkpoint, connects anew and does not see what it had
/// read since.
///
/// # Nondeterminism
/// How many lines a poll finds depends on their arrival.
#[derive(Clone, Debug)]
pub struct Socket {
    address: String,
}

impl Socket {
    /// Makes a source that will connect to `address`, written `host:port`.
    pub fn connect(address: impl Into<String>) -> Self {
        Socket { address: address.into() }
    }
}

impl Source for Socket {
    type Item = String;
    type Split = ();
    type Reader = SocketReader;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Unbounded
    }

    fn splits(&self, _parallelism: usize) -> Result<Vec<()>> {
        Ok(vec![()])
    }

    fn open(&self, (): &()) -> Result<SocketReader> {
        let failed = |e| Error::io("connect", &self.address, e);
        let stream = TcpStream::connect(&self.address).map_err(failed)?;
        stream.set_nonblocking(true).map_err(failed)?;
        Ok(SocketReader {
            address: self.address.clone(),
            stream,
            bytes: Vec::new(),
            start: 0,
            searched: 0,
            line: 0,
        })
    }

    /// Connects anew.
    ///
    /// - `line`: how many lines were read before, from which messages count on.
    fn resume(&self, split: &(), line: &u64) -> Result<SocketReader> {
        Ok(SocketReader { line: *line, ..self.open(split)? })
    }
}

/// Reads the lines of one connection.
#[derive(Debug)]
pub struct SocketReader {
    address: String,
    stream: TcpStream,
    bytes: Vec<u8>,
    /// Where in `bytes` the next line begins.
    start: usize,
    /// Up to where in `bytes` there is no line end, so that a long line is searched once.
    searched: usize,
    /// How many lines were emitted.
    line: u64,
}

impl SocketReader {
    /// Emits the complete lines that were received, up to `limit`. Returns how many.
    fn emit(&mut self, out: &mut Batch<String>, limit: usize) -> Result<usize> {
        for emitted in 0..limit {
            let end = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n');
            let Some(end) = end else {
                self.searched = self.bytes.len();
                return Ok(emitted);
            };
            self.emit_up_to(self.searched + end + 1, out)?;
        }
        Ok(limit)
    }

    /// Emits the line that ends at `end`.
    fn emit_up_to(&mut self, end: usize, out: &mut Batch<String>) -> Result<()> {
        self.line += 1;
        let line =
            std::str::from_utf8(trim_end(&self.bytes[self.start..end])).map_err(|error| {
                let byte = error.valid_up_to() + 1;
                Error::input(&self.address, Some(self.line), Malformed::Encoding { byte })
            })?;
        out.push(Record::new(NO_EVENT_TIME, line.to_owned()));
        (self.start, self.searched) = (end, end);
        Ok(())
    }

    /// Receives what is there. Returns 0 when the server has closed the connection.
    fn receive(&mut self) -> io::Result<usize> {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        let filled = self.bytes.len();
        self.bytes.resize(filled + READ_BYTES, 0);
        let received = self.stream.read(&mut self.bytes[filled..]);
        self.bytes.truncate(filled + received.as_ref().map_or(0, |count| *count));
        received
    }
}

impl Reader for SocketReader {
    type Item = String;
    type Offset = u64;

    fn offset(&self) -> u64 {
        self.line
    }

    fn poll(&mut self, out: &mut Batch<String>, limit: usize) -> Result<Poll> {
        let left = limit - self.emit(out, limit)?;
        if left == 0 {
            return Ok(Poll::More);
        }
        // Once only, so that a line without an end does not keep the worker here.
        match self.receive() {
            Ok(0) => {
                if self.start < self.bytes.len() {
                    self.emit_up_to(self.bytes.len(), out)?;
                }
                Ok(Poll::End)
            }
            Ok(_) => self.emit(out, left).map(|_| Poll::More),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(Poll::More),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(Poll::Pending(PAUSE)),
            Err(e) => Err(Error::io("read", &self.address, e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    /// Connects a reader and returns it with the other end.
    fn connect() -> (SocketReader, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let source = Socket::connect(listener.local_addr().unwrap().to_string());
        let reader = source.open(&source.splits(3).unwrap()[0]).unwrap();
        (reader, listener.accept().unwrap().0)
    }

    /// Polls until there are `count` lines or the end.
    fn read(reader: &mut SocketReader, count: usize, limit: usize) -> (Vec<String>, Poll) {
        let mut out = Vec::new();
        loop {
            let before = out.len();
            let poll = reader.poll(&mut out, limit).unwrap();
            assert!(out.len() - before <= limit);
            if out.len() >= count || poll == Poll::End {
                return (out.into_iter().map(|record| record.value).collect(), poll);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn lines_arrive_whole_however_they_are_sent() {
        let (mut reader, mut peer) = connect();
        assert_eq!(read(&mut reader, 0, 10), (vec![], Poll::Pending(PAUSE)));
        peer.write_all(b"one\r\ntw").unwrap();
        assert_eq!(read(&mut reader, 1, 10).0, ["one"]);
        peer.write_all("o \u{e9}\n\nthree".as_bytes()).unwrap();
        assert_eq!(read(&mut reader, 2, 10).0, ["two \u{e9}", ""]);
        drop(peer);
        assert_eq!(read(&mut reader, 9, 10), (vec!["three".to_owned()], Poll::End));
    }

    #[test]
    fn a_poll_gives_no_more_than_its_limit() {
        let (mut reader, mut peer) = connect();
        peer.write_all("line\n".repeat(1000).as_bytes()).unwrap();
        drop(peer);
        assert_eq!(read(&mut reader, 2000, 7).0.len(), 1000);
    }

    #[test]
    fn invalid_utf8_and_a_missing_server_name_the_address() {
        let (mut reader, mut peer) = connect();
        peer.write_all(b"good\n\xff\n").unwrap();
        drop(peer);
        let mut out = Vec::new();
        let error = loop {
            match reader.poll(&mut out, 10) {
                Err(error) => break error.sentence(),
                Ok(poll) => assert_ne!(poll, Poll::End),
            }
        };
        assert!(error.contains(", line 2: byte 1 of the line"), "{error}");

        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let error = Socket::connect(&address).open(&()).unwrap_err();
        assert_eq!(error.to_string(), format!("{address}: could not connect"));
    }
}
