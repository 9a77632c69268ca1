//! A column of a type that pg_upgrade refuses.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, context::subcommands},
    schema::{Column, Relation, Unit},
    sql::{
        self,
        ast::{AlterTableType, NodeEnum},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "reg-type-column",
    category: Category::Compatibility,
    severity: Severity::Warning,
    summary: "stores an object identifier that does not survive an upgrade",
    why: "pg_upgrade refuses a database with columns of these types: the numbers they store change.",
    instead: "Store the name as text.",
    sources: &["https://www.postgresql.org/docs/current/pgupgrade.html"],
    peers: &["sp:0018"],
    bad: &[
        "create table app.t (id bigint primary key, f regproc);",
        "create table app.t (id bigint primary key);\nalter table app.t add column c regconfig;",
        "create table app.t (id bigint primary key, c text);\n-- next file\nalter table app.t alter column c type regconfig using c::regconfig;",
    ],
    good: &["create table app.t (id bigint primary key, a regclass, b regtype, c regrole);"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

/// regclass, regtype and regrole are carried over (`check_for_reg_data_type_usage`, pg_upgrade).
const REFUSED: [&str; 8] = [
    "regproc",
    "regprocedure",
    "regoper",
    "regoperator",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regcollation",
];

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for relation in context.after.relations.values().filter(|relation| !relation.temporary) {
        for column in relation.columns.iter().filter(|column| REFUSED.contains(&column.ty.name.as_str())) {
            let made = column.born.or(relation.born).and_then(|at| context.unit(at));
            if let Some(unit) = made.or_else(|| retyped(context, relation, column)) {
                sink.report_at(
                    unit.at,
                    unit.span.clone(),
                    format!(
                        "column `{}` of `{}` is {}, which pg_upgrade refuses",
                        column.name, relation.name, column.ty.name
                    ),
                )
                .object(format!("{}.{}", relation.name, column.name))
                .suggest(format!(
                    "ALTER TABLE {} ALTER COLUMN {} TYPE text;",
                    relation.name.sql(),
                    sql::ident(&column.name)
                ));
            }
        }
    }
}

/// The statement of the change that gave an older column its type.
fn retyped<'a>(context: &ChangeContext<'a>, relation: &Relation, column: &Column) -> Option<&'a Unit> {
    let changes = |unit: &&Unit| match &unit.node {
        NodeEnum::AlterTableStmt(alter) => {
            alter.relation.as_ref().is_some_and(|range| range.relname == relation.name.name)
                && subcommands(alter).iter().any(|command| {
                    command.subtype() == AlterTableType::AtAlterColumnType && command.name == column.name
                })
        }
        _ => false,
    };
    context.units.iter().rev().map(|unit| &**unit).find(changes)
}
