//! A second overload where a replacement was meant.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, names},
    schema::Routine,
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "function-overload-ambiguity",
    category: Category::Compatibility,
    severity: Severity::Warning,
    summary: "adds an overload beside a function of the same name",
    why: "`CREATE OR REPLACE FUNCTION` with another argument list replaces nothing: both stay, and a call \
          that fits both fails (42725), as an RPC does (PGRST203).",
    instead: "Drop the old signature in the same transaction.",
    sources: &["https://www.postgresql.org/docs/current/xfunc-overload.html"],
    given: "create function app.total(a bigint) returns bigint language sql immutable set search_path = '' as 'select a';",
    bad: &[
        "create or replace function app.total(a bigint, b bigint default 0) returns bigint language sql immutable set search_path = '' as 'select a + b';",
        "create function app.total(a text) returns bigint language sql immutable set search_path = '' as 'select 1::bigint';",
    ],
    good: &[
        "drop function app.total(bigint);\ncreate function app.total(a bigint, b bigint default 0) returns bigint language sql immutable set search_path = '' as 'select a + b';",
        "create function app.total(a bigint, b bigint) returns bigint language sql immutable set search_path = '' as 'select a + b';",
        "create or replace function app.total(a bigint) returns bigint language sql immutable set search_path = '' as 'select a + 1';",
        "create function app.f(a int) returns int language sql immutable set search_path = '' as 'select a';\ncreate function app.f(a text) returns text language sql immutable set search_path = '' as 'select a';",
    ],
    also: &["drop-object", "recreate-resets-acl"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

/// Whether some number of arguments fits both signatures.
fn both_fit(old: &Routine, new: &Routine) -> bool {
    let range = |routine: &Routine| {
        let most = routine.arguments.len();
        (most.saturating_sub(routine.defaults), most)
    };
    let ((old_least, old_most), (new_least, new_most)) = (range(old), range(new));
    old_least <= new_most && new_least <= old_most
}

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for (name, routines) in &context.after.routines {
        for new in routines {
            let Some(unit) = new.born.and_then(|at| context.unit(at)) else { continue };
            let mut olds = routines.iter().filter(|routine| routine.born.is_none());
            let Some(first) = olds.clone().next() else { continue };
            let rival = olds.find(|old| both_fit(old, new));
            let replaces = matches!(&unit.node, NodeEnum::CreateFunctionStmt(create) if create.replace);
            if rival.is_none() && !replaces {
                continue;
            }
            let old = rival.unwrap_or(first);
            let old_signature = format!("{}({})", name, old.arguments.join(", "));
            let consequence = match rival {
                Some(_) => "calls that fit both fail",
                None => "it replaces nothing, and calls with the old arguments go on running the old code",
            };
            sink.report_at(
                unit.at,
                unit.span.clone(),
                format!(
                    "`{name}({})` stands beside `{old_signature}`; {consequence}",
                    new.arguments.join(", ")
                ),
            )
            .on(name)
            .suggest(format!("DROP FUNCTION {}({});", name.sql(), names::arguments_sql(old)));
        }
    }
}
