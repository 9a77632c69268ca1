//! One finding per cause: where two rules see the same thing, the one that says more stays.

use std::collections::{BTreeSet, HashMap};

use crate::finding::{Category, Finding};

/// (the rule that stays, the rules that it replaces), on the same statement and, where both name
/// one, the same object.
const REPLACES: &[(&str, &[&str])] = &[
    ("truncate-cascade", &["truncate"]),
    ("partitioned-index-locks-all", &["index-not-concurrent"]),
    (
        "add-serial-or-identity",
        &["add-column-volatile-default", "add-required-column", "slow-work-after-strong-lock"],
    ),
    (
        "add-stored-generated",
        &[
            "add-column-volatile-default",
            "add-serial-or-identity",
            "add-required-column",
            "slow-work-after-strong-lock",
        ],
    ),
    ("replace-view-drops-invoker", &["view-bypasses-rls"]),
    ("dml-without-where", &["bulk-dml"]),
    // Each of them holds ACCESS EXCLUSIVE for its own work already: an earlier lock on the same
    // table makes nothing worse.
    ("check-validates-rows", &["slow-work-after-strong-lock"]),
    ("primary-key-builds-index", &["slow-work-after-strong-lock"]),
    ("unique-builds-index", &["slow-work-after-strong-lock"]),
    ("column-type-rewrite", &["slow-work-after-strong-lock"]),
    ("column-type-rescan", &["slow-work-after-strong-lock"]),
    ("set-not-null-scan", &["slow-work-after-strong-lock"]),
    ("pk-using-index-nullable", &["slow-work-after-strong-lock"]),
    ("exclusion-on-existing", &["slow-work-after-strong-lock"]),
    ("add-column-volatile-default", &["slow-work-after-strong-lock"]),
    ("add-domain-column", &["slow-work-after-strong-lock"]),
    ("toggle-logged-rewrite", &["slow-work-after-strong-lock"]),
    ("move-table-rewrite", &["slow-work-after-strong-lock"]),
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

/// What a table loses before the same file drops it altogether: `drop-table` says it all.
const ENDS_WITH_ITS_TABLE: &[&str] = &["drop-constraint", "drop-index-not-concurrent"];

/// Drops what another finding already says.
pub(super) fn apply(findings: &mut Vec<Finding>) {
    let mut losers = BTreeSet::new();
    for group in groups(findings) {
        for winner in &group {
            for at in &group {
                let (winner, loser) = (&findings[*winner], &findings[*at]);
                if winner.rule != loser.rule && replaces(winner, loser) {
                    losers.insert(*at);
                }
            }
        }
    }
    let mut at = 0;
    findings.retain(|_| {
        at += 1;
        !losers.contains(&(at - 1))
    });
}

/// Numbers of the findings that can speak of one thing: those of one statement, and those about one
/// object that are judged together wherever they stand.
fn groups(findings: &[Finding]) -> Vec<Vec<usize>> {
    let mut by_statement: HashMap<_, Vec<usize>> = HashMap::new();
    let mut by_object: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, finding) in findings.iter().enumerate() {
        if finding.statement > 0 {
            let statement = (&finding.place.file, finding.section, finding.statement);
            by_statement.entry(statement).or_default().push(at);
        }
        let far = OF_THE_END.contains(&finding.rule)
            || finding.rule == "drop-table"
            || ENDS_WITH_ITS_TABLE.contains(&finding.rule);
        if far && let Some(object) = &finding.object {
            by_object.entry(object).or_default().push(at);
        }
    }
    by_statement.into_values().chain(by_object.into_values()).collect()
}

/// Judged at the end of the change, each at the statement that it is about.
const OF_THE_END: [&str; 2] = ["rls-not-enabled", "policy-without-rls"];

fn replaces(winner: &Finding, loser: &Finding) -> bool {
    if [winner.rule, loser.rule] == OF_THE_END {
        return winner.object.is_some() && winner.object == loser.object;
    }
    if winner.rule == "drop-table" && ENDS_WITH_ITS_TABLE.contains(&loser.rule) {
        return winner.object.is_some()
            && winner.object == loser.object
            && (winner.section, &winner.place.file) == (loser.section, &loser.place.file)
            && loser.statement < winner.statement;
    }
    let same_statement = winner.statement > 0
        && (winner.statement, winner.section, &winner.place.file)
            == (loser.statement, loser.section, &loser.place.file);
    if !same_statement {
        return false;
    }
    // Whichever table the earlier lock is on.
    if (winner.rule, loser.rule) == ("validated-in-same-transaction", "slow-work-after-strong-lock") {
        return true;
    }
    let listed = |rules: &&(&str, &[&str])| rules.0 == winner.rule && rules.1.contains(&loser.rule);
    if REPLACES.iter().any(|rules| listed(&rules)) {
        return same_object(winner, loser);
    }
    // What fails drops nothing either.
    FAILS.contains(&winner.rule)
        && (loser.rule == "drop-cascade"
            || matches!(loser.category, Category::Lock | Category::Rewrite)
            || loser.rule == "shadow-failure")
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
    fn what_a_doomed_table_loses_before_is_not_said() {
        let doomed = [("drop-constraint", 1, "public.a"), ("drop-table", 2, "public.a")];
        assert_eq!(left(&doomed), ["drop-table"]);
        let another = [("drop-constraint", 1, "public.b"), ("drop-table", 2, "public.a")];
        assert_eq!(left(&another).len(), 2);
    }

    #[test]
    fn slow_work_is_said_once() {
        let validated = [
            ("validated-in-same-transaction", 3, "public.a"),
            ("slow-work-after-strong-lock", 3, "public.b"),
        ];
        assert_eq!(left(&validated), ["validated-in-same-transaction"]);
        let other_table =
            [("check-validates-rows", 3, "public.a"), ("slow-work-after-strong-lock", 3, "public.b")];
        assert_eq!(left(&other_table).len(), 2);
    }

    #[test]
    fn a_statement_that_fails_locks_nothing() {
        let found = [("forbidden-in-transaction", 1, ""), ("index-not-concurrent", 1, "public.a")];
        assert_eq!(left(&found), ["forbidden-in-transaction"]);
    }
}
