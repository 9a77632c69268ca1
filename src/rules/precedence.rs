//! One finding per cause: where two rules see the same thing, the one that says more stays.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
};

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
const FAILS: &[&str] = &[
    "forbidden-in-transaction",
    "concurrently-unsupported",
    "not-valid-unsupported",
    "parse-error",
    "partition-bound-mismatch",
];

/// What a table loses before the same file drops it altogether: `drop-table` says it all.
const ENDS_WITH_ITS_TABLE: &[&str] = &["drop-constraint", "drop-index-not-concurrent"];

/// Drops what another finding already says.
pub(super) fn apply(findings: &mut Vec<Finding>) {
    let mut losers = BTreeSet::new();
    let (by_statement, by_object) = groups(findings);
    by_statement.iter().for_each(|group| at_one_statement(findings, group, &mut losers));
    by_object.iter().for_each(|group| of_one_object(findings, group, &mut losers));
    let mut at = 0;
    findings.retain(|_| {
        at += 1;
        !losers.contains(&(at - 1))
    });
}

/// Numbers of the findings that can speak of one thing: those of one statement, and those about one
/// object that are judged together wherever they stand.
fn groups(findings: &[Finding]) -> (Vec<Vec<usize>>, Vec<Vec<usize>>) {
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
    (by_statement.into_values().collect(), by_object.into_values().collect())
}

/// Judged at the end of the change, each at the statement that it is about.
const OF_THE_END: [&str; 2] = ["rls-not-enabled", "policy-without-rls"];

fn of_one_object(findings: &[Finding], group: &[usize], losers: &mut BTreeSet<usize>) {
    let mut last_drop: HashMap<_, usize> = HashMap::new();
    for finding in group.iter().map(|at| &findings[*at]).filter(|finding| finding.rule == "drop-table") {
        let last = last_drop.entry((finding.section, &finding.place.file)).or_default();
        *last = finding.statement.max(*last);
    }
    let [winner, loser] = OF_THE_END;
    let said = group.iter().any(|at| findings[*at].rule == winner);
    losers.extend(group.iter().filter(|at| {
        let finding = &findings[**at];
        let end = last_drop.get(&(finding.section, &finding.place.file));
        (said && finding.rule == loser)
            || (ENDS_WITH_ITS_TABLE.contains(&finding.rule)
                && end.is_some_and(|end| finding.statement < *end))
    }));
}

/// One statement can have as many findings as it names objects: each is compared with the rules that speak
/// there, not with every finding.
fn at_one_statement(findings: &[Finding], group: &[usize], losers: &mut BTreeSet<usize>) {
    let mut winners: BTreeMap<&str, Objects<'_>> = BTreeMap::new();
    for finding in group.iter().map(|at| &findings[*at]) {
        winners.entry(finding.rule).or_default().add(finding);
    }
    losers.extend(group.iter().filter(|at| {
        let loser = &findings[**at];
        winners.iter().any(|(rule, objects)| *rule != loser.rule && replaces(rule, objects, loser))
    }));
}

fn replaces(winner: &str, objects: &Objects<'_>, loser: &Finding) -> bool {
    // Whichever table the earlier lock is on.
    if (winner, loser.rule) == ("validated-in-same-transaction", "slow-work-after-strong-lock") {
        return true;
    }
    if REPLACES.iter().any(|(rule, replaced)| *rule == winner && replaced.contains(&loser.rule)) {
        return objects.meet(loser);
    }
    // What fails drops nothing either.
    FAILS.contains(&winner)
        && (matches!(loser.rule, "drop-cascade" | "slow-work-after-strong-lock")
            || matches!(loser.category, Category::Lock | Category::Rewrite)
            || loser.rule == "shadow-failure")
}

/// What the findings of one rule at one statement are about.
#[derive(Default)]
struct Objects<'a> {
    /// One of them names none.
    unnamed: bool,
    named: BTreeSet<&'a str>,
}

impl<'a> Objects<'a> {
    fn add(&mut self, finding: &'a Finding) {
        match &finding.object {
            Some(object) => drop(self.named.insert(object)),
            None => self.unnamed = true,
        }
    }

    /// Whether one of them is about the same as another finding, unless both name something and it
    /// differs. A column belongs to its table.
    fn meet(&self, other: &Finding) -> bool {
        let Some(object) = other.object.as_deref().filter(|_| !self.unnamed) else { return true };
        let mut outer = object.match_indices('.').map(|(dot, _)| &object[..dot]).chain([object]);
        let inner = format!("{object}.");
        let after = (Bound::Included(inner.as_str()), Bound::Unbounded);
        outer.any(|outer| self.named.contains(outer))
            || self.named.range::<str, _>(after).next().is_some_and(|next| next.starts_with(&inner))
    }
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
