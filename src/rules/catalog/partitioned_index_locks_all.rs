//! `CREATE INDEX` on a partitioned table with all its partitions.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, edits},
    schema::{Catalog, QName, RelationKind},
    sql::{
        self,
        ast::{IndexStmt, NodeEnum},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "partitioned-index-locks-all",
    category: Category::Lock,
    severity: Severity::Error,
    summary: "builds an index on every partition at once while writes wait",
    why: "`CREATE INDEX` on a partitioned table takes SHARE on the table and on every partition, and \
          holds all of them to the end: writes to every partition wait for the sum of all builds. \
          `CONCURRENTLY` is refused there.",
    instead: "Create the index `ON ONLY` the partitioned table (instant, invalid at first), build it \
              concurrently on each partition in a file without transaction, and attach each; after the \
              last one the parent's index turns valid.",
    sources: &["https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE"],
    peers: &["pha:safe_add_concurrent_partitioned_index"],
    takes: Some(LockMode::Share),
    given: "create table app.hits (id bigint not null, at date not null, site bigint) partition by range (at);
            create table app.hits_2025 partition of app.hits for values from ('2025-01-01') to ('2026-01-01');",
    bad: &[
        "create index hits_site_idx on app.hits (site);",
        "CREATE UNIQUE INDEX IF NOT EXISTS hits_key ON app.hits (id, at);",
    ],
    good: &[
        "create index hits_site_idx on only app.hits (site);",
        "-- lockkeeper: transaction off\ndrop index concurrently if exists app.hits_2025_site_idx;\ncreate index concurrently hits_2025_site_idx on app.hits_2025 (site);",
        "create table app.views (id bigint, at date, primary key (id, at)) partition by range (at);\ncreate index on app.views (at);",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::IndexStmt(index) = context.node else { return };
    let Some(range) = &index.relation else { return };
    let table = context.resolve(range);
    if index.concurrent || !range.inh || !common::is_kind(context, &table, RelationKind::PartitionedTable) {
        return;
    }
    // A live table may be a partition of a new one.
    let waits = context.is_live(&table)
        || context.catalog.partitions(&table).iter().any(|partition| context.is_live(&partition.name));
    if !waits || common::index_is_there(context, index, &table) {
        return;
    }
    let partitions: Vec<QName> =
        context.catalog.partitions(&table).into_iter().map(|partition| partition.name.clone()).collect();
    let lock = LockMode::Share;
    let message = format!(
        "builds index `{}` and holds {lock} on `{table}` and each partition ({} known) until the commit: {}",
        common::index_name(context.catalog, index, &table).name,
        partitions.len(),
        lock.who_waits(),
    );
    let report = sink.report(message).on(&table);
    if let Some(text) = recipe(context.catalog, index, &table, &partitions) {
        report.suggest(text);
    }
}

/// `ON ONLY` the parent, concurrently on each partition, attach each.
fn recipe(catalog: &Catalog, index: &IndexStmt, table: &QName, partitions: &[QName]) -> Option<String> {
    let parent = common::index_name(catalog, index, table);
    let mut only = index.clone();
    only.idxname = parent.name.clone();
    if let Some(range) = &mut only.relation {
        range.inh = false;
    }
    let mut text = format!("{};", sql::deparse(&NodeEnum::IndexStmt(only.into()))?);
    for partition in partitions {
        let mut child = index.clone();
        child.idxname.clear();
        child.if_not_exists = false;
        let name = common::index_name(catalog, &child, partition);
        child.idxname = name.name.clone();
        child.concurrent = true;
        if let Some(range) = &mut child.relation {
            range.schemaname.clone_from(&partition.schema);
            range.relname.clone_from(&partition.name);
        }
        let create = sql::deparse(&NodeEnum::IndexStmt(child.into()))?;
        text.push_str(&format!(
            "\n\n-- a file of its own:\n{}\n{create};\nALTER INDEX {} ATTACH PARTITION {};",
            edits::OFF,
            parent.sql(),
            name.sql(),
        ));
    }
    Some(text)
}
