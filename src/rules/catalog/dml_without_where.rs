//! `UPDATE` and `DELETE` of every row.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, tautology::always_true},
    sql::ast::{Node, NodeEnum, RangeVar, WithClause},
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
    statement(context.node, context, sink);
}

fn statement(node: &NodeEnum, context: &Context<'_>, sink: &mut Sink<'_>) {
    let with: Option<&WithClause> = match node {
        NodeEnum::DeleteStmt(delete) => {
            if delete.using_clause.is_empty() {
                judge("deletes", delete.relation.as_ref(), delete.where_clause.as_deref(), context, sink);
            }
            delete.with_clause.as_ref()
        }
        NodeEnum::UpdateStmt(update) => {
            if update.from_clause.is_empty() {
                judge("changes", update.relation.as_ref(), update.where_clause.as_deref(), context, sink);
            }
            update.with_clause.as_ref()
        }
        NodeEnum::SelectStmt(select) => select.with_clause.as_ref(),
        NodeEnum::InsertStmt(insert) => insert.with_clause.as_ref(),
        _ => None,
    };
    for node in with.map(|with| with.ctes.as_slice()).unwrap_or_default() {
        if let Some(NodeEnum::CommonTableExpr(cte)) = &node.node
            && let Some(inner) = cte.ctequery.as_ref().and_then(|query| query.node.as_ref())
        {
            statement(inner, context, sink);
        }
    }
}

fn judge(
    verb: &str,
    range: Option<&RangeVar>,
    condition: Option<&Node>,
    context: &Context<'_>,
    sink: &mut Sink<'_>,
) {
    let Some(range) = range else { return };
    let table = context.resolve(range);
    if context.is_live(&table) && condition.is_none_or(always_true) {
        sink.report(format!(
            "{verb} every row of `{table}` in one transaction; each row stays locked until it commits"
        ))
        .on(&table);
    }
}
