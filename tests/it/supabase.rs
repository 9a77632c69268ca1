//! What only Supabase has: its management API, its pooler, roles that are lent, its certificates.

use std::net::IpAddr;

use crate::support::{
    Project, Ran,
    postgres::{connect, server},
    supabase::{HOST, REFERENCE, Supabase, TOKEN, Trouble, pooler},
};

/// Runs the program with the parts of an address of Supabase's, over the test's own way there.
fn run(project: &Project, api: &Supabase, ip: IpAddr, more: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command = project.command(arguments);
    command
        .env("SUPABASE_PROJECT_REF", REFERENCE)
        .env("SUPABASE_ACCESS_TOKEN", TOKEN)
        .env("SUPABASE_API_URL", &api.url)
        .env("PGHOSTADDR", ip.to_string())
        .env("PGSSLROOTCERT", &server().root_certificate)
        .envs(more.iter().copied());
    let ran = Ran::of(command.output().unwrap());
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(TOKEN), "{}{}", ran.stdout, ran.stderr);
    ran
}

/// A role of the test's own, which needs its password; the name is also what it is called at the pooler.
fn role(name: &str, password: &str, more: &str) {
    connect("postgres")
        .batch_execute(&format!(
            "DROP ROLE IF EXISTS \"{name}\"; CREATE ROLE \"{name}\" LOGIN NOINHERIT PASSWORD '{password}' IN ROLE with_passwords{more}"
        ))
        .unwrap();
}

/// No password anywhere: a role is lent, verified TLS to the pooler, work done as `postgres`, and the
/// role taken up again after a file has let go of it.
#[test]
fn without_a_password_a_role_is_lent() {
    let (project, api, ip) = (Project::new(), Supabase::start(), pooler());
    let lent = format!("cli_login_{}", std::process::id());
    role(&format!("{lent}.{REFERENCE}"), "lent-Pa$$word", ", postgres");
    api.state().lent = (lent.clone(), "lent-Pa$$word".into(), 300);
    project.write("lockkeeper.toml", "profile = \"postgres\"\n[history]\nschema = \"lk_lent\"\n");
    project.migration(
        "20260101000001_one",
        "CREATE TABLE lent_one (id bigint PRIMARY KEY); RESET ROLE; DISCARD TEMP;",
        "DROP TABLE lent_one;",
    );
    project.migration("20260101000002_two", "CREATE TABLE lent_two (id bigint PRIMARY KEY);", "DROP TABLE lent_two;");
    let ran = run(&project, &api, ip, &[], &["up"]).expect(0);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("lent-Pa$$word"));
    let mut database = connect("postgres");
    let owners = database
        .query_one(
            "SELECT string_agg(tableowner, ',' ORDER BY tablename) FROM pg_tables WHERE tablename LIKE 'lent_%' OR schemaname = 'lk_lent'",
            &[],
        )
        .unwrap()
        .get::<_, String>(0);
    assert!(owners.split(',').count() >= 4 && owners.split(',').all(|owner| owner == "postgres"), "{owners}");
    assert_eq!(
        api.asked(),
        ["GET /config/database/pooler", "POST /cli/login-role"],
        "one role for the whole run, and nothing asked that is not needed"
    );
    run(&project, &api, ip, &[], &["down", "--to", "0"]).expect(0);
    database.batch_execute(&format!("DROP SCHEMA lk_lent CASCADE; DROP ROLE \"{lent}.{REFERENCE}\"")).unwrap();
}

/// With a password the pooler alone is asked for; the connection is in session mode and verified.
#[test]
fn the_pooler_is_asked_for_and_verified() {
    let (project, api, ip) = (Project::new(), Supabase::start(), pooler());
    let user = format!("worker_{}", std::process::id());
    role(&format!("{user}.{REFERENCE}"), "own", "");
    api.state().pooler_user = format!("{user}.{REFERENCE}");
    let password = [("SUPABASE_DB_PASSWORD", "own")];
    let ran = run(&project, &api, ip, &password, &["doctor", "--format", "json"]);
    let checks = ran.json()["checks"].to_string();
    assert!(checks.contains(&format!("connected to {HOST}:5432/postgres")), "{checks}");
    assert!(checks.contains("sslmode verify-full"), "{checks}");
    // Without the test's root the certificate is not one of Supabase's.
    let own_roots = [password[0], ("PGSSLROOTCERT", "")];
    run(&project, &api, ip, &own_roots, &["status"]).expect(3).says("not signed by Supabase's own roots");
    for (host, pooler_user) in [
        ("pooler.supabase.com.evil.example", format!("{user}.{REFERENCE}")),
        (HOST, "postgres.someoneelsesproject".into()),
    ] {
        (api.state().pooler_host, api.state().pooler_user) = (host.into(), pooler_user);
        run(&project, &api, ip, &password, &["status"]).expect(3).says("no password was sent");
    }
    connect("postgres").batch_execute(&format!("DROP ROLE \"{user}.{REFERENCE}\"")).unwrap();
}

/// A wrong password is one failed login, whatever is asked of the API beside.
#[test]
fn a_wrong_password_is_tried_once() {
    let (project, api, ip) = (Project::new(), Supabase::start(), pooler());
    let user = format!("wrong_{}", std::process::id());
    role(&format!("{user}.{REFERENCE}"), "right", "");
    api.state().pooler_user = format!("{user}.{REFERENCE}");
    let ran = run(&project, &api, ip, &[("SUPABASE_DB_PASSWORD", "hunter2")], &["up"]).expect(3);
    assert!(!ran.stderr.contains("hunter2") && !ran.stderr.contains("trying again"), "{}", ran.stderr);
    let ran = ran.says("the *database* password").says("SUPABASE_DB_PASSWORD");
    assert_eq!(ran.stderr.matches("password authentication failed").count(), 1, "{}", ran.stderr);
    connect("postgres").batch_execute(&format!("DROP ROLE \"{user}.{REFERENCE}\"")).unwrap();
}

/// Every fault of the API is told in its own words, with what to do, without the token, and exit 3.
#[test]
fn faults_of_the_management_api_are_explained() {
    let (project, ip) = (Project::new(), pooler());
    let password = [("SUPABASE_DB_PASSWORD", "hunter2")];
    let pooler_path = "/config/database/pooler";
    for (trouble, says, tries) in [
        (Trouble::Status(401), "new SUPABASE_ACCESS_TOKEN", 1),
        (Trouble::Status(402), "plan", 1),
        (Trouble::Status(403), "database_pooling_config_read", 1),
        (Trouble::Status(404), "Check SUPABASE_PROJECT_REF", 1),
        (Trouble::Status(500), "answered 500", 3),
        (Trouble::Status(503), "answered 503", 3),
        (Trouble::Wait(0), "too many requests", 3),
        (Trouble::Limit(0), "too many requests", 3),
        (Trouble::Wait(3600), "Wait a minute", 1),
        (Trouble::Html, "not understood", 1),
        (Trouble::NotJson, "not understood", 1),
        (Trouble::RedirectElsewhere, "redirect, which is not followed", 1),
        (Trouble::Huge, "too long", 1),
    ] {
        let api = Supabase::start();
        api.trouble(pooler_path, trouble.clone(), 9);
        let ran = run(&project, &api, ip, &password, &["status"]).expect(3).says(says).says("help:");
        assert!(!ran.stderr.contains("hunter2") && !ran.stderr.contains("elsewhere"), "{}", ran.stderr);
        assert_eq!(api.asked().len(), tries, "{trouble:?}");
    }
    let api = Supabase::start();
    let wrong = [password[0], ("SUPABASE_ACCESS_TOKEN", "sbp_wrong")];
    run(&project, &api, ip, &wrong, &["status"]).expect(3).says("token is not accepted");
    let gone = [password[0], ("SUPABASE_API_URL", "http://127.0.0.1:1")];
    run(&project, &api, ip, &gone, &["status"]).expect(3).says("cannot be reached");
    // The same for a role to log in as.
    api.trouble("/cli/login-role", Trouble::Status(403), 1);
    run(&project, &api, ip, &[], &["status"]).expect(3).says("database_write");
    api.trouble("/cli/login-role", Trouble::NotJson, 1);
    let ran = run(&project, &api, ip, &[], &["status"]).expect(3).says("not understood");
    assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
}

/// What passes by itself is waited out.
#[test]
fn the_management_api_may_stumble() {
    let (project, ip) = (Project::new(), pooler());
    for trouble in [Trouble::Status(502), Trouble::Wait(1), Trouble::Limit(1), Trouble::Slow(300)] {
        let api = Supabase::start();
        api.trouble("/config/database/pooler", trouble.clone(), 1);
        let wrong = [("SUPABASE_DB_PASSWORD", "x"), ("PGSSLROOTCERT", "")];
        // It gets as far as the certificate.
        run(&project, &api, ip, &wrong, &["status"]).expect(3).says("Supabase's own roots");
        assert_eq!(api.asked().len(), if matches!(trouble, Trouble::Slow(_)) { 1 } else { 2 }, "{trouble:?}");
    }
}
