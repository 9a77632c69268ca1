//! SIGINT and SIGTERM, wherever they arrive: exit 130, the record written, the lock released, the
//! outputs there.

use std::{
    process::{Child, Command},
    time::Duration,
};

use crate::support::{
    Database, Project, Ran, postgres,
    proxy::{Fault, Proxy, When},
};

const UP: &[&str] = &["up", "--skip-check", "--format", "json"];

fn signal(child: &Child, name: &str) {
    Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
}

fn wait_until(database: &Database, sql: &str) {
    while database.value(sql) != "t" {
        std::thread::sleep(Duration::from_millis(20));
    }
}

const SLEEPS: &str =
    "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
const LOCKS: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
const LAST: &str =
    "SELECT concat_ws('|', outcome, sqlstate, line) FROM lockkeeper.migration_runs ORDER BY id DESC LIMIT 1";

/// Starts `up`, waits until the database says so, sends the signal, and gives what came of it.
fn cancelled(project: &Project, database: &Database, until: &str, name: &str) -> Ran {
    let child = project.start_on(&database.url(), UP);
    wait_until(database, until);
    signal(&child, name);
    let ran = Ran::of(child.wait_with_output().unwrap()).expect(130);
    assert_eq!(database.value(LOCKS), "0", "the lock is released");
    ran
}

#[test]
fn in_a_transaction() {
    for name in ["-INT", "-TERM"] {
        let (project, database) = (Project::new(), Database::create());
        project.migration("1_slow", "CREATE TABLE one (id int);\nSELECT 1;\nSELECT\n pg_sleep(60);", "");
        let ran = cancelled(&project, &database, SLEEPS, name);
        let failed = &ran.json()["failed"];
        assert_eq!(failed["state"], "rolled-back");
        assert_eq!((failed["line"].as_u64(), failed["statement"].as_u64()), (Some(4), Some(3)), "{failed}");
        assert_eq!(ran.json()["pending"], serde_json::json!([1]));
        assert_eq!(database.value(LAST), "cancelled|57014|4");
        assert_eq!(database.value("SELECT to_regclass('one') IS NULL"), "t");
        ran.says("1_slow.sql:4; it was rolled back");
    }
}

#[test]
fn in_the_wait_for_another_deploy() {
    let (project, database) = (Project::new(), Database::create());
    project.migration("1_slow", "SELECT pg_sleep(60);", "");
    let first = project.start_on(&database.url(), UP);
    wait_until(&database, SLEEPS);
    let second = project.start_on(&database.url(), UP);
    let waits = "SELECT count(*) > 1 FROM pg_stat_activity WHERE application_name LIKE 'lockkeeper%' AND datname = current_database()";
    wait_until(&database, waits);
    std::thread::sleep(Duration::from_millis(300));
    signal(&second, "-TERM");
    let ran = Ran::of(second.wait_with_output().unwrap()).expect(130);
    assert_eq!(ran.json()["failed"], serde_json::Value::Null);
    assert_eq!(ran.json()["pending"], serde_json::json!([1]));
    signal(&first, "-TERM");
    Ran::of(first.wait_with_output().unwrap()).expect(130);
}

#[test]
fn in_the_pause_between_two_attempts() {
    let (project, database) = (Project::new(), Database::create());
    project.migration("1_first", "CREATE TABLE one (id int);", "");
    project.run_on(&database.url(), UP).expect(0);
    project.migration("2_alter", "SELECT 1;\nALTER TABLE one ADD plan text;", "");
    let mut blocker = database.client();
    blocker.batch_execute("BEGIN; SELECT * FROM one").unwrap();
    let mut child = project
        .start_on(&database.url(), &["up", "--skip-check", "--format", "json", "--lock-timeout", "1ms"]);
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    // Its pause is of seconds by now.
    while !said.contains("attempt 7 of 11") {
        assert!(std::io::BufRead::read_line(&mut stderr, &mut said).unwrap() > 0, "{said}");
    }
    signal(&child, "-INT");
    let ran = Ran::of(child.wait_with_output().unwrap()).expect(130);
    let failed = &ran.json()["failed"];
    assert_eq!((failed["line"].as_u64(), failed["statement"].as_u64()), (Some(3), Some(2)), "{failed}");
    assert_eq!(database.value(LAST), "cancelled|57014|3");
}

#[test]
fn in_a_backfill() {
    let (project, database) = (Project::new(), Database::create());
    project.migration(
        "1_first",
        "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT n, 0 FROM generate_series(1, 100) n;",
        "",
    );
    project.run_on(&database.url(), UP).expect(0);
    project.migration(
        "2_fill",
        "SELECT 1;\n-- lockkeeper: backfill table=t key=id batch=10 pause=100ms\nUPDATE t SET n = n + 1;",
        "",
    );
    let ran = cancelled(&project, &database, "SELECT count(*) > 20 FROM t WHERE n = 1", "-TERM");
    let failed = &ran.json()["failed"];
    assert_eq!(failed["state"], "partial");
    assert_eq!((failed["line"].as_u64(), failed["statement"].as_u64()), (Some(4), Some(2)), "{failed}");
    assert_eq!(database.value(LAST), "partial|57014|4");
    project.run_on(&database.url(), UP).expect(0).says("going on in t behind ");
    assert_eq!(database.value("SELECT count(*) FROM t WHERE n = 1"), "100");
}

#[test]
fn in_a_concurrent_build() {
    let (project, database) = (Project::new(), Database::create());
    project.migration("1_first", "CREATE TABLE t (id int);", "");
    project.run_on(&database.url(), UP).expect(0);
    project.migration("2_index", "SELECT 1;\nCREATE INDEX CONCURRENTLY i ON t (id);\nSELECT 2;", "");
    // The build waits for this transaction to end.
    let mut old = database.client();
    old.batch_execute("BEGIN; INSERT INTO t VALUES (1)").unwrap();
    let ran = cancelled(&project, &database, "SELECT to_regclass('i') IS NOT NULL", "-INT");
    let failed = &ran.json()["failed"];
    assert_eq!(failed["state"], "partial");
    assert_eq!((failed["line"].as_u64(), failed["statement"].as_u64()), (Some(3), Some(2)), "{failed}");
    assert_eq!(database.value(LAST), "partial|57014|3");
    ran.says("1 of its 3 statements are done, and running again goes on after them");
    old.batch_execute("COMMIT").unwrap();
    project.run_on(&database.url(), UP).expect(0);
    assert_eq!(database.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"), "t");
}

/// The server does not answer any more: after two seconds the run ends all the same, and tells.
#[test]
fn without_an_answer() {
    let (project, database) = (Project::new(), Database::create());
    project.migration("1_first", "CREATE TABLE one (id int);", "");
    project.migration("2_second", "CREATE TABLE two (id int);", "");
    let counting = Proxy::counting(postgres::server().port);
    let counted = Database::create();
    project.run_on(&counted.url_on(counting.port), UP).expect(0);
    // The last two are the look at the indexes and the unlocking; before them the COMMIT, and the second
    // file's statements.
    let proxy = Proxy::faulty(postgres::server().port, counting.flights() - 3, Fault::Swallow, When::After);
    let child = project.start_on(&database.url_on(proxy.port), UP);
    while !proxy.fired() {
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(&child, "-TERM");
    let ran = Ran::of(child.wait_with_output().unwrap()).expect(130);
    let json = ran.json();
    assert_eq!(json["applied"][0]["version"], 1, "{json}");
    assert_eq!(json["failed"]["version"], 2, "{json}");
    assert_eq!(json["failed"]["state"], "unknown", "{json}");
    assert_eq!(json["pending"], serde_json::json!([2]));
    ran.says("the server did not answer");
    project.run_on(&database.url(), UP).expect(0);
    assert_eq!(database.column("SELECT version FROM lockkeeper.schema_migrations ORDER BY 1"), ["1", "2"]);
}

/// Not even the login is answered.
#[test]
fn in_the_login() {
    let (project, database) = (Project::new(), Database::create());
    project.migration("1_first", "CREATE TABLE one (id int);", "");
    let proxy = Proxy::faulty(postgres::server().port, 1, Fault::Swallow, When::Before);
    let child = project.start_on(&database.url_on(proxy.port), UP);
    while !proxy.fired() {
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(&child, "-INT");
    let ran = Ran::of(child.wait_with_output().unwrap()).expect(130);
    assert_eq!(ran.json()["applied"], serde_json::json!([]));
    ran.says("the server did not answer");
}

/// The action's outputs are written too.
#[test]
fn in_the_action() {
    let (project, database) = (Project::new(), Database::create());
    project.migration("1_slow", "SELECT pg_sleep(60);", "");
    let output = project.path().join("output");
    let child = project
        .command(&["action"])
        .env("LOCKKEEPER_DATABASE_URL", database.url())
        .env("LOCKKEEPER_INPUT_COMMAND", "up")
        .env("LOCKKEEPER_INPUT_COMMENT", "off")
        .env("GITHUB_OUTPUT", &output)
        .env("RUNNER_TEMP", project.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_until(&database, SLEEPS);
    signal(&child, "-INT");
    Ran::of(child.wait_with_output().unwrap()).expect(130);
    let written = std::fs::read_to_string(&output).unwrap();
    for part in ["status<<", "\nfailed\n", "exit-code<<", "\n130\n", "pending<<", "\n[1]\n"] {
        assert!(written.contains(part), "no {part:?} in {written}");
    }
    assert_eq!(database.value(LAST), "cancelled|57014|2");
}
