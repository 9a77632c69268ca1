//! The shadow through the program: `test`, `drift`, the cache, and what is left when it is killed.

use std::{path::Path, process::Stdio, time::Duration};

use crate::support::{Database, Project, Ran};

/// Runs `test` with a cache folder shared by the tests of this file.
fn test(project: &Project, arguments: &[&str]) -> Ran {
    let arguments: Vec<&str> = [&["test"], arguments].concat();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shadow-cache");
    let output = project.command(&arguments).env("XDG_CACHE_HOME", cache).output().expect("the program");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn a_faithful_down_exits_0_and_a_forgetful_one_1() {
    let project = Project::new();
    project.migration("1_a", "CREATE TABLE a (id int);", "DROP TABLE a;");
    let ran = test(&project, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("restored      migrations/1_a.sql"), "{ran:?}");

    project.migration("2_b", "CREATE INDEX a_id ON a (id);", "SELECT 1;");
    let ran = test(&project, &["migrations/2_b.sql", "--format", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let document: serde_json::Value = serde_json::from_str(&ran.stdout).expect("one document");
    let file = &document["files"][0];
    assert_eq!(document["files"].as_array().unwrap().len(), 1);
    assert_eq!(file["round_trip"], "differs");
    assert_eq!(file["difference"][0]["object"], "public.a_id");
    assert_eq!(file["difference"][0]["repair"], "DROP INDEX public.a_id;");
    assert_eq!(file["statements"][0]["sql_kind"], "CreateIndex");
    assert_eq!(file["statements"][0]["locks"][0]["mode"], "SHARE");
    assert_eq!(document["summary"]["shadow"], "ran");
}

#[test]
fn a_failure_is_told_at_its_line() {
    let project = Project::new();
    project.migration("1_a", "SELECT 1;\nALTER TABLE nowhere ADD COLUMN x int;", "SELECT 1;");
    let ran = test(&project, &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("migrations/1_a.sql:3:1: up: relation \"nowhere\" does not exist"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("        ALTER TABLE nowhere ADD COLUMN x int\n"), "the statement: {ran:?}");
    assert!(
        ran.stdout.contains("help: No migration before this one makes the relation `nowhere`"),
        "{ran:?}"
    );
}

#[test]
fn assertions_fail_a_test() {
    let project = Project::new();
    project.migration("1_a", "CREATE TABLE a (id int);", "DROP TABLE a;");
    project.write("migrations/tests/1_a.sql", "SELECT count(*) = 1 FROM a;");
    let ran = test(&project, &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("not ok: migrations/tests/1_a.sql: line 1"), "{ran:?}");
}

#[test]
fn without_postgres_nothing_is_verified() {
    let project = Project::new();
    project.migration("1_a", "CREATE TABLE a (id int);", "DROP TABLE a;");
    let output =
        project.command(&["test"]).env("LOCKKEEPER_POSTGRES_BIN", "/nowhere").output().expect("the program");
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stdout).contains("not verified"));
}

#[test]
fn a_killed_run_leaves_nothing() {
    for (signal, delay) in [("INT", 3000), ("TERM", 300), ("KILL", 3000), ("KILL", 500)] {
        let project = Project::new();
        project.migration("1_a", "SELECT pg_sleep(30);", "SELECT 1;");
        let folder = tempfile::tempdir_in("/tmp").expect("a folder");
        open_to_all(folder.path());
        let mut child = project
            .command(&["test", "--no-cache"])
            .env("TMPDIR", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program");
        let entries = || std::fs::read_dir(folder.path()).expect("the folder").count();
        wait(|| entries() > 0, "a shadow");
        // Once while it is being made, once while it runs.
        std::thread::sleep(Duration::from_millis(delay));
        let pid = child.id().to_string();
        std::process::Command::new("kill").args([&format!("-{signal}"), &pid]).status().expect("kill");
        child.wait().expect("its end");
        wait(|| entries() == 0, &format!("an empty folder after SIG{signal}"));
    }
}

#[test]
fn drift_is_found_and_shown_with_its_side() {
    let database = Database::create();
    let project = Project::new();
    project.write("lockkeeper.toml", "profile = \"postgres\"\n");
    project.migration("1_a", "CREATE TABLE a (id int, note text);", "DROP TABLE a;");
    database.execute("CREATE TABLE a (id int, note text)");
    let ran = project.run_on(&database.url(), &["drift"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    database.execute("CREATE TABLE b (id int); ALTER TABLE a DROP COLUMN note");
    let ran = project.run_on(&database.url(), &["drift"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("table public.b is only in the target"), "{ran:?}");
    assert!(ran.stdout.contains("column public.a.note is only in the migrations"), "{ran:?}");
}

#[test]
fn a_given_server_is_used_in_a_copy_and_refused_with_tables() {
    let database = Database::create();
    let project = Project::new();
    project.write("lockkeeper.toml", "profile = \"postgres\"\n");
    project.migration("1_a", "CREATE TABLE a (id int);", "DROP TABLE a;");
    let url = database.url();
    let ran = test(&project, &["--shadow-url", &url]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(database.value("SELECT count(*) FROM pg_class WHERE relname = 'a'"), "0");
    database.execute("CREATE TABLE precious (id int)");
    let ran = test(&project, &["--shadow-url", &url]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("holds tables (precious)"), "{ran:?}");
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("permissions");
}

fn wait(done: impl Fn() -> bool, what: &str) {
    for _ in 0..200 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("waited in vain: {what}");
}

/// A target that is no Supabase is not told to become one; what is pending is no drift; and a deploy
/// can be made to refuse what is.
#[test]
fn drift_is_what_nobody_wrote_down() {
    let (project, database) = (Project::new(), Database::create());
    let url = database.url();
    project.migration("1_a", "CREATE TABLE a (id int PRIMARY KEY);", "DROP TABLE a;");
    project.run_on(&url, &["up"]).expect(0);
    project.migration("2_b", "CREATE TABLE b (id int PRIMARY KEY);", "DROP TABLE b;");
    let ran = project.run_on(&url, &["drift"]).expect(0);
    assert!(ran.stdout.contains("no drift"), "{ran:?}");
    database.execute("ALTER TABLE a ADD COLUMN by_hand int");
    let ran = project.run_on(&url, &["drift", "--format", "json"]).expect(1);
    assert_eq!(ran.json()["differences"].as_array().unwrap().len(), 1, "{ran:?}");
    project.run_on(&url, &["plan", "--fail-on-drift"]).expect(7);
    let ran = project.run_on(&url, &["up", "--fail-on-drift", "--format", "json"]).expect(7).says("by_hand");
    assert_eq!(ran.json()["pending"], serde_json::json!([2]));
    database.execute("ALTER TABLE a DROP COLUMN by_hand");
    project.run_on(&url, &["up", "--fail-on-drift"]).expect(0);
}

/// What the migrations make beside tables is compared as well; what belongs to the server, and no
/// migration made, is not.
#[test]
fn drift_is_also_of_roles_settings_and_event_triggers() {
    let service = crate::support::service::Service::start("owner");
    let project = Project::new();
    project.write("lockkeeper.toml", "profile = \"postgres\"\n");
    project.migration(
        "1_a",
        "CREATE SCHEMA app; CREATE ROLE app_reader; GRANT USAGE ON SCHEMA app TO app_reader;
         ALTER ROLE app_reader SET work_mem = '8MB'; CREATE EXTENSION citext SCHEMA app;
         ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO app_reader; CREATE TABLE app.t (id int);",
        "SELECT 1;",
    );
    let url = service.url("postgres");
    project.run_on(&url, &["up"]).expect(0);
    service
        .client()
        .batch_execute("CREATE ROLE of_somebody LOGIN; ALTER ROLE of_somebody SET work_mem = '1MB'")
        .unwrap();
    let ran = project.run_on(&url, &["drift"]).expect(0);
    assert!(ran.stdout.contains("no drift"), "{ran:?}");
    let by_hand = "ALTER ROLE app_reader LOGIN; ALTER ROLE app_reader SET work_mem = '9MB';
        CREATE FUNCTION app.e() RETURNS event_trigger LANGUAGE plpgsql AS 'begin end';
        CREATE EVENT TRIGGER watcher ON ddl_command_end EXECUTE FUNCTION app.e();
        ALTER EXTENSION citext SET SCHEMA public; REVOKE SELECT ON app.t FROM app_reader;
        ALTER TABLE app.t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON app.t USING (true);";
    service.client().batch_execute(by_hand).unwrap();
    let ran = project.run_on(&url, &["drift"]).expect(1);
    for expected in [
        "role app_reader `rolcanlogin`: on instead of off in the target",
        "setting app_reader values: has work_mem=9MB; lacks work_mem=8MB in the target",
        "event trigger watcher is only in the target",
        "function app.e() is only in the target",
        "extension citext `schema`: public instead of app in the target",
        "table app.t privileges: lacks app_reader=SELECT in the target",
        "table app.t `rls`: on instead of off in the target",
        "policy app.t.p is only in the target",
        "to make the target as the migrations say: ALTER ROLE app_reader NOLOGIN;",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("of_somebody"), "{ran:?}");
}

/// A claim that the trace disproves is dropped and told in the log; a lock that nobody foresaw becomes a
/// finding; a statement outside a transaction is watched from a second connection; all with durations.
#[test]
fn claims_and_traces_are_reconciled() {
    let project = Project::new();
    // Only the shadow knows the type that the column has: the history does not say it.
    project
        .write("base.sql", "CREATE TABLE public.people (id int PRIMARY KEY, note varchar(50), name text);");
    project.write("lockkeeper.toml", "[shadow]\nbase_schema = \"base.sql\"\n");
    let check = |name: &str, up: &str, arguments: &[&str]| {
        project.migration(name, up, "SELECT 1;");
        let path = format!("migrations/{name}.sql");
        let arguments =
            [&["check", "--format", "json", "--fail-on", "never"], arguments, &[path.as_str()]].concat();
        project.run(&arguments).expect(0)
    };
    let rules = |ran: &Ran| -> Vec<String> {
        let document = ran.json();
        let findings = document["findings"].as_array().expect("a list");
        findings
            .iter()
            .map(|one| {
                format!(
                    "{} {} {}",
                    one["rule"].as_str().unwrap(),
                    one["evidence"].as_str().unwrap(),
                    one["lock"]
                )
            })
            .collect()
    };
    let widen = "ALTER TABLE public.people ALTER COLUMN note TYPE varchar(80);";
    let read = rules(&check("1_a", widen, &["--shadow", "off"]));
    assert!(read.iter().any(|rule| rule.starts_with("column-type-rewrite ")), "{read:?}");
    let ran = check("1_a", widen, &["--shadow", "required", "-vv"]);
    let seen = rules(&ran);
    assert!(!seen.iter().any(|rule| rule.starts_with("column-type-rewrite ")), "{seen:?}");
    assert!(
        ran.stderr.contains(
            "column-type-rewrite on public.people.note was refuted by the shadow: it saw no rewrite"
        ),
        "{}",
        ran.stderr
    );
    project.remove("migrations/1_a.sql");

    let hidden = "DO $$ BEGIN EXECUTE format('ALTER TABLE public.%I ADD COLUMN x int', 'people'); END $$;";
    let seen = rules(&check("2_b", hidden, &["--shadow", "required"]));
    assert!(seen.contains(&"unforeseen-lock shadow \"ACCESS EXCLUSIVE\"".to_owned()), "{seen:?}");
    project.remove("migrations/2_b.sql");

    let outside = "CREATE INDEX CONCURRENTLY people_name ON public.people (name);";
    let document = check("3_c", outside, &["--shadow", "required"]).json();
    let statement = &document["files"][0]["statements"][0];
    assert_eq!(document["files"][0]["transactional"], false);
    let locks = statement["locks"].as_array().expect("locks");
    assert!(
        locks.contains(&serde_json::json!({"object": "public.people", "mode": "SHARE UPDATE EXCLUSIVE"})),
        "{statement}"
    );
    assert!(statement["duration_ms"].as_f64().is_some_and(|time| time > 0.0), "{statement}");
}

/// Runs at once fill one cache without harm, it can be carried elsewhere (as `actions/cache` does), and
/// `--no-cache` neither reads nor writes it.
#[test]
fn the_cache_is_shared_carried_and_left_out() {
    let project = Project::new();
    project.write("lockkeeper.toml", "profile = \"postgres\"\n");
    project.migration("1_a", "CREATE TABLE a (id int);", "DROP TABLE a;");
    project.migration("2_b", "ALTER TABLE a ADD COLUMN b int;", "ALTER TABLE a DROP COLUMN b;");
    let home = tempfile::tempdir().expect("a folder");
    let run = |cache: &Path, arguments: &[&str]| {
        let arguments = [&["test", "migrations/2_b.sql"], arguments].concat();
        let output = project.command(&arguments).env("LOCKKEEPER_CACHE_DIR", cache).output();
        Ran::of(output.expect("the program")).expect(0)
    };
    let entries = |cache: &Path| -> Vec<String> {
        let found = std::fs::read_dir(cache.join("lockkeeper/shadow")).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            found.map(|one| one.file_name().into_string().expect("a name")).collect();
        names.sort();
        names
    };
    let (first, second) = (home.path().join("first"), home.path().join("second"));
    run(&first, &["--no-cache"]);
    assert_eq!(entries(&first), [""; 0]);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| run(&first, &[]))).collect();
        runs.into_iter().for_each(|run| drop(run.join().expect("a run")));
    });
    let kept = entries(&first);
    assert_eq!(kept.len(), 2, "the empty server, and the state after the history: {kept:?}");
    std::fs::rename(&first, &second).expect("the move");
    run(&second, &[]);
    assert_eq!(entries(&second), kept);
}
