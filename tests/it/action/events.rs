//! What GitHub sends, in all its shapes: queues, forks, drafts, robots, large and odd changes.

use serde_json::{Value, json};

use crate::support::{
    Database, Project,
    github::{self, GitHub},
    runner::{DANGEROUS, FINE, HEAD, Runner, checked, commit, git, pull_request, repository},
};

const OTHER: &str = "CREATE TABLE tags (id bigint PRIMARY KEY);\nALTER TABLE tags ENABLE ROW LEVEL SECURITY;";

fn in_the_queue<'a>(project: &'a Project, base: &str, head: &str) -> Runner<'a> {
    let mut runner = Runner::new(project, "merge_group");
    let fields = [("/merge_group/base_sha", json!(base)), ("/merge_group/head_sha", json!(head))];
    runner.payload("event-merge_group", &fields).set("GITHUB_SHA", head).input("shadow", "off");
    runner
}

/// Each is fine on the base that it saw; behind each other they collide.
#[test]
fn two_green_pull_requests_collide_in_the_queue() {
    let project = repository();
    let base = commit(&project, "base");

    // The first one alone, and in the queue: nothing to say.
    project.migration("20260103000000_notes", FINE, "DROP TABLE notes;");
    let first = commit(&project, "first");
    let runner = in_the_queue(&project, &base, &first);
    runner.run().expect(0);

    for (name, rule) in
        [("20260102000000_tags", "out-of-order-version"), ("20260103000000_tags", "duplicate-version")]
    {
        // The second one alone.
        git(&project, &["checkout", "--quiet", "--detach", &base]);
        project.migration(name, OTHER, "DROP TABLE tags;");
        let alone = commit(&project, "second");
        in_the_queue(&project, &base, &alone).run().expect(0);

        // Behind the first one.
        git(&project, &["checkout", "--quiet", "--detach", &first]);
        project.migration(name, OTHER, "DROP TABLE tags;");
        let group = commit(&project, "group");
        let runner = in_the_queue(&project, &first, &group);
        let ran = runner.run();
        assert!(matches!(ran.code, Some(1 | 2)), "{}", ran.stdout);
        assert!(ran.stdout.contains(rule), "{}", ran.stdout);
        assert_eq!(runner.output("status").as_deref(), Some("findings"));
        git(&project, &["checkout", "--quiet", "--detach", &base]);
    }
}

#[test]
fn a_draft_is_checked_like_any_other() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    pull_request(&project, &server, "20260102000000_index", DANGEROUS, "SELECT 1;");
    let mut runner = checked(&project, &server);
    runner.payload("event-pr", &[("/pull_request/draft", true.into())]).run().expect(1);
    assert_eq!((server.bodies().len(), server.state().reviews.len()), (1, 1));
}

/// Its branch is in the same repository, and its token may only read all the same.
#[test]
fn dependabot_gets_the_verdict_without_a_comment() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    pull_request(&project, &server, "20260102000000_index", DANGEROUS, "SELECT 1;");
    server.state().read_only = true;
    let mut runner = checked(&project, &server);
    let user = json!({ "login": "dependabot[bot]", "type": "Bot" });
    runner.payload("event-pr", &[("/pull_request/user", user)]);
    let ran = runner.run().expect(1);
    assert!(ran.stdout.contains("::notice title=Lockkeeper::No comment was written"), "{}", ran.stdout);
    assert!(ran.stdout.contains("expected for Dependabot"), "{}", ran.stdout);
    assert!(runner.file("summary.md").contains("truncate"));
}

#[test]
fn merged_migrations_may_not_be_edited_renamed_or_deleted() {
    let path = "migrations/20260101000000_orders.sql";
    for status in ["modified", "renamed", "removed"] {
        let (project, server) = (repository(), GitHub::start(HEAD));
        project.migration("20260102000000_notes", FINE, "DROP TABLE notes;");
        match status {
            "modified" => server.put_file(path, status, &github::blob("x"), Some("@@ -2 +2 @@\n-old\n+new")),
            "renamed" => {
                let to = "migrations/20260101000000_purchases.sql";
                std::fs::rename(project.path().join(path), project.path().join(to)).unwrap();
                server.put_file(to, status, &github::blob("x"), None);
                server.state().files[0]["previous_filename"] = json!(path);
            }
            _ => {
                project.remove(path);
                server.put_file(path, status, &github::blob("x"), Some("@@ -1 +0,0 @@\n-old"));
            }
        }
        let ran = checked(&project, &server).run().expect(1);
        let edited =
            ran.stdout.lines().find(|line| line.starts_with("::error title=applied-migration-edited"));
        assert!(
            edited.is_some_and(|line| line.contains("20260101000000_orders")),
            "{status}: {}",
            ran.stdout
        );
        assert!(server.bodies()[0].contains("applied-migration-edited"), "{status}: {}", server.bodies()[0]);
    }
}

#[test]
fn a_version_equal_to_one_on_the_base_is_told() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    pull_request(&project, &server, "20260101000000_notes", FINE, "DROP TABLE notes;");
    let ran = checked(&project, &server).run();
    assert!(matches!(ran.code, Some(1 | 2)), "{}", ran.stdout);
    assert!(ran.stdout.contains("duplicate-version"), "{}", ran.stdout);
}

/// GitHub lists 3,000 files and no more; git knows the rest.
#[test]
fn more_files_than_github_lists_are_asked_of_git() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    commit(&project, "base");
    project.migration("20260102000000_index", DANGEROUS, "SELECT 1;");
    commit(&project, "change");
    for n in 0..3000 {
        server.put_file(&format!("docs/{n:04}.md"), "added", &github::blob_of_nothing(), None);
    }
    let mut runner = checked(&project, &server);
    let ran = runner.payload("event-pr", &[("/pull_request/changed_files", json!(3001))]).run().expect(1);
    assert!(ran.stdout.contains("git is asked instead"), "{}", ran.stdout);
    assert!(ran.stdout.contains("::error title=truncate"), "{}", ran.stdout);
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(runner.output("report-path").unwrap()).unwrap())
            .unwrap();
    assert_eq!(report["summary"]["files"], 1);
    // The summary stands; no line can be commented on, for no diff is known.
    assert_eq!((server.bodies().len(), server.state().reviews.len()), (1, 0));
}

#[test]
fn a_file_too_large_for_a_diff_is_spoken_of_as_a_whole() {
    let (project, server) = (repository(), GitHub::start(HEAD));
    pull_request(&project, &server, "20260102000000_index", DANGEROUS, "SELECT 1;");
    server.state().files[0].as_object_mut().unwrap().remove("patch");
    checked(&project, &server).run().expect(1);
    let remarks = server.state().remarks.clone();
    assert!(!remarks.is_empty());
    assert!(remarks.iter().all(|remark| remark["subject_type"] == "file"), "{remarks:?}");
}

/// On a branch without the setup of a pull request: its first commit, a force push, a deletion.
#[test]
fn a_push_is_applied_from_state_whatever_its_before_says() {
    let (project, server, database) = (repository(), GitHub::start(HEAD), Database::create());
    let zero = "0".repeat(40);
    let push = |fields: &[(&str, Value)]| {
        let mut runner = Runner::new(&project, "push");
        let mut all = vec![("/ref", json!("refs/heads/master")), ("/after", json!(HEAD))];
        all.extend_from_slice(fields);
        runner.payload("event-push", &all).on(&server).input("database-url", &database.url());
        runner
    };
    let deleted = push(&[("/after", json!(zero)), ("/deleted", json!(true))]);
    deleted.run().expect(0);
    assert_eq!(deleted.output("status").as_deref(), Some("nothing-to-do"));

    let first = push(&[("/before", json!(zero)), ("/created", json!(true))]);
    first.run().expect(0);
    assert_eq!(first.output("applied").as_deref(), Some("[20260101000000]"));

    project.migration("20260102000000_notes", FINE, "DROP TABLE notes;");
    let forced = push(&[("/before", json!("d".repeat(40))), ("/forced", json!(true))]);
    forced.run().expect(0);
    assert_eq!(forced.output("applied").as_deref(), Some("[20260102000000]"));

    // Approved late: this commit does not know what a newer deploy has applied since.
    project.remove("migrations/20260102000000_notes.sql");
    let late = push(&[]);
    let ran = late.run().expect(0);
    assert_eq!(late.output("status").as_deref(), Some("nothing-to-do"));
    assert_eq!(late.output("current-version").as_deref(), Some("20260102000000"));
    let told = "::notice title=Lockkeeper::This commit is older than the database";
    assert!(ran.stdout.contains(told), "{}", ran.stdout);
    assert!(late.file("summary.md").contains("a newer deploy has applied 20260102000000 already"));
}
