//! `doctor`: what it looks at, what it says to do, and that it changes nothing.

use serde_json::Value;

use crate::support::{Database, Project, Ran, postgres::server};

fn project() -> Project {
    let project = Project::new();
    project.migration("20260101000001_one", "CREATE TABLE one (id bigint PRIMARY KEY);", "DROP TABLE one;");
    project.write("lockkeeper.toml", "profile = \"postgres\"\n");
    project
}

/// Result and remedy of the checks about one thing.
#[track_caller]
fn checks(ran: &Ran, about: &str) -> Vec<(String, String)> {
    let document = ran.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = document["checks"].as_array().unwrap();
    for check in all {
        // Whatever is not in order says what to do.
        assert_eq!(check["result"] == "ok", check["remedy"].is_null(), "{check}");
    }
    let own = all.iter().filter(|check| check["check"] == about);
    own.map(|check| (text(&check["result"]), format!("{} {}", text(&check["what"]), text(&check["remedy"]))))
        .collect()
}

#[track_caller]
fn has(ran: &Ran, about: &str, result: &str, says: &str) {
    let found = checks(ran, about);
    assert!(
        found.iter().any(|(own, text)| own == result && text.contains(says)),
        "{about} {result} {says}: {found:?}"
    );
}

#[test]
fn everything_is_looked_at_and_nothing_changed() {
    let (project, database) = (project(), Database::create());
    let ran = project.run_on(&database.url(), &["doctor", "--format", "json"]).expect(0);
    for about in ["connection", "tls", "pooler", "role", "privileges", "history", "postgres", "github"] {
        assert!(!checks(&ran, about).is_empty(), "{about}: {}", ran.stdout);
    }
    has(&ran, "connection", "ok", "address from LOCKKEEPER_DATABASE_URL");
    has(&ran, "history", "ok", "may make schema lockkeeper");
    has(&ran, "role", "warning", "is a superuser");
    assert_eq!(database.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'lockkeeper'"), "0");
    // The same for a person.
    let ran = project.run_on(&database.url(), &["doctor"]).expect(0);
    assert!(ran.stdout.starts_with("ok           connected to 127.0.0.1"), "{}", ran.stdout);
    project.run_on(&database.url(), &["up"]).expect(0);
    let ran = project.run_on(&database.url(), &["doctor", "--format", "json"]).expect(0);
    has(&ran, "history", "ok", "has 1 applied migrations");
}

#[test]
fn what_a_role_may_not_do_is_told() {
    let (project, database) = (project(), Database::create());
    let role = format!("limited_{}", std::process::id());
    database.execute(&format!(
        "CREATE ROLE {role} LOGIN; REVOKE CREATE ON DATABASE {} FROM PUBLIC",
        database.name
    ));
    let url = database.url().replace("postgres@", &format!("{role}@"));
    let ran = project.run_on(&url, &["doctor", "--format", "json"]).expect(1);
    has(&ran, "history", "failed", "GRANT CREATE ON DATABASE");
    has(&ran, "privileges", "warning", "may not make objects in schema public");
    has(&ran, "role", "ok", "is no superuser");
    project.run_on(&database.url(), &["up"]).expect(0);
    let ran = project.run_on(&url, &["doctor", "--format", "json"]).expect(1);
    has(&ran, "history", "failed", "may not read the history");
    database.execute(&format!(
        "GRANT USAGE ON SCHEMA lockkeeper TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA lockkeeper TO {role}"
    ));
    let ran = project.run_on(&url, &["doctor", "--format", "json"]).expect(0);
    has(&ran, "privileges", "warning", "it can look, but not deploy");
    has(&ran, "privileges", "warning", "1 of 1 tables belong to others (public.one of postgres)");
    has(&ran, "privileges", "warning", "GRANT pg_read_all_stats");
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn tls_and_reading_only_are_told() {
    let (project, database) = (project(), Database::create());
    let address = format!("postgresql://postgres@localhost:{}/{}", server().port, database.name);
    for (options, says) in [
        ("sslmode=disable", "not encrypted, on this machine"),
        ("sslmode=require", "encrypted (sslmode require)"),
        (&format!("sslrootcert={}", server().root_certificate.display()), "encrypted (sslmode verify-full)"),
    ] {
        let ran = project.run_on(&format!("{address}?{options}"), &["doctor", "--format", "json"]).expect(0);
        has(&ran, "tls", "ok", says);
    }
    database.execute(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name));
    let ran = project.run_on(&database.url(), &["doctor", "--format", "json"]).expect(1);
    has(&ran, "privileges", "failed", "the database is read-only");
}

/// The rest is looked at although the database is not there, and the exit code is the database's.
#[test]
fn one_failure_does_not_hide_the_rest() {
    let project = project();
    for (url, code, says) in [
        ("postgresql://u:hunter2@127.0.0.1:1/x", 3, "Nothing listens there"),
        ("postgresql://u:hun@ter2@127.0.0.1:1/x", 2, "percent-encoded"),
        (
            "postgresql://postgres.abcdefghijklmnopqrst:hunter2@aws-0-x.pooler.supabase.com:6543/postgres",
            2,
            ":5432/postgres",
        ),
        ("mysql://u:hunter2@h/x", 2, "postgresql://"),
    ] {
        let ran = project.run_on(url, &["doctor", "--format", "json"]).expect(code);
        has(&ran, "connection", "failed", says);
        assert_eq!(checks(&ran, "postgres").len(), 1, "{}", ran.stdout);
        assert_eq!(checks(&ran, "github").len(), 1, "{}", ran.stdout);
        assert!(!ran.stdout.contains("ter2"), "{}", ran.stdout);
    }
    let ran = project.run(&["doctor", "--format", "json"]).expect(2);
    has(&ran, "connection", "failed", "LOCKKEEPER_DATABASE_URL");
}

#[test]
fn two_histories_and_the_webhook_are_told() {
    let (project, database) = (project(), Database::create());
    project.run_on(&database.url(), &["up"]).expect(0);
    database.execute(
        "CREATE SCHEMA supabase_migrations; CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY)",
    );
    project.write("lockkeeper.toml", "profile = \"postgres\"\n[webhook]\nurl_env = \"HOOK_URL\"\n");
    let ran = project.run_on(&database.url(), &["doctor", "--format", "json"]).expect(0);
    has(&ran, "history", "warning", "history.supabase = \"mirror\"");
    has(&ran, "webhook", "warning", "HOOK_URL");
    let mut command = project.command(&["doctor", "--format", "json"]);
    command.env("DATABASE_URL", database.url()).env("HOOK_URL", "https://example.com/secret-path");
    let ran = Ran::of(command.output().unwrap());
    has(&ran, "webhook", "ok", "nothing was sent");
    assert!(!ran.stdout.contains("secret-path"));
}
