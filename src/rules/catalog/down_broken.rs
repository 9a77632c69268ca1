//! A DOWN that fails.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Rule},
};

pub(in crate::rules) static RULE: Rule = Rule {
    name: "down-broken",
    category: Category::Reversibility,
    severity: Severity::Error,
    summary: "has a DOWN that fails",
    why: "It failed on a throwaway database right after the UP: on the day it is needed it would fail too.",
    instead: "Mend the DOWN; the message is the one of the server.",
    sources: &[],
    peers: &[],
    checks: &[Check::Elsewhere],
    ..Rule::BLANK
};
