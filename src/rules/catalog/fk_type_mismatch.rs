//! A foreign key between columns of different types.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink},
    schema::{Catalog, Column, ColumnType, ConstraintKind, Relation, TypeKind},
    sql,
};

pub(super) static RULE: Rule = Rule {
    name: "fk-type-mismatch",
    category: Category::Compatibility,
    severity: Severity::Warning,
    summary: "adds a foreign key whose column has another type than the column it points at",
    why: "Postgres accepts it where the two types compare, and it works until a value of the wider type \
          does not fit the narrower; some plans cannot use the index across the types.",
    instead: "Give the foreign key column the type of the column that it references.",
    sources: &["https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK"],
    peers: &["om:mismatched_foreign_key_type", "pih:25", "pgli:B008"],
    given: "create table public.orders (id bigint primary key, code text unique);
            alter table public.orders enable row level security;",
    bad: &[
        "create table app.items (id bigint primary key, order_id integer references public.orders (id));\ncreate index on app.items (order_id);",
        "create table app.items (id bigint primary key, order_id int);\ncreate index on app.items (order_id);\nalter table app.items add foreign key (order_id) references public.orders;",
    ],
    good: &[
        "create table app.items (id bigint primary key, order_id int8 references public.orders (id));\ncreate index on app.items (order_id);",
        "create table app.items (id bigint primary key, code varchar(20) references public.orders (code));\ncreate index on app.items (code);",
        "create domain app.order_id as bigint;\ncreate table app.items (id app.order_id primary key references public.orders);",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    let catalog = context.after;
    for relation in catalog.relations.values() {
        for constraint in &relation.constraints {
            let ConstraintKind::Foreign { columns, target, target_columns, .. } = &constraint.kind else {
                continue;
            };
            let (Some(born), Some(parent)) = (constraint.born, catalog.relation(target)) else { continue };
            let Some(unit) = context.unit(born) else { continue };
            let keys = match target_columns.as_slice() {
                [] => parent.primary_key().unwrap_or_default(),
                named => named,
            };
            for (column, key) in columns.iter().zip(keys) {
                let Some((own, theirs)) = types(catalog, relation, column, parent, key) else { continue };
                let message = format!(
                    "points `{}`.`{column}` ({own}) at `{target}`.`{key}` ({theirs}), another type, whose values may not \
                     fit",
                    relation.name
                );
                let alter = format!(
                    "ALTER TABLE {} ALTER COLUMN {} TYPE {theirs};",
                    relation.name.sql(),
                    sql::ident(column)
                );
                let report = sink
                    .report_at(born, unit.span.clone(), message)
                    .object(format!("{}.{column}", relation.name));
                if relation.born.is_some() {
                    report.suggest(alter);
                }
            }
        }
    }
}

/// The two types, if they differ.
fn types(
    catalog: &Catalog,
    relation: &Relation,
    column: &str,
    parent: &Relation,
    key: &str,
) -> Option<(String, String)> {
    let base = |column: &Column| base(catalog, &column.ty);
    let (own, theirs) = (base(relation.column(column)?), base(parent.column(key)?));
    let text = |ty: &ColumnType| matches!(ty.name.as_str(), "text" | "varchar");
    let same = own.name == theirs.name && own.schema == theirs.schema && own.array == theirs.array;
    let unknown = own.is_unknown() || theirs.is_unknown();
    // varchar and text are one type to an index.
    (!(same || unknown || text(&own) && text(&theirs))).then(|| (shown(&own), shown(&theirs)))
}

/// The type below a domain.
fn base(catalog: &Catalog, ty: &ColumnType) -> ColumnType {
    let domain = catalog.types.values().find_map(|known| match &known.kind {
        TypeKind::Domain { base, .. }
            if known.name.name == ty.name
                && ty.schema.as_ref().is_none_or(|schema| *schema == known.name.schema) =>
        {
            Some(base)
        }
        _ => None,
    });
    domain.cloned().unwrap_or_else(|| ty.clone())
}

/// As people write it.
fn shown(ty: &ColumnType) -> String {
    match ty.name.as_str() {
        "int2" => "smallint",
        "int4" => "integer",
        "int8" => "bigint",
        other => other,
    }
    .to_owned()
}
