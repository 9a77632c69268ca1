//! `CREATE TABLE … PARTITION OF` an existing parent.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    sql::{self, ast::NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "create-partition-locks-parent",
    category: Category::Lock,
    severity: Severity::Warning,
    summary: "creates a partition under ACCESS EXCLUSIVE on its parent",
    why: "CREATE TABLE … PARTITION OF locks the parent against every read and write, more than ATTACH \
          PARTITION does; a DEFAULT partition is read whole under that lock.",
    instead: "Create the table LIKE the parent, then ATTACH it (SHARE UPDATE EXCLUSIVE on the parent).",
    sources: &[
        "https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table app.days (id bigint not null, day date not null, primary key (id, day)) partition by range (day);",
    bad: &[
        "create table app.days_2026 partition of app.days for values from ('2026-01-01') to ('2027-01-01');",
    ],
    good: &[
        "create table app.days_2026 (like app.days including defaults including constraints);\nalter table app.days attach partition app.days_2026 for values from ('2026-01-01') to ('2027-01-01');",
        "create table app.p (id bigint not null primary key) partition by range (id);\ncreate table app.p1 partition of app.p for values from (1) to (10);",
    ],

    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::CreateStmt(create) = context.node else { return };
    let (Some(bound), Some(range)) = (&create.partbound, &create.relation) else { return };
    let Some(NodeEnum::RangeVar(parent)) = create.inh_relations.first().and_then(|node| node.node.as_ref())
    else {
        return;
    };
    let parent = context.resolve(parent);
    if !context.is_live(&parent) {
        return;
    }
    let child = context.catalog.place(&sql::ast::Name::of(range), context.session);
    let there = context.relation(&child).is_some();
    if create.if_not_exists && there {
        return;
    }
    let default = context.catalog.default_partition(&parent).filter(|_| !bound.is_default);
    let bound_sql = context
        .unit
        .text
        .to_lowercase()
        .find("for values")
        .and_then(|at| context.unit.text.get(at..))
        .unwrap_or("DEFAULT")
        .trim_end_matches(';')
        .trim()
        .to_owned();
    let suggestion = format!(
        "CREATE TABLE {0} (LIKE {1} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);\nALTER TABLE {1} ATTACH PARTITION {0} {bound_sql};",
        child.sql(),
        parent.sql(),
    );
    match default {
        Some(default) => {
            sink.report(format!(
                "takes ACCESS EXCLUSIVE on `{parent}` while the DEFAULT partition `{}` is read whole; every read and write of both waits",
                default.name
            ))
            .severity(Severity::Error)
            .on(&parent)
            .suggest(suggestion);
        }
        None => {
            sink.report(format!(
                "takes ACCESS EXCLUSIVE on `{parent}`; every read and write of it queues behind that"
            ))
            .on(&parent)
            .suggest(suggestion);
        }
    }
}
