//! Many runners at once, and what stands between them and the server.

use std::io::{BufRead, BufReader};

use crate::support::{Database, PgBouncer, Project, Ran};

/// Eight files, each of which would be seen twice if it ran twice.
fn probes() -> Project {
    let project = Project::new();
    for n in 1..=8 {
        let first = if n == 1 { "CREATE TABLE probe (n int);" } else { "" };
        project.migration(
            &format!("{n}_probe"),
            &format!("{first} INSERT INTO probe VALUES ({n}); CREATE TABLE t_{n} (id int);"),
            &format!("DROP TABLE t_{n}; DELETE FROM probe WHERE n = {n};"),
        );
    }
    project
}

/// Two to eight runners at once: each migration is applied once, each runner ends well.
fn each_once(port: Option<u16>) {
    let project = probes();
    for count in 2..=8 {
        let database = Database::create();
        let url = port.map_or_else(|| database.url(), |port| database.url_on(port));
        let runners: Vec<_> = (0..count).map(|_| project.start_on(&url, &["up", "--skip-check"])).collect();
        for runner in runners {
            Ran::of(runner.wait_with_output().unwrap()).expect(0);
        }
        let applied =
            "SELECT string_agg(version::text, ' ' ORDER BY version) FROM lockkeeper.schema_migrations";
        assert_eq!(database.value(applied), "1 2 3 4 5 6 7 8", "{count} runners");
        let probe = "SELECT string_agg(n::text, ' ' ORDER BY n) FROM probe";
        assert_eq!(database.value(probe), "1 2 3 4 5 6 7 8", "{count} runners");
        let events = "SELECT count(*) FROM lockkeeper.migration_runs WHERE outcome = 'applied'";
        assert_eq!(database.value(events), "8", "{count} runners");
        // And back, all at once: to a version, so that the second one has nothing to do.
        let line = ["down", "--to", "3", "--allow-data-loss"];
        let runners: Vec<_> = (0..count).map(|_| project.start_on(&url, &line)).collect();
        for runner in runners {
            Ran::of(runner.wait_with_output().unwrap()).expect(0);
        }
        assert_eq!(database.value(applied), "1 2 3", "{count} runners");
        assert_eq!(database.value(probe), "1 2 3", "{count} runners");
    }
}

fn pooler(mode: &str) -> Option<PgBouncer> {
    let pooler = PgBouncer::start(mode);
    if pooler.is_none() {
        eprintln!("not verified: pgbouncer is not installed");
    }
    pooler
}

#[test]
fn runners_at_once_apply_each_migration_once() {
    each_once(None);
}

#[test]
fn runners_at_once_through_a_session_pooler() {
    let Some(pooler) = pooler("session") else { return };
    each_once(Some(pooler.port));
}

#[test]
fn runners_at_once_through_a_transaction_pooler() {
    let Some(pooler) = pooler("transaction") else { return };
    each_once(Some(pooler.port));
}

/// With a single session of the server nothing tells that it is lent. When others come, and take it with
/// our lock on it, it is seen before anything is done on another one.
#[test]
fn a_session_that_turns_out_to_be_lent_keeps_no_lock() {
    let Some(pooler) = PgBouncer::sized("transaction", 1) else {
        eprintln!("not verified: pgbouncer is not installed");
        return;
    };
    let (project, database) = (Project::new(), Database::create());
    project.migration("1_held", "CREATE TABLE held (id int);", "");
    project.run_on(&database.url(), &["up", "--skip-check"]).expect(0);
    project.migration("2_alter", "ALTER TABLE held ADD COLUMN a int;", "");
    project.migration("3_next", "CREATE TABLE next (id int);", "");
    let mut direct = database.client();
    direct.batch_execute("BEGIN; LOCK TABLE held").unwrap();
    let line = ["up", "--skip-check", "--lock-timeout", "100ms"];
    let mut runner = project.start_on(&database.url_on(pooler.port), &line);
    let mut said = BufReader::new(runner.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut until = |text: &str| {
        let mut before = Vec::new();
        let found = said.by_ref().any(|line| {
            before.push(line);
            before.last().is_some_and(|line| line.contains(text))
        });
        assert!(found, "no {text:?} in {before:#?}");
    };
    // Each pause is longer than the one before: now there is a second in which the session is idle.
    until("attempt 6 of");
    pooler.resize(3);
    let mut application = postgres::Config::new();
    application.host("127.0.0.1").port(pooler.port).user("postgres").dbname(&database.name);
    let mut clients: Vec<_> = (0..2).map(|_| application.connect(postgres::NoTls).unwrap()).collect();
    for client in &mut clients {
        client.batch_execute("BEGIN").unwrap();
    }
    until("is a pooler in transaction mode: each transaction takes the lock for itself");
    // The session with our lock is given back, and another one after it, which is lent first.
    for client in &mut clients {
        client.batch_execute("COMMIT").unwrap();
    }
    until("attempt");
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(database.value(locks), "0");
    direct.batch_execute("ROLLBACK").unwrap();
    until("applied 3");
    assert_eq!(runner.wait().unwrap().code(), Some(0));
    assert_eq!(database.value(locks), "0");
    let settings =
        "BEGIN; SELECT concat_ws('|', current_setting('lock_timeout'), current_setting('search_path'))";
    clients.push(application.connect(postgres::NoTls).unwrap());
    for client in &mut clients {
        let messages = client.simple_query(settings).unwrap();
        let value = messages.iter().find_map(|message| match message {
            postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        assert_eq!(value, Some("0|\"$user\", public"));
    }
}

#[test]
fn a_transaction_pooler_is_seen_by_what_it_does() {
    let (Some(transaction), Some(session)) = (pooler("transaction"), pooler("session")) else { return };
    let (project, database) = (probes(), Database::create());
    let doctor = |port| project.run_on(&database.url_on(port), &["doctor"]).expect(0).stdout;
    assert!(doctor(transaction.port).contains("a pooler in transaction mode"));
    assert!(doctor(session.port).contains("the session is ours alone"));
    // What cannot run in a transaction is refused before it is begun.
    project.migration("9_index", "CREATE INDEX CONCURRENTLY probe_n ON probe (n);", "");
    let ran = project.run_on(&database.url_on(transaction.port), &["up", "--skip-check"]).expect(2);
    let ran = ran.says("pooler in transaction mode").says("in session mode");
    assert!(ran.stderr.contains("applied 8"), "{}", ran.stderr);
    project.run_on(&database.url_on(session.port), &["up", "--skip-check"]).expect(0);
    // No lock stays behind on a session that goes to somebody else.
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(database.value(locks), "0");
}

/// The application that gets the server session after us must find it as it left it.
#[test]
fn nothing_of_ours_or_of_a_file_stays_on_a_pooled_session() {
    let Some(pooler) = pooler("transaction") else { return };
    let (project, database) = (Project::new(), Database::create());
    let up = "SET work_mem = '65kB'; SET search_path = pg_temp; CREATE TEMP TABLE mine (id int); SET session_replication_role = replica; CREATE TABLE public.t (id int);";
    project.migration("1_leak", up, "");
    let mut application = postgres::Config::new();
    application.host("127.0.0.1").port(pooler.port).user("postgres").dbname(&database.name);
    let look = || {
        let mut client = application.connect(postgres::NoTls).unwrap();
        let sql = "SELECT concat_ws('|', current_setting('search_path'), current_setting('statement_timeout'), current_setting('lock_timeout'), \
                   current_setting('idle_in_transaction_session_timeout'), current_setting('work_mem'), current_setting('session_replication_role'), \
                   to_regclass('pg_temp.mine') IS NULL, current_setting('lockkeeper.past', true), pg_backend_pid())";
        let messages = client.simple_query(sql).unwrap();
        let row = messages.iter().find_map(|message| match message {
            postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        row.unwrap()
    };
    let before = look();
    project.run_on(&database.url_on(pooler.port), &["up", "--skip-check"]).expect(0);
    project.run_on(&database.url_on(pooler.port), &["status"]).expect(0);
    // The pool hands out the session it used last.
    let (before, after) = (before.rsplit_once('|').unwrap().0.to_owned(), look());
    assert_eq!(after.rsplit_once('|').unwrap().0.trim_end_matches('|'), before.trim_end_matches('|'));
}
