//! Round trips counted, and the connection cut at every one of them: whatever happens, running `up`
//! again ends with schema, history and data as if nothing had happened.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{
    Database, Project, postgres,
    proxy::{Cut, Proxy},
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
    // Connecting, looking; asking through a second connection whether the proxy is a pooler (three);
    // locking and reading, making the history tables, two, the last look, unlocking.
    assert!(one.0 <= 11, "{one:?}");
    assert!(hundred.1 <= 5, "nothing to do: {hundred:?}");
}

/// What must be the same however a run went: tables, indexes, enum labels, history, and how often
/// each statement took effect.
fn picture(database: &Database) -> Vec<String> {
    let mut all = Vec::new();
    for sql in [
        "SELECT table_name || '.' || column_name || ' ' || data_type FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1",
        "SELECT pg_get_indexdef(indexrelid) || ' ' || indisvalid FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT enumlabel FROM pg_enum ORDER BY enumsortorder",
        "SELECT concat_ws('|', version, description, checksum, down_sql) FROM lockkeeper.schema_migrations ORDER BY version",
        "SELECT what FROM probe ORDER BY 1",
    ] {
        all.extend(database.column(sql));
    }
    all
}

fn project(files: &[(&str, &str)]) -> Project {
    let project = Project::new();
    for (name, up) in files {
        project.migration(name, up, "SELECT 1;");
    }
    project
}

/// Cuts at every flight of a run, before and after the server has seen it.
fn survives_every_cut(files: &[(&str, &str)]) {
    let project = project(files);
    let undisturbed = Database::create();
    let counting = Proxy::counting(postgres::server().port);
    project.run_on(&undisturbed.url_on(counting.port), &["up", "--skip-check"]).expect(0);
    let expected = picture(&undisturbed);
    let flights = counting.flights();
    let (next, runs) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    let (number, cut) = (n / 2 + 1, [Cut::Before, Cut::After][n % 2]);
                    if number > flights {
                        return;
                    }
                    let database = Database::create();
                    let proxy = Proxy::cutting(postgres::server().port, number, cut);
                    let ran = project.run_on(&database.url_on(proxy.port), &["up", "--skip-check"]);
                    assert!(proxy.fired(), "flight {number} of {flights} was never sent");
                    let mut log =
                        format!("cut {cut:?} {number} of {flights}: exit {:?}\n{}", ran.code, ran.stderr);
                    let mut code = ran.code;
                    for _ in 0..4 {
                        if code == Some(0) {
                            break;
                        }
                        assert!(matches!(code, Some(3..=5)), "{log}");
                        let again = project.run_on(&database.url(), &["up", "--skip-check"]);
                        log.push_str(&format!("again: exit {:?}\n{}", again.code, again.stderr));
                        code = again.code;
                    }
                    assert_eq!(code, Some(0), "{log}");
                    assert_eq!(picture(&database), expected, "{log}");
                    runs.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    println!("{} flights, {} cuts survived", flights, runs.load(Ordering::SeqCst));
    assert_eq!(runs.load(Ordering::SeqCst), flights * 2);
}

#[test]
fn transactional_files_survive_every_cut() {
    survives_every_cut(&[
        ("1_first", "CREATE TABLE probe (what text); INSERT INTO probe VALUES ('1');"),
        ("2_second", "CREATE TABLE two (id int); INSERT INTO probe VALUES ('2');"),
        ("3_third", "ALTER TABLE two ADD note text; INSERT INTO probe VALUES ('3');"),
    ]);
}

#[test]
fn files_outside_a_transaction_survive_every_cut() {
    survives_every_cut(&[
        (
            "1_first",
            "CREATE TABLE probe (what text); CREATE TABLE t (id int, note text); CREATE TYPE mood AS ENUM ('sad'); INSERT INTO t SELECT n, n::text FROM generate_series(1, 1000) n;",
        ),
        ("2_index", "CREATE INDEX CONCURRENTLY t_note ON t (lower(note)) WHERE id > 3;"),
        ("3_unique", "CREATE UNIQUE INDEX CONCURRENTLY ON t (id);"),
    ]);
}

#[test]
fn mixed_files_survive_every_cut() {
    survives_every_cut(&[
        (
            "1_first",
            "CREATE TABLE probe (what text); CREATE TABLE t (id int, note text); CREATE INDEX old ON t (note); CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE feelings (mood mood);",
        ),
        (
            "2_mixed",
            "INSERT INTO probe VALUES ('2a'); INSERT INTO probe VALUES ('2b'); CREATE INDEX CONCURRENTLY t_id ON t (id); ALTER TYPE mood ADD VALUE 'glad'; INSERT INTO feelings VALUES ('glad'); INSERT INTO probe VALUES ('2c'); DROP INDEX CONCURRENTLY old; REINDEX INDEX CONCURRENTLY t_id; VACUUM t;",
        ),
        ("3_last", "INSERT INTO probe VALUES ('3');"),
    ]);
}

#[test]
fn backfills_survive_every_cut() {
    survives_every_cut(&[
        (
            "1_first",
            "CREATE TABLE probe (what text); CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT n, 0 FROM generate_series(1, 25) n;",
        ),
        (
            "2_fill",
            "-- lockkeeper: backfill table=t key=id batch=10 pause=0ms\nUPDATE t SET n = n + 1;\nINSERT INTO probe SELECT id || ' ' || n FROM t;",
        ),
    ]);
}
