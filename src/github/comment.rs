//! The one summary comment: found, written over, never doubled.
//!
//! Its text comes ready from `report`; here is only whose it is, whether it is newer, and what to do
//! when GitHub says no.

use serde::Deserialize;
use serde_json::json;

use super::{Fault, FaultKind, GitHub, MARKER, identity::User, transport::Verb};

/// Keeps the comments of several runs in one pull request apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommentId(String);

impl CommentId {
    /// Letters, digits, `.`, `_` and `-`: anything else could break out of the hidden marker.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let fine = !text.is_empty()
            && text.len() <= 64
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        (fine && !text.contains("--")).then(|| Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The comment about a deploy, apart from the one about the check.
    pub(crate) fn of_deploy(&self) -> Self {
        Self(format!("{}.deploy", self.0))
    }
}

/// Which run is speaking. Later runs outrank earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) id: u64,
    pub(crate) attempt: u64,
}

/// What there is to say.
pub(crate) struct Summary<'a> {
    pub(crate) id: &'a CommentId,
    pub(crate) head_sha: &'a str,
    pub(crate) run: Run,
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
    /// The whole of it, within GitHub's limit.
    pub(crate) body: &'a str,
    /// Some hundred bytes, for a server with a smaller limit.
    pub(crate) short: &'a str,
    /// Set when there is nothing to complain about: the one line that replaces an older complaint.
    pub(crate) clean: Option<&'a str>,
}

/// What became of the comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Posted {
    Written(Option<String>),
    /// Nothing to say, and nothing said before.
    Silent,
    /// A later run was faster.
    Superseded,
}

#[derive(Debug, Clone, Deserialize)]
struct Comment {
    id: u64,
    body: Option<String>,
    html_url: Option<String>,
    /// Null for a deleted account.
    user: Option<User>,
}

impl GitHub {
    /// Makes `summary` our comment on the pull request.
    pub(crate) fn put_summary(&self, pull: u64, summary: &Summary<'_>) -> Result<Posted, Fault> {
        let mut ours = self.our_comments(pull, summary.id)?;
        let newest = ours.pop();
        // Duplicates come from two runs that raced, or from a write whose answer was lost.
        for extra in ours {
            self.remove(extra.id);
        }
        let Some(existing) = newest else {
            if summary.clean.is_some() {
                return Ok(Posted::Silent);
            }
            return self.create(pull, summary);
        };
        let before = existing.body.as_deref().map(Marker::read).unwrap_or_default();
        if before.run > Some(summary.run) {
            return Ok(Posted::Superseded);
        }
        let text = match summary.clean {
            Some(line) => format!("{line}{}", was(&before)),
            None => summary.body.to_owned(),
        };
        match self.update(existing.id, &marked(summary, &text)) {
            Err(fault) if fault.kind == FaultKind::NotFound => {
                // Somebody deleted it since we looked.
                if summary.clean.is_some() { Ok(Posted::Silent) } else { self.create(pull, summary) }
            }
            Err(fault) if too_long(&fault) => self.update(existing.id, &marked(summary, summary.short)),
            settled => settled,
        }
    }

    fn create(&self, pull: u64, summary: &Summary<'_>) -> Result<Posted, Fault> {
        match self.create_once(pull, summary, summary.body) {
            Err(fault) if too_long(&fault) => self.create_once(pull, summary, summary.short),
            settled => settled,
        }
    }

    /// POSTs; when the outcome is unknown, looks whether it is there before it repeats, once.
    fn create_once(&self, pull: u64, summary: &Summary<'_>, text: &str) -> Result<Posted, Fault> {
        let route = self.route(&format!("issues/{pull}/comments"));
        let body = json!({ "body": marked(summary, text) });
        let post = || self.write::<Comment>(Verb::Post, &route, Some(&body));
        let comment = match post() {
            Err(fault) if fault.kind == FaultKind::Unknown => {
                std::thread::sleep(std::time::Duration::from_secs(1));
                match self.our_comments(pull, summary.id)?.pop() {
                    Some(there) => there,
                    None => post()?,
                }
            }
            settled => settled?,
        };
        Ok(Posted::Written(comment.html_url))
    }

    /// PATCHes; writing the same bytes twice does no harm, so an unknown outcome is repeated once.
    fn update(&self, id: u64, body: &str) -> Result<Posted, Fault> {
        let route = self.route(&format!("issues/comments/{id}"));
        let body = json!({ "body": body });
        let patch = || self.write::<Comment>(Verb::Patch, &route, Some(&body));
        let comment = match patch() {
            Err(fault) if fault.kind == FaultKind::Unknown => {
                std::thread::sleep(std::time::Duration::from_secs(1));
                patch()?
            }
            settled => settled?,
        };
        Ok(Posted::Written(comment.html_url))
    }

    fn remove(&self, id: u64) {
        let route = self.route(&format!("issues/comments/{id}"));
        if let Err(fault) = self.write::<()>(Verb::Delete, &route, None) {
            log::warn!("a doubled comment was left: {fault}");
        }
    }

    /// Ours, oldest first.
    fn our_comments(&self, pull: u64, id: &CommentId) -> Result<Vec<Comment>, Fault> {
        let listed = self.list::<Comment>(&self.route(&format!("issues/{pull}/comments")))?;
        if !listed.complete {
            log::warn!("pull request {pull} has more comments than are read; ours may be among the rest");
        }
        let start = format!("{MARKER}id={} ", id.0);
        let mut ours: Vec<Comment> = listed
            .items
            .into_iter()
            .filter(|comment| comment.body.as_deref().is_some_and(|body| body.starts_with(&start)))
            .collect();
        let logins: Vec<Option<&User>> = ours.iter().map(|comment| comment.user.as_ref()).collect();
        let mine = self.authors(&logins);
        let mut keep = mine.into_iter();
        ours.retain(|_| keep.next().unwrap_or(false));
        ours.sort_by_key(|comment| comment.id);
        Ok(ours)
    }
}

/// The hidden first line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Marker {
    run: Option<Run>,
    errors: usize,
    warnings: usize,
}

impl Marker {
    fn read(body: &str) -> Self {
        let Some(line) = body.strip_prefix(MARKER).and_then(|rest| rest.split_once(" -->")) else {
            return Self::default();
        };
        let field = |name: &str| {
            line.0.split(' ').find_map(|field| field.split_once('=').filter(|(key, _)| *key == name))
        };
        let number = |name: &str| field(name).and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        let run = field("run").and_then(|(_, value)| {
            let (id, attempt) = value.split_once('.')?;
            Some(Run { id: id.parse().ok()?, attempt: attempt.parse().ok()? })
        });
        Self { run, errors: number("errors"), warnings: number("warnings") }
    }
}

fn marked(summary: &Summary<'_>, text: &str) -> String {
    let Summary { id, head_sha, run, errors, warnings, .. } = summary;
    format!(
        "{MARKER}id={} head={head_sha} run={}.{} errors={errors} warnings={warnings} -->\n{text}",
        id.0, run.id, run.attempt
    )
}

/// " (was 4 errors)", for the line that says it is clean now.
fn was(before: &Marker) -> String {
    let count = |n: usize, noun: &str| match n {
        0 => None,
        1 => Some(format!("1 {noun}")),
        n => Some(format!("{n} {noun}s")),
    };
    let parts: Vec<String> =
        [count(before.errors, "error"), count(before.warnings, "warning")].into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(" (was {})", parts.join(", ")) }
}

fn too_long(fault: &Fault) -> bool {
    fault.kind == FaultKind::Unprocessable && fault.says("too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_leave_the_marker() {
        assert!(CommentId::parse("api.v1_x-2").is_some());
        for bad in ["", "a b", "a-->b", "a--b", "é", &"x".repeat(65)] {
            assert_eq!(CommentId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_marker_reads_back() {
        let id = CommentId::parse("default").unwrap();
        let summary = Summary {
            id: &id,
            head_sha: "abc",
            run: Run { id: 12, attempt: 2 },
            errors: 1,
            warnings: 3,
            body: "",
            short: "",
            clean: None,
        };
        let read = Marker::read(&marked(&summary, "text"));
        assert_eq!(read, Marker { run: Some(Run { id: 12, attempt: 2 }), errors: 1, warnings: 3 });
        assert_eq!(was(&read), " (was 1 error, 3 warnings)");
        assert_eq!(Marker::read("<!-- other -->"), Marker::default());
    }
}
