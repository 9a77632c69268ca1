//! The bytes: the one file that knows `octocrab` and `hyper`, and with them `async`.
//!
//! octocrab's ready-made client is not used: it repeats a POST that answered 502 four times within
//! milliseconds, and takes no proxy. What it puts a request together from is used, around a client of
//! hyper that connects once, through the proxy that the environment names, if one is named.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Uri, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::{
        legacy::{
            Client,
            connect::{Connect, HttpConnector, proxy::Tunnel},
        },
        proxy::matcher::Matcher,
    },
    rt::TokioExecutor,
};
use octocrab::{
    AuthState, OctoBody, Octocrab, OctocrabBuilder,
    service::middleware::{auth_header::AuthHeaderLayer, extra_headers::ExtraHeadersLayer},
};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::{env::Env, error::Error, secret::Secret};

/// A request that says nothing for so long is over.
const SILENCE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);

/// The four verbs we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Patch,
    Delete,
}

impl Verb {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }
}

/// Sends one request at a time to one server.
pub(super) struct Transport {
    runtime: Runtime,
    crab: Octocrab,
}

impl Transport {
    /// Connects to nothing yet.
    pub(super) fn new(env: &Env, base: &str, token: &Secret) -> Result<Self, Error> {
        let base: Uri = base.parse().map_err(|error| {
            Error::usage(format!("GITHUB_API_URL is `{base}`, which is no address: {error}"), "Correct it.")
        })?;
        // A token with other characters is no header value.
        let authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .ok()
            .filter(|_| !token.expose().is_empty() && token.expose().bytes().all(|c| c.is_ascii_graphic()));
        let Some(mut authorization) = authorization else {
            return Err(Error::usage(
                "the GitHub token holds white space or other characters that no token has",
                "Set `github-token` to the token alone, without a line break.",
            ));
        };
        authorization.set_sensitive(true);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| cannot(&error))?;
        let crab = {
            // Building the client spawns its request queue, which needs a runtime to spawn on.
            let _inside = runtime.enter();
            build(env, &base, authorization)?
        };
        Ok(Self { runtime, crab })
    }

    /// Sends, and reads the whole answer. `Err`: there was none, and why.
    pub(super) fn send(&self, verb: Verb, url: &str, body: Option<&Value>) -> Result<Reply, String> {
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
        // Where async ends.
        let outcome = self.runtime.block_on(async { tokio::time::timeout(SILENCE, exchange).await });
        match outcome {
            Ok(reply) => reply.map_err(|error| chain(&error)),
            Err(_) => Err(format!("no answer within {} s", SILENCE.as_secs())),
        }
    }
}

fn cannot(error: &dyn std::error::Error) -> Error {
    Error::unreachable(
        format!("the GitHub client cannot be set up: {}", chain(error)),
        "Install root certificates (package `ca-certificates`) on the runner.",
        None,
    )
}

fn build(env: &Env, base: &Uri, authorization: HeaderValue) -> Result<Octocrab, Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT));
    let Some(proxy) = proxies(env).intercept(base).filter(|_| base.scheme_str() == Some("https")) else {
        // Without TLS only this very machine is spoken to, where no proxy stands between.
        return assemble(with_tls(tcp)?, base, authorization);
    };
    if proxy.uri().scheme_str() != Some("http") {
        return Err(Error::usage(
            "the proxy for GitHub, from HTTPS_PROXY or ALL_PROXY, is not reached over http",
            "Set HTTPS_PROXY to the http:// address of a proxy, or name GitHub's host in NO_PROXY.",
        ));
    }
    let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
    if let Some(login) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(login.clone());
    }
    assemble(with_tls(tunnel)?, base, authorization)
}

/// The proxies that the environment names, as curl reads it.
fn proxies(env: &Env) -> Matcher {
    let get =
        |names: [&str; 2]| names.into_iter().find_map(|name| env.get(name)).unwrap_or_default().to_owned();
    Matcher::builder()
        .all(get(["ALL_PROXY", "all_proxy"]))
        .https(get(["HTTPS_PROXY", "https_proxy"]))
        .no(get(["NO_PROXY", "no_proxy"]))
        .build()
}

/// A way to https with the system's root certificates, over `inner`.
fn with_tls<H>(inner: H) -> Result<HttpsConnector<H>, Error> {
    let roots = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| cannot(&error))?;
    Ok(roots.https_or_http().enable_http1().wrap_connector(inner))
}

fn assemble<C>(connector: C, base: &Uri, authorization: HeaderValue) -> Result<Octocrab, Error>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let client = Client::builder(TokioExecutor::new()).build::<_, OctoBody>(connector);
    let agent = concat!("lockkeeper/", env!("CARGO_PKG_VERSION"));
    // octocrab adds the version of the API itself.
    let headers = [
        (header::USER_AGENT, HeaderValue::from_static(agent)),
        (header::ACCEPT, HeaderValue::from_static("application/vnd.github+json")),
    ];
    let built = OctocrabBuilder::new_empty()
        .with_service(client)
        .with_layer(&ExtraHeadersLayer::new(Arc::new(headers.into())))
        // Gives the token to this host and no other.
        .with_layer(&AuthHeaderLayer::new(Some(authorization), base.clone(), base.clone()))
        .with_auth(AuthState::None)
        .build();
    built.map_err(|never| match never {})
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
