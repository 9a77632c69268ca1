//! `action` as the runner would start it, against a GitHub that holds our requests to the rules.

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use crate::support::{
    Database, Project, Ran,
    github::{self, GitHub, Trouble},
};

/// A runner's view of one run: its files, its variables.
struct Runner<'a> {
    project: &'a Project,
    variables: Vec<(String, String)>,
}

const HEAD: &str = "ec26c3e57ca3a959ca5aad62de7213c562f8c821";

impl<'a> Runner<'a> {
    fn new(project: &'a Project, event: &str) -> Self {
        let mut runner = Self { project, variables: Vec::new() };
        let folder = project.path().join(".runner");
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str| folder.join(name).display().to_string();
        runner
            .set("GITHUB_ACTIONS", "true")
            .set("GITHUB_EVENT_NAME", event)
            .set("GITHUB_REPOSITORY", "o/r")
            .set("GITHUB_RUN_ID", "1")
            .set("GITHUB_RUN_ATTEMPT", "1")
            .set("GITHUB_SHA", HEAD)
            .set("GITHUB_OUTPUT", &file("output"))
            .set("GITHUB_STEP_SUMMARY", &file("summary.md"))
            .set("RUNNER_TEMP", &folder.display().to_string());
        runner
    }

    fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.retain(|(given, _)| given != name);
        self.variables.push((name.into(), value.into()));
        self
    }

    fn input(&mut self, name: &str, value: &str) -> &mut Self {
        self.set(&format!("LOCKKEEPER_INPUT_{}", name.to_uppercase().replace('-', "_")), value)
    }

    /// One of the real payloads, with fields set.
    fn payload(&mut self, fixture: &str, fields: &[(&str, serde_json::Value)]) -> &mut Self {
        let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/github");
        let text = std::fs::read_to_string(fixtures.join(format!("{fixture}.json"))).unwrap();
        let mut payload: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (path, value) in fields {
            let (parent, field) = path.rsplit_once('/').unwrap();
            payload.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        let path = self.project.path().join(".runner/event.json");
        std::fs::write(&path, payload.to_string()).unwrap();
        self.set("GITHUB_EVENT_PATH", &path.display().to_string())
    }

    fn on(&mut self, server: &GitHub) -> &mut Self {
        self.set("GITHUB_API_URL", &server.url).input("github-token", "ghs_token")
    }

    /// Runs `lockkeeper action`.
    fn run(&self) -> Ran {
        for file in ["output", "summary.md"] {
            let _ = std::fs::remove_file(self.project.path().join(".runner").join(file));
        }
        let mut command = self.project.command(&["action"]);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Ran::of(command.output().unwrap())
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.project.path().join(".runner").join(name)).unwrap_or_default()
    }

    fn output(&self, name: &str) -> Option<String> {
        let text = self.file("output");
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let (given, delimiter) = line.split_once("<<").unwrap();
            let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
            if given == name {
                return Some(value.join("\n"));
            }
        }
        None
    }
}

/// A pull request that adds `migrations/<name>.sql`.
fn pull_request(project: &Project, server: &GitHub, name: &str, up: &str, down: &str) {
    project.migration(name, up, down);
    let path = format!("migrations/{name}.sql");
    let text = std::fs::read_to_string(project.path().join(&path)).unwrap();
    server.state().files.clear();
    server.add_file(&path, &text);
}

fn checked<'a>(project: &'a Project, server: &GitHub) -> Runner<'a> {
    let mut runner = Runner::new(project, "pull_request");
    runner.payload("event-pr", &[]).on(server).input("shadow", "off");
    runner
}

#[test]
fn events_that_give_secrets_away_are_refused() {
    let project = Project::new();
    for event in ["pull_request_target", "workflow_run", "issue_comment"] {
        for command in ["auto", "check", "up"] {
            let mut runner = Runner::new(&project, event);
            runner.input("command", command).input("database-url", "postgresql://u:secret@127.0.0.1:1/x");
            runner.run().expect(2).says(event);
            assert_eq!(runner.output("status").as_deref(), Some("failed"));
        }
    }
}

#[test]
fn nothing_is_guessed() {
    let project = Project::new();
    for event in ["workflow_dispatch", "schedule", "release"] {
        Runner::new(&project, event).run().expect(2).says("does not say what to do");
    }
    let mut tag = Runner::new(&project, "push");
    tag.payload("event-push", &[]).run().expect(2).says("another than the default branch");
}

#[test]
fn what_changes_no_content_does_nothing() {
    let project = Project::new();
    for action in ["labeled", "closed", "edited"] {
        let mut runner = Runner::new(&project, "pull_request");
        runner.payload("event-pr", &[("/action", action.into())]).run().expect(0);
        assert_eq!(runner.output("status").as_deref(), Some("nothing-to-do"));
    }
    let mut deleted = Runner::new(&project, "push");
    deleted.payload("event-push", &[("/ref", "refs/heads/master".into()), ("/deleted", true.into())]);
    deleted.run().expect(0);
}

#[test]
fn a_rollback_must_be_said_twice() {
    let project = Project::new();
    let mut runner = Runner::new(&project, "workflow_dispatch");
    runner.input("command", "down");
    runner.run().expect(2).says("rollback-to");
    runner.input("rollback-to", "20260101000000").input("confirm", "20260101000001");
    runner.run().expect(2).says("does not repeat");
    runner.input("confirm", "20260101000000").input("dry-run", "yes");
    runner.run().expect(2).says("neither true nor false");
}

#[test]
fn secrets_are_masked_before_anything_is_said() {
    let project = Project::new();
    let mut runner = Runner::new(&project, "workflow_dispatch");
    runner.input("database-url", "postgresql://u:p%40ss%25word@127.0.0.1:1/x");
    let ran = runner.run().expect(2);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "::add-mask::postgresql://u:p%2540ss%2525word@127.0.0.1:1/x",
            "::add-mask::p%2540ss%2525word",
            "::add-mask::p@ss%25word"
        ]
    );
    // Off a runner nobody would obey the command, and it would be the secret itself.
    runner.set("GITHUB_ACTIONS", "");
    let ran = runner.run().expect(2);
    assert!(!ran.stdout.contains("add-mask") && !ran.stdout.contains("ss%"), "{}", ran.stdout);
}

const DANGEROUS: &str = "TRUNCATE legacy;";
const FINE: &str =
    "CREATE TABLE notes (id bigint PRIMARY KEY);\nALTER TABLE notes ENABLE ROW LEVEL SECURITY;";

/// A repository whose base has a table `orders`.
fn repository() -> Project {
    let project = Project::new();
    project.migration(
        "20260101000000_orders",
        "CREATE TABLE orders (id bigint, note text);",
        "DROP TABLE orders;",
    );
    project
}

#[test]
fn a_pull_request_gets_a_comment_and_a_push_writes_it_over() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    let name = "20260102000000_index";
    pull_request(&project, &server, name, DANGEROUS, "SELECT 1;");
    let mut runner = checked(&project, &server);
    let ran = runner.run().expect(1);
    assert!(
        ran.stdout.contains("::error title=truncate,file=migrations/20260102000000_index.sql,line=2"),
        "{}",
        ran.stdout
    );
    assert!(runner.file("summary.md").contains("truncate"));
    assert_eq!(runner.output("status").as_deref(), Some("findings"));
    assert_eq!(server.bodies().len(), 1);
    assert!(
        server.bodies()[0].starts_with(
            "<!-- lockkeeper:v1 id=default head=ec26c3e57ca3a959ca5aad62de7213c562f8c821 run=1.1 "
        )
    );
    assert!(server.bodies()[0].contains("truncate"));
    assert!(
        runner.output("comment-url").unwrap().starts_with("https://github.invalid/o/r/pull/2#issuecomment-")
    );
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(runner.output("report-path").unwrap()).unwrap())
            .unwrap();
    assert_eq!(report["summary"]["files"], 1);
    let remarks = server.remark_bodies();
    assert!(remarks.iter().any(|body| body.contains("truncate")), "{remarks:?}");
    assert_eq!(server.state().reviews.len(), 1);

    // The same again: nothing is doubled.
    runner.set("GITHUB_RUN_ID", "2").run().expect(1);
    assert_eq!((server.bodies().len(), server.remark_bodies().len()), (1, remarks.len()));
    assert_eq!(server.state().reviews.len(), 1);

    // Mended: one line, and no remark is left.
    std::fs::remove_file(project.path().join(format!("migrations/{name}.sql"))).unwrap();
    pull_request(&project, &server, name, FINE, "DROP TABLE notes;");
    runner.set("GITHUB_RUN_ID", "3").input("fail-on", "error").run().expect(0);
    assert_eq!(server.bodies().len(), 1);
    assert!(!server.bodies()[0].contains("truncate"), "{}", server.bodies()[0]);
    assert!(!server.remark_bodies().iter().any(|body| body.contains("truncate")));
}

#[test]
fn a_clean_pull_request_is_left_in_peace() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    server.put_file("README.md", "modified", &github::blob("x"), Some("@@ -1 +1 @@\n-a\n+b"));
    let runner = checked(&project, &server);
    runner.run().expect(0);
    assert_eq!(runner.output("status").as_deref(), Some("clean"));
    assert_eq!(server.writes(), Vec::<String>::new());
}

#[test]
fn a_fork_gets_the_same_content_without_a_comment() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    pull_request(&project, &server, "20260102000000_index", DANGEROUS, "SELECT 1;");
    server.state().read_only = true;
    let mut runner = checked(&project, &server);
    runner.payload("event-pr", &[("/pull_request/head/repo", serde_json::Value::Null)]);
    let ran = runner.run().expect(1);
    assert!(ran.stdout.contains("::notice title=Lockkeeper::No comment was written"), "{}", ran.stdout);
    assert!(ran.stdout.contains("pull_requests=write"), "{}", ran.stdout);
    assert!(ran.stdout.contains("::error title=truncate"));
    assert!(runner.file("summary.md").contains("truncate"));
    assert_eq!(server.bodies(), Vec::<String>::new());
}

#[test]
fn a_lost_answer_doubles_nothing() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    pull_request(&project, &server, "20260102000000_index", DANGEROUS, "SELECT 1;");
    server.trouble("POST", "/issues/2/comments", Trouble::StoredThen502);
    server.trouble("POST", "/reviews", Trouble::StoredThen502);
    checked(&project, &server).run().expect(1);
    assert_eq!((server.bodies().len(), server.state().reviews.len()), (1, 1));
}

#[test]
fn an_old_run_started_again_writes_nothing() {
    let (project, server) = (repository(), GitHub::start("f95f852bd8fca8fcc58a9a2d6c842781e32a215e"));
    pull_request(&project, &server, "20260102000000_index", DANGEROUS, "SELECT 1;");
    let ran = checked(&project, &server).run().expect(1);
    assert!(ran.stdout.contains("has a newer commit"));
    assert_eq!(server.writes(), Vec::<String>::new());
}

#[test]
fn github_down_does_not_change_the_verdict() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    pull_request(&project, &server, "20260102000000_index", DANGEROUS, "SELECT 1;");
    let mut runner = checked(&project, &server);
    runner.set("GITHUB_API_URL", "http://127.0.0.1:9");
    let ran = runner.run().expect(1);
    assert!(ran.stdout.contains("git is asked what changed instead"), "{}", ran.stdout);
    assert!(runner.file("summary.md").contains("truncate"));
}

#[test]
fn a_merged_migration_may_not_be_edited() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    let path = "migrations/20260101000000_orders.sql";
    let text = std::fs::read_to_string(project.path().join(path)).unwrap();
    server.put_file(path, "modified", &github::blob(&text), Some("@@ -2 +2 @@\n-old\n+new"));
    let ran = checked(&project, &server).run().expect(1);
    assert!(ran.stdout.contains("applied-migration-edited"), "{}", ran.stdout);
}

#[test]
fn a_version_older_than_the_base_is_told() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    pull_request(&project, &server, "20250101000000_late", FINE, "DROP TABLE notes;");
    let ran = checked(&project, &server).run().expect(1);
    assert!(ran.stdout.contains("out-of-order-version"), "{}", ran.stdout);
}

#[test]
fn the_merge_queue_is_checked_without_a_comment() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    project.migration("20260102000000_index", DANGEROUS, "SELECT 1;");
    let mut runner = Runner::new(&project, "merge_group");
    runner.payload("event-merge_group", &[]).on(&server).input("shadow", "off");
    let ran = runner.run().expect(1);
    // The base commit is not in this checkout, so everything is looked at, and that is said.
    assert!(ran.stdout.contains("every migration is checked"), "{}", ran.stdout);
    assert_eq!(server.writes(), Vec::<String>::new());
}

#[test]
fn a_database_s_address_is_not_for_checks() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    server.state().files.clear();
    let mut runner = checked(&project, &server);
    runner.input("database-url", "postgresql://u:hunter2hunter2@127.0.0.1:1/x");
    let ran = runner.run().expect(0);
    assert!(ran.stdout.contains("::warning title=Lockkeeper::The address of a database is set for a check"));
}

/// Names and SQL from the pull request never become markup, mentions or commands.
#[test]
fn hostile_text_stays_text() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    let name = "20260102000000_a`b|c @octocat <img src=x> ##[error]x";
    let up = "TRUNCATE legacy; CREATE TABLE \"i ##[warning]` @octocat <!-- lockkeeper:v1 id=default --> | x\" (id int);\n\
              -- ::add-mask::the\n-- ```\n";
    pull_request(&project, &server, name, up, "DROP INDEX orders_note;\n-- ::error::forged");
    let runner = checked(&project, &server);
    let ran = runner.run();
    assert!(ran.code == Some(1) || ran.code == Some(2), "{}", ran.stderr);
    for stream in [&ran.stdout, &ran.stderr] {
        // A line that is a command of ours is no other: the runner looks for `##[` elsewhere only.
        let ours =
            |line: &&str| ["::error ", "::warning ", "::notice "].iter().any(|it| line.starts_with(it));
        assert!(!stream.lines().filter(|line| !ours(line)).any(|line| line.contains("##[")), "{stream}");
        for line in stream.lines().filter(|line| line.trim_start().starts_with("::")) {
            assert!(!line.contains("forged") && !line.starts_with("::add-mask::the"), "{line}");
        }
    }
    for body in server.bodies().iter().chain(&server.remark_bodies()) {
        let visible = body.split_once(" -->\n").unwrap().1;
        let mut fenced = false;
        for line in visible.lines() {
            if line.starts_with("```") {
                fenced = !fenced;
            } else if !fenced && !line.contains('`') {
                assert!(
                    !line.contains("@octocat") && !line.contains("<img") && !line.contains("<!--"),
                    "{line}"
                );
            }
        }
    }
}

#[test]
fn a_token_that_is_refused_is_said_and_no_more() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    pull_request(&project, &server, "20260102000000_index", DANGEROUS, "SELECT 1;");
    let mut runner = checked(&project, &server);
    runner.input("github-token", "expired");
    let ran = runner.run().expect(1);
    assert!(ran.stdout.contains("Bad credentials"), "{}", ran.stdout);
}

#[test]
fn several_runs_in_one_pull_request_are_kept_apart() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    pull_request(&project, &server, "20260102000000_index", DANGEROUS, "SELECT 1;");
    let mut runner = checked(&project, &server);
    runner.input("comment", "summary").run().expect(1);
    runner.input("comment-id", "other").run().expect(1);
    assert_eq!(server.bodies().len(), 2);
    runner.input("comment", "off").input("comment-id", "third").run().expect(1);
    assert_eq!(server.bodies().len(), 2);
    runner.input("comment-id", "a --> b").run().expect(2);
}

#[test]
fn sarif_and_html_are_written_on_request() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    pull_request(&project, &server, "20260102000000_index", DANGEROUS, "SELECT 1;");
    let mut runner = checked(&project, &server);
    runner.input("sarif-file", "out.sarif").input("html-file", "out.html").run().expect(1);
    let sarif = std::fs::read_to_string(project.path().join("out.sarif")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&sarif).unwrap()["version"], "2.1.0");
    assert!(std::fs::read_to_string(project.path().join("out.html")).unwrap().contains("<html"));
}

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

/// `action.yml`, as far as its shape is needed here: the names under a top-level key.
fn names_under(key: &str) -> BTreeSet<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("action.yml");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split(&format!("\n{key}:\n")).nth(1).unwrap();
    section
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with(' '))
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')))
        .filter_map(|line| line.strip_suffix(':'))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn the_inputs_of_action_yml_are_those_that_the_program_reads() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(root.join("src/commands/action/inputs.rs")).unwrap();
    let list = source.split("NAMES: &[&str] = &[").nth(1).unwrap().split("];").next().unwrap();
    let mut read: BTreeSet<String> = list.split('"').skip(1).step_by(2).map(ToOwned::to_owned).collect();
    let action = std::fs::read_to_string(root.join("action.yml")).unwrap();
    for name in &read {
        let line =
            format!("LOCKKEEPER_INPUT_{}: ${{{{ inputs.{name} }}}}", name.to_uppercase().replace('-', "_"));
        assert!(action.contains(&line), "action.yml does not hand over {name}");
    }
    // These two are the install script's.
    read.extend(["version".into(), "binary-path".into()]);
    assert_eq!(names_under("inputs"), read);
}

#[test]
fn nothing_is_pasted_into_a_script() {
    let action =
        std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("action.yml")).unwrap();
    for line in action.lines().filter(|line| line.trim_start().starts_with("run:")) {
        assert!(!line.contains("${{"), "{line}");
    }
}

#[test]
fn the_outputs_of_action_yml_are_those_that_the_program_writes() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/commands/action");
    let mut written = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        written.extend(
            text.split("outputs.set(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()),
        );
        written.extend(
            text.split("outputs.set(\n")
                .skip(1)
                .filter_map(|rest| Some(rest.trim_start().strip_prefix('"')?.split('"').next()?.to_owned())),
        );
    }
    assert_eq!(names_under("outputs"), written);
}

/// `scripts/install.sh`, with a server of its own, as the runner would run it.
mod install {
    use super::*;
    use crate::support::Project;

    fn script(project: &Project, variables: &[(&str, &str)]) -> (Ran, String) {
        let output = project.path().join("output");
        let _ = std::fs::remove_file(&output);
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let run = Command::new("sh")
            .arg(root.join("scripts/install.sh"))
            .current_dir(project.path())
            .env_clear()
            // Without cargo: a test must not build us again.
            .env("PATH", "/usr/bin:/bin")
            .env("RUNNER_TEMP", project.path())
            .env("RUNNER_TOOL_CACHE", project.path().join("tools"))
            .env("GITHUB_OUTPUT", &output)
            .env("LOCKKEEPER_CHECKSUMS", project.path().join("sums"))
            .env("LOCKKEEPER_PROTO", "=file")
            .env("LOCKKEEPER_RELEASE_BASE", format!("file://{}/releases", project.path().display()))
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        (Ran::of(run), std::fs::read_to_string(output).unwrap_or_default())
    }

    /// A release 1.2.3 for this machine, and its sum.
    fn release(project: &Project) -> String {
        let machine = String::from_utf8(Command::new("uname").arg("-m").output().unwrap().stdout).unwrap();
        let asset = format!("lockkeeper-1.2.3-{}-unknown-linux-musl.tar.gz", machine.trim());
        project.write("pack/lockkeeper", "#!/bin/sh\necho it runs\n");
        project.write(&format!("releases/v1.2.3/{asset}"), "");
        let steps = format!(
            "chmod 755 pack/lockkeeper && tar -czf releases/v1.2.3/{asset} -C pack lockkeeper && \
             sha256sum releases/v1.2.3/{asset} | cut -d ' ' -f 1"
        );
        let run = Command::new("sh").args(["-c", &steps]).current_dir(project.path()).output().unwrap();
        let sum = String::from_utf8(run.stdout).unwrap().trim().to_owned();
        project.write("sums", &format!("version 1.2.3\n{sum}  {asset}\n"));
        asset
    }

    #[test]
    fn a_release_is_downloaded_once() {
        let project = Project::new();
        release(&project);
        let (ran, output) = script(&project, &[]);
        assert!(ran.expect(0).stdout.contains("SHA-256"));
        let program = output.trim().strip_prefix("binary=").unwrap().to_owned();
        let said = Command::new(program).output().unwrap().stdout;
        assert_eq!(String::from_utf8(said).unwrap(), "it runs\n");
        std::fs::remove_dir_all(project.path().join("releases")).unwrap();
        let (ran, _) = script(&project, &[]);
        assert!(ran.expect(0).stdout.contains("tool cache"));
    }

    #[test]
    fn a_tampered_asset_is_fatal() {
        let project = Project::new();
        let asset = release(&project);
        project.write(&format!("releases/v1.2.3/{asset}"), "something else");
        let (ran, output) = script(&project, &[]);
        assert!(ran.expect(1).stdout.contains("it is not run"));
        assert_eq!(output, "");
    }

    #[test]
    fn a_version_without_a_sum_is_refused() {
        let project = Project::new();
        release(&project);
        let (ran, _) = script(&project, &[("LOCKKEEPER_VERSION", "9.9.9")]);
        assert!(ran.expect(1).stdout.contains("no SHA-256 for version 9.9.9"));
        let (ran, _) = script(&project, &[("LOCKKEEPER_VERSION", "1.2.3/../../evil")]);
        assert!(ran.expect(1).stdout.contains("is not of the form"));
    }

    #[test]
    fn a_given_path_is_taken_and_a_missing_one_said() {
        let project = Project::new();
        release(&project);
        let (ran, output) = script(&project, &[("LOCKKEEPER_BINARY_PATH", "pack/lockkeeper")]);
        ran.expect(0);
        assert!(output.trim().ends_with("/pack/lockkeeper") && output.starts_with("binary=/"), "{output}");
        let (ran, _) = script(&project, &[("LOCKKEEPER_BINARY_PATH", "/nope")]);
        assert!(ran.expect(1).stdout.contains("not an executable file"));
    }

    #[test]
    fn without_a_release_and_without_cargo_it_says_what_to_do() {
        let project = Project::new();
        let (ran, _) = script(&project, &[]);
        assert!(ran.expect(1).stdout.contains("install Rust before this step"));
    }
}
