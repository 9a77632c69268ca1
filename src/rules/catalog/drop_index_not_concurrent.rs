//! `DROP INDEX` that waits for the table and makes everybody wait behind it.

use crate::{
    finding::{Category, Direction, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, edits},
    schema::QName,
    sql::ast::{self, DropBehavior, NodeEnum, ObjectType},
};

pub(super) static RULE: Rule = Rule {
    name: "drop-index-not-concurrent",
    category: Category::Lock,
    severity: Severity::Warning,
    summary: "drops an index under a lock that stops reads and writes",
    why: "A plain `DROP INDEX` takes ACCESS EXCLUSIVE on the table. The work is milliseconds, but \
          while it waits behind one long query, every later query of the table waits behind it.",
    instead: "`DROP INDEX CONCURRENTLY`, one index a statement, without CASCADE, in a file marked \
              `-- lockkeeper: transaction off`.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-dropindex.html",
        "https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES",
    ],
    peers: &[
        "sq:require-concurrent-index-deletion",
        "sq:ban-drop-index",
        "sm:remove_index",
        "at:PG102",
        "pgls:require-concurrent-index-deletion",
        "pf:drop-index-not-concurrent",
        "ps:drop-index-non-concurrent",
        "pgm:PGM002",
        "pgr:unsafe/non-concurrent-index-drop",
        "dml:DROP_INDEX",
        "djz:#30",
        "psd:INDEX_DROPPED",
        "gl:remove_index",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table public.orders (id bigint primary key, note text, code text);
            alter table public.orders enable row level security;
            create index orders_note_idx on public.orders (note);
            create index orders_code_idx on public.orders (code);",
    bad: &[
        "drop index public.orders_note_idx;",
        "DROP INDEX IF EXISTS orders_note_idx, orders_code_idx;",
        "-- lockkeeper: transaction off\ndrop index orders_note_idx;",
    ],
    good: &[
        "-- lockkeeper: transaction off\ndrop index concurrently if exists public.orders_note_idx;",
        "create table app.t (id bigint primary key, a int);\ncreate index t_a on app.t (a);\ndrop index app.t_a;",
        "drop index if exists public.orders_never_was_idx;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::DropStmt(drop) = context.node else { return };
    if drop.remove_type() != ObjectType::ObjectIndex || drop.concurrent {
        return;
    }
    for name in drop.objects.iter().filter_map(ast::name) {
        let index = context.catalog.resolve(&name, context.session);
        let (index, table) = match common::find_index(context, &name) {
            Some((table, known)) => {
                // The index of a constraint cannot be dropped; that of a partitioned table only so.
                if known.constraint.is_some() || known.on_partitioned || !context.is_live(&table.name) {
                    continue;
                }
                // DOWN takes back a table of UP with its indexes: what it locks is on its way out.
                if context.direction == Direction::Down && table.born.is_some() {
                    continue;
                }
                (known.name.clone(), Some(table.name.clone()))
            }
            // Where the history is known and never made it, IF EXISTS finds nothing.
            None if drop.missing_ok
                && (context.catalog.has_history || context.catalog.dropped.contains(&index)) =>
            {
                continue;
            }
            None => (index, None),
        };
        let place =
            table.as_ref().map_or_else(|| "the table of the index".into(), |table| format!("`{table}`"));
        let message = format!(
            "drops index `{index}` under ACCESS EXCLUSIVE on {place}: {} while it waits for the lock and \
             until it commits",
            LockMode::AccessExclusive.who_waits(),
        );
        let report = sink.report(message).on(table.as_ref().unwrap_or(&index));
        let one = drop.objects.len() == 1 && drop.behavior() != DropBehavior::DropCascade;
        match edits::with_concurrently(context).filter(|_| one) {
            Some(text) => report.replace(text),
            None => report.suggest(instead(&index)),
        };
    }
}

fn instead(index: &QName) -> String {
    format!("{}\nDROP INDEX CONCURRENTLY IF EXISTS {};", edits::OFF, index.sql())
}
