//! `CREATE OR REPLACE` that Postgres refuses because the shape changes.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, names},
    schema::{Grantee, QName, Relation, RelationKind},
    sql::{
        self,
        ast::{self, Name, Node, NodeEnum, SelectStmt, ViewStmt},
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
            create function app.plus(a int, b int) returns int language sql immutable set search_path = '' as 'select a + b';
            create function app.minus(a int, b int default 1) returns int language sql immutable set search_path = '' as 'select a - b';",
    bad: &[
        "create or replace view app.names as select name, id from app.people;",
        "create or replace view app.names as select id from app.people;",
        "create or replace view app.names as select id, name as full_name from app.people;",
        "create or replace view app.names as select id, name::varchar(10) as name from app.people;",
        "create or replace function app.minus(a int, b int) returns int language sql immutable set search_path = '' as 'select a - b';",
    ],
    good: &[
        "create or replace view app.names as select id, name, mail from app.people;",
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
            let before = old.query.as_deref().and_then(|query| columns(query, context));
            let after = if view.aliases.is_empty() {
                view.query.as_deref().and_then(|query| columns(query, context))
            } else {
                Some(ast::strings(&view.aliases))
            };
            let (Some(before), Some(after)) = (before, after) else { return };
            let change = before.iter().enumerate().find_map(|(at, column)| match after.get(at) {
                None => Some(format!("loses column `{column}`")),
                Some(other) if other != column => Some(format!("has `{other}` where column `{column}` was")),
                Some(_) => None,
            });
            let change = change.or_else(|| retyped(old, view.query.as_deref()?, context));
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
fn retyped(old: &Relation, query: &Node, context: &Context<'_>) -> Option<String> {
    let (new, whole) = context.catalog.columns_of(query.node.as_ref()?, context.session);
    if !whole || !old.columns_known {
        return None;
    }
    old.columns.iter().zip(&new).find_map(|(before, after)| {
        let known = !before.ty.is_unknown() && !after.ty.is_unknown();
        let same = before.ty.is_kin(&after.ty) && before.ty.modifiers == after.ty.modifiers;
        (known && !same).then(|| format!("makes column `{}` of {} {}", before.name, before.ty, after.ty))
    })
}

/// Names of a query's columns; `None` where they cannot be told.
fn columns(query: &Node, context: &Context<'_>) -> Option<Vec<String>> {
    let NodeEnum::SelectStmt(select) = query.node.as_ref()? else { return None };
    let mut select: &SelectStmt = select;
    while let Some(left) = &select.larg {
        select = left;
    }
    let mut names = Vec::new();
    for target in &select.target_list {
        let NodeEnum::ResTarget(target) = target.node.as_ref()? else { return None };
        if !target.name.is_empty() {
            names.push(target.name.clone());
            continue;
        }
        match target.val.as_ref()?.node.as_ref()? {
            NodeEnum::ColumnRef(column) => match column.fields.last()?.node.as_ref()? {
                NodeEnum::String(name) => names.push(name.sval.clone()),
                NodeEnum::AStar(_) if select.from_clause.len() == 1 => {
                    let NodeEnum::RangeVar(range) = select.from_clause[0].node.as_ref()? else { return None };
                    let relation =
                        context.relation(&context.catalog.resolve(&Name::of(range), context.session))?;
                    if !relation.columns_known {
                        return None;
                    }
                    names.extend(relation.columns.iter().map(|column| column.name.clone()));
                }
                _ => return None,
            },
            NodeEnum::FuncCall(call) => names.push(ast::strings(&call.funcname).pop()?),
            NodeEnum::TypeCast(cast) => match cast.arg.as_ref()?.node.as_ref()? {
                NodeEnum::ColumnRef(column) => names.push(ast::strings(&column.fields).pop()?),
                _ => return None,
            },
            _ => return None,
        }
    }
    Some(names)
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
