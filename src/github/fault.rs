//! A request that did not do what it should: what GitHub said, and what a caller can do about it.

use std::fmt;

use serde_json::Value;

use super::transport::{Reply, Verb};
use crate::error::Error;

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

    pub(super) fn of_kind(self, kind: FaultKind) -> Self {
        Self { kind, ..self }
    }

    /// No answer, or none that can be used: it may have happened or not.
    pub(super) fn transport(request: &str, message: impl Into<String>) -> Self {
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

impl Fault {
    /// What an answer with a bad status says.
    pub(super) fn refusal(verb: Verb, route: &str, reply: &Reply) -> Self {
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
        Self {
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

    /// A good status with a body that is not what GitHub sends: a proxy's page, or a cut answer.
    pub(super) fn no_json(verb: Verb, route: &str, reply: &Reply) -> Self {
        Self {
            kind: FaultKind::Unknown,
            message: "an answer that is not GitHub's JSON".into(),
            ..Self::refusal(verb, route, reply)
        }
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
