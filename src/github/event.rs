//! What started the run: `GITHUB_EVENT_NAME` and the JSON in the file at `GITHUB_EVENT_PATH`.
//!
//! Pure, and trusting nothing: a field that GitHub leaves out or sets to null (the repository of a
//! deleted fork) is absent here too. Nothing that is applied is ever chosen by a payload's lists of
//! commits or files; those lie on new branches and after force pushes.

use serde::Deserialize;

use crate::error::Error;

/// What started the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    PullRequest(PullRequest),
    MergeGroup {
        base_sha: String,
        head_sha: String,
    },
    Push(Push),
    Dispatch,
    Schedule,
    /// Runs with the repository's secrets on behalf of whoever opened a pull request.
    Privileged(&'static str),
    Other(String),
}

/// A pull request, as far as we need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PullRequest {
    pub(crate) number: u64,
    pub(crate) moment: Moment,
    pub(crate) draft: bool,
    pub(crate) head_sha: String,
    pub(crate) base_sha: String,
    pub(crate) base_ref: String,
    pub(crate) default_branch: String,
    /// From another repository, or from one that is gone.
    pub(crate) fork: bool,
    pub(crate) changed_files: Option<u64>,
}

/// What happened to the pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// There is something new to check.
    Changed,
    Merged,
    /// Labels, titles, reviewers, or closed without a merge.
    Nothing,
}

/// A push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Push {
    /// `None` for a tag.
    pub(crate) branch: Option<String>,
    pub(crate) default_branch: String,
    pub(crate) after: String,
    /// The first commit of the branch: there is no `before`.
    pub(crate) created: bool,
    pub(crate) deleted: bool,
    pub(crate) forced: bool,
}

impl Push {
    pub(crate) fn to_default_branch(&self) -> bool {
        self.branch.as_deref() == Some(self.default_branch.as_str())
    }
}

impl Event {
    /// Reads an event; `Err` says what is wrong with the payload.
    pub(crate) fn read(name: &str, payload: &str) -> Result<Self, String> {
        // Refused by name alone: whatever the payload says, the answer is the same.
        if let Some(name) = privileged(name) {
            return Ok(Self::Privileged(name));
        }
        match name {
            "workflow_dispatch" => return Ok(Self::Dispatch),
            "schedule" => return Ok(Self::Schedule),
            "pull_request" | "merge_group" | "push" => {}
            other => return Ok(Self::Other(other.into())),
        }
        let payload: Payload =
            serde_json::from_str(payload).map_err(|error| format!("the payload of `{name}`: {error}"))?;
        let missing = |field: &str| format!("the payload of `{name}` has no `{field}`");
        let default_branch = payload.repository.and_then(|it| it.default_branch);
        match name {
            "pull_request" => {
                let pull = payload.pull_request.ok_or_else(|| missing("pull_request"))?;
                let default_branch = default_branch.unwrap_or_default();
                Ok(Self::PullRequest(pull.read(
                    payload.action.as_deref().unwrap_or_default(),
                    payload.changes.is_some_and(|changes| changes.base.is_some()),
                    default_branch,
                )))
            }
            "merge_group" => {
                let group = payload.merge_group.ok_or_else(|| missing("merge_group"))?;
                Ok(Self::MergeGroup { base_sha: group.base_sha, head_sha: group.head_sha })
            }
            _ => Ok(Self::Push(Push {
                branch: payload
                    .git_ref
                    .ok_or_else(|| missing("ref"))?
                    .strip_prefix("refs/heads/")
                    .map(ToOwned::to_owned),
                default_branch: default_branch.ok_or_else(|| missing("repository.default_branch"))?,
                created: payload.created || payload.before.as_deref().is_some_and(is_zero),
                deleted: payload.deleted || payload.after.as_deref().is_some_and(is_zero),
                after: payload.after.ok_or_else(|| missing("after"))?,
                forced: payload.forced,
            })),
        }
    }
}

/// The events that run with the repository's secrets on behalf of whoever opened a pull request.
pub(crate) fn privileged(name: &str) -> Option<&'static str> {
    ["pull_request_target", "workflow_run", "issue_comment"].into_iter().find(|event| *event == name)
}

/// What is said instead of running under one of them. There is no input that overrides it.
pub(crate) fn refusal(event: &str) -> Error {
    Error::usage(
        format!(
            "the workflow runs on `{event}`, which gives the repository's secrets to code that anybody \
             may have written"
        ),
        "Run checks on `pull_request`, deploys on `push`, and rollbacks on `workflow_dispatch`.",
    )
}

/// GitHub writes "no commit" as forty zeros.
fn is_zero(sha: &str) -> bool {
    !sha.is_empty() && sha.bytes().all(|byte| byte == b'0')
}

#[derive(Deserialize)]
struct Payload {
    action: Option<String>,
    pull_request: Option<Pull>,
    merge_group: Option<Group>,
    changes: Option<Changes>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    before: Option<String>,
    after: Option<String>,
    #[serde(default)]
    created: bool,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    forced: bool,
    repository: Option<Repository>,
}

/// Present when an edit moved the pull request to another base.
#[derive(Deserialize)]
struct Changes {
    base: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Group {
    base_sha: String,
    head_sha: String,
}

#[derive(Deserialize)]
struct Repository {
    default_branch: Option<String>,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    #[serde(default)]
    draft: Option<bool>,
    #[serde(default)]
    merged: Option<bool>,
    head: End,
    base: End,
    changed_files: Option<u64>,
}

#[derive(Deserialize)]
struct End {
    sha: String,
    #[serde(rename = "ref")]
    git_ref: String,
    repo: Option<EndRepository>,
}

#[derive(Deserialize, PartialEq)]
struct EndRepository {
    full_name: String,
}

impl Pull {
    fn read(self, action: &str, base_moved: bool, default_branch: String) -> PullRequest {
        let moment = match action {
            "opened" | "synchronize" | "reopened" | "ready_for_review" | "converted_to_draft" => {
                Moment::Changed
            }
            "edited" if base_moved => Moment::Changed,
            "closed" if self.merged == Some(true) => Moment::Merged,
            _ => Moment::Nothing,
        };
        PullRequest {
            number: self.number,
            moment,
            draft: self.draft == Some(true),
            fork: self.head.repo.is_none() || self.head.repo != self.base.repo,
            head_sha: self.head.sha,
            base_sha: self.base.sha,
            base_ref: self.base.git_ref,
            default_branch,
            changed_files: self.changed_files,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A real payload (npm @octokit/webhooks-examples), with one field set.
    fn fixture(name: &str, path: &str, value: serde_json::Value) -> String {
        let file = format!("{}/tests/it/fixtures/github/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let mut payload: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let (parent, field) = path.rsplit_once('/').unwrap();
        payload.pointer_mut(parent).unwrap()[field] = value;
        payload.to_string()
    }

    fn pull_request(path: &str, value: serde_json::Value) -> PullRequest {
        match Event::read("pull_request", &fixture("event-pr", path, value)).unwrap() {
            Event::PullRequest(pull) => pull,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pull_request_is_read() {
        let pull = pull_request("/action", "opened".into());
        assert_eq!((pull.number, pull.moment, pull.draft, pull.fork), (2, Moment::Changed, false, false));
        assert_eq!(pull.head_sha, "ec26c3e57ca3a959ca5aad62de7213c562f8c821");
        assert_eq!(pull.default_branch, "master");
    }

    #[test]
    fn only_new_content_is_checked() {
        for action in ["opened", "synchronize", "reopened", "ready_for_review", "converted_to_draft"] {
            assert_eq!(pull_request("/action", action.into()).moment, Moment::Changed, "{action}");
        }
        for action in ["closed", "edited", "labeled", "assigned", "review_requested", "locked", "enqueued"] {
            assert_eq!(pull_request("/action", action.into()).moment, Moment::Nothing, "{action}");
        }
    }

    #[test]
    fn a_fork_or_a_deleted_head_is_known() {
        assert!(pull_request("/pull_request/head/repo", serde_json::Value::Null).fork);
        assert!(pull_request("/pull_request/head/repo/full_name", "someone/else".into()).fork);
    }

    #[test]
    fn a_merge_is_told_from_a_closing() {
        let payload = fixture("event-pr", "/pull_request/merged", true.into()).replacen(
            "\"action\":\"opened\"",
            "\"action\":\"closed\"",
            1,
        );
        let Event::PullRequest(pull) = Event::read("pull_request", &payload).unwrap() else { panic!() };
        assert_eq!(pull.moment, Moment::Merged);
    }

    #[test]
    fn a_push_is_read() {
        let push = |path: &str, value: serde_json::Value| match Event::read(
            "push",
            &fixture("event-push", path, value),
        )
        .unwrap()
        {
            Event::Push(push) => push,
            other => panic!("{other:?}"),
        };
        let tag = push("/forced", false.into());
        assert_eq!((tag.branch.as_deref(), tag.created, tag.deleted), (None, true, false));
        let branch = push("/ref", "refs/heads/master".into());
        assert!(branch.to_default_branch());
        assert!(!push("/ref", "refs/heads/feature/master".into()).to_default_branch());
        assert!(push("/after", "0".repeat(40).into()).deleted);
    }

    #[test]
    fn a_merge_group_is_read() {
        let payload = fixture("event-merge_group", "/action", "checks_requested".into());
        assert!(matches!(Event::read("merge_group", &payload).unwrap(), Event::MergeGroup { .. }));
    }

    #[test]
    fn privileged_events_are_known_by_name() {
        for name in ["pull_request_target", "workflow_run", "issue_comment"] {
            assert_eq!(Event::read(name, "not even json").unwrap(), Event::Privileged(name));
        }
    }

    /// Every example of these events that GitHub publishes.
    #[test]
    fn published_payloads_are_read() {
        let all: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/it/fixtures/github/payloads.json")).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for example in all["payloads"].as_array().unwrap() {
            let (name, payload) = (example["event"].as_str().unwrap(), &example["payload"]);
            let event = Event::read(name, &payload.to_string()).unwrap();
            let action = payload["action"].as_str().unwrap_or_default();
            let as_told = match &event {
                Event::PullRequest(pull) => {
                    let new = ["opened", "synchronize", "reopened", "ready_for_review", "converted_to_draft"];
                    let expected = if new.contains(&action) { Moment::Changed } else { Moment::Nothing };
                    pull.moment == expected && pull.number > 0 && pull.head_sha.len() == 40
                }
                Event::Push(push) => {
                    let zero = |field: &str| payload[field].as_str().is_some_and(is_zero);
                    push.created == zero("before") && push.deleted == zero("after")
                }
                Event::MergeGroup { base_sha, head_sha } => base_sha != head_sha,
                event => *event == Event::Dispatch,
            };
            assert!(as_told, "{event:?} of {payload}");
            seen.insert(format!("{name} {action}"));
        }
        assert!(seen.len() >= 16, "{seen:?}");
    }

    #[test]
    fn a_payload_of_another_shape_is_an_error() {
        for (name, payload) in
            [("pull_request", "{}"), ("push", "[1]"), ("merge_group", "{\"merge_group\":{}}")]
        {
            assert!(Event::read(name, payload).is_err(), "{name}");
        }
    }
}
