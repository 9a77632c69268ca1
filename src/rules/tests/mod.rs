//! The proof of the rules: their own examples, the sample cases, the locks they claim, their pages.

mod advice;
mod cases;
mod claims;
mod edits;
mod example;
mod pages;
mod real;

use std::collections::{BTreeMap, BTreeSet};

use super::{ALL, Check, Rule};
use crate::finding::Severity;
use example::Example;

/// Every rule that fires, and the strongest severity it fires with.
fn fired(rule: &Rule, text: &str) -> BTreeMap<&'static str, Severity> {
    let mut fired = BTreeMap::new();
    for finding in Example::read(rule, text).judge().findings {
        let severity = fired.entry(finding.rule).or_insert(finding.severity);
        *severity = finding.severity.max(*severity);
    }
    fired
}

fn loud(fired: &BTreeMap<&'static str, Severity>) -> BTreeSet<&'static str> {
    fired.iter().filter(|(_, severity)| **severity > Severity::Info).map(|(rule, _)| *rule).collect()
}

#[test]
fn bad_examples_fire_their_rule_and_no_other() {
    let mut wrong = Vec::new();
    for rule in ALL {
        for text in rule.bad {
            let fired = fired(rule, text);
            let mut others = loud(&fired);
            others.retain(|other| *other != rule.name && !rule.also.contains(other));
            if !fired.contains_key(rule.name) {
                wrong.push(format!("{} does not fire on:\n    {text}\n    fired: {fired:?}", rule.name));
            }
            if !others.is_empty() {
                wrong.push(format!("{}: also fires {others:?} on:\n    {text}", rule.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn good_examples_are_silent() {
    let mut wrong = Vec::new();
    for rule in ALL {
        for text in rule.good {
            let fired = fired(rule, text);
            let mut loud = loud(&fired);
            // A rule that one must switch on is a matter of taste: others may speak.
            loud.extend(fired.contains_key(rule.name).then_some(rule.name));
            if !loud.is_empty() {
                wrong.push(format!("{}: {loud:?} fires on the good example:\n    {text}", rule.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rules_are_complete() {
    for rule in ALL {
        let name = rule.name;
        assert!(!rule.summary.is_empty() && !rule.summary.ends_with('.'), "{name}: summary");
        assert!(!rule.why.is_empty() && !rule.instead.is_empty(), "{name}: why, instead");
        assert!(!rule.checks.is_empty(), "{name}: checks");
        let elsewhere = rule.checks.iter().all(|check| matches!(check, Check::Elsewhere));
        assert!(elsewhere || !rule.bad.is_empty(), "{name}: has no bad example");
        assert!(elsewhere || !rule.good.is_empty(), "{name}: has no good example");
        for other in rule.also {
            assert!(super::find(other).is_some(), "{name}: `also` names {other}, which is no rule");
        }
    }
    let names: Vec<&str> = ALL.iter().map(|rule| rule.name).collect();
    assert!(names.is_sorted(), "the list is not alphabetical");
}
