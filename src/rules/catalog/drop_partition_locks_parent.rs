//! `DROP TABLE` of an attached partition.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, names},
    sql::ast::ObjectType,
};

pub(super) static RULE: Rule = Rule {
    name: "drop-partition-locks-parent",
    category: Category::Lock,
    severity: Severity::Warning,
    summary: "drops a partition under ACCESS EXCLUSIVE on its parent",
    why: "Dropping an attached partition locks the parent and its DEFAULT partition against every read and write.",
    instead: "Detach it concurrently first, in a file of its own, then drop the table.",
    sources: &["https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE"],
    takes: Some(LockMode::AccessExclusive),
    given: "create table app.days (id bigint not null, day date not null, primary key (id, day)) partition by range (day);
            create table app.days_2025 partition of app.days for values from ('2025-01-01') to ('2026-01-01');",
    bad: &["drop table app.days_2025;"],
    good: &["-- lockkeeper: transaction off\nalter table app.days detach partition app.days_2025 concurrently;"],
    also: &["drop-table"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    for (kind, name) in names::dropped(context.node) {
        let table = context.catalog.resolve(&name, context.session);
        let parent = context.relation(&table).and_then(|relation| relation.partition_of.clone());
        if let Some(parent) =
            parent.filter(|parent| kind == ObjectType::ObjectTable && context.is_live(parent))
        {
            sink.report(format!(
                "`{table}` is attached: dropping it takes ACCESS EXCLUSIVE on `{parent}`, and every read and write of it waits"
            ))
            .on(&parent)
            .suggest(format!(
                "-- lockkeeper: transaction off\nALTER TABLE {} DETACH PARTITION {} CONCURRENTLY;\n-- then, in the next migration:\nDROP TABLE {};",
                parent.sql(),
                table.sql(),
                table.sql()
            ));
        }
    }
}
