//! `up`, `down`, `status` and the rest of what touches a target.

use std::time::{Duration, Instant};

use crate::support::{Database, Project, Ran};

const ONE: &str = "20260101000001_one";
const TWO: &str = "20260101000002_two";
const THREE: &str = "20260101000003_three";

/// Three tables, one a file.
fn three() -> Project {
    let project = Project::new();
    for (name, table) in [(ONE, "one"), (TWO, "two"), (THREE, "three")] {
        let up = format!("CREATE TABLE {table} (id bigint PRIMARY KEY, note text);");
        project.migration(name, &up, &format!("DROP TABLE {table};"));
    }
    project
}

fn versions(database: &Database) -> Vec<String> {
    database.column("SELECT version FROM lockkeeper.schema_migrations ORDER BY version")
}

fn tables(database: &Database) -> Vec<String> {
    database.column("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
}

fn states(project: &Project, database: &Database) -> Vec<String> {
    let status = project.run_on(&database.url(), &["status", "--format", "json"]).expect(0).json();
    let rows = status["migrations"].as_array().unwrap().clone();
    rows.iter().map(|row| format!("{} {}", row["version"], row["state"].as_str().unwrap())).collect()
}

#[test]
fn up_applies_in_order_and_records() {
    let (project, database) = (three(), Database::create());
    let ran = project.run_on(&database.url(), &["up", "--format", "json"]).expect(0);
    let json = ran.json();
    assert_eq!(json["applied"].as_array().unwrap().len(), 3, "{json}");
    assert_eq!(json["failed"], serde_json::Value::Null);
    assert_eq!(json["pending"], serde_json::json!([]));
    ran.says("applied 20260101000001 one in ");
    assert_eq!(tables(&database), ["one", "three", "two"]);
    let row = database.value(
        "SELECT concat_ws('|', description, applied_by, execution_time_ms >= 0, checksum ~ '^sha256:[0-9a-f]{64}$', \
         down_sql ~ 'DROP TABLE one', down_checksum ~ '^sha256:') FROM lockkeeper.schema_migrations ORDER BY version LIMIT 1",
    );
    assert_eq!(row, "one|tester|t|t|t|t");
    assert_eq!(
        database.column("SELECT outcome FROM lockkeeper.migration_runs ORDER BY id"),
        ["applied", "applied", "applied"]
    );
    project.run_on(&database.url(), &["up"]).expect(0).says("nothing to apply");
    assert_eq!(
        states(&project, &database),
        ["20260101000001 applied", "20260101000002 applied", "20260101000003 applied"]
    );
}

#[test]
fn steps_and_to_limit_what_is_applied() {
    let (project, database) = (three(), Database::create());
    let ran = project.run_on(&database.url(), &["up", "--steps", "1", "--format", "json"]).expect(0);
    assert_eq!(versions(&database), ["20260101000001"]);
    let waiting = serde_json::json!([20_260_101_000_002_i64, 20_260_101_000_003_i64]);
    assert_eq!(ran.json()["pending"], waiting, "what the options leave out is still to apply");
    project.run_on(&database.url(), &["up", "--to", "20260101000002"]).expect(0);
    assert_eq!(versions(&database), ["20260101000001", "20260101000002"]);
    project.run_on(&database.url(), &["up", "--to", "20269999999999"]).expect(2);
}

#[test]
fn the_table_of_what_is_applied_has_the_promised_columns() {
    let (project, database) = (three(), Database::create());
    let ran = project.run_on(&database.url(), &["up", "-q"]).expect(0);
    assert_eq!(ran.stdout, "", "quiet");
    let columns = "SELECT concat_ws(' ', column_name, data_type, is_nullable, column_default) FROM information_schema.columns \
                   WHERE table_schema = 'lockkeeper' AND table_name = 'schema_migrations' ORDER BY ordinal_position";
    assert_eq!(
        database.column(columns),
        [
            "version bigint NO",
            "description text NO",
            "applied_at timestamp with time zone NO now()",
            "applied_by text YES",
            "execution_time_ms integer YES",
            "checksum text YES",
            "down_sql text YES",
            "down_checksum text YES",
        ]
    );
    // The texts live beside it, and go with the row.
    assert_eq!(database.value("SELECT count(*) FROM lockkeeper.applied_texts"), "3");
    project.run_on(&database.url(), &["down"]).expect(0);
    assert_eq!(database.value("SELECT count(*) FROM lockkeeper.applied_texts"), "2");
    // A role that may not read them still sees what is applied.
    database.execute(
        "DO $$ BEGIN CREATE ROLE half LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
         GRANT USAGE ON SCHEMA lockkeeper TO half; \
         GRANT SELECT ON lockkeeper.schema_migrations, lockkeeper.migration_runs, lockkeeper.history_steps TO half",
    );
    let path = "migrations/20260101000001_one.sql";
    let text = std::fs::read_to_string(project.path().join(path)).unwrap();
    project.write(path, &format!("{text}\nSELECT 1;"));
    let url = database.url().replace("postgres@", "half@");
    project.run_on(&url, &["status"]).expect(0);
}

/// What only Supabase's API makes dangerous is an error where that API is.
#[test]
fn up_checks_for_the_database_that_it_meets() {
    let (project, database) = (Project::new(), Database::create());
    project.migration(ONE, "CREATE TABLE one (id bigint PRIMARY KEY);", "DROP TABLE one;");
    project.run_on(&database.url(), &["up"]).expect(0);
    database.execute(
        "DO $$ BEGIN CREATE ROLE anon; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$; CREATE SCHEMA auth",
    );
    project.migration(TWO, "CREATE TABLE two (id bigint PRIMARY KEY);", "DROP TABLE two;");
    project.run_on(&database.url(), &["up"]).expect(7).says("rls-not-enabled");
}

#[test]
fn doctor_looks_beyond_the_database() {
    let (project, database) = (Project::new(), Database::create());
    project.write("migrations/.keep", "");
    let ran = project.run_on(&database.url(), &["doctor"]).expect(0);
    assert!(ran.stdout.contains("can run a shadow"), "{}", ran.stdout);
    assert!(ran.stdout.contains("not verified there is no GitHub token"), "{}", ran.stdout);
    let ran =
        project.run_on("postgres://postgres@127.0.0.1:1/none", &["doctor", "--format", "json"]).expect(3);
    assert_eq!(ran.json()["checks"][0]["result"], "failed");
}

#[test]
fn a_dry_run_and_readers_create_nothing() {
    let (project, database) = (three(), Database::create());
    for command in
        [&["up", "--dry-run"][..], &["plan"], &["status"], &["doctor"], &["verify", "--no-invalid"]]
    {
        project.run_on(&database.url(), command).expect(0);
    }
    assert_eq!(database.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'lockkeeper'"), "0");
    let json = project.run_on(&database.url(), &["plan", "--format", "json"]).expect(0).json();
    assert_eq!(json["dry_run"], true);
    assert_eq!(json["pending"].as_array().unwrap().len(), 3);
}

/// A migration that fails half-way leaves the first one applied, says where, and exits 4.
#[test]
fn a_failure_rolls_its_migration_back_and_names_the_line() {
    let (project, database) = (Project::new(), Database::create());
    project.migration(ONE, "CREATE TABLE one (id int);", "DROP TABLE one;");
    let up =
        "CREATE TABLE two (id int);\n-- über\nINSERT INTO two VALUES (1);\n\nSELECT 1 / (id - 1)\nFROM two;";
    project.migration(TWO, up, "DROP TABLE two;");
    project.migration(THREE, "CREATE TABLE three (id int);", "DROP TABLE three;");
    let ran = project.run_on(&database.url(), &["up", "--format", "json"]).expect(4);
    let failed = &ran.json()["failed"];
    assert_eq!(failed["version"], 20_260_101_000_002_i64);
    assert_eq!(failed["line"], 6, "{failed}");
    assert_eq!(failed["statement"], 3, "{failed}");
    assert_eq!(failed["sqlstate"], "22012");
    assert_eq!(failed["state"], "rolled-back");
    assert_eq!(ran.json()["pending"], serde_json::json!([20_260_101_000_002_i64, 20_260_101_000_003_i64]));
    ran.says("migrations/20260101000002_two.sql:6");
    assert_eq!(tables(&database), ["one"]);
    assert_eq!(versions(&database), ["20260101000001"]);
    assert_eq!(states(&project, &database)[1], "20260101000002 failed");
    let run = "SELECT concat_ws('|', outcome, sqlstate, line) FROM lockkeeper.migration_runs ORDER BY id DESC LIMIT 1";
    assert_eq!(database.value(run), "failed|22012|6");
    // Mended, it goes on.
    project.migration(TWO, "CREATE TABLE two (id int);", "DROP TABLE two;");
    project.run_on(&database.url(), &["up"]).expect(0);
    assert_eq!(versions(&database).len(), 3);
}

#[test]
fn an_error_with_a_position_points_at_its_line() {
    let (project, database) = (Project::new(), Database::create());
    project.migration(ONE, "SELECT 'ä';\nSELECT 'ö',\n  nope;", "");
    let ran = project.run_on(&database.url(), &["up", "--format", "json"]).expect(4);
    assert_eq!(ran.json()["failed"]["line"], 4);
    assert_eq!(ran.json()["failed"]["statement"], 2);
    ran.says("column \"nope\" does not exist");
}

#[test]
fn what_diverges_is_refused_and_nothing_is_touched() {
    let (project, database) = (three(), Database::create());
    project.run_on(&database.url(), &["up", "--to", "20260101000002"]).expect(0);
    // Changed after it was applied.
    project.migration(ONE, "CREATE TABLE other (id int);", "DROP TABLE one;");
    project.run_on(&database.url(), &["up"]).expect(7).says("applied and changed since");
    assert_eq!(states(&project, &database)[0], "20260101000001 modified");
    // In comments only.
    let same = "CREATE TABLE one -- said differently\n (id bigint PRIMARY KEY, note text);";
    project.migration(ONE, same, "DROP TABLE one;");
    project.run_on(&database.url(), &["plan"]).expect(0).says("comments or white space only");
    // Gone.
    project.remove("migrations/20260101000001_one.sql");
    project.run_on(&database.url(), &["up"]).expect(7).says("no file here");
    let ran = project.run_on(&database.url(), &["status", "-v"]).expect(0);
    assert!(ran.stdout.contains("CREATE TABLE one"), "{}", ran.stdout);
    assert_eq!(tables(&database), ["one", "two"]);
    project.run_on(&database.url(), &["up", "--allow-missing"]).expect(0);
    assert_eq!(tables(&database), ["one", "three", "two"]);
    // Late.
    project.migration("20260101000000_late", "CREATE TABLE late (id int);", "DROP TABLE late;");
    project
        .run_on(&database.url(), &["up", "--allow-missing"])
        .expect(7)
        .says("older than the newest applied");
    project.run_on(&database.url(), &["up", "--allow-missing", "--allow-out-of-order"]).expect(0);
    assert_eq!(tables(&database), ["late", "one", "three", "two"]);
}

#[test]
fn an_older_checkout_does_nothing() {
    let (project, database) = (three(), Database::create());
    project.run_on(&database.url(), &["up"]).expect(0);
    project.remove("migrations/20260101000003_three.sql");
    project.run_on(&database.url(), &["up"]).expect(0).says("older than the database");
}

#[test]
fn malformed_files_are_refused_before_connecting() {
    let project = Project::new();
    project.migration(ONE, "CREATE TABLE one (id int);", "");
    project.migration("20260101000001_again", "CREATE TABLE again (id int);", "");
    project.migration(TWO, "BEGIN;\nSELECT 1;\nCOMMIT;\nSELECT 2;", "");
    let nowhere = "postgresql://postgres@127.0.0.1:1/nowhere";
    let ran = project
        .run_on(nowhere, &["up"])
        .expect(2)
        .says("20260101000001_again")
        .says("20260101000002_two.sql:");
    assert!(!ran.stderr.contains("cannot connect"), "{}", ran.stderr);
}

#[test]
fn a_database_with_tables_and_no_history_wants_a_baseline() {
    let (project, database) = (three(), Database::create());
    database.execute("CREATE TABLE one (id bigint PRIMARY KEY, note text)");
    project.run_on(&database.url(), &["up"]).expect(7).says("lockkeeper baseline");
    project.run_on(&database.url(), &["baseline", "--to", "20260101000001"]).expect(0);
    project.run_on(&database.url(), &["up"]).expect(0);
    assert_eq!(tables(&database), ["one", "three", "two"]);
    assert_eq!(versions(&database).len(), 3);
}

#[test]
fn down_rolls_back_newest_first_by_the_stored_text() {
    let (project, database) = (three(), Database::create());
    project.run_on(&database.url(), &["up"]).expect(0);
    project.migration(THREE, "CREATE TABLE three (id bigint PRIMARY KEY, note text);", "SELECT 1;");
    project.run_on(&database.url(), &["down"]).expect(0).says("the file differs");
    assert_eq!(tables(&database), ["one", "two"]);
    project.run_on(&database.url(), &["down", "--to", "20260101000001"]).expect(0);
    assert_eq!(versions(&database), ["20260101000001"]);
    // A double click is a no-op.
    project
        .run_on(&database.url(), &["down", "--to", "20260101000001"])
        .expect(0)
        .says("nothing to roll back");
    let ran = project.run_on(&database.url(), &["down", "--to", "0", "--format", "json"]).expect(0);
    assert_eq!(ran.json()["direction"], "down");
    assert_eq!(ran.json()["applied"][0]["version"], 20_260_101_000_001_i64);
    assert_eq!(tables(&database), Vec::<String>::new());
    project.run_on(&database.url(), &["down"]).expect(0);
}

#[test]
fn down_guards_data() {
    let (project, database) = (three(), Database::create());
    project.migration(
        "20260101000004_four",
        "ALTER TABLE three ADD plan text;",
        "ALTER TABLE three DROP COLUMN plan;",
    );
    project.run_on(&database.url(), &["up"]).expect(0);
    database.execute("INSERT INTO three (id, plan) VALUES (1, 'a'), (2, NULL)");
    project.run_on(&database.url(), &["down"]).expect(7).says("public.three.plan with 1 values");
    project.run_on(&database.url(), &["down", "--dry-run", "--steps", "2"]).expect(0);
    assert_eq!(versions(&database).len(), 4);
    project.run_on(&database.url(), &["down", "--archive", "--allow-data-loss"]).expect(0);
    let archive = database.value("SELECT tablename FROM pg_tables WHERE schemaname = 'lockkeeper_archive'");
    assert_eq!(database.value(&format!("SELECT count(plan) FROM lockkeeper_archive.\"{archive}\"")), "1");
    project.run_on(&database.url(), &["down"]).expect(7).says("table public.three with 2 rows");
    project.run_on(&database.url(), &["down", "--allow-data-loss"]).expect(0);
    assert_eq!(tables(&database), ["one", "two"]);
}

#[test]
fn down_refuses_the_empty_and_the_irreversible() {
    let (project, database) = (three(), Database::create());
    project.migration("20260101000004_four", "CREATE TABLE four (id int);", "");
    project.migration(
        "20260101000005_five",
        "CREATE TABLE five (id int);",
        "-- lockkeeper: irreversible mail was sent",
    );
    project.run_on(&database.url(), &["up", "--skip-check"]).expect(0);
    project.run_on(&database.url(), &["down"]).expect(7).says("mail was sent");
    project.run_on(&database.url(), &["down", "--to", "0"]).expect(7);
    assert_eq!(tables(&database).len(), 5);
    project
        .run_on(&database.url(), &["repair", "20260101000005", "--reverted", "--reason", "by hand"])
        .expect(0);
    project.run_on(&database.url(), &["down"]).expect(7).says("no DOWN to run");
    project.run_on(&database.url(), &["down", "--mark-only"]).expect(0);
    assert_eq!(versions(&database).len(), 3);
    let reason = "SELECT reason FROM lockkeeper.migration_runs WHERE outcome = 'repaired'";
    assert_eq!(database.value(reason), "reverted: by hand");
}

#[test]
fn files_cannot_leak_into_each_other_or_into_the_history() {
    let (project, database) = (Project::new(), Database::create());
    database.execute("DO $$ BEGIN CREATE ROLE weak; EXCEPTION WHEN duplicate_object THEN NULL; END $$; GRANT CREATE ON SCHEMA public TO weak;");
    let leak = "SET search_path = pg_temp;\nSELECT set_config('work_mem', '65kB', false);\nSET ROLE weak;\n\
                CREATE TEMP TABLE mine (id int);\nSET statement_timeout = 50;";
    project.migration(ONE, leak, "SELECT 1;");
    let look = "CREATE TABLE seen AS SELECT current_user AS role, current_setting('search_path') AS path, \
                current_setting('work_mem') AS memory, to_regclass('pg_temp.mine') IS NULL AS clean;";
    project.migration(TWO, look, "DROP TABLE seen;");
    project.run_on(&database.url(), &["up"]).expect(0);
    let seen = database.value("SELECT concat_ws('|', role, path, memory, clean) FROM public.seen");
    assert_eq!(seen, "postgres|\"$user\", public, extensions|4MB|t");
    assert_eq!(versions(&database).len(), 2);
}

#[test]
fn a_read_only_role_can_look() {
    let (project, database) = (three(), Database::create());
    project.run_on(&database.url(), &["up", "--steps", "1"]).expect(0);
    database.execute(
        "DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
         GRANT USAGE ON SCHEMA lockkeeper TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA lockkeeper TO reader",
    );
    let url = database.url().replace("postgres@", "reader@");
    let ran = project.run_on(&url, &["status", "--format", "json"]).expect(0);
    assert_eq!(ran.json()["current_version"], 20_260_101_000_001_i64);
    project.run_on(&url, &["plan"]).expect(0);
}

#[test]
fn connection_faults_are_explained_without_the_password() {
    let (project, database) = (three(), Database::create());
    let port = crate::support::postgres::server().port;
    let check = |ran: Ran, code: i32, text: &str| {
        let ran = ran.expect(code).says(text);
        assert!(!ran.stderr.contains("hunter2") && !ran.stdout.contains("hunter2"), "{}", ran.stderr);
    };
    let wrong = format!("postgresql://with_password:hunter2@127.0.0.1:{port}/{}", database.name);
    check(project.run_on(&wrong, &["status"]), 3, "refuses the password");
    check(project.run_on("postgresql://a:hunter2@127.0.0.1:1/x", &["status"]), 3, "Nothing listens there");
    check(
        project.run_on(&format!("postgresql://postgres:hunter2@127.0.0.1:{port}/nope"), &["status"]),
        3,
        "does not exist",
    );
    check(project.run_on("postgresql://a:hun@ter2@127.0.0.1/x", &["status"]), 2, "percent-encoded");
    check(
        project.run_on(
            "postgresql://postgres.abc:hunter2@aws-0-eu-central-1.pooler.supabase.com:6543/postgres",
            &["up"],
        ),
        2,
        ":5432/postgres",
    );
    project.run(&["up"]).expect(2).says("LOCKKEEPER_DATABASE_URL");
}

#[test]
fn a_lock_timeout_is_retried_and_the_blocker_named() {
    let (project, database) = (three(), Database::create());
    project.run_on(&database.url(), &["up"]).expect(0);
    project.migration("20260101000004_four", "ALTER TABLE one ADD plan text;", "");
    let mut blocker = database.client();
    blocker
        .batch_execute("SET application_name = 'report'; BEGIN; SELECT * FROM one WHERE note = 'secret'")
        .unwrap();
    let child = project.start_on(&database.url(), &["up", "--lock-timeout", "100ms", "--format", "json"]);
    std::thread::sleep(Duration::from_millis(700));
    blocker.batch_execute("COMMIT").unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap()).expect(0).says("`report`").says("55P03");
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
    assert!(ran.json()["applied"][0]["attempts"].as_u64().unwrap() > 1);
}

#[test]
fn another_deploy_is_waited_for_and_named() {
    let (project, database) = (three(), Database::create());
    project.migration(ONE, "CREATE TABLE one (id int); SELECT pg_sleep(2);", "");
    let first = project.start_on(&database.url(), &["up"]);
    std::thread::sleep(Duration::from_millis(800));
    project.run_on(&database.url(), &["up", "--lock-wait", "100ms"]).expect(6).says("by tester");
    let second = project.run_on(&database.url(), &["up"]).expect(0);
    assert!(second.stderr.contains("waiting for another deploy"), "{}", second.stderr);
    Ran::of(first.wait_with_output().unwrap()).expect(0);
    assert_eq!(versions(&database).len(), 3);
    assert_eq!(
        database.value("SELECT count(*) FROM lockkeeper.migration_runs WHERE outcome = 'applied'"),
        "3"
    );
}

#[test]
fn many_runners_at_once_apply_each_migration_once() {
    let (project, database) = (Project::new(), Database::create());
    for n in 1..=8 {
        project.migration(
            &format!("{n}_probe"),
            &format!("CREATE TABLE IF NOT EXISTS probe (n int); INSERT INTO probe VALUES ({n});"),
            "",
        );
    }
    let runners: Vec<_> = (0..4).map(|_| project.start_on(&database.url(), &["up"])).collect();
    for runner in runners {
        Ran::of(runner.wait_with_output().unwrap()).expect(0);
    }
    assert_eq!(database.value("SELECT string_agg(n::text, ' ' ORDER BY n) FROM probe"), "1 2 3 4 5 6 7 8");
}

#[test]
fn a_signal_cancels_rolls_back_and_exits_130() {
    let (project, database) = (Project::new(), Database::create());
    project.migration(ONE, "CREATE TABLE one (id int); SELECT pg_sleep(60);", "");
    for signal in ["-INT", "-TERM"] {
        let child = project.start_on(&database.url(), &["up", "--format", "json"]);
        std::thread::sleep(Duration::from_millis(800));
        let begun = Instant::now();
        std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        let ran = Ran::of(child.wait_with_output().unwrap()).expect(130);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(ran.json()["failed"]["state"], "rolled-back");
        assert_eq!(tables(&database), Vec::<String>::new());
        let last = "SELECT outcome FROM lockkeeper.migration_runs ORDER BY id DESC LIMIT 1";
        assert_eq!(database.value(last), "cancelled");
        assert_eq!(database.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"), "0");
    }
    assert_eq!(states(&project, &database), ["20260101000001 pending"]);
}

#[test]
fn the_history_is_append_only_and_nobody_elses() {
    let (project, database) = (three(), Database::create());
    project.run_on(&database.url(), &["up"]).expect(0);
    let mut client = database.client();
    assert!(client.batch_execute("DELETE FROM lockkeeper.migration_runs").is_err());
    assert!(client.batch_execute("UPDATE lockkeeper.migration_runs SET outcome = 'x'").is_err());
    let grants = "SELECT count(*) FROM information_schema.role_table_grants WHERE table_schema = 'lockkeeper' AND grantee <> 'postgres'";
    assert_eq!(database.value(grants), "0");
    // In an exposed schema, row security too.
    let (project, database) = (three(), Database::create());
    project.write("lockkeeper.toml", "[history]\nschema = \"public\"\n");
    project.run_on(&database.url(), &["up"]).expect(0);
    project.run_on(&database.url(), &["up"]).expect(0).says("nothing to apply");
    let rls = "SELECT bool_and(relrowsecurity) FROM pg_class WHERE oid IN ('schema_migrations'::regclass, 'migration_runs'::regclass)";
    assert_eq!(database.value(rls), "t");
}

#[test]
fn repair_sets_records_straight() {
    let (project, database) = (three(), Database::create());
    let url = database.url();
    project.run_on(&url, &["up"]).expect(0);
    project.migration(ONE, "CREATE TABLE changed (id int);", "DROP TABLE changed;");
    project
        .run_on(&url, &["repair", "20260101000001", "--accept-checksum", "--reason", "looked at it"])
        .expect(0);
    project.run_on(&url, &["up"]).expect(0);
    project
        .run_on(&url, &["repair", "20260101000002", "--reverted", "--reason", "dropped by hand"])
        .expect(0);
    assert_eq!(versions(&database), ["20260101000001", "20260101000003"]);
    project.run_on(&url, &["repair", "20260101000002", "--applied", "--reason", "it is there"]).expect(0);
    assert_eq!(versions(&database).len(), 3);
    project.run_on(&url, &["repair", "9", "--applied", "--reason", "x"]).expect(2);
    project.run_on(&url, &["repair", "9", "--applied"]).expect(2);
    assert_eq!(
        database.value("SELECT count(*) FROM lockkeeper.migration_runs WHERE direction = 'repair'"),
        "3"
    );
}

#[test]
fn verify_answers_questions() {
    let (project, database) = (three(), Database::create());
    let url = database.url();
    project.run_on(&url, &["up"]).expect(0);
    database.execute("CREATE INDEX by_note ON one (note); ALTER TABLE two ADD CONSTRAINT positive CHECK (id > 0) NOT VALID; ALTER TABLE three ADD one_id bigint; INSERT INTO three VALUES (1, 'x', 7); ALTER TABLE three ADD CONSTRAINT to_one FOREIGN KEY (one_id) REFERENCES one NOT VALID");
    let good = [
        "verify",
        "--table",
        "public.one",
        "--column",
        "one.note:text",
        "--index",
        "by_note",
        "--rows",
        "SELECT count(*) FROM one = 0",
    ];
    project.run_on(&url, &good).expect(0);
    let words = ["verify", "--rows", "SELECT count(*) FROM one", "=", "0", "--table", "one"];
    project.run_on(&url, &words).expect(0);
    for bad in [
        ["--table", "nope"],
        ["--column", "one.note:int"],
        ["--column", "one.nope"],
        ["--index", "nope"],
        ["--constraint", "two.positive"],
        ["--rows", "SELECT count(*) FROM one = 3"],
        ["--rows", "SELECT nope = 3"],
    ] {
        let ran = project.run_on(&url, &["verify", bad[0], bad[1]]).expect(1);
        assert!(ran.stdout.contains("failed") || ran.stdout.contains("not verified"), "{}", ran.stdout);
    }
    let ran = project.run_on(&url, &["verify", "--integrity"]).expect(1);
    assert!(ran.stdout.contains("1 rows point nowhere"), "{}", ran.stdout);
    project.run_on(&url, &["verify", "--no-invalid"]).expect(1);
}

#[test]
fn stats_hold_sizes_and_no_rows() {
    let (project, database) = (three(), Database::create());
    project.run_on(&database.url(), &["up"]).expect(0);
    database.execute("INSERT INTO one SELECT n, 'confidential' FROM generate_series(1, 1000) n; ANALYZE one");
    project.run_on(&database.url(), &["stats", "--out", "stats.json"]).expect(0);
    let text = std::fs::read_to_string(project.path().join("stats.json")).unwrap();
    let stats: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(stats["tables"]["public.one"]["rows"], 1000, "{text}");
    assert_eq!(stats["postgres_version"], 15);
    assert!(
        stats["tables"]["public.one"]["writes_per_second"].as_f64().is_some_and(|rate| rate > 0.0),
        "{text}"
    );
    let tables: Vec<&String> = stats["tables"].as_object().unwrap().keys().collect();
    assert_eq!(tables, ["public.one", "public.three", "public.two"], "our own are none of theirs");
    assert!(!text.contains("confidential"));
}

#[test]
fn the_supabase_history_is_adopted_and_mirrored() {
    let (project, database) = (three(), Database::create());
    let url = database.url();
    database.execute(
        "CREATE SCHEMA supabase_migrations; CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text); \
         INSERT INTO supabase_migrations.schema_migrations VALUES ('20260101000001', ARRAY['CREATE TABLE one (id bigint PRIMARY KEY, note text)'], 'one'); \
         CREATE TABLE one (id bigint PRIMARY KEY, note text)",
    );
    project.run_on(&url, &["up"]).expect(7).says("--from-supabase");
    project.run_on(&url, &["baseline", "--from-supabase"]).expect(0);
    project.write("lockkeeper.toml", "[history]\nsupabase = \"mirror\"\n");
    project.run_on(&url, &["up"]).expect(0);
    let theirs = "SELECT version || ' ' || name FROM supabase_migrations.schema_migrations ORDER BY 1";
    assert_eq!(database.column(theirs), ["20260101000001 one", "20260101000002 two", "20260101000003 three"]);
    project.run_on(&url, &["down"]).expect(0);
    assert_eq!(database.column(theirs).len(), 2);
    // What the CLI applies meanwhile counts.
    database.execute("INSERT INTO supabase_migrations.schema_migrations VALUES ('20260101000003', NULL, 'three'); CREATE TABLE three (id bigint PRIMARY KEY, note text)");
    project.run_on(&url, &["up"]).expect(0).says("nothing to apply");
}

#[test]
fn what_check_calls_an_error_is_refused() {
    let (project, database) = (three(), Database::create());
    project.run_on(&database.url(), &["up"]).expect(0);
    project.migration("20260101000004_four", "CREATE INDEX by_note ON one (note);", "DROP INDEX by_note;");
    project.run_on(&database.url(), &["up"]).expect(7).says("index-not-concurrent").says("_four.sql:2:1");
    assert_eq!(versions(&database).len(), 3);
    let plan = project.run_on(&database.url(), &["plan"]).expect(0);
    assert!(plan.stdout.contains("takes SHARE on public.one"), "{}", plan.stdout);
    project.run_on(&database.url(), &["up", "--skip-check"]).expect(0);
}

/// A file of comments alone stands for nothing, and is recorded as such.
#[test]
fn a_file_of_comments_is_applied() {
    let (project, database) = (Project::new(), Database::create());
    project.migration("1_first", "CREATE TABLE t (id int);", "");
    for (version, text) in [(2, "-- reserved\n"), (3, "-- lockkeeper: transaction off\n")] {
        project.write(&format!("migrations/{version}_nothing.sql"), text);
    }
    let url = database.url();
    let line = ["check", "--shadow", "off", "--fail-on", "never", "--format", "json"];
    let told = project.run(&line).expect(0).json();
    let rules = told["findings"].as_array().unwrap().iter().map(|it| it["rule"].as_str().unwrap());
    assert_eq!(rules.filter(|rule| *rule == "empty-migration").count(), 2);
    project.run_on(&url, &["up", "--skip-check"]).expect(0).says("applied 3");
    let versions = "SELECT string_agg(version::text, ' ' ORDER BY version) FROM lockkeeper.schema_migrations";
    assert_eq!(database.value(versions), "1 2 3");
    project.run_on(&url, &["up", "--skip-check"]).expect(0).says("nothing to apply");
}
