//! One request to the management API, tried again where that helps, and its refusals explained.

use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::http::Response;

use crate::{env::Env, error::Error, interrupt, secret::Secret};

const API: &str = "https://api.supabase.com";

/// Waited before each further try of what may pass by itself.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// A longer wait than this is not ours to do: the rate limit is by the minute.
const LONGEST: u64 = 60;

/// For one try.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Answers are a few kilobytes; those of the advisors can be long.
const LARGEST: u64 = 4 << 20;

/// What is asked, and the permission that a scoped token needs for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// Below `/v1/projects/{ref}`.
    pub(super) path: &'a str,
    pub(super) permission: &'static str,
    /// The body of a POST; `None`: a GET. `Some("")`: a POST without one.
    pub(super) body: Option<&'static str>,
}

/// The API, and the token to ask it with.
#[derive(Debug, Clone)]
pub(super) struct Api {
    base: String,
    token: Secret,
}

impl Api {
    /// `None` without `SUPABASE_ACCESS_TOKEN`.
    pub(super) fn find(env: &Env) -> Result<Option<Self>, Error> {
        let Some(token) = env.get("SUPABASE_ACCESS_TOKEN").map(str::trim) else { return Ok(None) };
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::usage(
                "SUPABASE_ACCESS_TOKEN holds what no token can: white space or other characters",
                "Copy the token again from the account settings (it begins with sbp_).",
            ));
        }
        Ok(Some(Self { base: base(env)?, token: Secret::new(token) }))
    }

    /// Asks about a project.
    pub(super) fn ask<T: DeserializeOwned>(&self, reference: &str, call: Call<'_>) -> Result<T, Error> {
        let body = self.text(reference, call)?;
        serde_json::from_str(&body).map_err(|error| {
            // Never the text itself: it may hold a password.
            let place = format!("line {} column {}", error.line(), error.column());
            Error::unreachable(
                format!("the Supabase management API gave an answer to {} that is not understood ({place})", call.path),
                "Try again; something in between (a proxy?) may have answered in its place. LOCKKEEPER_DATABASE_URL with the *Session pooler* address of Dashboard > Connect needs no API.",
                None,
            )
        })
    }

    fn text(&self, reference: &str, call: Call<'_>) -> Result<String, Error> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let (error, wait) = match self.attempt(reference, call) {
                Ok(text) => return Ok(text),
                Err(refused) => refused,
            };
            let Some(pause) = wait.and_then(|asked| pauses.next().map(|own| asked.unwrap_or(own))) else {
                return Err(error);
            };
            log::info!("{error}; trying again");
            if !interrupt::sleep(pause) {
                return Err(error);
            }
        }
    }

    /// One try. With an error comes whether another may help: `Some(None)` after our own pause.
    fn attempt(&self, reference: &str, call: Call<'_>) -> Result<String, (Error, Option<Option<Duration>>)> {
        let agent = ureq::Agent::new_with_config(
            ureq::Agent::config_builder()
                .timeout_global(Some(TIMEOUT))
                .http_status_as_error(false)
                // A redirect would take the token elsewhere.
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("lockkeeper/", env!("CARGO_PKG_VERSION")))
                .build(),
        );
        let url = format!("{}/v1/projects/{reference}{}", self.base, call.path);
        let bearer = format!("Bearer {}", self.token.expose());
        let answer = match call.body {
            None => agent.get(url).header("authorization", bearer).call(),
            Some("") => agent.post(url).header("authorization", bearer).send_empty(),
            Some(body) => agent
                .post(url)
                .header("authorization", bearer)
                .header("content-type", "application/json")
                .send(body),
        };
        let mut response = answer.map_err(|error| {
            let error = Error::unreachable(
                format!("the Supabase management API cannot be reached: {}", what(&error)),
                "Check the network of the runner; or set LOCKKEEPER_DATABASE_URL, which needs no API.",
                None,
            );
            (error, Some(None))
        })?;
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            return response.body_mut().with_config().limit(LARGEST).read_to_string().map_err(|error| {
                let (why, again) = match error {
                    ureq::Error::BodyExceedsLimit(_) => ("is too long", None),
                    _ => ("broke off", Some(None)),
                };
                let text = format!("the answer of the Supabase management API {why}");
                (Error::unreachable(text, "Try again.", None), again)
            });
        }
        let again = match status {
            429 => Some(retry_after(&response)),
            500.. => Some(None),
            _ => None,
        };
        let again = again.filter(|wait| wait.is_none_or(|wait| wait.as_secs() <= LONGEST));
        Err((refusal(status, call), again))
    }
}

fn refusal(status: u16, call: Call<'_>) -> Error {
    let (why, remedy) = match status {
        300..=399 => (
            "a redirect, which is not followed: it would take the access token elsewhere".to_owned(),
            "Something in between (a proxy?) answered in its place; or set LOCKKEEPER_DATABASE_URL, which needs no API.".to_owned(),
        ),
        401 => (
            "the access token is not accepted".into(),
            "Make a new SUPABASE_ACCESS_TOKEN in the account settings.".into(),
        ),
        402 => (
            "the project's plan does not include it".into(),
            "Do without it, or choose a larger plan.".into(),
        ),
        403 => (
            format!("the access token may not ask for {}", call.path),
            format!("Give it the permission {}, in the project's organisation.", call.permission),
        ),
        404 => ("there is no such project".into(), "Check SUPABASE_PROJECT_REF.".into()),
        429 => ("too many requests".into(), "Wait a minute and run again.".into()),
        _ => ("it failed".into(), "Try again; or set LOCKKEEPER_DATABASE_URL, which needs no API.".into()),
    };
    Error::unreachable(format!("the Supabase management API answered {status}: {why}"), remedy, None)
}

/// How long the API asks to wait: both headers count seconds.
fn retry_after<T>(response: &Response<T>) -> Option<Duration> {
    ["retry-after", "x-ratelimit-reset"]
        .iter()
        .find_map(|name| response.headers().get(*name)?.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs)
}

/// The HTTP library's error without the address in it.
fn what(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "it did not answer in time".into(),
        ureq::Error::HostNotFound => "its host was not found".into(),
        ureq::Error::Io(error) => error.kind().to_string(),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "its certificate was not accepted".into(),
        _ => "the request failed".into(),
    }
}

/// The API's address; another one for tests and staging, over https unless it is this machine.
fn base(env: &Env) -> Result<String, Error> {
    let url = env.get("SUPABASE_API_URL").unwrap_or(API).trim_end_matches('/').to_owned();
    let loopback = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"];
    let port = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    if url.starts_with("https://") || loopback.iter().any(|start| url.strip_prefix(start).is_some_and(port)) {
        return Ok(url);
    }
    Err(Error::usage(
        "SUPABASE_API_URL is not an https address",
        "Leave it unset: the token is sent to https://api.supabase.com.",
    ))
}
