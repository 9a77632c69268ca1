//! `CREATE INDEX` that blocks writes while it builds.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, edits},
    schema::{QName, RelationKind},
    sql::ast::{IndexStmt, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "index-not-concurrent",
    category: Category::Lock,
    severity: Severity::Error,
    summary: "builds an index while writes to the table wait",
    why: "A plain `CREATE INDEX` holds SHARE on the table from the first row it reads to the commit: \
          every INSERT, UPDATE and DELETE queues up behind the build.",
    instead: "Build it with `CREATE INDEX CONCURRENTLY`, in a file of its own marked `-- lockkeeper: \
              transaction off`. Drop an invalid leftover of an earlier try first.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
        "https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES",
    ],
    peers: &[
        "sq:require-concurrent-index-creation",
        "eu:E6",
        "sm:add_index",
        "sm:add_reference",
        "at:PG101",
        "pgls:require-concurrent-index-creation",
        "pf:create-index-not-concurrent",
        "ps:add-index-non-concurrent",
        "sfm:require-concurrent-index",
        "pgm:PGM001",
        "bb:index_create_concurrently",
        "pgr:unsafe/non-concurrent-index-creation",
        "dml:CREATE_INDEX",
        "djz:#29",
        "sqlfluff:PG01",
        "psd:INDEX_BUILD",
        "gl:add_index",
    ],
    takes: Some(LockMode::Share),
    given: "create table public.orders (id bigint primary key, note text, total int);
            alter table public.orders enable row level security;",
    bad: &[
        "create index orders_note_idx on public.orders (note);",
        "CREATE UNIQUE INDEX ON orders USING btree (lower(note)) WHERE total > 0;",
        "-- lockkeeper: transaction off\ncreate index orders_note_idx on public.orders (note);",
        "do $$ begin\n  create index orders_note_idx on public.orders (note);\nend $$;",
    ],
    good: &[
        "-- lockkeeper: transaction off\ndrop index concurrently if exists public.orders_note_idx;\ncreate index concurrently orders_note_idx on public.orders (note);",
        "create table app.notes (id bigint primary key, body text);\ncreate index on app.notes (body);",
        "create temporary table picked as select id from public.orders where id = 1;\ncreate index on picked (id);",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::IndexStmt(index) = context.node else { return };
    let Some(range) = &index.relation else { return };
    let table = context.resolve(range);
    if index.concurrent || !context.is_live(&table) || common::index_is_there(context, index, &table) {
        return;
    }
    // On a partitioned table `partitioned-index-locks-all` speaks; `ON ONLY` it builds nothing, and
    // is written for nothing else.
    let partitioned = common::is_kind(context, &table, RelationKind::PartitionedTable);
    if partitioned || (!range.inh && context.relation(&table).is_none()) {
        return;
    }
    // Under a stronger lock of an earlier statement reads do not go on either.
    let shut = common::shut_since(context, &table);
    let report = sink.report(message(context, index, &table, shut)).on(&table);
    let Some(build) = edits::build_concurrently(context.catalog, index, &table) else { return };
    // Without a name, or with IF NOT EXISTS, a second try would pass over the leftover of the first.
    let plain = !index.idxname.is_empty() && !index.if_not_exists;
    let edit = match plain {
        true => edits::with_concurrently(context),
        false => edits::in_place_outside(context, build.clone()),
    };
    match edit {
        Some(text) => report.replace(text),
        None => report.suggest(format!("{}\n{build};", edits::OFF)),
    };
}

fn message(context: &Context<'_>, index: &IndexStmt, table: &QName, shut: Option<usize>) -> String {
    let index = common::index_name(context.catalog, index, table).name;
    let lock = LockMode::Share;
    if let Some(statement) = shut {
        let held = LockMode::AccessExclusive;
        return format!(
            "builds index `{index}` on `{table}`, whose {held} lock of statement {statement} lasts until the commit: {}",
            held.who_waits()
        );
    }
    format!("builds index `{index}` and holds {lock} on `{table}` until the commit: {}", lock.who_waits())
}
