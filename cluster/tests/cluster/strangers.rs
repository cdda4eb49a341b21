//! Who is not let in, and what is not understood.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use highwater::remote::{Client, Remote};
use serde_json::Value;

use crate::local::{Cluster, program};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Numbers that look random, the same each time.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.next() % most).map(|_| self.next() as u8).collect()
    }
}

/// Sends bytes and waits until the other side closes, or a moment has passed.
fn send(to: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    // It may be closed already.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn nobody_is_let_in_without_the_token() {
    let cluster = Cluster::start_with(1, 1, Some(TOKEN));
    for token in [None, Some("0123456789abcdef0123456789abcdeg"), Some("x")] {
        let client = Client::new(&cluster.url, token.map(str::to_owned));
        for path in ["/overview", "/jobs", "/taskmanagers", "/programs/00", "/nothing"] {
            let refused = client.get::<Value>(path);
            assert!(matches!(refused, Err(Remote::Answered { status: 401, .. })), "{refused:?}");
        }
        let upload = client.upload::<Value>("/jars/upload?name=x", &[0; 1 << 20]);
        assert!(upload.is_err());
        assert!(client.delete::<Value>("/cluster").is_err());
    }
    let wrong = cluster.path("wrong");
    std::fs::write(&wrong, "0123456789abcdef0123456789abcdeg").unwrap();
    let list = ["list", "--token-file", wrong.to_str().unwrap()];
    assert_eq!(cluster.highwater(&list).status.code(), Some(4));
    let agent = Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(["agent", "--coordinator", cluster.agents_at(), "--slots", "9"])
        .args(["--folder", cluster.path("stranger").to_str().unwrap()])
        .args(["--token-file", wrong.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(agent.status.code(), Some(4), "{}", String::from_utf8_lossy(&agent.stderr));
    cluster.wait_for_agents(1);
    let help = cluster.highwater(&["run", &program("nexmark"), "--help"]);
    assert!(help.status.success());
}

#[test]
fn whatever_is_sent_the_coordinator_stays_and_does_not_grow() {
    let cluster = Cluster::start(1, 1);
    let rest = cluster.url.strip_prefix("http://").unwrap().to_owned();
    let pid = cluster.coordinator.as_ref().unwrap().pid();
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().to_owned();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    let before = memory();
    let mut draw = Draw(1);
    for _ in 0..60 {
        send(&rest, &draw.bytes(2000));
        send(cluster.agents_at(), &draw.bytes(2000));
        // A length that is too long, and one that never comes.
        send(cluster.agents_at(), &[0xff; 64]);
        send(cluster.agents_at(), &[0, 0, 8, 0, b'{']);
    }
    for (method, path) in [("POST", "/jars/upload"), ("POST", "/jobs/x/savepoints"), ("PUT", "/")] {
        for length in ["99999999999999", "18446744073709551616", "-1", "abc"] {
            let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
            send(&rest, format!("{head}content-length: {length}\r\n\r\n{{").as_bytes());
        }
    }
    let long = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(1 << 20));
    send(&rest, long.as_bytes());
    let client = cluster.client();
    let id = "0".repeat(32);
    for body in ["", "{", "[]", "null", r#"{"programArgsList":1}"#, r#"{"parallelism":-1}"#] {
        for path in [
            format!("/jobs/{id}/savepoints"),
            format!("/jobs/{id}/stop"),
            format!("/jars/{id}/run"),
        ] {
            let request = format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = String::from_utf8(send(&rest, request.as_bytes())).unwrap();
            assert!(answer.starts_with("HTTP/1.1 4"), "{path} {body}: {answer}");
            assert!(answer.contains(r#"{"errors":[""#), "{path} {body}: {answer}");
        }
    }
    let overview: Value = client.get("/overview").unwrap();
    assert_eq!((&overview["taskmanagers"], &overview["jobs-running"]), (&1.into(), &0.into()));
    let after = memory();
    assert!(after < before + (64 << 10), "{before} kB before, {after} kB after");
}
