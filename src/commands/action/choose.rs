//! What to do, by event and command: a value, decided before anything is done.

use super::inputs::Inputs;
use crate::{
    error::Error,
    github::event::{self, Event, Moment},
};

/// What the run is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    Check,
    Up,
    /// Back to this version.
    Down(i64),
    /// A command that changes nothing.
    Look(Look),
    /// Nothing, and why.
    Nothing(String),
}

/// Commands that read a target only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Plan,
    Status,
    Drift,
    Stats,
    /// The configured targets, for jobs that follow.
    Matrix,
}

/// # Errors
///
/// If the event runs with the repository's secrets for whoever opened a pull request, or if nothing
/// says what to do. Nothing has been opened then.
pub(super) fn choose(command: &str, event: &Event, inputs: &Inputs) -> Result<Task, Error> {
    if let Event::Privileged(name) = event {
        return Err(event::refusal(name));
    }
    match command {
        "auto" => by_event(event),
        "check" => Ok(Task::Check),
        "up" | "apply" => Ok(Task::Up),
        "down" | "rollback" => rollback(inputs).map(Task::Down),
        "plan" => Ok(Task::Look(Look::Plan)),
        "status" => Ok(Task::Look(Look::Status)),
        "drift" => Ok(Task::Look(Look::Drift)),
        "stats" => Ok(Task::Look(Look::Stats)),
        "matrix" => Ok(Task::Look(Look::Matrix)),
        other => Err(Error::usage(
            format!("the command `{other}` is not one that the action runs"),
            "Set `command` to auto, check, up, down, plan, status, drift, stats or matrix.",
        )),
    }
}

fn by_event(event: &Event) -> Result<Task, Error> {
    let unclear = |what: &str| {
        Err(Error::usage(
            format!("{what} does not say what to do"),
            "Set `command` to check, up, down, plan, status, drift, stats or matrix; a rollback is never guessed.",
        ))
    };
    match event {
        Event::PullRequest(pull) => match pull.moment {
            Moment::Changed => Ok(Task::Check),
            Moment::Merged if pull.base_ref == pull.default_branch => Ok(Task::Up),
            Moment::Merged => {
                Ok(Task::Nothing(format!("merged into `{}`, not into the default branch", pull.base_ref)))
            }
            Moment::Nothing => Ok(Task::Nothing("nothing of the pull request's content changed".into())),
        },
        Event::MergeGroup { .. } => Ok(Task::Check),
        Event::Push(push) if push.deleted => Ok(Task::Nothing("the branch was deleted".into())),
        Event::Push(push) if push.to_default_branch() => Ok(Task::Up),
        Event::Push(_) => unclear("a push to another than the default branch"),
        Event::Dispatch => unclear("`workflow_dispatch`"),
        Event::Schedule => unclear("`schedule`"),
        Event::Other(name) if name.is_empty() => unclear("a run without an event"),
        Event::Other(name) => unclear(&format!("the event `{name}`")),
        Event::Privileged(name) => unclear(name),
    }
}

/// A rollback names where it goes, twice: doing it again then finds nothing to do.
fn rollback(inputs: &Inputs) -> Result<i64, Error> {
    let Some(to) = inputs.get("rollback-to") else {
        return Err(Error::usage(
            "a rollback needs the input `rollback-to`",
            "Set it to the version that stays applied; `lockkeeper status` lists them.",
        ));
    };
    let version = to.parse().ok().filter(|version| *version >= 0 && to.bytes().all(|c| c.is_ascii_digit()));
    let Some(version) = version else {
        return Err(Error::usage(
            format!("`rollback-to` is `{to}`, which is no version"),
            "Set it to the digits that a migration's file name starts with, or to 0 for all.",
        ));
    };
    if inputs.get("confirm") != Some(to) {
        return Err(Error::usage(
            format!("`confirm` does not repeat `rollback-to` ({to})"),
            "Type the same version in both.",
        ));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        env::Env,
        github::event::{PullRequest, Push},
    };

    fn inputs(pairs: &[(&str, &str)]) -> Inputs {
        Inputs::take(&Env::new(pairs.iter().map(|(name, value)| (name.into(), value.into()))))
    }

    fn pull(moment: Moment, base: &str) -> Event {
        Event::PullRequest(PullRequest {
            number: 1,
            moment,
            draft: true,
            head_sha: "a".into(),
            base_sha: "b".into(),
            base_ref: base.into(),
            default_branch: "main".into(),
            fork: true,
            changed_files: None,
        })
    }

    fn push(branch: Option<&str>, deleted: bool) -> Event {
        Event::Push(Push {
            branch: branch.map(Into::into),
            default_branch: "main".into(),
            after: "a".into(),
            created: true,
            deleted,
            forced: true,
        })
    }

    fn auto(event: &Event) -> Option<Task> {
        choose("auto", event, &inputs(&[])).ok()
    }

    #[test]
    fn auto_goes_by_event() {
        assert_eq!(auto(&pull(Moment::Changed, "main")), Some(Task::Check));
        assert_eq!(auto(&pull(Moment::Merged, "main")), Some(Task::Up));
        assert!(matches!(auto(&pull(Moment::Merged, "next")), Some(Task::Nothing(_))));
        assert!(matches!(auto(&pull(Moment::Nothing, "main")), Some(Task::Nothing(_))));
        let group = Event::MergeGroup { base_sha: "a".into(), head_sha: "b".into() };
        assert_eq!(auto(&group), Some(Task::Check));
        assert_eq!(auto(&push(Some("main"), false)), Some(Task::Up));
        assert!(matches!(auto(&push(Some("main"), true)), Some(Task::Nothing(_))));
        for event in [push(Some("next"), false), push(None, false), Event::Dispatch, Event::Schedule] {
            assert_eq!(auto(&event), None);
        }
    }

    #[test]
    fn privileged_events_run_nothing() {
        for command in ["auto", "check", "up", "down", "status"] {
            let refused = choose(command, &Event::Privileged("pull_request_target"), &inputs(&[]));
            assert_eq!(refused.unwrap_err().exit_code(), 2);
        }
    }

    #[test]
    fn a_rollback_is_said_twice() {
        let down = |to: &str, confirm: &str| {
            let given = inputs(&[("LOCKKEEPER_ROLLBACK_TO", to), ("LOCKKEEPER_CONFIRM", confirm)]);
            choose("down", &Event::Dispatch, &given).ok()
        };
        assert_eq!(down("20260101000000", "20260101000000"), Some(Task::Down(20_260_101_000_000)));
        assert_eq!(down("0", "0"), Some(Task::Down(0)));
        for (to, confirm) in [("", ""), ("1", ""), ("1", "2"), ("-1", "-1"), ("+1", "+1"), ("x", "x")] {
            assert_eq!(down(to, confirm), None, "{to} {confirm}");
        }
    }
}
