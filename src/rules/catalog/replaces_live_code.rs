//! `CREATE OR REPLACE` of something that is in use.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::ast::{self, Name, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "replaces-live-code",
    category: Category::Compatibility,
    severity: Severity::Info,
    off_by_default: true,
    summary: "replaces a view, routine or trigger that is in use",
    why: "Its behaviour changes for running code without any error.",
    instead: "Show the difference of the two bodies in the pull request.",
    sources: &["https://www.postgresql.org/docs/current/sql-createfunction.html"],
    peers: &["sq:ban-replace-view-function"],
    given: "create function app.two() returns int language sql immutable set search_path = '' as 'select 2';
            create view app.v as select 1 as one;",
    bad: &[
        "create or replace function app.two() returns int language sql immutable set search_path = '' as 'select 3';",
        "create or replace view app.v as select 2 as one;",
    ],
    good: &["create or replace view app.w as select 1 as one;"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let existing = match context.node {
        NodeEnum::ViewStmt(view) if view.replace => view
            .view
            .as_ref()
            .map(|range| context.resolve(range))
            .filter(|name| context.relation(name).is_some_and(|relation| relation.born.is_none())),
        NodeEnum::CreateFunctionStmt(create) if create.replace => {
            Name::from_parts(&ast::strings(&create.funcname))
                .map(|name| context.catalog.place(&name, context.session))
                .filter(|name| {
                    context
                        .catalog
                        .routines
                        .get(name)
                        .is_some_and(|all| all.iter().any(|one| one.born.is_none()))
                })
        }
        _ => None,
    };
    if let Some(name) = existing {
        sink.report(format!("`{name}` behaves differently from now on")).on(&name);
    }
}
