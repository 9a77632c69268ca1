//! A replaced view that forgets whose rights it runs with.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::RelationKind,
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "replace-view-drops-invoker",
    category: Category::Security,
    severity: Severity::Error,
    summary: "replaces a view without writing its security_invoker again",
    why: "CREATE OR REPLACE VIEW resets every option that it does not name: the view runs as its owner from now on, \
          past the row level security of the tables below, and nothing says so.",
    instead: "Repeat the WITH clause.",
    sources: &["https://www.postgresql.org/docs/current/sql-createview.html"],
    peers: &[],
    given: "create table public.people (id bigint primary key, email text);
            alter table public.people enable row level security;
            create view public.names with (security_invoker = on) as select id from public.people;
            create view app.names with (security_invoker = true) as select id from public.people;",
    bad: &[
        "create or replace view public.names as select id from public.people where id > 0;",
        "create or replace view app.names with (security_barrier) as select id from public.people;",
    ],
    good: &[
        "create or replace view public.names with (security_invoker = true) as select id from public.people where id > 0;",
        "create or replace view public.names as select id from public.people where id > 0;\nalter view public.names set (security_invoker = on);",
        "create or replace view app.others as select 1 as one;",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for view in context.after.relations.values().filter(|view| view.kind == RelationKind::View) {
        let Some(at) = view.secured.filter(|_| view.born.is_none() && !access::is_invoker(view)) else {
            continue;
        };
        let was = context.before.relation(&view.name).is_some_and(access::is_invoker);
        let replaced = access::units(context, at).any(|unit| matches!(unit.node, NodeEnum::ViewStmt(_)));
        if was && replaced {
            let message = format!(
                "replacing view `{}` without its WITH clause drops `security_invoker`: it reads as its owner, past \
                 row level security",
                view.name
            );
            access::say(context, sink, at, message)
                .on(&view.name)
                .suggest(format!("ALTER VIEW {} SET (security_invoker = on);", view.name.sql()));
        }
    }
}
