//! `DROP NOT NULL` on a column in use.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, names::is},
    sql::ast::AlterTableType,
};

pub(super) static RULE: Rule = Rule {
    name: "drop-not-null",
    category: Category::Compatibility,
    severity: Severity::Info,
    summary: "lets a column in use hold NULL",
    why: "Code that is running, and generated types, rely on a value being there.",
    instead: "Make readers accept NULL first; the statement itself is brief.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL",
    ],
    peers: &[
        "sq:ban-drop-not-null",
        "pgls:ban-drop-not-null",
        "pf:drop-not-null",
        "ps:drop-not-null",
        "pgm:PGM507",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table public.orders (id bigint primary key, note text not null, code text);
            alter table public.orders enable row level security;",
    bad: &[
        "alter table public.orders alter column note drop not null;",
        "ALTER TABLE orders ALTER note DROP NOT NULL, ALTER code SET DEFAULT '';",
    ],
    good: &[
        "alter table public.orders alter column code drop not null;",
        "create table app.t (id bigint primary key, a int not null);\nalter table app.t alter column a drop not null;",
        "alter table public.orders add column a int not null default 1;\nalter table public.orders alter column a drop not null;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, commands)) = context.alter_table() else { return };
    if !context.is_live(table) {
        return;
    }
    for command in commands.iter().filter(|command| is(command, AlterTableType::AtDropNotNull)) {
        let column = context.relation(table).and_then(|relation| relation.column(&command.name));
        if column.is_some_and(|column| !column.not_null || !context.was_there(column.born, true)) {
            continue;
        }
        let message = format!(
            "lets `{}` of `{table}` hold NULL (a brief {}); readers that expect a value break",
            command.name,
            LockMode::AccessExclusive
        );
        sink.report(message).object(format!("{table}.{}", command.name));
    }
}
