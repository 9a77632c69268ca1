//! `DROP TABLE` of a table that existed before.

use crate::{
    finding::{Category, Direction, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    sql::ast::{self, NodeEnum, ObjectType},
};

pub(super) static RULE: Rule = Rule {
    name: "drop-table",
    category: Category::DataLoss,
    severity: Severity::Error,
    summary: "drops a table that is in use",
    why: "The rows are gone, and every query of the code that still runs against the old schema \
          fails. `DROP TABLE` also takes ACCESS EXCLUSIVE on each table that the dropped one \
          references.",
    instead: "Stop using the table, release, rename it for a grace period (`ALTER TABLE … RENAME TO \
              zz_…`), and drop it in a later migration.",
    sources: &["https://www.postgresql.org/docs/current/sql-droptable.html"],
    peers: &["sq:ban-drop-table", "at:DS102", "pgls:ban-drop-table", "ps:drop-table", "pgm:PGM201"],
    takes: Some(LockMode::AccessExclusive),
    given: "create table public.orders (id bigint primary key);
            alter table public.orders enable row level security;",
    bad: &["drop table public.orders;", "DROP TABLE IF EXISTS orders;"],
    good: &[
        "create table app.helper (id bigint primary key);\ninsert into app.helper select generate_series(1, 100);\n-- next file\ndrop table app.helper;",
        "create table app.scratch (id bigint primary key);\ndrop table app.scratch;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::DropStmt(drop) = context.node else { return };
    if drop.remove_type() != ObjectType::ObjectTable {
        return;
    }
    for name in drop.objects.iter().filter_map(ast::name) {
        let table = context.catalog.resolve(&name, context.session);
        let born_here = context.relation(&table).is_some_and(|relation| relation.born.is_some());
        // A DOWN that drops what its UP created is `down-destroys-new-data`'s to say.
        let undoes = context.direction == Direction::Down && born_here;
        if !context.precedes(&table) || undoes {
            continue;
        }
        let message = format!("drops table `{table}` with all its rows; code that still reads it fails");
        let report = sink.report(message).on(&table);
        if context.direction == Direction::Down {
            report.severity(Severity::Warning);
        }
    }
}
