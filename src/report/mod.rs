//! One verdict, many renderings. Pure: values in, text out.

pub(crate) mod escape;
#[cfg(test)]
mod fixture;
pub(crate) mod json;
pub(crate) mod terminal;

use crate::{
    finding::{Finding, Severity},
    lock::HeldLock,
    rehearsal::{Difference, RoundTrip},
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
    pub(crate) shadow: ShadowState,
    /// `None`: `--fail-on never`.
    pub(crate) fail_on: Option<Severity>,
    /// Sentences about what could not be checked.
    pub(crate) not_verified: Vec<String>,
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

    pub(crate) fn failed(&self) -> bool {
        self.fail_on.is_some_and(|least| self.findings.iter().any(|finding| finding.severity >= least))
    }
}

/// The page that explains a rule.
pub(crate) fn docs_url(rule: &str) -> String {
    format!("https://github.com/lockkeeper/lockkeeper/blob/main/docs/rules/{rule}.md")
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
        let mut strongest: Vec<(&HeldLock, Option<f64>)> = Vec::new();
        for statement in &self.statements {
            for lock in statement.locks.iter().filter(|lock| lock.existed) {
                match strongest.iter_mut().find(|(other, _)| other.object == lock.object) {
                    Some(entry) if entry.0.mode < lock.mode => *entry = (lock, statement.duration_ms),
                    Some(_) => {}
                    None => strongest.push((lock, statement.duration_ms)),
                }
            }
        }
        strongest.sort_by_key(|(lock, _)| (std::cmp::Reverse(lock.mode), lock.object.as_str()));
        strongest
    }

    fn rewrites(&self) -> Vec<&str> {
        let mut rewrites: Vec<&str> = Vec::new();
        for table in self.statements.iter().flat_map(|statement| &statement.rewrites) {
            if !rewrites.contains(&table.as_str()) {
                rewrites.push(table);
            }
        }
        rewrites
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
