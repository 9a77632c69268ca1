//! A function that looks names up wherever its caller says.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access, lookup},
};

pub(super) static RULE: Rule = Rule {
    name: "function-search-path-mutable",
    category: Category::Security,
    severity: Severity::Warning,
    summary: "leaves a function with the caller's search_path",
    why: "Unqualified names in its body mean whatever the caller's search_path finds first: with SECURITY DEFINER \
          a caller can put a table or function of theirs in the way and have it used with the owner's rights. \
          Replacing a function without its SET clause drops the old setting.",
    instead: "Add `SET search_path = ''` and qualify every name in the body.",
    sources: &["https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY"],
    peers: &[
        "sp:0011",
        "pgs:PS003",
        "pgs:PS005",
        "pgr:security/security-definer-function-no-explicit-search-path",
    ],
    given: "create function app.fixed() returns int language sql set search_path = '' as 'select 1';",
    bad: &[
        "create function app.n() returns int language plpgsql as $$ begin return 1; end $$;",
        "create function app.n() returns int language sql security definer as 'select 1';",
        "create or replace function app.fixed() returns int language sql as 'select 2';",
        "alter function app.fixed() reset search_path;",
        "create procedure app.p() language plpgsql as $$ begin null; end $$;",
    ],
    good: &[
        "create function app.n() returns int language plpgsql set search_path = '' as $$ begin return 1; end $$;",
        "create function app.n() returns int language plpgsql as $$ begin return 1; end $$;\nalter function app.n() set search_path = pg_catalog, pg_temp;",
        "create function app.n() returns int language sql begin atomic select 1; end;",
        "create function app.n() returns int language sql return 1;",
        "create function pg_temp.n() returns int language plpgsql as $$ begin return 1; end $$;",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for (routine, _) in access::changed_routines(context) {
        let Some(at) = access::decided(context, routine, "set") else { continue };
        let bound = routine.settings.contains_key("search_path") || routine.bound.is_some();
        let foreign = matches!(routine.language.as_str(), "c" | "internal");
        if bound || foreign || access::is_platform(&routine.name) {
            continue;
        }
        // What an ALTER leaves as it was is not this change's doing.
        let before = access::routine_before(context, routine);
        let was_open = before.is_some_and(|before| {
            !before.settings.contains_key("search_path")
                && before.bound.is_none()
                && before.security_definer == routine.security_definer
        });
        let altered = routine.born.is_none() && !access::made_at(context, at);
        if altered && (was_open || before.is_none()) {
            continue;
        }
        let signature = access::signature(routine);
        let kind = access::kind_of(routine);
        let dropped = before.is_some_and(|before| before.settings.contains_key("search_path"));
        let how = if dropped { "loses its fixed `search_path`" } else { "has no fixed `search_path`" };
        let (severity, consequence) = if routine.security_definer {
            (Severity::Error, "a caller can have objects of theirs used with the owner's rights")
        } else {
            (Severity::Warning, "its names mean what the caller's path finds first")
        };
        let message = format!("{} `{signature}` {how}: {consequence}", kind.to_lowercase());
        let report = access::say(context, sink, at, message).object(&routine.name).severity(severity);
        match lookup::pinned_path(context, routine) {
            // An empty path would break the body as it stands.
            Some(path) => {
                report.suggest(format!("ALTER {kind} {signature} SET search_path = {path};")).help(
                    "Add `SET search_path = ''` and qualify every name in the body; until then, pin the path under \
                     which its unqualified names are found, `pg_temp` last.",
                );
            }
            None => {
                report.suggest(format!("ALTER {kind} {signature} SET search_path = '';"));
            }
        }
    }
}
