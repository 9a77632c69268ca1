//! An index of many columns.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, common},
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "wide-index",
    category: Category::Style,
    severity: Severity::Info,
    off_by_default: true,
    summary: "builds an index of more than three columns",
    why: "A search uses the leading columns; the rest makes the index larger, so that it fits memory \
          less and costs every write more.",
    instead: "Lead with the one or two columns that narrow the search most; add others with INCLUDE \
              where an index-only scan is wanted.",
    sources: &["https://www.postgresql.org/docs/current/indexes-multicolumn.html"],
    peers: &[
        "sm:add_index_columns",
        "pgr:general/index-elements-more-than-three",
        "bb:index_key_number_limit",
    ],
    given: "create table public.orders (id bigint primary key, a int, b int, c int, d int);
            alter table public.orders enable row level security;",
    bad: &[
        "-- lockkeeper: transaction off\ncreate index concurrently orders_abcd on public.orders (a, b, c, d);",
        "create table app.t (a int, b int, c int, d int, id bigint primary key);\ncreate index on app.t (a, b, c, lower(d::text));",
    ],
    good: &[
        "create table app.t (a int, b int, c int, id bigint primary key);\ncreate index on app.t (a, b, c);",
        "create table app.t (a int, b int, c int, d int, id bigint primary key);\ncreate unique index on app.t (a, b, c, d);",
        "create table app.t (a int, b int, c int, d int, id bigint primary key);\ncreate index on app.t (a) include (b, c, d);",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::IndexStmt(index) = context.node else { return };
    let Some(range) = &index.relation else { return };
    if index.unique || index.index_params.len() <= 3 {
        return;
    }
    let table = context.resolve(range);
    let name = common::index_name(context.catalog, index, &table);
    let columns = index.index_params.len();
    sink.report(format!(
        "builds index `{name}` of {columns} columns on `{table}`; few searches use the later ones"
    ))
    .on(&table);
}
