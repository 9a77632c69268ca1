//! A column of a type that pg_upgrade refuses.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink},
    sql,
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
        for column in &relation.columns {
            if !REFUSED.contains(&column.ty.name.as_str()) {
                continue;
            }
            if let Some(unit) = column.born.or(relation.born).and_then(|at| context.unit(at)) {
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
