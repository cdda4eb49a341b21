//! Who is admitted, and who is not, over real sockets on this host.
//!
//! Families: processes that belong together (catches a mesh that does not form, messages that are
//! lost or out of order, a loss that is not noticed); those that do not (catches an admission and a
//! missing reason); bytes that are no handshake: random, replayed, cut, with huge lengths (catches a
//! panic, an admission, memory that grows, and a mesh that does not form any more afterwards).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use highwater_core::error::{Error, ErrorKind, Result};
use highwater_core::peers::{Peers, Topic};
use highwater_mesh::handshake::{Failure, introduce};
use highwater_mesh::{Claims, Meeting, Mesh, Purpose, Refusal, Secret, Spec};

fn spec(index: usize, processes: usize) -> Spec {
    Spec {
        job: "words".to_owned(),
        attempt: Some(3),
        index,
        processes,
        workers: 1,
        program: 42,
        options: vec![("--mode".to_owned(), "streaming".to_owned())],
        secret: Secret::new("swordfish"),
    }
}

fn listen(spec: Spec) -> Meeting {
    Meeting::listen(spec, "127.0.0.1:0").expect("a port")
}

/// Lets processes meet, each on a thread of its own.
fn form(specs: Vec<Spec>) -> Vec<Result<Mesh>> {
    let meetings: Vec<_> = specs.into_iter().map(listen).collect();
    let addresses: Vec<_> = meetings.iter().map(|m| m.address().to_string()).collect();
    std::thread::scope(|scope| {
        let forming: Vec<_> =
            meetings.into_iter().map(|meeting| scope.spawn(|| meeting.form(&addresses))).collect();
        forming.into_iter().map(|formed| formed.join().expect("no panic")).collect()
    })
}

fn heard(mesh: &Mesh) -> Receiver<(usize, Vec<u8>)> {
    let (sender, receiver) = channel();
    mesh.listen(
        Topic::Job,
        Box::new(move |from, message| drop(sender.send((from, message.to_vec())))),
    );
    receiver
}

fn losses(mesh: &Mesh) -> Receiver<Error> {
    let (sender, receiver) = channel();
    mesh.on_loss(Box::new(move |error| drop(sender.send(error))));
    receiver
}

const SOON: Duration = Duration::from_secs(5);

#[test]
fn processes_that_belong_together_hear_each_other_in_order() {
    let meshes: Vec<_> = form((0..3).map(|i| spec(i, 3)).collect())
        .into_iter()
        .map(|m| m.expect("a mesh"))
        .collect();
    for number in 0..100_u8 {
        meshes[2].send(0, Topic::Job, vec![number]);
        meshes[1].send(0, Topic::Job, vec![number]);
    }
    // Those that came before somebody listens are kept.
    let heard = heard(&meshes[0]);
    let mut next = [0, 0, 0];
    for _ in 0..200 {
        let (from, message) = heard.recv_timeout(SOON).expect("a message");
        assert_eq!(message, [next[from]], "from process {from}");
        next[from] += 1;
    }
}

#[test]
fn process_0_chooses_the_attempt_that_nobody_knows() {
    let unknown = |index| Spec { attempt: None, ..spec(index, 3) };
    let meshes = form((0..3).map(unknown).collect());
    let attempts: Vec<_> =
        meshes.iter().map(|mesh| mesh.as_ref().expect("a mesh").attempt()).collect();
    assert!(attempts.iter().all(|attempt| *attempt == attempts[0]), "{attempts:?}");
}

#[test]
fn a_process_that_fails_says_so_and_one_that_leaves_is_no_loss() {
    let meshes: Vec<_> = form((0..3).map(|i| spec(i, 3)).collect())
        .into_iter()
        .map(|m| m.expect("a mesh"))
        .collect();
    let losses: Vec<_> = meshes.iter().map(losses).collect();
    meshes[1].fail(&Error::input("in.csv", Some(3), "missing field"));
    for other in [0, 2] {
        let error = losses[other].recv_timeout(SOON).expect("a loss");
        assert_eq!(error.sentence(), "process 1: in.csv, line 3: missing field");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    meshes.iter().for_each(Mesh::leave);
    assert!(losses[1].recv_timeout(Duration::from_millis(200)).is_err(), "nobody else failed");
}

fn claims(purpose: Purpose) -> Claims {
    Claims {
        job: "words".to_owned(),
        attempt: Some(3),
        index: 1,
        to: 0,
        processes: 2,
        workers: 1,
        program: 42,
        options: vec![("--mode".to_owned(), "streaming".to_owned())],
        purpose,
    }
}

fn knock(at: SocketAddr, secret: &str, claims: &Claims) -> std::result::Result<u64, Refusal> {
    let stream = TcpStream::connect(at).expect("somebody listens");
    let begin = Instant::now();
    let introduced = introduce(&stream, &Secret::new(secret), claims);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    match introduced {
        Ok(attempt) => Ok(attempt),
        Err(Failure::Refused(why)) => Err(why),
        Err(Failure::Broken(error)) => panic!("{error}"),
    }
}

#[test]
fn whoever_does_not_belong_is_refused_with_a_reason() {
    let meeting = listen(spec(0, 2));
    let at = meeting.address();
    let refused = |secret: &str, change: fn(&mut Claims)| {
        let mut claims = claims(Purpose::Link);
        change(&mut claims);
        knock(at, secret, &claims).expect_err("refused")
    };
    assert_eq!(refused("sword", |_| {}), Refusal::Stranger);
    assert_eq!(refused("", |_| {}), Refusal::Stranger);
    let stale = Refusal::Attempt { ours: 3, theirs: Some(2) };
    assert_eq!(refused("swordfish", |claims| claims.attempt = Some(2)), stale);
    assert_eq!(refused("swordfish", |claims| claims.program = 43), Refusal::Program);
    let index = Refusal::Index { ours: 0, sought: 1, theirs: 1 };
    assert_eq!(refused("swordfish", |claims| claims.to = 1), index);
    // A place is taken once, and free again when who had it has gone.
    let stream = TcpStream::connect(at).expect("somebody listens");
    let taker = claims(Purpose::Link);
    assert_eq!(introduce(&stream, &Secret::new("swordfish"), &taker).expect("admitted"), 3);
    let again = || knock(at, "swordfish", &claims(Purpose::Link));
    let taken = again();
    assert_eq!(taken, Err(Refusal::Taken { index: 1 }));
    drop(stream);
    let begin = Instant::now();
    while again().is_err() {
        assert!(begin.elapsed() < SOON, "the place is still taken");
    }
}

/// Numbers from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.below(256) as u8).collect()
    }
}

/// Says something, and hears whether it was welcome: an answer that begins with a zero.
fn say(at: SocketAddr, bytes: &[u8]) -> bool {
    let mut stream = TcpStream::connect(at).expect("somebody listens");
    // Longer than any handshake takes.
    stream.set_read_timeout(Some(SOON)).expect("an option");
    let mut challenge = [0; 64];
    let _ = stream.read(&mut challenge);
    // The other side may have closed it already.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer.get(4) == Some(&0)
}

/// What a caller that is admitted says, as somebody overhears it.
fn overheard(at: SocketAddr) -> Vec<u8> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let between = listener.local_addr().expect("an address");
    let caller = std::thread::spawn(move || {
        let stream = TcpStream::connect(between).expect("somebody listens");
        introduce(&stream, &Secret::new("swordfish"), &claims(Purpose::Link)).is_ok()
    });
    let (mut near, _) = listener.accept().expect("a caller");
    let mut far = TcpStream::connect(at).expect("somebody listens");
    let mut buffer = [0; 4096];
    let read = far.read(&mut buffer).expect("a challenge");
    near.write_all(&buffer[..read]).expect("a caller");
    let read = near.read(&mut buffer).expect("a hello");
    let hello = buffer[..read].to_vec();
    far.write_all(&hello).expect("a host");
    let read = far.read(&mut buffer).expect("an answer");
    near.write_all(&buffer[..read]).expect("a caller");
    assert!(caller.join().expect("no panic"), "what is only passed on is admitted");
    hello
}

/// The memory of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or_default() * 4096
}

#[test]
fn bytes_that_are_no_handshake_are_never_admitted_and_leave_nothing_behind() {
    let meetings = [listen(spec(0, 2)), listen(spec(1, 2))];
    let at = meetings[0].address();
    let (hello, mut draw) = (overheard(at), Draw(1));
    assert!(!say(at, &hello), "what was said once proves nothing a second time");
    let before = resident();
    for round in 0..400 {
        let bytes = match round % 4 {
            0 => draw.bytes(300),
            1 => hello[..draw.below(hello.len() as u64) as usize].to_vec(),
            2 => {
                let mut flipped = hello.clone();
                let place = draw.below(hello.len() as u64) as usize;
                flipped[place] ^= 1 << draw.below(8);
                flipped
            }
            _ => {
                let length = 0x8000_0000_u32 >> draw.below(18);
                [&length.to_le_bytes()[..], &draw.bytes(300)].concat()
            }
        };
        assert!(!say(at, &bytes), "round {round}");
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    let addresses: Vec<_> = meetings.iter().map(|m| m.address().to_string()).collect();
    std::thread::scope(|scope| {
        let forming = meetings.map(|meeting| scope.spawn(|| meeting.form(&addresses)));
        for formed in forming {
            formed.join().expect("no panic").expect("those that belong together still meet");
        }
    });
}
