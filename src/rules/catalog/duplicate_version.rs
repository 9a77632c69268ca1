//! Two files with one version.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Rule},
};

pub(super) static RULE: Rule = Rule {
    name: "duplicate-version",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "has the version of another migration",
    why: "Each version is applied once: one of the two files would never run, and which one depends on the order in which branches are merged.",
    instead: "Give the one that is not applied anywhere yet a new version.",
    sources: &[],
    peers: &[],
    checks: &[Check::Elsewhere],
    ..Rule::BLANK
};
