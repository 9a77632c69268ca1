//! A policy that takes guests for users.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::Grantee,
    sql,
};

pub(super) static RULE: Rule = Rule {
    name: "policy-anonymous-users",
    category: Category::Security,
    severity: Severity::Info,
    off_by_default: true,
    summary: "lets anonymous users through as signed-in ones",
    why: "Where anonymous sign-in is on, a guest has the role `authenticated` like everybody else. Nothing in a \
          migration tells whether it is: switch this rule on in projects that use it.",
    instead: "Test the claim: `(select (auth.jwt() ->> 'is_anonymous')::boolean) is false`.",
    sources: &["https://supabase.com/docs/guides/auth/auth-anonymous"],
    peers: &["sp:0012"],
    given: "create table public.docs (id bigint primary key, owner_id uuid);
            alter table public.docs enable row level security;",
    bad: &[
        "create policy docs_read on public.docs for select to authenticated using (id > 0);",
        "create policy docs_add on public.docs for insert to authenticated with check (owner_id = (select auth.uid()));",
    ],
    good: &[
        "create policy docs_read on public.docs for select to authenticated using ((select (auth.jwt() ->> 'is_anonymous')::boolean) is false);",
        "create policy docs_anon on public.docs for select to anon using (id > 0);",
        "create policy docs_job on public.docs for all to service_role using (true);",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for changed in access::policies(context) {
        let policy = changed.policy;
        let signed_in = policy.roles.contains(&Grantee::Role("authenticated".into()));
        let clauses = [&policy.using, &policy.with_check].into_iter().flatten();
        let tests = || {
            let mut texts = clauses.filter_map(|clause| sql::expression_text(clause));
            texts.any(|text| text.contains("is_anonymous"))
        };
        if signed_in && policy.permissive && !tests() {
            let message = format!(
                "{} does not tell guests from users: anonymous sign-ins are `authenticated` too",
                changed.called()
            );
            access::say(context, sink, changed.unit.at, message).object(changed.object());
        }
    }
}
