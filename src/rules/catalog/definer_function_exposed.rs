//! A function with its owner's rights that anybody can call.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::{At, Routine},
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "definer-function-exposed",
    category: Category::Security,
    severity: Severity::Warning,
    summary: "lets callers of the API run a function with its owner's rights",
    why: "A SECURITY DEFINER function is not bound by row level security, and the API offers every function of an \
          exposed schema that the caller may execute. PUBLIC may by default, and in projects where new functions \
          are granted to `anon` and `authenticated`, revoking from PUBLIC alone leaves these.",
    instead: "Revoke EXECUTE from PUBLIC, anon and authenticated, or create it in a schema that is not exposed.",
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
        access::say(context, sink, at, message)
            .object(&routine.name)
            .suggest(format!("REVOKE EXECUTE ON {kind} {signature} FROM {};", callers.join(", ")));
    }
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
