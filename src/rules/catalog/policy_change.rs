//! Who sees or writes which rows of a live table changes.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{ChangeContext, Check, Rule, Sink, access, origin},
    schema::{Policy, Relation},
    sql::{self, ast::NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "policy-change",
    category: Category::Security,
    severity: Severity::Info,
    summary: "changes who reaches which rows of a live table",
    why: "Permissive policies are joined by OR and widen access, restrictive ones by AND and narrow it: a reviewer \
          has to see who gains or loses what.",
    instead: "Say in the pull request who gains what. On platform images with supautils up to 3.4.0 a policy \
              statement also locks 24 tables of auth, storage and realtime until the transaction ends \
              (supabase/supautils#228): put policies at the end of the file or into one of their own.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-createpolicy.html",
        "https://github.com/supabase/supautils/pull/228",
    ],
    peers: &[
        "sq:ban-create-policy",
        "sq:ban-alter-policy-condition",
        "sq:ban-alter-policy-roles",
        "sq:ban-drop-policy",
        "psd:AUTHZ_UPDATE",
        "sfm:restrictive-policy",
    ],
    takes: Some(LockMode::AccessExclusive),
    given:
        "create table public.docs (id bigint primary key, team int);
            alter table public.docs enable row level security;
            create policy docs_read on public.docs for select to authenticated using (id > 0);
            create policy docs_guard on public.docs as restrictive for all to authenticated using (team > 0);",
    bad: &[
        "create policy docs_add on public.docs for insert to authenticated with check (id > 0);",
        "alter policy docs_read on public.docs to anon;",
        "drop policy docs_read on public.docs;",
        "drop policy docs_guard on public.docs;",
        "alter table public.docs rename to papers;\ndrop policy docs_guard on public.papers;",
        "alter policy docs_guard on public.docs rename to guard;\ndrop policy guard on public.docs;",
        "drop policy docs_guard on public.docs;\n-- next file\ncreate policy docs_guard on public.docs as restrictive for all to authenticated using (team > 1);",
        "drop policy docs_guard on public.docs;\ncreate policy docs_guard on public.docs for all to authenticated using (team > 0);",
    ],
    good: &[
        "create table public.t (id bigint primary key);\nalter table public.t enable row level security;\ncreate policy t_read on public.t for select to authenticated using (id > 0);",
        "drop policy docs_read on public.docs;\ncreate policy docs_read on public.docs for select to authenticated using (id > 1);",
        "create policy tmp on public.docs for select to authenticated using (id > 0);\ndrop policy tmp on public.docs;",
    ],
    also: &["rename-table"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for changed in access::policies(context).iter().filter(|changed| changed.table.born.is_none()) {
        let (table, policy) = (changed.table, changed.policy);
        let before = context.before.relation(&table.name).and_then(|table| table.policy(&policy.name));
        let roles: Vec<String> = policy.roles.iter().map(access::role).collect();
        let roles = access::in_words(&roles);
        let verb = policy.command.to_uppercase();
        let message = match (before, policy.permissive) {
            (Some(before), true) if policy.born.is_some() && !before.permissive => {
                let message = format!(
                    "{} was restrictive and comes back permissive: what it held back it now lets through",
                    changed.called()
                );
                access::say(context, sink, changed.unit.at, message)
                    .object(changed.object())
                    .severity(Severity::Warning);
                continue;
            }
            (Some(before), _) if policy.born.is_some() && !before.permissive => {
                let dropped = origin::last_drop_of_policy(context, changed.table, Some(&policy.name), true);
                if let Some(at) = dropped.filter(|at| at.transaction < changed.unit.at.transaction) {
                    let message = format!(
                        "{} is gone until a later transaction makes it again: until then {roles} reach all rows that \
                         the other policies let through",
                        changed.called()
                    );
                    access::say(context, sink, at, message)
                        .object(changed.object())
                        .severity(Severity::Warning);
                }
                continue;
            }
            // Dropped and made again: a replacement, as `create or replace` would be.
            (Some(_), _) if policy.born.is_some() => continue,
            (Some(_), _) => format!("{} changes which rows {roles} reach with {verb}", changed.called()),
            (None, true) => {
                format!("{} lets {roles} {verb} rows{}", changed.called(), condition(policy))
            }
            (None, false) => {
                format!("{} leaves {roles} with {verb} only rows{}", changed.called(), condition(policy))
            }
        };
        let report = access::say(context, sink, changed.unit.at, message).object(changed.object());
        if !context.on_supabase() {
            report.help("Say in the pull request who gains what.");
        }
    }
    let renames = context
        .units
        .iter()
        .any(|unit| matches!(unit.node, NodeEnum::RenameStmt(_) | NodeEnum::AlterObjectSchemaStmt(_)));
    for before in context.before.relations.values() {
        if before.policies.is_empty() {
            continue;
        }
        let name = if renames { origin::called_after(context, &before.name) } else { before.name.clone() };
        let Some(after) = context.after.relation(&name).filter(|after| after.born.is_none()) else {
            continue;
        };
        dropped(context, before, after, sink);
    }
}

fn dropped(context: &ChangeContext<'_>, before: &Relation, after: &Relation, sink: &mut Sink<'_>) {
    for policy in before.policies.iter().filter(|policy| after.policy(&policy.name).is_none()) {
        let Some(at) = origin::last_drop_of_policy(context, before, Some(&policy.name), true) else {
            continue;
        };
        let roles: Vec<String> = policy.roles.iter().map(access::role).collect();
        let roles = access::in_words(&roles);
        let (what, loss, severity) = if policy.permissive {
            ("permissive", "lose what it let them reach", Severity::Info)
        } else {
            ("restrictive", "reach all rows that the other policies let through", Severity::Warning)
        };
        let message =
            format!("{what} policy `{}` on `{}` is dropped: {roles} {loss}", policy.name, before.name);
        access::say(context, sink, at, message)
            .object(format!("{}.{}", before.name, policy.name))
            .severity(severity);
    }
}

/// " where (…)", unless it is long.
fn condition(policy: &Policy) -> String {
    let clause = policy.using.as_deref().or(policy.with_check.as_deref());
    match clause.and_then(sql::expression_text) {
        Some(text) if text.len() <= 80 => format!(" where `{text}`"),
        _ => String::new(),
    }
}
