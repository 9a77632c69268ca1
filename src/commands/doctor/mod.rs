//! Is everything in place? Everything is looked at, whatever fails before, and nothing is changed.

mod around;
mod database;

use serde::Serialize;

use super::Session;
use crate::{error::Error, report::escape};

/// Check connection, privileges, pooler, TLS, Postgres binaries and GitHub token.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper doctor")]
pub(crate) struct Args {}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// What it is about: `connection`, `tls`, `pooler`, `role`, `privileges`, `history`, `supabase`,
    /// `postgres`, `github`, `webhook`.
    check: &'static str,
    what: String,
    /// `ok`, `warning`, `failed`, `not verified`.
    result: &'static str,
    remedy: Option<String>,
}

/// The document of `--format json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    checks: &'a [Finding],
}

impl Finding {
    fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, what: what.into(), result: "ok", remedy: None }
    }

    fn warning(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, what: what.into(), result: "warning", remedy: Some(remedy.into()) }
    }

    fn not_verified(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, what: what.into(), result: "not verified", remedy: Some(remedy.into()) }
    }

    fn failed(check: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, what: what.into(), result: "failed", remedy: Some(remedy.into()) }
    }

    fn of(check: &'static str, error: &Error) -> Self {
        Self::failed(check, error.to_string(), error.remedy())
    }
}

/// Runs the command.
pub(super) fn run(_args: &Args, session: &mut Session) -> Result<u8, Error> {
    let config = session.config()?;
    let mut findings = Vec::new();
    // What keeps us from the database is one finding among others: the rest may be its cause.
    let (version, reached) = match database::look(session, &config, &mut findings) {
        Ok(version) => (Some(version), 0),
        Err(error) => {
            findings.push(Finding::of("connection", &error));
            (None, error.exit_code())
        }
    };
    findings.extend(around::platform(session));
    findings.push(around::binaries(session, &config, version));
    findings.push(around::github(session));
    findings.extend(around::webhook(session, &config));
    if session.json() {
        session.print_json(&Document { schema: 1, checks: &findings });
    } else {
        for finding in &findings {
            let remedy = finding
                .remedy
                .as_deref()
                .map(|remedy| format!("\n             {remedy}"))
                .unwrap_or_default();
            session.print(&escape::log_text(&format!("{:<12} {}{remedy}\n", finding.result, finding.what)));
        }
    }
    Ok(reached.max(u8::from(findings.iter().any(|finding| finding.result == "failed"))))
}
