//! Servers that crash, sessions that are ended, replicas, roles without rights, full disks.

use std::{
    fs::OpenOptions,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::support::{Cluster, Database, Project, Ran, Random};

const UP: &[&str] = &["up", "--skip-check"];

/// Three files: a transaction, steps, both.
fn project() -> Project {
    let project = Project::new();
    project.migration(
        "1_first",
        "CREATE TABLE probe (what text); CREATE TABLE t (id int, note text); INSERT INTO t SELECT n, n::text FROM generate_series(1, 3000) n; INSERT INTO probe VALUES ('1');",
        "",
    );
    project.migration("2_index", "CREATE INDEX CONCURRENTLY t_note ON t (note);", "");
    project.migration(
        "3_mixed",
        "INSERT INTO probe VALUES ('3a'); SELECT pg_sleep(0.05); CREATE INDEX CONCURRENTLY t_id ON t (id); INSERT INTO probe VALUES ('3b'); VACUUM t; INSERT INTO probe VALUES ('3c');",
        "",
    );
    project
}

const PICTURE: &str = "SELECT what FROM probe UNION ALL SELECT 'v' || version FROM lockkeeper.schema_migrations \
                       UNION ALL SELECT indexrelid::regclass || ' ' || indisvalid FROM pg_index WHERE indrelid = 't'::regclass ORDER BY 1";

fn expected() -> Vec<&'static str> {
    vec!["1", "3a", "3b", "3c", "t_id true", "t_note true", "v1", "v2", "v3"]
}

/// `pg_terminate_backend` at random moments: what the runner was doing is undone or resumed.
#[test]
fn sessions_ended_at_random_do_no_harm() {
    let project = project();
    let ended = std::sync::atomic::AtomicUsize::new(0);
    for seed in 1..=12 {
        let database = Database::create();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut random, mut client) = (Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed)), database.client());
                let mut left = 8;
                while left > 0 && !over.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(3 + random.below(60)));
                    let sql = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity \
                               WHERE application_name LIKE 'lockkeeper%' AND datname = current_database()";
                    let count: i64 = client.query_one(sql, &[]).unwrap().get(0);
                    if count > 0 {
                        left -= 1;
                        ended.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
            let mut log = format!("seed {seed}\n");
            let mut code = None;
            for _ in 0..12 {
                let ran = project.run_on(&database.url(), UP);
                log.push_str(&format!("exit {:?}\n{}", ran.code, ran.stderr));
                code = ran.code;
                assert!(matches!(code, Some(0 | 3..=5)), "{log}");
                if code == Some(0) {
                    break;
                }
            }
            over.store(true, Ordering::SeqCst);
            assert_eq!(code, Some(0), "{log}");
            assert_eq!(database.column(PICTURE), expected(), "{log}");
        });
    }
    println!("{} sessions ended", ended.load(Ordering::SeqCst));
    assert!(ended.load(Ordering::SeqCst) > 0);
}

/// As a power cut of the server, again and again, in the middle of a run.
#[test]
fn a_server_that_crashes_does_no_harm() {
    let (project, cluster) = (project(), Cluster::start(""));
    let mut random = Random(0x5eed_1234_5678_9abc);
    let mut log = String::new();
    for _ in 0..4 {
        let child = project.start_on(&cluster.url(), UP);
        std::thread::sleep(Duration::from_millis(20 + random.below(400)));
        cluster.crash_and_restart();
        let ran = Ran::of(child.wait_with_output().unwrap());
        log.push_str(&format!("exit {:?}\n{}", ran.code, ran.stderr));
        assert!(matches!(ran.code, Some(0 | 3..=5)), "{log}");
    }
    for _ in 0..3 {
        let ran = project.run_on(&cluster.url(), UP);
        log.push_str(&format!("exit {:?}\n{}", ran.code, ran.stderr));
        if ran.code == Some(0) {
            break;
        }
    }
    assert_eq!(cluster.column(PICTURE), expected(), "{log}");
}

/// A replica can be looked at; it is never written to.
#[test]
fn a_replica_is_told_from_its_primary() {
    let (project, cluster) = (project(), Cluster::start(""));
    project.run_on(&cluster.url(), &["up", "--skip-check", "--steps", "1"]).expect(0);
    let replica = cluster.replica("");
    let there = "SELECT count(*) FROM pg_class WHERE relname = 'applied_texts'";
    while replica.column(there) != ["1"] {
        std::thread::sleep(Duration::from_millis(50));
    }
    let ran = project.run_on(&replica.url(), &["status"]).expect(0);
    assert!(ran.stdout.contains("1 applied"), "{}", ran.stdout);
    project.run_on(&replica.url(), &["plan"]).expect(0);
    project.run_on(&replica.url(), UP).expect(3).says("replica").says("primary");
    project.run_on(&cluster.url(), UP).expect(0);
    assert_eq!(cluster.column(PICTURE), expected());
    // With nothing to do there is nothing to refuse.
    while replica.column("SELECT count(*) FROM lockkeeper.schema_migrations") != ["3"] {
        std::thread::sleep(Duration::from_millis(50));
    }
    project.run_on(&replica.url(), UP).expect(0);
}

/// A backfill waits while a replica does not keep up.
#[test]
fn a_backfill_waits_for_a_replica() {
    let (project, cluster) = (Project::new(), Cluster::start(""));
    project.migration(
        "1_first",
        "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT n, 0 FROM generate_series(1, 40) n;",
        "",
    );
    project.run_on(&cluster.url(), UP).expect(0);
    project.migration(
        "2_fill",
        "-- lockkeeper: backfill table=t key=id batch=1 pause=400ms\nUPDATE t SET n = n + 1;",
        "",
    );
    let replica = cluster.replica("");
    replica.client().batch_execute("SELECT pg_wal_replay_pause()").unwrap();
    let mut child = project.start_on(&cluster.url(), UP);
    let mut said = String::new();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    while !said.contains("behind; waiting") {
        let read = std::io::BufRead::read_line(&mut stderr, &mut said).unwrap();
        assert!(read > 0, "it ended without a word about the replica:\n{said}");
    }
    replica.client().batch_execute("SELECT pg_wal_replay_resume()").unwrap();
    std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    assert_eq!(cluster.column("SELECT count(*) FROM t WHERE n = 1"), ["40"]);
}

#[test]
fn a_read_only_database_is_refused_before_anything_runs() {
    let (project, database) = (project(), Database::create());
    project.run_on(&database.url(), &["up", "--skip-check", "--steps", "1"]).expect(0);
    database.execute(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name));
    project.run_on(&database.url(), UP).expect(3).says("read-only");
    project.run_on(&database.url(), &["status"]).expect(0);
    assert_eq!(database.value("SELECT count(*) FROM lockkeeper.schema_migrations"), "1");
}

#[test]
fn missing_privileges_are_named_and_nothing_is_half_done() {
    let (project, database) = (project(), Database::create());
    database.execute(
        "DO $$ BEGIN CREATE ROLE powerless LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$; \
         REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    );
    let url = database.url().replace("postgres@", "powerless@");
    // No right to make the history's schema.
    project.run_on(&url, UP).expect(3).says("history tables cannot be made").says("CREATE SCHEMA");
    // A history that may be read and not written.
    project.run_on(&database.url(), &["up", "--skip-check", "--steps", "1"]).expect(0);
    project.run_on(&url, &["status"]).expect(3).says("may not read the history");
    database.execute("GRANT USAGE ON SCHEMA lockkeeper TO powerless; GRANT SELECT ON ALL TABLES IN SCHEMA lockkeeper TO powerless");
    project.run_on(&url, &["status"]).expect(0);
    let ran = project.run_on(&url, &["up", "--skip-check", "--format", "json"]);
    assert!(matches!(ran.code, Some(3 | 4)), "{:?} {}", ran.code, ran.stderr);
    assert!(ran.stderr.contains("permission denied"), "{}", ran.stderr);
    // A history that may be written, of tables that may not.
    database.execute("GRANT ALL ON ALL TABLES IN SCHEMA lockkeeper TO powerless");
    project.migration("2_index", "INSERT INTO probe VALUES ('2');", "");
    let ran = project.run_on(&url, &["up", "--skip-check", "--format", "json"]).expect(4);
    assert_eq!(ran.json()["failed"]["sqlstate"], "42501");
    assert_eq!(ran.json()["failed"]["line"], 2);
    ran.says("lacks a privilege");
    assert_eq!(database.column("SELECT version FROM lockkeeper.schema_migrations"), ["1"]);
}

/// The disk on which the runner's own files lie is full: the deploy is done and recorded, and what
/// could not be written is said.
#[test]
fn a_full_disk_of_the_runner_loses_nothing_of_the_deploy() {
    let full = || OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let (project, database) = (project(), Database::create());
    let ran = Ran::of(
        project
            .command(&["up", "--skip-check", "--format", "json"])
            .env("LOCKKEEPER_DATABASE_URL", database.url())
            .stdout(full())
            .stderr(Stdio::piped())
            .output()
            .unwrap(),
    );
    ran.expect(0).says("cannot be written to stdout").says("No space left");
    assert_eq!(database.column(PICTURE), expected());
    // What is nothing but its output fails with it.
    let check =
        project.command(&["check", "--shadow", "off", "--fail-on", "never"]).stdout(full()).output().unwrap();
    Ran::of(check).expect(2).says("No space left");
    project
        .run(&["check", "--shadow", "off", "--fail-on", "never", "--output", "json=/dev/full"])
        .expect(2)
        .says("/dev/full");
    project.run_on(&database.url(), &["stats", "--out", "/dev/full"]).expect(2).says("/dev/full");
    // The action's files.
    let (action, database) = (self::project(), Database::create());
    let ran = Ran::of(
        action
            .command(&["action"])
            .env("LOCKKEEPER_DATABASE_URL", database.url())
            .env("LOCKKEEPER_INPUT_COMMAND", "up")
            .env("LOCKKEEPER_INPUT_SKIP_CHECK", "true")
            .env("LOCKKEEPER_INPUT_COMMENT", "off")
            .env("GITHUB_OUTPUT", "/dev/full")
            .env("GITHUB_STEP_SUMMARY", "/dev/full")
            .env("RUNNER_TEMP", "/dev/full")
            .output()
            .unwrap(),
    );
    let ran = ran.expect(0);
    assert!(ran.stdout.contains("/dev/full cannot be written"), "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(database.column(PICTURE), expected());
}
