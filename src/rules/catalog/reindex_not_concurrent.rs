//! `REINDEX` that stops reads and writes.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, edits},
    schema::{ConstraintKind, Nesting, RelationKind},
    sql::{
        self,
        ast::{Name, NodeEnum, ReindexObjectType as Kind, ReindexStmt, option_on},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "reindex-not-concurrent",
    category: Category::Lock,
    severity: Severity::Error,
    summary: "rebuilds an index while queries of the table wait",
    why: "A plain `REINDEX` takes SHARE on the table, so writes wait, and ACCESS EXCLUSIVE on each \
          index it rebuilds. Planning a query looks at every index of the table, so reads wait too.",
    instead: "`REINDEX INDEX CONCURRENTLY` (Postgres 12 and later) in a file marked `-- lockkeeper: \
              transaction off`; afterwards drop leftovers named `*_ccnew` or `*_ccold`.",
    sources: &["https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY"],
    peers: &[
        "sq:require-concurrent-reindex",
        "pgls:require-concurrent-reindex",
        "pf:reindex-non-concurrent",
        "ps:reindex-non-concurrent",
        "sfm:require-concurrent-reindex",
        "pgm:PGM022",
        "pgr:unsafe/non-concurrent-reindex",
        "dml:REINDEX",
        "sqlfluff:PG01",
    ],
    takes: Some(LockMode::Share),
    given: "create table public.orders (id bigint primary key, note text);
            alter table public.orders enable row level security;
            create index orders_note_idx on public.orders (note);",
    bad: &[
        "reindex index public.orders_note_idx;",
        "REINDEX (VERBOSE, CONCURRENTLY FALSE) TABLE orders;",
        "-- lockkeeper: transaction off\nreindex schema public;",
    ],
    good: &[
        "-- lockkeeper: transaction off\nreindex index concurrently public.orders_note_idx;",
        "-- lockkeeper: transaction off\nreindex (concurrently) table public.orders;",
        "create table app.t (id bigint primary key);\nreindex table app.t;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::ReindexStmt(reindex) = context.node else { return };
    if option_on(&reindex.params, "concurrently") == Some(true) {
        return;
    }
    let inside = context.in_transaction() || context.unit.nesting != Nesting::Top;
    let (what, table) = match reindex.kind() {
        Kind::ReindexObjectIndex | Kind::ReindexObjectTable => {
            let Some(range) = &reindex.relation else { return };
            let known = if reindex.kind() == Kind::ReindexObjectIndex {
                common::find_index(context, &Name::of(range))
                    .map(|(table, index)| (table, index.name.clone()))
            } else {
                let table = context.resolve(range);
                if !context.is_live(&table) {
                    return;
                }
                context.relation(&table).map(|relation| (relation, table))
            };
            match known {
                Some((table, _)) if !context.is_live(&table.name) => return,
                // Fails there: `forbidden-in-transaction` says so.
                Some((table, _)) if inside && table.kind == RelationKind::PartitionedTable => return,
                Some((table, object)) => (format!("`{object}`"), Some(table.name.clone())),
                None => (format!("`{}`", context.resolve(range)), None),
            }
        }
        // Neither runs in a transaction at all.
        _ if inside => return,
        Kind::ReindexObjectSchema => (format!("every index of schema `{}`", reindex.name), None),
        Kind::ReindexObjectSystem => ("every index of the system catalogs".into(), None),
        _ => ("every index of the database".into(), None),
    };
    let place = table.as_ref().map_or_else(|| "each table".into(), |table| format!("`{table}`"));
    let message = format!(
        "rebuilds {what} under SHARE on {place} and ACCESS EXCLUSIVE on the index, so writes wait, and reads \
         wait as soon as they are planned"
    );
    let mut report = sink.report(message);
    if let Some(table) = &table {
        report = report.on(table);
    }
    if reindex.kind() == Kind::ReindexObjectSystem {
        report.help(
            "System catalogs cannot be rebuilt concurrently: do it in a maintenance window, or rebuild the \
             one index that is damaged.",
        );
        return;
    }
    let excludes = reindex.relation.as_ref().and_then(|range| {
        let (table, index) = common::find_index(context, &Name::of(range))?;
        Some(matches!(table.constraint(index.constraint.as_ref()?)?.kind, ConstraintKind::Exclusion))
    });
    if reindex.kind() == Kind::ReindexObjectIndex && excludes == Some(true) {
        report.help(
            "The index of an exclusion constraint cannot be rebuilt concurrently: do it in a maintenance window.",
        );
        return;
    }
    if let Some(text) = concurrently(reindex) {
        match edits::in_place_outside(context, text.clone()) {
            Some(edit) => report.replace(edit),
            None => report.suggest(format!("{}\n{text};", edits::OFF)),
        };
    }
}

/// The statement with `CONCURRENTLY`, other options kept.
fn concurrently(reindex: &ReindexStmt) -> Option<String> {
    let mut reindex = reindex.clone();
    reindex.params.retain(
        |node| !matches!(&node.node, Some(NodeEnum::DefElem(element)) if element.defname == "concurrently"),
    );
    let plain = sql::deparse(&NodeEnum::ReindexStmt(reindex))?;
    ["INDEX", "TABLE", "SCHEMA", "DATABASE"].into_iter().find_map(|kind| {
        let at = plain.find(&format!(" {kind} "))? + 1 + kind.len();
        Some(format!("{} CONCURRENTLY{}", &plain[..at], &plain[at..]))
    })
}
