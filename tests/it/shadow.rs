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
