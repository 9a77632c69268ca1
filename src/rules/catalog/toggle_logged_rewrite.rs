//! `SET LOGGED` and `SET UNLOGGED`.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    sql::ast::AlterTableType,
};

pub(super) static RULE: Rule = Rule {
    name: "toggle-logged-rewrite",
    category: Category::Rewrite,
    severity: Severity::Error,
    summary: "switches a table's write-ahead logging",
    why: "The table is written anew while every read and write waits; an unlogged table is empty after a \
          crash and is not replicated.",
    instead: "Copy to a new table and swap, or take a maintenance window.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-LOGGED-UNLOGGED",
    ],
    peers: &["pf:set-logged-unlogged", "ps:set-logged-unlogged"],
    takes: Some(LockMode::AccessExclusive),
    rewrites: true,
    given: "create table app.orders (id bigint primary key);
            create unlogged table app.cache (id bigint primary key);",
    bad: &["alter table app.orders set unlogged;", "alter table app.cache set logged;"],
    good: &[
        "create table app.t (id bigint primary key);\nalter table app.t set unlogged;",
        "alter table app.orders set logged;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, commands)) = context.alter_table() else { return };
    for command in commands {
        let unlogged = match command.subtype() {
            AlterTableType::AtSetLogged => false,
            AlterTableType::AtSetUnLogged => true,
            _ => continue,
        };
        // Setting what it already is does nothing.
        let changes = context.relation(table).is_none_or(|relation| relation.unlogged != unlogged);
        if changes && context.is_live(table) {
            sink.report(format!(
                "rewrites `{table}` under ACCESS EXCLUSIVE; every read and write of it waits"
            ))
            .on(table);
        }
    }
}
