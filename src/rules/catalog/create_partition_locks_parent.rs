//! `CREATE TABLE … PARTITION OF` an existing parent.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    schema::QName,
    sql::{
        self,
        ast::{CreateStmt, NodeEnum, PartitionSpec},
    },
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
    let report = match default {
        Some(default) => sink
            .report(format!(
                "takes ACCESS EXCLUSIVE on `{parent}` while the DEFAULT partition `{}` is read whole; every read and \
                 write of both waits",
                default.name
            ))
            .severity(Severity::Error),
        None => sink.report(format!(
            "takes ACCESS EXCLUSIVE on `{parent}`; every read and write of it queues behind that"
        )),
    };
    let report = report.on(&parent);
    if let Some(text) = attached(create, &child, &parent) {
        report.suggest(text);
    }
}

/// The partition made beside its parent, and attached.
fn attached(create: &CreateStmt, child: &QName, parent: &QName) -> Option<String> {
    let only = |partspec: Option<&PartitionSpec>| {
        let bare = CreateStmt {
            relation: create.relation.clone(),
            inh_relations: create.inh_relations.clone(),
            partbound: create.partbound.clone(),
            partspec: partspec.cloned(),
            oncommit: create.oncommit,
            ..CreateStmt::default()
        };
        sql::deparse(&NodeEnum::CreateStmt(bare))
    };
    let bare = only(None)?;
    let bound =
        bare.split_once(" FOR VALUES").map_or("DEFAULT".into(), |(_, bound)| format!("FOR VALUES{bound}"));
    // What makes it a partitioned table itself.
    let with = only(create.partspec.as_ref())?;
    let parts = with.strip_prefix(bare.as_str())?;
    Some(format!(
        "CREATE TABLE {0} (LIKE {1} INCLUDING DEFAULTS INCLUDING CONSTRAINTS){parts};\nALTER TABLE {1} ATTACH PARTITION {0} \
         {bound};",
        child.sql(),
        parent.sql(),
    ))
}
