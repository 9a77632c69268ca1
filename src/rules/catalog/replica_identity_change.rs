//! `REPLICA IDENTITY` of a live table.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, names::is},
    sql::ast::AlterTableType,
};

pub(super) static RULE: Rule = Rule {
    name: "replica-identity-change",
    category: Category::Compatibility,
    severity: Severity::Info,
    summary: "changes what replication and Realtime send of old rows",
    why: "FULL writes the whole old row to the WAL and shows it to subscribers; NOTHING makes updates of a \
          published table fail.",
    instead: "Keep the primary key as the identity unless subscribers need the old row.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-REPLICA-IDENTITY"],
    peers: &["sq:ban-replica-identity"],
    takes: Some(LockMode::AccessExclusive),
    given: "create table app.orders (id bigint primary key);",
    bad: &[
        "alter table app.orders replica identity full;",
        "alter table app.orders replica identity nothing;",
    ],
    good: &["create table app.t (id bigint primary key);\nalter table app.t replica identity full;"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, commands)) = context.alter_table() else { return };
    if context.is_live(table) && commands.iter().any(|command| is(command, AlterTableType::AtReplicaIdentity))
    {
        sink.report(format!("changes what replication and Realtime send of old rows of `{table}`")).on(table);
    }
}
