//! One finding per cause: where two rules see the same thing, the one that says more stays.

use std::collections::BTreeSet;

use crate::finding::{Category, Finding};

/// (the rule that stays, the rules that it replaces), on the same statement and, where both name
/// one, the same object.
const REPLACES: &[(&str, &[&str])] = &[
    ("truncate-cascade", &["truncate"]),
    ("partitioned-index-locks-all", &["index-not-concurrent"]),
    (
        "add-serial-or-identity",
        &["add-column-volatile-default", "add-required-column", "primary-key-builds-index"],
    ),
    (
        "add-stored-generated",
        &["add-column-volatile-default", "add-serial-or-identity", "add-required-column"],
    ),
    ("replace-view-drops-invoker", &["view-bypasses-rls"]),
    ("dml-without-where", &["bulk-dml"]),
    ("validated-in-same-transaction", &["slow-work-after-strong-lock"]),
    ("parse-error", &["shadow-failure"]),
    ("psql-only-syntax", &["shadow-failure", "parse-error"]),
    ("transaction-control", &["shadow-failure"]),
    ("policy-invalid-clause", &["shadow-failure", "parse-error"]),
    ("not-valid-unsupported", &["parse-error"]),
    ("duplicate-column", &["shadow-failure", "broken-dependency"]),
    ("view-replace-incompatible", &["shadow-failure"]),
    ("enum-value-used-same-transaction", &["shadow-failure"]),
    ("add-required-column", &["shadow-failure"]),
];

/// A statement that fails takes no lock for long: these replace every lock finding on it.
const FAILS: &[&str] =
    &["forbidden-in-transaction", "concurrently-unsupported", "not-valid-unsupported", "parse-error"];

/// Drops what another finding already says.
pub(super) fn apply(findings: &mut Vec<Finding>) {
    let mut losers = BTreeSet::new();
    for winner in findings.iter() {
        for (at, loser) in findings.iter().enumerate() {
            if winner.rule != loser.rule && replaces(winner, loser) {
                losers.insert(at);
            }
        }
    }
    let mut at = 0;
    findings.retain(|_| {
        at += 1;
        !losers.contains(&(at - 1))
    });
}

fn replaces(winner: &Finding, loser: &Finding) -> bool {
    // Judged at the end of the change, each at the statement that it is about.
    if (winner.rule, loser.rule) == ("rls-not-enabled", "policy-without-rls") {
        return winner.object.is_some() && winner.object == loser.object;
    }
    let same_statement = winner.statement > 0
        && (winner.statement, winner.section, &winner.place.file)
            == (loser.statement, loser.section, &loser.place.file);
    if !same_statement {
        return false;
    }
    let listed = |rules: &&(&str, &[&str])| rules.0 == winner.rule && rules.1.contains(&loser.rule);
    if REPLACES.iter().any(|rules| listed(&rules)) {
        return same_object(winner, loser);
    }
    FAILS.contains(&winner.rule)
        && (matches!(loser.category, Category::Lock | Category::Rewrite) || loser.rule == "shadow-failure")
}

/// Unless both name one and they differ. A column belongs to its table.
fn same_object(a: &Finding, b: &Finding) -> bool {
    let (Some(a), Some(b)) = (&a.object, &b.object) else { return true };
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    within(a, b) || within(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Direction, Evidence, Place, Severity};

    fn one(rule: &'static str, statement: usize, object: &str) -> Finding {
        Finding {
            rule,
            severity: Severity::Error,
            category: Category::Lock,
            place: Place::file("a.sql"),
            section: Direction::Up,
            statement,
            object: Some(object.to_owned()).filter(|object| !object.is_empty()),
            lock: None,
            message: String::new(),
            help: None,
            suggestion: None,
            edit: None,
            evidence: Evidence::Static,
        }
    }

    fn left(findings: &[(&'static str, usize, &str)]) -> Vec<&'static str> {
        let mut findings = findings.iter().map(|(rule, at, object)| one(rule, *at, object)).collect();
        apply(&mut findings);
        findings.iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn the_finding_that_says_more_stays() {
        let both = [("truncate", 1, "public.a"), ("truncate-cascade", 1, "public.a")];
        assert_eq!(left(&both), ["truncate-cascade"]);
        let two_tables = [("truncate", 1, "public.a"), ("truncate-cascade", 1, "public.b")];
        assert_eq!(left(&two_tables).len(), 2);
        let two_statements = [("truncate", 1, "public.a"), ("truncate-cascade", 2, "public.a")];
        assert_eq!(left(&two_statements).len(), 2);
        let column = [("add-serial-or-identity", 1, "public.a.id"), ("add-required-column", 1, "public.a")];
        assert_eq!(left(&column), ["add-serial-or-identity"]);
    }

    #[test]
    fn a_statement_that_fails_locks_nothing() {
        let found = [("forbidden-in-transaction", 1, ""), ("index-not-concurrent", 1, "public.a")];
        assert_eq!(left(&found), ["forbidden-in-transaction"]);
    }
}
