//! The server over a socket: what is let in, what is answered, and what the document says.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use highwater_cluster::rest::{Token, document};
use highwater_cluster::serve::{Options, Server};
use serde_json::Value;

/// A coordinator on a thread of its own, which ends with the tests.
fn server(token: Option<&str>) -> SocketAddr {
    let (sender, address) = std::sync::mpsc::channel();
    let token = token.map(|token| Token::new(token).unwrap());
    std::thread::spawn(move || {
        let any = "127.0.0.1:0".parse().unwrap();
        let state = "memory://".to_owned();
        let options = Options { listen: any, agents_listen: any, state, token, checkpoints: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::open(options).await.unwrap();
            sender.send(server.addresses().unwrap().0).unwrap();
            server.run(std::future::pending()).await.unwrap();
        });
    });
    address.recv().unwrap()
}

/// Sends a request as it stands, and returns the status and the body of the response.
fn say(to: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn get(to: SocketAddr, path: &str, headers: &str) -> (u16, Value) {
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
    let (status, body) = say(to, &request);
    (status, serde_json::from_str(&body).unwrap())
}

#[test]
fn errors_are_json_with_one_sentence_each() {
    let server = server(None);
    let (status, body) = get(server, "/nothing", "");
    assert_eq!((status, &body["errors"][0]), (404, &"there is nothing at /nothing".into()));
    let wrong = "POST /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(say(server, wrong).0, 405);
    let foreign = "GET /openapi.json HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert_eq!(say(server, foreign).0, 403);
}

#[test]
fn only_whoever_has_the_token_learns_more_than_that_somebody_is_there() {
    let server = server(Some("0123456789abcdef"));
    assert_eq!(get(server, "/health", ""), (200, serde_json::json!({"status": "ok"})));
    for path in ["/openapi.json", "/nothing"] {
        let (status, body) = get(server, path, "authorization: Bearer 0123456789abcdeF\r\n");
        assert_eq!((status, &body["errors"][0]), (401, &"the token is wrong".into()));
    }
    let (status, body) = get(server, "/openapi.json", "authorization: Bearer 0123456789abcdef\r\n");
    assert_eq!((status, body), (200, serde_json::to_value(document()).unwrap()));
}

#[test]
fn every_path_is_described_and_what_is_wrong_with_a_request_is_said() {
    let document = serde_json::to_value(document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/overview",
        "/config",
        "/jobs",
        "/jobs/overview",
        "/jobs/{jobid}",
        "/jobs/{jobid}/status",
        "/jobs/{jobid}/config",
        "/jobs/{jobid}/exceptions",
        "/jobs/{jobid}/checkpoints",
        "/jobs/{jobid}/checkpoints/config",
        "/jobs/{jobid}/savepoints",
        "/jobs/{jobid}/savepoints/{triggerid}",
        "/jobs/{jobid}/stop",
        "/jobs/{jobid}/rescaling",
        "/jobs/{jobid}/resource-requirements",
        "/taskmanagers",
        "/taskmanagers/{taskmanagerid}/logs",
        "/jars/upload",
        "/jars/{jarid}/run",
    ] {
        assert!(paths.contains_key(path), "{path} is not described");
    }
    let server = server(None);
    let id = "0".repeat(32);
    let (status, body) = get(server, &format!("/jobs/{id}"), "");
    assert_eq!((status, &body["errors"][0]), (404, &format!("there is no job {id}").into()));
    let (status, body) = get(server, "/jobs/x/status", "");
    assert_eq!(status, 400);
    let why = body["errors"][0].as_str().unwrap();
    assert!(why.contains("\"x\" is not a name, which has 32 hexadecimal digits"), "{why}");
    let (status, body) = get(server, "/overview", "");
    assert_eq!((status, &body["slots-total"], &body["coordinator"]), (200, &0.into(), &1.into()));
}
