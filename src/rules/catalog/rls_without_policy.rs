//! Row level security without a policy: nobody sees a row.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access, origin},
};

pub(super) static RULE: Rule = Rule {
    name: "rls-without-policy",
    category: Category::Security,
    severity: Severity::Info,
    summary: "leaves a table with row level security and without a policy",
    why: "The API answers with no rows and refuses every write. That is right for a table that only \
          `service_role` uses, and a surprise for any other.",
    instead: "Write a policy for each role that needs the rows, or revoke what the API's roles hold on the table.",
    sources: &["https://supabase.com/docs/guides/database/postgres/row-level-security"],
    peers: &["sp:0008"],
    given: "create table public.notes (id bigint primary key);
            alter table public.notes enable row level security;
            create policy notes_read on public.notes for select to authenticated using (id > 0);",
    bad: &[
        "create table public.todo (id bigint primary key);\nalter table public.todo enable row level security;",
        "drop policy notes_read on public.notes;",
    ],
    good: &[
        "create table public.todo (id bigint primary key, owner_id uuid);\nalter table public.todo enable row level security;\ncreate policy todo_own on public.todo for select to authenticated using (owner_id = (select auth.uid()));",
        "create table public.todo (id bigint primary key);\nalter table public.todo enable row level security;\nrevoke all on public.todo from anon, authenticated;",
        "create table app.todo (id bigint primary key);\nalter table app.todo enable row level security;",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for table in access::exposed_tables(context) {
        if !table.rls || !table.policies.is_empty() || table.partition_of.is_some() {
            continue;
        }
        let reach = access::reach(table);
        let had = context.before.relation(&table.name).is_some_and(|before| !before.policies.is_empty());
        let at =
            table.secured.or(table.born).or_else(|| origin::last_drop_of_policy(context, table, None, had));
        let Some(at) = at.filter(|_| !reach.is_empty()) else { continue };
        let message = format!(
            "`{}` has row level security and no policy: {} can neither read nor write a row",
            table.name,
            access::in_words(&reach)
        );
        access::say(context, sink, at, message).on(&table.name).suggest(format!(
            "REVOKE ALL ON {} FROM {};",
            table.name.sql(),
            reach.join(", ")
        ));
    }
}
