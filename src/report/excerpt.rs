//! Finding the text that a finding is about, and naming the finding by it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::{Deref, Range},
};

use sha2::{Digest, Sha256};

use super::CheckReport;
use crate::{
    finding::{Finding, Place},
    migration::SourceFile,
    sql::secrets,
};

/// A report whose findings and texts are found by their file: a long one would otherwise be looked through
/// for each of its findings. Reads as the report.
pub(super) struct Indexed<'a> {
    report: &'a CheckReport,
    findings: HashMap<&'a str, Vec<&'a Finding>>,
    sources: HashMap<&'a str, &'a SourceFile>,
    /// Lines on which a secret was found, by file: nothing of them is ever shown, whichever rule asks.
    secrets: HashMap<&'a str, BTreeSet<usize>>,
}

impl Deref for Indexed<'_> {
    type Target = CheckReport;

    fn deref(&self) -> &CheckReport {
        self.report
    }
}

impl<'a> Indexed<'a> {
    pub(super) fn of(report: &'a CheckReport) -> Self {
        let files = report.files.iter();
        let sources = files.flat_map(|file| [Some(&file.source), file.down_source.as_ref()]).flatten();
        let ignored = report.ignored.iter().map(|(finding, _)| finding);
        let mut secrets: HashMap<&str, BTreeSet<usize>> = HashMap::new();
        for Finding { rule, place, .. } in report.findings.iter().chain(ignored) {
            if *rule == "hardcoded-secret" {
                secrets.entry(&place.file).or_default().extend(place.line..=place.end_line);
            }
        }
        let mut findings: HashMap<&str, Vec<&Finding>> = HashMap::new();
        for finding in &report.findings {
            findings.entry(&finding.place.file).or_default().push(finding);
        }
        let sources = sources.rev().map(|file| (file.path.as_str(), &**file)).collect();
        Self { report, findings, sources, secrets }
    }

    /// The findings in a file.
    pub(super) fn findings_of(&self, path: &str) -> &[&'a Finding] {
        self.findings.get(path).map_or(&[], Vec::as_slice)
    }

    /// The findings in none of the report's migrations.
    pub(super) fn strangers(&self) -> Vec<&'a Finding> {
        let files: HashSet<&str> = self.report.files.iter().map(|file| file.file.as_str()).collect();
        self.report.findings.iter().filter(|finding| !files.contains(finding.place.file.as_str())).collect()
    }

    /// The file of a place, where its text is at hand and may be shown.
    pub(super) fn source_of(&self, place: &Place) -> Option<&'a SourceFile> {
        self.visible(place).filter(|source| !holds_secret(source, place))
    }

    fn visible(&self, place: &Place) -> Option<&'a SourceFile> {
        let secret = self.secrets.get(place.file.as_str());
        let hidden = |lines: &BTreeSet<usize>| {
            lines.range(place.line..).next().is_some_and(|it| *it <= place.end_line)
        };
        self.sources.get(place.file.as_str()).copied().filter(|_| !secret.is_some_and(hidden))
    }

    /// The text of a place.
    pub(super) fn text(&self, place: &Place) -> Option<&'a str> {
        let source = self.source_of(place)?;
        source.text.get(span(source, place)?).filter(|text| !text.is_empty())
    }

    /// The text of a place for a reader: of a single word, its whole line.
    pub(super) fn shown(&self, place: &Place) -> Option<&'a str> {
        let text = self.text(place)?;
        if text.contains(char::is_whitespace) {
            return Some(text);
        }
        let source = self.source_of(place)?;
        let line = source.text.get(source.lines.start_of(place.line)?..)?.split('\n').next()?;
        Some(line.trim()).filter(|line| line.contains(text)).or(Some(text))
    }
}

/// Whether the lines of a place hold what looks like a secret, whatever the rules made of them: what does not
/// parse, and comments, they do not read.
fn holds_secret(source: &SourceFile, place: &Place) -> bool {
    let start = source.lines.start_of(place.line).unwrap_or_default();
    let end = source.lines.start_of(place.end_line + 1).unwrap_or(source.text.len());
    source.text.get(start..end).is_some_and(secrets::holds_one)
}

/// The bytes of a place in its file.
pub(super) fn span(source: &SourceFile, place: &Place) -> Option<Range<usize>> {
    let offset = |line, column| source.lines.offset(&source.text, line, column);
    let start = offset(place.line, place.column)?;
    let end = offset(place.end_line, place.end_column)?;
    Some(start..end.max(start))
}

/// A name for each finding that stays when lines move: made of rule, file, the statement's text
/// with its white space evened out, and the number of the occurrence.
pub(crate) fn fingerprints(report: &CheckReport, findings: &[&Finding]) -> Vec<String> {
    let excerpts = Indexed::of(report);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    findings
        .iter()
        .map(|finding| {
            let text = excerpts.text(&finding.place).unwrap_or_default();
            let even = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let key = format!("{}\0{}\0{even}", finding.rule, finding.place.file);
            let count = seen.entry(key.clone()).or_default();
            let digest = Sha256::digest(format!("{key}\0{count}"));
            *count += 1;
            digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[test]
    fn lines_with_a_secret_are_not_shown() {
        let mut report = fixture::report();
        let place = report.findings[0].place.clone();
        assert!(Indexed::of(&report).source_of(&place).is_some());
        report.findings[0].rule = "hardcoded-secret";
        let excerpts = Indexed::of(&report);
        assert!(excerpts.source_of(&place).is_none() && excerpts.text(&place).is_none());
    }

    #[test]
    fn a_single_word_is_shown_with_its_line() {
        let report = fixture::report();
        let excerpts = Indexed::of(&report);
        let mut place = report.findings[0].place.clone();
        assert_eq!(excerpts.shown(&place), excerpts.text(&place));
        place.end_column = place.column + 6;
        assert_eq!(excerpts.text(&place), Some("CREATE"));
        assert_eq!(excerpts.shown(&place), Some("CREATE INDEX orders_note ON orders (note);"));
    }

    #[test]
    fn a_fingerprint_does_not_know_its_line() {
        let report = fixture::report();
        let before = fingerprints(&report, &report.findings.iter().collect::<Vec<_>>());
        assert_eq!(before[0].len(), 16);
        let mut moved = fixture::report();
        let file = &moved.files[0].source;
        moved.files[0].source = SourceFile::new(file.path.clone(), format!("\n{}", file.text));
        moved.findings[0].place.line += 1;
        moved.findings[0].place.end_line += 1;
        let after = fingerprints(&moved, &moved.findings.iter().collect::<Vec<_>>());
        assert_eq!(before, after);

        let twice = [&report.findings[0], &report.findings[0]];
        let both = fingerprints(&report, &twice);
        assert_ne!(both[0], both[1]);
    }
}
