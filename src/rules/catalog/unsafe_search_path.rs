//! A fixed search_path that still lets others in.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access, lookup},
};

pub(super) static RULE: Rule = Rule {
    name: "unsafe-search-path",
    category: Category::Security,
    severity: Severity::Info,
    summary: "gives a SECURITY DEFINER function a search_path that others can write to",
    why: "Whoever may create objects in the first schema of the path decides what the function's names mean; and \
          the temporary schema, where everybody may create tables, is searched first unless the path names it last.",
    instead: "Use `SET search_path = ''` and qualified names, or `pg_catalog, …, pg_temp`.",
    sources: &["https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY"],
    peers: &[
        "pgs:PS004",
        "pgr:security/security-definer-function-non-temp-schema",
        "pgr:security/security-definer-function-temp-schema-order",
    ],
    bad: &[
        "create function app.n() returns int language sql security definer set search_path = public as 'select 1';",
        "create function app.n() returns int language sql security definer set search_path = pg_catalog, app as 'select 1';",
    ],
    good: &[
        "create function app.n() returns int language sql security definer set search_path = '' as 'select 1';",
        "create function app.n() returns int language sql security definer set search_path = pg_catalog, app, pg_temp as 'select 1';",
        "create function app.n() returns int language sql set search_path = public as 'select 1';",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for (routine, at) in access::changed_routines(context) {
        let Some(path) = routine.settings.get("search_path").filter(|_| routine.security_definer) else {
            continue;
        };
        let schemas: Vec<&str> = path
            .split(',')
            .map(|schema| schema.trim().trim_matches(['"', '\'']))
            .filter(|schema| !schema.is_empty())
            .collect();
        let (Some(first), Some(last)) = (schemas.first(), schemas.last()) else { continue };
        let weakness = if !matches!(*first, "pg_catalog" | "from current") && *last != "pg_temp" {
            format!("`{first}` comes first and `pg_temp` is not last")
        } else if *last != "pg_temp" {
            "`pg_temp` is not last, so temporary tables are found first".to_owned()
        } else {
            continue;
        };
        let signature = access::signature(routine);
        let kind = access::kind_of(routine);
        let message = format!(
            "{} `{signature}` runs with its owner's rights under `search_path = {path}`: {weakness}",
            kind.to_lowercase()
        );
        // An empty path would break a body that leans on the one it has.
        let path = match lookup::pinned_path(context, routine) {
            Some(_) if *first == "pg_catalog" => format!("{path}, pg_temp"),
            Some(_) => format!("pg_catalog, {path}, pg_temp"),
            None => "''".into(),
        };
        access::say(context, sink, at, message)
            .object(&routine.name)
            .suggest(format!("ALTER {kind} {signature} SET search_path = {path};"));
    }
}
