//! A key that runs out of numbers.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink},
};

pub(super) static RULE: Rule = Rule {
    name: "small-int-primary-key",
    category: Category::Style,
    severity: Severity::Warning,
    summary: "uses a four-byte or two-byte integer as primary key",
    why: "After 2,147,483,647 inserts (failed ones count) the table takes no more rows, and widening the key \
          then rewrites it and every table that references it.",
    instead: "Use bigint (identity) or uuid: the padding makes the four bytes cost nothing in most tables.",
    sources: &["https://www.postgresql.org/docs/current/datatype-numeric.html#DATATYPE-INT"],
    peers: &[
        "pgm:PGM107",
        "ps:prefer-bigint-primary-key",
        "om:short_primary_key_type",
        "bb:index_primary_key_type_allowlist",
        "sq:prefer-bigint-over-int",
    ],
    bad: &[
        "create table app.t (id serial primary key);",
        "create table app.t (id int generated always as identity primary key, a text);",
        "create domain app.code as int;\ncreate table app.t (id app.code primary key);",
        "create table app.t (id int generated always as identity, day date, primary key (id, day)) partition by range (day);",
        "create table app.t (id smallint not null);\nalter table app.t add primary key (id);",
    ],
    good: &[
        "create table app.t (id bigint primary key);",
        "create table app.t (id uuid primary key, n int);",
        "create table app.t (code text primary key, pos integer not null);",
        "create table app.t (a bigint, b int, primary key (a, b));",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for relation in context.after.relations.values() {
        let Some(unit) = relation.born.and_then(|at| context.unit(at)) else { continue };
        if relation.temporary || relation.partition_of.is_some() {
            continue;
        }
        // In a key of several columns the parts are foreign keys, whose type their parent decides; but not one
        // that counts up.
        let Some(key) = relation.primary_key() else { continue };
        let counts = |name: &&String| {
            key.len() == 1
                || relation.column(name).is_some_and(|column| column.serial || column.identity.is_some())
        };
        let Some(column) = key.iter().find(counts).and_then(|name| relation.column(name)) else { continue };
        let name = &column.name;
        let ty = context.after.base_type(&column.ty);
        if matches!(ty.name.as_str(), "int4" | "int2") && ty.array == 0 {
            sink.report_at(
                unit.at,
                unit.span.clone(),
                format!("primary key `{name}` of `{}` is {} and runs out of numbers", relation.name, ty),
            )
            .object(format!("{}.{name}", relation.name));
        }
    }
}
