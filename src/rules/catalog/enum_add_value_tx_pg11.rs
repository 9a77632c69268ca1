//! `ADD VALUE` inside a transaction before Postgres 12.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "enum-add-value-tx-pg11",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "adds an enum label inside a transaction, which Postgres allows from 12 on",
    why: "The migration fails when it is applied (25001).",
    instead: "Put it in a file of its own with `-- lockkeeper: transaction off`.",
    sources: &["https://www.postgresql.org/docs/12/release-12.html"],
    peers: &["pgls:avoid-alter-enum-add-value", "pf:alter-enum-add-value"],
    given: "create type app.mood as enum ('ok');",
    bad: &["--: postgres.version = 11\nalter type app.mood add value 'sad';"],
    good: &[
        "alter type app.mood add value 'sad';",
        "--: postgres.version = 11\n-- lockkeeper: transaction off\nalter type app.mood add value 'sad';",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::AlterEnumStmt(alter) = context.node else { return };
    if context.pg < 12 && alter.old_val.is_empty() && context.in_transaction() {
        sink.report(format!(
            "ADD VALUE '{}' fails inside a transaction on Postgres {}",
            alter.new_val, context.pg
        ));
    }
}
