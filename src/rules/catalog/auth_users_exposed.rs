//! A view over `auth.users` that the API offers.

use std::collections::BTreeSet;

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::{Catalog, QName, Relation, RelationKind},
};

pub(super) static RULE: Rule = Rule {
    name: "auth-users-exposed",
    category: Category::Security,
    severity: Severity::Error,
    summary: "exposes the accounts of all users",
    why: "`auth.users` holds addresses, phone numbers and password hashes; a view over it in an exposed schema \
          hands them to whoever may select from the view.",
    instead: "Keep what others may see in a table of your own, filled by a trigger on auth.users, with row level \
              security.",
    sources: &["https://supabase.com/docs/guides/auth/managing-user-data"],
    peers: &["sp:0002"],
    given: "create view app.accounts as select id, email from auth.users;",
    bad: &[
        "create view public.people as select id, email from auth.users;",
        "create materialized view public.people as select id, email from auth.users;",
        "create view public.people as select id, email from app.accounts;",
    ],
    good: &[
        "create view public.people with (security_invoker = on) as select id, email from auth.users;",
        "create view app.people as select id, email from auth.users;",
        "create materialized view app.people as select id from auth.users;",
        "create table public.profiles (id uuid primary key references auth.users (id) on delete cascade);\nalter table public.profiles enable row level security;",
    ],
    also: &["view-bypasses-rls", "matview-in-api"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for view in access::exposed(context) {
        let guarded = match view.kind {
            RelationKind::View => access::is_invoker(view),
            RelationKind::MaterializedView => false,
            _ => continue,
        };
        let readers = access::readers(view);
        if guarded || readers.is_empty() || !reads_accounts(context.after, view, &mut BTreeSet::new()) {
            continue;
        }
        let Some(at) = view.secured.or_else(|| access::brought_within_reach(context, view)) else { continue };
        let kind = if view.kind == RelationKind::View { "view" } else { "materialized view" };
        let message = format!(
            "{kind} `{}` shows rows of `auth.users` to {}: the accounts of all users",
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

/// Whether a view reads `auth.users`, through other views too.
fn reads_accounts(catalog: &Catalog, view: &Relation, seen: &mut BTreeSet<QName>) -> bool {
    seen.insert(view.name.clone())
        && view.reads.iter().any(|name| {
            (name.schema.as_str(), name.name.as_str()) == ("auth", "users")
                || catalog.relation(name).is_some_and(|below| {
                    let passes = match below.kind {
                        RelationKind::View => !access::is_invoker(below),
                        kind => kind == RelationKind::MaterializedView,
                    };
                    passes && reads_accounts(catalog, below, seen)
                })
        })
}
