//! Remarks on lines of the diff: placed, kept, moved and taken back over the life of a pull request.
//!
//! GitHub refuses a whole review for one comment that is outside the diff, and a refused or lost
//! review must lose no finding: whatever cannot be placed is given back to the caller, who shows it
//! in the summary.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Fault, FaultKind, GitHub, MARKER,
    comment::CommentId,
    files::{ChangedFile, Span},
    identity::User,
    transport::Verb,
};
use crate::finding::Severity;

/// Larger reviews have been seen to time out with their comments created, and each comment mails
/// everybody who follows the pull request.
const MOST_AT_ONCE: usize = 20;

/// Something to say about lines of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    /// The same for the same finding in the next push, wherever its lines have moved.
    pub(crate) fingerprint: String,
    pub(crate) severity: Severity,
    pub(crate) path: String,
    /// 1-based, both ends included.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Markdown, already escaped.
    pub(crate) text: String,
    /// A `suggestion` block that replaces exactly the lines `start..=end`; left out where the lines
    /// of the checkout and of the head commit may differ.
    pub(crate) suggestion: Option<String>,
}

/// The commit under review, and what is known of it.
pub(crate) struct Review<'a> {
    pub(crate) pull: u64,
    pub(crate) head_sha: &'a str,
    pub(crate) id: &'a CommentId,
    pub(crate) files: &'a [ChangedFile],
    /// Paths whose content here is that of the head commit, so that line numbers agree.
    pub(crate) agreeing: &'a BTreeSet<String>,
}

/// What became of the remarks.
#[derive(Debug, Default)]
pub(crate) struct Reviewed {
    pub(crate) posted: usize,
    pub(crate) kept: usize,
    /// Taken back, or edited to say that it is fixed.
    pub(crate) settled: usize,
    /// Fingerprints of remarks that stand nowhere in the diff.
    pub(crate) unplaced: Vec<String>,
    /// Why, where GitHub refused.
    pub(crate) faults: Vec<Fault>,
}

#[derive(Debug, Deserialize)]
struct Existing {
    id: u64,
    body: Option<String>,
    user: Option<User>,
    /// Null once the line is no longer in the diff.
    line: Option<u64>,
    subject_type: Option<String>,
    in_reply_to_id: Option<u64>,
}

impl Existing {
    fn outdated(&self) -> bool {
        self.line.is_none() && self.subject_type.as_deref() != Some("file")
    }
}

/// A remark with the place that it can have.
#[derive(Clone)]
enum Placed<'a> {
    Line(&'a Remark, Span),
    File(&'a Remark),
}

impl GitHub {
    /// Makes `remarks` what stands in the diff under our name.
    ///
    /// # Errors
    ///
    /// Only when the remarks that stand there cannot be read; then nothing was written.
    pub(crate) fn put_remarks(&self, review: &Review<'_>, remarks: &[Remark]) -> Result<Reviewed, Fault> {
        let listed = self.list::<Existing>(&self.route(&format!("pulls/{}/comments", review.pull)))?;
        let answered: BTreeSet<u64> = listed.items.iter().filter_map(|it| it.in_reply_to_id).collect();
        let mut ours = self.our_remarks(review.id, listed.items);

        let mut outcome = Reviewed::default();
        let mut fresh = Vec::new();
        let resolved = self.resolved_of(review, &ours, remarks);
        for remark in remarks {
            let at = ours.iter().position(|(fingerprint, _)| *fingerprint == remark.fingerprint);
            let Some((_, existing)) = at.map(|at| ours.remove(at)) else {
                fresh.push(remark);
                continue;
            };
            // A conversation goes on where it began, or is over; a mute comment follows its line.
            let mute = !answered.contains(&existing.id) && !resolved.contains(&existing.id);
            if existing.outdated() && mute {
                outcome.note(self.remove_remark(existing.id));
                fresh.push(remark);
                continue;
            }
            outcome.kept += 1;
            let bodies = [remark.body(review.id, true), remark.body(review.id, false)];
            if existing.body.as_deref().is_some_and(|body| !bodies.iter().any(|ours| same(ours, body))) {
                outcome.note(self.edit_remark(existing.id, &bodies[1]));
            }
        }
        // What somebody resolved has been dealt with already.
        for (fingerprint, gone) in ours.into_iter().filter(|(_, gone)| !resolved.contains(&gone.id)) {
            outcome.settled += 1;
            if answered.contains(&gone.id) {
                let body = fixed(review, &fingerprint);
                if !gone.body.as_deref().is_some_and(|old| old.contains("Fixed in `")) {
                    outcome.note(self.edit_remark(gone.id, &body));
                }
            } else {
                outcome.note(self.remove_remark(gone.id));
            }
        }
        self.post_fresh(review, fresh, &mut outcome);
        Ok(outcome)
    }

    /// Which of ours people resolved; asked only where something would become of one that stands there.
    fn resolved_of(
        &self,
        review: &Review<'_>,
        ours: &[(String, Existing)],
        remarks: &[Remark],
    ) -> BTreeSet<u64> {
        let stays = |fingerprint: &String| remarks.iter().any(|remark| remark.fingerprint == *fingerprint);
        if ours.iter().all(|(fingerprint, existing)| stays(fingerprint) && !existing.outdated()) {
            return BTreeSet::new();
        }
        self.resolved(review.pull).unwrap_or_else(|fault| {
            log::warn!("which conversations are resolved is not known: {fault}");
            BTreeSet::new()
        })
    }

    fn post_fresh(&self, review: &Review<'_>, mut fresh: Vec<&Remark>, outcome: &mut Reviewed) {
        fresh.sort_by_key(|remark| std::cmp::Reverse(remark.severity));
        let (mut on_lines, mut on_files) = (Vec::new(), Vec::new());
        for remark in fresh {
            let room = on_lines.len() + on_files.len() < MOST_AT_ONCE;
            match review.place(remark) {
                Some(Placed::Line(remark, span)) if room => on_lines.push((remark, span)),
                Some(Placed::File(remark)) if room => on_files.push(remark),
                _ => outcome.unplaced.push(remark.fingerprint.clone()),
            }
        }
        if !on_lines.is_empty() {
            self.post_review(review, &on_lines, outcome);
        }
        for remark in on_files {
            let settled = self.post_single(review, &Placed::File(remark));
            outcome.count(remark, settled);
        }
    }

    /// One review for the lot, and the ladder down when GitHub does not take it.
    fn post_review(&self, review: &Review<'_>, batch: &[(&Remark, Span)], outcome: &mut Reviewed) {
        let refused = match self.post_batch(review, batch) {
            Ok(()) => {
                outcome.posted += batch.len();
                return;
            }
            Err(fault) => fault,
        };
        match refused.kind {
            FaultKind::Unprocessable => {
                log::info!("{refused}; placing the remarks anew");
                self.post_after_refusal(review, batch, outcome);
            }
            FaultKind::Unknown => {
                // It may be there, whole or in part: look, and repeat only what is not.
                std::thread::sleep(std::time::Duration::from_secs(1));
                let there = match self.fingerprints(review) {
                    Ok(there) => there,
                    Err(fault) => {
                        outcome.faults.extend([refused, fault]);
                        outcome.unplaced.extend(batch.iter().map(|(remark, _)| remark.fingerprint.clone()));
                        return;
                    }
                };
                let (done, rest): (Vec<_>, Vec<_>) =
                    batch.iter().partition(|(remark, _)| there.contains(&remark.fingerprint));
                outcome.posted += done.len();
                if rest.is_empty() {
                    return;
                }
                match self.post_batch(review, &rest) {
                    Ok(()) => outcome.posted += rest.len(),
                    Err(fault) => outcome.give_up(&rest, fault),
                }
            }
            _ => outcome.give_up(batch, refused),
        }
    }

    /// Second and third rung: with the diff as it is now, then one by one.
    fn post_after_refusal(&self, review: &Review<'_>, batch: &[(&Remark, Span)], outcome: &mut Reviewed) {
        let files = match self.changed_files(review.pull, None) {
            Ok(changed) => changed.files,
            Err(fault) => return outcome.give_up(batch, fault),
        };
        let again = Review { files: &files, ..*review };
        let (mut on_lines, mut on_files) = (Vec::new(), Vec::new());
        for (remark, _) in batch {
            match again.place(remark) {
                Some(Placed::Line(remark, span)) => on_lines.push((remark, span)),
                Some(Placed::File(remark)) => on_files.push(remark),
                None => outcome.unplaced.push(remark.fingerprint.clone()),
            }
        }
        let changed =
            on_lines.len() < batch.len() || on_lines.iter().zip(batch).any(|(now, before)| now.1 != before.1);
        if changed && !on_lines.is_empty() && self.post_batch(&again, &on_lines).is_ok() {
            outcome.posted += on_lines.len();
            on_lines.clear();
        }
        let lines = on_lines.into_iter().map(|(remark, span)| (remark, Placed::Line(remark, span)));
        for (remark, placed) in lines.chain(on_files.into_iter().map(|it| (it, Placed::File(it)))) {
            let settled = self.post_single(&again, &placed);
            outcome.count(remark, settled);
        }
    }

    fn post_batch(&self, review: &Review<'_>, batch: &[(&Remark, Span)]) -> Result<(), Fault> {
        let comments: Vec<Value> = batch
            .iter()
            .map(|(remark, span)| {
                let mut comment = placing(*span);
                comment["path"] = json!(remark.path);
                comment["body"] = json!(remark.body(review.id, span.exact && review.trusts(&remark.path)));
                comment
            })
            .collect();
        // Without `event` the review would stay a draft that nobody sees; COMMENT wants a body.
        let body = json!({
            "commit_id": review.head_sha,
            "event": "COMMENT",
            "body": format!(
                "{MARKER}id={} review -->\n{} on these lines; the summary comment has the whole picture.",
                review.id.as_str(),
                if batch.len() == 1 { "1 remark".into() } else { format!("{} remarks", batch.len()) },
            ),
            "comments": comments,
        });
        self.write::<Value>(Verb::Post, &self.route(&format!("pulls/{}/reviews", review.pull)), Some(&body))
            .map(drop)
    }

    /// A comment of its own: the only way to speak of a file, and the last rung for a line.
    fn post_single(&self, review: &Review<'_>, placed: &Placed<'_>) -> Result<(), Fault> {
        let (remark, mut body) = match placed {
            Placed::Line(remark, span) => (remark, placing(*span)),
            Placed::File(remark) => (remark, json!({ "subject_type": "file" })),
        };
        let exact = matches!(placed, Placed::Line(_, span) if span.exact);
        body["commit_id"] = json!(review.head_sha);
        body["path"] = json!(remark.path);
        body["body"] = json!(remark.body(review.id, exact && review.trusts(&remark.path)));
        let route = self.route(&format!("pulls/{}/comments", review.pull));
        let post = || self.write::<Value>(Verb::Post, &route, Some(&body)).map(drop);
        match post() {
            Err(fault) if fault.kind == FaultKind::Unknown => {
                std::thread::sleep(std::time::Duration::from_secs(1));
                if self.fingerprints(review)?.contains(&remark.fingerprint) { Ok(()) } else { post() }
            }
            settled => settled,
        }
    }

    fn fingerprints(&self, review: &Review<'_>) -> Result<BTreeSet<String>, Fault> {
        let listed = self.list::<Existing>(&self.route(&format!("pulls/{}/comments", review.pull)))?;
        Ok(self
            .our_remarks(review.id, listed.items)
            .into_iter()
            .map(|(fingerprint, _)| fingerprint)
            .collect())
    }

    /// What stands there under our name, with its fingerprint.
    fn our_remarks(&self, id: &CommentId, all: Vec<Existing>) -> Vec<(String, Existing)> {
        let start = format!("{MARKER}id={} f=", id.as_str());
        let marked: Vec<(String, Existing)> = all
            .into_iter()
            .filter(|comment| comment.in_reply_to_id.is_none())
            .filter_map(|comment| {
                let rest = comment.body.as_deref()?.strip_prefix(&start)?;
                let fingerprint = rest.split(' ').next()?.to_owned();
                Some((fingerprint, comment))
            })
            .collect();
        let users: Vec<Option<&User>> = marked.iter().map(|(_, comment)| comment.user.as_ref()).collect();
        let mine = self.authors(&users);
        marked.into_iter().zip(mine).filter_map(|(comment, mine)| mine.then_some(comment)).collect()
    }

    fn edit_remark(&self, id: u64, body: &str) -> Result<(), Fault> {
        let route = self.route(&format!("pulls/comments/{id}"));
        self.write::<Value>(Verb::Patch, &route, Some(&json!({ "body": body }))).map(drop)
    }

    fn remove_remark(&self, id: u64) -> Result<(), Fault> {
        match self.write::<()>(Verb::Delete, &self.route(&format!("pulls/comments/{id}")), None) {
            Err(fault) if fault.kind == FaultKind::NotFound => Ok(()),
            settled => settled,
        }
    }
}

impl Review<'_> {
    fn trusts(&self, path: &str) -> bool {
        self.agreeing.contains(path)
    }

    fn place<'a>(&self, remark: &'a Remark) -> Option<Placed<'a>> {
        let file = self.files.iter().find(|file| file.path == remark.path)?;
        let span = file
            .hunks
            .as_ref()
            .filter(|_| self.trusts(&remark.path))
            .and_then(|hunks| hunks.place(remark.start, remark.end));
        Some(span.map_or(Placed::File(remark), |span| Placed::Line(remark, span)))
    }
}

impl Remark {
    fn body(&self, id: &CommentId, with_suggestion: bool) -> String {
        let mut body = format!("{MARKER}id={} f={} -->\n{}", id.as_str(), self.fingerprint, self.text);
        if let Some(suggestion) = self.suggestion.as_ref().filter(|_| with_suggestion) {
            body.push_str("\n\n");
            body.push_str(suggestion);
        }
        body
    }
}

impl Reviewed {
    fn note(&mut self, settled: Result<(), Fault>) {
        self.faults.extend(settled.err());
    }

    fn count(&mut self, remark: &Remark, settled: Result<(), Fault>) {
        match settled {
            Ok(()) => self.posted += 1,
            Err(fault) => {
                self.unplaced.push(remark.fingerprint.clone());
                self.faults.push(fault);
            }
        }
    }

    fn give_up(&mut self, batch: &[(&Remark, Span)], fault: Fault) {
        self.unplaced.extend(batch.iter().map(|(remark, _)| remark.fingerprint.clone()));
        self.faults.push(fault);
    }
}

fn placing(span: Span) -> Value {
    let mut place = json!({ "line": span.line, "side": "RIGHT" });
    if let Some(start) = span.start {
        place["start_line"] = json!(start);
        place["start_side"] = json!("RIGHT");
    }
    place
}

fn fixed(review: &Review<'_>, fingerprint: &str) -> String {
    let sha: String = review.head_sha.chars().take(7).collect();
    format!("{MARKER}id={} f={fingerprint} -->\nFixed in `{sha}`.", review.id.as_str())
}

/// GitHub may hand a body back with other line ends, and without those at its end.
fn same(ours: &str, theirs: &str) -> bool {
    ours.trim_end() == theirs.replace("\r\n", "\n").trim_end()
}
