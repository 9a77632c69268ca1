//! What is done for which event, and what never is.

use crate::support::{Project, runner::Runner};

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
