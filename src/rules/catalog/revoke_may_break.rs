//! Something that running code may use is taken away.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    schema::QName,
    sql::ast::{self, GrantStmt, GrantTargetType, Name, Node, NodeEnum, RoleSpecType},
};

pub(super) static RULE: Rule = Rule {
    name: "revoke-may-break",
    category: Category::Compatibility,
    severity: Severity::Info,
    summary: "takes a privilege or role away that running code may use",
    why: "The next statement of a session that relied on it fails with 42501.",
    instead: "Make sure that nobody uses it any more: `pg_stat_activity` and the logs tell.",
    sources: &["https://www.postgresql.org/docs/current/sql-revoke.html"],
    peers: &["sq:ban-revoke", "psd:AUTHZ_UPDATE"],
    given: "create table app.docs (id bigint primary key);
            grant select on app.docs to authenticated;
            create function app.total() returns bigint language sql set search_path = '' as 'select 1::bigint';",
    bad: &[
        "revoke select on app.docs from authenticated;",
        "revoke execute on function app.total() from public;",
        "drop role if exists reporter;",
        "alter default privileges in schema public revoke all on tables from anon;",
        "revoke authenticated from authenticator;",
    ],
    good: &[
        "create table app.t (id bigint primary key);\nrevoke all on app.t from public;",
        "create function app.f() returns int language sql set search_path = '' as 'select 1';\nrevoke execute on function app.f() from public, anon, authenticated;",
        "grant select on app.docs to authenticated;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    match context.node {
        NodeEnum::GrantStmt(grant) if !grant.is_grant => {
            if let Some(objects) = live(context, grant) {
                let from = roles(&grant.grantees);
                sink.report(format!("takes privileges on {objects} away from {from}"));
            }
        }
        NodeEnum::AlterDefaultPrivilegesStmt(alter) => {
            if let Some(action) = alter.action.as_ref().filter(|action| !action.is_grant) {
                let from = roles(&action.grantees);
                sink.report(format!("takes privileges on future objects away from {from}"));
            }
        }
        NodeEnum::GrantRoleStmt(grant) if !grant.is_grant => {
            let (what, from) = (roles(&grant.granted_roles), roles(&grant.grantee_roles));
            sink.report(format!("{from} may no longer do what {what} may"));
        }
        NodeEnum::DropRoleStmt(drop) => {
            sink.report(format!("drops role {}: whoever signs in with it is shut out", roles(&drop.roles)));
        }
        NodeEnum::DropOwnedStmt(drop) => {
            sink.report(format!("drops everything that {} owns and may do", roles(&drop.roles)));
        }
        _ => {}
    }
}

/// The objects that were there before the change; `None`: there are none.
fn live(context: &Context<'_>, grant: &GrantStmt) -> Option<String> {
    if grant.targtype() == GrantTargetType::AclTargetAllInSchema {
        return Some(format!("everything in schema `{}`", ast::strings(&grant.objects).join(", ")));
    }
    let names: Vec<String> = grant
        .objects
        .iter()
        .filter_map(|node| match node.node.as_ref()? {
            NodeEnum::RangeVar(range) => {
                Some(context.resolve(range)).filter(|name| context.is_live(name)).map(|name| name.to_string())
            }
            NodeEnum::ObjectWithArgs(object) => {
                let name = Name::from_parts(&ast::strings(&object.objname))?;
                let (name, known) = context.catalog.resolve_routine(&name, context.session);
                let is_new: bool =
                    !known.is_empty() && known.iter().all(|routine| !context.was_there(routine.born, false));
                let name: QName = name;
                (!is_new).then(|| name.to_string())
            }
            NodeEnum::String(text) => {
                let born = context.catalog.schemas.get(&text.sval).copied().flatten();
                context.was_there(born, false).then(|| text.sval.clone())
            }
            _ => ast::name(node).map(|name| name.to_string()),
        })
        .map(|name| format!("`{name}`"))
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn roles(nodes: &[Node]) -> String {
    let name = |node: &Node| match node.node.as_ref()? {
        NodeEnum::RoleSpec(role) if role.roletype() == RoleSpecType::RolespecPublic => Some("PUBLIC".into()),
        NodeEnum::RoleSpec(role) => Some(role.rolename.clone()),
        NodeEnum::AccessPriv(role) => Some(role.priv_name.clone()),
        _ => None,
    };
    let names: Vec<String> = nodes.iter().filter_map(name).collect();
    crate::rules::access::in_words(&names)
}
