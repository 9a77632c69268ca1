//! Pull requests and the merge queue: what is said, where, and what is asked of GitHub.

use crate::support::{
    github::{self, GitHub, Trouble},
    runner::{DANGEROUS, FINE, HEAD, Runner, checked, pull_request, repository},
};

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

/// Applies a remark's suggestion as GitHub's button does: whole lines for the lines of the remark.
fn applied(text: &str, remark: &serde_json::Value) -> Option<String> {
    let body = remark["body"].as_str().unwrap();
    let block = body.split_once("```suggestion\n")?.1.split_once("\n```")?.0;
    let end = usize::try_from(remark["line"].as_u64().unwrap()).unwrap();
    let start = remark["start_line"].as_u64().map_or(end, |line| usize::try_from(line).unwrap());
    let lines: Vec<&str> = text.split('\n').collect();
    Some([&lines[..start - 1], &[block], &lines[end..]].concat().join("\n"))
}

#[test]
fn a_suggestion_applied_makes_its_finding_go() {
    for (rule, up) in [
        (
            "index-not-concurrent",
            "-- lockkeeper: transaction off\nCREATE INDEX orders_note ON orders (note);",
        ),
        ("drop-index-not-concurrent", "-- lockkeeper: transaction off\nDROP INDEX orders_old;"),
        ("reindex-not-concurrent", "-- lockkeeper: transaction off\nREINDEX TABLE orders;"),
        ("check-validates-rows", "ALTER TABLE orders ADD CONSTRAINT c\n  CHECK (id > 0);"),
        (
            "fk-validates-rows",
            "SET lock_timeout = '2s';\nALTER TABLE orders\n  ADD CONSTRAINT f FOREIGN KEY (user_id) REFERENCES users (id);",
        ),
    ] {
        let (project, server) = (repository(), GitHub::start(HEAD));
        project.migration(
            "20260101000001_users",
            "CREATE TABLE users (id bigint PRIMARY KEY);\nALTER TABLE orders ADD COLUMN user_id bigint;\n\
             CREATE INDEX orders_old ON orders (id);",
            "SELECT 1;",
        );
        let name = "20260102000000_change";
        pull_request(&project, &server, name, up, "SELECT 1;");
        let runner = checked(&project, &server);
        runner.run();
        let remarks = server.state().remarks.clone();
        let own = remarks.iter().find(|it| it["body"].as_str().unwrap().contains(&format!("**{rule}**")));
        let own = own.unwrap_or_else(|| panic!("no remark of {rule} in {remarks:#?}"));
        let path = project.path().join(format!("migrations/{name}.sql"));
        let text = std::fs::read_to_string(&path).unwrap();
        let mended = applied(&text, own).unwrap_or_else(|| panic!("{rule}: no suggestion in {own:#}"));
        assert_ne!(mended, text);
        std::fs::write(&path, &mended).unwrap();
        server.state().files.clear();
        server.add_file(&format!("migrations/{name}.sql"), &mended);
        let ran = runner.run();
        assert!(
            !ran.stdout.contains(&format!("title={rule},")),
            "{rule} stays after\n{mended}\n{}",
            ran.stdout
        );
        assert!(!ran.stdout.contains("title=parse-error,"), "{mended}");
    }
}

/// Bytes that are no UTF-8, in a name and in a file, end no output early and reach none.
#[test]
fn what_is_not_utf_8_is_shown_as_such() {
    use std::os::unix::ffi::OsStrExt;
    let (project, server) = (repository(), GitHub::start(HEAD));
    let name = std::ffi::OsStr::from_bytes(b"20260102000000_\xff\xfe.sql");
    let text = format!("-- UP MIGRATION\n{DANGEROUS}\n-- DOWN MIGRATION (ROLLBACK)\nSELECT 1;\n");
    std::fs::write(project.path().join("migrations").join(name), &text).unwrap();
    std::fs::write(project.path().join("migrations/20260103000000_x.sql"), b"TRUNCATE \"a\xff\";").unwrap();
    for path in ["migrations/20260102000000_\u{fffd}\u{fffd}.sql", "migrations/20260103000000_x.sql"] {
        server.add_file(path, &text);
    }
    let mut runner = checked(&project, &server);
    let ran = runner.input("sarif-file", "out.sarif").input("html-file", "out.html").run().expect(2);
    assert!(ran.stdout.contains("::error title=truncate,") && ran.stdout.contains("title=unreadable-file,"));
    let (summary, body) = (runner.file("summary.md"), server.bodies().remove(0));
    for text in [&summary, &body] {
        assert!(text.contains("20260102000000_\u{fffd}\u{fffd}.sql") && text.contains("not UTF-8"), "{text}");
    }
    for file in ["out.sarif", "out.html"] {
        assert!(std::fs::read_to_string(project.path().join(file)).is_ok(), "{file}");
    }
}
