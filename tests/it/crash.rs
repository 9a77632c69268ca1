//! Round trips counted, and harm done at every one of them: the connection cut, the runner killed, the
//! answer swallowed, before the server has seen the message and after. Whatever happens, running the
//! same command again ends with schema, history and data as if nothing had happened.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{
    Database, Project, Ran, postgres,
    proxy::{Fault, Proxy, When},
};

/// Two round trips a transactional migration, whatever their number.
#[test]
fn a_transactional_migration_takes_two_round_trips() {
    let flights = |count: usize| {
        let (project, database) = (Project::new(), Database::create());
        for n in 1..=count {
            project.migration(
                &format!("{n:03}_m"),
                &format!("CREATE TABLE m_{n} (id int); INSERT INTO m_{n} VALUES (1);"),
                &format!("DROP TABLE m_{n};"),
            );
        }
        let up = Proxy::counting(postgres::server().port);
        project.run_on(&database.url_on(up.port), &["up"]).expect(0);
        let nothing = Proxy::counting(postgres::server().port);
        project.run_on(&database.url_on(nothing.port), &["up"]).expect(0);
        let down = Proxy::counting(postgres::server().port);
        project.run_on(&database.url_on(down.port), &["down", "--to", "0", "--allow-data-loss"]).expect(0);
        (up.flights(), nothing.flights(), down.flights())
    };
    let (one, hundred) = (flights(1), flights(100));
    println!("round trips (up, nothing to do, down): 1 migration {one:?}, 100 migrations {hundred:?}");
    assert_eq!(hundred.0 - one.0, 2 * 99, "per migration: {one:?} {hundred:?}");
    // Connecting, looking; asking with a second connection whether the proxy is a pooler (eleven);
    // locking and reading, asking three times whether the lock stayed with us, making the history tables,
    // two, the last look, unlocking.
    assert!(one.0 <= 22, "{one:?}");
    // Connecting and looking, and no more.
    assert_eq!((one.1, hundred.1), (2, 2), "nothing to do");
}

/// With 5,000 applied, one look sees all of them: every checksum is compared.
#[test]
fn nothing_to_do_takes_four_round_trips_with_a_password_and_five_thousand_applied() {
    let (project, database) = (Project::new(), Database::create());
    for n in 1..=5000 {
        project.migration(&format!("{n:04}_m"), &format!("SELECT {n};"), "SELECT 0;");
    }
    project.run_on(&database.url(), &["baseline"]).expect(0);
    database.execute("GRANT USAGE ON SCHEMA lockkeeper TO with_password; GRANT SELECT ON ALL TABLES IN SCHEMA lockkeeper TO with_password");
    let proxy = Proxy::counting(postgres::server().port);
    let url =
        database.url_on(proxy.port).replace("postgres@", &format!("with_password:{}@", postgres::PASSWORD));
    project.run_on(&url, &["up"]).expect(0).says("nothing to apply");
    println!("round trips of nothing to do, 5,000 applied, with a password: {}", proxy.flights());
    assert!(proxy.flights() <= 4, "{}", proxy.flights());
    project.migration("2500_m", "SELECT 'something else';", "SELECT 0;");
    project.run_on(&url, &["up"]).expect(7).says("2500");
}

/// The answer to COMMIT never comes: the server is asked, and the report is never "maybe".
#[test]
fn what_became_of_a_commit_is_looked_up() {
    let project = Project::new();
    project.migration("1_first", "CREATE TABLE one (id int);", "DROP TABLE one;");
    let (counted, counting) = (Database::create(), Proxy::counting(postgres::server().port));
    project.run_on(&counted.url_on(counting.port), &["up"]).expect(0);
    // After it come the last look and the unlocking.
    let commit = counting.flights() - 2;
    for (when, code, outcomes, tables) in
        [(When::After, 0, &["applied", "resolved"][..], "1"), (When::Before, 4, &["failed"][..], "0")]
    {
        let database = Database::create();
        let proxy = Proxy::faulty(postgres::server().port, commit, Fault::Cut, when);
        let ran = project.run_on(&database.url_on(proxy.port), &["up", "--format", "json"]).expect(code);
        let ran = ran.says("lost at COMMIT; asking the server what became of it");
        let failed = &ran.json()["failed"];
        assert_eq!(failed.is_null(), code == 0, "{failed}");
        assert_eq!(
            database.column("SELECT outcome FROM lockkeeper.migration_runs ORDER BY id"),
            outcomes,
            "{when:?}"
        );
        assert_eq!(database.value("SELECT count(*) FROM pg_class WHERE relname = 'one'"), tables);
        // Either way it can be rolled back, or applied.
        project.run_on(&database.url(), &["up"]).expect(0);
        project.run_on(&database.url(), &["down"]).expect(0);
        assert_eq!(database.value("SELECT count(*) FROM pg_class WHERE relname = 'one'"), "0");
    }
}

/// What must be the same however a run went: tables, indexes, enum labels, history, and how often
/// each statement took effect.
fn picture(database: &Database) -> Vec<String> {
    let mut all = Vec::new();
    for sql in [
        "SELECT table_name || '.' || column_name || ' ' || data_type FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1",
        "SELECT pg_get_indexdef(indexrelid) || ' ' || indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT inhrelid::regclass || ' in ' || inhparent::regclass || ' ' || inhdetachpending FROM pg_inherits ORDER BY 1",
        "SELECT enumlabel FROM pg_enum ORDER BY enumsortorder",
        "SELECT concat_ws('|', version, description, checksum, down_sql) FROM lockkeeper.schema_migrations ORDER BY version",
        "SELECT version || ' ' || md5(up_sql) FROM lockkeeper.applied_texts ORDER BY version",
        "SELECT what FROM probe ORDER BY 1",
    ] {
        all.extend(database.column(sql));
    }
    all
}

type Files<'f> = &'f [(&'f str, &'f str, &'f str)];

fn project(files: Files<'_>) -> Project {
    let project = Project::new();
    for (name, up, down) in files {
        project.migration(name, up, down);
    }
    project
}

const UP: &[&str] = &["up", "--skip-check"];
/// The first file, with the probe's table, stays.
const DOWN: &[&str] = &["down", "--to", "1", "--allow-data-loss"];

/// Whether the proxy shows. Where it does, a run finds out first whether it is a pooler.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Hidden,
    Seen,
}

/// Does harm at every flight of a run that starts where `before` (a command) leads to.
fn survives_everything(way: Way, files: Files<'_>, before: Option<&[&str]>, line: &[&str]) {
    let port = postgres::server().port;
    let project = project(files);
    let start = Database::create();
    if let Some(before) = before {
        project.run_on(&start.url(), before).expect(0);
    }
    let undisturbed = Database::copy_of(&start);
    let counting = match way {
        Way::Hidden => Proxy::hidden(port),
        Way::Seen => Proxy::counting(port),
    };
    project.run_on(&undisturbed.url_through(&counting), line).expect(0);
    let expected = picture(&undisturbed);
    let flights = counting.flights();
    let faults = [Fault::Cut, Fault::Kill, Fault::Swallow];
    let cases: Vec<(usize, Fault, When)> = (1..=flights)
        .flat_map(|number| faults.map(|fault| (number, fault)))
        .flat_map(|(number, fault)| [When::Before, When::After].map(|when| (number, fault, when)))
        .collect();
    let (next, counts) = (AtomicUsize::new(0), Mutex::new(BTreeMap::<String, usize>::new()));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(&(number, fault, when)) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let database = Database::copy_of(&start);
                    let proxy = match way {
                        Way::Hidden => Proxy::hidden_faulty(port, number, fault, when),
                        Way::Seen => Proxy::faulty(port, number, fault, when),
                    };
                    let ran = disturbed(&project, &database, &proxy, fault, line);
                    let mut log = format!(
                        "{fault:?} {when:?} {number} of {flights}: exit {:?}\n{}",
                        ran.code, ran.stderr
                    );
                    assert!(proxy.fired(), "never sent: {log}");
                    let allowed: &[Option<i32>] = match fault {
                        Fault::Cut => &[Some(0), Some(3), Some(4), Some(5)],
                        Fault::Kill => &[None],
                        Fault::Swallow => &[Some(130)],
                    };
                    assert!(allowed.contains(&ran.code), "{log}");
                    let mut code = ran.code;
                    for _ in 0..4 {
                        if code == Some(0) {
                            break;
                        }
                        let again = project.run_on(&database.url(), line);
                        log.push_str(&format!("again: exit {:?}\n{}", again.code, again.stderr));
                        code = again.code;
                    }
                    assert_eq!(code, Some(0), "{log}");
                    assert_eq!(picture(&database), expected, "{log}");
                    *counts.lock().unwrap().entry(format!("{fault:?} {when:?}")).or_default() += 1;
                }
            });
        }
    });
    let counts = counts.into_inner().unwrap();
    println!("{}: {flights} messages, {} faults survived: {counts:?}", line[0], cases.len());
    assert_eq!(counts.values().sum::<usize>(), flights * 6);
}

/// One run with harm done to it. A runner that waits for a swallowed answer is ended as CI ends one.
fn disturbed(project: &Project, database: &Database, proxy: &Proxy, fault: Fault, line: &[&str]) -> Ran {
    let child = project.start_on(&database.url_through(proxy), line);
    let process = child.id();
    proxy.client_is(process);
    if fault == Fault::Swallow {
        while !proxy.fired() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::process::Command::new("kill").args(["-TERM", &process.to_string()]).status().unwrap();
    }
    Ran::of(child.wait_with_output().unwrap())
}

const TRANSACTIONAL: Files<'static> = &[
    ("1_first", "CREATE TABLE probe (what text); INSERT INTO probe VALUES ('1');", ""),
    (
        "2_second",
        "CREATE TABLE two (id int); INSERT INTO probe VALUES ('2');",
        "INSERT INTO probe VALUES ('2 down'); DROP TABLE two;",
    ),
    (
        "3_third",
        "CREATE TABLE three (id int, note text); INSERT INTO probe VALUES ('3');",
        "INSERT INTO probe VALUES ('3 down'); DROP TABLE three;",
    ),
];

#[test]
fn transactional_files_survive_everything() {
    survives_everything(Way::Seen, TRANSACTIONAL, None, UP);
}

#[test]
fn transactional_rollbacks_survive_everything() {
    survives_everything(Way::Hidden, TRANSACTIONAL, Some(UP), DOWN);
}

const OUTSIDE: Files<'static> = &[
    (
        "1_first",
        "CREATE TABLE probe (what text); CREATE TABLE t (id int, note text); INSERT INTO t SELECT n, n::text FROM generate_series(1, 1000) n;",
        "",
    ),
    (
        "2_index",
        "CREATE INDEX CONCURRENTLY t_note ON t (lower(note)) WHERE id > 3;",
        "DROP INDEX CONCURRENTLY t_note;",
    ),
    ("3_unique", "CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id);", "DROP INDEX CONCURRENTLY t_id;"),
];

#[test]
fn files_outside_a_transaction_survive_everything() {
    survives_everything(Way::Hidden, OUTSIDE, None, UP);
}

#[test]
fn rollbacks_outside_a_transaction_survive_everything() {
    survives_everything(Way::Hidden, OUTSIDE, Some(UP), DOWN);
}

const MIXED: Files<'static> = &[
    (
        "1_first",
        "CREATE TABLE probe (what text); CREATE TABLE t (id int, note text); CREATE INDEX old ON t (note); CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE feelings (mood mood); CREATE TABLE parts (id int) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parts FOR VALUES FROM (1) TO (9);",
        "",
    ),
    (
        "2_mixed",
        "INSERT INTO probe VALUES ('2a'); INSERT INTO probe VALUES ('2b'); CREATE INDEX CONCURRENTLY t_id ON t (id); ALTER TYPE mood ADD VALUE 'glad'; INSERT INTO feelings VALUES ('glad'); INSERT INTO probe VALUES ('2c'); DROP INDEX CONCURRENTLY old; REINDEX INDEX CONCURRENTLY t_id; ALTER TABLE parts DETACH PARTITION part CONCURRENTLY; VACUUM t;",
        "INSERT INTO probe VALUES ('2 down a'); CREATE INDEX CONCURRENTLY old ON t (note); INSERT INTO probe VALUES ('2 down b'); DROP INDEX CONCURRENTLY t_id; ALTER TABLE parts ATTACH PARTITION part FOR VALUES FROM (1) TO (9);",
    ),
    ("3_last", "INSERT INTO probe VALUES ('3');", "INSERT INTO probe VALUES ('3 down');"),
];

#[test]
fn mixed_files_survive_everything() {
    survives_everything(Way::Hidden, MIXED, None, UP);
}

#[test]
fn mixed_rollbacks_survive_everything() {
    survives_everything(Way::Hidden, MIXED, Some(UP), DOWN);
}

const BACKFILLS: Files<'static> = &[
    (
        "1_first",
        "CREATE TABLE probe (what text); CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT n, 0 FROM generate_series(1, 25) n;",
        "",
    ),
    (
        "2_fill",
        "-- lockkeeper: backfill table=t key=id batch=10 pause=0ms\nUPDATE t SET n = n + 1;\nINSERT INTO probe SELECT id || ' ' || n FROM t;",
        "-- lockkeeper: backfill table=t key=id batch=10 pause=0ms\nUPDATE t SET n = n - 1;\nINSERT INTO probe SELECT id || ' down ' || n FROM t;",
    ),
];

#[test]
fn backfills_survive_everything() {
    survives_everything(Way::Hidden, BACKFILLS, None, UP);
}

#[test]
fn backfills_on_the_way_down_survive_everything() {
    survives_everything(Way::Hidden, BACKFILLS, Some(UP), DOWN);
}
