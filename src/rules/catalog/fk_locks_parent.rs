//! A new foreign key's lock on the table that it points at.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, names::is},
    schema::QName,
    sql::ast::{AlterTableType, ConstrType, Constraint, Name, Node, NodeEnum, RangeVar},
};

pub(super) static RULE: Rule = Rule {
    name: "fk-locks-parent",
    category: Category::Lock,
    severity: Severity::Info,
    summary: "adds a foreign key, which stops writes to the table it points at until the commit",
    why: "Even where no row has to be checked, a new foreign key takes SHARE ROW EXCLUSIVE on the \
          referenced table. The work is brief, but the lock is held to the end of the transaction, and \
          several in one transaction can deadlock with the application.",
    instead: "Keep the transaction short, one foreign key a transaction where the parents are busy.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
    ],
    peers: &["om:multiple_foreign_keys", "gl:create_table_with_foreign_keys", "pf:wide-lock-window"],
    takes: Some(LockMode::ShareRowExclusive),
    given: "create table public.orders (id bigint primary key, parent_id bigint);
            alter table public.orders enable row level security;
            create index orders_parent_idx on public.orders (parent_id);
            create table app.customers (id bigint primary key);",
    bad: &[
        "create table app.details (id bigint primary key references public.orders (id));",
        "alter table public.orders add constraint orders_parent_fk foreign key (parent_id) references app.customers (id) not valid;",
        "alter table app.customers add column order_id bigint references public.orders;\n-- next file\n-- lockkeeper: transaction off\ndrop index concurrently if exists app.customers_order_idx;\ncreate index concurrently customers_order_idx on app.customers (order_id);",
    ],
    good: &[
        "create table app.p (id bigint primary key);\ncreate table app.k (id bigint primary key references app.p (id));",
        "create table app.tree (id bigint primary key, up bigint references app.tree (id));\ncreate index on app.tree (up);",
        "create table app.loose (id bigint primary key, order_id bigint);",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    // A key to the table itself, which is not there yet.
    let created = match context.node {
        NodeEnum::CreateStmt(create) => {
            create.relation.as_ref().map(|range| context.catalog.place(&Name::of(range), context.session))
        }
        _ => None,
    };
    let mut parents: Vec<QName> = keys(context)
        .into_iter()
        .filter_map(|range| Some(context.resolve(range?)))
        .filter(|parent| Some(parent) != created.as_ref() && context.is_live(parent))
        .collect();
    parents.sort();
    parents.dedup();
    for parent in parents {
        let message = format!(
            "adds a foreign key to `{parent}`, which takes {} until the transaction commits",
            common::blocks(LockMode::ShareRowExclusive, &parent)
        );
        sink.report(message).on(&parent);
    }
}

/// The tables that new foreign keys point at, where the key costs no scan.
fn keys<'a>(context: &'a Context<'_>) -> Vec<Option<&'a RangeVar>> {
    let targets = |nodes: &'a [Node]| {
        nodes.iter().filter_map(|node| match &node.node {
            Some(NodeEnum::Constraint(constraint)) => foreign(constraint),
            _ => None,
        })
    };
    match context.node {
        NodeEnum::CreateStmt(create) => {
            let mut found: Vec<_> = targets(&create.constraints).chain(targets(&create.table_elts)).collect();
            for element in &create.table_elts {
                if let Some(NodeEnum::ColumnDef(column)) = &element.node {
                    found.extend(targets(&column.constraints));
                }
            }
            found
        }
        NodeEnum::AlterTableStmt(_) => {
            let Some((table, commands)) = context.alter_table() else { return Vec::new() };
            let mut found = Vec::new();
            for command in commands {
                match command.def.as_ref().and_then(|def| def.node.as_ref()) {
                    // With a scan it is `fk-validates-rows`, which names both tables.
                    Some(NodeEnum::Constraint(constraint))
                        if is(command, AlterTableType::AtAddConstraint) =>
                    {
                        let scans = !constraint.skip_validation && context.is_live(table);
                        found.extend(foreign(constraint).filter(|_| !scans));
                    }
                    Some(NodeEnum::ColumnDef(column)) if common::default(column).is_none() => {
                        found.extend(targets(&column.constraints));
                    }
                    _ => {}
                }
            }
            found
        }
        _ => Vec::new(),
    }
}

fn foreign(constraint: &Constraint) -> Option<Option<&RangeVar>> {
    (constraint.contype() == ConstrType::ConstrForeign).then_some(constraint.pktable.as_ref())
}
