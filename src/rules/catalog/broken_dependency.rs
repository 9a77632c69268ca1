//! A name that is not there.

use crate::{
    finding::{Category, Direction, Severity},
    rules::{Check, Context, Rule, Sink, absent},
    schema::{Lookup, Nesting, QName, RelationKind},
    sql::ast::{Name, NodeEnum, RangeVar},
};

pub(in crate::rules) static RULE: Rule = Rule {
    name: "broken-dependency",
    category: Category::Compatibility,
    severity: Severity::Error,
    summary: "names something that does not exist, that is there already, or that something else depends on",
    why: "The statement fails on a database that holds what the earlier migrations made: on the shadow it did, \
          or the migrations leave no doubt. Where the thing was made by hand in the dashboard, no migration \
          knows it, and a new environment fails likewise.",
    instead: "Correct the name, or add the migration that makes the thing.",
    sources: &["https://www.postgresql.org/docs/current/errcodes-appendix.html"],
    peers: &["sfm:broken-compute", "sfm:schema-drift", "psd:HAS_UNTRACKABLE_DEPENDENCIES"],
    refused: true,
    given: "create table app.orders (id bigint primary key, note text);
            create index orders_note on app.orders (note);",
    bad: &[
        "create table app.orders (id bigint primary key);",
        "update app.orders set nota = '' where id = 1;",
        "alter table app.orders alter column nota set default '';",
        "drop table app.orders;\nalter table app.orders add column a int;",
        "create view app.notes as select o.nota from app.orders o where o.id > 1;",
    ],
    good: &[
        "create table if not exists app.orders (id bigint primary key);",
        "alter table app.orders add column nota text, alter column nota set default '';\nupdate app.orders set nota = '' where id = 1;",
        "create view app.notes as select o.note as n, o.ctid, count(*) over () from app.orders o order by n;",
        "do $$ begin execute 'alter table app.orders add column ' || 'nota text'; end $$;\nupdate app.orders set nota = '' where id = 1;",
    ],
    also: &["drop-table", "drop-column", "drop-object"],
    // What the shadow sees is raised elsewhere.
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    // Under a condition or a handler it may be meant to fail; DOWN is tried on the shadow.
    if context.unit.nesting != Nesting::Top || context.direction == Direction::Down {
        return;
    }
    if let Some((what, name)) = made_twice(context) {
        sink.report(format!("creates {what} `{name}`, which is there already: this fails (42P07)"))
            .on(&name)
            .help(format!("Alter `{name}`, drop it before, or give the new one another name."));
    } else if let Some(name) = gone(context) {
        sink.report(format!("alters `{name}`, which was dropped before: this fails (42P01)"))
            .on(&name)
            .help(format!("Leave the statement out, or keep `{name}`."));
    } else if let Some((table, column)) = absent::column(context) {
        let known = context.relation(&table).map(|table| {
            table
                .columns
                .iter()
                .map(|column| format!("`{}`", column.name))
                .take(20)
                .collect::<Vec<_>>()
                .join(", ")
        });
        sink.report(format!(
            "names column `{column}` of `{table}`, which has none of that name: this fails (42703)"
        ))
        .object(format!("{table}.{column}"))
        .help(format!(
            "Correct the name, or add the column in a statement before. The migrations give the table {}.",
            known.unwrap_or_default()
        ));
    }
}

/// What the statement creates although a relation of that name is there.
fn made_twice(context: &Context<'_>) -> Option<(&'static str, QName)> {
    let (what, range): (_, &RangeVar) = match context.node {
        NodeEnum::CreateStmt(create) if !create.if_not_exists => ("table", create.relation.as_ref()?),
        NodeEnum::CreateTableAsStmt(create) if !create.if_not_exists => {
            ("table", create.into.as_ref()?.rel.as_ref()?)
        }
        NodeEnum::ViewStmt(view) if !view.replace => ("view", view.view.as_ref()?),
        _ => return None,
    };
    let name = context.catalog.place_range(range, context.session);
    let there = context.relation(&name).filter(|_| !context.catalog.blind)?;
    // One that the migrations only alter may have been a guess.
    let made = there.columns_known || there.kind == RelationKind::View;
    made.then_some((what, name))
}

/// The relation that the statement alters, if it was dropped before.
fn gone(context: &Context<'_>) -> Option<QName> {
    let NodeEnum::AlterTableStmt(alter) = context.node else { return None };
    let range = alter.relation.as_ref().filter(|_| !alter.missing_ok && !context.catalog.blind)?;
    // Which schema a bare name meant is not certain once nothing of that name is left.
    let name = context.catalog.resolve(&Name::of(range), context.session);
    matches!(context.catalog.lookup(&name), Lookup::Dropped).then_some(name)
}
