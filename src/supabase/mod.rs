//! Supabase's management API: where the session pooler of a project is.
//!
//! Pooler hosts are `aws-<N>-<region>.pooler.supabase.com`, and N does not follow from the region, so
//! it is asked. An answer never decides alone where a password is sent: host and user are held to
//! what they must look like first.

use std::time::Duration;

use serde::Deserialize;

use crate::{env::Env, error::Error, secret::Secret};

const API: &str = "https://api.supabase.com";

/// One entry of `GET /v1/projects/{ref}/config/database/pooler`.
#[derive(Debug, Deserialize)]
struct Pooler {
    #[serde(default)]
    database_type: String,
    #[serde(default)]
    db_host: String,
    #[serde(default)]
    db_user: String,
}

/// Host and user of the project's pooler; `None` without `SUPABASE_ACCESS_TOKEN`.
pub(crate) fn pooler(reference: &str, env: &Env) -> Result<Option<(String, String)>, Error> {
    let Some(token) = env.get("SUPABASE_ACCESS_TOKEN").map(Secret::new) else { return Ok(None) };
    if reference.is_empty()
        || !reference.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    {
        return Err(Error::usage(
            format!("SUPABASE_PROJECT_REF `{}` is no project reference", reference.escape_debug()),
            "It is the twenty letters in the address of the project's dashboard.",
        ));
    }
    let body = get(&base(env)?, &format!("/v1/projects/{reference}/config/database/pooler"), &token)?;
    let poolers: Vec<Pooler> = serde_json::from_str(&body).map_err(|error| {
        Error::unreachable(
            "the Supabase management API gave an answer that is not understood",
            "Try again; or set LOCKKEEPER_DATABASE_URL to the *Session pooler* address of Dashboard > Connect.",
            Some(error.into()),
        )
    })?;
    choose(&poolers, reference).map(Some)
}

/// The primary's pooler, where an answer is one that a password may be sent to.
fn choose(poolers: &[Pooler], reference: &str) -> Result<(String, String), Error> {
    let remedy = "Set LOCKKEEPER_DATABASE_URL to the *Session pooler* address of Dashboard > Connect.";
    let Some(primary) = poolers.iter().find(|pooler| pooler.database_type == "PRIMARY") else {
        return Err(Error::unreachable(
            format!("the Supabase management API knows no pooler of project `{reference}`"),
            remedy,
            None,
        ));
    };
    let host = &primary.db_host;
    let is_theirs = [".pooler.supabase.com", ".supabase.co", ".supabase.red"]
        .iter()
        .any(|ending| host.len() > ending.len() && host.ends_with(ending));
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    let suffix =
        primary.db_user.strip_suffix(reference).is_some_and(|role| role.len() > 1 && role.ends_with('.'));
    if !is_theirs || !plain || !suffix {
        return Err(Error::unreachable(
            format!(
                "the Supabase management API answered with a pooler that is not of project `{reference}`; no password was sent"
            ),
            remedy,
            None,
        ));
    }
    Ok((host.clone(), primary.db_user.clone()))
}

/// The API's address; another one for tests and staging, over https unless it is this machine.
fn base(env: &Env) -> Result<String, Error> {
    let url = env.get("SUPABASE_API_URL").unwrap_or(API).trim_end_matches('/').to_owned();
    let loopback = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"];
    if url.starts_with("https://") || loopback.iter().any(|start| url.starts_with(start)) {
        return Ok(url);
    }
    Err(Error::usage(
        "SUPABASE_API_URL is not an https address",
        "Leave it unset: the token is sent to https://api.supabase.com.",
    ))
}

fn get(base: &str, path: &str, token: &Secret) -> Result<String, Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(20)))
        .http_status_as_error(false)
        // A redirect would take the token elsewhere.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build()
        .into();
    let answer = agent
        .get(format!("{base}{path}"))
        .header("authorization", format!("Bearer {}", token.expose()))
        .header("user-agent", concat!("lockkeeper/", env!("CARGO_PKG_VERSION")))
        .call();
    let mut response = answer.map_err(|error| {
        Error::unreachable(
            "the Supabase management API cannot be reached",
            "Check the network of the runner; or set LOCKKEEPER_DATABASE_URL, which needs no API.",
            Some(error.into()),
        )
    })?;
    let status = response.status().as_u16();
    if (200..300).contains(&status) {
        return response.body_mut().with_config().limit(1 << 20).read_to_string().map_err(|error| {
            Error::unreachable(
                "the answer of the Supabase management API broke off",
                "Try again.",
                Some(error.into()),
            )
        });
    }
    let (why, remedy) = match status {
        401 => {
            ("the access token is not accepted", "Make a new SUPABASE_ACCESS_TOKEN in the account settings.")
        }
        403 => (
            "the access token may not read the pooler's configuration",
            "Give it the permission database_pooling_config_read.",
        ),
        404 => ("there is no such project", "Check SUPABASE_PROJECT_REF."),
        429 => ("too many requests", "Wait a minute and run again."),
        _ => ("it failed", "Try again; or set LOCKKEEPER_DATABASE_URL, which needs no API."),
    };
    Err(Error::unreachable(format!("the Supabase management API answered {status}: {why}"), remedy, None))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
    };

    use super::*;

    /// Serves one answer, and gives back what was asked.
    fn asked(status: &str, body: &str) -> (Result<Option<(String, String)>, Error>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 1024];
            while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                let read = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..read]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        let variables = [("SUPABASE_ACCESS_TOKEN", "sbp_secret"), ("SUPABASE_API_URL", url.as_str())];
        let env = Env::new(variables.iter().map(|(name, value)| (name.into(), value.into())));
        let result = pooler("abcdefghijklmnopqrst", &env);
        (result, server.join().unwrap())
    }

    const PRIMARY: &str = r#"{"database_type":"PRIMARY","db_host":"aws-1-eu-central-1.pooler.supabase.com","db_user":"postgres.abcdefghijklmnopqrst","db_port":6543}"#;

    #[test]
    fn asks_for_the_primary() {
        let replica = r#"{"database_type":"READ_REPLICA","db_host":"x.pooler.supabase.com","db_user":"postgres.abcdefghijklmnopqrst"}"#;
        let (result, request) = asked("200 OK", &format!("[{replica},{PRIMARY}]"));
        let expected =
            ("aws-1-eu-central-1.pooler.supabase.com".to_owned(), "postgres.abcdefghijklmnopqrst".to_owned());
        assert_eq!(result.unwrap(), Some(expected));
        let lower = request.to_lowercase();
        assert!(
            request.starts_with("GET /v1/projects/abcdefghijklmnopqrst/config/database/pooler HTTP/1.1"),
            "{request}"
        );
        assert!(lower.contains("authorization: bearer sbp_secret"), "{request}");
    }

    #[test]
    fn a_password_goes_only_where_it_belongs() {
        for (from, to) in [
            ("aws-1-eu-central-1.pooler.supabase.com", "pooler.supabase.com.evil.example"),
            ("aws-1-eu-central-1.pooler.supabase.com", ".pooler.supabase.com"),
            ("postgres.abcdefghijklmnopqrst", "postgres.someoneelse"),
        ] {
            let error = asked("200 OK", &format!("[{}]", PRIMARY.replace(from, to))).0.unwrap_err();
            assert!(error.to_string().contains("no password was sent"), "{error}");
            assert_eq!(error.exit_code(), 3);
        }
    }

    #[test]
    fn refusals_say_what_to_do_and_never_the_token() {
        for (status, remedy) in [
            ("401 Unauthorized", "new SUPABASE_ACCESS_TOKEN"),
            ("403 Forbidden", "database_pooling_config_read"),
            ("404 Not Found", "SUPABASE_PROJECT_REF"),
            ("302 Found", "LOCKKEEPER_DATABASE_URL"),
            ("200 OK", "Session pooler"),
        ] {
            let error = asked(status, "<html>").0.unwrap_err();
            assert!(error.remedy().contains(remedy), "{status}: {}", error.remedy());
            assert_eq!(error.exit_code(), 3);
            assert!(!format!("{error:?}{error}").contains("sbp_secret"));
        }
    }

    #[test]
    fn without_a_token_nothing_is_asked_and_without_https_neither() {
        let env = |variables: &[(&str, &str)]| {
            Env::new(variables.iter().map(|(name, value)| (name.into(), value.into())))
        };
        assert_eq!(pooler("abc", &env(&[])).unwrap(), None);
        let plain = [("SUPABASE_ACCESS_TOKEN", "t"), ("SUPABASE_API_URL", "http://example.com")];
        assert_eq!(pooler("abc", &env(&plain)).unwrap_err().exit_code(), 2);
        let odd = [("SUPABASE_ACCESS_TOKEN", "t")];
        assert_eq!(pooler("../admin", &env(&odd)).unwrap_err().exit_code(), 2);
    }
}
