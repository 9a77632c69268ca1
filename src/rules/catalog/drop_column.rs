//! `DROP COLUMN` on a table that existed before.

use crate::{
    finding::{Category, Direction, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, names::is},
    sql::ast::AlterTableType,
};

pub(super) static RULE: Rule = Rule {
    name: "drop-column",
    category: Category::DataLoss,
    severity: Severity::Warning,
    summary: "drops a column that is in use",
    why: "The values are gone, code that still names the column fails, and prepared statements that \
          select `*` break. Indexes, constraints and defaults on the column vanish without a word.",
    instead: "Release code that neither reads nor writes the column, then drop it in a later migration.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-DROP-COLUMN"],
    peers: &[
        "sq:ban-drop-column",
        "sm:remove_column",
        "at:DS103",
        "pgls:ban-drop-column",
        "pf:drop-column",
        "ps:drop-column",
        "pgm:PGM009",
        "pgr:unsafe/drop-column",
        "dml:DROP_COLUMN",
        "psd:DELETES_DATA",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table public.orders (id bigint primary key, note text, extra text);
            alter table public.orders enable row level security;",
    bad: &[
        "alter table public.orders drop column note;",
        "ALTER TABLE orders DROP note, DROP COLUMN IF EXISTS extra;",
    ],
    good: &[
        "alter table public.orders add column draft text;\nalter table public.orders drop column draft;",
        "create table app.t (id bigint primary key, a int);\nalter table app.t drop column a;",
        "alter table public.orders alter column note set statistics 200;",
        "alter table public.orders drop column if exists never_was;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, commands)) = context.alter_table() else { return };
    if !context.is_live(table) {
        return;
    }
    for command in commands.iter().filter(|command| is(command, AlterTableType::AtDropColumn)) {
        let relation = context.relation(table);
        let column = relation.and_then(|relation| relation.column(&command.name));
        if command.missing_ok && column.is_none() && relation.is_some_and(|table| table.columns_known) {
            continue;
        }
        // Born here: nobody's data. In DOWN that is `down-destroys-new-data`'s to say.
        if column.is_some_and(|column| column.born.is_some()) {
            continue;
        }
        let message = format!(
            "drops column `{}` of `{table}` and its values; code that still names it fails",
            command.name
        );
        let report = sink.report(message).object(format!("{table}.{}", command.name));
        if context.direction == Direction::Down {
            report.severity(Severity::Warning);
        }
    }
}
