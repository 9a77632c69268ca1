//! What a pull request changes, and on which lines GitHub lets us speak.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Fault, GitHub, blob};

/// GitHub lists no more than this many files of a pull request.
/// <https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files>
const MOST_FILES: usize = 3000;

/// How a file differs between base and head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Added,
    Removed,
    Modified,
    Renamed,
    Copied,
    Changed,
    Unchanged,
}

/// One changed file.
#[derive(Debug, Clone)]
pub(crate) struct ChangedFile {
    pub(crate) path: String,
    /// Its name on the base, where it was renamed.
    pub(crate) previous: Option<String>,
    pub(crate) status: Status,
    /// Git's name of the content on the head; absent when only the mode changed.
    sha: Option<String>,
    /// `None` where GitHub shows no diff: the file is too big, or binary.
    pub(crate) hunks: Option<Hunks>,
}

impl ChangedFile {
    /// Whether `content` is what the head commit has, so that its line numbers mean the same.
    pub(crate) fn is(&self, content: &[u8]) -> bool {
        self.sha.as_deref() == Some(blob::name(content).as_str())
    }

    /// The path that the base had a file at, and this change took from it or wrote over.
    pub(crate) fn touched_on_base(&self) -> Option<&str> {
        match self.status {
            Status::Modified | Status::Changed | Status::Removed => Some(&self.path),
            Status::Renamed => self.previous.as_deref(),
            Status::Added | Status::Copied | Status::Unchanged => None,
        }
    }
}

/// The changed files of a pull request.
#[derive(Debug, Clone)]
pub(crate) struct ChangedFiles {
    pub(crate) files: Vec<ChangedFile>,
    /// GitHub has more than it tells.
    pub(crate) truncated: bool,
}

#[derive(Deserialize)]
struct RawFile {
    filename: String,
    previous_filename: Option<String>,
    status: Status,
    sha: Option<String>,
    patch: Option<String>,
}

impl GitHub {
    /// The files that a pull request changes; `expected` is the count in the event's payload.
    pub(crate) fn changed_files(&self, pull: u64, expected: Option<u64>) -> Result<ChangedFiles, Fault> {
        let listed = self.list::<RawFile>(&self.route(&format!("pulls/{pull}/files")))?;
        let seen = listed.items.len();
        let files = listed
            .items
            .into_iter()
            .map(|raw| ChangedFile {
                path: raw.filename,
                previous: raw.previous_filename,
                status: raw.status,
                sha: raw.sha,
                hunks: raw.patch.as_deref().map(Hunks::parse),
            })
            .collect();
        let truncated =
            !listed.complete || seen >= MOST_FILES || expected.is_some_and(|count| count > MOST_FILES as u64);
        Ok(ChangedFiles { files, truncated })
    }
}

/// The lines of a file's new side that its diff shows. Comments may stand on these and no others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hunks(Vec<Hunk>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Hunk {
    /// Every line of the new side, added or context.
    shown: BTreeSet<usize>,
    added: BTreeSet<usize>,
}

/// Where in a diff a remark can stand: on `line`, or on the lines from `start` to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Option<usize>,
    pub(crate) line: usize,
    /// The span is the one asked for, so that a suggestion replaces the right lines.
    pub(crate) exact: bool,
}

impl Hunks {
    /// Walks the hunks of a patch as GitHub gives it, which is without file headers.
    fn parse(patch: &str) -> Self {
        let mut hunks: Vec<Hunk> = Vec::new();
        let mut next = 0;
        for line in patch.split('\n') {
            if let Some(start) = new_side_start(line) {
                hunks.push(Hunk::default());
                next = start;
                continue;
            }
            let Some(hunk) = hunks.last_mut() else { continue };
            match line.as_bytes().first() {
                Some(b'+') => {
                    hunk.added.insert(next);
                    hunk.shown.insert(next);
                    next += 1;
                }
                Some(b' ') => {
                    hunk.shown.insert(next);
                    next += 1;
                }
                // Removed lines are not on the new side; `\ No newline at end of file` is no line.
                _ => {}
            }
        }
        Self(hunks)
    }

    /// The place for a remark on the lines `start..=end`.
    ///
    /// Both ends of a span must be in one hunk, or GitHub refuses the whole review. Where the span is
    /// not wholly shown, the nearest added line inside it stands for it.
    pub(crate) fn place(&self, start: usize, end: usize) -> Option<Span> {
        let whole = self.0.iter().any(|hunk| hunk.shown.contains(&start) && hunk.shown.contains(&end));
        if whole {
            return Some(Span { start: (start < end).then_some(start), line: end, exact: true });
        }
        let line = self.0.iter().find_map(|hunk| hunk.added.range(start..=end).next().copied())?;
        Some(Span { start: None, line, exact: false })
    }
}

/// The first line of the new side in `@@ -a,b +c,d @@`.
fn new_side_start(line: &str) -> Option<usize> {
    let (_, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "@@ -1,4 +1,5 @@\n one\n-two\n+2\n+2b\n three\n four\n\
                         @@ -20,2 +21,2 @@ fn x\n twenty\n-old\n+new\n\\ No newline at end of file";

    #[track_caller]
    fn placed(start: usize, end: usize, expected: Option<(Option<usize>, usize, bool)>) {
        let span = Hunks::parse(PATCH).place(start, end);
        assert_eq!(span.map(|it| (it.start, it.line, it.exact)), expected);
    }

    #[test]
    fn remarks_stand_on_lines_of_the_diff() {
        placed(2, 2, Some((None, 2, true)));
        placed(1, 5, Some((Some(1), 5, true)));
        placed(22, 22, Some((None, 22, true)));
        placed(10, 10, None);
        placed(6, 20, None);
    }

    #[test]
    fn a_span_over_two_hunks_is_cut_to_one_line() {
        placed(3, 22, Some((None, 3, false)));
        placed(0, 2, Some((None, 2, false)));
    }

    #[test]
    fn a_new_file_is_one_hunk() {
        let hunks = Hunks::parse("@@ -0,0 +1,2 @@\n+a\n+b");
        assert_eq!(hunks.place(1, 2), Some(Span { start: Some(1), line: 2, exact: true }));
        assert_eq!(hunks.place(3, 3), None);
        assert_eq!(Hunks::parse("@@ -1 +1 @@\n-a\n+b").place(1, 1).map(|it| it.line), Some(1));
    }

    #[test]
    fn a_removed_line_that_looks_like_a_header_is_none() {
        let hunks = Hunks::parse("@@ -1,2 +1,1 @@\n-@@ -9 +9 @@\n a");
        assert_eq!(hunks.place(1, 1).map(|it| it.line), Some(1));
    }
}
