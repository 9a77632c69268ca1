//! A matter of house rules: comments, enums, nullable keys, too many columns.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink},
    schema::{ConstraintKind, TypeKind},
};

pub(super) static RULE: Rule = Rule {
    name: "style-schema-policy",
    category: Category::Style,
    severity: Severity::Info,
    off_by_default: true,
    summary: "does what some house rules forbid",
    why: "Enums cannot lose a label, a nullable foreign key makes every join an outer one, and very wide \
          tables are slow to change.",
    instead: "Follow the rules of your house.",
    sources: &["https://www.postgresql.org/docs/current/datatype-enum.html"],
    peers: &[
        "eu:W13",
        "pgls:creating-enum",
        "sq:require-enum-value-ordering",
        "sq:ban-create-domain-with-constraint",
        "at:PG110",
        "ps:require-not-null",
        "ps:require-comment",
        "ps:require-columns",
        "ps:forbid-nullable-fk",
        "pgli:B007",
        "pgli:B009",
        "pgli:B011",
        "pgli:B012",
        "gl:add_columns_to_wide_tables",
    ],
    bad: &[
        "create type app.kind as enum ('a', 'b');",
        "create table app.p (id bigint primary key);\ncreate table app.c (id bigint primary key, p bigint references app.p (id));\ncreate index on app.c (p);",
    ],
    good: &["create table app.t (id bigint primary key, a text);"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

/// Beyond this many columns a row seldom fits a page.
const WIDE: usize = 50;

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for ty in context.after.types.values().filter(|ty| matches!(ty.kind, TypeKind::Enum { .. })) {
        if let Some(unit) = ty.born.and_then(|at| context.unit(at)) {
            sink.report_at(
                unit.at,
                unit.span.clone(),
                format!("enum `{}` can gain labels but never lose one", ty.name),
            )
            .on(&ty.name);
        }
    }
    for relation in context.after.relations.values().filter(|relation| !relation.temporary) {
        if let Some(unit) = relation.born.and_then(|at| context.unit(at))
            && relation.columns.len() > WIDE
        {
            let count = relation.columns.len();
            sink.report_at(
                unit.at,
                unit.span.clone(),
                format!("table `{}` has {count} columns", relation.name),
            )
            .on(&relation.name);
        }
        for constraint in &relation.constraints {
            let ConstraintKind::Foreign { columns, .. } = &constraint.kind else { continue };
            let Some(unit) = constraint.born.and_then(|at| context.unit(at)) else { continue };
            let nullable =
                columns.iter().find(|name| relation.column(name).is_some_and(|column| !column.not_null));
            if let Some(column) = nullable {
                sink.report_at(
                    unit.at,
                    unit.span.clone(),
                    format!("foreign key column `{column}` of `{}` may be null", relation.name),
                )
                .object(format!("{}.{column}", relation.name));
            }
        }
    }
}
