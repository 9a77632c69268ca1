//! Rows that vanish from a parent table.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::ast::{AlterTableType, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "inheritance-change",
    category: Category::Compatibility,
    severity: Severity::Info,
    summary: "takes a child's rows out of its parent",
    why: "Every reader of the parent stops seeing those rows, without an error.",
    instead: "Say so in the pull request, and move or archive the rows.",
    sources: &["https://www.postgresql.org/docs/current/ddl-inherit.html"],
    peers: &["sq:ban-detach-inheritance"],
    given: "create table app.base (id bigint);
            create table app.child (id bigint) inherits (app.base);",
    bad: &["alter table app.child no inherit app.base;", "alter table only app.child no inherit app.base;"],
    good: &[
        "create table app.p (id bigint primary key);\ncreate table app.c (primary key (id)) inherits (app.p);\nalter table app.c no inherit app.p;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, commands)) = context.alter_table() else { return };
    for command in commands {
        let (child, parent) =
            match (command.subtype(), command.def.as_ref().and_then(|def| def.node.as_ref())) {
                (AlterTableType::AtDropInherit, Some(NodeEnum::RangeVar(parent))) => {
                    (table.clone(), context.resolve(parent))
                }
                (AlterTableType::AtDetachPartition, Some(NodeEnum::PartitionCmd(command))) => {
                    let Some(child) = &command.name else { continue };
                    (context.resolve(child), table.clone())
                }
                _ => continue,
            };
        if context.is_live(&child) && context.is_live(&parent) {
            sink.report(format!("the rows of `{child}` vanish from `{parent}` for every reader")).on(&parent);
        }
    }
}
