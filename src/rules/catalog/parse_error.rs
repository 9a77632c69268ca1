//! Text that Postgres does not parse.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Rule},
};

pub(in crate::rules) static RULE: Rule = Rule {
    name: "parse-error",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "does not parse",
    why: "Postgres refuses the statement, and nothing after it runs.",
    instead: "Write it as Postgres reads it; the place is where its grammar stopped.",
    sources: &["https://www.postgresql.org/docs/current/sql-syntax.html"],
    peers: &["sq:syntax-error"],
    bad: &["alter table public.tags ad column a int;", "create table app.x (id bigint primary key;"],
    good: &["create table app.x (id bigint primary key);"],
    checks: &[Check::Elsewhere],
    ..Rule::BLANK
};
