//! What an error of the server, of a pooler, or of the network means and who must act.
//!
//! The pooler's codes in parentheses are those of Supavisor (`lib/supavisor/errors`); it sends nearly
//! everything as SQLSTATE XX000, so the code in the message is looked at first.

use super::{
    address::Address,
    session::{self, ServerError},
};

/// Cause and cure of a failed connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    pub(super) what: String,
    pub(super) remedy: String,
    /// Whether the same attempt can succeed a little later by itself. Never for a refused login:
    /// repeating one gets the address banned.
    pub(super) transient: bool,
}

/// Explains why a connection to `address` was not made.
pub(super) fn of_connection(address: &Address, error: &postgres::Error) -> Diagnosis {
    match session::server_error(error) {
        Some(refusal) => of_login(address, &refusal),
        None => of_network(address, &chain(error)),
    }
}

fn of_login(address: &Address, error: &ServerError) -> Diagnosis {
    let message = &error.message;
    let user = address.user.as_deref().unwrap_or("(the default user)");
    let has = |text: &str| message.contains(text);
    let (remedy, transient) = if has("(ENOTFOUND)") || has("Tenant or user not found") {
        (
            format!(
                "The pooler {} does not know this project. Copy the *Session pooler* address from Dashboard > Connect (the cluster, aws-0 or aws-1, and the region must be the project's), or set SUPABASE_ACCESS_TOKEN and let us look it up. If the project was paused, restore it first.",
                address.host
            ),
            false,
        )
    } else if has("(ENOIDENTIFIER)") {
        ("On the pooler the user must be `postgres.<project ref>`.".into(), false)
    } else if has("(ECIRCUITBREAKER)") || has("Circuit breaker open") {
        ("The pooler blocks this address for about two minutes after repeated login failures. Mend the password first, wait, then run again.".into(), false)
    } else if has("(EMAXCONNSESSION)") || has("max clients reached in session mode") {
        ("All session-mode connections are in use; Lockkeeper needs one. Stop idle clients or raise the pool size.".into(), true)
    } else if has("(EMAXCONN)") || has("(ECHECKOUTTIMEOUT)") {
        (
            "The pooler or the database has no free connection. Stop idle clients or raise the limit.".into(),
            true,
        )
    } else if has("(ESSLREQUIRED)") || has("SSL off") || has("no encryption") {
        ("The server insists on TLS: remove `sslmode=disable` from the address.".into(), false)
    } else if has("(EADDRNOTALLOWED)") {
        ("Network restrictions are on. Hosted runners have changing addresses: use a runner with a fixed address, or allow this one.".into(), false)
    } else if has("(EBANNED)") {
        ("The project is blocked by the platform: ask its support.".into(), false)
    } else if has("(EAUTHQUERY)") || has("(EDBHANDLEREXITED)") {
        ("The database behind the pooler does not answer; look at the project's health.".into(), true)
    } else if has("(EMAXPREPARED)") || has("(EPREPAREDDUP)") {
        ("This is a transaction-mode pooler: use port 5432.".into(), false)
    } else {
        match error.sqlstate.as_str() {
            "28P01" | "28000" => (
                format!(
                    "The database refuses the password or the role `{user}`. Check {} (the *database* password, not an API key); in a URL, special characters of the password are percent-encoded. Not tried again: repeated failures get an address banned.",
                    address.origin
                ),
                false,
            ),
            "3D000" => ("Check the name of the database at the end of the address.".into(), false),
            "53300" => (
                "The database has no free connection. Stop idle clients or raise max_connections.".into(),
                true,
            ),
            "57P03" => ("The database is starting up or shutting down.".into(), true),
            _ => (format!("Check {}.", address.origin), false),
        }
    };
    Diagnosis { what: format!("cannot log in to {address} as {user}: {message}"), remedy, transient }
}

fn of_network(address: &Address, message: &str) -> Diagnosis {
    let has = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    let pooler = "Use the session pooler: Dashboard > Connect > Session pooler, host aws-<n>-<region>.pooler.supabase.com, port 5432, user postgres.<ref>.";
    let remedy = if has(&["Network is unreachable", "No route to host", "Cannot assign requested address"]) {
        if address.supabase_ref().is_some() {
            format!(
                "{} has only an IPv6 address and this machine has no IPv6 (GitHub's runners have none). {pooler}",
                address.host
            )
        } else {
            "This machine has no route to that address. If the host has only an IPv6 address, it needs an IPv4 one or a proxy.".into()
        }
    } else if has(&[
        "failed to lookup",
        "Name or service not known",
        "nodename nor servname",
        "No address associated",
    ]) {
        match address.supabase_ref() {
            Some(reference) => format!(
                "There is no DNS entry for project {reference}: it is paused, deleted, or the reference is wrong."
            ),
            None => format!("The host name does not resolve: check {}.", address.origin),
        }
    } else if has(&["Connection refused"]) {
        if address.is_supabase() {
            "Nothing answers there. After wrong passwords Supabase bans an address for half an hour (Dashboard > Database > Settings > Network bans); or network restrictions are on.".into()
        } else {
            "Nothing listens there: check host and port, and that the server runs.".into()
        }
    } else if has(&["UnknownIssuer", "InvalidCertificate", "certificate"]) {
        "The server's certificate is not signed by a root that is trusted here. Give its root by sslrootcert=<PEM file>; proxies that open TLS are not supported.".into()
    } else if has(&["server does not support TLS"]) {
        "The server offers no TLS. On a private network `sslmode=disable` in the address goes without.".into()
    } else if has(&["timed out", "timeout"]) {
        "Nothing answered in time: a firewall or a network restriction, or a wrong host.".into()
    } else {
        format!("Check {} and the network.", address.origin)
    };
    Diagnosis { what: format!("cannot connect to {address}: {message}"), remedy, transient: false }
}

/// The error with its causes, outermost left out when a cause says more.
fn chain(error: &postgres::Error) -> String {
    let mut texts = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        texts.push(inner.to_string());
        cause = inner.source();
    }
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}

/// What to do about an error that a statement met; `None` where the message says it all.
pub(crate) fn remedy(error: &ServerError) -> Option<String> {
    let text = match error.sqlstate.as_str() {
        "55P03" => {
            "Another session holds a lock on the table for longer than the lock timeout. Run again when it is quiet, end the blocker, or raise deploy.lock_timeout."
        }
        "40P01" => "Two sessions waited for each other. Running again usually succeeds.",
        "57014" => {
            "A timeout cut the statement short: set deploy.statement_timeout, or `-- lockkeeper: statement-timeout 10min` in the file."
        }
        "25006" => {
            "The database is read-only: it is a replica, or the disk is nearly full and the platform has switched writing off."
        }
        "42501" => {
            "The role lacks a privilege. On Supabase deploy as `postgres`, and leave schemas such as auth and storage to the platform."
        }
        "25001" => {
            "This statement cannot run inside a transaction: put `-- lockkeeper: transaction off` at the head of the file."
        }
        "2D000" => {
            "A procedure or a DO block commits by itself, which no transaction of another can hold: put `-- lockkeeper: transaction off` at the head of the file."
        }
        "55P04" => {
            "A new enum value cannot be used in the transaction that added it: put the ADD VALUE into a migration of its own."
        }
        "53100" => "The disk of the database is full.",
        "53200" => "The server is out of memory or out of lock slots: split the migration.",
        "42P07" | "42710" | "42701" => {
            "It is there already: by hand, by another tool, or from an earlier attempt. Compare it with the file; then `lockkeeper repair <version> --applied --reason …`, or drop it and run again."
        }
        "42704" if error.message.contains("\"vector\"") => {
            "Enable the extension first: CREATE EXTENSION vector WITH SCHEMA extensions."
        }
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(message: &str, sqlstate: &str) -> Diagnosis {
        let address = Address::parse(
            "postgresql://postgres.abc:hunter2@aws-0-x.pooler.supabase.com/postgres",
            "DB_URL",
        );
        let error = ServerError {
            sqlstate: sqlstate.into(),
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: None,
            constraint: None,
        };
        of_login(&address.unwrap(), &error)
    }

    #[test]
    fn a_refused_login_is_never_tried_again() {
        for (message, sqlstate) in [
            ("password authentication failed for user \"postgres\"", "28P01"),
            ("(ECIRCUITBREAKER) too many authentication failures", "XX000"),
            ("(ENOTFOUND) tenant/user postgres.abc not found", "XX000"),
            ("(ENOIDENTIFIER) no tenant identifier provided", "XX000"),
        ] {
            let diagnosis = login(message, sqlstate);
            assert!(!diagnosis.transient, "{message}");
            assert!(!format!("{diagnosis:?}").contains("hunter2"));
        }
        assert!(login("(EMAXCONNSESSION) max clients reached in session mode", "XX000").transient);
        assert!(login("the database system is starting up", "57P03").transient);
    }

    #[test]
    fn no_ipv6_is_explained() {
        let address =
            Address::parse("postgresql://postgres:x@db.abcdefghijklmnopqrst.supabase.co/postgres", "DB_URL")
                .unwrap();
        let diagnosis = of_network(&address, "Network is unreachable (os error 101)");
        assert!(diagnosis.remedy.contains("only an IPv6 address"), "{diagnosis:?}");
        assert!(diagnosis.remedy.contains("Session pooler"));
    }
}
