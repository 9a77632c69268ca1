//! A lock that only the shadow database showed.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Rule},
};

pub(in crate::rules) static RULE: Rule = Rule {
    name: "unforeseen-lock",
    category: Category::Lock,
    severity: Severity::Warning,
    summary: "takes a lock that reading the SQL does not show",
    why: "The lock was seen while the migration ran on a throwaway database: dynamic SQL, a routine or an expression takes it.",
    instead: "Look at what the statement runs, and choose the form that locks less.",
    sources: &["https://www.postgresql.org/docs/current/explicit-locking.html"],
    peers: &[],
    checks: &[Check::Elsewhere],
    ..Rule::BLANK
};
