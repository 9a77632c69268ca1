//! What the runner says about the run: event, repository, commit, addresses.

use std::path::PathBuf;

use crate::{
    env::Env,
    error::Error,
    github::{
        GitHub, Repository,
        comment::{CommentId, Run},
        event::Event,
    },
    secret::Secret,
};

/// A run of a workflow, as its environment describes it.
pub(super) struct Runner {
    pub(super) event: Event,
    pub(super) run: Run,
    pub(super) run_url: Option<String>,
    /// `https://github.com/owner/name`.
    pub(super) repository_url: Option<String>,
    pub(super) commit: Option<String>,
    repository: Option<Repository>,
    /// A folder for files that later steps read.
    pub(super) temp: PathBuf,
}

impl Runner {
    pub(super) fn read(env: &Env) -> Result<Self, Error> {
        let name = env.get("GITHUB_EVENT_NAME").unwrap_or_default();
        let payload = match env.get("GITHUB_EVENT_PATH") {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                Error::io(
                    format!("the event's payload cannot be read from {path}"),
                    "GITHUB_EVENT_PATH is set by the runner; in a container, mount that folder.",
                    error,
                )
            })?,
        };
        let event = Event::read(name, &payload).map_err(|what| {
            Error::usage(
                format!("the event cannot be understood: {what}"),
                "GITHUB_EVENT_NAME and GITHUB_EVENT_PATH are set by the runner; do not set them yourself.",
            )
        })?;
        let repository = env.get("GITHUB_REPOSITORY").and_then(Repository::parse);
        let server = env.get("GITHUB_SERVER_URL").unwrap_or("https://github.com").trim_end_matches('/');
        let plain =
            |url: &str| url.starts_with("http") && url.chars().all(|c| c.is_ascii_graphic() && c != ')');
        let repository_url = repository
            .as_ref()
            .filter(|_| plain(server))
            .map(|place| format!("{server}/{}/{}", place.owner, place.name));
        let number = |name: &str| env.get(name).and_then(|value| value.parse::<u64>().ok());
        let run = Run {
            id: number("GITHUB_RUN_ID").unwrap_or(0),
            attempt: number("GITHUB_RUN_ATTEMPT").unwrap_or(1),
        };
        let run_url = repository_url
            .as_ref()
            .filter(|_| run.id > 0)
            .map(|url| format!("{url}/actions/runs/{}", run.id));
        let commit = env.get("GITHUB_SHA").filter(|sha| is_sha(sha)).map(ToOwned::to_owned);
        let temp = env.get("RUNNER_TEMP").or(env.get("TMPDIR")).unwrap_or("/tmp").into();
        Ok(Self { event, run, run_url, repository_url, commit, repository, temp })
    }

    /// GitHub, if there is a token and a repository to use it on.
    pub(super) fn github(&self, env: &Env, token: Option<&str>) -> Result<Option<GitHub>, Error> {
        let token = token.or_else(|| env.get("GITHUB_TOKEN"));
        let (Some(token), Some(place)) = (token, self.repository.clone()) else { return Ok(None) };
        GitHub::new(env, &Secret::new(token), place).map(Some)
    }

    /// The commit that the run is about: of a pull request its head, not the trial merge.
    pub(super) fn shown_commit(&self) -> Option<&str> {
        self.event
            .pull_request()
            .map(|pull| pull.head_sha.as_str())
            .filter(|sha| is_sha(sha))
            .or(self.commit.as_deref())
    }
}

pub(super) fn comment_id(text: &str) -> Result<CommentId, Error> {
    CommentId::parse(text).ok_or_else(|| {
        Error::usage(
            format!("`comment-id` is `{text}`"),
            "Use up to 64 letters, digits, dots, underscores and single hyphens.",
        )
    })
}

fn is_sha(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
