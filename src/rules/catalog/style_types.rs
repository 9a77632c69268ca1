//! A matter of taste: types.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink},
    schema::Column,
};

pub(super) static RULE: Rule = Rule {
    name: "style-types",
    category: Category::Style,
    severity: Severity::Info,
    off_by_default: true,
    summary: "uses a type that many house styles avoid",
    why: "varchar(n) and char(n) need a migration to widen, timestamp has no zone, money and float round, \
          serial leaves a sequence with permissions of its own.",
    instead: "bigint, text with a CHECK, timestamptz, numeric, identity.",
    sources: &["https://wiki.postgresql.org/wiki/Don%27t_Do_This"],
    peers: &[
        "sq:prefer-bigint-over-int",
        "sq:prefer-bigint-over-smallint",
        "sq:prefer-identity",
        "sq:prefer-text-field",
        "sq:prefer-timestamp-tz",
        "sq:prefer-timestamptz",
        "sq:ban-char-field",
        "pgls:prefer-big-int",
        "pgls:prefer-identity",
        "pgls:prefer-text-field",
        "pgls:prefer-timestamptz",
        "pgm:PGM101",
        "pgm:PGM102",
        "pgm:PGM103",
        "pgm:PGM104",
        "pgm:PGM105",
        "pgm:PGM108",
        "pgm:PGM109",
        "sl:types",
    ],
    bad: &[
        "create table app.t (id bigint primary key, name varchar(20));",
        "create table app.t (id bigint primary key, at timestamp);",
    ],
    good: &[
        "create table app.t (id bigint generated always as identity primary key, name text, at timestamptz);",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for relation in context.after.relations.values().filter(|relation| !relation.temporary) {
        for column in &relation.columns {
            let Some(unit) = column.born.or(relation.born).and_then(|at| context.unit(at)) else { continue };
            if let Some(better) = better(column) {
                sink.report_at(
                    unit.at,
                    unit.span.clone(),
                    format!("column `{}` of `{}` is {}; {better}", column.name, relation.name, column.ty),
                )
                .object(format!("{}.{}", relation.name, column.name));
            }
        }
    }
}

fn better(column: &Column) -> Option<&'static str> {
    Some(match column.ty.name.as_str() {
        _ if column.serial => "an identity column keeps its sequence to itself",
        "int4" | "int2" => "bigint does not run out",
        "varchar" if !column.ty.modifiers.is_empty() => "text with a CHECK can be widened without a rewrite",
        "bpchar" => "text does not pad",
        "timestamp" => "timestamptz says which moment it is",
        "timetz" => "a time with a zone but no date means little",
        "money" => "numeric knows its currency no worse, and rounds as you say",
        "float4" | "float8" => "numeric does not round",
        "xml" | "hstore" => "jsonb is easier to query",
        _ => return None,
    })
}
