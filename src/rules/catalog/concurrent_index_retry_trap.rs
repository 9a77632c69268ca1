//! A concurrent build that a retry silently skips.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, edits},
    sql::ast::{self, NodeEnum, ObjectType},
};

pub(super) static RULE: Rule = Rule {
    name: "concurrent-index-retry-trap",
    category: Category::Lock,
    severity: Severity::Info,
    summary: "builds an index concurrently in a way that a retry takes for done",
    why: "An aborted concurrent build leaves an INVALID index of that name. `IF NOT EXISTS` then finds \
          it and does nothing, the migration is recorded as applied, and no query ever uses the index. \
          Without a name, each retry builds one more.",
    instead: "Name the index, and `DROP INDEX CONCURRENTLY IF EXISTS` it right before it is built.",
    sources: &["https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY"],
    peers: &["sq:prefer-robust-stmts", "sm:remove_invalid_indexes"],
    takes: Some(LockMode::ShareUpdateExclusive),
    given: "create table public.orders (id bigint primary key, note text);
            alter table public.orders enable row level security;",
    bad: &[
        "-- lockkeeper: transaction off\ncreate index concurrently if not exists orders_note_idx on public.orders (note);",
        "-- lockkeeper: transaction off\ncreate index concurrently on public.orders (note);",
    ],
    good: &[
        "-- lockkeeper: transaction off\ndrop index concurrently if exists public.orders_note_idx;\ncreate index concurrently orders_note_idx on public.orders (note);",
        "-- lockkeeper: transaction off\ndrop index concurrently if exists public.orders_note_idx;\ncreate index concurrently if not exists orders_note_idx on public.orders (note);",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::IndexStmt(index) = context.node else { return };
    let Some(range) = &index.relation else { return };
    if !index.concurrent || context.in_transaction() {
        return;
    }
    let table = context.resolve(range);
    let name = common::index_name(context.catalog, index, &table);
    let message = if index.idxname.is_empty() {
        format!(
            "builds an index of `{table}` concurrently without a name: a retry after an abort builds another"
        )
    } else if index.if_not_exists && !dropped_before(context, &name.name) {
        format!(
            "builds `{name}` with IF NOT EXISTS: a retry after an abort keeps the INVALID index and says it is done"
        )
    } else {
        return;
    };
    let mut report = sink.report(message).on(&table);
    if !index.idxname.is_empty() {
        let help = format!("`DROP INDEX CONCURRENTLY IF EXISTS {}` it right before it is built.", name.sql());
        report = report.help(help);
    }
    if let Some(text) = edits::build_concurrently(context.catalog, index, &table) {
        match edits::in_place_outside(context, text.clone()) {
            Some(edit) => report.replace(edit),
            None => report.suggest(format!("{}\n{text};", edits::OFF)),
        };
    }
}

/// Whether the file drops an index of that name first.
fn dropped_before(context: &Context<'_>, index: &str) -> bool {
    context.before.iter().rev().take_while(|unit| unit.at.file == context.at().file).any(|unit| {
        match &unit.node {
            NodeEnum::DropStmt(drop) if drop.remove_type() == ObjectType::ObjectIndex => {
                drop.objects.iter().filter_map(ast::name).any(|name| name.name == index)
            }
            _ => false,
        }
    })
}
