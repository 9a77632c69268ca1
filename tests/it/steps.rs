//! Files that cannot run in one transaction: failures part-way, leftovers, resuming.

use std::time::Duration;

use crate::support::{Database, Project, Ran};

const BASE: &str = "CREATE TABLE t (id int, note text); CREATE TABLE probe (what text);";

fn project(up: &str) -> Project {
    let project = Project::new();
    project.migration("1_base", BASE, "DROP TABLE t; DROP TABLE probe;");
    project.migration("2_steps", up, "SELECT 1;");
    project
}

fn state(project: &Project, database: &Database) -> String {
    let json = project.run_on(&database.url(), &["status", "--format", "json"]).expect(0).json();
    json["migrations"][1]["state"].as_str().unwrap().to_owned()
}

const UP: &[&str] = &["up", "--skip-check", "--format", "json"];

/// A unique build over duplicates leaves an INVALID index; with the data mended the next run drops
/// it, builds it again, and goes on.
#[test]
fn an_invalid_index_is_dropped_and_built_again() {
    let up = "INSERT INTO t VALUES (1), (1);\nCREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id);\nINSERT INTO probe VALUES ('after');";
    let (project, database) = (project(up), Database::create());
    let ran = project.run_on(&database.url(), UP).expect(5);
    assert_eq!(ran.json()["failed"]["state"], "partial");
    assert_eq!(ran.json()["failed"]["statement"], 2);
    assert_eq!(ran.json()["failed"]["line"], 3);
    assert_eq!(state(&project, &database), "interrupted");
    // Nothing has changed: it fails again, and the first statement is not run twice.
    project.run_on(&database.url(), UP).expect(5);
    assert_eq!(database.value("SELECT count(*) FROM t"), "2");
    database.execute("UPDATE t SET id = 2 WHERE ctid = (SELECT max(ctid) FROM t)");
    project.run_on(&database.url(), UP).expect(0).says("INVALID");
    assert_eq!(database.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_id'::regclass"), "t");
    assert_eq!(database.value("SELECT count(*) FROM probe"), "1");
    assert_eq!(state(&project, &database), "applied");
}

#[test]
fn a_first_step_that_leaves_nothing_is_rolled_back() {
    let (project, database) = (project("CREATE INDEX CONCURRENTLY i ON nope (id);"), Database::create());
    let ran = project.run_on(&database.url(), UP).expect(4);
    assert_eq!(ran.json()["failed"]["state"], "rolled-back");
    assert_eq!(ran.json()["failed"]["sqlstate"], "42P01");
    assert_eq!(state(&project, &database), "failed");
    project.migration("2_steps", "CREATE INDEX CONCURRENTLY i ON t (id);", "");
    project.run_on(&database.url(), UP).expect(0);
}

#[test]
fn done_steps_must_stay_and_later_ones_may_be_mended() {
    let broken = "INSERT INTO probe VALUES ('a');\nVACUUM t;\nSELECT 1/0;";
    let (project, database) = (project(broken), Database::create());
    project.run_on(&database.url(), UP).expect(5);
    project.migration("2_steps", "INSERT INTO probe VALUES ('b');\nVACUUM t;\nSELECT 1;", "");
    project.run_on(&database.url(), UP).expect(5).says("read differently now");
    project.migration("2_steps", "INSERT INTO probe VALUES ('a'); -- a comment\nVACUUM t;\nSELECT 1;", "");
    project.run_on(&database.url(), UP).expect(0);
    assert_eq!(database.column("SELECT what FROM probe"), ["a"]);
}

/// An orphan finished what its runner recorded as begun: the same index is adopted, another one is not.
#[test]
fn a_valid_index_is_adopted_only_when_it_is_the_same() {
    for (made, code) in [
        ("CREATE INDEX i ON t USING btree (lower(note)) WHERE (id > 3)", 0),
        ("CREATE INDEX i ON t (note)", 5),
        ("CREATE UNIQUE INDEX i ON t (lower(note)) WHERE id > 3", 5),
    ] {
        let up = "CREATE INDEX CONCURRENTLY i ON public.t (lower(note)) WHERE id > 3;";
        let (project, database) = (project(up), Database::create());
        project.run_on(&database.url(), &["up", "--skip-check", "--steps", "1"]).expect(0);
        database.execute(made);
        database.execute(
            "INSERT INTO lockkeeper.migration_runs (version, direction, outcome, started_at, statement_from, statement_to, statements, tool_version) \
             VALUES (2, 'up', 'started', now(), 1, 1, 1, 'x')",
        );
        assert_eq!(state(&project, &database), "interrupted");
        let ran = project.run_on(&database.url(), UP).expect(code);
        if code == 5 {
            ran.says("lockkeeper repair 2 --applied");
            project
                .run_on(&database.url(), &["repair", "2", "--applied", "--reason", "it will do"])
                .expect(0);
            assert_eq!(state(&project, &database), "applied");
        } else {
            ran.says("done already");
        }
    }
}

#[test]
fn an_index_of_that_name_is_not_taken_for_ours() {
    let (project, database) = (project("CREATE INDEX CONCURRENTLY i ON t (id);"), Database::create());
    project.run_on(&database.url(), &["up", "--skip-check", "--steps", "1"]).expect(0);
    database.execute("CREATE INDEX i ON t (id)");
    project.run_on(&database.url(), UP).expect(4).says("already exists");
}

#[test]
fn with_transaction_off_statements_commit_one_by_one() {
    let up = "-- lockkeeper: transaction off\nINSERT INTO probe VALUES ('a');\nINSERT INTO probe VALUES ('b');\nSELECT 1/0;";
    let (project, database) = (project(up), Database::create());
    let ran = project.run_on(&database.url(), UP).expect(5);
    assert_eq!(ran.json()["failed"]["statement"], 3);
    assert_eq!(database.value("SELECT count(*) FROM probe"), "2");
    project.migration("2_steps", &up.replace("1/0", "1"), "");
    project.run_on(&database.url(), UP).expect(0);
    assert_eq!(database.value("SELECT count(*) FROM probe"), "2");
}

#[test]
fn procedures_may_commit_with_transaction_off() {
    let up = "-- lockkeeper: transaction off\nCREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO probe VALUES ('1'); COMMIT; INSERT INTO probe VALUES ('2'); END $$;\nCALL p();";
    let (project, database) = (project(up), Database::create());
    project.run_on(&database.url(), UP).expect(0);
    assert_eq!(database.value("SELECT count(*) FROM probe"), "2");
}

#[test]
fn timeouts_of_the_file_count() {
    let (project, database) = (Project::new(), Database::create());
    let up = "-- lockkeeper: lock-timeout 1234ms\n-- lockkeeper: statement-timeout 5min\nCREATE TABLE seen AS SELECT current_setting('lock_timeout') AS l, current_setting('statement_timeout') AS s;";
    project.migration("1_timeouts", up, "");
    project.migration(
        "2_after",
        "INSERT INTO seen SELECT current_setting('lock_timeout'), current_setting('statement_timeout');",
        "",
    );
    project.run_on(&database.url(), UP).expect(0);
    assert_eq!(database.column("SELECT l || ' ' || s FROM seen"), ["1234ms 5min", "3s 0"]);
}

/// The runner dies hard while the server works: the server notices and gives up, and the next run
/// starts afresh.
#[test]
fn a_killed_runner_leaves_no_orphan() {
    let up = "INSERT INTO probe VALUES ('a'); SELECT pg_sleep(30);";
    let (project, database) = (project(up), Database::create());
    let mut child = project.start_on(&database.url(), UP);
    std::thread::sleep(Duration::from_millis(1000));
    child.kill().unwrap();
    child.wait().unwrap();
    project.migration("2_steps", "INSERT INTO probe VALUES ('b');", "");
    let begun = std::time::Instant::now();
    project.run_on(&database.url(), UP).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(database.column("SELECT what FROM probe"), ["b"]);
}

#[test]
fn an_interrupted_build_is_said_and_healed() {
    let (project, database) = (project("CREATE INDEX CONCURRENTLY i ON t (id);"), Database::create());
    project.run_on(&database.url(), &["up", "--skip-check", "--steps", "1"]).expect(0);
    // The build waits for this transaction to end.
    let mut old = database.client();
    old.batch_execute("BEGIN; INSERT INTO t VALUES (1)").unwrap();
    let child = project.start_on(&database.url(), UP);
    std::thread::sleep(Duration::from_millis(1000));
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap()).expect(130);
    assert_eq!(ran.json()["failed"]["state"], "partial", "{}", ran.stderr);
    old.batch_execute("COMMIT").unwrap();
    assert_eq!(state(&project, &database), "interrupted");
    project.run_on(&database.url(), UP).expect(0);
    assert_eq!(database.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"), "t");
}

#[test]
fn a_down_outside_a_transaction_goes_step_by_step() {
    let (project, database) = (project("CREATE INDEX CONCURRENTLY i ON t (id);"), Database::create());
    project.migration(
        "2_steps",
        "CREATE INDEX CONCURRENTLY i ON t (id);",
        "DROP INDEX CONCURRENTLY i;\nSELECT 1/0;",
    );
    project.run_on(&database.url(), UP).expect(0);
    project.run_on(&database.url(), &["down"]).expect(5);
    assert_eq!(state(&project, &database), "interrupted");
    project.run_on(&database.url(), UP).expect(5).says("the rollback of 2 stopped part-way");
    project.migration(
        "2_steps",
        "CREATE INDEX CONCURRENTLY i ON t (id);",
        "DROP INDEX CONCURRENTLY i;\nSELECT 1;",
    );
    project.run_on(&database.url(), &["down", "--down-from", "file"]).expect(0);
    assert_eq!(database.column("SELECT version FROM lockkeeper.schema_migrations"), ["1"]);
}

const FILL: &str = "ALTER TABLE t ADD filled int;\n\
                    -- lockkeeper: backfill table=t key=id batch=100 pause=0ms\n\
                    UPDATE t SET filled = coalesce(filled, 0) + 1 / (CASE WHEN id = 777 AND note = 'bad' THEN 0 ELSE 1 END);";

/// Each batch commits with the key it came to: a failure keeps what is done, and the next run changes
/// no row twice.
#[test]
fn a_backfill_runs_in_batches_and_resumes() {
    let (project, database) = (project(FILL), Database::create());
    project.run_on(&database.url(), &["up", "--skip-check", "--steps", "1"]).expect(0);
    database.execute("ALTER TABLE t ADD PRIMARY KEY (id); INSERT INTO t SELECT n, 'x' FROM generate_series(1, 1000) n; UPDATE t SET note = 'bad' WHERE id = 777");
    let ran = project.run_on(&database.url(), UP).expect(5);
    assert_eq!(ran.json()["failed"]["statement"], 2);
    assert_eq!(database.value("SELECT count(*) FROM t WHERE filled = 1"), "700");
    assert_eq!(state(&project, &database), "interrupted");
    database.execute("UPDATE t SET note = 'good' WHERE id = 777");
    project.run_on(&database.url(), UP).expect(0);
    assert_eq!(database.value("SELECT count(*) FROM t WHERE filled = 1"), "1000");
    assert_eq!(
        database.value("SELECT count(*) FROM lockkeeper.migration_runs WHERE outcome = 'batch-done'"),
        "10"
    );
}

/// The record of a step that an earlier run has begun, as that run writes it.
fn begun(database: &Database, statement: usize) {
    database.execute(&format!(
        "INSERT INTO lockkeeper.migration_runs (version, direction, outcome, started_at, statement_from, statement_to, statements, tool_version) \
         VALUES (2, 'up', 'started', now(), {statement}, {statement}, 3, 'x')"
    ));
}

/// The reason that is kept with the newest event of the migration.
fn reason(database: &Database, outcome: &str) -> String {
    database.value(&format!(
        "SELECT coalesce(reason, 'none') FROM lockkeeper.migration_runs WHERE version = 2 AND outcome = '{outcome}' ORDER BY id DESC LIMIT 1"
    ))
}

/// Starts `up`, and cancels it once the database says so.
fn cancel_when(project: &Project, database: &Database, sql: &str) {
    let child = project.start_on(&database.url(), UP);
    while database.value(sql) != "t" {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    Ran::of(child.wait_with_output().unwrap()).expect(130);
    assert_eq!(state(project, database), "interrupted");
}

#[test]
fn a_pending_detach_is_finalised() {
    let (project, database) =
        (project("ALTER TABLE parts DETACH PARTITION part CONCURRENTLY;"), Database::create());
    project.run_on(&database.url(), &["up", "--skip-check", "--steps", "1"]).expect(0);
    database.execute("CREATE TABLE parts (id int) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parts FOR VALUES FROM (1) TO (9)");
    let mut old = database.client();
    old.batch_execute("BEGIN; SELECT * FROM parts").unwrap();
    cancel_when(&project, &database, "SELECT bool_or(inhdetachpending) FROM pg_inherits");
    old.batch_execute("COMMIT").unwrap();
    project.run_on(&database.url(), UP).expect(0);
    assert_eq!(database.value("SELECT count(*) FROM pg_inherits"), "0");
    assert_eq!(reason(&database, "applied"), "healed: the detaching was pending and is finalised");
}

#[test]
fn what_an_interrupted_reindex_left_is_dropped() {
    let (project, database) = (project("REINDEX INDEX CONCURRENTLY t_note;"), Database::create());
    project.run_on(&database.url(), &["up", "--skip-check", "--steps", "1"]).expect(0);
    database.execute("CREATE INDEX t_note ON t (note)");
    let mut old = database.client();
    old.batch_execute("BEGIN; INSERT INTO t VALUES (1)").unwrap();
    let left = "SELECT count(*) > 0 FROM pg_class WHERE relname LIKE 't_note_ccnew%'";
    cancel_when(&project, &database, left);
    old.batch_execute("COMMIT").unwrap();
    // And what a second one, half-way through its end, would leave.
    database.execute("CREATE INDEX t_note_ccold1 ON t (note); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_note_ccold1'::regclass");
    project.run_on(&database.url(), UP).expect(0).says("which an interrupted REINDEX left");
    assert_eq!(
        database.column(
            "SELECT indexrelid::regclass || ' ' || indisvalid FROM pg_index WHERE indrelid = 't'::regclass"
        ),
        ["t_note true"]
    );
    assert!(reason(&database, "applied").starts_with("healed: dropped public.t_note_cc"));
}

#[test]
fn an_enum_value_that_is_there_is_not_added_again() {
    let up = "ALTER TYPE mood ADD VALUE 'glad';\nINSERT INTO feelings VALUES ('glad');";
    for known in [true, false] {
        let (project, database) = (project(up), Database::create());
        project.run_on(&database.url(), &["up", "--skip-check", "--steps", "1"]).expect(0);
        database.execute("CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE feelings (mood mood); ALTER TYPE mood ADD VALUE 'glad'");
        if known {
            begun(&database, 1);
            project
                .run_on(&database.url(), UP)
                .expect(0)
                .says("statement 1 is done already: the value is there");
            assert_eq!(reason(&database, "step-done"), "adopted: the value is there");
            assert_eq!(database.value("SELECT count(*) FROM feelings"), "1");
        } else {
            // Nobody of ours has begun it: then it is somebody else's, and the server's error stands.
            project.run_on(&database.url(), UP).expect(4).says("already exists");
        }
    }
}

/// An interrupted `DROP INDEX CONCURRENTLY` leaves the index, INVALID: it is dropped again. One that is
/// gone is taken for dropped.
#[test]
fn a_drop_goes_on_or_is_taken_for_done() {
    let (project, database) = (project("DROP INDEX CONCURRENTLY t_note;"), Database::create());
    project.run_on(&database.url(), &["up", "--skip-check", "--steps", "1"]).expect(0);
    database.execute("CREATE INDEX t_note ON t (note)");
    let mut old = database.client();
    old.batch_execute("BEGIN; INSERT INTO t VALUES (1)").unwrap();
    cancel_when(
        &project,
        &database,
        "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = 't_note'::regclass",
    );
    old.batch_execute("COMMIT").unwrap();
    database.execute("DROP INDEX t_note");
    project.run_on(&database.url(), UP).expect(0);
    assert_eq!(reason(&database, "applied"), "adopted: the index is gone");
}

/// What nothing tells is not guessed: the exact calls are printed, and both of them lead on.
#[test]
fn what_nobody_can_know_asks_for_repair() {
    let up = "-- lockkeeper: transaction off\nCREATE PROCEDURE p() LANGUAGE sql AS 'INSERT INTO probe VALUES (1)';\nCALL p();\nINSERT INTO probe VALUES ('after');";
    for (decision, after) in [("--applied", "applied"), ("--reverted", "pending")] {
        let (project, database) = (project(up), Database::create());
        project.run_on(&database.url(), &["up", "--skip-check", "--steps", "1"]).expect(0);
        begun(&database, 2);
        let ran = project.run_on(&database.url(), UP).expect(5);
        let ran = ran
            .says("statement 2 of 3 in migration 2: `CALL p()` was begun by an earlier run")
            .says("lockkeeper repair 2 --applied --reason")
            .says("lockkeeper repair 2 --reverted --reason");
        assert_eq!(ran.json()["failed"], serde_json::Value::Null);
        if decision == "--reverted" {
            database.execute("DROP PROCEDURE p()");
        }
        project.run_on(&database.url(), &["repair", "2", decision, "--reason", "looked at it"]).expect(0);
        assert_eq!(state(&project, &database), after);
        project.run_on(&database.url(), UP).expect(0);
        assert_eq!(state(&project, &database), "applied");
    }
}

/// The same directive in DOWN: in batches, with a resume, and by the text that was stored.
#[test]
fn a_backfill_on_the_way_down_runs_in_batches_and_resumes() {
    let (project, database) = (project("ALTER TABLE t ADD filled int;"), Database::create());
    let down = "-- lockkeeper: backfill table=t key=id batch=100 pause=0ms\n\
                UPDATE t SET filled = coalesce(filled, 0) + 1 / (CASE WHEN id = 777 AND note = 'bad' THEN 0 ELSE 1 END);";
    project.migration("2_steps", "ALTER TABLE t ADD filled int;", down);
    project.run_on(&database.url(), UP).expect(0);
    database.execute("ALTER TABLE t ADD PRIMARY KEY (id); INSERT INTO t SELECT n, 'x' FROM generate_series(1, 1000) n; UPDATE t SET note = 'bad' WHERE id = 777");
    project.run_on(&database.url(), &["down"]).expect(5);
    assert_eq!(database.value("SELECT count(*) FROM t WHERE filled = 1"), "700");
    assert_eq!(state(&project, &database), "interrupted");
    database.execute("UPDATE t SET note = 'good' WHERE id = 777");
    // The file is gone: the text out of the history says the same.
    project.remove("migrations/2_steps.sql");
    project.run_on(&database.url(), &["down"]).expect(0).says("going on in t behind 700");
    assert_eq!(database.value("SELECT count(*) FROM t WHERE filled = 1"), "1000");
    let batches =
        "SELECT count(*) FROM lockkeeper.migration_runs WHERE outcome = 'batch-done' AND direction = 'down'";
    assert_eq!(database.value(batches), "10");
}

/// Two backfills in one file: the second begins at the beginning. And what is decided by hand ends them.
#[test]
fn a_backfill_goes_on_from_its_own_key_only() {
    let up = "ALTER TABLE t ADD a int, ADD b int;\n\
              -- lockkeeper: backfill table=t key=id batch=10 pause=0ms\nUPDATE t SET a = 1;\n\
              -- lockkeeper: backfill table=t key=id batch=10 pause=0ms\nUPDATE t SET b = 1 / (CASE WHEN id = 25 THEN note::int ELSE 1 END);";
    let (project, database) = (project(up), Database::create());
    project.run_on(&database.url(), &["up", "--skip-check", "--steps", "1"]).expect(0);
    database.execute(
        "ALTER TABLE t ADD PRIMARY KEY (id); INSERT INTO t SELECT n, '0' FROM generate_series(1, 30) n",
    );
    let ran = project.run_on(&database.url(), UP).expect(5);
    assert_eq!(ran.json()["failed"]["statement"], 3);
    assert_eq!(database.value("SELECT count(a) || ' ' || count(b) FROM t"), "30 20");
    database.execute("UPDATE t SET note = '1'");
    project.run_on(&database.url(), UP).expect(0);
    assert_eq!(database.value("SELECT count(a) || ' ' || count(b) FROM t"), "30 30");
    // How long it took is known, from the last run on.
    let took = "SELECT execution_time_ms > 0 FROM lockkeeper.schema_migrations WHERE version = 2";
    assert_eq!(database.value(took), "t");
}
