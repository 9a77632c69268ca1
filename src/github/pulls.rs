//! Pull requests themselves: where the head is now, and which one a commit came from.

use serde::Deserialize;

use super::{Fault, GitHub};

#[derive(Deserialize)]
struct Pull {
    number: u64,
    head: Head,
    merged_at: Option<String>,
    merge_commit_sha: Option<String>,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
}

impl GitHub {
    /// The newest commit of a pull request. A re-run of an old run has an older one in its payload.
    pub(crate) fn head_of(&self, pull: u64) -> Result<String, Fault> {
        self.get::<Pull>(&self.route(&format!("pulls/{pull}"))).map(|pull| pull.head.sha)
    }

    /// The merged pull request that brought a commit, if one did.
    pub(crate) fn merged_with(&self, commit: &str) -> Result<Option<u64>, Fault> {
        if !commit.chars().all(|c| c.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let pulls = self.list::<Pull>(&self.route(&format!("commits/{commit}/pulls")))?.items;
        let merged = || pulls.iter().filter(|pull| pull.merged_at.is_some());
        Ok(merged()
            .find(|pull| pull.merge_commit_sha.as_deref() == Some(commit))
            .or_else(|| merged().next())
            .map(|pull| pull.number))
    }
}
