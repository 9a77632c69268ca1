//! `UPDATE` and `DELETE` of every row.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, dml, tautology::always_true},
};

pub(super) static RULE: Rule = Rule {
    name: "dml-without-where",
    category: Category::DataLoss,
    severity: Severity::Error,
    summary: "changes or deletes every row of a table",
    why: "Either a predicate was forgotten and data is lost, or one huge transaction locks every row, \
          bloats the table and holds back replication until it commits.",
    instead: "Say which rows with WHERE; for all of them, run a batched backfill outside the schema \
              migration (`-- lockkeeper: backfill …`).",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-update.html",
        "https://www.postgresql.org/docs/current/sql-delete.html",
    ],
    peers: &[
        "pgls:ban-delete-without-where",
        "pgls:ban-update-without-where",
        "pf:delete-without-where",
        "pf:update-in-migration",
        "bb:statement_where_required_update_delete",
        "pgr:general/delete-without-where-clause",
        "pgr:general/update-without-where-clause",
    ],
    takes: Some(LockMode::RowExclusive),
    given: "create table public.orders (id bigint primary key, status text);
            alter table public.orders enable row level security;",
    bad: &[
        "delete from public.orders;",
        "update orders set status = 'new' where true;",
        "delete from orders where 1 = 1;",
        "delete from public.orders using public.orders as other;",
        "explain (analyze) delete from public.orders;",
        "create temp table archive as with gone as (delete from public.orders returning id) select id from gone;",
        "with gone as (delete from orders returning id) select count(*) from gone;",
    ],
    good: &[
        "delete from public.orders where id = 1;",
        "create table app.t (id bigint primary key, a int);\nupdate app.t set a = 1;",
        "create temp table x (id int);\ndelete from x;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    for change in dml::changes(context.node) {
        if change.verb == "inserts into" || change.merges {
            continue;
        }
        let table = dml::base(context.resolve(change.target), context);
        if context.precedes(&table) && change.condition.is_none_or(always_true) {
            let verb = change.verb;
            sink.report(format!(
                "{verb} every row of `{table}` in one transaction; each row stays locked until it commits"
            ))
            .on(&table);
        }
    }
}
