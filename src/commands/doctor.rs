//! Is everything in place?

use serde::Serialize;

use super::{Session, target};
use crate::{
    db::SslMode,
    error::Error,
    github::{GitHub, Repository},
    history::Target,
    report::escape,
    secret::Secret,
    shadow,
};

/// Check connection, privileges, pooler, TLS, Postgres binaries and GitHub token.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lockkeeper doctor")]
pub(crate) struct Args {}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
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
    fn ok(what: impl Into<String>) -> Self {
        Self { what: what.into(), result: "ok", remedy: None }
    }

    fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), result: "warning", remedy: Some(remedy.into()) }
    }

    fn not_verified(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), result: "not verified", remedy: Some(remedy.into()) }
    }

    fn failed(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), result: "failed", remedy: Some(remedy.into()) }
    }
}

/// Runs the command.
pub(super) fn run(_args: &Args, session: &mut Session) -> Result<u8, Error> {
    let (mut findings, version, reached) = match database(session) {
        Ok((findings, version)) => (findings, Some(version), 0),
        Err(error @ Error::Unreachable { .. }) => {
            (vec![Finding::failed(error.to_string(), error.remedy())], None, error.exit_code())
        }
        Err(error) => return Err(error),
    };
    findings.push(binaries(session, version)?);
    findings.push(github(session));
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

/// The programs that a shadow is made with; `seen` is the target's major version.
fn binaries(session: &Session, seen: Option<u32>) -> Result<Finding, Error> {
    let configured = session.config()?.postgres.version;
    if let (Some(configured), Some(seen)) = (configured, seen)
        && configured != seen
    {
        return Ok(Finding::warning(
            format!("`postgres.version` is {configured}, the target runs PostgreSQL {seen}"),
            format!("Set `postgres.version = {seen}`: the rules and the shadow go by it."),
        ));
    }
    let wanted = configured.or(seen);
    Ok(match shadow::installed(&session.env, wanted) {
        Ok(found) if wanted.is_some_and(|wanted| wanted != found.major) => Finding::warning(
            format!(
                "a shadow would run PostgreSQL {}, the target runs {}",
                found.version,
                wanted.unwrap_or_default()
            ),
            "Install the server programs of the target's version, so that the rehearsal is of the same.",
        ),
        Ok(found) => {
            Finding::ok(format!("PostgreSQL {} in {} can run a shadow", found.version, found.bin.display()))
        }
        Err(error) => Finding::warning(format!("no shadow can be run: {error}"), error.remedy()),
    })
}

/// The token that writes comments and statuses.
fn github(session: &Session) -> Finding {
    let env = &session.env;
    let token = env.get("LOCKKEEPER_INPUT_GITHUB_TOKEN").or_else(|| env.get("GITHUB_TOKEN"));
    let place = env.get("GITHUB_REPOSITORY").and_then(Repository::parse);
    let (Some(token), Some(place)) = (token, place) else {
        return Finding::not_verified(
            "there is no GitHub token, or no repository to use it on",
            "On GitHub: give the job `permissions: pull-requests: write`. Here, to try one: set GITHUB_TOKEN and GITHUB_REPOSITORY (owner/name).",
        );
    };
    let tried = GitHub::new(env, &Secret::new(token), place).and_then(|github| Ok(github.may_read()?));
    match tried {
        Ok(()) => Finding::not_verified(
            "the GitHub token reads pull requests; whether it may write comments only shows when it does",
            "The job needs `permissions: pull-requests: write`.",
        ),
        Err(error) => Finding::failed(error.to_string(), error.remedy()),
    }
}

/// The target: reachable, encrypted, in session mode, and writable by this role; and its major version.
fn database(session: &Session) -> Result<(Vec<Finding>, u32), Error> {
    let config = session.config()?;
    let settings = target::settings(&config, None, None)?;
    let (schema, say) = (settings.schema.clone(), target::say(session));
    let address = target::address(session)?;
    let (mut target, past) = Target::open(address, settings, target::who(session), &say)?;
    target.settle()?;
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
    let version = facts.server_version_num / 10_000;
    Ok((findings, version))
}
