//! The webhook after `up` and `down`, received by a double that answers as it is told.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{Database, Project, Ran};

const KEY: &str = "a-key-of-the-test";
const PATH: &str = "/hook/path-that-is-a-secret";

/// What one request brought.
#[derive(Debug)]
struct Delivery {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Delivery {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Answers each request with the next status.
fn receiver(statuses: &'static [u16]) -> (String, Receiver<Delivery>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}{PATH}", listener.local_addr().unwrap());
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for status in statuses {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert!(line.starts_with(&format!("POST {PATH} ")), "{line}");
            let mut headers = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let Some((name, value)) = line.trim_end().split_once(": ") else { break };
                headers.push((name.to_owned(), value.to_owned()));
            }
            let mut delivery = Delivery { headers, body: Vec::new() };
            let length = delivery.header("content-length").unwrap().parse().unwrap();
            delivery.body.resize(length, 0);
            reader.read_exact(&mut delivery.body).unwrap();
            let location = if *status == 307 { "Location: http://127.0.0.1:9/\r\n" } else { "" };
            write!(stream, "HTTP/1.1 {status} x\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n")
                .unwrap();
            send.send(delivery).unwrap();
        }
    });
    (url, receive)
}

fn project() -> Project {
    let project = Project::new();
    project.write("lockkeeper.toml", "[webhook]\nurl_env = \"HOOK_URL\"\nsecret_env = \"HOOK_KEY\"\n");
    project.migration("20260101000001_one", "CREATE TABLE one (id bigint PRIMARY KEY);", "DROP TABLE one;");
    project
}

fn run(project: &Project, database: &Database, hook: &str, arguments: &[&str]) -> Ran {
    let mut command = project.command(arguments);
    command.env("LOCKKEEPER_DATABASE_URL", database.url()).env("HOOK_URL", hook).env("HOOK_KEY", KEY);
    command.env("GITHUB_SHA", "abc123");
    let ran = Ran::of(command.output().unwrap());
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!said.contains(PATH) && !said.contains(KEY), "{said}");
    ran
}

fn next(deliveries: &Receiver<Delivery>) -> Delivery {
    deliveries.recv_timeout(Duration::from_secs(10)).unwrap()
}

#[test]
fn up_and_down_are_told_signed() {
    let (project, database) = (project(), Database::create());
    let (url, deliveries) = receiver(&[200, 204, 200]);
    run(&project, &database, &url, &["up"]).expect(0);
    let told = next(&deliveries);
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
    mac.update(&told.body);
    let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(told.header("X-Lockkeeper-Signature"), Some(format!("sha256={digits}").as_str()));
    assert_eq!(told.header("content-type"), Some("application/json"));
    let mut body = told.json();
    body["applied"][0]["execution_time_ms"] = json!(1);
    let expected = json!({
        "schema": 1, "event": "up", "outcome": "applied", "target": null,
        "applied": [{"version": 20_260_101_000_001_i64, "description": "one", "execution_time_ms": 1, "attempts": 1}],
        "failed": null, "actor": "tester", "sha": "abc123", "run_url": null,
    });
    assert_eq!(body, expected);

    // Neither a plan nor a run that finds nothing to do is worth telling.
    run(&project, &database, &url, &["up"]).expect(0);
    run(&project, &database, &url, &["down", "--dry-run"]).expect(0);
    run(&project, &database, &url, &["down", "--format", "json"]).expect(0).json();
    let told = next(&deliveries).json();
    assert_eq!((&told["event"], &told["outcome"]), (&json!("down"), &json!("rolled-back")));

    project.migration("20260101000002_two", "SELECT 1 / 0;", "SELECT 1;");
    run(&project, &database, &url, &["up"]).expect(4);
    let told = next(&deliveries).json();
    assert_eq!((&told["outcome"], &told["failed"]["sqlstate"]), (&json!("failed"), &json!("22012")));
}

#[test]
fn a_receiver_that_stumbles_is_asked_again() {
    let (project, database) = (project(), Database::create());
    let (url, deliveries) = receiver(&[500, 200]);
    let ran = run(&project, &database, &url, &["up"]).expect(0);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    assert_eq!(next(&deliveries).body, next(&deliveries).body);
}

/// Whatever becomes of the webhook, the exit code is the deploy's.
#[test]
fn what_cannot_be_told_is_a_warning() {
    let (project, database) = (project(), Database::create());
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}{PATH}", listener.local_addr().unwrap())
    };
    run(&project, &database, &closed, &["up"]).expect(0).says("warning: the webhook was not delivered");
    // A refusal is final, and a redirect is not followed.
    for statuses in [&[401][..], &[307]] {
        let (url, deliveries) = receiver(statuses);
        run(&project, &database, &url, &["down"]).expect(0).says("the receiver answered");
        next(&deliveries);
        run(&project, &database, &format!("http://example.com{PATH}"), &["up"])
            .expect(0)
            .says("holds no https");
    }
    let mut command = project.command(&["down"]);
    command.env("LOCKKEEPER_DATABASE_URL", database.url()).env("GITHUB_ACTIONS", "true");
    Ran::of(command.output().unwrap()).expect(0).says("::warning title=Lockkeeper::the variable HOOK_URL");
}
