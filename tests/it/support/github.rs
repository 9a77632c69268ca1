//! A GitHub of the test's own: it keeps state, and holds every request against GitHub's description.
//!
//! `fixtures/github-openapi.json` is GitHub's published OpenAPI description (npm `@octokit/openapi`)
//! cut to the routes we use. What that does not know is added here, each a documented rule: lengths,
//! lines outside the diff, commits of another pull request, read-only tokens, pages, authors.
//! Dropping the server fails the test if any request broke the description.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    sync::{Arc, LazyLock, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::{Value, json};

use super::openapi::{self, Answer, Description, Request};

static DESCRIPTION: LazyLock<Description> =
    LazyLock::new(|| Description::new(include_str!("../fixtures/github-openapi.json")));

const THREADS: &str = include_str!("../../../src/github/threads.graphql");
const AGENT: &str = concat!("lockkeeper/", env!("CARGO_PKG_VERSION"));

/// What goes wrong, once, with the next request that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The request is carried out, and its answer lost.
    StoredThen502,
    /// Nothing is carried out.
    Plain502,
    RetryAfter(u64),
    Html200,
    Slow(u64),
    RedirectElsewhere,
    NextPageElsewhere,
    NotFound,
    TooLong,
}

#[derive(Default)]
pub struct State {
    pub comments: Vec<Value>,
    /// Review comments.
    pub remarks: Vec<Value>,
    pub reviews: Vec<Value>,
    pub files: Vec<Value>,
    pub head_sha: String,
    /// Commit → number of the merged pull request.
    pub merges: BTreeMap<String, u64>,
    /// Ids of review comments whose conversation somebody resolved.
    pub resolved: Vec<u64>,
    /// The token may read only, as for a fork.
    pub read_only: bool,
    pub journal: Vec<Request>,
    pub violations: Vec<String>,
    troubles: Vec<(&'static str, &'static str, Trouble)>,
    next_id: u64,
}

pub struct GitHub {
    pub url: String,
    state: Arc<Mutex<State>>,
}

/// The pull request of every scenario.
pub const PULL: u64 = 2;

impl GitHub {
    pub fn start(head_sha: &str) -> Self {
        let state = State { head_sha: head_sha.into(), next_id: 1000, ..State::default() };
        let state = Arc::new(Mutex::new(state));
        // Pages link to themselves, so the server has to know its own address.
        let (shared, base) = (Arc::clone(&state), Arc::new(Mutex::new(String::new())));
        let own = Arc::clone(&base);
        let url = openapi::serve(move |request| {
            let base = own.lock().unwrap().clone();
            respond(request, &shared, &base)
        });
        base.lock().unwrap().clone_from(&url);
        Self { url, state }
    }

    /// Its state, to answer elsewhere too.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.state))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next request with this method and this end of its path meets trouble.
    pub fn trouble(&self, method: &'static str, path_end: &'static str, trouble: Trouble) {
        self.state().troubles.push((method, path_end, trouble));
    }

    /// A file that the pull request changes, as GitHub would list it.
    pub fn add_file(&self, path: &str, content: &str) {
        let lines: Vec<String> = content.lines().map(|line| format!("+{line}")).collect();
        let patch = format!("@@ -0,0 +1,{} @@\n{}", lines.len(), lines.join("\n"));
        self.put_file(path, "added", &blob(content), Some(&patch));
    }

    pub fn put_file(&self, path: &str, status: &str, sha: &str, patch: Option<&str>) {
        let mut file = json!({ "filename": path, "status": status, "sha": sha, "additions": 1,
            "deletions": 0, "changes": 1, "blob_url": "https://x.invalid", "raw_url": "https://x.invalid",
            "contents_url": "https://x.invalid" });
        if let Some(patch) = patch {
            file["patch"] = json!(patch);
        }
        self.state().files.push(file);
    }

    /// A comment that somebody else wrote.
    pub fn comment_by(&self, login: &str, body: &str) -> u64 {
        let mut state = self.state();
        let id = state.id();
        let user = json!({ "login": login, "type": if login.ends_with("[bot]") { "Bot" } else { "User" } });
        let comment =
            json!({ "id": id, "body": body, "user": user, "html_url": format!("https://x.invalid/{id}") });
        state.comments.push(comment);
        id
    }

    /// Method and route of every request that wrote something.
    pub fn writes(&self) -> Vec<String> {
        let state = self.state();
        let writes =
            state.journal.iter().filter(|request| request.method != "GET" && request.path != "/graphql");
        writes.map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    pub fn bodies(&self) -> Vec<String> {
        texts(&self.state().comments)
    }

    pub fn remark_bodies(&self) -> Vec<String> {
        texts(&self.state().remarks)
    }
}

/// A second door to the same server.
pub struct Handle(Arc<Mutex<State>>);

impl Handle {
    /// Answers on one more connection, as the server at `base`.
    pub fn answer_on(&self, stream: impl Read + Write + Send + 'static, base: &str) {
        let (shared, base) = (Arc::clone(&self.0), base.to_owned());
        std::thread::spawn(move || openapi::converse(stream, &|request| respond(request, &shared, &base)));
    }
}

fn texts(comments: &[Value]) -> Vec<String> {
    comments.iter().map(|comment| comment["body"].as_str().unwrap().to_owned()).collect()
}

impl Drop for GitHub {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.state().violations, Vec::<String>::new(), "requests that GitHub would refuse");
        }
    }
}

/// Git's name of the empty file.
pub fn blob_of_nothing() -> String {
    "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391".into()
}

/// Git's name of a file's content, asked of git.
pub fn blob(content: &str) -> String {
    use std::process::{Command, Stdio};
    let mut git = Command::new("git")
        .args(["hash-object", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    git.stdin.take().unwrap().write_all(content.as_bytes()).unwrap();
    String::from_utf8(git.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
}

fn answer(status: u16, body: &Value) -> Answer {
    Answer::json(status, body).with("x-github-request-id", "F00D:1")
}

fn refuse(status: u16, message: &str, errors: Value) -> Answer {
    answer(
        status,
        &json!({ "message": message, "errors": errors, "documentation_url": "https://docs.invalid" }),
    )
}

fn respond(request: &Request, shared: &Mutex<State>, base: &str) -> Answer {
    // GitHub Enterprise Server has its API below a path.
    let path = request.path.strip_prefix("/api").unwrap_or(&request.path);
    let path = path.strip_prefix("/v3").unwrap_or(path).to_owned();
    let request = Request { path, ..request.clone() };
    let trouble = {
        let mut state = shared.lock().unwrap();
        state.journal.push(request.clone());
        let at = state
            .troubles
            .iter()
            .position(|(method, end, _)| *method == request.method && request.path.ends_with(end));
        at.map(|at| state.troubles.remove(at).2)
    };
    let carry_out = || {
        let mut state = shared.lock().unwrap();
        let violations = violations(&request);
        if violations.is_empty() {
            state.answer(&request, base)
        } else {
            state.violations.extend(violations.clone());
            refuse(422, "Validation Failed", json!(violations))
        }
    };
    match trouble {
        None => carry_out(),
        Some(Trouble::StoredThen502) => {
            carry_out();
            Answer { status: 502, headers: Vec::new(), body: "<html>Unicorn!</html>".into() }
        }
        Some(Trouble::Plain502) => refuse(502, "Server Error", json!([])),
        Some(Trouble::RetryAfter(seconds)) => {
            let mut answer = refuse(429, "You have exceeded a secondary rate limit.", json!([]));
            answer.headers.push(("retry-after".into(), seconds.to_string()));
            answer
        }
        Some(Trouble::Html200) => {
            Answer { status: 200, headers: Vec::new(), body: "<html>Welcome to the proxy</html>".into() }
        }
        Some(Trouble::Slow(milliseconds)) => {
            std::thread::sleep(Duration::from_millis(milliseconds));
            carry_out()
        }
        Some(Trouble::RedirectElsewhere) => {
            let mut answer = refuse(307, "Temporary Redirect", json!([]));
            answer.headers.push(("location".into(), "https://elsewhere.invalid/x".into()));
            answer
        }
        Some(Trouble::NextPageElsewhere) => {
            let mut answer = carry_out();
            let next = "<https://elsewhere.invalid/repositories/1/x?page=2>; rel=\"next\"";
            answer.headers.push(("link".into(), next.into()));
            answer
        }
        Some(Trouble::NotFound) => refuse(404, "Not Found", json!([])),
        Some(Trouble::TooLong) => refuse(
            422,
            "Validation Failed",
            json!([{ "resource": "IssueComment", "code": "custom", "field": "body",
                "message": "body is too long (maximum is 65536 characters)" }]),
        ),
    }
}

/// What GitHub's description has against a request.
fn violations(request: &Request) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |what: String| found.push(format!("{} {}: {what}", request.method, request.path));
    let once = |name: &str| request.headers.get(name).is_some_and(|values| values.len() == 1);
    for name in ["user-agent", "accept", "authorization", "x-github-api-version"] {
        if !once(name) {
            say(format!("header {name} is {:?}", request.headers.get(name)));
        }
    }
    if request.headers.get("accept").is_none_or(|values| values[0] != "application/vnd.github+json") {
        say("Accept is not GitHub's JSON".into());
    }
    if request.headers.get("user-agent").is_none_or(|values| values[0] != AGENT) {
        say(format!("another user agent: {:?}", request.headers.get("user-agent")));
    }
    if request.path == "/graphql" {
        // Held against GitHub's own schema by scripts/check-github.
        let documents = [include_str!("../../../src/github/viewer.graphql"), THREADS];
        if !documents.contains(&request.body["query"].as_str().unwrap_or_default()) {
            say("an unknown GraphQL document".into());
        }
        return found;
    }
    found.extend(DESCRIPTION.violations(request));
    found
}

impl State {
    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn answer(&mut self, request: &Request, base: &str) -> Answer {
        if request.token.is_empty() || request.token == "expired" {
            return refuse(401, "Bad credentials", Value::Null);
        }
        let user = author(&request.token);
        if request.method != "GET" && request.path != "/graphql" && self.read_only {
            let mut answer = refuse(403, "Resource not accessible by integration", Value::Null);
            let wanted = if request.path.contains("/issues/") {
                "issues=write; pull_requests=write"
            } else {
                "pull_requests=write"
            };
            answer.headers.push(("x-accepted-github-permissions".into(), wanted.into()));
            return answer;
        }
        let segments: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        let rest = segments.get(3..).unwrap_or_default();
        match (request.method.as_str(), rest) {
            ("POST", []) if request.body["query"] == THREADS => {
                let begun = self.remarks.iter().filter(|remark| remark["in_reply_to_id"].is_null());
                let nodes: Vec<Value> = begun
                    .map(|remark| {
                        let resolved = self.resolved.iter().any(|id| remark["id"] == *id);
                        json!({ "isResolved": resolved,
                            "comments": { "nodes": [{ "databaseId": remark["id"] }] } })
                    })
                    .collect();
                let threads =
                    json!({ "pageInfo": { "hasNextPage": false, "endCursor": null }, "nodes": nodes });
                let repository = json!({ "pullRequest": { "reviewThreads": threads } });
                answer(200, &json!({ "data": { "repository": repository } }))
            }
            ("POST", []) if request.path == "/graphql" => {
                answer(200, &json!({ "data": { "viewer": { "login": user["login"] } } }))
            }
            ("GET", []) if request.path == "/user" => match user["type"].as_str() {
                Some("User") => answer(200, &user),
                _ => refuse(403, "Resource not accessible by integration", Value::Null),
            },
            ("GET", ["pulls", number]) => {
                let head = json!({ "sha": self.head_sha });
                answer(
                    200,
                    &json!({ "number": number.parse::<u64>().unwrap(), "head": head,
                    "merged_at": null, "merge_commit_sha": null }),
                )
            }
            ("GET", ["pulls", _, "files"]) => page(&self.files, request, base),
            ("GET", ["pulls", _, "comments"]) => page(&self.remarks, request, base),
            ("GET", ["issues", _, "comments"]) => page(&self.comments, request, base),
            ("GET", ["commits", sha, "pulls"]) => {
                let pulls: Vec<Value> = self
                    .merges
                    .get(*sha)
                    .into_iter()
                    .map(|number| {
                        json!({ "number": number, "head": { "sha": "0" }, "merged_at": "2026-01-01T00:00:00Z",
                        "merge_commit_sha": sha })
                    })
                    .collect();
                answer(200, &json!(pulls))
            }
            ("POST", ["issues", _, "comments"]) => match long(&request.body["body"]) {
                Some(refusal) => refusal,
                None => {
                    let id = self.id();
                    let comment = json!({ "id": id, "body": request.body["body"], "user": user,
                        "html_url": format!("https://github.invalid/o/r/pull/2#issuecomment-{id}") });
                    self.comments.push(comment.clone());
                    answer(201, &comment)
                }
            },
            (method, ["issues", "comments", id]) => edit(&mut self.comments, method, id, request, &user),
            (method, ["pulls", "comments", id]) => edit(&mut self.remarks, method, id, request, &user),
            ("POST", ["pulls", _, "comments"]) => match self.unplaceable(&request.body, &request.body) {
                Some(refusal) => refusal,
                None => answer(201, &self.remark(&request.body, &user)),
            },
            ("POST", ["deployments"] | ["deployments", _, "statuses"]) => {
                answer(201, &json!({ "id": self.id() }))
            }
            ("POST", ["pulls", _, "reviews"]) => {
                let body = &request.body;
                if body["event"] != "COMMENT" || body["body"].as_str().is_none_or(str::is_empty) {
                    return refuse(422, "Validation Failed", json!(["a review needs an event and a body"]));
                }
                let comments = body["comments"].as_array().cloned().unwrap_or_default();
                // One comment outside the diff, and none is taken.
                if let Some(refusal) = comments.iter().find_map(|comment| self.unplaceable(comment, body)) {
                    return refusal;
                }
                for comment in &comments {
                    self.remark(comment, &user);
                }
                let review =
                    json!({ "id": self.id(), "body": body["body"], "user": user, "state": "COMMENTED" });
                self.reviews.push(review.clone());
                answer(200, &review)
            }
            _ => refuse(404, "Not Found", Value::Null),
        }
    }

    fn remark(&mut self, comment: &Value, user: &Value) -> Value {
        let file = comment["subject_type"] == "file";
        let stored = json!({ "id": self.id(), "body": comment["body"], "user": user, "path": comment["path"],
            "line": comment["line"], "start_line": comment["start_line"],
            "subject_type": if file { "file" } else { "line" } });
        self.remarks.push(stored.clone());
        stored
    }

    /// The refusals of a review comment that the description does not know.
    fn unplaceable(&self, comment: &Value, review: &Value) -> Option<Answer> {
        let unprocessable = |text: &str| Some(refuse(422, "Unprocessable Entity", json!([text])));
        if review["commit_id"].as_str() != Some(&self.head_sha) {
            return unprocessable("commit_id is not part of the pull request");
        }
        if let Some(refusal) = long(&comment["body"]) {
            return Some(refusal);
        }
        let file = self.files.iter().find(|file| file["filename"] == comment["path"]);
        let Some(file) = file else { return unprocessable("Path could not be resolved") };
        if comment["subject_type"] == "file" {
            return None;
        }
        let hunks = hunks(file["patch"].as_str().unwrap_or_default());
        let hunk_of = |line: &Value| {
            let line = line.as_u64()?;
            hunks.iter().position(|hunk| hunk.contains(&line))
        };
        let Some(end) = hunk_of(&comment["line"]) else {
            return unprocessable("Pull request review thread line must be part of the diff");
        };
        if !comment["start_line"].is_null() && hunk_of(&comment["start_line"]) != Some(end) {
            return unprocessable(
                "Pull request review thread start line must be part of the same hunk as the line.",
            );
        }
        None
    }
}

/// The lines of the new side in each hunk.
fn hunks(patch: &str) -> Vec<Vec<u64>> {
    let mut hunks: Vec<Vec<u64>> = Vec::new();
    let mut next = 0;
    for line in patch.lines() {
        if let Some(header) = line.strip_prefix("@@ ") {
            let plus = header.split('+').nth(1).unwrap();
            next = plus.split([',', ' ']).next().unwrap().parse().unwrap();
            hunks.push(Vec::new());
        } else if line.starts_with(['+', ' ']) {
            hunks.last_mut().unwrap().push(next);
            next += 1;
        }
    }
    hunks
}

fn author(token: &str) -> Value {
    match (token.strip_prefix("ghp_"), token.strip_prefix("ghs_of_")) {
        (Some(login), _) => json!({ "login": login, "type": "User" }),
        (None, Some(app)) => json!({ "login": format!("{app}[bot]"), "type": "Bot" }),
        (None, None) => json!({ "login": "github-actions[bot]", "type": "Bot" }),
    }
}

fn long(body: &Value) -> Option<Answer> {
    (body.as_str().unwrap_or_default().chars().count() > 65_536).then(|| {
        refuse(
            422,
            "Validation Failed",
            json!([{ "resource": "IssueComment", "code": "unprocessable", "field": "data",
                "message": "Body is too long (maximum is 65536 characters)" }]),
        )
    })
}

fn edit(list: &mut Vec<Value>, method: &str, id: &str, request: &Request, user: &Value) -> Answer {
    let id: u64 = id.parse().unwrap();
    let Some(at) = list.iter().position(|comment| comment["id"] == id) else {
        return refuse(404, "Not Found", Value::Null);
    };
    if list[at]["user"]["login"] != user["login"] {
        return refuse(403, "Must have admin rights to Repository.", Value::Null);
    }
    if method == "DELETE" {
        list.remove(at);
        return answer(204, &Value::Null);
    }
    if let Some(refusal) = long(&request.body["body"]) {
        return refusal;
    }
    list[at]["body"] = request.body["body"].clone();
    answer(200, &list[at])
}

/// One page, and the link to the next in the form that GitHub gives it.
fn page(items: &[Value], request: &Request, base: &str) -> Answer {
    let parameter = |name: &str| {
        let pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse::<usize>().ok())
    };
    let size = parameter("per_page").unwrap_or(30).min(100);
    let number = parameter("page").unwrap_or(1);
    let shown: Vec<&Value> = items.iter().skip((number - 1) * size).take(size).collect();
    let mut answer = answer(200, &json!(shown));
    if items.len() > number * size {
        let link = format!("<{base}{}?per_page={size}&page={}>; rel=\"next\"", request.path, number + 1);
        answer.headers.push(("link".into(), link));
    }
    answer
}
