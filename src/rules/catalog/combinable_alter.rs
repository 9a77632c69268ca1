//! Several ALTER TABLE that each read or write the whole table.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    schema::Work,
    sql::ast::{AlterTableCmd, AlterTableType, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "combinable-alter",
    category: Category::Style,
    severity: Severity::Info,
    summary: "reads or rewrites a table once more than needed",
    why: "Each ALTER TABLE scans or rewrites for itself; subcommands of one share a single pass.",
    instead: "Write one ALTER TABLE with commas.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES"],
    peers: &["eu:W12", "pgls:multiple-alter-table", "pgm:PGM023", "bb:statement_merge_alter_table"],
    given: "create table app.orders (id bigint primary key, a int, b int);",
    bad: &[
        "alter table app.orders alter column a type bigint;\nalter table app.orders alter column b type bigint;",
    ],
    good: &[
        "alter table app.orders add column c int;\nalter table app.orders add column d int;",
        "create table app.t (id bigint primary key, a int, b int);\nalter table app.t alter column a type bigint;\nalter table app.t alter column b type bigint;",
    ],
    also: &["column-type-rewrite", "slow-work-after-strong-lock"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, _)) = context.alter_table() else { return };
    let heavy = |work: Work| work >= Work::Scan;
    let now =
        context.claims.iter().any(|claim| claim.relation == *table && claim.existed && heavy(claim.work));
    let Some(previous) = context.before.last().filter(|unit| unit.at.transaction == context.at().transaction)
    else {
        return;
    };
    let NodeEnum::AlterTableStmt(alter) = &previous.node else { return };
    let same = alter.relation.as_ref().is_some_and(|range| context.resolve(range) == *table);
    let before = alter.cmds.iter().any(|command| match &command.node {
        Some(NodeEnum::AlterTableCmd(command)) => goes_through_rows(command),
        _ => false,
    });
    if now && same && before {
        sink.report(format!(
            "goes through `{table}` once more than one ALTER TABLE with the previous statement would"
        ))
        .on(table);
    }
}

/// Whether a subcommand reads or writes every row, near enough for a remark on style.
fn goes_through_rows(command: &AlterTableCmd) -> bool {
    use AlterTableType as T;
    let skips = matches!(
        command.def.as_ref().and_then(|def| def.node.as_ref()),
        Some(NodeEnum::Constraint(constraint)) if constraint.skip_validation || !constraint.indexname.is_empty()
    );
    match command.subtype() {
        T::AtAlterColumnType | T::AtSetNotNull | T::AtValidateConstraint => true,
        T::AtAddConstraint => !skips,
        _ => false,
    }
}
