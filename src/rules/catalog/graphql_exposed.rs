//! What pg_graphql shows of the schema.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::RelationKind,
};

pub(super) static RULE: Rule = Rule {
    name: "graphql-exposed",
    category: Category::Security,
    severity: Severity::Info,
    off_by_default: true,
    summary: "adds a relation that GraphQL introspection shows",
    why: "With pg_graphql installed, everybody who may select from a relation can read its name, columns and keys \
          from the introspection of the API.",
    instead: "Revoke SELECT from roles that have no use for it, or drop pg_graphql where nobody uses it.",
    sources: &["https://supabase.com/docs/guides/graphql/security"],
    peers: &["sp:0026", "sp:0027"],
    bad: &[
        "create extension pg_graphql;\ncreate table public.docs (id bigint primary key);\nalter table public.docs enable row level security;",
        "create extension pg_graphql;\ncreate view public.one with (security_invoker = on) as select 1 as one;",
    ],
    good: &[
        "create table public.docs (id bigint primary key);\nalter table public.docs enable row level security;",
        "create table app.docs (id bigint primary key);",
        "create table public.docs (id bigint primary key);\nalter table public.docs enable row level security;\nrevoke all on public.docs from anon, authenticated;",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    if !context.after.extensions.contains_key("pg_graphql") {
        return;
    }
    for relation in access::exposed(context) {
        if matches!(relation.kind, RelationKind::Sequence | RelationKind::CompositeType) {
            continue;
        }
        let readers = access::readers(relation);
        let Some(at) = access::brought_within_reach(context, relation).filter(|_| !readers.is_empty()) else {
            continue;
        };
        let message =
            format!("GraphQL introspection shows `{}` to {}", relation.name, access::in_words(&readers));
        access::say(context, sink, at, message).on(&relation.name);
    }
}
