//! Remarks on lines of the diff: one for each finding that somebody should act on.
//!
//! Where they can stand is `github::review`'s business; here is what they say, and the exact
//! replacement where the rule gave one.

use super::{
    CheckReport, docs_url, escape,
    excerpt::{self, Indexed},
    markdown::{clip_sql, lock_sentence, prose},
};
use crate::{
    finding::{Edit, Finding, Severity},
    github::review::Remark,
};

/// The remarks of a report. Infos stay in the summary: each remark mails people.
pub(crate) fn remarks(report: &CheckReport) -> Vec<Remark> {
    let findings: Vec<&Finding> = report.findings.iter().collect();
    let fingerprints = excerpt::fingerprints(report, &findings);
    let report = Indexed::of(report);
    findings
        .into_iter()
        .zip(fingerprints)
        .filter(|(finding, _)| finding.severity > Severity::Info)
        .map(|(finding, fingerprint)| {
            let suggestion = finding.edit.as_ref().and_then(|edit| suggestion(&report, edit));
            let lines = match (&finding.edit, &suggestion) {
                (Some(edit), Some(_)) => &edit.place,
                _ => &finding.place,
            };
            Remark {
                fingerprint,
                severity: finding.severity,
                path: finding.place.file.clone(),
                start: lines.line,
                end: lines.end_line.max(lines.line),
                text: text(finding, suggestion.is_some()),
                suggestion,
            }
        })
        .collect()
}

fn text(finding: &Finding, suggested: bool) -> String {
    let sign = if finding.severity == Severity::Error { "❌" } else { "⚠️" };
    let mut out = format!("{sign} **{}**: {}", finding.rule, prose(&finding.message));
    if let Some(lock) = finding.lock {
        out.push_str(&format!("  \n{}", lock_sentence(lock, finding.evidence)));
    }
    if let Some(help) = &finding.help {
        out.push_str(&format!("\n\n**Instead**: {}", prose(help)));
    }
    if let Some(sql) = finding.suggestion.as_ref().filter(|_| !suggested) {
        out.push_str(&format!("\n\n{}", escape::fenced("sql", &clip_sql(sql)).trim_end()));
    }
    out.push_str(&format!("\n\n[Why]({})", docs_url(finding.rule)));
    out
}

/// The edit as GitHub takes it: whole lines that replace whole lines.
///
/// None where the block could not say it: it has no way to carry a carriage return or a control
/// character, and one that changes nothing is noise.
fn suggestion(report: &Indexed<'_>, edit: &Edit) -> Option<String> {
    let source = report.source_of(&edit.place)?;
    let span = excerpt::span(source, &edit.place)?;
    let start = source.text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = source.text[span.end..].find('\n').map_or(source.text.len(), |at| span.end + at);
    let before = &source.text[start..end];
    let after = format!("{}{}{}", &source.text[start..span.start], edit.text, &source.text[span.end..end]);
    let plain = |text: &str| !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
    if before.trim_end() == after.trim_end() || !plain(before) || !plain(&after) {
        return None;
    }
    let block = escape::fenced("suggestion", &after);
    block.contains(after.trim_end_matches('\n')).then(|| block.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[test]
    fn errors_and_warnings_are_said_on_their_lines() {
        let remarks = remarks(&fixture::report());
        assert_eq!(remarks.len(), 2);
        assert_eq!((remarks[0].start, remarks[0].end, remarks[1].start, remarks[1].end), (4, 4, 1, 2));
        insta::assert_snapshot!(remarks[1].text, @r"
        ⚠️ **column-type-change**: changing the type of `id` rewrites `public.users`  
        `ACCESS EXCLUSIVE` lock: every read and write of it waits.

        **Instead**: Add a column of the new type, copy in batches, and swap.

        [Why](https://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/column-type-change.md)
        ");
    }

    #[test]
    fn an_edit_becomes_whole_lines() {
        let mut report = fixture::report();
        let finding = &mut report.findings[0];
        let mut place = finding.place.clone();
        place.end_column = place.column + 12;
        finding.edit = Some(Edit { place, text: "CREATE INDEX CONCURRENTLY".into() });
        let remark = &remarks(&report)[0];
        assert_eq!(
            remark.suggestion.as_deref(),
            Some("```suggestion\nCREATE INDEX CONCURRENTLY orders_note ON orders (note);\n```")
        );
        assert!(!remark.text.contains("```"));
    }
}
