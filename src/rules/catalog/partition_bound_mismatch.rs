//! A partition bound that does not fit its parent.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, bounds},
    schema::{QName, Relation, RelationKind},
    sql::ast::{AlterTableType, Name, NodeEnum, PartitionBoundSpec},
};

pub(super) static RULE: Rule = Rule {
    name: "partition-bound-mismatch",
    category: Category::Compatibility,
    severity: Severity::Error,
    summary: "gives a partition a bound that does not fit its parent",
    why: "The migration fails when it is applied: wrong kind of bound, wrong number of columns, or an overlap \
          with a partition that is there.",
    instead: "Give a bound of the parent's strategy that overlaps no other partition.",
    sources: &["https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-PARTITION"],
    peers: &["sfm:partition-strategy-mismatch"],
    refused: true,
    given: "create table app.days (id bigint not null, day date not null, primary key (id, day)) partition by range (day);
            create table app.days_2025 partition of app.days for values from ('2025-01-01') to ('2026-01-01');",
    bad: &[
        "create table app.days_mid partition of app.days for values from ('2025-06-01') to ('2026-06-01');",
        "create table app.days_list partition of app.days for values in ('2026-01-01');",
        "create table app.days_2026 (id bigint not null, day date not null, more int);\nalter table app.days attach partition app.days_2026 for values from ('2026-01-01') to ('2027-01-01');",
        "create table app.days_2026 (id bigint not null, day date);\nalter table app.days attach partition app.days_2026 for values from ('2026-01-01') to ('2027-01-01');",
        "create table app.h (id bigint primary key) partition by hash (id);\ncreate table app.h_0 partition of app.h for values with (modulus 2, remainder 0);\ncreate table app.h_2 partition of app.h for values with (modulus 4, remainder 2);",
        "create table app.days_2030 partition of app.days for values from ('2031-01-01') to ('2030-01-01');",
    ],
    good: &[
        "create table app.days_2026 (day date not null, id bigint not null);\nalter table app.days attach partition app.days_2026 for values from ('2026-01-01') to ('2027-01-01');",
        "create table app.p (id bigint not null primary key) partition by range (id);\ncreate table app.p1 partition of app.p for values from (1) to (10);\ncreate table app.p2 partition of app.p for values from (10) to (20);",
    ],
    also: &["create-partition-locks-parent", "table-without-primary-key"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    match context.node {
        NodeEnum::CreateStmt(create) => {
            let (Some(bound), Some(range)) = (&create.partbound, &create.relation) else { return };
            let Some(NodeEnum::RangeVar(parent)) =
                create.inh_relations.first().and_then(|node| node.node.as_ref())
            else {
                return;
            };
            let child = context.catalog.place(&Name::of(range), context.session);
            if !(create.if_not_exists && context.relation(&child).is_some()) {
                judge(&context.resolve(parent), &child, bound, context, sink);
            }
        }
        NodeEnum::AlterTableStmt(_) => {
            let Some((parent, commands)) = context.alter_table() else { return };
            for command in
                commands.iter().filter(|command| command.subtype() == AlterTableType::AtAttachPartition)
            {
                if let Some(NodeEnum::PartitionCmd(attach)) =
                    command.def.as_ref().and_then(|def| def.node.as_ref())
                    && let (Some(range), Some(bound)) = (&attach.name, &attach.bound)
                {
                    judge(parent, &context.resolve(range), bound, context, sink);
                }
            }
        }
        _ => {}
    }
}

fn judge(
    parent: &QName,
    child: &QName,
    bound: &PartitionBoundSpec,
    context: &Context<'_>,
    sink: &mut Sink<'_>,
) {
    let Some(known) = context.relation(parent) else { return };
    let Some(partitioning) = &known.partitioning else {
        // A plain table that the migrations make; one that they only alter may be anything.
        if known.kind == RelationKind::Table && known.columns_known {
            sink.report(format!("`{child}` cannot become a partition: `{parent}` is not partitioned"))
                .on(parent);
        }
        return;
    };
    // `r`, `l` and `h` in parsenodes.h.
    let kind = match bound.strategy.as_str() {
        "r" => "range",
        "l" => "list",
        "h" => "hash",
        _ if bound.is_default => "default",
        _ => return,
    };
    let problem = if bound.is_default && partitioning.strategy == "hash" {
        Some(format!("`{parent}` is partitioned by hash, which has no DEFAULT"))
    } else if bound.is_default {
        context
            .catalog
            .default_partition(parent)
            .map(|other| format!("`{parent}` already has the DEFAULT partition `{}`", other.name))
    } else if kind != partitioning.strategy {
        Some(format!(
            "`{parent}` is partitioned by {}, and the bound is one of {kind}",
            partitioning.strategy
        ))
    } else if kind == "range" && bound.lowerdatums.len() != partitioning.columns.len() {
        Some(format!(
            "`{parent}` has {} key columns, and the bound {}",
            partitioning.columns.len(),
            bound.lowerdatums.len()
        ))
    } else if kind == "hash" && bound.remainder >= bound.modulus {
        Some("the remainder is not below the modulus".to_owned())
    } else if kind == "range" && bounds::is_empty(bound) {
        Some("the bound is empty: its start is not below its end".to_owned())
    } else {
        context
            .catalog
            .relations
            .speaking_of(parent)
            .filter(|other| other.partition_of.as_ref() == Some(parent) && other.name != *child)
            .find(|other| bounds::of(other).is_some_and(|theirs| bounds::overlap(theirs, bound)))
            .map(|other| format!("the bound overlaps that of `{}`", other.name))
    };
    let attached = context.relation(child).filter(|_| matches!(context.node, NodeEnum::AlterTableStmt(_)));
    let problem = problem.or_else(|| misfit(known, attached?, context));
    if let Some(problem) = problem {
        sink.report(format!("`{child}` cannot become a partition: {problem}")).on(parent);
    }
}

/// Why a table that is there does not fit: its columns are those of the parent, no more and no fewer, of the same
/// types, and at least as strict. Each was run on Postgres 15.
/// <https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ATTACH-PARTITION>
fn misfit(parent: &Relation, child: &Relation, context: &Context<'_>) -> Option<String> {
    if let Some(other) = child.partition_of.as_ref() {
        return Some(format!("it is one of `{other}` already"));
    }
    if !parent.columns_known || !child.columns_known || context.catalog.blind {
        return None;
    }
    let of_parent = parent.columns.iter().find_map(|column| match child.column(&column.name) {
        None => Some(format!("it has no column `{}`", column.name)),
        Some(own)
            if !(own.ty.is_unknown()
                || column.ty.is_unknown()
                || own.ty.is_kin(&column.ty) && own.ty.modifiers == column.ty.modifiers) =>
        {
            Some(format!("its column `{}` is {}, not {}", column.name, own.ty, column.ty))
        }
        Some(own) if column.not_null && !own.not_null => {
            Some(format!("its column `{}` may be NULL", column.name))
        }
        Some(_) => None,
    });
    of_parent.or_else(|| {
        let more = child.columns.iter().find(|column| parent.column(&column.name).is_none())?;
        Some(format!("it has a column `{}`, which the parent lacks", more.name))
    })
}
