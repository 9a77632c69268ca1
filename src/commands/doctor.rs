//! Is everything in place?

use serde::Serialize;

use super::{Session, target};
use crate::{db::SslMode, error::Error, history::Target, report::escape};

/// Check connection, privileges, pooler, TLS, Postgres binaries and GitHub token.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper doctor")]
pub(crate) struct Args {}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    /// `ok`, `warning`, `failed`.
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
    fn ok(what: impl Into<String>) -> Self {
        Self { what: what.into(), result: "ok", remedy: None }
    }

    fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), result: "warning", remedy: Some(remedy.into()) }
    }

    fn failed(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), result: "failed", remedy: Some(remedy.into()) }
    }
}

/// Runs the command.
pub(super) fn run(_args: &Args, session: &mut Session) -> Result<u8, Error> {
    let findings = database(session)?;
    if session.json() {
        session.print_json(&Document { schema: 1, checks: &findings });
    } else {
        for finding in &findings {
            let remedy =
                finding.remedy.as_deref().map(|remedy| format!("\n         {remedy}")).unwrap_or_default();
            session.print(&escape::log_text(&format!("{:<8} {}{remedy}\n", finding.result, finding.what)));
        }
    }
    Ok(u8::from(findings.iter().any(|finding| finding.result == "failed")))
}

/// The target: reachable, encrypted, in session mode, and writable by this role.
fn database(session: &Session) -> Result<Vec<Finding>, Error> {
    let config = session.config()?;
    let settings = target::settings(&config, None, None)?;
    let (schema, say) = (settings.schema.clone(), target::say(session));
    let address = target::address(session)?;
    let (target, past) = match Target::open(address, settings, target::who(session), &say) {
        Ok(opened) => opened,
        Err(error) => return Ok(vec![Finding::failed(error.to_string(), error.remedy())]),
    };
    let (facts, address) = (target.facts(), target.address());
    let mut findings = vec![Finding::ok(format!(
        "connected to {address} as {} (address from {}, PostgreSQL {})",
        facts.role, address.origin, facts.server_version
    ))];
    findings.push(if facts.encrypted {
        Finding::ok(format!("the connection is encrypted (sslmode {})", address.ssl_mode().as_str()))
    } else if address.is_loopback() {
        Finding::ok("the connection is not encrypted, on this machine")
    } else {
        let remedy = if address.ssl_mode() == SslMode::Disable {
            "Remove `sslmode=disable` from the address."
        } else {
            "Behind a pooler the server may see its own connection only: not verified."
        };
        Finding::warning("the server says that the connection is not encrypted", remedy)
    });
    findings.push(if facts.transaction_pooler {
        Finding::warning(
            "a pooler in transaction mode stands in between: only transactional migrations run through it",
            "Use the address of the database itself, or of the pooler in session mode.",
        )
    } else {
        Finding::ok("the session is ours alone (no pooler in transaction mode was seen)")
    });
    if facts.server_version_num < 140_000 {
        findings.push(Finding::warning(
            format!("PostgreSQL {} does not notice when its client is gone", facts.server_version),
            "Upgrade to 14 or newer: a killed deploy then ends by itself.",
        ));
    }
    findings.push(if facts.in_recovery || facts.read_only {
        Finding::failed(
            "the database is read-only",
            "Use the primary; on Supabase look at the size of the disk.",
        )
    } else {
        Finding::ok("the database can be written to")
    });
    findings.push(match (facts.history, facts.readable) {
        (true, true) => Finding::ok(format!(
            "the history in schema {schema} has {} applied migrations",
            past.applied.len()
        )),
        (true, false) => Finding::failed(
            format!("role {} may not read the history in schema {schema}", facts.role),
            format!("GRANT USAGE ON SCHEMA {schema} and SELECT ON ALL TABLES IN SCHEMA {schema} to it."),
        ),
        (false, _) if facts.can_create => {
            Finding::ok(format!("no history yet; role {} may make schema {schema}", facts.role))
        }
        (false, _) => Finding::failed(
            format!("no history yet, and role {} may not make schema {schema}", facts.role),
            format!("GRANT CREATE ON DATABASE {} to it, or make the schema for it.", facts.database),
        ),
    });
    if !facts.history && facts.user_tables > 0 {
        findings.push(Finding::warning(
            format!("{} tables are there already, but no history", facts.user_tables),
            if facts.supabase_history {
                "Adopt the Supabase CLI's history with `lockkeeper baseline --from-supabase`."
            } else {
                "Record what is applied with `lockkeeper baseline --to <version>`."
            },
        ));
    }
    if facts.superuser {
        findings.push(Finding::warning(
            format!("{} is a superuser", facts.role),
            "A role that owns the schema is enough, and can break less.",
        ));
    }
    Ok(findings)
}
