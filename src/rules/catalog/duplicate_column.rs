//! One column named twice where Postgres allows it once.

use std::collections::BTreeSet;

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::ast::{AlterTableType, Node, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "duplicate-column",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "names a column twice",
    why: "Postgres refuses the statement (SQLSTATE 42701 or 42601).",
    instead: "Name each column once.",
    peers: &["sq:ban-duplicate-column-assignments", "pgr:general/duplicate-column"],
    given: "create table public.orders (id bigint primary key, note text);
            alter table public.orders enable row level security;",
    bad: &[
        "create table app.twice (id bigint primary key, note text, note text);",
        "insert into public.orders (id, note, note) values (1, 'a', 'b');",
        "update public.orders set note = 'a', note = 'b' where id = 1;",
        "alter table public.orders add column a int, add column a text;",
    ],
    good: &[
        "create table app.once (id bigint primary key, note text, \"Note\" text);",
        "update public.orders set note = 'a' where id = 1;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let names: Vec<&str> = match context.node {
        NodeEnum::CreateStmt(create) => columns(&create.table_elts).collect(),
        NodeEnum::InsertStmt(insert) => assigned(&insert.cols).collect(),
        NodeEnum::UpdateStmt(update) => assigned(&update.target_list).collect(),
        NodeEnum::AlterTableStmt(alter) => alter
            .cmds
            .iter()
            .filter_map(|node| match &node.node {
                Some(NodeEnum::AlterTableCmd(command))
                    if command.subtype() == AlterTableType::AtAddColumn =>
                {
                    command.def.as_deref()
                }
                _ => None,
            })
            .filter_map(column)
            .collect(),
        _ => return,
    };
    let mut seen = BTreeSet::new();
    let mut told = BTreeSet::new();
    for name in names {
        if !seen.insert(name) && told.insert(name) {
            sink.report(format!("column `{name}` is named twice"));
        }
    }
}

fn columns(nodes: &[Node]) -> impl Iterator<Item = &str> {
    nodes.iter().filter_map(column)
}

fn column(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::ColumnDef(column)) => Some(&column.colname),
        _ => None,
    }
}

/// Plain targets only: `set a[1] = …, a[2] = …` is allowed.
fn assigned(nodes: &[Node]) -> impl Iterator<Item = &str> {
    nodes.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::ResTarget(target)) if target.indirection.is_empty() => Some(target.name.as_str()),
        _ => None,
    })
}
