//! Deploys and rollbacks, and who is told.

use crate::support::{
    Database, Project,
    github::GitHub,
    runner::{FINE, HEAD, Runner, repository},
};

/// A push to the default branch that merged pull request 7.
fn merged<'a>(project: &'a Project, server: &GitHub, database: &Database) -> Runner<'a> {
    server.state().merges.insert(HEAD.into(), 7);
    let mut runner = Runner::new(project, "push");
    runner
        .payload("event-push", &[("/ref", "refs/heads/master".into()), ("/after", HEAD.into())])
        .on(server)
        .input("database-url", &database.url());
    runner
}

fn tables(database: &Database) -> Vec<String> {
    database.column("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
}

#[test]
fn a_merge_is_applied_and_a_dispatch_rolls_it_back() {
    let (project, server, database) = (repository(), GitHub::start(HEAD), Database::create());
    project.migration("20260102000000_notes", FINE, "DROP TABLE notes;");
    let runner = merged(&project, &server, &database);
    runner.run().expect(0);
    assert_eq!(tables(&database), ["notes", "orders"]);
    let outputs = ["status", "applied", "pending", "current-version", "exit-code"];
    let of = |runner: &Runner<'_>| outputs.map(|name| runner.output(name).unwrap_or_default());
    assert_eq!(of(&runner), ["applied", "[20260101000000,20260102000000]", "[]", "20260102000000", "0"]);
    assert!(
        runner.file("summary.md").contains("| `20260102000000` | `notes` |"),
        "{}",
        runner.file("summary.md")
    );
    assert_eq!(server.writes(), ["POST /repos/o/r/issues/7/comments"]);
    assert!(server.bodies()[0].contains("applied 2 migrations"), "{}", server.bodies()[0]);

    // Once more: nothing to do, and nobody is told.
    runner.run().expect(0);
    assert_eq!(of(&runner), ["nothing-to-do", "[]", "[]", "20260102000000", "0"]);
    assert_eq!(server.writes().len(), 1);

    let mut back = Runner::new(&project, "workflow_dispatch");
    back.on(&server)
        .input("command", "down")
        .input("database-url", &database.url())
        .input("rollback-to", "20260101000000")
        .input("confirm", "20260101000000")
        .input("dry-run", "true");
    back.run().expect(0);
    assert_eq!(back.output("status").as_deref(), Some("planned"));
    assert!(back.file("summary.md").contains("20260102000000"), "{}", back.file("summary.md"));
    assert_eq!(tables(&database), ["notes", "orders"]);
    back.input("dry-run", "false").run().expect(0);
    assert_eq!(tables(&database), ["orders"]);
    assert_eq!(of(&back)[..2], ["rolled-back", "[20260102000000]"]);
    assert!(server.bodies()[0].contains("rolled back 1 migration"), "{:?}", server.bodies());
    // A double click.
    back.run().expect(0);
    assert_eq!(of(&back)[0], "nothing-to-do");
    assert_eq!(tables(&database), ["orders"]);
}

#[test]
fn a_deployment_is_recorded_where_the_configuration_asks() {
    let (project, server, database) = (repository(), GitHub::start(HEAD), Database::create());
    project.write("lockkeeper.toml", "[github]\ndeployments = true\n");
    let mut runner = merged(&project, &server, &database);
    runner.input("comment", "off").input("comment-id", "berlin");
    runner.run().expect(0);
    let writes = server.writes();
    assert_eq!(writes[0], "POST /repos/o/r/deployments");
    assert!(writes[1].ends_with("/statuses") && writes.len() == 2, "{writes:?}");
    let state = server.state();
    let sent: Vec<_> = state.journal.iter().filter(|request| request.method == "POST").collect();
    assert_eq!(sent[0].body["environment"], "berlin");
    assert_eq!(sent[0].body["task"], "lockkeeper:up");
    assert_eq!(sent[1].body["state"], "success");
    assert!(sent[1].body["description"].as_str().unwrap().contains("Lockkeeper applied"), "{}", sent[1].body);
    drop(state);
    // Nothing to do is no deployment.
    runner.run().expect(0);
    assert_eq!(server.writes().len(), 2);
}

#[test]
fn a_failed_deploy_says_where_the_database_stands() {
    let (project, server, database) = (repository(), GitHub::start(HEAD), Database::create());
    project.migration("20260102000000_wrong", "CREATE TABLE orders (id int);", "SELECT 1;");
    let runner = merged(&project, &server, &database);
    let ran = runner.run().expect(4);
    assert!(ran.stdout.contains("::error title=Lockkeeper::"), "{}", ran.stdout);
    assert_eq!(runner.output("status").as_deref(), Some("failed"));
    assert_eq!(runner.output("applied").as_deref(), Some("[20260101000000]"));
    let summary = runner.file("summary.md");
    assert!(summary.contains("rolled back") && summary.contains("already exists"), "{summary}");
    assert!(server.bodies()[0].contains("already exists"), "{:?}", server.bodies());
}

#[test]
fn no_secret_is_shown_when_the_database_is_away() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    let mut runner = Runner::new(&project, "push");
    runner
        .payload("event-push", &[("/ref", "refs/heads/master".into()), ("/after", HEAD.into())])
        .on(&server)
        .input("database-url", "postgresql://u:hunter2%40hunter2@127.0.0.1:9/x");
    let ran = runner.run().expect(3);
    let unmasked: String = ran.stdout.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
    for text in [&unmasked, &ran.stderr, &runner.file("summary.md"), &runner.file("output")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert_eq!(runner.output("status").as_deref(), Some("failed"));
}

/// One of the configured databases, named as in a matrix.
#[test]
fn a_target_is_taken_by_its_name() {
    let (project, server, database) = (repository(), GitHub::start(HEAD), Database::create());
    project.write("lockkeeper.toml", "[targets.berlin]\ndatabase_url_env = \"BERLIN_URL\"\n");
    let mut runner = Runner::new(&project, "workflow_dispatch");
    runner.on(&server).input("command", "up").input("target", "berlin").set("BERLIN_URL", &database.url());
    runner.run().expect(0);
    assert_eq!(tables(&database), ["orders"]);
    runner.input("target", "munich").run().expect(2);

    let mut matrix = Runner::new(&project, "workflow_dispatch");
    matrix.input("command", "matrix").run().expect(0);
    let told = r#"{"include":[{"target":"berlin","wave":1,"database_url_env":"BERLIN_URL"}]}"#;
    assert_eq!(matrix.output("matrix").as_deref(), Some(told));
}
