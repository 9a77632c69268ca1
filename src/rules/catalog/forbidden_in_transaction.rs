//! Statements that refuse to run inside a transaction.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, common, edits},
    schema::{Nesting, RelationKind},
    sql::ast::{
        AlterTableType, DiscardMode, Name, NodeEnum, ObjectType, PartitionCmd, ReindexObjectType as Kind,
        TransactionStmtKind, option_on,
    },
};

pub(super) static RULE: Rule = Rule {
    name: "forbidden-in-transaction",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "runs a statement inside a transaction that Postgres refuses there",
    why: "The statement fails with SQLSTATE 25001 wherever the file is wrapped in a transaction, as most \
          runners do. (Lockkeeper takes it out of the transaction, but then the file is no longer \
          all or nothing, which it ought to say.) A DO block or a routine is always inside one.",
    instead: "Put the statement into a file of its own marked `-- lockkeeper: transaction off`: its \
              statements are sent one by one, each recorded.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
        "https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT",
    ],
    peers: &[
        "sq:ban-concurrent-index-creation-in-transaction",
        "at:PG103",
        "pgls:ban-concurrent-index-creation-in-transaction",
        "pf:concurrent-in-transaction",
        "ps:concurrently-in-transaction",
        "sfm:concurrent-in-transaction",
        "pgm:PGM003",
        "bb:statement_non_transactional",
    ],
    refused: true,
    given: "create table public.orders (id bigint primary key, note text);
            alter table public.orders enable row level security;
            create index orders_note_idx on public.orders (note);
            create materialized view app.totals as select id from public.orders;
            create unique index totals_id on app.totals (id);",
    bad: &[
        "create index concurrently orders_id_idx on public.orders (id);",
        "drop index concurrently if exists orders_note_idx;",
        "-- lockkeeper: transaction off\nbegin;\nvacuum public.orders;\ncommit;",
        "-- lockkeeper: transaction off\ndo $$ begin\n  create index concurrently orders_id_idx on public.orders (id);\nend $$;",
        "do $$ begin\n  delete from public.orders where id = 1;\n  commit;\nend $$;",
    ],
    good: &[
        "-- lockkeeper: transaction off\ndrop index concurrently if exists orders_id_idx;\ncreate index concurrently orders_id_idx on public.orders (id);",
        "refresh materialized view concurrently app.totals;",
        "analyze public.orders;",
        "-- lockkeeper: transaction off\nvacuum public.orders;",
        "-- lockkeeper: transaction off\ndo $$ begin\n  delete from public.orders where id = 1;\n  commit;\nend $$;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some(what) = fails(context) else { return };
    let nested = context.unit.nesting != Nesting::Top;
    let place = if nested {
        "a DO block or routine"
    } else if context.session.transaction.explicit {
        "the transaction that the file opened"
    } else {
        "the transaction of a file that does not say `transaction off`"
    };
    let code = if matches!(context.node, NodeEnum::TransactionStmt(_)) { "2D000" } else { "25001" };
    let report = sink.report(format!("runs `{what}` inside {place}, where Postgres refuses it ({code})"));
    if nested {
        return;
    }
    let text = context.unit.text.trim();
    let wrapper = context.session.transaction.explicit || context.migration.wrapper_dropped;
    let report = match edits::is_alone(context) && !wrapper {
        true => report.replace(format!("{}\n{text}", edits::OFF)),
        false => report.suggest(format!("{}\n{text};", edits::OFF)),
    };
    // Our own runner takes it out of the transaction, so that it is applied all the same.
    if !context.session.transaction.explicit {
        report.severity(Severity::Warning);
    }
}

/// What the statement is called, if it refuses to run where it stands.
///
/// Our own runner takes such a statement out of the transaction by itself. A file that does not
/// say so is still wrong: it loses its all-or-nothing without a word, and any other runner fails.
pub(super) fn fails(context: &Context<'_>) -> Option<&'static str> {
    // A block that stands alone may end its transaction, which is its own.
    if let NodeEnum::TransactionStmt(end) = context.node {
        let fails = context.unit.nesting != Nesting::Top && context.in_transaction();
        let back = end.kind() == TransactionStmtKind::TransStmtRollback;
        return fails.then_some(if back { "ROLLBACK" } else { "COMMIT" });
    }
    let off = context.migration.transaction_off_in(context.direction);
    let inside = context.unit.nesting != Nesting::Top || context.session.transaction.explicit || !off;
    if inside { refused(context) } else { None }
}

/// What the statement is called, if it refuses to run in a transaction block.
///
/// The callers of `PreventInTransactionBlock`:
/// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/tcop/utility.c>
fn refused(context: &Context<'_>) -> Option<&'static str> {
    let partitioned =
        |name: &crate::schema::QName| common::is_kind(context, name, RelationKind::PartitionedTable);
    match context.node {
        NodeEnum::IndexStmt(index) if index.concurrent => Some("CREATE INDEX CONCURRENTLY"),
        NodeEnum::DropStmt(drop) if drop.concurrent && drop.remove_type() == ObjectType::ObjectIndex => {
            Some("DROP INDEX CONCURRENTLY")
        }
        NodeEnum::ReindexStmt(reindex) => {
            if option_on(&reindex.params, "concurrently") == Some(true) {
                return Some("REINDEX CONCURRENTLY");
            }
            let range = reindex.relation.as_ref();
            match reindex.kind() {
                Kind::ReindexObjectSchema => Some("REINDEX SCHEMA"),
                Kind::ReindexObjectDatabase => Some("REINDEX DATABASE"),
                Kind::ReindexObjectSystem => Some("REINDEX SYSTEM"),
                Kind::ReindexObjectTable if partitioned(&context.resolve(range?)) => {
                    Some("REINDEX TABLE of a partitioned table")
                }
                Kind::ReindexObjectIndex => {
                    let (_, index) = common::find_index(context, &Name::of(range?))?;
                    index.on_partitioned.then_some("REINDEX INDEX of a partitioned index")
                }
                _ => None,
            }
        }
        NodeEnum::AlterTableStmt(_) => {
            let (_, commands) = context.alter_table()?;
            commands.iter().find_map(|command| match command.def.as_ref()?.node.as_ref()? {
                NodeEnum::PartitionCmd(PartitionCmd { concurrent: true, .. })
                    if command.subtype() == AlterTableType::AtDetachPartition =>
                {
                    Some("ALTER TABLE … DETACH PARTITION … CONCURRENTLY")
                }
                _ => None,
            })
        }
        NodeEnum::VacuumStmt(vacuum) if vacuum.is_vacuumcmd => Some("VACUUM"),
        NodeEnum::ClusterStmt(cluster) => match &cluster.relation {
            None => Some("CLUSTER of every table"),
            Some(range) => partitioned(&context.resolve(range)).then_some("CLUSTER of a partitioned table"),
        },
        NodeEnum::AlterSystemStmt(_) => Some("ALTER SYSTEM"),
        NodeEnum::CreatedbStmt(_) => Some("CREATE DATABASE"),
        NodeEnum::DropdbStmt(_) => Some("DROP DATABASE"),
        NodeEnum::CreateTableSpaceStmt(_) => Some("CREATE TABLESPACE"),
        NodeEnum::DropTableSpaceStmt(_) => Some("DROP TABLESPACE"),
        NodeEnum::DiscardStmt(discard) if discard.target() == DiscardMode::DiscardAll => Some("DISCARD ALL"),
        NodeEnum::CreateSubscriptionStmt(create) => {
            let connects = option_on(&create.options, "connect") != Some(false);
            let slot = option_on(&create.options, "create_slot") != Some(false);
            (connects && slot).then_some("CREATE SUBSCRIPTION with a replication slot")
        }
        _ => None,
    }
}
