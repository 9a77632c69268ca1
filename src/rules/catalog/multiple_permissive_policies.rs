//! Two permissive policies for the same role and command.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::{Grantee, Policy},
};

pub(super) static RULE: Rule = Rule {
    name: "multiple-permissive-policies",
    category: Category::Security,
    severity: Severity::Info,
    summary: "adds a second permissive policy for the same role and command",
    why: "Permissive policies are joined by OR: a row is reachable if any of them lets it through, and Postgres \
          evaluates all of them.",
    instead: "Write one policy with both conditions, or make the narrowing one `AS RESTRICTIVE`.",
    sources: &["https://www.postgresql.org/docs/current/sql-createpolicy.html"],
    peers: &["sp:0006"],
    given: "create table public.docs (id bigint primary key, owner_id uuid, open boolean);
            alter table public.docs enable row level security;
            create policy docs_own on public.docs for select to authenticated using (owner_id = (select auth.uid()));",
    bad: &[
        "create policy docs_open on public.docs for select to authenticated using (open);",
        "create policy docs_any on public.docs for all using (open);",
    ],
    good: &[
        "create policy docs_open on public.docs for select to anon using (open);",
        "create policy docs_guard on public.docs as restrictive for select to authenticated using (open);",
        "create policy docs_add on public.docs for insert to authenticated with check (open);",
        "drop policy docs_own on public.docs;\ncreate policy docs_own on public.docs for select to authenticated using (open);",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for changed in access::policies(context) {
        let policy = changed.policy;
        // Of two that the change makes, the later one is the second.
        let other = changed.table.policies.iter().find(|other| {
            other.name != policy.name
                && overlap(other, policy)
                && (other.changed, &other.name) < (policy.changed, &policy.name)
        });
        let Some(other) = other else { continue };
        let message = format!(
            "{} is joined by OR with `{}` for the same role and command: either of them lets a row through",
            changed.called(),
            other.name
        );
        access::say(context, sink, changed.unit.at, message).object(changed.object());
    }
}

fn overlap(a: &Policy, b: &Policy) -> bool {
    let everything = |policy: &Policy| policy.command == "all";
    let public = |policy: &Policy| policy.roles.contains(&Grantee::Public);
    a.permissive
        && b.permissive
        && (a.command == b.command || everything(a) || everything(b))
        && (public(a) || public(b) || a.roles.iter().any(|role| b.roles.contains(role)))
}
