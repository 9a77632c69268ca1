//! `CREATE OR REPLACE` that Postgres refuses because the shape changes.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, names},
    schema::{Column, Grantee, QName, Relation, RelationKind},
    sql::{
        self,
        ast::{self, Name, NodeEnum, ViewStmt},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "view-replace-incompatible",
    category: Category::Compatibility,
    severity: Severity::Error,
    summary: "replaces a view or function by one of another shape",
    why: "Postgres refuses it: a replaced view may only gain columns at its end (42P16), a replaced \
          function must keep its return type and the names of its arguments (42P13).",
    instead: "Drop and create it in one transaction, and grant again what was granted before.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-createview.html",
        "https://www.postgresql.org/docs/current/sql-createfunction.html",
    ],
    peers: &["sfm:broken-compute"],
    refused: true,
    given: "create table app.people (id bigint primary key, name text, mail text);
            create view app.names as select id, name from app.people;
            create view app.all_people as select *, 1 as one from app.people;
            create function app.pair(out a int, out b int) language sql set search_path = '' as 'select 1, 2';
            create function app.plus(a int, b int) returns int language sql immutable set search_path = '' as 'select a + b';
            create function app.minus(a int, b int default 1) returns int language sql immutable set search_path = '' as 'select a - b';",
    bad: &[
        "create or replace view app.names as select name, id from app.people;",
        "create or replace view app.names as select id from app.people;",
        "create or replace view app.names as select id, name as full_name from app.people;",
        "create or replace view app.names as select id, name::varchar(10) as name from app.people;",
        "alter table app.people add column nick text;\ncreate or replace view app.all_people as select *, 1 as one from app.people;",
        "create or replace function app.pair(out a int, out c int) language sql set search_path = '' as 'select 1, 2';",
        "create or replace function app.minus(a int, b int) returns int language sql immutable set search_path = '' as 'select a - b';",
    ],
    good: &[
        "create or replace view app.names as select id, name, mail from app.people;",
        "create or replace view app.all_people as select *, 1 as one from app.people;",
        "create or replace function app.plus(a int, b int) returns int language sql immutable set search_path = '' as 'select b + a';",
        "create view app.v as select 1 as one;\ndrop view app.v;\ncreate or replace view app.v as select 2 as two;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    match context.node {
        NodeEnum::ViewStmt(view) if view.replace => {
            let Some(range) = &view.view else { return };
            let name = context.resolve(range);
            let Some(old) = context.relation(&name).filter(|old| old.kind == RelationKind::View) else {
                return;
            };
            let Some((mut after, true)) = view
                .query
                .as_ref()
                .and_then(|query| query.node.as_ref())
                .map(|query| context.catalog.columns_of(query, context.session))
            else {
                return;
            };
            for (column, alias) in after.iter_mut().zip(ast::strings(&view.aliases)) {
                column.name = alias;
            }
            if !old.columns_known {
                return;
            }
            let names = |columns: &[Column]| -> Vec<String> {
                columns.iter().map(|column| column.name.clone()).collect()
            };
            let (before, now) = (names(&old.columns), names(&after));
            let change = before.iter().enumerate().find_map(|(at, column)| match now.get(at) {
                None => Some(format!("loses column `{column}`")),
                Some(other) if other != column && !other.is_empty() && !column.is_empty() => {
                    Some(format!("has `{other}` where column `{column}` was"))
                }
                Some(_) => None,
            });
            let change = change.or_else(|| retyped(old, &after));
            if let Some(change) = change {
                let report = sink
                    .report(format!("the new view `{name}` {change}; Postgres refuses that (42P16)"))
                    .on(&name);
                if let Some(text) = anew(view, old) {
                    report.suggest(text);
                }
            }
        }
        NodeEnum::CreateFunctionStmt(create) if create.replace => routine(create, context, sink),
        _ => {}
    }
}

/// The view dropped and created, and what was granted on it granted again.
fn anew(view: &ViewStmt, old: &Relation) -> Option<String> {
    let create = sql::deparse(&NodeEnum::ViewStmt(ViewStmt { replace: false, ..view.clone() }.into()))?;
    let name = old.name.sql();
    let mut text = format!("DROP VIEW {name};\n{create};");
    for grant in &old.grants {
        let to = match &grant.grantee {
            Grantee::Public => "PUBLIC".to_owned(),
            Grantee::Role(role) => sql::ident(role),
        };
        // ALL stands alone.
        let all = grant.privileges.get("all");
        let what: Vec<String> = match all {
            Some(all) => vec![all.to_uppercase()],
            None => grant.privileges.iter().map(|privilege| privilege.to_uppercase()).collect(),
        };
        text.push_str(&format!("\nGRANT {} ON {name} TO {to};", what.join(", ")));
    }
    Some(text)
}

/// A column of another type, where both types can be told.
fn retyped(old: &Relation, new: &[Column]) -> Option<String> {
    old.columns.iter().zip(new).find_map(|(before, after)| {
        let known = !before.ty.is_unknown() && !after.ty.is_unknown();
        let same = before.ty.is_kin(&after.ty) && before.ty.modifiers == after.ty.modifiers;
        (known && !same).then(|| format!("makes column `{}` of {} {}", before.name, before.ty, after.ty))
    })
}

/// A replaced function keeps its return type and the names of its arguments.
fn routine(create: &ast::CreateFunctionStmt, context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some(name) = Name::from_parts(&ast::strings(&create.funcname)) else { return };
    let place: QName = context.catalog.place(&name, context.session);
    let Some(overloads) = context.catalog.routines.get(&place) else { return };
    // The model after the statement says how it reads the arguments: ask it, rather than read twice.
    let mut after = context.catalog.clone();
    after.apply(context.unit, &mut context.session.clone());
    for old in overloads {
        let Some(new) = after
            .routines
            .get(&place)
            .and_then(|routines| routines.iter().find(|routine| routine.arguments == old.arguments))
            .filter(|routine| routine.changed == Some(context.unit.at))
        else {
            continue;
        };
        let renamed = old
            .argument_names
            .iter()
            .zip(&new.argument_names)
            .find(|(before, after)| !before.is_empty() && before != after);
        let what = if old.returns != new.returns {
            let text = |ty: &Option<String>| ty.clone().unwrap_or_else(|| "nothing".into());
            format!("returns `{}` instead of `{}`", text(&new.returns), text(&old.returns))
        } else if let Some((before, after)) = renamed {
            format!("renames argument `{before}` to `{after}`")
        } else if old.outputs != new.outputs {
            "gives back other columns (OUT)".to_owned()
        } else if new.defaults < old.defaults {
            "takes defaults of its arguments away".to_owned()
        } else {
            continue;
        };
        sink.report(format!("the new `{place}` {what}; Postgres refuses that (42P13)")).on(&place).suggest(
            format!(
                "DROP FUNCTION {}({});\n{};",
                place.sql(),
                names::arguments_sql(old),
                context.unit.text.trim()
            ),
        );
    }
}
