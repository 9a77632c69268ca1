//! `DROP DEFAULT` of a column in use.

use crate::{
    finding::{Category, Direction, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, names::is},
    schema::RelationKind,
    sql::{
        self,
        ast::{AlterTableCmd, AlterTableType},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "drop-default",
    category: Category::Compatibility,
    severity: Severity::Warning,
    summary: "drops the default of a column in use",
    why: "Code that is running and leaves the column out starts to fail on INSERT (NOT NULL column) or \
          to store NULL without a word (nullable column) the moment this commits.",
    instead: "Keep the default until every writer sets the column; drop it in a later release.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-DEFAULT",
    ],
    peers: &["dml:NOT_NULL", "djz:KEEP_DEFAULT", "sq:ban-drop-default"],
    takes: Some(LockMode::AccessExclusive),
    given:
        "create table public.orders (id bigint primary key, note text, kind text not null default 'plain');
            alter table public.orders enable row level security;",
    bad: &[
        "alter table public.orders alter column kind drop default;",
        "alter table public.orders add column tier text not null default 'free';\nalter table public.orders alter column tier drop default;",
        "ALTER TABLE orders ALTER kind SET DEFAULT NULL;",
    ],
    good: &[
        "alter table public.orders alter column kind set default 'fancy';",
        "alter table public.orders alter column note drop default;",
        "create table app.t (id bigint primary key, a int default 1);\nalter table app.t alter column a drop default;",
        "alter table public.orders alter column kind drop default;\nalter table public.orders alter column kind set default 'new';",
        "alter table public.orders add column a int default 1;\nalter table public.orders alter column a drop default;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, commands)) = context.alter_table() else { return };
    // A view's column default is nobody's stored value.
    if !context.is_live(table) || common::is_kind(context, table, RelationKind::View) {
        return;
    }
    if !commands.iter().any(|command| drops(command)) {
        return;
    }
    let rest = common::rest_of_transaction(context, Some(table));
    let later: Vec<&AlterTableCmd> =
        rest.iter().flat_map(|node| common::alters(context, node, table)).collect();
    for command in commands.iter().filter(|command| drops(command)) {
        // Another value takes its place before anybody can see.
        let replaced = commands.iter().chain(&later).any(|other| {
            other.name == command.name
                && (is(other, AlterTableType::AtAddIdentity)
                    || (is(other, AlterTableType::AtColumnDefault) && !drops(other)))
        });
        if replaced {
            continue;
        }
        let column = context.relation(table).and_then(|relation| relation.column(&command.name));
        if let Some(column) = column {
            let born_nullable = column.born.is_some() && !column.not_null;
            if born_nullable || (column.default.is_none() && !column.serial) {
                continue;
            }
        }
        let effect = match column.map(|column| column.not_null) {
            Some(true) => "INSERTs that leave it out fail",
            Some(false) => "INSERTs that leave it out store NULL",
            None => "INSERTs that leave it out fail or store NULL",
        };
        let message = format!(
            "drops the default of `{}` of `{table}` (a brief {}); from then on {effect}",
            command.name,
            LockMode::AccessExclusive
        );
        let report = sink.report(message).object(format!("{table}.{}", command.name));
        // In DOWN it is most often the way back from SET DEFAULT.
        let report =
            if context.direction == Direction::Down { report.severity(Severity::Info) } else { report };
        if let Some(value) =
            column.and_then(|column| column.default.as_ref()).and_then(|value| sql::expression_text(value))
        {
            let (table, name) = (table.sql(), sql::ident(&command.name));
            report.suggest(format!(
                "-- until every writer sets it:\nALTER TABLE {table} ALTER COLUMN {name} SET DEFAULT {value};"
            ));
        }
    }
}

/// `DROP DEFAULT`, or `SET DEFAULT NULL`, which is the same.
fn drops(command: &AlterTableCmd) -> bool {
    is(command, AlterTableType::AtColumnDefault) && command.def.as_deref().is_none_or(common::is_null)
}
