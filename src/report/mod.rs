//! One verdict, many renderings. Pure: values in, text out.

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
