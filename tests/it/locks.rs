//! Waiting for locks: nobody else waits long for us, who is in the way is named, and what has acted is
//! never tried again by itself.

use std::{
    io::{BufRead, BufReader, Read},
    process::Child,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use crate::support::{Database, Project, Ran};

fn two_tables() -> (Project, Database) {
    let (project, database) = (Project::new(), Database::create());
    project.migration(
        "1_first",
        "CREATE TABLE one (id int PRIMARY KEY, note text); CREATE TABLE two (id int, one_id int REFERENCES one); INSERT INTO one VALUES (1, 'x');",
        "",
    );
    project.run_on(&database.url(), &["up", "--skip-check"]).expect(0);
    (project, database)
}

/// Reads stderr until a line says so; returns what was said.
fn wait_for(child: &mut Child, text: &str) -> (BufReader<std::process::ChildStderr>, String) {
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(text) {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended without {text:?}:\n{said}");
    }
    (stderr, said)
}

/// The rest of what it says, and how it ended.
fn finish(mut child: Child, (mut stderr, mut said): (BufReader<std::process::ChildStderr>, String)) -> Ran {
    stderr.read_to_string(&mut said).unwrap();
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    Ran { code: child.wait().unwrap().code(), stdout, stderr: said }
}

/// While our ALTER waits for a report that goes on and on, readers get through between its attempts:
/// none waits for longer than the lock timeout.
#[test]
fn readers_never_wait_longer_than_the_lock_timeout() {
    let (project, database) = two_tables();
    project.migration("2_alter", "ALTER TABLE one ADD plan text;", "");
    let mut report = database.client();
    report.batch_execute("BEGIN; SELECT * FROM one").unwrap();
    let (over, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut reader = database.client();
            // Far more than ours, far less than the report takes.
            reader.batch_execute("SET lock_timeout = '4s'").unwrap();
            while !over.load(Ordering::SeqCst) {
                reader.batch_execute("SELECT count(*) FROM one").expect("a reader that gets through");
                reads.fetch_add(1, Ordering::SeqCst);
            }
        });
        let mut child = project.start_on(&database.url(), &["up", "--skip-check", "--lock-timeout", "300ms"]);
        let told = wait_for(&mut child, "attempt 5 of 11");
        report.batch_execute("COMMIT").unwrap();
        let ran = finish(child, told).expect(0);
        over.store(true, Ordering::SeqCst);
        assert!(ran.stderr.contains("attempt 2 of 11"), "{}", ran.stderr);
    });
    assert!(reads.load(Ordering::SeqCst) > 4, "readers came through between the attempts");
}

#[test]
fn blockers_are_named_with_everything_but_their_data() {
    let (project, database) = two_tables();
    // Not the table itself is held but the one at the other end of its foreign key.
    project.migration("2_alter", "ALTER TABLE two DROP CONSTRAINT two_one_id_fkey;", "");
    let mut blocker = database.client();
    blocker
        .batch_execute("SET application_name = 'report'; BEGIN; SELECT * FROM one WHERE note = 'secret'")
        .unwrap();
    let pid: i32 = blocker.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    blocker.batch_execute("SELECT * FROM one WHERE note = 'secret'").unwrap();
    let line = ["up", "--skip-check", "--lock-timeout", "100ms", "--format", "json"];
    let mut child = project.start_on(&database.url(), &line);
    let told = wait_for(&mut child, "attempt 2 of 11");
    blocker.batch_execute("COMMIT").unwrap();
    let ran = finish(child, told).expect(0);
    for part in [
        &format!("pid {pid} `report` in a transaction of "),
        "(idle in transaction), holding one AccessShareLock; its query since ",
        " UTC: SELECT * FROM one WHERE note = '…'",
    ] {
        assert!(ran.stderr.contains(part), "no {part:?} in {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
}

/// The attempts are bounded by their number and by a time for all of them together.
#[test]
fn retries_end_with_the_budget_and_say_who_is_in_the_way() {
    let (project, database) = two_tables();
    project.migration("2_alter", "ALTER TABLE one ADD plan text;", "");
    let mut blocker = database.client();
    blocker.batch_execute("BEGIN; SELECT * FROM one").unwrap();
    for (config, attempts) in [
        ("[deploy]\nlock_timeout = \"50ms\"\nretries = 2\n", "(3 attempts in "),
        ("[deploy]\nlock_timeout = \"50ms\"\nretries = 1000\nretry_budget = \"1s\"\n", " attempts in "),
        ("[deploy]\nlock_timeout = \"50ms\"\nretry_budget = \"0\"\n", "(1 attempt in "),
    ] {
        project.write("lockkeeper.toml", config);
        let ran = project.run_on(&database.url(), &["up", "--skip-check", "--format", "json"]).expect(4);
        assert_eq!(ran.json()["failed"]["sqlstate"], "55P03");
        assert_eq!(ran.json()["failed"]["line"], 2);
        assert!(ran.stderr.contains(attempts), "{}", ran.stderr);
        assert!(ran.stderr.contains("in the way: pid "), "{}", ran.stderr);
        assert!(!ran.stderr.contains("attempt 20 of"), "{}", ran.stderr);
    }
    // A failure is on record once, with its cause.
    let last = "SELECT concat_ws('|', outcome, sqlstate, line) FROM lockkeeper.migration_runs ORDER BY id DESC LIMIT 1";
    assert_eq!(database.value(last), "failed|55P03|2");
}

/// Of two sessions that wait for each other the server ends one: ours is tried again.
#[test]
fn a_deadlock_is_tried_again() {
    let (project, database) = two_tables();
    project.migration(
        "2_both",
        "INSERT INTO three VALUES (7); LOCK TABLE three; SELECT pg_sleep(0.5); LOCK TABLE one;",
        "",
    );
    database.execute("CREATE TABLE three (id int)");
    let mut other = database.client();
    // The server looks for deadlocks from our side only.
    other.batch_execute("SET deadlock_timeout = '60s'; BEGIN; LOCK TABLE one").unwrap();
    let line = ["up", "--skip-check", "--lock-timeout", "30s", "--format", "json"];
    let mut child = project.start_on(&database.url(), &line);
    let ours = "SELECT count(*) FROM pg_locks WHERE relation = 'three'::regclass AND mode = 'AccessExclusiveLock' AND granted";
    while database.value(ours) == "0" {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it had its lock");
        std::thread::sleep(Duration::from_millis(10));
    }
    other.batch_execute("LOCK TABLE three; COMMIT").unwrap();
    let told = wait_for(&mut child, "40P01");
    let ran = finish(child, told).expect(0);
    assert!(ran.json()["applied"][0]["attempts"].as_u64().unwrap() > 1, "{}", ran.stdout);
    assert_eq!(database.value("SELECT count(*) FROM three"), "1", "the first attempt left nothing");
}

/// A build that a timeout cut short has left an INVALID index: that is not tried again by itself.
#[test]
fn what_has_acted_is_not_tried_again() {
    let (project, database) = two_tables();
    project.migration(
        "2_index",
        "-- lockkeeper: lock-timeout 200ms\nCREATE INDEX CONCURRENTLY one_note ON one (note);",
        "",
    );
    let mut old = database.client();
    old.batch_execute("BEGIN; INSERT INTO one VALUES (2, 'y')").unwrap();
    let ran = project.run_on(&database.url(), &["up", "--skip-check", "--format", "json"]).expect(5);
    assert_eq!(ran.json()["failed"]["state"], "partial");
    assert_eq!(ran.json()["failed"]["sqlstate"], "55P03");
    assert!(!ran.stderr.contains("attempt 2"), "{}", ran.stderr);
    let begun = "SELECT count(*) FROM lockkeeper.migration_runs WHERE version = 2 AND outcome = 'started'";
    assert_eq!(database.value(begun), "1");
    old.batch_execute("COMMIT").unwrap();
    project.run_on(&database.url(), &["up", "--skip-check"]).expect(0).says("INVALID");
    // What was healed is on record.
    let reason = "SELECT reason FROM lockkeeper.migration_runs WHERE version = 2 AND outcome = 'applied'";
    assert!(database.value(reason).contains("was left INVALID"), "{}", database.value(reason));
}

/// A statement outside a transaction that a lock kept from beginning has left nothing: it is tried again.
#[test]
fn what_has_not_begun_is_tried_again() {
    let (project, database) = two_tables();
    project.migration(
        "2_index",
        "-- lockkeeper: lock-timeout 100ms\nCREATE INDEX CONCURRENTLY one_note ON one (note);",
        "",
    );
    let mut blocker = database.client();
    blocker.batch_execute("BEGIN; LOCK TABLE one IN SHARE UPDATE EXCLUSIVE MODE").unwrap();
    let mut child = project.start_on(&database.url(), &["up", "--skip-check"]);
    let told = wait_for(&mut child, "attempt 2 of 11");
    blocker.batch_execute("COMMIT").unwrap();
    finish(child, told).expect(0);
    assert_eq!(
        database.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'one_note'::regclass"),
        "t"
    );
}

#[test]
fn another_deploy_is_shown_with_its_actor_and_its_run() {
    let (project, database) = two_tables();
    project.migration("2_slow", "SELECT pg_sleep(30);", "");
    let mut first = project
        .command(&["up", "--skip-check"])
        .env("LOCKKEEPER_DATABASE_URL", database.url())
        .env("GITHUB_ACTOR", "ada")
        .env("GITHUB_RUN_ID", "4711")
        .spawn()
        .unwrap();
    let running =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    while database.value(running) == "0" {
        std::thread::sleep(Duration::from_millis(20));
    }
    let ran = project
        .run_on(&database.url(), &["up", "--skip-check", "--lock-wait", "300ms", "--format", "json"])
        .expect(6);
    let json = ran.json();
    assert_eq!(json["pending"], serde_json::json!([2]), "{json}");
    let ran = ran.says("waiting for another deploy: lockkeeper run 4711 by ada");
    assert!(ran.stderr.contains("another deploy holds the lock"), "{}", ran.stderr);
    first.kill().unwrap();
    first.wait().unwrap();
}
