//! What a rollback would lose: seen, counted, refused, and copied where that is asked.

use crate::support::{Database, Project, Ran};

/// A database with one migration applied, whose DOWN is given, and rows from `fill`.
fn scene(up: &str, down: &str, fill: &str) -> (Project, Database) {
    let (project, database) = (Project::new(), Database::create());
    project.write("lockkeeper.toml", "profile = \"postgres\"\n");
    project.migration("20260101000001_one", up, down);
    project.run_on(&database.url(), &["up", "--skip-check"]).expect(0);
    database.execute(fill);
    (project, database)
}

/// `down` is refused saying this, changes nothing, and goes through when it is allowed.
#[track_caller]
fn refused(up: &str, down: &str, fill: &str, says: &[&str]) {
    let (project, database) = scene(up, down, fill);
    let plan = project.run_on(&database.url(), &["down", "--dry-run"]).expect(0);
    let mut ran = project.run_on(&database.url(), &["down"]).expect(7);
    for text in says {
        assert!(plan.stdout.contains(text), "no {text:?} in the plan:\n{}", plan.stdout);
        ran = ran.says(text);
    }
    assert_eq!(database.value("SELECT count(*) FROM lockkeeper.schema_migrations"), "1");
    // A copy alone is no leave.
    project.run_on(&database.url(), &["down", "--archive"]).expect(7).says("--allow-data-loss");
    project.run_on(&database.url(), &["down", "--archive", "--allow-data-loss"]).expect(0);
    assert_eq!(database.value("SELECT count(*) FROM lockkeeper.schema_migrations"), "0");
}

/// `down` goes through as it is.
#[track_caller]
fn allowed(up: &str, down: &str, fill: &str) -> Ran {
    let (project, database) = scene(up, down, fill);
    project.run_on(&database.url(), &["down"]).expect(0)
}

const T: &str = "CREATE TABLE t (id bigint PRIMARY KEY, note text);";
const FILL: &str = "INSERT INTO t SELECT n, CASE WHEN n > 1 THEN 'x' END FROM generate_series(1, 3) n";

#[test]
fn what_drops_and_empties_is_counted() {
    refused(T, "DROP TABLE t;", FILL, &["table public.t with 3 rows"]);
    refused(
        T,
        "ALTER TABLE t DROP COLUMN note;",
        FILL,
        &["column public.t.note with 2 values that are not NULL"],
    );
    refused(T, "TRUNCATE t;", FILL, &["table public.t with 3 rows"]);
    refused(T, "DELETE FROM t;", FILL, &["table public.t with 3 rows"]);
    refused(T, "DELETE FROM t x WHERE x.id > 1 AND x.note = 'x';", FILL, &["2 rows of table public.t"]);
    refused(
        T,
        "DELETE FROM t USING (VALUES (1)) v (id) WHERE t.id = v.id;",
        FILL,
        &["an unknown number (not verified) of the 3 rows of table public.t"],
    );
    refused(
        T,
        "WITH gone AS (DELETE FROM t RETURNING id) SELECT count(*) FROM gone;",
        FILL,
        &["an unknown number (not verified) of the 3 rows"],
    );
    let with_u = format!("{T} CREATE TABLE u (id bigint PRIMARY KEY);");
    let fill_both = format!("{FILL}; INSERT INTO u VALUES (2)");
    refused(&with_u, "DELETE FROM t USING u WHERE t.id = u.id;", &fill_both, &["1 rows of table public.t"]);
}

#[test]
fn nothing_lost_is_nothing_to_refuse() {
    allowed(T, "DROP TABLE t;", "SELECT 1");
    allowed(T, "DELETE FROM t WHERE id = 7;", FILL);
    allowed(T, "ALTER TABLE t DROP COLUMN note;", "INSERT INTO t VALUES (1, NULL)");
    allowed(T, "CREATE INDEX t_note ON t (note); DROP INDEX t_note;", FILL);
    allowed(T, "DO $$ BEGIN IF true THEN ALTER TABLE t ALTER note SET DEFAULT 'a'; END IF; END $$;", FILL);
    // Made and dropped by the DOWN itself.
    allowed(T, "CREATE TABLE copy AS SELECT * FROM t; DROP TABLE copy;", FILL);
    // Rows stay, so it is told and goes on.
    allowed(T, "UPDATE t SET note = NULL WHERE id > 1;", FILL)
        .says("values in 2 rows of table public.t (overwritten; the rows stay)");
}

#[test]
fn do_blocks_are_looked_into_and_what_cannot_be_told_is_said() {
    refused(T, "DO $$ BEGIN DROP TABLE t; END $$;", FILL, &["table public.t with 3 rows"]);
    refused(T, "DO $$ BEGIN EXECUTE 'DELETE FROM t'; END $$;", FILL, &["table public.t with 3 rows"]);
    let literal = "DO $$ BEGIN EXECUTE format('DROP TABLE %I', 't'); END $$;";
    refused(T, literal, FILL, &["table public.t with 3 rows"]);
    refused(
        T,
        "DO $$ DECLARE n text := 't'; BEGIN EXECUTE format('DROP TABLE %I', n); END $$;",
        FILL,
        &["what cannot be told (not verified): a DO block runs SQL that it puts together itself"],
    );
    refused(
        T,
        "DO $$ DECLARE last bigint := 2; BEGIN DELETE FROM t WHERE id > last; END $$;",
        FILL,
        &["an unknown number of (not verified) rows of table public.t"],
    );
    let with_procedure = format!("{T} CREATE PROCEDURE p() LANGUAGE sql AS 'DELETE FROM t';");
    refused(&with_procedure, "CALL p();", FILL, &["a procedure, which is not read"]);
}

#[test]
fn what_goes_with_it_is_listed() {
    let with_view = format!("{T} CREATE VIEW v AS SELECT id FROM t;");
    refused(
        &with_view,
        "DROP TABLE t CASCADE;",
        FILL,
        &["table public.t with 3 rows", "view v (goes with it)"],
    );
    let with_type = "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (id bigint, mood mood);";
    refused(
        with_type,
        "DROP TYPE mood CASCADE;",
        "INSERT INTO t VALUES (1, 'sad'), (2, NULL)",
        &["column public.t.mood with 1 values"],
    );
    let with_schema = "CREATE SCHEMA s; CREATE TABLE s.t (id bigint);";
    refused(with_schema, "DROP SCHEMA s CASCADE;", "INSERT INTO s.t VALUES (1)", &["table s.t with 1 rows"]);
    let with_child = "CREATE TABLE parent (id bigint PRIMARY KEY); \
        CREATE TABLE child (id bigint PRIMARY KEY, parent bigint REFERENCES parent ON DELETE CASCADE); \
        CREATE TABLE grandchild (child bigint REFERENCES child ON DELETE CASCADE);";
    let family = "INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (1, 1), (2, 1), (3, 2); \
        INSERT INTO grandchild VALUES (1), (1), (3)";
    refused(
        with_child,
        "DELETE FROM parent WHERE id = 1;",
        family,
        &[
            "1 rows of table public.parent",
            "2 rows of table public.child (goes with it)",
            "2 rows of table public.grandchild (goes with it)",
        ],
    );
    refused(
        with_child,
        "TRUNCATE parent CASCADE;",
        family,
        &["table public.parent with 2 rows", "table public.child with 3 rows (goes with it)"],
    );
    let partitioned = "CREATE TABLE p (id bigint) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9);";
    let (project, database) = scene(partitioned, "DROP TABLE p;", "INSERT INTO p VALUES (1), (2)");
    let ran = project.run_on(&database.url(), &["down"]).expect(7).says("table public.p with 2 rows");
    assert!(!ran.stderr.contains("p1"), "counted twice: {}", ran.stderr);
}

/// A table that one step renames and another drops still bears its old name when the plan is made,
/// and its new one when its copy is.
#[test]
fn renamed_things_are_found() {
    let (project, database) = scene(T, "DROP TABLE t;", "SELECT 1");
    project.migration(
        "20260101000002_two",
        "ALTER TABLE t RENAME COLUMN note TO remark; ALTER TABLE t RENAME TO things;",
        "ALTER TABLE things RENAME TO t; ALTER TABLE t RENAME COLUMN remark TO note;",
    );
    project.migration(
        "20260101000003_three",
        "ALTER TABLE things ADD extra text;",
        "ALTER TABLE things RENAME COLUMN extra TO more; ALTER TABLE things DROP COLUMN more;",
    );
    let url = database.url();
    project.run_on(&url, &["up", "--skip-check"]).expect(0);
    database.execute("INSERT INTO things VALUES (1, 'a', 'b'), (2, 'c', NULL)");
    project
        .run_on(&url, &["down", "--to", "0"])
        .expect(7)
        .says("table public.things with 2 rows")
        .says("column public.things.extra with 1 values");
    project.run_on(&url, &["down", "--to", "0", "--allow-data-loss", "--archive"]).expect(0);
    let copies = "SELECT tablename FROM pg_tables WHERE schemaname = 'lockkeeper_archive' ORDER BY 1";
    let copies = database.column(copies);
    assert_eq!(copies.len(), 2, "{copies:?}");
    assert!(copies[0].starts_with("20260101000001_public_t_"), "{copies:?}");
    assert_eq!(database.value(&format!("SELECT count(note) FROM lockkeeper_archive.\"{}\"", copies[0])), "2");
    assert_eq!(
        database.value(&format!("SELECT count(extra) FROM lockkeeper_archive.\"{}\"", copies[1])),
        "1"
    );
}

/// The copy holds what went and nothing else, and is gone again when the rollback fails.
#[test]
fn the_archive_is_in_the_same_transaction() {
    let (project, database) = scene(
        T,
        "DELETE FROM t WHERE id > 1; SELECT 1 / (SELECT count(*) FROM t WHERE note = 'ready')::int;",
        FILL,
    );
    let (url, both) = (database.url(), ["down", "--archive", "--allow-data-loss"]);
    project.run_on(&url, &both).expect(4);
    assert_eq!(database.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'lockkeeper_archive'"), "0");
    assert_eq!(database.value("SELECT count(*) FROM t"), "3");
    database.execute("UPDATE t SET note = 'ready' WHERE id = 1");
    project.run_on(&url, &both).expect(0);
    let name = database.value("SELECT tablename FROM pg_tables WHERE schemaname = 'lockkeeper_archive'");
    assert_eq!(
        database.column(&format!("SELECT id FROM lockkeeper_archive.\"{name}\" ORDER BY 1")),
        ["2", "3"]
    );
    let secured =
        "SELECT relrowsecurity FROM pg_class WHERE relnamespace = 'lockkeeper_archive'::regnamespace";
    assert_eq!(database.value(secured), "t");
}

/// Above a hundred thousand rows an estimate has to do, and is said to be one.
#[test]
fn many_rows_are_estimated() {
    let (project, database) =
        scene(T, "DROP TABLE t;", "INSERT INTO t SELECT n, 'x' FROM generate_series(1, 120000) n; ANALYZE t");
    project.run_on(&database.url(), &["down"]).expect(7).says("table public.t with about 120000 rows");
}

/// A role that may not read a table cannot know it to be empty.
#[test]
fn what_may_not_be_read_is_not_taken_for_empty() {
    let (project, database) = scene(T, "DROP TABLE t;", "SELECT 1");
    database.execute(
        "DO $$ BEGIN CREATE ROLE blind LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
         GRANT USAGE ON SCHEMA lockkeeper TO blind; GRANT SELECT ON ALL TABLES IN SCHEMA lockkeeper TO blind",
    );
    let url = database.url().replace("postgres@", "blind@");
    let ran = project.run_on(&url, &["down", "--dry-run"]).expect(0);
    assert!(ran.stdout.contains("an unknown number of (not verified) rows"), "{}", ran.stdout);
}
