//! Finding the text that a finding is about, and naming the finding by it.

use std::{collections::BTreeMap, ops::Range};

use sha2::{Digest, Sha256};

use super::CheckReport;
use crate::{
    finding::{Finding, Place},
    migration::SourceFile,
};

/// The file of a place, where its text is at hand and may be shown.
pub(super) fn source_of<'a>(report: &'a CheckReport, place: &Place) -> Option<&'a SourceFile> {
    if holds_secret(report, place) {
        return None;
    }
    // Versions and paths sort alike, most often.
    let likely = report.files.partition_point(|file| file.source.path < place.file);
    let is_it = |source: &&SourceFile| source.path == place.file;
    let source = report.files.get(likely).map(|file| &*file.source).filter(is_it);
    let all = || report.files.iter().flat_map(|file| [Some(&file.source), file.down_source.as_ref()]);
    source.or_else(|| all().flatten().map(|file| &**file).find(is_it))
}

/// Whether a secret was found on one of the lines: nothing of them is ever shown, whichever rule asks.
fn holds_secret(report: &CheckReport, place: &Place) -> bool {
    let ignored = report.ignored.iter().map(|(finding, _)| finding);
    report.findings.iter().chain(ignored).any(|finding| {
        let other = &finding.place;
        finding.rule == "hardcoded-secret"
            && other.file == place.file
            && other.line <= place.end_line
            && place.line <= other.end_line
    })
}

/// The bytes of a place in its file.
pub(super) fn span(source: &SourceFile, place: &Place) -> Option<Range<usize>> {
    let offset = |line, column| source.lines.offset(&source.text, line, column);
    let start = offset(place.line, place.column)?;
    let end = offset(place.end_line, place.end_column)?;
    Some(start..end.max(start))
}

/// The text of a place.
pub(super) fn text<'a>(report: &'a CheckReport, place: &Place) -> Option<&'a str> {
    let source = source_of(report, place)?;
    source.text.get(span(source, place)?).filter(|text| !text.is_empty())
}

/// The text of a place for a reader: of a single word, its whole line.
pub(super) fn shown<'a>(report: &'a CheckReport, place: &Place) -> Option<&'a str> {
    let text = text(report, place)?;
    if text.contains(char::is_whitespace) {
        return Some(text);
    }
    let line = source_of(report, place)?.text.split('\n').nth(place.line.checked_sub(1)?)?;
    Some(line.trim()).filter(|line| line.contains(text)).or(Some(text))
}

/// A name for each finding that stays when lines move: made of rule, file, the statement's text
/// with its white space evened out, and the number of the occurrence.
pub(crate) fn fingerprints(report: &CheckReport, findings: &[&Finding]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    findings
        .iter()
        .map(|finding| {
            let text = text(report, &finding.place).unwrap_or_default();
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
        assert!(source_of(&report, &place).is_some());
        report.findings[0].rule = "hardcoded-secret";
        assert!(source_of(&report, &place).is_none() && text(&report, &place).is_none());
    }

    #[test]
    fn a_single_word_is_shown_with_its_line() {
        let report = fixture::report();
        let mut place = report.findings[0].place.clone();
        assert_eq!(shown(&report, &place), text(&report, &place));
        place.end_column = place.column + 6;
        assert_eq!(text(&report, &place), Some("CREATE"));
        assert_eq!(shown(&report, &place), Some("CREATE INDEX orders_note ON orders (note);"));
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
