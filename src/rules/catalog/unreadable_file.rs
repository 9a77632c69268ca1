//! A file that cannot be read.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Rule},
};

pub(super) static RULE: Rule = Rule {
    name: "unreadable-file",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "cannot be read as a migration",
    why: "What cannot be read cannot be checked, and would not be applied.",
    instead: "Save it as UTF-8 text, under 64 MiB, inside the repository.",
    sources: &[],
    peers: &[],
    checks: &[Check::Elsewhere],
    ..Rule::BLANK
};
