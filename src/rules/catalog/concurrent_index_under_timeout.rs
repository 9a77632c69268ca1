//! A long statement under a timeout that will cut it short.

use std::time::Duration;

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, names::is},
    schema::Nesting,
    sql::ast::{AlterTableType, NodeEnum, option_on},
};

/// A build or validation of a table worth the trouble takes longer than anything below this.
const LONG: Duration = Duration::from_secs(300);

pub(super) static RULE: Rule = Rule {
    name: "concurrent-index-under-timeout",
    category: Category::Lock,
    severity: Severity::Warning,
    summary: "runs a long concurrent statement under a timeout that aborts it",
    why: "A concurrent build waits for older transactions, and that wait counts as a lock wait: \
          `lock_timeout` or a short `statement_timeout` aborts it and leaves an INVALID index behind, \
          which still costs every write.",
    instead: "`SET lock_timeout = 0; SET statement_timeout = 0;` before the statement, in its own file.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
        "https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT",
        "https://supabase.com/docs/guides/database/postgres/timeouts",
    ],
    peers: &["spm:statement_timeout", "djz:FLEXIBLE_STATEMENT_TIMEOUT"],
    takes: Some(LockMode::ShareUpdateExclusive),
    given: "create table public.orders (id bigint primary key, note text);
            alter table public.orders enable row level security;
            create index orders_note_idx on public.orders (note);
            alter table public.orders add constraint orders_note_nn check (note is not null) not valid;",
    bad: &[
        "-- lockkeeper: transaction off\nset lock_timeout = '2s';\ncreate index concurrently orders_id_idx on public.orders (id);",
        "-- lockkeeper: transaction off\nset statement_timeout = '30s';\nreindex index concurrently public.orders_note_idx;",
        "set statement_timeout = '5s';\nalter table public.orders validate constraint orders_note_nn;",
    ],
    good: &[
        "-- lockkeeper: transaction off\nset lock_timeout = 0;\nset statement_timeout = 0;\ncreate index concurrently orders_id_idx on public.orders (id);",
        "-- lockkeeper: transaction off\nset statement_timeout = '2h';\ncreate index concurrently orders_id_idx on public.orders (id);",
        "-- lockkeeper: transaction off\nset lock_timeout = '2s';\nalter table public.orders add column a int;\nreset lock_timeout;\ncreate index concurrently orders_id_idx on public.orders (id);",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let (what, table, waits_for_all) = match context.node {
        NodeEnum::IndexStmt(index) if index.concurrent => {
            let Some(range) = &index.relation else { return };
            let table = context.resolve(range);
            (
                format!(
                    "builds index `{}` concurrently",
                    common::index_name(context.catalog, index, &table).name
                ),
                Some(table),
                true,
            )
        }
        NodeEnum::ReindexStmt(reindex) if option_on(&reindex.params, "concurrently") == Some(true) => {
            let object = reindex.relation.as_ref().map(|range| context.resolve(range));
            let name = object.as_ref().map_or_else(|| reindex.name.clone(), ToString::to_string);
            (format!("rebuilds `{name}` concurrently"), object, true)
        }
        NodeEnum::AlterTableStmt(_) => {
            let Some((table, commands)) = context.alter_table() else { return };
            let validated = commands.iter().find(|command| is(command, AlterTableType::AtValidateConstraint));
            let Some(command) = validated.filter(|_| context.is_live(table)) else { return };
            (format!("validates `{}` of `{table}`", command.name), Some(table.clone()), false)
        }
        _ => return,
    };
    if table.as_ref().is_some_and(|table| !context.is_live(table)) {
        return;
    }
    let Some((setting, value)) = in_force(context, waits_for_all) else { return };
    let left = if waits_for_all { " and leaves it INVALID" } else { "" };
    let mut report =
        sink.report(format!("{what} under `{setting} = {value:?}`, which aborts it halfway{left}"));
    if let Some(table) = &table {
        report = report.on(table);
    }
    let text = context.unit.text.trim();
    let local = if context.in_transaction() { "LOCAL " } else { "" };
    let text = format!("SET {local}lock_timeout = 0;\nSET {local}statement_timeout = 0;\n{text}");
    match context.unit.nesting {
        Nesting::Top => report.replace(text),
        Nesting::Body { .. } => report.suggest(format!("{text};")),
    };
}

/// The timeout that cuts the statement short: as set in the file, else as a directive asks for.
fn in_force(context: &Context<'_>, waits_for_all: bool) -> Option<(&'static str, Duration)> {
    let lock = match &context.session.lock_timeout {
        Some(setting) => Some(setting.value),
        None => context.migration.lock_timeout(context.direction),
    };
    let statement = match &context.session.statement_timeout {
        Some(setting) => Some(setting.value),
        None => context.migration.statement_timeout(context.direction),
    };
    let lock = lock.filter(|value| waits_for_all && !value.is_zero()).map(|value| ("lock_timeout", value));
    let statement = statement.filter(|value| !value.is_zero() && *value < LONG);
    lock.or(statement.map(|value| ("statement_timeout", value)))
}
