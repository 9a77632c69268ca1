//! Concurrent index builds on the releases that corrupt them.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    sql::ast::{NodeEnum, option_on},
};

pub(super) static RULE: Rule = Rule {
    name: "index-corruption-pg14",
    category: Category::Lock,
    severity: Severity::Info,
    summary: "builds an index concurrently on Postgres 14, whose releases before 14.4 can corrupt it",
    why: "Postgres 14.0 to 14.3 could leave out rows that were updated during `CREATE INDEX \
          CONCURRENTLY` or `REINDEX CONCURRENTLY`; queries by the index then miss rows. Only the major \
          version is known here, so this is a reminder.",
    instead: "Make sure that the server runs 14.4 or later (`show server_version`), or build without \
              CONCURRENTLY in a maintenance window.",
    sources: &["https://www.postgresql.org/docs/release/14.4/"],
    peers: &["sm:add_index_corruption", "om:add_index_corruption"],
    takes: Some(LockMode::ShareUpdateExclusive),
    given: "create table public.orders (id bigint primary key, note text);
            alter table public.orders enable row level security;",
    bad: &[
        "--: postgres.version = 14\n-- lockkeeper: transaction off\ndrop index concurrently if exists public.orders_note_idx;\ncreate index concurrently orders_note_idx on public.orders (note);",
        "--: postgres.version = 14\n-- lockkeeper: transaction off\nreindex table concurrently public.orders;",
    ],
    good: &[
        "-- lockkeeper: transaction off\ndrop index concurrently if exists public.orders_note_idx;\ncreate index concurrently orders_note_idx on public.orders (note);",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    if context.pg != 14 {
        return;
    }
    let range = match context.node {
        NodeEnum::IndexStmt(index) if index.concurrent => index.relation.as_ref(),
        NodeEnum::ReindexStmt(reindex) if option_on(&reindex.params, "concurrently") == Some(true) => {
            reindex.relation.as_ref()
        }
        _ => return,
    };
    let object = range.map(|range| context.resolve(range));
    if object.as_ref().is_some_and(|object| !context.is_live(object)) {
        return;
    }
    let name = object.as_ref().map_or_else(|| "several tables".into(), |object| format!("`{object}`"));
    let report = sink.report(format!(
        "builds an index of {name} concurrently under SHARE UPDATE EXCLUSIVE, which nobody waits for, but which \
         Postgres 14.0 to 14.3 can leave corrupt"
    ));
    if let Some(object) = &object {
        report.on(object);
    }
}
