//! What a failed connection means and who must act.
//!
//! The pooler's codes in parentheses are those of Supavisor (`lib/supavisor/errors`); it sends nearly
//! everything as SQLSTATE XX000, so the code in the message is looked at first, then the text, which
//! older clusters send without the code, and the SQLSTATE last.

use std::io::ErrorKind;

use super::{address::Address, connect::Failure, session::ServerError};

/// Whether the same attempt can succeed a little later by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    Never,
    /// Nothing answered: trying harms nobody, but only who knows that it did answer has a reason to.
    Network,
    /// Never, for repeated failures get people locked out; but once where the role was lent just now.
    Login,
    /// Once, where the platform says that the project is coming up.
    ComingUp,
    Thrice,
    /// With growing pauses, for a minute.
    Patiently,
}

/// Cause and cure of a failed connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    pub(super) what: String,
    pub(super) remedy: String,
    pub(super) retry: Retry,
    /// Whether the state of the project would say more.
    pub(super) ask_status: bool,
    /// Whether bans would.
    pub(super) ask_bans: bool,
}

/// One refusal: the pooler's codes, other texts and SQLSTATEs that it is known by, and the advice, in
/// which `{host}`, `{user}`, `{origin}` and `{size}` stand for what they are here.
struct Known {
    codes: &'static [&'static str],
    texts: &'static [&'static str],
    sqlstates: &'static [&'static str],
    retry: Retry,
    advice: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        codes: &["ENOTFOUND"],
        texts: &["Tenant or user not found"],
        sqlstates: &[],
        retry: Retry::ComingUp,
        advice: "The pooler {host} does not know this project. Copy the *Session pooler* address from Dashboard > Connect (the cluster, aws-0 or aws-1, and the region must be the project's), or set SUPABASE_ACCESS_TOKEN and let us look it up. If the project was paused, restore it first.",
    },
    Known {
        codes: &["ENOIDENTIFIER"],
        texts: &["no tenant identifier provided"],
        sqlstates: &[],
        retry: Retry::Never,
        advice: "On the pooler the user must be `postgres.<project ref>`: mend {origin}.",
    },
    Known {
        codes: &["ECIRCUITBREAKER"],
        texts: &["Circuit breaker open", "too many authentication failures"],
        sqlstates: &[],
        retry: Retry::Never,
        advice: "The pooler blocks this address for about two minutes after repeated login failures. Mend the password first, wait, then run again: another try now makes it longer.",
    },
    Known {
        codes: &["EMAXCONNSESSION"],
        texts: &["max clients reached in session mode"],
        sqlstates: &[],
        retry: Retry::Patiently,
        advice: "All {size}session-mode connections are in use; Lockkeeper needs one. Stop idle clients or raise the pool size (Dashboard > Database > Settings).",
    },
    Known {
        codes: &["EMAXCONN"],
        texts: &["max client connections reached", "Max client connections reached"],
        sqlstates: &[],
        retry: Retry::Patiently,
        advice: "The pooler has reached the limit of clients of the project's compute size; Lockkeeper needs one. Stop idle clients or use a larger size.",
    },
    Known {
        codes: &["ECHECKOUTTIMEOUT"],
        texts: &["unable to check out connection from the pool"],
        sqlstates: &[],
        retry: Retry::Patiently,
        advice: "The database is overloaded or the pool exhausted: no connection came free in time. Stop idle clients or long queries.",
    },
    Known {
        codes: &["ESSLREQUIRED"],
        texts: &["SSL connection is required", "SSL off", "no encryption"],
        sqlstates: &[],
        retry: Retry::Never,
        advice: "The server insists on TLS: take `sslmode=disable` out of {origin}; on Supabase the default is verify-full and needs no setting.",
    },
    Known {
        codes: &["EADDRNOTALLOWED"],
        texts: &["address not in tenant allow_list"],
        sqlstates: &[],
        retry: Retry::Never,
        advice: "Network restrictions are on. Hosted runners have changing addresses: use a self-hosted runner or one with a fixed address, or allow this one (Dashboard > Database > Settings).",
    },
    Known {
        codes: &["EBANNED"],
        texts: &["tenant is banned"],
        sqlstates: &[],
        retry: Retry::Never,
        advice: "The project is blocked by the platform: ask its support.",
    },
    Known {
        codes: &["EAUTHQUERY", "EDBHANDLEREXITED"],
        texts: &["connection to database closed"],
        sqlstates: &[],
        retry: Retry::Thrice,
        advice: "The database behind the pooler is not reachable: it restarts, is upgraded, or is out of memory. Look at the project's health in the dashboard.",
    },
    Known {
        codes: &["EMAXPREPARED", "EPREPAREDDUP"],
        texts: &[],
        sqlstates: &["42P05", "26000"],
        retry: Retry::Never,
        advice: "This is a pooler in transaction mode: use the session mode, port 5432.",
    },
    Known {
        codes: &["EWRONGPASSWORD", "EJITUNAUTHORIZED"],
        texts: &["password authentication failed"],
        sqlstates: &["28P01", "28000"],
        retry: Retry::Login,
        advice: "The database refuses the password or the role `{user}`. Check {origin} (the *database* password, not an API key; reset it in Dashboard > Database > Settings); in a URL, special characters of the password are percent-encoded. Not tried again: repeated failures get an address banned.",
    },
    Known {
        codes: &[],
        texts: &[],
        sqlstates: &["3D000"],
        retry: Retry::Never,
        advice: "Check the name of the database at the end of the address in {origin}.",
    },
    Known {
        codes: &[],
        texts: &["remaining connection slots are reserved"],
        sqlstates: &["53300"],
        retry: Retry::Patiently,
        advice: "The database has no free connection. Stop idle clients or raise max_connections.",
    },
    Known {
        codes: &[],
        texts: &[],
        sqlstates: &["57P01", "57P02", "57P03"],
        retry: Retry::Patiently,
        advice: "The database is starting up or shutting down. Run again when it is back: `lockkeeper status` tells where it stands.",
    },
];

/// Explains why a connection to `address` was not made.
pub(super) fn of_connection(address: &Address, failure: &Failure) -> Diagnosis {
    match failure {
        Failure::Server(error) => of_login(address, error),
        Failure::Name(message) => {
            let remedy = match address.supabase_ref() {
                Some(reference) => format!(
                    "There is no DNS entry for project {reference}: it is paused, deleted, or the reference is wrong."
                ),
                None => format!("The host name does not resolve: check {}.", address.origin),
            };
            Diagnosis { ask_status: true, ..unreached(address, message, remedy) }
        }
        Failure::NoIpv6 => {
            unreached(address, "there is no way to its IPv6 address from here", no_ipv6(address))
        }
        Failure::Tls(message) => unreached(address, message, of_tls(address, message)),
        Failure::Network(kind, message) => of_network(address, *kind, message),
    }
}

fn of_login(address: &Address, error: &ServerError) -> Diagnosis {
    let message = &error.message;
    let user = address.user.as_deref().unwrap_or("(the default user)");
    let by_code =
        KNOWN.iter().find(|known| known.codes.iter().any(|code| message.contains(&format!("({code})"))));
    let known = by_code
        .or_else(|| KNOWN.iter().find(|known| known.texts.iter().any(|text| message.contains(text))))
        .or_else(|| KNOWN.iter().find(|known| known.sqlstates.contains(&error.sqlstate.as_str())));
    let (advice, retry) =
        known.map_or(("Check {origin}.", Retry::Never), |known| (known.advice, known.retry));
    let size = message.split("pool_size: ").nth(1).unwrap_or_default();
    let size: String = size.chars().take_while(char::is_ascii_digit).collect();
    let size = if size.is_empty() { size } else { format!("{size} ") };
    let remedy = advice
        .replace("{host}", &address.host)
        .replace("{user}", user)
        .replace("{size}", &size)
        .replace("{origin}", &address.origin);
    Diagnosis {
        what: format!("cannot log in to {address} as {user}: {message}"),
        remedy,
        retry,
        ask_status: retry == Retry::ComingUp || retry == Retry::Thrice,
        ask_bans: false,
    }
}

fn unreached(address: &Address, message: &str, remedy: String) -> Diagnosis {
    Diagnosis {
        what: format!("cannot connect to {address}: {message}"),
        remedy,
        retry: Retry::Never,
        ask_status: false,
        ask_bans: false,
    }
}

fn no_ipv6(address: &Address) -> String {
    if address.supabase_ref().is_some() {
        format!(
            "{} has only an IPv6 address and this machine has no IPv6 (GitHub's runners have none). Use the session pooler: Dashboard > Connect > Session pooler, host aws-<n>-<region>.pooler.supabase.com, port 5432, user postgres.<ref>; or set SUPABASE_PROJECT_REF and SUPABASE_ACCESS_TOKEN, and we ask for it; or buy the project an IPv4 address.",
            address.host
        )
    } else {
        "This machine has no route to that address. If the host has only an IPv6 address, it needs an IPv4 one or a proxy.".into()
    }
}

fn of_tls(address: &Address, message: &str) -> String {
    let has = |text: &str| message.contains(text);
    if has("server does not support TLS") {
        "The server offers no TLS. On a private network `sslmode=disable` in the address goes without.".into()
    } else if has("not valid for name") || has("NotValidForName") {
        format!(
            "The server's certificate is made out to another name than {}: use that name as the host, or sslmode=verify-ca, which does not compare names.",
            address.host
        )
    } else if has("Expired") || has("expired") || has("not valid yet") || has("NotValidYet") {
        "The server's certificate is out of date, or this machine's clock is wrong.".into()
    } else if address.is_supabase() {
        "The server's certificate is not signed by Supabase's own roots, which are built in. Something in between opens TLS: such proxies are not supported (a root of your own can be given by sslrootcert=<PEM file>).".into()
    } else {
        "The server's certificate is not signed by a root that is trusted here. Give its root by sslrootcert=<PEM file>; proxies that open TLS are not supported.".into()
    }
}

fn of_network(address: &Address, kind: Option<ErrorKind>, message: &str) -> Diagnosis {
    let remedy = match kind {
        Some(ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::AddrNotAvailable) => {
            no_ipv6(address)
        }
        Some(ErrorKind::ConnectionRefused) if address.is_supabase() => {
            "Nothing answers there. After two wrong passwords Supabase bans an address for half an hour (Dashboard > Database > Settings > Network bans): this one probably is, so wait, and mend the password first. Or network restrictions are on.".into()
        }
        Some(ErrorKind::ConnectionRefused) => {
            "Nothing listens there: check host and port, and that the server runs.".into()
        }
        Some(ErrorKind::TimedOut) => {
            "Nothing answered in time: a firewall or a network restriction, or a wrong host.".into()
        }
        _ if message.contains("timed out") || message.contains("timeout") => {
            "Nothing answered in time: a firewall or a network restriction, or a wrong host.".into()
        }
        _ => format!("Check {} and the network.", address.origin),
    };
    let refused = kind == Some(ErrorKind::ConnectionRefused) && address.is_supabase();
    Diagnosis { retry: Retry::Network, ask_bans: refused, ..unreached(address, message, remedy) }
}

#[cfg(test)]
#[path = "remedy_tests.rs"]
mod tests;
