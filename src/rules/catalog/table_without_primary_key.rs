//! A new table without a primary key.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink},
    schema::{ConstraintKind, RelationKind},
    sql,
};

pub(super) static RULE: Rule = Rule {
    name: "table-without-primary-key",
    category: Category::Style,
    severity: Severity::Warning,
    summary: "creates a table without a primary key",
    why: "Updates and deletes cannot be replicated, Realtime and upserts have nothing to name a row by, and \
          duplicates cannot be told apart.",
    instead: "Give it a primary key: `id bigint generated always as identity primary key`.",
    sources: &["https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-PRIMARY-KEYS"],
    peers: &[
        "sp:0004",
        "pgm:PGM502",
        "pgm:PGM503",
        "ps:require-primary-key",
        "bb:table_require_pk",
        "pgli:B001",
        "pih:8",
        "sl:requirePrimaryKey",
        "pgr:general/missing-primary-key",
    ],
    bad: &[
        "create table app.log (at timestamptz, line text);",
        "create table app.copy as select 1 as one;",
        "create table app.base (id bigint primary key);\ncreate table app.child () inherits (app.base);",
    ],
    good: &[
        "create table app.t (id bigint primary key);",
        "create table app.t (a int not null, b int not null);\nalter table app.t add primary key (a, b);",
        "create temp table scratch (a int);",
        "create table app.p (id bigint not null primary key) partition by range (id);\ncreate table app.p1 partition of app.p for values from (1) to (10);",
        "create table app.t (a int);\ndrop table app.t;",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for relation in context.after.relations.values() {
        let Some(unit) = relation.born.and_then(|at| context.unit(at)) else { continue };
        let plain = matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable);
        if !plain || relation.temporary || relation.partition_of.is_some() || relation.primary_key().is_some()
        {
            continue;
        }
        let unique = relation.constraints.iter().any(|constraint| match &constraint.kind {
            ConstraintKind::Unique { columns } => {
                columns.iter().all(|name| relation.column(name).is_some_and(|column| column.not_null))
            }
            _ => false,
        });
        let not_null = |name: &String| relation.column(name).is_some_and(|column| column.not_null);
        let unique = unique
            || relation.indexes.iter().any(|index| {
                let columns = index.plain_columns();
                let whole = columns.len() == index.columns.len() && index.predicate.is_none();
                index.unique && whole && columns.iter().all(not_null)
            });
        let report = sink
            .report_at(unit.at, unit.span.clone(), format!("table `{}` has no primary key", relation.name))
            .on(&relation.name);
        if unique {
            report.severity(Severity::Info);
        } else if let Some(partitioning) = &relation.partitioning {
            // The key of a partitioned table holds the partition key's columns.
            let mut key: Vec<String> =
                relation.column("id").map(|column| column.name.clone()).into_iter().collect();
            key.extend(partitioning.columns.iter().filter(|column| *column != "id").cloned());
            if key.len() > partitioning.columns.len()
                && key.iter().all(|name| relation.column(name).is_some())
            {
                let key: Vec<String> = key.iter().map(|name| sql::ident(name)).collect();
                report.suggest(format!(
                    "ALTER TABLE {} ADD PRIMARY KEY ({});",
                    relation.name.sql(),
                    key.join(", ")
                ));
            }
        } else if relation.column("id").is_none() {
            report.suggest(format!(
                "ALTER TABLE {} ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;",
                relation.name.sql()
            ));
        } else {
            report.suggest(format!("ALTER TABLE {} ADD PRIMARY KEY (id);", relation.name.sql()));
        }
    }
}
