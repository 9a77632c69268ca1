//! Findings about the live database rather than the change.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Rule},
};

pub(super) static RULE: Rule = Rule {
    name: "db-audit",
    category: Category::Style,
    severity: Severity::Info,
    off_by_default: true,
    summary: "is about the live database: invalid indexes, constraints never validated",
    why: "Such things are nobody's pull request: they belong in a scheduled job, and never block one.",
    instead: "Run `lockkeeper verify --no-invalid --integrity` on a schedule.",
    sources: &["https://www.postgresql.org/docs/current/monitoring-stats.html"],
    peers: &["sp:0005", "sp:0020", "pgli:B004", "pgli:B006", "pih:runtime"],
    checks: &[Check::Elsewhere],
    ..Rule::BLANK
};
