//! Supabase of the test's own: its management API, which holds every request against the published
//! description, and its pooler, which is a port in front of the test's Postgres.

use std::{
    net::{IpAddr, Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use super::openapi::{self, Answer, Description, Request};

/// The project of every test.
pub const REFERENCE: &str = "abcdefghijklmnopqrst";
/// The one token that is accepted.
pub const TOKEN: &str = "sbp_0123456789abcdef0123456789abcdef01234567";
/// The pooler's host, whose name the test server's certificate bears.
pub const HOST: &str = "aws-1-eu-central-1.pooler.supabase.com";

static DESCRIPTION: LazyLock<Description> =
    LazyLock::new(|| Description::new(include_str!("../fixtures/supabase-openapi.json")));

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    Status(u16),
    /// 429 with `Retry-After`, in seconds.
    Wait(u64),
    /// 429 as the API documents it: `X-RateLimit-Reset`.
    Limit(u64),
    Html,
    Slow(u64),
    RedirectElsewhere,
    Huge,
    NotJson,
}

pub struct State {
    pub pooler_host: String,
    pub pooler_user: String,
    /// User and password that are lent, and for how many seconds.
    pub lent: (String, String, u64),
    pub status: String,
    pub bans: Vec<String>,
    pub backups: Value,
    /// What each call of an advisor answers, the last one again and again.
    pub security: Vec<Value>,
    pub performance: Vec<Value>,
    pub journal: Vec<Request>,
    pub violations: Vec<String>,
    /// Where the path ends with this, that goes wrong, so many times.
    pub troubles: Vec<(&'static str, Trouble, usize)>,
}

pub struct Supabase {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Supabase {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            pooler_host: HOST.into(),
            pooler_user: format!("postgres.{REFERENCE}"),
            lent: ("cli_login_postgres".into(), "lent".into(), 300),
            status: "ACTIVE_HEALTHY".into(),
            bans: Vec::new(),
            backups: json!({ "region": "eu-central-1", "pitr_enabled": false, "walg_enabled": true,
                "backups": [], "physical_backup_data": {} }),
            security: vec![json!([])],
            performance: vec![json!([])],
            journal: Vec::new(),
            violations: Vec::new(),
            troubles: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let url = openapi::serve(move |request| respond(request, &shared));
        Self { url, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next `times` requests whose path ends like this meet trouble.
    pub fn trouble(&self, path_end: &'static str, trouble: Trouble, times: usize) {
        self.state().troubles.push((path_end, trouble, times));
    }

    /// Method and end of the path of every request.
    pub fn asked(&self) -> Vec<String> {
        let start = format!("/v1/projects/{REFERENCE}");
        let state = self.state();
        let requests = state.journal.iter();
        requests.map(|request| format!("{} {}", request.method, request.path.replace(&start, ""))).collect()
    }
}

impl Drop for Supabase {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.state().violations, Vec::<String>::new(), "requests that Supabase would refuse");
        }
    }
}

fn respond(request: &Request, shared: &Mutex<State>) -> Answer {
    let trouble = {
        let mut state = shared.lock().unwrap();
        state.journal.push(request.clone());
        let violations = violations(request);
        if !violations.is_empty() {
            state.violations.extend(violations.clone());
            return Answer::json(400, &json!({ "message": violations.join("; ") }));
        }
        let at = state.troubles.iter().position(|(end, _, left)| request.path.ends_with(end) && *left > 0);
        at.map(|at| {
            state.troubles[at].2 -= 1;
            state.troubles[at].1.clone()
        })
    };
    let message = |status: u16| Answer::json(status, &json!({ "message": "as the test wants it" }));
    let html =
        "<html><body>Welcome to the proxy, log in <a href='https://elsewhere.invalid'>here</a></body></html>";
    match trouble {
        None => shared.lock().unwrap().answer(request),
        Some(Trouble::Status(status)) => message(status),
        Some(Trouble::Wait(seconds)) => message(429).with("retry-after", &seconds.to_string()),
        Some(Trouble::Limit(seconds)) => message(429)
            .with("x-ratelimit-limit", "120")
            .with("x-ratelimit-remaining", "0")
            .with("x-ratelimit-reset", &seconds.to_string()),
        Some(Trouble::Html) => Answer { status: 200, headers: Vec::new(), body: html.into() },
        Some(Trouble::Slow(milliseconds)) => {
            std::thread::sleep(Duration::from_millis(milliseconds));
            shared.lock().unwrap().answer(request)
        }
        Some(Trouble::RedirectElsewhere) => message(307).with("location", "https://elsewhere.invalid/x"),
        Some(Trouble::Huge) => Answer { status: 200, headers: Vec::new(), body: " ".repeat(64 << 20) },
        Some(Trouble::NotJson) => Answer {
            status: 200,
            headers: Vec::new(),
            body: "{\"role\": \"a\", \"password\": \"hunter2\", ".into(),
        },
    }
}

/// What the description has against a request, and what it leaves to prose: the token's header.
fn violations(request: &Request) -> Vec<String> {
    let mut found = DESCRIPTION.violations(request);
    for name in ["authorization", "user-agent"] {
        let values = request.headers.get(name);
        if values.is_none_or(|values| values.len() != 1 || values[0].is_empty()) {
            found.push(format!("{} {}: header {name} is {values:?}", request.method, request.path));
        }
    }
    let bearer = request.headers.get("authorization").is_some_and(|values| values[0].starts_with("Bearer "));
    if !bearer {
        found.push(format!("{} {}: no bearer token", request.method, request.path));
    }
    let json = request.headers.get("content-type").is_some_and(|values| values[0] == "application/json");
    if !request.body.is_null() && !json {
        found.push(format!("{} {}: the body's type is not said", request.method, request.path));
    }
    found
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        if request.token != TOKEN {
            return Answer::json(401, &json!({ "message": "Unauthorized" }));
        }
        let Some(path) = request.path.strip_prefix(&format!("/v1/projects/{REFERENCE}")) else {
            return Answer::json(404, &json!({ "message": "Project not found" }));
        };
        let answer = match (request.method.as_str(), path) {
            ("GET", "") => Answer::json(
                200,
                &json!({ "id": REFERENCE, "ref": REFERENCE, "organization_id": "o", "organization_slug": "o",
                    "name": "p", "region": "eu-central-1", "created_at": "2026-01-01T00:00:00Z",
                    "status": self.status, "database": { "host": format!("db.{REFERENCE}.supabase.co"),
                    "version": "17.6.1.111", "postgres_engine": "17", "release_channel": "ga" } }),
            ),
            ("GET", "/config/database/pooler") => {
                let entry = |kind: &str, host: &str| {
                    let (user, name) = (&self.pooler_user, "postgres");
                    let url = format!("postgresql://{user}:[YOUR-PASSWORD]@{host}:6543/{name}");
                    json!({ "identifier": REFERENCE, "database_type": kind, "is_using_scram_auth": true,
                        "db_user": user, "db_host": host, "db_port": 6543, "db_name": name,
                        "connection_string": url, "connectionString": url, "default_pool_size": null,
                        "max_client_conn": null, "pool_mode": "transaction" })
                };
                let replica = entry("READ_REPLICA", "aws-0-us-east-1.pooler.supabase.com");
                Answer::json(200, &json!([replica, entry("PRIMARY", &self.pooler_host)]))
            }
            ("POST", "/cli/login-role") => {
                let (role, password, seconds) = &self.lent;
                Answer::json(201, &json!({ "role": role, "password": password, "ttl_seconds": seconds }))
            }
            ("POST", "/network-bans/retrieve") => {
                Answer::json(201, &json!({ "banned_ipv4_addresses": self.bans }))
            }
            ("GET", "/database/backups") => Answer::json(200, &self.backups),
            ("GET", "/advisors/security") => Answer::json(200, &json!({ "lints": next(&mut self.security) })),
            ("GET", "/advisors/performance") => {
                Answer::json(200, &json!({ "lints": next(&mut self.performance) }))
            }
            _ => Answer::json(404, &json!({ "message": "Cannot find it" })),
        };
        // The double is held to the description as well: what it makes up could not happen.
        self.violations.extend(DESCRIPTION.faults_of_answer(request, &answer));
        answer
    }
}

fn next(answers: &mut Vec<Value>) -> Value {
    if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
}

/// One piece of advice, with all that the description wants.
pub fn lint(cache_key: &str, name: &str, detail: &str) -> Value {
    json!({ "name": name, "title": format!("Title of {name}"), "level": "WARN", "facing": "EXTERNAL",
        "categories": ["SECURITY"], "description": "Why it matters.", "detail": detail,
        "remediation": "https://supabase.com/docs/guides/database/database-linter",
        "metadata": { "schema": "public", "name": "t", "type": "table" }, "cache_key": cache_key })
}

/// A pooler in session mode: port 5432 of a loopback address of its own leads to the test's server.
pub fn pooler() -> IpAddr {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    let upstream = super::postgres::server().port;
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, high.max(1), low, COUNT.fetch_add(1, Ordering::SeqCst));
    let listener = TcpListener::bind((ip, 5432)).expect("port 5432 of a loopback address");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) else { return };
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
            {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
        }
    });
    ip.into()
}
