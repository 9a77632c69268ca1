//! Text that Postgres does not parse: none does, or the target's does not yet.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    sql,
};

pub(in crate::rules) static RULE: Rule = Rule {
    name: "parse-error",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "does not parse",
    why: "Postgres refuses the statement, and nothing after it runs. Also what a newer Postgres reads and the \
          target's does not: set `postgres.version` to the target's.",
    instead: "Write it as the target's Postgres reads it; the place is where its grammar stopped.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-syntax.html",
        "https://www.postgresql.org/docs/release/",
    ],
    peers: &["sq:syntax-error"],
    refused: true,
    given: "create table app.words (id bigint primary key, word text, letters int);",
    bad: &[
        "alter table public.tags ad column a int;",
        "create table app.x (id bigint primary key;",
        "alter table app.words add column lower text generated always as (lower(word)) virtual;",
        "alter table app.words add constraint short check (length(word) < 9) not enforced;",
        "--: postgres.version = 16\ngrant maintain on app.words to app_reader;",
        "--: postgres.version = 15\ninsert into app.words (id, letters) values (1_000, 3);",
        "--: postgres.version = 15\ncreate table app.notes (id bigint primary key, note text check (note is json));",
        "--: postgres.version = 16\nset local transaction_timeout = '5s';\ncomment on table app.words is 'w';",
        "--: postgres.version = 17\ninsert into app.words (id) values (1) returning new.letters;",
    ],
    good: &[
        "create table app.x (id bigint primary key);",
        "--: postgres.version = 18\nalter table app.words add column lower text generated always as (lower(word)) virtual;",
        "--: postgres.version = 17\ngrant maintain on app.words to app_reader;",
        "--: postgres.version = 18\ninsert into app.words (id) values (1) returning new.letters;",
    ],
    checks: &[Check::Elsewhere, Check::Statement(check)],
    ..Rule::BLANK
};

/// What parses here, where the newest grammar is known, but not on the target.
fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    // What is inside a block or routine stands in its text: there is a unit for it.
    let numbers = || sql::newer_number(&context.unit.text, context.pg);
    let Some(newer) = sql::newer_than(context.node, context.pg).or_else(numbers) else { return };
    let message = format!("is refused by Postgres {}: {} came with {}", context.pg, newer.what, newer.since);
    sink.report(message).help(format!(
        "Write it without, or set `postgres.version` in lockkeeper.toml if the target is Postgres {} or later.",
        newer.since
    ));
}
