//! Moving a table to another tablespace or access method.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    sql::ast::{AlterTableMoveAllStmt, AlterTableType, NodeEnum, ObjectType},
};

pub(super) static RULE: Rule = Rule {
    name: "move-table-rewrite",
    category: Category::Rewrite,
    severity: Severity::Error,
    summary: "copies a table to another tablespace or access method",
    why: "Every page is copied while every read and write waits. SET STORAGE and SET COMPRESSION copy nothing.",
    instead: "Copy to a new table and swap, or take a maintenance window.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html"],
    peers: &[
        "ps:set-access-method",
        "sfm:blocking-constraint",
        "pgr:unsafe/table-movement-to-tablespace",
        "pgr:unsafe/index-movement-to-tablespace",
        "djz:tablespace",
    ],
    takes: Some(LockMode::AccessExclusive),
    given: "create table app.orders (id bigint primary key);
            create access method heap2 type table handler heap_tableam_handler;",
    bad: &[
        "alter table app.orders set access method heap2;",
        "ALTER TABLE app.orders SET ACCESS METHOD heap2, ADD COLUMN note text;",
        "alter table all in tablespace pg_default set tablespace fast;",
    ],
    good: &[
        "alter table app.orders set tablespace pg_default;\nalter table app.orders set access method heap;",
        "create table app.t (id bigint primary key);\nalter table app.t set access method heap2;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    if let NodeEnum::AlterTableMoveAllStmt(move_all) = context.node {
        return all(move_all, sink);
    }
    let Some((table, commands)) = context.alter_table() else { return };
    for command in commands {
        let relation = context.relation(table);
        let (what, now) = match command.subtype() {
            AlterTableType::AtSetTableSpace => (
                "tablespace",
                relation.and_then(|relation| relation.tablespace.as_deref()).unwrap_or("pg_default"),
            ),
            AlterTableType::AtSetAccessMethod => (
                "access method",
                relation.and_then(|relation| relation.access_method.as_deref()).unwrap_or("heap"),
            ),
            _ => continue,
        };
        if command.name != now && !command.name.is_empty() && context.is_live(table) {
            sink.report(format!(
                "copies `{table}` to {what} `{}` under ACCESS EXCLUSIVE; every read and write of it waits",
                command.name
            ))
            .on(table);
        }
    }
}

fn all(move_all: &AlterTableMoveAllStmt, sink: &mut Sink<'_>) {
    let (from, to) = (&move_all.orig_tablespacename, &move_all.new_tablespacename);
    if from == to {
        return;
    }
    let what = match move_all.objtype() {
        ObjectType::ObjectIndex => "index",
        ObjectType::ObjectMatview => "materialized view",
        _ => "table",
    };
    sink.report(format!(
        "copies every {what} of tablespace `{from}` to `{to}`, each under ACCESS EXCLUSIVE until the commit: \
         every read and write of them waits for all the copies"
    ))
    .object(from);
}
