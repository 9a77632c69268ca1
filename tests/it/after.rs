//! What comes after a change: PostgREST is told, invalid indexes are looked for. Neither changes the
//! exit code.

use std::time::Duration;

use postgres::{Client, fallible_iterator::FallibleIterator};

use crate::support::{Database, Project};

fn project(config: &str) -> Project {
    let project = Project::new();
    project.write("lockkeeper.toml", &format!("profile = \"postgres\"\n{config}"));
    project.migration("20260101000001_one", "CREATE TABLE one (id bigint PRIMARY KEY);", "DROP TABLE one;");
    project
}

fn listener(database: &Database) -> Client {
    let mut client = database.client();
    client.batch_execute("LISTEN pgrst").unwrap();
    client
}

/// What was said on PostgREST's channel since the last call.
fn heard(client: &mut Client) -> Vec<String> {
    let mut all = client.notifications();
    let mut heard = Vec::new();
    let mut waiting = all.timeout_iter(Duration::from_millis(300));
    while let Some(notification) = waiting.next().unwrap() {
        assert_eq!(notification.channel(), "pgrst");
        heard.push(notification.payload().to_owned());
    }
    heard
}

#[test]
fn postgrest_is_told_of_changes_and_of_nothing_else() {
    let (project, database) = (project(""), Database::create());
    let (url, mut ears) = (database.url(), listener(&database));
    let reload = ["reload schema"];
    project.run_on(&url, &["up", "--dry-run"]).expect(0);
    assert_eq!(heard(&mut ears), [""; 0]);
    project.run_on(&url, &["up"]).expect(0);
    assert_eq!(heard(&mut ears), reload);
    project.run_on(&url, &["up"]).expect(0);
    assert_eq!(heard(&mut ears), [""; 0]);
    project.run_on(&url, &["down"]).expect(0);
    assert_eq!(heard(&mut ears), reload);
    // Outside a transaction, too.
    project.migration(
        "20260101000002_two",
        "CREATE INDEX CONCURRENTLY one_id ON one (id);",
        "DROP INDEX CONCURRENTLY one_id;",
    );
    project.run_on(&url, &["up"]).expect(0);
    assert_eq!(heard(&mut ears), reload);
    project.run_on(&url, &["down"]).expect(0);
    assert_eq!(heard(&mut ears), reload);
    project.remove("migrations/20260101000002_two.sql");
    // What was applied before a failure counts; a failure alone changes nothing.
    project.migration(
        "20260101000003_three",
        "CREATE TABLE three (id bigint PRIMARY KEY);",
        "DROP TABLE three;",
    );
    project.migration("20260101000004_four", "SELECT 1 / 0;", "SELECT 1;");
    project.run_on(&url, &["up"]).expect(4);
    assert_eq!(heard(&mut ears), reload);
    project.run_on(&url, &["up"]).expect(4);
    assert_eq!(heard(&mut ears), [""; 0]);
}

#[test]
fn postgrest_is_left_alone_where_that_is_set() {
    let (project, database) = (project("[deploy]\nnotify_pgrst = false\n"), Database::create());
    let mut ears = listener(&database);
    project.run_on(&database.url(), &["up"]).expect(0);
    project.run_on(&database.url(), &["down"]).expect(0);
    assert_eq!(heard(&mut ears), [""; 0]);
}

#[test]
fn invalid_indexes_are_told() {
    let (project, database) = (project(""), Database::create());
    database.execute(
        "CREATE SCHEMA s; CREATE TABLE s.t (id bigint); CREATE INDEX broken ON s.t (id); \
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 's.broken'::regclass",
    );
    project.run_on(&database.url(), &["baseline"]).expect(0);
    project.migration("20260101000002_two", "CREATE TABLE two (id bigint PRIMARY KEY);", "DROP TABLE two;");
    let says = "warning: invalid indexes, which no query uses and every write keeps up: s.broken";
    project.run_on(&database.url(), &["up"]).expect(0).says(says).says("REINDEX INDEX CONCURRENTLY");
    project.run_on(&database.url(), &["down"]).expect(0).says(says);
    database.execute("REINDEX INDEX s.broken");
    let ran = project.run_on(&database.url(), &["up"]).expect(0);
    assert!(!ran.stderr.contains("invalid indexes"), "{}", ran.stderr);
}
