//! `TRUNCATE` of a table that existed before.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    sql::ast::{DropBehavior, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "truncate",
    category: Category::DataLoss,
    severity: Severity::Error,
    summary: "empties a table that is in use",
    why: "All rows are gone, no trigger for each row sees them go, and every read and write waits.",
    instead: "Delete in batches what must go, outside the migration, or write a one-off procedure that \
              says why the rows may go.",
    sources: &["https://www.postgresql.org/docs/current/sql-truncate.html"],
    peers: &["pgls:ban-truncate", "pf:truncate", "ps:truncate", "pgm:PGM203", "pgr:unsafe/truncate-table"],
    takes: Some(LockMode::AccessExclusive),
    given: "create table public.orders (id bigint primary key);
            alter table public.orders enable row level security;",
    bad: &["truncate public.orders;", "TRUNCATE TABLE ONLY orders RESTART IDENTITY;"],
    good: &[
        "create table app.helper (id bigint primary key);\ninsert into app.helper select generate_series(1, 100);\n-- next file\ntruncate app.helper;",
        "create table app.scratch (id bigint primary key);\ntruncate app.scratch;",
        "create temp table orders_copy (id bigint);\ntruncate orders_copy;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::TruncateStmt(truncate) = context.node else { return };
    if truncate.behavior() == DropBehavior::DropCascade {
        return;
    }
    for node in &truncate.relations {
        let Some(NodeEnum::RangeVar(range)) = &node.node else { continue };
        let table = context.resolve(range);
        if context.precedes(&table) {
            sink.report(format!("empties `{table}`; all its rows are lost, and every read and write waits"))
                .on(&table);
        }
    }
}
