//! A migration that fails on the shadow database.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Rule},
};

pub(in crate::rules) static RULE: Rule = Rule {
    name: "shadow-failure",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "fails when it is run",
    why: "It failed on a throwaway database that holds what the earlier migrations made; it would fail on the target too.",
    instead: "Mend the statement; the message is the one of the server.",
    sources: &[],
    peers: &[],
    checks: &[Check::Elsewhere],
    ..Rule::BLANK
};
