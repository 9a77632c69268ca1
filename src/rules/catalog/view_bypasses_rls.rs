//! A view that reads with its owner's rights.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::{At, Relation, RelationKind},
};

pub(super) static RULE: Rule = Rule {
    name: "view-bypasses-rls",
    category: Category::Security,
    severity: Severity::Error,
    summary: "exposes a view that reads with its owner's rights",
    why: "A view runs as its owner unless it is told otherwise, and the owner is not bound by row level security: \
          whoever may select from the view sees all rows of the tables below.",
    instead: "Create it `WITH (security_invoker = on)` (Postgres 15 and later), and write the option again with \
              each CREATE OR REPLACE.",
    sources: &["https://www.postgresql.org/docs/current/sql-createview.html"],
    peers: &["sp:0010", "sq:ban-alter-view-options"],
    given: "create table public.people (id bigint primary key, email text);
            alter table public.people enable row level security;
            create view public.loose as select id from public.people;
            create view public.safe with (security_invoker = on) as select id from public.people;",
    bad: &[
        "create view public.names as select id from public.people;",
        "create view public.names with (security_barrier = true) as select id from public.people;",
        "create view public.names with (security_invoker = off) as select id from public.people;",
        "alter view public.safe set (security_invoker = false);",
        "alter view public.safe reset (security_invoker);",
    ],
    good: &[
        "create view public.names with (security_invoker = on) as select id from public.people;",
        "create view public.names with (security_invoker) as select id from public.people;",
        "create view public.names with (security_invoker = yes) as select id from public.people;",
        "create view public.names as select id from public.people;\nalter view public.names set (security_invoker = 1);",
        "alter view public.loose set (security_barrier = on);",
        "create view app.names as select id from public.people;",
        "create view public.numbers as select n from generate_series(1, 3) as n;",
        "create view public.names as select id from public.people;\nrevoke all on public.names from anon, authenticated;",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for view in access::exposed(context).into_iter().filter(|view| view.kind == RelationKind::View) {
        if access::is_invoker(view) {
            continue;
        }
        let below: Vec<String> = view
            .reads
            .iter()
            .filter(|name| !name.schema.starts_with("pg_") && name.schema != "information_schema")
            .map(|name| format!("`{name}`"))
            .collect();
        let reach = access::reach(view);
        let Some(at) = since(context, view).filter(|_| !below.is_empty() && !reach.is_empty()) else {
            continue;
        };
        let message = format!(
            "view `{}` reads {} as its owner, past their row level security: {} can see all rows",
            view.name,
            below.join(", "),
            access::in_words(&reach)
        );
        let suggestion = match context.pg {
            15.. => format!("ALTER VIEW {} SET (security_invoker = on);", view.name.sql()),
            _ => format!("REVOKE ALL ON {} FROM {};", view.name.sql(), reach.join(", ")),
        };
        access::say(context, sink, at, message).on(&view.name).suggest(suggestion);
    }
}

/// Where the change made, replaced or altered the view, or first granted it.
fn since(context: &ChangeContext<'_>, view: &Relation) -> Option<At> {
    view.secured.or_else(|| access::brought_within_reach(context, view))
}
