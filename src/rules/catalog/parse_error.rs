//! Text that Postgres does not parse.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, grammar},
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
    given: "create table app.words (id bigint primary key, word text);",
    bad: &[
        "alter table public.tags ad column a int;",
        "create table app.x (id bigint primary key;",
        "alter table app.words add column lower text generated always as (lower(word)) virtual;",
        "alter table app.words add constraint short check (length(word) < 9) not enforced;",
    ],
    good: &[
        "create table app.x (id bigint primary key);",
        "--: postgres.version = 18\nalter table app.words add column lower text generated always as (lower(word)) virtual;",
    ],
    checks: &[Check::Elsewhere, Check::Statement(check)],
    ..Rule::BLANK
};

/// What parses here, where the newest grammar is known, but not on the target.
fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some(newer) = grammar::too_new(context.node, context.pg) else { return };
    let message =
        format!("does not parse on Postgres {}: {} came with {}", context.pg, newer.what, newer.since);
    sink.report(message).help(format!(
        "Write it without, or set `postgres.version` in lockkeeper.toml if the target is Postgres {} or later.",
        newer.since
    ));
}
