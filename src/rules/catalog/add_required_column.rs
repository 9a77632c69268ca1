//! `ADD COLUMN … NOT NULL` without a value for the rows already there.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common},
    schema::QName,
    sql::{
        self,
        ast::{ColumnDef, ConstrType},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "add-required-column",
    category: Category::Compatibility,
    severity: Severity::Error,
    summary: "adds a NOT NULL column without a default to a table in use",
    why: "It fails (23502) as soon as the table has one row, so it works on an empty preview branch and \
          not in production. Where the table is empty, code that does not know the column can no longer \
          insert.",
    instead: "Give it a constant `DEFAULT`, which does not rewrite the table; or add it nullable, backfill, \
              and make it NOT NULL by the safe route.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES"],
    peers: &[
        "sq:adding-required-field",
        "at:MF103",
        "pgls:adding-required-field",
        "pf:add-column-not-null-no-default",
        "ps:add-column-not-null-no-default",
        "pgm:PGM008",
        "dml:NOT_NULL",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table public.orders (id bigint primary key, note text);
            alter table public.orders enable row level security;
            create domain app.grade as text default 'c';",
    bad: &[
        "alter table public.orders add column kind text not null;",
        "ALTER TABLE orders ADD kind text NOT NULL DEFAULT NULL, ADD COLUMN size int;",
    ],
    good: &[
        "alter table public.orders add column kind text not null default 'plain';",
        "alter table public.orders add column kind text;",
        "create table app.t (id bigint primary key);\nalter table app.t add column a int not null;",
        "alter table public.orders add column if not exists id bigint not null;",
        "alter table public.orders add column grade app.grade not null;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    for (table, column) in common::columns_added_to_live(context) {
        if common::inline_of(column, ConstrType::ConstrNotnull).is_none() || has_value(context, column) {
            continue;
        }
        let name = &column.colname;
        let message = format!(
            "adds `{name}` NOT NULL without a default to `{table}`, which fails (23502) if the table has a row, under {}",
            LockMode::AccessExclusive
        );
        sink.report(message).object(format!("{table}.{name}")).suggest(route(&table, column));
    }
}

/// Whether existing rows get a value.
fn has_value(context: &Context<'_>, column: &ColumnDef) -> bool {
    let filled = [ConstrType::ConstrIdentity, ConstrType::ConstrGenerated];
    common::default(column).is_some_and(|value| !common::is_null(value))
        || filled.into_iter().any(|kind| common::inline_of(column, kind).is_some())
        || common::is_serial(column)
        || common::domain_default(context, column).is_some()
}

fn route(table: &QName, column: &ColumnDef) -> String {
    let ty = column.type_name.as_ref().and_then(common::type_sql).unwrap_or_else(|| "text".into());
    let proof = common::chosen_name(table, std::slice::from_ref(&column.colname), "not_null");
    let (table, name, proof) = (table.sql(), sql::ident(&column.colname), sql::ident(&proof));
    format!(
        "ALTER TABLE {table} ADD COLUMN {name} {ty};\n-- release code that writes it, backfill in batches; next \
         file:\nALTER TABLE {table} ADD CONSTRAINT {proof} CHECK ({name} IS NOT NULL) NOT VALID;\n-- next file:\nALTER \
         TABLE {table} VALIDATE CONSTRAINT {proof};\n-- next file:\nALTER TABLE {table} ALTER COLUMN {name} SET NOT \
         NULL;\nALTER TABLE {table} DROP CONSTRAINT {proof};"
    )
}
