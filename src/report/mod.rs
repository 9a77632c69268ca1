//! One verdict, many renderings. Pure: values in, text out.

pub(crate) mod deploy;
pub(crate) mod escape;
pub(crate) mod excerpt;
mod file_report;
#[cfg(test)]
mod fixture;
mod history;
pub(crate) mod html;
pub(crate) mod inline;
pub(crate) mod json;
pub(crate) mod markdown;
pub(crate) mod sarif;
mod tables;
pub(crate) mod terminal;
mod timeline;
pub(crate) mod workflow;

pub(crate) use history::Milestone;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    finding::{Finding, Severity},
    lock::HeldLock,
    rehearsal::{Difference, RoundTrip},
    schema::TablePicture,
};

/// What became of the rehearsal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ShadowState {
    Ran,
    /// Not verified, and why.
    Skipped(String),
    Failed(String),
}

/// The result of `check`.
#[derive(Debug, Clone)]
pub(crate) struct CheckReport {
    /// Sorted by file, line, column, rule.
    pub(crate) findings: Vec<Finding>,
    /// Findings that an ignore directive silenced, with the reason given.
    pub(crate) ignored: Vec<(Finding, String)>,
    pub(crate) files: Vec<FileReport>,
    /// The tables that the change makes or alters, as they are after it.
    pub(crate) tables: Vec<TablePicture>,
    /// Every migration of the folder, in order.
    pub(crate) history: Vec<Milestone>,
    pub(crate) shadow: ShadowState,
    /// `None`: `--fail-on never`.
    pub(crate) fail_on: Option<Severity>,
    /// Sentences about what could not be checked.
    pub(crate) not_verified: Vec<String>,
    /// A file could not be read as a migration: the exit code is 2.
    pub(crate) unreadable: bool,
    /// A shadow was required and could not be had, or stopped: the exit code is 3.
    pub(crate) shadow_missing: bool,
}

/// One checked migration.
#[derive(Debug, Clone)]
pub(crate) struct FileReport {
    pub(crate) file: String,
    pub(crate) version: i64,
    pub(crate) description: String,
    pub(crate) checksum: String,
    pub(crate) transactional: bool,
    pub(crate) has_down: bool,
    pub(crate) round_trip: RoundTrip,
    pub(crate) difference: Vec<Difference>,
    pub(crate) statements: Vec<StatementReport>,
    /// The file's text, for excerpts.
    pub(crate) source: std::sync::Arc<crate::migration::SourceFile>,
    /// The file of DOWN, where it is another one.
    pub(crate) down_source: Option<std::sync::Arc<crate::migration::SourceFile>>,
}

/// One statement of UP.
#[derive(Debug, Clone)]
pub(crate) struct StatementReport {
    /// 1-based.
    pub(crate) index: usize,
    pub(crate) line: usize,
    /// Such as `CreateIndex`.
    pub(crate) sql_kind: String,
    /// Measured on the shadow where it ran, else known from the rules.
    pub(crate) locks: Vec<HeldLock>,
    pub(crate) rewrites: Vec<String>,
    pub(crate) duration_ms: Option<f64>,
}

impl CheckReport {
    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Such as `1 error, 2 warnings, 1 ignored`.
    fn counts(&self) -> String {
        let mut parts: Vec<String> =
            [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "info")]
                .into_iter()
                .map(|(severity, noun)| (self.count(severity), noun))
                .filter(|(number, _)| *number > 0)
                .map(|(number, noun)| count(number, noun))
                .collect();
        if parts.is_empty() {
            parts.push("no findings".into());
        }
        if !self.ignored.is_empty() {
            parts.push(format!("{} ignored", self.ignored.len()));
        }
        parts.join(", ")
    }

    /// Everything that was not verified, the shadow included, as sentences without a full stop.
    fn unverified(&self) -> Vec<String> {
        let shadow = match &self.shadow {
            ShadowState::Ran => None,
            ShadowState::Skipped(reason) => {
                Some(format!("locks and rollback on a shadow database: {reason}"))
            }
            ShadowState::Failed(reason) => {
                Some(format!("locks and rollback, because the shadow database failed: {reason}"))
            }
        };
        shadow.into_iter().chain(self.not_verified.iter().cloned()).collect()
    }

    pub(crate) fn failed(&self) -> bool {
        self.fail_on.is_some_and(|least| self.findings.iter().any(|finding| finding.severity >= least))
    }
}

/// The page that explains a rule.
pub(crate) fn docs_url(rule: &str) -> String {
    format!("https://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/{rule}.md")
}

/// A relative reference: everything but unreserved characters and `/` is percent-encoded (RFC 3986).
fn uri(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// A number and its noun: `1 error`, `2 errors`.
fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Milliseconds as people read them.
fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

impl FileReport {
    /// The strongest lock on each relation that existed before, and how long the statement that
    /// took it ran; strongest first.
    fn strongest_locks(&self) -> Vec<(&HeldLock, Option<f64>)> {
        let mut strongest: BTreeMap<&str, (&HeldLock, Option<f64>)> = BTreeMap::new();
        for statement in &self.statements {
            for lock in statement.locks.iter().filter(|lock| lock.existed) {
                let entry = strongest.entry(&lock.object).or_insert((lock, statement.duration_ms));
                if entry.0.mode < lock.mode {
                    *entry = (lock, statement.duration_ms);
                }
            }
        }
        let mut strongest: Vec<(&HeldLock, Option<f64>)> = strongest.into_values().collect();
        strongest.sort_by_key(|(lock, _)| std::cmp::Reverse(lock.mode));
        strongest
    }

    fn rewrites(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let tables = self.statements.iter().flat_map(|statement| &statement.rewrites).map(String::as_str);
        tables.filter(|table| seen.insert(*table)).collect()
    }

    /// What is known about DOWN, in a few words.
    fn down_in_words(&self) -> &'static str {
        match (self.round_trip, self.has_down) {
            (RoundTrip::Restored, _) => "restores the schema",
            (RoundTrip::Differs, _) => "does not restore the schema",
            (RoundTrip::Irreversible, _) => "irreversible on purpose",
            (RoundTrip::NotRun, true) => "not verified",
            (RoundTrip::NotRun, false) => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_percent_encoded() {
        assert_eq!(uri("a b/é#.sql"), "a%20b/%C3%A9%23.sql");
    }
}
