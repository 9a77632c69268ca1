//! A stored generated column on a table that has rows.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, columns::added},
    schema::Generated,
    sql::ast::AlterTableType,
};

pub(super) static RULE: Rule = Rule {
    name: "add-stored-generated",
    category: Category::Rewrite,
    severity: Severity::Error,
    summary: "computes a stored column for every row",
    why: "The table and all its indexes are written anew while every read and write waits.",
    instead: "On Postgres 18 use VIRTUAL, which stores nothing; before it, an expression index, or a plain \
              column kept by a trigger and backfilled in batches.",
    sources: &["https://www.postgresql.org/docs/current/ddl-generated-columns.html"],
    peers: &[
        "eu:E11",
        "sm:add_column_generated_stored",
        "sq:adding-field-with-default",
        "pgls:add-serial-column",
        "pf:add-column-stored-generated",
        "ps:add-column-generated-stored",
        "pgr:unsafe/adding-stored-generated-column",
        "om:add_column_generated_stored",
    ],
    takes: Some(LockMode::AccessExclusive),
    rewrites: true,
    given: "create table app.people (
              id bigint primary key, mail text, short text generated always as (left(mail, 3)) stored
            );",
    bad: &[
        "alter table app.people add column lower_mail text generated always as (lower(mail)) stored;",
        "alter table app.people add column a int, add column n int generated always as (length(mail)) stored;",
        "--: postgres.version = 17\nalter table app.people alter column short set expression as (left(mail, 5));",
    ],
    good: &[
        "--: postgres.version = 18\nalter table app.people add column lower_mail text generated always as (lower(mail)) virtual;",
        "--: postgres.version = 18\nalter table app.people add column lower_mail text generated always as (lower(mail));",
        "create table app.t (id bigint primary key);\nalter table app.t add column b bigint generated always as (id + 1) stored;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let message = |table: &crate::schema::QName, name: &str| {
        format!(
            "`{name}` is computed for every row: `{table}` is rewritten under ACCESS EXCLUSIVE, and every read and write of it waits"
        )
    };
    if let Some((table, columns)) = added(context) {
        for column in columns.iter().filter(|column| column.generated == Some(true)) {
            let name = &column.def.colname;
            sink.report(message(&table, name)).object(format!("{table}.{name}"));
        }
    }
    let Some((table, commands)) = context.alter_table().filter(|(table, _)| context.is_live(table)) else {
        return;
    };
    for command in commands.iter().filter(|command| command.subtype() == AlterTableType::AtSetExpression) {
        let column = context.relation(table).and_then(|relation| relation.column(&command.name));
        // A virtual column stores nothing that would have to be computed again.
        if column.is_none_or(|column| column.generated != Some(Generated::Virtual)) {
            sink.report(message(table, &command.name)).object(format!("{table}.{}", command.name));
        }
    }
}
