//! `ADD COLUMN` of a domain that has a constraint.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, columns::added},
};

pub(super) static RULE: Rule = Rule {
    name: "add-domain-column",
    category: Category::Rewrite,
    severity: Severity::Error,
    summary: "adds a column of a domain that has a constraint",
    why: "Postgres writes the table and all its indexes anew, even for a nullable column without a default, \
          while every read and write waits.",
    instead: "Use the domain's base type, and a CHECK of the table that is added NOT VALID and validated later.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES"],
    takes: Some(LockMode::AccessExclusive),
    rewrites: true,
    given: "create domain app.positive as integer check (value > 0);
            create domain app.word as text;
            create table app.orders (id bigint primary key);
            insert into app.orders values (1);",
    bad: &[
        "alter table app.orders add column n app.positive;",
        "alter table app.orders add column a int, add column n app.positive default 1;",
    ],
    good: &[
        "create domain app.even as integer constraint even check (value % 2 = 0);\nalter domain app.even drop constraint even;\nalter table app.orders add column even app.even;",
        "create domain app.odd as integer check (value % 2 = 1);\nalter domain app.odd drop constraint odd_check;\nalter table app.orders add column odd app.odd;",
        "alter table app.orders add column w app.word;",
        "create table app.t (id bigint primary key);\nalter table app.t add column n app.positive;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, columns)) = added(context) else { return };
    for column in
        columns.iter().filter(|column| column.generated.is_none() && !column.serial && !column.identity)
    {
        let Some(written) = &column.def.type_name else { continue };
        let ty = context.catalog.column_type(written, context.session);
        if ty.array == 0 && context.catalog.is_constrained_domain(&ty) == Some(true) {
            let name = &column.def.colname;
            sink.report(format!(
                "`{name}` is of a domain with a constraint: `{table}` is rewritten under ACCESS EXCLUSIVE, and every read and write of it waits"
            ))
            .object(format!("{table}.{name}"));
        }
    }
}
