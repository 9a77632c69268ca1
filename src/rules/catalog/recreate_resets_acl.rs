//! Dropped and made again: what was granted, revoked and guarded is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access, names},
    schema::{At, Grant, QName, Relation, Routine},
    sql::{
        self,
        ast::{self, NodeEnum, RoleSpecType},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "recreate-resets-acl",
    category: Category::Security,
    severity: Severity::Warning,
    summary: "drops and recreates an object, and with it who may use it",
    why: "A new object has the default privileges, owner and options: a function that was revoked from PUBLIC is \
          PUBLIC's again, a grant that code needs is gone, and policies are too. CREATE OR REPLACE keeps the \
          privileges, but a function loses SECURITY DEFINER unless that is written again.",
    instead: "Use CREATE OR REPLACE where it will do, else issue every GRANT, REVOKE and policy again after it.",
    sources: &["https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-NOTES"],
    peers: &[],
    given: "create function app.total(acc bigint) returns bigint language sql set search_path = '' as 'select acc';
            revoke execute on function app.total(bigint) from public;
            create function app.plain() returns bigint language sql set search_path = '' as 'select 1::bigint';
            create function app.admin() returns bigint language sql security definer set search_path = '' as 'select 1::bigint';
            create view app.own with (security_invoker = on) as select 1 as one;
            create view app.names as select 1 as one;
            grant select on app.names to authenticated;",
    bad: &[
        "drop function app.total(bigint);\ncreate function app.total(acc bigint) returns bigint language sql set search_path = '' as 'select acc + 1';",
        "drop view app.names;\ncreate view app.names as select 2 as one;",
        "drop view app.own;\ncreate view app.own as select 2 as one;",
        "create or replace function app.admin() returns bigint language sql set search_path = '' as 'select 2::bigint';",
    ],
    good: &[
        "drop function app.total(bigint);\ncreate function app.total(acc bigint) returns bigint language sql set search_path = '' as 'select acc + 1';\nrevoke execute on function app.total(bigint) from public;",
        "create or replace function app.total(acc bigint) returns bigint language sql set search_path = '' as 'select acc + 1';",
        "drop function app.plain();\ncreate function app.plain() returns bigint language sql set search_path = '' as 'select 2::bigint';",
        "drop view app.names;\ncreate view app.names as select 2 as one;\ngrant select on app.names to authenticated;",
        "create or replace function app.admin() returns bigint language sql security invoker set search_path = '' as 'select 2::bigint';",
    ],
    also: &["drop-object"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for relation in context.after.relations.values().filter(|relation| !relation.temporary) {
        let (Some(at), Some(before)) = (relation.born, context.before.relation(&relation.name)) else {
            continue;
        };
        let mut changes = difference(&before.grants, &relation.grants, &said(context, at, &relation.name));
        if is_dropped(context, relation) {
            let lost = policies_lost(before, relation);
            if !lost.is_empty() {
                let are = if lost.len() == 1 { "policy" } else { "policies" };
                let gone = if lost.len() == 1 { "is gone" } else { "are gone" };
                changes.push(format!("{are} {} {gone}", access::in_words(&lost)));
            }
            changes.extend(state_lost(context, before, relation));
        } else {
            // Renamed away, the old one keeps what it had; a new one that is open to more is worth a word.
            changes.retain(|change| change.contains(" gains "));
        }
        report(context, sink, at, format!("`{}`", relation.name), &relation.name, &changes);
    }
    for (routine, at) in access::changed_routines(context) {
        match routine.born {
            Some(born) => {
                let Some(before) = predecessor(context, routine) else { continue };
                let mut changes =
                    difference(&before.grants, &routine.grants, &said(context, born, &routine.name));
                changes.extend(owner_lost(before.owner.as_deref(), routine.owner.as_deref()));
                let what = format!("`{}`", access::signature(routine));
                report(context, sink, born, what, &routine.name, &changes);
            }
            None => definer_lost(context, sink, routine, at),
        }
    }
}

fn report(
    context: &ChangeContext<'_>,
    sink: &mut Sink<'_>,
    at: At,
    what: String,
    object: &QName,
    changes: &[String],
) {
    if changes.is_empty() {
        return;
    }
    let message = format!("{what} is dropped and made again with default privileges: {}", changes.join(", "));
    access::say(context, sink, at, message).object(object);
}

/// The overload that the new one stands for: with the same arguments, or the only one that went.
fn predecessor<'a>(context: &ChangeContext<'a>, routine: &Routine) -> Option<&'a Routine> {
    if let Some(same) = access::routine_before(context, routine) {
        return Some(same);
    }
    let (before, after) = (context.before, context.after);
    let left = after.routines.get(&routine.name);
    let mut gone = before.routines.get(&routine.name)?.iter().filter(|known| {
        !left.is_some_and(|left| left.iter().any(|still| still.arguments == known.arguments))
    });
    match (gone.next(), gone.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// The roles of which the change says what they hold, after it was made again: that is meant.
fn said(context: &ChangeContext<'_>, born: At, object: &QName) -> BTreeSet<String> {
    let later = |at: At| (at.file, at.statement) > (born.file, born.statement);
    let mut roles = BTreeSet::new();
    for unit in context.units.iter().filter(|unit| later(unit.at)) {
        let NodeEnum::GrantStmt(grant) = &unit.node else { continue };
        let name = |node: &ast::Node| ast::name(node).is_some_and(|name| name.name == object.name);
        if grant.objects.iter().any(name) {
            roles.extend(grant.grantees.iter().filter_map(|node| match &node.node {
                Some(NodeEnum::RoleSpec(role)) if role.roletype() == RoleSpecType::RolespecPublic => {
                    Some("PUBLIC".to_owned())
                }
                Some(NodeEnum::RoleSpec(role)) => Some(sql::ident(&role.rolename)),
                _ => None,
            }));
        }
    }
    roles
}

/// What callers gain and lose, in words.
fn difference(before: &[Grant], after: &[Grant], said: &BTreeSet<String>) -> Vec<String> {
    let (before, after) = (by_role(before), by_role(after));
    let roles: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let nothing = BTreeSet::new();
    let mut changes = Vec::new();
    // The owner may do everything anyhow; on Supabase that is `postgres`.
    for role in roles.into_iter().filter(|role| *role != "postgres" && !said.contains(*role)) {
        let had = before.get(role).unwrap_or(&nothing);
        let has = after.get(role).unwrap_or(&nothing);
        // There is one privilege on a routine, so EXECUTE is ALL.
        let holds = |set: &BTreeSet<String>, one: &String| {
            set.contains("all") || set.contains(one) || one == "all" && set.contains("execute")
        };
        let missing = |of: &BTreeSet<String>, from: &BTreeSet<String>| -> Option<String> {
            let some: Vec<&str> = of.iter().filter(|one| !holds(from, one)).map(String::as_str).collect();
            let all = some.contains(&"all");
            (!some.is_empty()).then(|| if all { "ALL".into() } else { some.join(", ").to_uppercase() })
        };
        if let Some(gains) = missing(has, had) {
            changes.push(format!("`{role}` gains {gains}"));
        }
        if let Some(loses) = missing(had, has) {
            changes.push(format!("`{role}` loses {loses}"));
        }
    }
    changes
}

fn by_role(grants: &[Grant]) -> BTreeMap<String, BTreeSet<String>> {
    grants.iter().map(|grant| (access::role(&grant.grantee), grant.privileges.clone())).collect()
}

/// Whether the object that had the name is gone, not only its name.
fn is_dropped(context: &ChangeContext<'_>, relation: &Relation) -> bool {
    let name = &relation.name;
    context.units.iter().flat_map(|unit| names::dropped(&unit.node)).any(|(_, dropped)| {
        dropped.name == name.name && dropped.schema.as_deref() == Some(name.schema.as_str())
    })
}

/// What else is back at its default. Row level security of what the API reaches has rules of its own.
fn state_lost(context: &ChangeContext<'_>, before: &Relation, after: &Relation) -> Vec<String> {
    let mut lost = Vec::new();
    let private = !context.is_exposed(&after.name.schema);
    if private && before.rls && !after.rls {
        lost.push("row level security is off".to_owned());
    }
    if before.force_rls && !after.force_rls && after.rls {
        lost.push("row level security no longer binds the owner (FORCE)".to_owned());
    }
    let invokes = |view: &Relation| view.options.get("security_invoker").is_some_and(|value| value == "true");
    lost.extend(owner_lost(before.owner.as_deref(), after.owner.as_deref()));
    if private && invokes(before) && !invokes(after) {
        lost.push("it runs with its owner's rights (security_invoker)".to_owned());
    }
    lost
}

/// An owner that was given to it and that it does not have any more.
fn owner_lost(before: Option<&str>, after: Option<&str>) -> Option<String> {
    let before = before.filter(|owner| *owner != "postgres")?;
    (after != Some(before)).then(|| format!("`{before}` owns it no longer"))
}

/// Policies that a table had and now lacks although it is guarded again.
fn policies_lost(before: &Relation, after: &Relation) -> Vec<String> {
    if !after.rls {
        return Vec::new();
    }
    let gone = before.policies.iter().filter(|policy| after.policy(&policy.name).is_none());
    gone.map(|policy| policy.name.clone()).collect()
}

/// `CREATE OR REPLACE` that says nothing about whose rights the function runs with.
fn definer_lost(context: &ChangeContext<'_>, sink: &mut Sink<'_>, routine: &Routine, at: At) {
    let was = access::routine_before(context, routine).is_some_and(|before| before.security_definer);
    let silent = access::units(context, at).any(|unit| match &unit.node {
        NodeEnum::CreateFunctionStmt(create) => !create.options.iter().any(
            |option| matches!(&option.node, Some(NodeEnum::DefElem(option)) if option.defname == "security"),
        ),
        _ => false,
    });
    if was && !routine.security_definer && silent {
        let signature = access::signature(routine);
        let message = format!(
            "replacing `{signature}` without SECURITY DEFINER drops it: the function runs with its caller's rights"
        );
        access::say(context, sink, at, message)
            .object(&routine.name)
            .help("Write SECURITY DEFINER again, or SECURITY INVOKER where that is meant.")
            .suggest(format!("ALTER {} {signature} SECURITY DEFINER;", access::kind_of(routine)));
    }
}
