//! A new table with policies and without a grant.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
};

pub(super) static RULE: Rule = Rule {
    name: "missing-api-grant",
    category: Category::Supabase,
    severity: Severity::Info,
    summary: "writes policies for roles that hold no privilege on the new table",
    why: "Where new objects are not granted to the API's roles by themselves (`supabase.expose_public = false`, the \
          platform's default since 2026), a policy alone opens nothing: the API answers 42501.",
    instead: "Grant each role the verbs that its policies are for.",
    sources: &["https://supabase.com/docs/guides/api/securing-your-api"],
    peers: &[],
    bad: &[
        "--: supabase.expose_public = false\ncreate table public.todo (id bigint primary key);\nalter table public.todo enable row level security;\ncreate policy todo_read on public.todo for select to authenticated using (id > 0);",
        "--: supabase.expose_public = false\ncreate table public.todo (id bigint primary key);\nalter table public.todo enable row level security;\ncreate policy todo_add on public.todo for insert to anon with check (id > 0);\ngrant select on public.todo to service_role;",
    ],
    good: &[
        "--: supabase.expose_public = false\ncreate table public.todo (id bigint primary key);\nalter table public.todo enable row level security;\ncreate policy todo_read on public.todo for select to authenticated using (id > 0);\ngrant select on public.todo to authenticated;",
        "create table public.todo (id bigint primary key);\nalter table public.todo enable row level security;\ncreate policy todo_read on public.todo for select to authenticated using (id > 0);",
        "--: supabase.expose_public = false\ncreate table app.todo (id bigint primary key);\nalter table app.todo enable row level security;\ncreate policy todo_read on app.todo for select to authenticated using (id > 0);",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    if context.config.supabase.expose_public {
        return;
    }
    for table in access::exposed_tables(context).filter(|table| table.partition_of.is_none()) {
        let Some(at) = table.born.filter(|_| access::reach(table).is_empty()) else { continue };
        let mut roles: Vec<String> = table
            .policies
            .iter()
            .filter(|policy| policy.permissive)
            .flat_map(access::api_roles)
            .map(|role| if role == "PUBLIC" { "authenticated".to_owned() } else { role })
            .collect();
        roles.sort();
        roles.dedup();
        if roles.is_empty() {
            continue;
        }
        let mut verbs: Vec<&str> = Vec::new();
        for policy in &table.policies {
            match policy.command.as_str() {
                "all" => verbs.extend(["SELECT", "INSERT", "UPDATE", "DELETE"]),
                "select" => verbs.push("SELECT"),
                "insert" => verbs.push("INSERT"),
                "update" => verbs.push("UPDATE"),
                _ => verbs.push("DELETE"),
            }
        }
        let mut listed: Vec<&str> = Vec::new();
        verbs.retain(|verb| {
            let first = !listed.contains(verb);
            listed.push(verb);
            first
        });
        let message = format!(
            "`{}` has policies for {} and no grant to them: the API answers 42501",
            table.name,
            access::in_words(&roles)
        );
        access::say(context, sink, at, message).on(&table.name).suggest(format!(
            "GRANT {} ON {} TO {};",
            verbs.join(", "),
            table.name.sql(),
            roles.join(", ")
        ));
    }
}
