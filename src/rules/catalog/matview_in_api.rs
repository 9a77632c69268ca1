//! A materialized view that the API offers.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::RelationKind,
};

pub(super) static RULE: Rule = Rule {
    name: "matview-in-api",
    category: Category::Security,
    severity: Severity::Warning,
    summary: "exposes a materialized view",
    why: "A materialized view has no row level security and was filled with its owner's rights: whoever may select \
          from it sees every row of it.",
    instead: "Keep it in a schema that is not exposed and offer a function or a view over it, or revoke it from the \
              API's roles.",
    sources: &["https://www.postgresql.org/docs/current/ddl-rowsecurity.html"],
    peers: &["sp:0016"],
    given: "create table public.sales (id bigint primary key, amount int);
            alter table public.sales enable row level security;
            create materialized view app.inner as select count(*) as n from public.sales;
            grant select on app.inner to authenticated;",
    bad: &[
        "create materialized view public.totals as select count(*) as n from public.sales;",
        "alter materialized view app.inner set schema public;",
    ],
    good: &[
        "create materialized view app.totals as select count(*) as n from public.sales;",
        "create materialized view public.totals as select count(*) as n from public.sales;\nrevoke all on public.totals from anon, authenticated;",
        "create view public.totals with (security_invoker = on) as select count(*) as n from public.sales;",
    ],
    also: &["rename-table"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for view in access::exposed(context).into_iter().filter(|it| it.kind == RelationKind::MaterializedView) {
        let readers = access::readers(view);
        let Some(at) = access::brought_within_reach(context, view).filter(|_| !readers.is_empty()) else {
            continue;
        };
        let message = format!(
            "materialized view `{}` has no row level security: {} can read all of it through the API",
            view.name,
            access::in_words(&readers)
        );
        access::say(context, sink, at, message).on(&view.name).suggest(format!(
            "REVOKE ALL ON {} FROM {};",
            view.name.sql(),
            readers.join(", ")
        ));
    }
}
