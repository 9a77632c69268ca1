//! `DETACH PARTITION` without `CONCURRENTLY`.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, edits},
    sql::ast::{AlterTableType, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "detach-partition-not-concurrent",
    category: Category::Lock,
    severity: Severity::Error,
    summary: "detaches a partition under ACCESS EXCLUSIVE on its parent",
    why: "Every read and write of the whole partitioned table queues behind the lock.",
    instead: "DETACH PARTITION … CONCURRENTLY in a file with `-- lockkeeper: transaction off` (Postgres 14 or \
              later, and no DEFAULT partition); else keep lock_timeout short.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DETACH-PARTITION"],
    peers: &[
        "sq:require-concurrent-partition-detach", "pgls:require-concurrent-detach-partition", "pf:detach-partition",
        "ps:detach-partition-non-concurrent", "sfm:blocking-partition-mutation", "pgm:PGM004",
        "pgr:unsafe/non-concurrent-detach-partition",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table app.days (id bigint not null, day date not null, primary key (id, day)) partition by range (day);
            create table app.days_2025 partition of app.days for values from ('2025-01-01') to ('2026-01-01');",
    bad: &["alter table app.days detach partition app.days_2025;"],
    good: &["-- lockkeeper: transaction off\nalter table app.days detach partition app.days_2025 concurrently;"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((parent, commands)) = context.alter_table() else { return };
    let alone = commands.len() == 1;
    for command in commands.iter().filter(|command| command.subtype() == AlterTableType::AtDetachPartition) {
        let Some(NodeEnum::PartitionCmd(detach)) = command.def.as_ref().and_then(|def| def.node.as_ref())
        else {
            continue;
        };
        if detach.concurrent || !context.is_live(parent) {
            continue;
        }
        let Some(child) = detach.name.as_ref().map(|range| context.resolve(range)) else { continue };
        let report = sink
            .report(format!("takes ACCESS EXCLUSIVE on `{parent}` to detach `{child}`; every read and write of the whole table waits"))
            .on(parent);
        if context.catalog.default_partition(parent).is_some() || context.pg < 14 {
            report.help("CONCURRENTLY cannot be used here (a DEFAULT partition, or Postgres before 14): keep lock_timeout short and retry.");
        } else {
            let sql = format!("ALTER TABLE {} DETACH PARTITION {} CONCURRENTLY", parent.sql(), child.sql());
            match edits::in_place_outside(context, sql.clone()).filter(|_| alone) {
                Some(edit) => report.replace(edit),
                None => report.suggest(format!("{}\n{sql};", edits::OFF)),
            };
        }
    }
}
