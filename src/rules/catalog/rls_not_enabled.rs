//! A table of an exposed schema that is left without row level security.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
};

pub(super) static RULE: Rule = Rule {
    name: "rls-not-enabled",
    category: Category::Security,
    severity: Severity::Error,
    summary: "leaves a table of an exposed schema without row level security",
    why: "Whoever has the project's public key, which every browser has, reads and writes all of its rows.",
    instead: "Enable row level security and write a policy for each role that needs the rows, or put the table \
              into a schema that is not exposed.",
    sources: &[
        "https://supabase.com/docs/guides/database/postgres/row-level-security",
        "https://www.postgresql.org/docs/current/ddl-rowsecurity.html",
    ],
    peers: &["sp:0013", "sl:rowLevelSecurity", "at:RLS"],
    given: "create table app.inner (id bigint primary key);
            grant select on app.inner to authenticated;",
    bad: &[
        "create table public.todo (id bigint primary key, owner_id uuid not null);",
        "create table public.todo (id bigint primary key) partition by range (id);",
        "--: supabase.expose_public = false\ncreate table public.todo (id bigint primary key);\ngrant select on public.todo to anon;",
        "create table public.todo (id bigint primary key);\nalter table public.todo enable row level security;\nalter table public.todo disable row level security;",
        "alter table app.inner set schema public;",
        "create table public.t (id bigint primary key);\nalter table public.t enable row level security;\ncreate table public.todo (id bigint primary key);",
    ],
    good: &[
        "create table public.todo (id bigint primary key);\nalter table public.todo enable row level security;",
        "create table public.todo (id bigint primary key);\n-- next file\nalter table public.todo enable row level security;",
        "create table app.todo (id bigint primary key);",
        "create temp table todo (id bigint);",
        "create table public.todo (id bigint primary key);\ndrop table public.todo;",
        "create table public.todo (id bigint primary key);\nalter table public.todo set schema app;",
        "do $$ begin\n  create table public.todo (id bigint primary key);\n  alter table public.todo enable row level security;\nend $$;",
        "--: profile = \"postgres\"\ncreate table public.todo (id bigint primary key);",
    ],
    also: &["rename-table"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for table in access::exposed_tables(context) {
        if table.rls || !access::rls_is_known(table) || access::guarded_parent(context, table).is_some() {
            continue;
        }
        let Some(at) = access::brought_within_reach(context, table) else { continue };
        let reach = access::reach(table);
        let (severity, consequence) = if reach.is_empty() {
            (
                Severity::Warning,
                "nobody of the API holds a privilege on it yet, and the first grant opens all of its rows"
                    .into(),
            )
        } else {
            (
                Severity::Error,
                format!("{} can reach all of its rows through the API", access::in_words(&reach)),
            )
        };
        let message = format!("`{}` is left without row level security: {consequence}", table.name);
        access::say(context, sink, at, message)
            .on(&table.name)
            .severity(severity)
            .suggest(format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY;", table.name.sql()));
    }
}
