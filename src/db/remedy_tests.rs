//! Every row of what servers, poolers and networks answer, in their own words.

use std::io::Error as Io;

use super::*;

const POOLER: &str =
    "postgresql://postgres.abcdefghijklmnopqrst:hunter2@aws-0-x.pooler.supabase.com/postgres";
const DIRECT: &str = "postgresql://postgres:hunter2@db.abcdefghijklmnopqrst.supabase.co/postgres";
const OTHER: &str = "postgresql://me:hunter2@db.example.com/app";

fn address(url: &str) -> Address {
    Address::parse(url, "DB_URL").unwrap()
}

fn login(url: &str, message: &str, sqlstate: &str) -> Diagnosis {
    let error = ServerError {
        sqlstate: sqlstate.into(),
        message: message.into(),
        detail: None,
        hint: None,
        position: None,
        context: None,
        constraint: None,
    };
    of_connection(&address(url), &Failure::Server(Box::new(error)))
}

/// Message, SQLSTATE, retry, what the advice must say.
const ANSWERS: &[(&str, &str, Retry, &str)] = &[
    (
        "(ENOTFOUND) tenant/user postgres.abcdefghijklmnopqrst not found",
        "XX000",
        Retry::ComingUp,
        "aws-0-x.pooler.supabase.com does not know this project",
    ),
    ("Tenant or user not found", "XX000", Retry::ComingUp, "SUPABASE_ACCESS_TOKEN"),
    (
        "(ENOIDENTIFIER) no tenant identifier provided (external_id or sni_hostname required)",
        "XX000",
        Retry::Never,
        "`postgres.<project ref>`",
    ),
    ("password authentication failed for user \"postgres\"", "28P01", Retry::Login, "not an API key"),
    (
        "(EWRONGPASSWORD) password authentication failed for user \"postgres\"",
        "28P01",
        Retry::Login,
        "percent-encoded",
    ),
    ("(EJITUNAUTHORIZED) unauthorized", "XX000", Retry::Login, "*database* password"),
    (
        "role \"nobody\" is not permitted to log in",
        "28000",
        Retry::Login,
        "the role `postgres.abcdefghijklmnopqrst`",
    ),
    (
        "(ECIRCUITBREAKER) too many authentication failures, new connections are temporarily blocked",
        "XX000",
        Retry::Never,
        "about two minutes",
    ),
    (
        "Circuit breaker open: too many authentication failures",
        "XX000",
        Retry::Never,
        "Mend the password first",
    ),
    (
        "(EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15",
        "XX000",
        Retry::Patiently,
        "All 15 session-mode connections",
    ),
    (
        "MaxClientsInSessionMode: max clients reached in session mode",
        "XX000",
        Retry::Patiently,
        "All session-mode connections",
    ),
    ("(EMAXCONN) max client connections reached, limit: 200", "XX000", Retry::Patiently, "limit of clients"),
    ("Max client connections reached", "XX000", Retry::Patiently, "compute size"),
    (
        "(ECHECKOUTTIMEOUT) unable to check out connection from the pool after 60000ms",
        "XX000",
        Retry::Patiently,
        "pool exhausted",
    ),
    ("(ESSLREQUIRED) SSL connection is required", "XX000", Retry::Never, "verify-full"),
    (
        "no pg_hba.conf entry for host \"1.2.3.4\", user \"postgres\", database \"postgres\", SSL off",
        "28000",
        Retry::Never,
        "insists on TLS",
    ),
    (
        "no pg_hba.conf entry for host \"1.2.3.4\", user \"postgres\", database \"postgres\", no encryption",
        "28000",
        Retry::Never,
        "insists on TLS",
    ),
    (
        "(EADDRNOTALLOWED) address not in tenant allow_list: {1, 2, 3, 4}",
        "XX000",
        Retry::Never,
        "Network restrictions are on",
    ),
    ("(EBANNED) tenant is banned", "XX000", Retry::Never, "support"),
    (
        "(EAUTHQUERY) authentication query failed: connection to database not available",
        "XX000",
        Retry::Thrice,
        "health",
    ),
    ("(EDBHANDLEREXITED) connection to database closed", "XX000", Retry::Thrice, "not reachable"),
    ("(EMAXPREPARED) max prepared statements limit reached", "XX000", Retry::Never, "port 5432"),
    ("(EPREPAREDDUP) prepared statement already exists", "XX000", Retry::Never, "port 5432"),
    ("prepared statement \"s1\" already exists", "42P05", Retry::Never, "port 5432"),
    ("prepared statement \"s1\" does not exist", "26000", Retry::Never, "port 5432"),
    (
        "remaining connection slots are reserved for non-replication superuser connections",
        "53300",
        Retry::Patiently,
        "no free connection",
    ),
    ("sorry, too many clients already", "53300", Retry::Patiently, "max_connections"),
    ("the database system is starting up", "57P03", Retry::Patiently, "starting up or shutting down"),
    ("terminating connection due to administrator command", "57P01", Retry::Patiently, "lockkeeper status"),
    ("database \"nope\" does not exist", "3D000", Retry::Never, "name of the database"),
    ("something that nobody has heard of", "XX000", Retry::Never, "Check DB_URL"),
];

#[test]
fn every_answer_has_its_cause_and_cure() {
    for (message, sqlstate, retry, says) in ANSWERS {
        let diagnosis = login(POOLER, message, sqlstate);
        assert_eq!(diagnosis.retry, *retry, "{message}");
        assert!(diagnosis.remedy.contains(says), "{message}: {}", diagnosis.remedy);
        assert!(diagnosis.what.contains(message), "{}", diagnosis.what);
        assert!(!format!("{diagnosis:?}").contains("hunter2"));
        assert!(!diagnosis.remedy.contains('{'), "{}", diagnosis.remedy);
    }
}

/// Error number of Linux, address, whether it is told as a matter of IPv6.
#[test]
fn every_way_not_to_get_there_is_told_apart() {
    let of = |url: &str, number: i32| {
        let error = Io::from_raw_os_error(number);
        of_connection(&address(url), &Failure::Network(Some(error.kind()), error.to_string()))
    };
    // ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL.
    for number in [101, 113, 99] {
        let diagnosis = of(DIRECT, number);
        assert!(diagnosis.remedy.contains("only an IPv6 address"), "{diagnosis:?}");
        assert!(diagnosis.remedy.contains("Session pooler"), "{diagnosis:?}");
        assert!(of(OTHER, number).remedy.contains("no route"));
    }
    let no_ipv6 = of_connection(&address(DIRECT), &Failure::NoIpv6);
    assert!(no_ipv6.remedy.contains("IPv4 address"), "{no_ipv6:?}");
    assert_eq!(no_ipv6.retry, Retry::Never);
    // ECONNREFUSED, ETIMEDOUT.
    let banned = of(DIRECT, 111);
    assert!(banned.remedy.contains("bans an address for half an hour") && banned.ask_bans, "{banned:?}");
    let nothing = of(OTHER, 111);
    assert!(nothing.remedy.contains("Nothing listens there") && !nothing.ask_bans, "{nothing:?}");
    assert!(of(OTHER, 110).remedy.contains("firewall"));
    let no_name =
        |url| of_connection(&address(url), &Failure::Name("failed to lookup address information".into()));
    assert!(no_name(DIRECT).remedy.contains("no DNS entry for project abcdefghijklmnopqrst: it is paused"));
    assert!(no_name(DIRECT).ask_status);
    assert!(no_name(OTHER).remedy.contains("check DB_URL"));
}

#[test]
fn certificates_are_explained() {
    let of = |url: &str, message: &str| of_connection(&address(url), &Failure::Tls(message.into()));
    for (message, says) in [
        ("invalid peer certificate: UnknownIssuer", "sslrootcert"),
        (
            "invalid peer certificate: certificate not valid for name \"x\"; certificate is only valid for DnsName(\"y\")",
            "another name",
        ),
        (
            "invalid peer certificate: certificate expired: verification time 2 (UNIX), but certificate is not valid after 1",
            "out of date",
        ),
    ] {
        let diagnosis = of(OTHER, message);
        assert!(diagnosis.remedy.contains(says), "{message}: {diagnosis:?}");
        assert_eq!(diagnosis.retry, Retry::Never);
    }
    assert!(of(POOLER, "invalid peer certificate: UnknownIssuer").remedy.contains("not supported"));
}

/// What a statement meets has its advice too.
#[test]
fn statements_that_the_platform_stops_are_explained() {
    for (sqlstate, message, says) in [
        ("25006", "cannot execute CREATE TABLE in a read-only transaction", "disk is nearly full"),
        ("57014", "canceling statement due to statement timeout", "deploy.statement_timeout"),
        ("42P05", "prepared statement \"s1\" already exists", "port 5432"),
        ("26000", "prepared statement \"s1\" does not exist", "port 5432"),
        ("42501", "must be owner of table objects", "storage"),
        ("53100", "could not extend file", "disk"),
        ("42704", "type \"vector\" does not exist", "WITH SCHEMA extensions"),
    ] {
        let error = ServerError {
            sqlstate: sqlstate.into(),
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: None,
            constraint: None,
        };
        let remedy = crate::db::remedy(&error).unwrap_or_default();
        assert!(remedy.contains(says), "{message}: {remedy}");
    }
}
