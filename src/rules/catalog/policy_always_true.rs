//! A policy that lets its roles write any row.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    sql,
};

pub(super) static RULE: Rule = Rule {
    name: "policy-always-true",
    category: Category::Security,
    severity: Severity::Warning,
    summary: "lets everybody of a role write any row",
    why: "A condition that is always true guards nothing: every caller can change or delete the rows of all others.",
    instead: "Say which rows: `owner_id = (select auth.uid())`. For reading, `USING (true)` is a decision and is \
              not reported.",
    sources: &["https://supabase.com/docs/guides/database/postgres/row-level-security"],
    peers: &["sp:0024"],
    given: "create table public.stock (id bigint primary key, qty int);
            alter table public.stock enable row level security;
            create policy stock_jobs on public.stock for all to service_role using (true);",
    bad: &[
        "create policy stock_all on public.stock for all to authenticated using (true);",
        "create policy stock_add on public.stock for insert to anon with check (1 = 1);",
        "create policy stock_edit on public.stock for update to authenticated using (qty > 0) with check (not false);",
        "create policy stock_gone on public.stock for delete using (true);",
        "alter policy stock_jobs on public.stock to authenticated;",
    ],
    good: &[
        "create policy stock_read on public.stock for select to anon, authenticated using (true);",
        "create policy stock_service on public.stock for all to service_role using (true) with check (true);",
        "create policy stock_guard on public.stock as restrictive for all to authenticated using (true);",
        "create policy stock_add on public.stock for insert to authenticated with check (qty > 0);",
        "create policy tmp on public.stock for all to authenticated using (true);\ndrop policy tmp on public.stock;",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

/// Columns that commonly hold whose row it is.
const OWNERS: &[&str] = &["owner_id", "user_id", "created_by", "author_id", "profile_id"];

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for changed in access::policies(context) {
        let policy = changed.policy;
        if !policy.permissive || !access::for_api(policy) {
            continue;
        }
        let Some(clause) = access::open_for_writes(policy) else { continue };
        let verb = match policy.command.as_str() {
            "insert" => "add any row",
            "update" if clause == "WITH CHECK" => "turn the rows that it may change into anything",
            "update" => "change any row",
            "delete" => "delete any row",
            _ => "write any row",
        };
        let message = format!(
            "{} lets {} {verb}: its {clause} is always true",
            changed.called(),
            access::in_words(&access::api_roles(policy))
        );
        let report = access::say(context, sink, changed.unit.at, message).object(changed.object());
        // The condition on the old rows is what is meant for the new ones too.
        if clause == "WITH CHECK"
            && let Some(using) = policy.using.as_deref().and_then(sql::expression_text)
        {
            report.suggest(format!("{} WITH CHECK ({});", changed.alter(), once(using)));
            continue;
        }
        let owner = OWNERS.iter().find(|name| changed.table.column(name).is_some());
        if let Some(owner) = owner {
            let condition = format!("({owner} = (SELECT auth.uid()))");
            // A WITH CHECK that is always true as well would let the row be given away.
            let open_too = clause == "USING" && policy.with_check.is_some();
            let also = if open_too { format!(" WITH CHECK {condition}") } else { String::new() };
            report.suggest(format!("{} {clause} {condition}{also};", changed.alter()));
        }
    }
}

/// The condition with the session's user looked up once, not for every row.
fn once(condition: String) -> String {
    ["auth.uid()", "auth.jwt()", "auth.role()", "auth.email()"].iter().fold(condition, |text, call| {
        let wrapped = format!("(SELECT {call})");
        text.replace(&wrapped, call).replace(call, &wrapped)
    })
}
