//! A grant that reaches further than one object and one verb.

use std::collections::BTreeMap;

use super::role_attribute_change::listed;
use crate::{
    finding::{Category, Direction, Severity},
    rules::{ChangeContext, Check, Context, Rule, Sink, access, narrower},
    schema::{QName, Session, Transaction, Unit},
    sql::ast::{self, GrantStmt, GrantTargetType, Node, NodeEnum, ObjectType, RangeVar, RoleSpecType},
};

pub(super) static RULE: Rule = Rule {
    name: "broad-grant",
    category: Category::Security,
    severity: Severity::Warning,
    summary: "grants more than one verb on one object",
    why: "PUBLIC is everybody, present and future; ALL includes TRUNCATE, which no policy stops; and a grant on a \
          whole schema, or on objects to come, reaches tables that nobody thought of.",
    instead: "Grant per table and per verb, to the role that needs it.",
    sources: &["https://www.postgresql.org/docs/current/sql-grant.html"],
    peers: &["sfm:overbroad-grant", "psd:AUTHZ_UPDATE"],
    given: "create table public.docs (id bigint primary key, label text);
            alter table public.docs enable row level security;
            create sequence public.tickets;
            create function public.total(acc bigint) returns bigint language sql set search_path = '' as 'select acc';",
    bad: &[
        "grant select on public.docs to public;",
        "grant all on public.docs to anon;",
        "grant insert, update on public.docs to anon;",
        "grant select on all tables in schema public to anon;",
        "grant execute on all functions in schema public to authenticated;",
        "alter default privileges in schema public grant select on tables to anon;",
        "grant select on public.docs to authenticated with grant option;",
        "grant app_owner to authenticated;",
        "grant all on sequence public.tickets to anon;",
        "grant all on public.docs to authenticated;",
        // As `supabase db diff` writes it: said once.
        "grant delete on table public.docs to anon;\ngrant insert on table public.docs to anon;\ngrant update on table public.docs to anon;",
    ],
    good: &[
        "grant select on public.docs to authenticated;",
        "grant select, insert, update, delete on public.docs to authenticated;",
        "grant select (id, label) on public.docs to anon;",
        "grant execute on function public.total(bigint) to service_role;",
        "grant all on public.docs to service_role;",
        "grant all on all tables in schema public to service_role;",
        "grant usage on schema app to anon, authenticated;",
        "grant usage, select on sequence public.tickets to anon;",
        "alter default privileges in schema public grant all on tables to service_role;",
        "grant app_owner to app_reader;",
        "revoke all on public.docs from public;",
    ],
    checks: &[Check::Statement(check), Check::Change(verb_by_verb)],
    ..Rule::BLANK
};

const WRITES: &[&str] = &["insert", "update", "delete", "truncate", "references", "trigger", "maintain"];

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    if context.direction == Direction::Down {
        return;
    }
    let found = match context.node {
        NodeEnum::GrantStmt(grant) if context.on_supabase() && one_write(grant).is_some() => None,
        NodeEnum::GrantStmt(grant) => object(context, grant),
        NodeEnum::AlterDefaultPrivilegesStmt(alter) => {
            alter.action.as_ref().and_then(|action| defaults(context, action))
        }
        NodeEnum::GrantRoleStmt(grant) if grant.is_grant => {
            membership(context, roles(&grant.granted_roles), roles(&grant.grantee_roles))
        }
        NodeEnum::CreateRoleStmt(create) => {
            let groups = listed(&create.options, "addroleto");
            if groups.is_empty() { None } else { membership(context, groups, vec![create.role.clone()]) }
        }
        // ALTER GROUP … ADD USER; -1 drops them.
        NodeEnum::AlterRoleStmt(alter) if alter.action > 0 => {
            let members = listed(&alter.options, "rolemembers");
            let group = alter.role.iter().map(|role| role.rolename.clone()).collect();
            if members.is_empty() { None } else { membership(context, group, members) }
        }
        _ => None,
    };
    if let Some(message) = found {
        let report = sink.report(message);
        if let NodeEnum::GrantStmt(grant) = context.node
            && let Some(better) = narrower::grant(context, grant)
        {
            report.suggest(better);
        }
    }
}

/// A grant of one verb that writes, on one table, to `anon` alone: the verb, and the table.
fn one_write(grant: &GrantStmt) -> Option<(String, &RangeVar)> {
    let plain = grant.is_grant && !grant.grant_option && grant.targtype() == GrantTargetType::AclTargetObject;
    let to_anon = roles(&grant.grantees) == ["anon"];
    let verbs = verbs(grant);
    let ([verb], [object]) = (verbs.as_slice(), grant.objects.as_slice()) else { return None };
    match &object.node {
        Some(NodeEnum::RangeVar(range))
            if plain
                && to_anon
                && grant.objtype() == ObjectType::ObjectTable
                && WRITES.contains(&verb.as_str()) =>
        {
            Some((verb.clone(), range))
        }
        _ => None,
    }
}

/// Tools that compare schemas write one grant for each verb: three and more in a file are one cause.
fn verb_by_verb(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    let session = Session::new(Transaction::default());
    let mut runs: BTreeMap<(usize, QName), Vec<(&Unit, String)>> = BTreeMap::new();
    for unit in context.units.iter().filter(|_| context.on_supabase()) {
        if let NodeEnum::GrantStmt(grant) = &unit.node
            && let Some((verb, range)) = one_write(grant)
        {
            let table = context.after.resolve_range(range, &session);
            runs.entry((unit.at.file, table)).or_default().push((unit, verb.to_uppercase()));
        }
    }
    for ((_, table), run) in runs {
        let whole = run.len() >= 3;
        let verbs: Vec<&str> = run.iter().map(|(_, verb)| verb.as_str()).collect();
        for (unit, verb) in &run[..if whole { 1 } else { run.len() }] {
            let said = if whole { verbs.join(", ") } else { verb.clone() };
            let signed_in = verbs.iter().filter(|verb| ["INSERT", "UPDATE", "DELETE"].contains(verb));
            let signed_in: Vec<&str> = signed_in.copied().collect();
            let report = sink
                .report_at(unit.at, unit.span.clone(), format!("grants {said} on `{table}` to `anon`"))
                .on(&table);
            if !signed_in.is_empty() {
                let verbs = signed_in.join(", ");
                report.suggest(format!(
                    "-- to those who have signed in, where they need it:\nGRANT {verbs} ON {} TO authenticated;",
                    table.sql()
                ));
            }
        }
    }
}

/// Names of roles as written; PUBLIC in capitals.
fn roles(nodes: &[Node]) -> Vec<String> {
    let name = |node: &Node| match node.node.as_ref()? {
        NodeEnum::RoleSpec(role) if role.roletype() == RoleSpecType::RolespecPublic => Some("PUBLIC".into()),
        NodeEnum::RoleSpec(role) => Some(role.rolename.clone()),
        NodeEnum::AccessPriv(role) => Some(role.priv_name.clone()),
        _ => None,
    };
    nodes.iter().filter_map(name).collect()
}

/// Those of the roles that a caller of the API can be.
fn api(context: &Context<'_>, roles: &[String]) -> Vec<String> {
    let is = |role: &&String| {
        role.as_str() == "PUBLIC" || (context.on_supabase() && access::API_ROLES.contains(&role.as_str()))
    };
    roles.iter().filter(is).cloned().collect()
}

/// The platform's own: they hold everything anyway.
fn is_trusted(role: &str) -> bool {
    matches!(role, "service_role" | "postgres" | "dashboard_user" | "authenticator")
        || role.starts_with("supabase_")
}

/// Lower-case verbs; empty for ALL.
fn verbs(grant: &GrantStmt) -> Vec<String> {
    let verb = |node: &Node| match node.node.as_ref()? {
        NodeEnum::AccessPriv(privilege) if !privilege.priv_name.is_empty() => {
            Some(privilege.priv_name.to_lowercase())
        }
        _ => None,
    };
    grant.privileges.iter().filter_map(verb).collect()
}

fn object(context: &Context<'_>, grant: &GrantStmt) -> Option<String> {
    if !grant.is_grant {
        return None;
    }
    let all = roles(&grant.grantees);
    let api = api(context, &all);
    let verbs = verbs(grant);
    let said = if verbs.is_empty() { "ALL".to_owned() } else { verbs.join(", ").to_uppercase() };
    let on = on(context, grant);
    let wide = grant.targtype() == GrantTargetType::AclTargetAllInSchema;
    let strangers: Vec<String> = all.iter().filter(|role| !is_trusted(role)).cloned().collect();
    // Everybody may use types and languages already.
    let minor = matches!(
        grant.objtype(),
        ObjectType::ObjectType | ObjectType::ObjectDomain | ObjectType::ObjectLanguage
    );
    if minor || strangers.is_empty() {
        return None;
    }
    if all.iter().any(|role| role == "PUBLIC") {
        return Some(format!("grants {said} on {on} to PUBLIC: every role, present and future, has it"));
    }
    if wide && grant.objtype() != ObjectType::ObjectSequence {
        return Some(format!("grants {said} on {on} to {}, whatever is in it", access::in_words(&strangers)));
    }
    if grant.grant_option {
        return Some(format!(
            "lets {} pass {said} on {on} on to others (WITH GRANT OPTION)",
            access::in_words(&strangers)
        ));
    }
    if api.is_empty() {
        return None;
    }
    match grant.objtype() {
        ObjectType::ObjectTable => {
            let writes = verbs.iter().any(|verb| WRITES.contains(&verb.as_str()));
            let to_anon = api.iter().any(|role| role == "anon");
            (verbs.is_empty() || (writes && to_anon)).then(|| {
                let who = if verbs.is_empty() { access::in_words(&api) } else { "`anon`".into() };
                let extra = if verbs.is_empty() { ", TRUNCATE past every policy included" } else { "" };
                format!("grants {said} on {on} to {who}{extra}")
            })
        }
        // USAGE is enough for `nextval`; ALL and UPDATE set the counter back.
        ObjectType::ObjectSequence => {
            let sets = verbs.is_empty() || verbs.iter().any(|verb| verb == "update");
            let to_anon = api.iter().any(|role| role == "anon");
            (sets && to_anon).then(|| format!("lets `anon` set sequence {on} to any value (GRANT {said})"))
        }
        ObjectType::ObjectSchema => {
            let creates = verbs.is_empty() || verbs.iter().any(|verb| verb == "create");
            creates.then(|| format!("lets {} create objects in {on}", access::in_words(&api)))
        }
        ObjectType::ObjectDatabase => Some(format!("grants {said} on {on} to {}", access::in_words(&api))),
        _ => None,
    }
}

/// What the grant is on, in words.
fn on(context: &Context<'_>, grant: &GrantStmt) -> String {
    let names: Vec<String> = grant
        .objects
        .iter()
        .filter_map(|node| match node.node.as_ref()? {
            NodeEnum::RangeVar(range) => Some(context.resolve(range).to_string()),
            NodeEnum::String(text) => Some(text.sval.clone()),
            _ => ast::name(node).map(|name| name.to_string()),
        })
        .map(|name| format!("`{name}`"))
        .collect();
    let names = names.join(", ");
    let kind = match grant.objtype() {
        ObjectType::ObjectTable => "tables",
        ObjectType::ObjectSequence => "sequences",
        ObjectType::ObjectSchema => return format!("schema {names}"),
        ObjectType::ObjectDatabase => return format!("database {names}"),
        _ => "routines",
    };
    match grant.targtype() {
        GrantTargetType::AclTargetAllInSchema => format!("all {kind} in schema {names}"),
        GrantTargetType::AclTargetDefaults => format!("all future {kind}"),
        _ => names,
    }
}

fn defaults(context: &Context<'_>, grant: &GrantStmt) -> Option<String> {
    let api = api(context, &roles(&grant.grantees));
    if !grant.is_grant || api.is_empty() {
        return None;
    }
    let verbs = verbs(grant);
    let said = if verbs.is_empty() { "ALL".to_owned() } else { verbs.join(", ").to_uppercase() };
    let kind = match grant.objtype() {
        ObjectType::ObjectTable => "table",
        ObjectType::ObjectSequence => "sequence",
        ObjectType::ObjectSchema => "schema",
        ObjectType::ObjectType => return None,
        _ => "routine",
    };
    Some(format!("grants {said} on every future {kind} to {}", access::in_words(&api)))
}

fn membership(context: &Context<'_>, given: Vec<String>, to: Vec<String>) -> Option<String> {
    if !context.on_supabase() {
        return None;
    }
    let api_to = api(context, &to);
    if !api_to.is_empty() {
        return Some(format!(
            "makes {} a member of {}: every caller of the API may do what these may",
            access::in_words(&api_to),
            access::in_words(&given)
        ));
    }
    let api_given = api(context, &given);
    let strangers: Vec<String> = to.into_iter().filter(|role| !is_trusted(role)).collect();
    (!api_given.is_empty() && !strangers.is_empty()).then(|| {
        format!(
            "makes {} a member of {}: it may do what callers of the API may",
            access::in_words(&strangers),
            access::in_words(&api_given)
        )
    })
}
