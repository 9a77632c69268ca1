//! What a file may do to its session, to our lock and to our tables, and what becomes of that.

use crate::support::{Database, Project, postgres, proxy::Proxy};

const ONE: &str = "20260101000001_one";
const TWO: &str = "20260101000002_two";

fn versions(database: &Database) -> Vec<String> {
    database.column("SELECT version FROM lockkeeper.schema_migrations ORDER BY version")
}

/// Each way of leaving something behind, and the question that the next file asks of it.
#[test]
fn nothing_leaks_from_one_file_into_the_next() {
    let leaks = [
        ("SET search_path = pg_temp", "current_setting('search_path') = '\"$user\", public, extensions'"),
        (
            "SELECT set_config('search_path', '', false)",
            "current_setting('search_path') = '\"$user\", public, extensions'",
        ),
        ("SET ROLE weak", "current_user = 'postgres'"),
        ("SET SESSION AUTHORIZATION weak", "session_user = 'postgres' AND current_user = 'postgres'"),
        ("SET lock_timeout = '9s'", "current_setting('lock_timeout') = '3s'"),
        ("SET statement_timeout = '9s'", "current_setting('statement_timeout') = '0'"),
        (
            "SET idle_in_transaction_session_timeout = '9s'",
            "current_setting('idle_in_transaction_session_timeout') = '1min'",
        ),
        (
            "SET client_connection_check_interval = 0",
            "current_setting('client_connection_check_interval') = '2s'",
        ),
        ("SET session_replication_role = replica", "current_setting('session_replication_role') = 'origin'"),
        ("SET default_transaction_read_only = on", "current_setting('transaction_read_only') = 'off'"),
        (
            "SET default_transaction_isolation = serializable",
            "current_setting('transaction_isolation') = 'read committed'",
        ),
        ("SET standard_conforming_strings = off", "current_setting('standard_conforming_strings') = 'on'"),
        ("SET my.own = 'x'", "coalesce(current_setting('my.own', true), '') = ''"),
        ("CREATE TEMP TABLE mine (id int)", "to_regclass('pg_temp.mine') IS NULL"),
        ("PREPARE mine AS SELECT 1", "NOT EXISTS (SELECT FROM pg_prepared_statements)"),
        (
            "DECLARE mine CURSOR WITH HOLD FOR SELECT 1",
            "NOT EXISTS (SELECT FROM pg_cursors WHERE name = 'mine')",
        ),
        ("LISTEN mine", "NOT EXISTS (SELECT FROM pg_listening_channels())"),
        (
            "SELECT pg_advisory_lock(42)",
            "NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND pid = pg_backend_pid())",
        ),
        ("SELECT nextval('numbers')", "NOT pg_temp.has_currval()"),
    ];
    let helper = "CREATE FUNCTION pg_temp.has_currval() RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN \
                  PERFORM currval('numbers'); RETURN true; EXCEPTION WHEN OTHERS THEN RETURN false; END $f$;";
    for (leak, question) in leaks {
        let (project, database) = (Project::new(), Database::create());
        database.execute(
            "DO $$ BEGIN CREATE ROLE weak; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
        );
        project.migration("1_first", "CREATE TABLE seen (clean boolean); CREATE SEQUENCE numbers;", "");
        project.migration("2_leak", &format!("{leak};"), "");
        project.migration("3_look", &format!("{helper} INSERT INTO seen VALUES ({question});"), "");
        project.run_on(&database.url(), &["up", "--skip-check"]).expect(0);
        assert_eq!(database.column("SELECT clean FROM seen"), ["t"], "{leak}");
        assert_eq!(versions(&database).len(), 3, "{leak}");
    }
}

/// How many advisory locks the session holds while nothing of ours is open: one, the deploy's.
const LOOK: &str = "CREATE PROCEDURE look() LANGUAGE sql AS $$ INSERT INTO seen SELECT count(*), 'locks' FROM pg_locks \
                    WHERE locktype = 'advisory' AND pid = pg_backend_pid() $$;\nCALL look();";

/// The same outside a transaction, where `DISCARD ALL` can run too and takes our lock with it.
#[test]
fn nothing_leaks_out_of_a_step() {
    let (project, database) = (Project::new(), Database::create());
    let up = "-- lockkeeper: transaction off\nSET search_path = pg_temp;\nSET work_mem = '65kB';\nSELECT pg_advisory_lock(42);\n\
              DISCARD ALL;\n\
              CREATE TABLE public.seen AS SELECT current_setting('search_path') AS what, current_setting('work_mem') AS value;\n\
              SELECT pg_advisory_unlock_all();\n";
    project.migration(ONE, &format!("{up}{LOOK}"), "");
    project.run_on(&database.url(), &["up", "--skip-check"]).expect(0);
    let seen = database.column("SELECT what || ' ' || value FROM seen");
    assert_eq!(seen, ["\"$user\", public, extensions 4MB", "1 locks"]);
}

/// A file that releases our lock: it is ours again before anybody else can take it.
#[test]
fn a_file_cannot_give_our_lock_away() {
    let (project, database) = (Project::new(), Database::create());
    project.migration(ONE, "SELECT pg_advisory_unlock_all(); CREATE TABLE seen (what text, value text);", "");
    project.migration(TWO, &format!("-- lockkeeper: transaction off\n{LOOK}"), "");
    project.run_on(&database.url(), &["up", "--skip-check"]).expect(0);
    assert_eq!(database.value("SELECT what FROM seen"), "1");
}

/// Whatever a file does to our tables, it is seen before it commits, and its statement is named.
#[test]
fn a_file_that_lays_hands_on_the_history_is_rolled_back() {
    for (harm, line) in [
        ("DROP SCHEMA lockkeeper CASCADE", 3),
        ("DROP TABLE lockkeeper.schema_migrations", 3),
        ("ALTER SCHEMA lockkeeper RENAME TO other", 3),
        ("ALTER TABLE lockkeeper.schema_migrations RENAME TO other", 3),
        ("ALTER TABLE lockkeeper.schema_migrations SET SCHEMA public", 3),
        ("ALTER TABLE lockkeeper.schema_migrations DROP COLUMN checksum", 3),
        ("ALTER TABLE lockkeeper.migration_runs DISABLE TRIGGER append_only", 3),
        ("DELETE FROM lockkeeper.schema_migrations WHERE version = 20260101000001", 3),
        ("UPDATE lockkeeper.schema_migrations SET checksum = 'x'", 3),
        ("INSERT INTO lockkeeper.schema_migrations (version, description) VALUES (9, 'forged')", 3),
        ("TRUNCATE lockkeeper.schema_migrations", 3),
        ("TRUNCATE lockkeeper.migration_runs", 3),
        ("DO $$ BEGIN EXECUTE 'DELETE FROM lockkeeper.' || 'applied_texts'; END $$", 3),
        // Through a function, so no statement speaks of our tables: then it is the last one.
        ("SELECT public.innocent()", 4),
    ] {
        let (project, database) = (Project::new(), Database::create());
        let innocent = "CREATE FUNCTION public.innocent() RETURNS void LANGUAGE sql AS 'DELETE FROM lockkeeper.schema_migrations';";
        project.migration(ONE, &format!("CREATE TABLE one (id int); {innocent}"), "");
        project.run_on(&database.url(), &["up", "--skip-check"]).expect(0);
        let before = database.column("SELECT m::text FROM lockkeeper.schema_migrations m");
        project.migration(TWO, &format!("CREATE TABLE two (id int);\n{harm};\nSELECT 1;"), "");
        let ran = project.run_on(&database.url(), &["up", "--skip-check", "--format", "json"]).expect(4);
        let failed = &ran.json()["failed"];
        assert_eq!(failed["state"], "rolled-back", "{harm}: {failed}");
        assert_eq!(failed["line"], line, "{harm}: {failed}");
        let ran = ran.says("Lockkeeper's own history");
        assert!(ran.stderr.contains("lockkeeper repair"), "{}", ran.stderr);
        assert_eq!(database.column("SELECT m::text FROM lockkeeper.schema_migrations m"), before, "{harm}");
        assert_eq!(database.value("SELECT to_regclass('public.two') IS NULL"), "t", "{harm}");
        // It can be mended and goes on.
        project.migration(TWO, "CREATE TABLE two (id int);", "");
        project.run_on(&database.url(), &["up", "--skip-check"]).expect(0);
    }
}

/// To look at the history, or to let others look, changes nothing in it.
#[test]
fn a_file_may_read_the_history() {
    let (project, database) = (Project::new(), Database::create());
    let up = "CREATE TABLE one AS SELECT count(*) AS n FROM lockkeeper.migration_runs; GRANT USAGE ON SCHEMA lockkeeper TO PUBLIC; \
              GRANT SELECT ON ALL TABLES IN SCHEMA lockkeeper TO PUBLIC; ANALYZE lockkeeper.schema_migrations;";
    project.migration(ONE, up, "");
    project.run_on(&database.url(), &["up", "--skip-check"]).expect(0);
}

/// A procedure or a DO block that commits: the server refuses it inside our transaction, and nothing
/// of the file stays.
#[test]
fn a_commit_hidden_in_a_procedure_or_a_block_is_refused() {
    let body = "BEGIN INSERT INTO probe VALUES (1); COMMIT; INSERT INTO probe VALUES (2); END";
    for (hidden, line) in [
        (format!("CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ {body} $$;\nCALL p();"), 4),
        (format!("\nDO $$ {body} $$;"), 4),
        (format!("\nDO $$ BEGIN {body}; EXCEPTION WHEN division_by_zero THEN NULL; END $$;"), 4),
    ] {
        let (project, database) = (Project::new(), Database::create());
        project.migration(ONE, "CREATE TABLE probe (n int);", "");
        project.migration(TWO, &format!("CREATE TABLE two (id int);\n{hidden}"), "");
        let ran = project.run_on(&database.url(), &["up", "--skip-check", "--format", "json"]).expect(4);
        let failed = &ran.json()["failed"];
        assert_eq!(failed["state"], "rolled-back", "{failed}");
        assert_eq!(failed["sqlstate"], "2D000", "{failed}");
        assert_eq!(failed["line"], line, "{failed}");
        ran.says("transaction off");
        assert_eq!(database.value("SELECT count(*) FROM probe"), "0");
        assert_eq!(database.value("SELECT to_regclass('two') IS NULL"), "t");
        assert_eq!(versions(&database).len(), 1);
    }
}

/// Should a COMMIT get past the reading of the file nevertheless, the transaction's number tells.
/// Something on the way puts one in here, which no file can.
#[test]
fn a_transaction_that_ended_by_itself_is_noticed() {
    let (project, database) = (Project::new(), Database::create());
    project.migration(ONE, "CREATE TABLE probe (n int);", "");
    project.run_on(&database.url(), &["up", "--skip-check"]).expect(0);
    let plain = "INSERT INTO probe SELECT 1 WHERE 'a long condition' <> ''";
    project.migration(TWO, &format!("{plain};\nINSERT INTO probe VALUES (2);"), "");
    let proxy = Proxy::replacing(postgres::server().port, plain, "INSERT INTO probe SELECT 1; COMMIT; BEGIN");
    let ran =
        project.run_on(&database.url_on(proxy.port), &["up", "--skip-check", "--format", "json"]).expect(5);
    assert_eq!(ran.json()["failed"]["state"], "partial");
    assert_eq!(ran.json()["failed"]["line"], 2);
    ran.says("ended the transaction by itself").says("lockkeeper repair 20260101000002 --applied|--reverted");
    // What came before is there, the rest and the record are not, and no run guesses.
    assert_eq!(database.column("SELECT n FROM probe"), ["1"]);
    assert_eq!(versions(&database).len(), 1);
    let status = project.run_on(&database.url(), &["status", "--format", "json"]).expect(0).json();
    assert_eq!(status["migrations"][1]["state"], "interrupted");
}
