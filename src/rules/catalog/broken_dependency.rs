//! A name that is not there.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Rule},
};

pub(in crate::rules) static RULE: Rule = Rule {
    name: "broken-dependency",
    category: Category::Compatibility,
    severity: Severity::Error,
    summary: "names something that does not exist, or that something else depends on",
    why: "The statement failed on a database that holds what the earlier migrations made. Where the thing was made by hand in the dashboard, no migration knows it, and a new environment would fail likewise.",
    instead: "Correct the name, or add the migration that makes the thing.",
    sources: &[],
    peers: &["sfm:broken-compute", "sfm:schema-drift", "psd:HAS_UNTRACKABLE_DEPENDENCIES"],
    checks: &[Check::Elsewhere],
    ..Rule::BLANK
};
