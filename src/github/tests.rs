//! The life of our comments, against a server that holds every request to GitHub's description.

use std::collections::BTreeSet;

use super::{
    GitHub, Repository,
    comment::{CommentId, Posted, Run, Summary},
    review::{Remark, Review},
};
use crate::{env::Env, finding::Severity, secret::Secret};

#[path = "../../tests/it/support/github.rs"]
#[allow(dead_code)]
mod double;
#[path = "../../tests/it/support/openapi.rs"]
#[allow(dead_code)]
mod openapi;

use double::{PULL, Trouble, blob};

const HEAD: &str = "ec26c3e57ca3a959ca5aad62de7213c562f8c821";

fn client(server: &double::GitHub, token: &str) -> GitHub {
    let env = Env::new([("GITHUB_API_URL".into(), server.url.clone().into())]);
    GitHub::new(&env, &Secret::new(token), Repository::parse("o/r").unwrap()).unwrap()
}

/// Says `body` as run `run`; an empty body is a clean check.
fn say(server: &double::GitHub, run: u64, body: &str) -> Posted {
    say_as(server, "ghs_token", run, body)
}

fn say_as(server: &double::GitHub, token: &str, run: u64, body: &str) -> Posted {
    let id = CommentId::parse("default").unwrap();
    let summary = Summary {
        id: &id,
        head_sha: HEAD,
        run: Run { id: run, attempt: 1 },
        errors: body.len(),
        warnings: 0,
        body,
        short: "short",
        clean: body.is_empty().then_some("No problems"),
    };
    client(server, token).put_summary(PULL, &summary).unwrap()
}

fn last_line(server: &double::GitHub) -> String {
    server.bodies().pop().unwrap().lines().last().unwrap().to_owned()
}

#[test]
fn a_comment_is_written_then_written_over() {
    let server = double::GitHub::start(HEAD);
    assert!(matches!(say(&server, 1, "two"), Posted::Written(Some(_))));
    say(&server, 2, "new");
    assert_eq!(server.bodies().len(), 1);
    assert_eq!(
        server.bodies()[0],
        format!("<!-- lockkeeper:v1 id=default head={HEAD} run=2.1 errors=3 warnings=0 -->\nnew")
    );
    assert_eq!(
        server.writes(),
        ["POST /repos/o/r/issues/2/comments", "PATCH /repos/o/r/issues/comments/1001"]
    );
}

#[test]
fn a_clean_check_says_nothing_unless_it_said_something_before() {
    let server = double::GitHub::start(HEAD);
    assert_eq!(say(&server, 1, ""), Posted::Silent);
    say(&server, 2, "bad");
    say(&server, 3, "");
    assert_eq!(last_line(&server), "No problems (was 3 errors)");
}

#[test]
fn an_older_run_does_not_outshout_a_newer_one() {
    let server = double::GitHub::start(HEAD);
    say(&server, 9, "new");
    assert_eq!(say(&server, 8, "old"), Posted::Superseded);
    assert_eq!(last_line(&server), "new");
}

#[test]
fn a_quoted_marker_is_not_ours() {
    let server = double::GitHub::start(HEAD);
    server.comment_by("mallory", "<!-- lockkeeper:v1 id=default head=0 run=99999999.1 -->\nmine");
    say(&server, 1, "text");
    assert_eq!(server.bodies().len(), 2);
    assert!(server.bodies()[0].ends_with("mine"));
}

#[test]
fn a_personal_token_knows_itself() {
    let server = double::GitHub::start(HEAD);
    say_as(&server, "ghp_ada", 1, "one");
    say_as(&server, "ghp_ada", 2, "two");
    assert_eq!(server.bodies().len(), 1);
    assert_eq!(last_line(&server), "two");
}

/// The token of an App of one's own writes under that App's name.
#[test]
fn an_app_s_token_knows_itself() {
    let server = double::GitHub::start(HEAD);
    let theirs = "<!-- lockkeeper:v1 id=default head=0 run=0.1 -->\nof a workflow with the usual token";
    server.comment_by("github-actions[bot]", theirs);
    // A person may call herself like the App, without the suffix.
    server.comment_by("mybot", theirs);
    say_as(&server, "ghs_of_mybot", 1, "one");
    say_as(&server, "ghs_of_mybot", 2, "two");
    assert_eq!(server.bodies().len(), 3);
    assert_eq!(server.bodies()[..2], [theirs, theirs]);
    assert_eq!(last_line(&server), "two");
}

#[test]
fn the_next_page_is_fetched_from_the_same_host_only() {
    let server = double::GitHub::start(HEAD);
    server.trouble("GET", "/files", Trouble::NextPageElsewhere);
    let fault = client(&server, "ghs_x").changed_files(PULL, None).unwrap_err();
    assert_eq!(fault.kind, super::FaultKind::Other);
    assert!(fault.to_string().contains("the next page is on another host"), "{fault}");
}

#[test]
fn ours_is_found_on_a_later_page_and_doubles_go() {
    let server = double::GitHub::start(HEAD);
    for _ in 0..120 {
        server.comment_by("ada", "looks good");
    }
    for run in [1, 2] {
        let body = format!("<!-- lockkeeper:v1 id=default head=0 run={run}.1 -->\nold");
        server.comment_by("github-actions[bot]", &body);
    }
    say(&server, 3, "new");
    let ours: Vec<String> =
        server.bodies().into_iter().filter(|body| body.starts_with("<!-- lockkeeper")).collect();
    assert_eq!(ours.len(), 1);
    assert!(ours[0].ends_with("new"));
}

#[test]
fn runs_with_other_ids_are_left_alone() {
    let server = double::GitHub::start(HEAD);
    server.comment_by("github-actions[bot]", "<!-- lockkeeper:v1 id=default2 head=0 run=1.1 -->\nother");
    say(&server, 1, "text");
    assert_eq!(server.bodies().len(), 2);
}

#[test]
fn a_lost_answer_makes_no_second_comment() {
    let server = double::GitHub::start(HEAD);
    server.trouble("POST", "/comments", Trouble::StoredThen502);
    assert!(matches!(say(&server, 1, "text"), Posted::Written(Some(_))));
    assert_eq!(server.bodies().len(), 1);
    server.trouble("PATCH", "", Trouble::StoredThen502);
    say(&server, 2, "more");
    assert_eq!(server.bodies().len(), 1);
}

#[test]
fn a_refused_write_is_repeated_once() {
    let server = double::GitHub::start(HEAD);
    server.trouble("POST", "/comments", Trouble::Plain502);
    say(&server, 1, "text");
    assert_eq!(server.bodies().len(), 1);
    assert_eq!(server.writes().len(), 2);
}

#[test]
fn a_rate_limit_is_waited_for() {
    let server = double::GitHub::start(HEAD);
    server.trouble("POST", "/comments", Trouble::RetryAfter(1));
    let start = std::time::Instant::now();
    say(&server, 1, "text");
    assert!(start.elapsed() >= std::time::Duration::from_secs(1));
    assert_eq!(server.writes().len(), 2);
}

#[test]
fn an_hour_s_rate_limit_is_not_waited_for() {
    let server = double::GitHub::start(HEAD);
    server.trouble("GET", "/comments", Trouble::RetryAfter(3600));
    let id = CommentId::parse("default").unwrap();
    let summary = Summary {
        id: &id,
        head_sha: HEAD,
        run: Run { id: 1, attempt: 1 },
        errors: 0,
        warnings: 0,
        body: "x",
        short: "x",
        clean: None,
    };
    let fault = client(&server, "ghs_x").put_summary(PULL, &summary).unwrap_err();
    assert_eq!(fault.kind, super::FaultKind::Limited);
}

#[test]
fn a_proxy_s_page_is_no_answer() {
    let server = double::GitHub::start(HEAD);
    server.trouble("GET", "/comments", Trouble::Html200);
    say(&server, 1, "text");
    assert_eq!(server.bodies().len(), 1);
}

#[test]
fn a_redirect_elsewhere_is_refused() {
    let server = double::GitHub::start(HEAD);
    server.trouble("GET", "/pulls/2", Trouble::RedirectElsewhere);
    let fault = client(&server, "ghs_x").head_of(PULL).unwrap_err();
    insta::assert_snapshot!(fault.to_string(), @"GitHub did not take `GET /repos/o/r/pulls/2`: 307 redirected to another host [request F00D:1]");
}

#[test]
fn a_refusal_says_what_is_missing() {
    let server = double::GitHub::start(HEAD);
    server.state().read_only = true;
    let id = CommentId::parse("default").unwrap();
    let summary = Summary {
        id: &id,
        head_sha: HEAD,
        run: Run { id: 1, attempt: 1 },
        errors: 0,
        warnings: 0,
        body: "x",
        short: "x",
        clean: None,
    };
    let fault = client(&server, "ghs_x").put_summary(PULL, &summary).unwrap_err();
    assert_eq!(fault.kind, super::FaultKind::Denied);
    insta::assert_snapshot!(fault.to_string(), @"GitHub did not take `POST /repos/o/r/issues/2/comments`: 403 Resource not accessible by integration [it wants the permission issues=write; pull_requests=write] [request F00D:1]");
}

#[test]
fn a_deleted_comment_is_written_anew() {
    let server = double::GitHub::start(HEAD);
    say(&server, 1, "one");
    server.trouble("PATCH", "", Trouble::NotFound);
    say(&server, 2, "two");
    assert_eq!(last_line(&server), "two");
}

#[test]
fn a_body_too_long_for_the_server_is_said_in_short() {
    let server = double::GitHub::start(HEAD);
    say(&server, 1, &"x".repeat(70_000));
    assert_eq!(last_line(&server), "short");
}

const SQL: &str = "-- UP MIGRATION\nCREATE INDEX a ON t (a);\nDROP TABLE u;\n";
const PATH: &str = "migrations/1_x.sql";

fn remark(fingerprint: &str, line: usize) -> Remark {
    Remark {
        fingerprint: fingerprint.into(),
        severity: Severity::Error,
        path: PATH.into(),
        start: line,
        end: line,
        text: format!("about {fingerprint}"),
        suggestion: None,
    }
}

/// Makes these remarks stand in the diff; gives (posted, kept, settled, unplaced).
fn review(server: &double::GitHub, remarks: &[Remark]) -> (usize, usize, usize, usize) {
    let github = client(server, "ghs_x");
    let files = github.changed_files(PULL, None).unwrap().files;
    let agreeing: BTreeSet<String> =
        files.iter().filter(|file| file.is(SQL.as_bytes())).map(|file| file.path.clone()).collect();
    let id = CommentId::parse("default").unwrap();
    let review = Review { pull: PULL, head_sha: HEAD, id: &id, files: &files, agreeing: &agreeing };
    let done = github.put_remarks(&review, remarks).unwrap();
    (done.posted, done.kept, done.settled, done.unplaced.len())
}

fn with_file() -> double::GitHub {
    let server = double::GitHub::start(HEAD);
    server.add_file(PATH, SQL);
    server
}

#[test]
fn remarks_are_one_review_and_not_repeated() {
    let server = with_file();
    let remarks = [remark("a", 2), remark("b", 3)];
    assert_eq!(review(&server, &remarks), (2, 0, 0, 0));
    assert_eq!(review(&server, &remarks), (0, 2, 0, 0));
    assert_eq!(server.writes(), ["POST /repos/o/r/pulls/2/reviews"]);
    assert_eq!(server.remark_bodies()[0], "<!-- lockkeeper:v1 id=default f=a -->\nabout a");
}

#[test]
fn a_fixed_finding_is_taken_back_unless_it_was_answered() {
    let server = with_file();
    review(&server, &[remark("a", 2), remark("b", 3)]);
    let answered = server.state().remarks[1]["id"].clone();
    let reply = serde_json::json!({ "id": 5000, "body": "really?", "in_reply_to_id": answered,
        "user": { "login": "ada", "type": "User" }, "line": 3 });
    server.state().remarks.push(reply);
    assert_eq!(review(&server, &[]), (0, 0, 2, 0));
    assert_eq!(
        server.remark_bodies(),
        ["<!-- lockkeeper:v1 id=default f=b -->\nFixed in `ec26c3e`.", "really?"]
    );
    // The next push has nothing left to do.
    let writes = server.writes().len();
    review(&server, &[]);
    assert_eq!(server.writes().len(), writes);
}

#[test]
fn an_outdated_remark_follows_its_line() {
    let server = with_file();
    review(&server, &[remark("a", 2)]);
    server.state().remarks[0]["line"] = serde_json::Value::Null;
    assert_eq!(review(&server, &[remark("a", 3)]), (1, 0, 0, 0));
    assert_eq!(server.state().remarks.len(), 1);
    assert_eq!(server.state().remarks[0]["line"], 3);
}

/// What a person resolved is neither taken back, nor edited, nor said again.
#[test]
fn a_resolved_conversation_is_left_alone() {
    let server = with_file();
    review(&server, &[remark("a", 2), remark("b", 3)]);
    let ids: Vec<u64> = server.state().remarks.iter().map(|it| it["id"].as_u64().unwrap()).collect();
    server.state().resolved = ids;
    // One finding is gone, and the line of the other one left the diff.
    server.state().remarks[1]["line"] = serde_json::Value::Null;
    let before = (server.writes(), server.remark_bodies());
    assert_eq!(review(&server, &[remark("b", 3)]), (0, 1, 0, 0));
    assert_eq!((server.writes(), server.remark_bodies()), before);

    server.state().resolved.clear();
    assert_eq!(review(&server, &[remark("b", 3)]), (1, 0, 1, 0));
}

/// GitHub refuses a review whole for one line that is no longer in the diff.
#[test]
fn a_line_that_left_the_diff_is_dropped_and_the_rest_is_one_review() {
    let server = with_file();
    let github = client(&server, "ghs_x");
    let files = github.changed_files(PULL, None).unwrap().files;
    // A push between our reading and our writing, which kept the commit's content of line 2 only.
    server.state().files.clear();
    server.put_file(PATH, "modified", &blob(SQL), Some("@@ -1 +2 @@\n+CREATE INDEX a ON t (a);"));
    let (id, agreeing) = (CommentId::parse("default").unwrap(), BTreeSet::from([PATH.to_owned()]));
    let review = Review { pull: PULL, head_sha: HEAD, id: &id, files: &files, agreeing: &agreeing };
    let done = github.put_remarks(&review, &[remark("a", 2), remark("b", 3)]).unwrap();
    assert_eq!((done.posted, server.state().reviews.len()), (2, 1));
    let placed: Vec<_> = server.state().remarks.iter().map(|it| it["line"].clone()).collect();
    assert_eq!(placed, [serde_json::json!(2), serde_json::Value::Null]);
    assert_eq!(server.state().remarks[1]["subject_type"], "file");
}

#[test]
fn a_suggestion_stands_only_where_the_lines_agree() {
    let server = with_file();
    let suggestion = "```suggestion\nCREATE INDEX CONCURRENTLY a ON t (a);\n```";
    let with = Remark { suggestion: Some(suggestion.into()), ..remark("a", 2) };
    review(&server, std::slice::from_ref(&with));
    assert!(server.remark_bodies()[0].ends_with(suggestion));

    let other = double::GitHub::start(HEAD);
    other.put_file(PATH, "modified", &blob("something else"), Some("@@ -1 +1,2 @@\n a\n+b"));
    assert_eq!(review(&other, &[with]), (1, 0, 0, 0));
    assert_eq!(other.state().remarks[0]["subject_type"], "file");
    assert!(!other.remark_bodies()[0].contains("suggestion"));
}

#[test]
fn a_file_without_patch_gets_a_comment_on_the_file() {
    let server = double::GitHub::start(HEAD);
    server.put_file(PATH, "added", &blob(SQL), None);
    assert_eq!(review(&server, &[remark("a", 2)]), (1, 0, 0, 0));
    assert_eq!(server.writes(), ["POST /repos/o/r/pulls/2/comments"]);
}

#[test]
fn a_file_outside_the_pull_request_is_left_to_the_summary() {
    let server = with_file();
    let elsewhere = Remark { path: "migrations/0_old.sql".into(), ..remark("a", 1) };
    assert_eq!(review(&server, &[elsewhere, remark("b", 2)]), (1, 0, 0, 1));
}

#[test]
fn at_most_twenty_at_once() {
    let server = with_file();
    let many: Vec<Remark> = (0..30).map(|n| remark(&format!("f{n}"), 2)).collect();
    assert_eq!(review(&server, &many), (20, 0, 0, 10));
}

#[test]
fn a_lost_review_is_not_posted_twice() {
    let server = with_file();
    server.trouble("POST", "/reviews", Trouble::StoredThen502);
    assert_eq!(review(&server, &[remark("a", 2), remark("b", 3)]), (2, 0, 0, 0));
    assert_eq!(server.state().remarks.len(), 2);
    assert_eq!(server.state().reviews.len(), 1);
}

#[test]
fn one_bad_line_does_not_lose_the_others() {
    let server = with_file();
    // The diff changes between our reading it and our review.
    server.trouble("POST", "/reviews", Trouble::TooLong);
    assert_eq!(review(&server, &[remark("a", 2), remark("b", 3)]), (2, 0, 0, 0));
    assert_eq!(server.writes().iter().filter(|write| write.ends_with("/pulls/2/comments")).count(), 2);
}

#[test]
fn a_read_only_token_loses_no_finding() {
    let server = with_file();
    server.state().read_only = true;
    assert_eq!(review(&server, &[remark("a", 2), remark("b", 3)]), (0, 0, 0, 2));
}

#[test]
fn the_merged_pull_request_of_a_commit_is_found() {
    let server = double::GitHub::start(HEAD);
    server.state().merges.insert(HEAD.into(), 7);
    assert_eq!(client(&server, "ghs_x").merged_with(HEAD).unwrap(), Some(7));
    assert_eq!(client(&server, "ghs_x").merged_with("abc").unwrap(), None);
}

#[test]
fn files_come_from_all_pages() {
    let server = double::GitHub::start(HEAD);
    for n in 0..230 {
        server.put_file(&format!("migrations/{n}_é x.sql"), "added", &blob(""), None);
    }
    let changed = client(&server, "ghs_x").changed_files(PULL, Some(230)).unwrap();
    assert_eq!((changed.files.len(), changed.truncated), (230, false));
    assert!(client(&server, "ghs_x").changed_files(PULL, Some(3001)).unwrap().truncated);
}

#[test]
fn a_token_that_is_no_token_is_refused_kindly() {
    let error = GitHub::new(&Env::default(), &Secret::new("ghs_x\n"), Repository::parse("o/r").unwrap());
    assert!(error.is_err_and(|error| error.exit_code() == 2));
}
