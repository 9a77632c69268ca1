//! Workflow commands: lines on stdout that GitHub's runner turns into annotations.
//!
//! The runner keeps ten of each kind a step (`_maxCountPerIssueType` in `actions/runner`,
//! `ExecutionContext.cs`) and cuts messages at 4,096 characters; the tenth of ours says how many
//! more there are.

use super::{CheckReport, docs_url, escape};
use crate::finding::{Finding, Severity};

const KEPT: usize = 10;
const LONGEST: usize = 4000;

/// The annotations of a report, errors first.
pub(crate) fn annotations(report: &CheckReport) -> String {
    let mut out = String::new();
    for (severity, command) in
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "notice")]
    {
        let findings: Vec<&Finding> =
            report.findings.iter().filter(|finding| finding.severity == severity).collect();
        let unverified = report.unverified();
        let reserved = usize::from(severity == Severity::Info && !unverified.is_empty());
        let fit = if findings.len() + reserved <= KEPT { findings.len() } else { KEPT - 1 - reserved };
        for finding in &findings[..fit] {
            out.push_str(&annotation(command, finding));
        }
        if reserved == 1 {
            out.push_str(&plain(command, "not verified", &unverified.join("\n")));
        }
        if findings.len() > fit {
            let more = format!("and {} more: see the job summary", findings.len() - fit);
            out.push_str(&plain(command, "Lockkeeper", &more));
        }
    }
    out
}

fn annotation(command: &str, finding: &Finding) -> String {
    let place = &finding.place;
    let mut properties = format!(
        "title={},file={},line={},endLine={}",
        escape::command_property(finding.rule),
        escape::command_property(&place.file),
        place.line,
        place.end_line
    );
    // The runner takes columns only where both are on one line; its end is the last character.
    if place.line == place.end_line {
        let end = place.end_column.saturating_sub(1).max(place.column);
        properties.push_str(&format!(",col={},endColumn={end}", place.column));
    }
    let mut message = finding.message.clone();
    if let Some(help) = &finding.help {
        message.push_str(&format!("\n{help}"));
    }
    if let Some(sql) = &finding.suggestion {
        message.push_str(&format!("\nWrite instead:\n{sql}"));
    }
    let docs = docs_url(finding.rule);
    format!("::{command} {properties}::{}\n", data(&format!("{}\n{docs}", clip(&message))))
}

fn plain(command: &str, title: &str, message: &str) -> String {
    format!("::{command} title={}::{}\n", escape::command_property(title), data(&clip(message)))
}

fn data(text: &str) -> String {
    escape::command_data(&escape::log_text(text))
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(LONGEST - 200) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[test]
    fn one_line_for_each_finding() {
        insta::assert_snapshot!(annotations(&fixture::report()), @r"
        ::error title=index-not-concurrent,file=supabase/migrations/20260101000000_orders.sql,line=4,endLine=4,col=1,endColumn=41::index `orders_note` is built under SHARE on `public.orders`%0ABuild it with CONCURRENTLY, in a migration of its own.%0AWrite instead:%0ACREATE INDEX CONCURRENTLY orders_note ON orders (note)%0Ahttps://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/index-not-concurrent.md
        ::warning title=column-type-change,file=supabase/migrations/20260102000000_users.sql,line=1,endLine=2::changing the type of `id` rewrites `public.users`%0AAdd a column of the new type, copy in batches, and swap.%0Ahttps://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/column-type-change.md
        ::notice title=missing-down,file=supabase/migrations/20260102000000_users.sql,line=1,endLine=1,col=1,endColumn=1::there is no DOWN section%0Ahttps://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/missing-down.md
        ::notice title=not verified::extension `pg_cron` was replaced by a stand-in
        ");
    }

    #[test]
    fn the_tenth_says_how_many_more() {
        let mut report = fixture::report();
        let first = report.findings[0].clone();
        report.findings = vec![first; 12];
        report.not_verified.clear();
        let out = annotations(&report);
        assert_eq!(out.lines().count(), 10);
        assert_eq!(out.lines().last(), Some("::error title=Lockkeeper::and 3 more: see the job summary"));
        report.findings.truncate(10);
        assert!(!annotations(&report).contains("more"));
    }

    #[test]
    fn a_migration_cannot_give_commands() {
        let mut report = fixture::report();
        report.findings.truncate(1);
        report.not_verified.clear();
        report.findings[0].message = "x\n::set-output name=a::b\r::warning::c".into();
        report.findings[0].place.file = "a,line=9::b\n.sql".into();
        let out = annotations(&report);
        assert_eq!(out.lines().count(), 1);
        assert!(out.contains("file=a%2Cline=9%3A%3Ab%0A.sql,line=4"), "{out}");
    }
}
