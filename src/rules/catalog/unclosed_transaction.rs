//! A transaction that is still open at the end of its file.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Rule},
};

pub(super) static RULE: Rule = Rule {
    name: "unclosed-transaction",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "leaves a transaction open at its end",
    why: "What was done since `BEGIN` is rolled back when the session ends, though the migration seems to have run.",
    instead: "Add the `COMMIT`.",
    sources: &["https://www.postgresql.org/docs/current/sql-begin.html"],
    peers: &["sq:ban-uncommitted-transaction", "pf:unclosed-transaction"],
    bad: &["-- lockkeeper: transaction off\nselect 1;\nbegin;\nselect 2;"],
    good: &["-- lockkeeper: transaction off\nselect 1;\nbegin;\nselect 2;\ncommit;"],
    checks: &[Check::Elsewhere],
    ..Rule::BLANK
};
