//! Requests to GitHub: one at a time, repeated only when that is known to be safe.
//!
//! The whole of `async` in the program. octocrab carries the bytes; its own retry is off, because it
//! answers a 502 with four POSTs within milliseconds, and a 502 may well have stored the first.

use std::{cell::Cell, fmt, future::Future, time::Duration};

use octocrab::{Octocrab, service::middleware::retry::RetryConfig};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::{env::Env, error::Error, secret::Secret};

/// Waiting for GitHub's rate limits may not take longer than this in all, nor at once than a minute.
const PATIENCE: Duration = Duration::from_secs(120);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// From this write on there is a second between two, as GitHub's guide to secondary limits asks.
const WRITES_IN_A_ROW: u32 = 6;
/// A request that says nothing for so long is over.
const SILENCE: Duration = Duration::from_secs(30);
/// More pages of a list than this are not read; who lists is told.
const MOST_PAGES: usize = 60;

/// A repository on GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) owner: String,
    pub(crate) name: String,
}

impl Place {
    /// Parses `owner/name`, as in `GITHUB_REPOSITORY`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        let plain = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        (plain(owner) && plain(name)).then(|| Self { owner: owner.into(), name: name.into() })
    }
}

/// What a caller can do about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The token may not do it (401, 403): a fork, Dependabot, or a missing permission.
    Denied,
    /// It is not there, or the token may not know that it is (404, 410).
    NotFound,
    /// GitHub does not like what was sent (422); the same bytes will fare no better.
    Unprocessable,
    /// A rate limit that asks for more patience than we have.
    Limited,
    /// 5xx, a timeout, a lost connection, an answer that is no JSON: it may have happened or not.
    Unknown,
    /// Anything else, such as a redirect to another host.
    Other,
}

/// A request that did not do what it should.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// Method and route, without query.
    request: String,
    status: Option<u16>,
    /// GitHub's sentence, or the transport's.
    pub(crate) message: String,
    /// GitHub's details. Strings in some answers, objects in others.
    pub(crate) details: Vec<String>,
    request_id: Option<String>,
    /// What would have sufficed, from `x-accepted-github-permissions`.
    accepted: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GitHub did not take `{}`: ", self.request)?;
        if let Some(status) = self.status {
            write!(f, "{status} ")?;
        }
        f.write_str(&self.message)?;
        if !self.details.is_empty() {
            write!(f, " ({})", self.details.join("; "))?;
        }
        if let Some(accepted) = &self.accepted {
            write!(f, " [it wants the permission {accepted}]")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " [request {id}]")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

impl Fault {
    /// Whether GitHub's text, in the message or the details, says this.
    pub(crate) fn says(&self, words: &str) -> bool {
        let words = words.to_lowercase();
        std::iter::once(&self.message).chain(&self.details).any(|text| text.to_lowercase().contains(&words))
    }

    fn transport(request: &str, message: impl Into<String>) -> Self {
        Self {
            kind: FaultKind::Unknown,
            request: request.into(),
            status: None,
            message: message.into(),
            details: Vec::new(),
            request_id: None,
            accepted: None,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let remedy = match fault.kind {
            FaultKind::Denied => {
                "Give the job `permissions: pull-requests: write`; a pull request from a fork or from \
                 Dependabot gets a read-only token whatever the workflow says."
            }
            FaultKind::NotFound => "Check the repository's name, and that the token may read it.",
            FaultKind::Limited => "Run the job again later; GitHub's rate limit for this token is used up.",
            FaultKind::Unprocessable | FaultKind::Unknown | FaultKind::Other => {
                "Run the job again; if it stays, report the request's id to GitHub."
            }
        };
        Self::unreachable(fault.to_string(), remedy, None)
    }
}

/// The four verbs we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Patch,
    Delete,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// An answer, whatever its status.
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }
}

/// All items of a list, and whether that is all there were.
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    pub(super) complete: bool,
}

/// A repository on GitHub, seen with the rights of one token.
pub(crate) struct GitHub {
    runtime: Runtime,
    crab: Octocrab,
    /// Scheme, host and path of the API, without a slash at the end.
    base: String,
    graphql: String,
    place: Place,
    /// Whether the token is an installation's, as `GITHUB_TOKEN` is: it has no user.
    installation: bool,
    me: std::cell::RefCell<Option<String>>,
    waited: Cell<Duration>,
    writes: Cell<u32>,
}

impl GitHub {
    /// Reads `GITHUB_API_URL`, and `GITHUB_GRAPHQL_URL`; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// If the address would send the token in the clear, or the system has no root certificates.
    pub(crate) fn new(env: &Env, token: &Secret, place: Place) -> Result<Self, Error> {
        let base = env.get("GITHUB_API_URL").unwrap_or("https://api.github.com").trim_end_matches('/');
        if !keeps_the_token(base) {
            return Err(Error::usage(
                format!("GITHUB_API_URL is `{base}`, which would send the token unencrypted"),
                "Use an https address.",
            ));
        }
        // octocrab panics on a token that is no header value.
        if !token.expose().chars().all(|c| c.is_ascii_graphic()) || token.expose().is_empty() {
            return Err(Error::usage(
                "the GitHub token holds white space or other characters that no token has",
                "Set `github-token` to the token alone, without a line break.",
            ));
        }
        let graphql = env.get("GITHUB_GRAPHQL_URL").map_or_else(
            || format!("{}/graphql", base.strip_suffix("/v3").unwrap_or(base)),
            ToOwned::to_owned,
        );
        let cannot = |error: String| {
            Error::unreachable(
                format!("the GitHub client cannot be set up: {error}"),
                "Install root certificates (package `ca-certificates`) on the runner.",
                None,
            )
        };
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|e| cannot(e.to_string()))?;
        let crab = {
            // Building the client spawns its request queue, which needs a runtime to spawn on.
            let _inside = runtime.enter();
            build(base, token).map_err(|error| cannot(chain(&error)))?
        };
        Ok(Self {
            runtime,
            crab,
            base: base.into(),
            graphql,
            place,
            installation: token.expose().starts_with("ghs_"),
            me: std::cell::RefCell::default(),
            waited: Cell::default(),
            writes: Cell::default(),
        })
    }

    /// A route below the repository: `segments` are joined by `/`.
    pub(super) fn route(&self, rest: &str) -> String {
        format!("/repos/{}/{}/{rest}", self.place.owner, self.place.name)
    }

    /// Reads one thing.
    pub(super) fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, Fault> {
        self.read(&format!("{}{route}", self.base), route).map(|(value, _)| value)
    }

    /// Reads every page of a list, a hundred items at a time.
    ///
    /// Follows `Link: rel="next"` (its addresses have another form than the first one), but only to
    /// the same host: the token goes nowhere else.
    pub(super) fn list<T: DeserializeOwned>(&self, route: &str) -> Result<Listed<T>, Fault> {
        let mut url = format!("{}{route}?per_page=100", self.base);
        let mut items = Vec::new();
        for _ in 0..MOST_PAGES {
            let (page, next): (Vec<T>, Option<String>) = self.read(&url, route)?;
            items.extend(page);
            match next {
                None => return Ok(Listed { items, complete: true }),
                Some(next) if origin(&next) == origin(&self.base) => url = next,
                Some(_) => {
                    return Err(Fault {
                        kind: FaultKind::Other,
                        ..Fault::transport(&format!("GET {route}"), "the next page is on another host")
                    });
                }
            }
        }
        Ok(Listed { items, complete: false })
    }

    /// Writes, once. The caller looks before repeating a fault of kind [`FaultKind::Unknown`].
    pub(super) fn write<T: DeserializeOwned>(
        &self,
        verb: Verb,
        route: &str,
        body: Option<&Value>,
    ) -> Result<T, Fault> {
        let writes = self.writes.replace(self.writes.get() + 1);
        if writes >= WRITES_IN_A_ROW {
            std::thread::sleep(Duration::from_secs(1));
        }
        let reply = self.patiently(verb, &format!("{}{route}", self.base), route, body)?;
        // A DELETE answers with nothing.
        let text = if reply.body.trim().is_empty() { "null" } else { &reply.body };
        serde_json::from_str(text).map_err(|_| no_json(verb, route, &reply))
    }

    /// The login under which this token writes.
    pub(super) fn me(&self) -> String {
        if let Some(me) = self.me.borrow().as_ref() {
            return me.clone();
        }
        let me = if self.installation { self.viewer() } else { self.user() };
        let me = me.unwrap_or_else(|| super::ACTIONS_BOT.into());
        *self.me.borrow_mut() = Some(me.clone());
        me
    }

    /// Whether this token is of the kind that Actions gives to a job.
    pub(super) fn installation(&self) -> bool {
        self.installation
    }

    fn user(&self) -> Option<String> {
        let user: Value = self.get("/user").ok()?;
        user.get("login")?.as_str().map(ToOwned::to_owned)
    }

    /// REST has no way to ask an installation's token whose it is; GraphQL has.
    fn viewer(&self) -> Option<String> {
        if origin(&self.graphql) != origin(&self.base) {
            return None;
        }
        let query = serde_json::json!({ "query": "query { viewer { login } }" });
        let reply = self.patiently(Verb::Post, &self.graphql, "/graphql", Some(&query)).ok()?;
        let answer: Value = serde_json::from_str(&reply.body).ok()?;
        answer.pointer("/data/viewer/login")?.as_str().map(ToOwned::to_owned)
    }

    /// A GET, three times where the outcome is unknown. Returns the next page's address too.
    fn read<T: DeserializeOwned>(&self, url: &str, route: &str) -> Result<(T, Option<String>), Fault> {
        let mut pause = Duration::from_secs(1);
        let mut last = None;
        for attempt in 0..3 {
            if attempt > 0 {
                std::thread::sleep(pause + jitter(pause / 4));
                pause *= 2;
            }
            let outcome = self.patiently(Verb::Get, url, route, None).and_then(|reply| {
                let next = reply.header("link").and_then(next_link);
                serde_json::from_str(&reply.body)
                    .map(|value| (value, next))
                    .map_err(|_| no_json(Verb::Get, route, &reply))
            });
            match outcome {
                Err(fault) if fault.kind == FaultKind::Unknown => last = Some(fault),
                settled => return settled,
            }
        }
        Err(last.unwrap_or_else(|| Fault::transport(route, "no answer")))
    }

    /// Sends, and sends again after a rate limit's refusal: that one is known not to have happened.
    fn patiently(&self, verb: Verb, url: &str, route: &str, body: Option<&Value>) -> Result<Reply, Fault> {
        let mut url = url.to_owned();
        let mut moves = 0;
        let mut limited = false;
        loop {
            let reply = self.send(verb, &url, route, body)?;
            match reply.status {
                200..=299 => return Ok(reply),
                // A renamed repository. Only the same host may send us on, and only a few times.
                301 | 307 | 308 if moves < 3 => {
                    let to = reply.header("location").map(|to| absolute(&self.base, to)).unwrap_or_default();
                    if origin(&to) != origin(&self.base) {
                        let mut fault = refusal(verb, route, &reply);
                        fault.message = "redirected to another host".into();
                        return Err(fault);
                    }
                    url = to;
                    moves += 1;
                }
                403 | 429 => match limit(&reply) {
                    None => return Err(refusal(verb, route, &reply)),
                    Some(wait) => {
                        let total = self.waited.get() + wait;
                        if wait > LONGEST_WAIT || total > PATIENCE || (limited && wait == LONGEST_WAIT) {
                            return Err(Fault { kind: FaultKind::Limited, ..refusal(verb, route, &reply) });
                        }
                        log::info!("GitHub asks to wait {} s", wait.as_secs());
                        self.waited.set(total);
                        limited = true;
                        std::thread::sleep(wait);
                    }
                },
                _ => return Err(refusal(verb, route, &reply)),
            }
        }
    }

    fn send(&self, verb: Verb, url: &str, route: &str, body: Option<&Value>) -> Result<Reply, Fault> {
        let request = format!("{} {route}", verb.as_str());
        let exchange = async {
            let response = match verb {
                Verb::Get => self.crab._get(url).await,
                Verb::Post => self.crab._post(url, body).await,
                Verb::Patch => self.crab._patch(url, body).await,
                Verb::Delete => self.crab._delete(url, None::<&()>).await,
            }?;
            let status = response.status().as_u16();
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            let headers = response
                .headers()
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())))
                .collect();
            let body = self.crab.body_to_string(response).await?;
            Ok::<_, octocrab::Error>(Reply { status, headers, body })
        };
        match self.wait(exchange) {
            Some(Ok(reply)) => Ok(reply),
            Some(Err(error)) => Err(Fault::transport(&request, chain(&error))),
            None => Err(Fault::transport(&request, format!("no answer within {} s", SILENCE.as_secs()))),
        }
    }

    /// Where async ends. `None`: it took too long.
    fn wait<T>(&self, exchange: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async { tokio::time::timeout(SILENCE, exchange).await.ok() })
    }
}

fn build(base: &str, token: &Secret) -> octocrab::Result<Octocrab> {
    let mut builder = Octocrab::builder()
        .base_uri(base)?
        .personal_token(token.expose().to_owned())
        .add_retry_config(RetryConfig::None)
        .set_connect_timeout(Some(Duration::from_secs(10)))
        .set_read_timeout(Some(SILENCE));
    // The version header and a user agent are octocrab's own; a second value of either would be sent
    // beside the first.
    if let Ok(accept) = "accept".parse() {
        builder = builder.add_header(accept, "application/vnd.github+json".into());
    }
    builder.build()
}

/// https, or a server on this machine.
fn keeps_the_token(url: &str) -> bool {
    match origin(url) {
        Some(("https", _)) => true,
        Some(("http", host)) => {
            let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
            matches!(name, "localhost" | "127.0.0.1" | "[::1]")
        }
        _ => false,
    }
}

/// Scheme and authority. `None` for anything with a user part, or that is no address.
fn origin(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    (!host.is_empty() && !host.contains('@')).then_some((scheme, host))
}

fn absolute(base: &str, location: &str) -> String {
    match origin(base) {
        Some((scheme, host)) if location.starts_with('/') && !location.starts_with("//") => {
            format!("{scheme}://{host}{location}")
        }
        _ => location.into(),
    }
}

/// The address of `rel="next"` in a `Link` header.
fn next_link(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (address, rest) = link.split_once('>')?;
        rest.contains("rel=\"next\"").then(|| address.trim().trim_start_matches('<').to_owned())
    })
}

/// How long a 403 or 429 asks to wait; `None` if it is no rate limit.
fn limit(reply: &Reply) -> Option<Duration> {
    if let Some(seconds) = reply.number("retry-after") {
        return Some(Duration::from_secs(seconds));
    }
    if reply.number("x-ratelimit-remaining") == Some(0) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
        let reset = reply.number("x-ratelimit-reset").unwrap_or(u64::MAX);
        return Some(Duration::from_secs(reset.saturating_sub(now).saturating_add(1)));
    }
    let text = reply.body.to_lowercase();
    let secondary = text.contains("secondary rate limit") || text.contains("abuse detection");
    (secondary || reply.status == 429).then_some(LONGEST_WAIT)
}

fn refusal(verb: Verb, route: &str, reply: &Reply) -> Fault {
    let body: Value = serde_json::from_str(&reply.body).unwrap_or(Value::Null);
    let message = body.get("message").and_then(Value::as_str).map_or_else(
        || if reply.body.trim_start().starts_with('<') { "an HTML page".into() } else { String::new() },
        ToOwned::to_owned,
    );
    let details = match body.get("errors") {
        Some(Value::Array(errors)) => errors.iter().map(detail).collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(other) => vec![detail(other)],
    };
    Fault {
        kind: match reply.status {
            401 | 403 => FaultKind::Denied,
            404 | 410 => FaultKind::NotFound,
            422 => FaultKind::Unprocessable,
            429 => FaultKind::Limited,
            500.. => FaultKind::Unknown,
            _ => FaultKind::Other,
        },
        request: format!("{} {route}", verb.as_str()),
        status: Some(reply.status),
        message,
        details,
        request_id: reply.header("x-github-request-id").map(ToOwned::to_owned),
        accepted: reply.header("x-accepted-github-permissions").map(ToOwned::to_owned),
    }
}

fn detail(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => {
            map.get("message").and_then(Value::as_str).map_or_else(|| value.to_string(), ToOwned::to_owned)
        }
        _ => value.to_string(),
    }
}

/// A good status with a body that is not what GitHub sends: a proxy's page, or a cut answer.
fn no_json(verb: Verb, route: &str, reply: &Reply) -> Fault {
    Fault {
        kind: FaultKind::Unknown,
        message: "an answer that is not GitHub's JSON".into(),
        ..refusal(verb, route, reply)
    }
}

/// octocrab's own text for an error can be the one word "GitHub": the causes say more.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    // A backtrace is of no use to the reader of a job's log.
    text.lines().next().unwrap_or_default().to_owned()
}

/// A little more waiting, different in every run.
fn jitter(most: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0);
    Duration::from_millis(random % (most.as_millis() as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_to_https_or_to_this_machine() {
        for (url, kept) in [
            ("https://api.github.com", true),
            ("http://127.0.0.1:4000", true),
            ("http://[::1]:4000/api/v3", true),
            ("http://github.example.com", false),
            ("https://a@b", false),
            ("http://127.0.0.1@evil.example", false),
            ("ftp://x", false),
        ] {
            assert_eq!(keeps_the_token(url), kept, "{url}");
        }
    }

    #[test]
    fn the_next_page_is_found() {
        let header = "<https://api.github.com/repositories/1/x?page=1>; rel=\"prev\", \
                      <https://api.github.com/repositories/1/x?page=3>; rel=\"next\"";
        assert_eq!(next_link(header).as_deref(), Some("https://api.github.com/repositories/1/x?page=3"));
        assert_eq!(next_link("<https://x/y>; rel=\"last\""), None);
    }

    #[test]
    fn a_repository_is_two_plain_names() {
        assert!(Place::parse("o/r.x-y_z").is_some());
        for bad in ["o", "o/", "/r", "o/..", "o/r/s", "o/r?x"] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
