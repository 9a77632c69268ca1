//! The webhook: what a deploy did, told to an address of the user's choice, signed.
//!
//! It comes after the deploy and cannot change it: whoever calls turns a failure into a warning. The
//! address is a secret (its path often is the whole authentication), so nothing here repeats it, and
//! no error of the HTTP library is shown, for those do.

use std::{net::IpAddr, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;
use ureq::http::Uri;

use crate::{config::Webhook, env::Env, error::Error, interrupt, secret::Secret};

/// Carries `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits.
const SIGNATURE: &str = "X-Lockkeeper-Signature";

/// Waited before each further try: a function that has to start first answers within these.
const PAUSES: [Duration; 3] = [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3)];

/// For one try. A receiver should answer first and work afterwards.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The same where a signal has come: the job has seconds left.
const HURRIED: Duration = Duration::from_secs(2);

/// Where to send, and what to sign with.
#[derive(Debug)]
pub(crate) struct Hook {
    address: Secret,
    key: Option<Secret>,
}

impl Hook {
    /// The configured webhook; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a variable that is not set and for an address that is not sent to.
    pub(crate) fn find(config: &Webhook, env: &Env) -> Result<Option<Self>, Error> {
        if config.url_env.is_empty() {
            return Ok(None);
        }
        let address = value(env, "url_env", &config.url_env)?;
        if !is_safe(address.expose()) {
            return Err(Error::usage(
                format!("{} holds no https address", config.url_env),
                "Use https; plain http is only for this machine (localhost).",
            ));
        }
        // Unsigned where a signature was asked for would be worse than not sent.
        let key = match config.secret_env.as_str() {
            "" => None,
            name => Some(value(env, "secret_env", name)?),
        };
        Ok(Some(Self { address, key }))
    }

    /// Sends the body, again where the receiver may yet take it.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] when nobody took it.
    pub(crate) fn send(&self, body: &impl Serialize) -> Result<(), Error> {
        let failed = |what: &str| {
            Error::unreachable(
                format!("the webhook was not delivered: {what}"),
                "The deploy itself is not touched by it. Look at the receiver's log.",
                None,
            )
        };
        let Ok(body) = serde_json::to_vec(body) else { return Err(failed("its body cannot be written")) };
        let mut pauses = PAUSES.into_iter();
        loop {
            let refusal = match self.attempt(&body) {
                Ok(()) => return Ok(()),
                Err(refusal) => refusal,
            };
            log::info!("webhook: {}", refusal.what);
            match pauses.next().filter(|_| refusal.passes) {
                Some(pause) if interrupt::sleep(pause) => {}
                _ => return Err(failed(&refusal.what)),
            }
        }
    }

    fn attempt(&self, body: &[u8]) -> Result<(), Refusal> {
        let timeout = if interrupt::requested() { HURRIED } else { TIMEOUT };
        let agent = ureq::Agent::new_with_config(
            ureq::Agent::config_builder()
                .timeout_global(Some(timeout))
                .http_status_as_error(false)
                // What was signed for one address is not handed on to another.
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("lockkeeper/", env!("CARGO_PKG_VERSION")))
                .build(),
        );
        let mut request = agent.post(self.address.expose()).header("Content-Type", "application/json");
        if let Some(key) = &self.key {
            request = request.header(SIGNATURE, signature(key, body)?);
        }
        let status = request.send(body).map_err(|error| Refusal::of(&error))?.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(());
        }
        Err(Refusal {
            what: format!("the receiver answered {status}"),
            passes: status >= 500 || status == 429,
        })
    }
}

/// Why one try failed, without the address.
struct Refusal {
    what: String,
    /// Whether it may be otherwise a moment later.
    passes: bool,
}

impl Refusal {
    fn of(error: &ureq::Error) -> Self {
        let (what, passes) = match error {
            ureq::Error::Timeout(_) => ("it did not answer in time".to_owned(), true),
            ureq::Error::HostNotFound => ("its host was not found".to_owned(), true),
            ureq::Error::ConnectionFailed => ("it cannot be reached".to_owned(), true),
            ureq::Error::Io(error) => (format!("it cannot be reached ({})", error.kind()), true),
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
                ("its certificate was not accepted".to_owned(), false)
            }
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => ("its address is malformed".to_owned(), false),
            _ => ("the request failed".to_owned(), true),
        };
        Self { what, passes }
    }
}

fn value(env: &Env, key: &str, name: &str) -> Result<Secret, Error> {
    env.get(name).map(|value| Secret::new(value.trim())).ok_or_else(|| {
        Error::usage(
            format!("the variable {name} (webhook.{key}) is not set"),
            format!("Set {name} where the deploy runs, or take webhook.{key} out of the configuration."),
        )
    })
}

/// https, or plain text that does not leave the machine.
fn is_safe(address: &str) -> bool {
    let Ok(uri) = address.parse::<Uri>() else { return false };
    let Some(host) = uri.host().filter(|host| !host.is_empty()) else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => true,
        Some("http") => loopback,
        _ => false,
    }
}

fn signature(key: &Secret, body: &[u8]) -> Result<String, Refusal> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes())
        .map_err(|_| Refusal { what: "its secret cannot be signed with".into(), passes: false })?;
    mac.update(body);
    let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("sha256={digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(url: &str) -> Result<Option<Hook>, Error> {
        let env = Env::new([("HOOK".into(), url.into())]);
        Hook::find(&Webhook { url_env: "HOOK".into(), secret_env: String::new() }, &env)
    }

    #[test]
    fn plain_text_stays_on_the_machine() {
        for good in [
            "https://x.functions.supabase.co/f",
            "http://localhost:1/f",
            "http://127.8.0.1/",
            "http://[::1]:9/",
        ] {
            assert!(find(good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.com/hidden",
            "http://localhost.example.com/hidden",
            "ftp://localhost/hidden",
            "hidden",
            "https://",
        ] {
            let error = find(bad).unwrap_err();
            assert!(!format!("{error} {}", error.remedy()).contains("hidden"), "{bad}");
        }
        assert!(find("").is_err(), "not set");
        assert!(Hook::find(&Webhook::default(), &Env::default()).unwrap().is_none());
    }

    /// Test case 2 of RFC 4231.
    #[test]
    fn signs_as_the_rfc_says() {
        let signed = signature(&Secret::new("Jefe"), b"what do ya want for nothing?").ok().unwrap();
        assert_eq!(signed, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
