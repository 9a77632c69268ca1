//! `SET DEFAULT` on a live column.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, names::is},
    sql::ast::AlterTableType,
};

pub(super) static RULE: Rule = Rule {
    name: "change-column-default",
    category: Category::Compatibility,
    severity: Severity::Info,
    off_by_default: true,
    summary: "changes the default of a live column",
    why: "An ORM that has read the old default keeps inserting it until it restarts.",
    instead: "Restart the writers after the deploy, or write the value explicitly.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html"],
    peers: &["sq:ban-set-default", "sm:change_column_default", "om:change_column_default"],
    takes: Some(LockMode::AccessExclusive),
    given: "create table app.orders (id bigint primary key, status text);",
    bad: &[
        "alter table app.orders alter column status set default 'new';",
        "alter table app.orders alter status set default 'old';",
    ],
    good: &[
        "create table app.t (id bigint primary key, a int);\nalter table app.t alter column a set default 1;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, commands)) = context.alter_table() else { return };
    for command in commands.iter().filter(|command| is(command, AlterTableType::AtColumnDefault)) {
        let column = context.relation(table).and_then(|relation| relation.column(&command.name));
        let live = context.is_live(table) && column.is_none_or(|column| column.born.is_none());
        if live && command.def.is_some() {
            sink.report(format!("new rows of `{table}` get another `{}`", command.name))
                .object(format!("{table}.{}", command.name));
        }
    }
}
