//! The target: reachable, encrypted, in session mode, and writable by this role.

use super::Finding;
use crate::{
    commands::{Session, target},
    config::{Config, SupabaseHistory},
    db::{Address, SslMode},
    error::Error,
    history::{Facts, Privileges, Target},
};

/// Adds what there is to say, up to what stops it. Returns the target's major version.
pub(super) fn look(session: &Session, config: &Config, findings: &mut Vec<Finding>) -> Result<u32, Error> {
    let settings = target::settings(config, None, None)?;
    let (schema, say) = (settings.schema.clone(), target::say(session));
    let address = target::address(session)?;
    let (mut target, past) = Target::open(address, settings, target::who(session), &say)?;
    target.settle()?;
    let (facts, address) = (target.facts().clone(), target.address().clone());
    findings.push(Finding::ok(
        "connection",
        format!(
            "connected to {address} as {} (address from {}, PostgreSQL {})",
            facts.role, address.origin, facts.server_version
        ),
    ));
    findings.push(tls(&facts, &address));
    findings.push(if facts.transaction_pooler {
        Finding::warning(
            "pooler",
            "a pooler in transaction mode stands in between: only transactional migrations run through it",
            "Use the address of the database itself, or of the pooler in session mode.",
        )
    } else {
        Finding::ok("pooler", "the session is ours alone (no pooler in transaction mode was seen)")
    });
    if facts.server_version_num < 140_000 {
        findings.push(Finding::warning(
            "connection",
            format!("PostgreSQL {} does not notice when its client is gone", facts.server_version),
            "Upgrade to 14 or newer: a killed deploy then ends by itself.",
        ));
    }
    findings.push(if facts.in_recovery || facts.read_only {
        Finding::failed(
            "privileges",
            "the database is read-only",
            "Use the primary; on Supabase look at the size of the disk.",
        )
    } else {
        Finding::ok("privileges", "the database can be written to")
    });
    role(&facts, &address, findings);
    history(&facts, &schema, past.applied.len(), findings);
    two_histories(&facts, config, findings);
    privileges(&facts, &schema, &target.privileges()?, findings);
    Ok(facts.server_version_num / 10_000)
}

fn tls(facts: &Facts, address: &Address) -> Finding {
    let mode = address.ssl_mode();
    let verified = matches!(mode, SslMode::VerifyFull | SslMode::VerifyCa)
        || mode == SslMode::Require && address.ssl_root_cert.is_some();
    if facts.encrypted && (verified || address.is_loopback()) {
        return Finding::ok("tls", format!("the connection is encrypted (sslmode {})", mode.as_str()));
    }
    if facts.encrypted {
        return Finding::warning(
            "tls",
            format!(
                "the connection is encrypted (sslmode {}), but nobody has verified whose certificate it is",
                mode.as_str()
            ),
            "Use sslmode=verify-full with sslrootcert=<the server's root certificate>, or sslrootcert=system.",
        );
    }
    if address.is_loopback() {
        return Finding::ok("tls", "the connection is not encrypted, on this machine");
    }
    let remedy = match mode {
        SslMode::Disable => "Take `sslmode=disable` out of the address.",
        _ => "Behind a pooler the server may see its own connection only: not verified.",
    };
    Finding::warning("tls", "the server says that the connection is not encrypted", remedy)
}

fn role(facts: &Facts, address: &Address, findings: &mut Vec<Finding>) {
    if facts.superuser {
        findings.push(Finding::warning(
            "role",
            format!("{} is a superuser", facts.role),
            "A role that owns the schema is enough, and can break less.",
        ));
    } else if address.is_supabase() && facts.role != "postgres" {
        findings.push(Finding::warning(
            "role",
            format!("the role is {}, not postgres", facts.role),
            "On Supabase deploy as postgres: it owns the tables that the dashboard and the CLI have made.",
        ));
    } else {
        findings.push(Finding::ok("role", format!("{} is no superuser", facts.role)));
    }
}

fn history(facts: &Facts, schema: &str, applied: usize, findings: &mut Vec<Finding>) {
    findings.push(match (facts.history, facts.readable) {
        (true, true) => {
            Finding::ok("history", format!("the history in schema {schema} has {applied} applied migrations"))
        }
        (true, false) => Finding::failed(
            "history",
            format!("role {} may not read the history in schema {schema}", facts.role),
            format!("GRANT USAGE ON SCHEMA {schema} and SELECT ON ALL TABLES IN SCHEMA {schema} to it."),
        ),
        (false, _) if facts.can_create => {
            Finding::ok("history", format!("no history yet; role {} may make schema {schema}", facts.role))
        }
        (false, _) => Finding::failed(
            "history",
            format!("no history yet, and role {} may not make schema {schema}", facts.role),
            format!("GRANT CREATE ON DATABASE {} to it, or make the schema for it.", facts.database),
        ),
    });
    if !facts.history && facts.user_tables > 0 {
        findings.push(Finding::warning(
            "history",
            format!("{} tables are there already, but no history", facts.user_tables),
            if facts.supabase_history {
                "Adopt the Supabase CLI's history with `lockkeeper baseline --from-supabase`."
            } else {
                "Record what is applied with `lockkeeper baseline --to <version>`."
            },
        ));
    }
}

fn two_histories(facts: &Facts, config: &Config, findings: &mut Vec<Finding>) {
    if facts.history && facts.supabase_history && config.history.supabase == SupabaseHistory::Off {
        findings.push(Finding::warning(
            "history",
            "the Supabase CLI has a history of its own here, which is not followed",
            "Set `history.supabase = \"mirror\"` to keep both in step, or \"read\" to follow it; and let only one of them deploy.",
        ));
    }
}

fn privileges(facts: &Facts, schema: &str, may: &Privileges, findings: &mut Vec<Finding>) {
    let role = &facts.role;
    if facts.history && may.writes_history == Some(false) {
        findings.push(Finding::warning(
            "privileges",
            format!("role {role} may not add to the history in schema {schema}: it can look, but not deploy"),
            "Deploy as the role that made the history.",
        ));
    }
    if may.creates_in_public == Some(false) {
        findings.push(Finding::warning(
            "privileges",
            format!("role {role} may not make objects in schema public"),
            format!("GRANT CREATE ON SCHEMA public TO the role {role}, or deploy as its owner."),
        ));
    }
    findings.push(if may.foreign == 0 {
        Finding::ok("privileges", format!("role {role} owns every table of users ({})", may.tables))
    } else {
        Finding::warning(
            "privileges",
            format!(
                "{} of {} tables belong to others ({}): only their owners may change them",
                may.foreign,
                may.tables,
                may.example.as_deref().unwrap_or_default()
            ),
            format!("Deploy as their owner, or make {role} a member of it."),
        )
    });
    if !may.sees_others {
        findings.push(Finding::warning(
            "privileges",
            format!("role {role} does not see what others are doing, so who blocks a deploy is named by number only"),
            format!("GRANT pg_read_all_stats TO the role {role}."),
        ));
    }
}
