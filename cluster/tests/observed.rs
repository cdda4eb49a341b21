//! What the paths and the page show of jobs whose processes have reported.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use highwater::core::plan::{Outlet, PlannedInput, PlannedOperator, Way};
use highwater::observe::{InputReport, ProcessReport, Role, SplitReport, TaskReport};
use highwater_cluster::id::JobId;
use highwater_cluster::rest::Token;
use highwater_cluster::serve::{Options, Server};
use highwater_cluster::view::{Observed, Views};
use serde_json::{Value, json};

const JOB: &str = "00000000000000000000000000000007";
const TOKEN: &str = "0123456789abcdef";

fn planned(uid: &str, from: Option<usize>) -> PlannedOperator {
    let input = from.map(|operator| PlannedInput {
        from: Outlet { operator, tag: None },
        input: 0,
        way: Way::Hash,
        edge: Some(operator),
    });
    PlannedOperator {
        uid: uid.to_owned(),
        name: uid.to_owned(),
        part_of: None,
        inputs: input.into_iter().collect(),
        makes_watermarks: from.is_none(),
    }
}

/// What a process with one worker says; the split of the second one has stalled.
fn report(worker: usize) -> ProcessReport {
    let own = if worker == 0 { 1_000 } else { 300 };
    let task = |uid: &str, role, watermark: i64| {
        let mut task = TaskReport::default();
        (task.uid, task.name) = (uid.to_owned(), uid.to_owned());
        (task.role, task.worker, task.epoch) = (role, worker, Some(1));
        (task.watermark, task.output_watermark) = (watermark, watermark);
        (task.records_in, task.rates.back_pressured_ms) = (10, 300.0 * worker as f64);
        task
    };
    let (mut source, mut sink) = (task("read", Role::Source, own), task("sink", Role::Sink, 300));
    let mut split = SplitReport::default();
    (split.split, split.watermark, split.silent_ms) = (format!("\"part-{worker}\""), own, 7_000);
    source.splits = vec![split];
    sink.inputs = vec![InputReport { watermark: 300, epoch: Some(1) }];
    ProcessReport {
        at_ms: 50_000,
        workers: 2,
        plan: vec![planned("read", None), planned("sink", Some(0))],
        tasks: vec![source, sink],
        ..ProcessReport::default()
    }
}

/// A server of its own thread, which ends with the tests.
fn server() -> SocketAddr {
    let (sender, address) = std::sync::mpsc::channel();
    let observe = |views: &Views| {
        for index in 0..2 {
            let report = Arc::new(serde_json::to_value(report(index)).unwrap());
            views.observe(JobId::of(7), 1, index, Observed { at_ms: 50_000, report });
        }
        let newer = Arc::new(json!({"of": "another version"}));
        views.observe(JobId::of(7), 1, 2, Observed { at_ms: 50_000, report: newer });
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let any = "127.0.0.1:0".parse().unwrap();
            let (state, token) = ("memory://".to_owned(), Token::new(TOKEN));
            let options =
                Options { listen: any, agents_listen: any, state, token, checkpoints: None };
            let server = Server::open(options).await.unwrap();
            observe(&server.views());
            sender.send(server.addresses().unwrap().0).unwrap();
            server.run(std::future::pending()).await.unwrap();
        });
    });
    address.recv().unwrap()
}

/// Asks for a path and returns the head and the body of the response.
fn ask(to: SocketAddr, path: &str, token: &str) -> (String, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    write!(stream, "{head}authorization: Bearer {token}\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

fn get(to: SocketAddr, path: &str) -> Value {
    let (head, body) = ask(to, &format!("/jobs/{JOB}{path}"), TOKEN);
    assert!(head.starts_with("http/1.1 200"), "{path}: {head}\n{body}");
    serde_json::from_str(&body).unwrap()
}

#[test]
fn operators_are_shown_with_watermarks_pressure_and_the_cause_of_a_delay() {
    let server = server();
    let view = get(server, "/view");
    let uids: Vec<_> = view["vertices"].as_array().unwrap().iter().map(|v| &v["uid"]).collect();
    assert_eq!(uids, ["read", "sink"]);
    let why = get(server, "/why?vertex=sink");
    assert_eq!(
        (&why[0]["cause"]["kind"], &why[0]["what"]),
        (&json!("silent_split"), &json!({"watermark": 300}))
    );
    assert_eq!(why[0]["cause"]["at"]["worker"], 1);
    let watermarks = get(server, "/vertices/read/watermarks");
    assert_eq!(watermarks[1], json!({"id": "1.currentInputWatermark", "value": "300"}));
    let pressure = get(server, "/vertices/sink/backpressure");
    assert_eq!(
        (&pressure["backpressure-level"], &pressure["status"]),
        (&json!("low"), &json!("ok"))
    );
    assert_eq!(pressure["subtasks"][0]["backpressure-level"], "ok");
    let vertex = get(server, "/vertices/read");
    assert_eq!(
        (&vertex["parallelism"], &vertex["subtasks"][0]["status"]),
        (&json!(2), &json!("RUNNING"))
    );
}

#[test]
fn metrics_have_the_names_of_the_documentation() {
    let server = server();
    let names = get(server, "/vertices/read/metrics");
    assert!(names.as_array().unwrap().contains(&json!({"id": "1.numRecordsIn"})), "{names}");
    let values = get(server, "/vertices/read/metrics?get=0.numRecordsIn,1.currentOutputWatermark");
    assert_eq!(
        values,
        json!([
            {"id": "0.numRecordsIn", "value": "10"},
            {"id": "1.currentOutputWatermark", "value": "300"},
        ])
    );
    let sums = get(server, "/vertices/read/subtasks/metrics?get=numRecordsIn");
    let expected =
        json!([{"id": "numRecordsIn", "min": 10.0, "max": 10.0, "avg": 10.0, "sum": 20.0}]);
    assert_eq!(sums, expected);
    assert_eq!(get(server, "/metrics?get=uptime"), json!([{"id": "uptime", "value": "50000"}]));
    let (head, text) = ask(server, "/metrics", TOKEN);
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    let line = format!(
        "highwater_numRecordsIn{{job=\"{JOB}\",name=\"sink\",uid=\"sink\",worker=\"0\"}} 10"
    );
    assert!(text.contains(&line), "{text}");
}

#[test]
fn what_does_not_exist_is_named() {
    let server = server();
    for path in ["/why?vertex=nobody", "/vertices/nobody", "/vertices/nobody/metrics"] {
        let (head, body) = ask(server, &format!("/jobs/{JOB}{path}"), TOKEN);
        assert!(head.starts_with("http/1.1 404"), "{path}: {head}");
        assert!(body.contains(&format!("job {JOB} has no operator \\\"nobody\\\"")), "{body}");
    }
}

/// Every file that the page names is there, and nothing else needs no token.
#[test]
fn the_page_is_whole_and_open_and_runs_nothing_but_its_own_scripts() {
    let server = server();
    let (head, index) = ask(server, "/", "");
    assert!(head.starts_with("http/1.1 200") && head.contains("default-src 'none'"), "{head}");
    let mut named: Vec<String> = Vec::new();
    let mut texts = vec![index];
    while let Some(text) = texts.pop() {
        let parts = text.split(['"', '\'']).filter(|part| {
            let name = part.strip_prefix("/page/").or_else(|| part.strip_prefix("./"));
            name.is_some_and(|name| name.contains('.') && !name.contains(['/', ' ']))
        });
        for part in parts {
            let path = part.replacen("./", "/page/", 1);
            if !named.contains(&path) {
                let (head, text) = ask(server, &path, "");
                assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
                assert!(text.is_ascii(), "{path}");
                named.push(path);
                texts.push(text);
            }
        }
    }
    assert!(named.len() >= 14, "{named:?}");
    assert!(ask(server, "/page/nothing.js", "").0.starts_with("http/1.1 404"));
    assert!(ask(server, &format!("/jobs/{JOB}/view"), "").0.starts_with("http/1.1 401"));
}
