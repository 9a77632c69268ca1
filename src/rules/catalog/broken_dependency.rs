//! A migration that fails, or breaks something, when it is run.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Rule},
};

pub(super) static RULE: Rule = Rule {
    name: "broken-dependency",
    category: Category::Compatibility,
    severity: Severity::Error,
    summary: "fails on the shadow, or leaves a function that no longer compiles",
    why: "Postgres does not track what function bodies refer to, and a name that the migrations never \
          create is found only by running them.",
    instead: "Read the error of the shadow below: it says which object is missing and how to give a base.",
    sources: &["https://www.postgresql.org/docs/current/ddl-depend.html"],
    peers: &[
        "sfm:broken-compute",
        "sfm:schema-drift",
        "psd:HAS_UNTRACKABLE_DEPENDENCIES",
        "bb:builtin_walk_through_check",
    ],
    checks: &[Check::Elsewhere],
    ..Rule::BLANK
};
