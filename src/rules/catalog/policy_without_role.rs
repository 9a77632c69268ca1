//! A policy for whoever it may be.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::Grantee,
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "policy-without-role",
    category: Category::Security,
    severity: Severity::Info,
    summary: "creates a policy without saying for whom",
    why: "Without `TO` a policy is for PUBLIC, visitors who are not signed in included, and Postgres evaluates it \
          for all of them.",
    instead: "Name the role: `TO authenticated`.",
    sources: &["https://supabase.com/docs/guides/database/postgres/row-level-security"],
    peers: &[],
    given: "create table public.docs (id bigint primary key, owner_id uuid);
            alter table public.docs enable row level security;",
    bad: &[
        "create policy docs_own on public.docs for select using (owner_id = (select auth.uid()));",
        "create policy docs_all on public.docs using (owner_id = (select auth.uid()));",
    ],
    good: &[
        "create policy docs_own on public.docs for select to authenticated using (owner_id = (select auth.uid()));",
        "create policy docs_open on public.docs for select to public using (id > 0);",
        "create policy docs_guard on public.docs as restrictive using (id > 0);",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    if !context.on_supabase() {
        return;
    }
    for changed in access::policies(context) {
        let NodeEnum::CreatePolicyStmt(create) = &changed.unit.node else { continue };
        // The parser puts PUBLIC where no role is written, at no place.
        let written = create
            .roles
            .iter()
            .any(|node| matches!(&node.node, Some(NodeEnum::RoleSpec(role)) if role.location > 0));
        if written || !create.permissive || changed.policy.roles != [Grantee::Public] {
            continue;
        }
        let message = format!(
            "{} names no role, so it also applies to `anon`: visitors who are not signed in",
            changed.called()
        );
        access::say(context, sink, changed.unit.at, message)
            .object(changed.object())
            .suggest(format!("{} TO authenticated;", changed.alter()));
    }
}
