//! A function with its owner's rights that anybody can call.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::{At, Routine},
    sql::{
        self,
        ast::{Name, Node, NodeEnum, NodeRef, strings},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "definer-function-exposed",
    category: Category::Security,
    severity: Severity::Warning,
    summary: "lets callers of the API run a function with its owner's rights",
    why: "A SECURITY DEFINER function is not bound by row level security, and the API offers every function of an \
          exposed schema that the caller may execute. PUBLIC may by default, and in projects where new functions \
          are granted to `anon` and `authenticated`, revoking from PUBLIC alone leaves these.",
    instead: "Revoke EXECUTE from PUBLIC, anon and authenticated, or create it in a schema that is not exposed. \
              What policies call must stay executable for the roles that they are for: there only the second helps.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY",
        "https://supabase.com/docs/guides/database/functions#security-definer-vs-invoker",
    ],
    peers: &["sp:0028", "sp:0029"],
    given: "create function public.sum_all() returns bigint language sql set search_path = '' as 'select 1::bigint';
            create function public.locked() returns bigint language sql security definer set search_path = '' as 'select 1::bigint';
            revoke execute on function public.locked() from public, anon, authenticated;",
    bad: &[
        "create function public.wipe() returns void language sql security definer set search_path = '' as 'select';",
        "create function public.wipe() returns void language sql security definer set search_path = '' as 'select';\nrevoke execute on function public.wipe() from public;",
        "alter function public.sum_all() security definer;",
        "grant execute on function public.locked() to anon;",
    ],
    good: &[
        "create function public.wipe() returns void language sql security definer set search_path = '' as 'select';\nrevoke execute on function public.wipe() from public, anon, authenticated;",
        "create function public.guard() returns trigger language plpgsql security definer set search_path = '' as 'begin return new; end';",
        "create function app.wipe() returns void language sql security definer set search_path = '' as 'select';",
        "create or replace function public.locked() returns bigint language sql security definer set search_path = '' as 'select 2::bigint';",
        "create function public.total() returns bigint language sql set search_path = '' as 'select 1::bigint';",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for routine in context.after.routines.values().flatten() {
        if !routine.security_definer || routine.returns_trigger() || !context.is_exposed(&routine.name.schema)
        {
            continue;
        }
        let callers = access::callers(routine);
        let Some(at) = since(context, routine).filter(|_| !callers.is_empty()) else { continue };
        let kind = access::kind_of(routine);
        let signature = access::signature(routine);
        let message = format!(
            "{} `{signature}` runs with its owner's rights, and {} can call it over the API",
            kind.to_lowercase(),
            access::in_words(&callers)
        );
        let used = policy_that_calls(context, routine);
        let report = access::say(context, sink, at, message).object(&routine.name);
        match used {
            // A policy runs with the rights of whoever queries the table: revoked, every query fails.
            Some(policy) => report
                .help(format!(
                    "Do not revoke it: {policy} calls it with the rights of the caller. Move it to a schema that is \
                     not exposed, where the policies find it all the same; mend what calls it by name."
                ))
                .suggest(format!(
                    "CREATE SCHEMA IF NOT EXISTS private;\nALTER {kind} {signature} SET SCHEMA private;"
                )),
            None => report.suggest(format!("REVOKE EXECUTE ON {kind} {signature} FROM {};", callers.join(", "))),
        };
    }
}

/// A policy that the change leaves and that calls the function, in words.
fn policy_that_calls(context: &ChangeContext<'_>, routine: &Routine) -> Option<String> {
    let calls = |clause: &Node| {
        let mut found = false;
        sql::walk_all([clause], &mut |part| {
            if let NodeRef::FuncCall(call) = part
                && let Some(name) = Name::from_parts(&strings(&call.funcname))
            {
                let schema = name.schema.as_ref().is_none_or(|schema| *schema == routine.name.schema);
                found |= schema && name.name == routine.name.name;
            }
            true
        });
        found
    };
    let after = context.after;
    after.relations.values().find_map(|table| {
        let policy = table.policies.iter().find(|policy| {
            policy.using.as_deref().is_some_and(calls) || policy.with_check.as_deref().is_some_and(calls)
        })?;
        Some(format!("policy `{}` on `{}`", policy.name, table.name))
    })
}

/// Where the change made it so.
fn since(context: &ChangeContext<'_>, routine: &Routine) -> Option<At> {
    let was = access::routine_before(context, routine)
        .is_some_and(|before| before.security_definer && !access::callers(before).is_empty());
    let renamed = |at: At| {
        routine.born.is_none()
            && access::units(context, at).any(|unit| matches!(unit.node, NodeEnum::RenameStmt(_)))
    };
    match access::decided(context, routine, "security") {
        Some(at) if renamed(at) => None,
        Some(at) if !was || access::made_at(context, at) => Some(at),
        _ => routine.granted.filter(|_| !was),
    }
}
