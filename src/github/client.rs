//! Requests to GitHub: one at a time, repeated only when that is known to be safe.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    address::{absolute, keeps_the_token, next_link, origin},
    fault::{Fault, FaultKind},
    identity::Identity,
    patience::{Patience, jitter, limit},
    transport::{Reply, Transport, Verb},
};
use crate::{env::Env, error::Error, secret::Secret};

/// From this write on there is a second between two, as GitHub's guide to secondary limits asks.
const WRITES_IN_A_ROW: u32 = 6;
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

/// All items of a list, and whether that is all there were.
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    pub(super) complete: bool,
}

/// A repository on GitHub, seen with the rights of one token.
pub(crate) struct GitHub {
    transport: Transport,
    /// Scheme, host and path of the API, without a slash at the end.
    base: String,
    graphql: String,
    pub(super) place: Place,
    pub(super) identity: Identity,
    patience: RefCell<Patience>,
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
        let graphql = env.get("GITHUB_GRAPHQL_URL").map_or_else(
            || format!("{}/graphql", base.strip_suffix("/v3").unwrap_or(base)),
            ToOwned::to_owned,
        );
        Ok(Self {
            transport: Transport::new(env, base, token)?,
            base: base.into(),
            graphql,
            place,
            identity: Identity::of(token),
            patience: RefCell::default(),
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
                    let elsewhere =
                        Fault::transport(&format!("GET {route}"), "the next page is on another host");
                    return Err(elsewhere.of_kind(FaultKind::Other));
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
        serde_json::from_str(text).map_err(|_| Fault::no_json(verb, route, &reply))
    }

    /// Asks GraphQL. Its errors come with status 200, so what is missing in `data` is the caller's to see.
    pub(super) fn query(&self, document: &str, variables: &Value) -> Result<Value, Fault> {
        if origin(&self.graphql) != origin(&self.base) {
            let elsewhere = Fault::transport("POST /graphql", "GITHUB_GRAPHQL_URL is on another host");
            return Err(elsewhere.of_kind(FaultKind::Other));
        }
        let body = serde_json::json!({ "query": document, "variables": variables });
        let reply = self.patiently(Verb::Post, &self.graphql, "/graphql", Some(&body))?;
        serde_json::from_str(&reply.body).map_err(|_| Fault::no_json(Verb::Post, "/graphql", &reply))
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
                    .map_err(|_| Fault::no_json(Verb::Get, route, &reply))
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
                        let mut fault = Fault::refusal(verb, route, &reply);
                        fault.message = "redirected to another host".into();
                        return Err(fault);
                    }
                    url = to;
                    moves += 1;
                }
                403 | 429 => match limit(&reply) {
                    None => return Err(Fault::refusal(verb, route, &reply)),
                    Some(wait) => {
                        if !self.patience.borrow_mut().grants(wait, limited) {
                            return Err(Fault::refusal(verb, route, &reply).of_kind(FaultKind::Limited));
                        }
                        log::info!("GitHub asks to wait {} s", wait.as_secs());
                        limited = true;
                        std::thread::sleep(wait);
                    }
                },
                _ => return Err(Fault::refusal(verb, route, &reply)),
            }
        }
    }

    fn send(&self, verb: Verb, url: &str, route: &str, body: Option<&Value>) -> Result<Reply, Fault> {
        self.transport
            .send(verb, url, body)
            .map_err(|what| Fault::transport(&format!("{} {route}", verb.as_str()), what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_two_plain_names() {
        assert!(Place::parse("o/r.x-y_z").is_some());
        for bad in ["o", "o/", "/r", "o/..", "o/r/s", "o/r?x"] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
