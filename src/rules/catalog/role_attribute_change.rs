//! A role that may do more than before.

use crate::{
    finding::{Category, Direction, Severity},
    rules::{Check, Context, Rule, Sink, access},
    sql::{
        self,
        ast::{AlterTableType, DefElem, Node, NodeEnum, RoleSpec, RoleSpecType},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "role-attribute-change",
    category: Category::Security,
    severity: Severity::Error,
    summary: "gives a role powers beyond privileges on objects",
    why: "SUPERUSER and BYPASSRLS stand above every grant and policy, CREATEROLE can hand out what it does not \
          have, a login with a password in git is everybody's, and membership in `service_role` is BYPASSRLS by \
          another name.",
    instead: "Create roles NOLOGIN and grant them what they need; set passwords outside migrations.",
    sources: &[
        "https://www.postgresql.org/docs/current/role-attributes.html",
        "https://supabase.com/docs/guides/database/postgres/roles",
    ],
    peers: &["sq:ban-alter-role-options"],
    given: "create table app.docs (id bigint primary key);",
    bad: &[
        "create role boss superuser;",
        "alter role app_reader bypassrls;",
        "create user app_login with password 'correct horse battery';",
        "alter user app_reader createrole;",
        "grant service_role to authenticated;",
        "create role job_runner nologin in role service_role;",
        "alter group service_role add user app_reader;",
        "alter table app.docs owner to supabase_admin;",
    ],
    good: &[
        "create role app_writer nologin;",
        "alter role app_reader set statement_timeout = '5s';",
        "alter role app_reader nobypassrls;",
        "create role app_editor nologin nosuperuser nocreaterole;",
        "alter role app_reader with password null;",
        "grant app_reader to postgres;",
    ],
    also: &["hardcoded-secret", "broad-grant", "owner-change"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

/// Roles that stand above grants or policies.
const POWERFUL: &[&str] = &[
    "postgres",
    "service_role",
    "supabase_admin",
    "supabase_auth_admin",
    "supabase_storage_admin",
    "supabase_realtime_admin",
    "supabase_functions_admin",
    "supabase_replication_admin",
    "supabase_privileged_role",
    "authenticator",
    "dashboard_user",
    "rds_superuser",
    "pg_read_all_data",
    "pg_write_all_data",
    "pg_read_server_files",
    "pg_write_server_files",
    "pg_execute_server_program",
];

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    if context.direction == Direction::Down {
        return;
    }
    match context.node {
        NodeEnum::CreateRoleStmt(create) => {
            let mut weaker = create.clone();
            weaker.options.retain(|option| powers(std::slice::from_ref(option)).is_empty());
            let weaker = NodeEnum::CreateRoleStmt(weaker);
            attributes(&create.role, &create.options, ("creates", Some(weaker)), sink);
            members(std::slice::from_ref(&create.role), &listed(&create.options, "addroleto"), sink);
        }
        NodeEnum::AlterRoleStmt(alter) => {
            let role = alter.role.as_ref().map(name).unwrap_or_default();
            let mut weaker = alter.clone();
            weaker.options.retain(|option| powers(std::slice::from_ref(option)).is_empty());
            let weaker = (!weaker.options.is_empty()).then_some(NodeEnum::AlterRoleStmt(weaker));
            attributes(&role, &alter.options, ("alters", weaker), sink);
            // ALTER GROUP … ADD USER, in the words of before 8.1; -1 drops them.
            if alter.action > 0 {
                members(&listed(&alter.options, "rolemembers"), &[role], sink);
            }
        }
        NodeEnum::GrantRoleStmt(grant) if grant.is_grant => {
            members(&roles(&grant.grantee_roles), &roles(&grant.granted_roles), sink);
        }
        NodeEnum::AlterOwnerStmt(alter) => {
            let mut ours = alter.clone();
            to_postgres(ours.newowner.as_mut());
            owner(alter.newowner.as_ref(), &NodeEnum::AlterOwnerStmt(ours), sink);
        }
        NodeEnum::ReassignOwnedStmt(reassign) => {
            let mut ours = reassign.clone();
            to_postgres(ours.newrole.as_mut());
            owner(reassign.newrole.as_ref(), &NodeEnum::ReassignOwnedStmt(ours), sink);
        }
        NodeEnum::AlterTableStmt(alter) => {
            let mut ours = alter.clone();
            for node in &mut ours.cmds {
                if let Some(NodeEnum::AlterTableCmd(command)) = &mut node.node {
                    to_postgres(command.newowner.as_mut());
                }
            }
            let ours = NodeEnum::AlterTableStmt(ours);
            for node in &alter.cmds {
                if let Some(NodeEnum::AlterTableCmd(command)) = &node.node
                    && command.subtype() == AlterTableType::AtChangeOwner
                {
                    owner(command.newowner.as_ref(), &ours, sink);
                }
            }
        }
        _ => {}
    }
}

fn name(role: &RoleSpec) -> String {
    match role.roletype() {
        RoleSpecType::RolespecPublic => "PUBLIC".into(),
        RoleSpecType::RolespecCstring => role.rolename.clone(),
        _ => "the current role".into(),
    }
}

fn roles(nodes: &[Node]) -> Vec<String> {
    let one = |node: &Node| match node.node.as_ref()? {
        NodeEnum::RoleSpec(role) => Some(name(role)),
        NodeEnum::AccessPriv(role) => Some(role.priv_name.clone()),
        _ => None,
    };
    nodes.iter().filter_map(one).collect()
}

/// The roles that an option lists: `IN ROLE a, b`.
pub(super) fn listed(options: &[Node], name: &str) -> Vec<String> {
    let lists = options.iter().filter_map(|option| match &option.node {
        Some(NodeEnum::DefElem(option)) if option.defname == name => match &option.arg.as_ref()?.node {
            Some(NodeEnum::List(list)) => Some(roles(&list.items)),
            _ => None,
        },
        _ => None,
    });
    lists.flatten().collect()
}

fn members(to: &[String], given: &[String], sink: &mut Sink<'_>) {
    let given: Vec<String> = given.iter().filter(|role| POWERFUL.contains(&role.as_str())).cloned().collect();
    let to: Vec<String> = to.iter().filter(|role| !is_trusted(role)).cloned().collect();
    if !given.is_empty() && !to.is_empty() {
        sink.report(format!(
            "makes {} a member of {}: it stands above policies from now on",
            access::in_words(&to),
            access::in_words(&given)
        ));
    }
}

/// They hold these powers anyway.
fn is_trusted(role: &str) -> bool {
    matches!(role, "postgres" | "authenticator" | "the current role") || role.starts_with("supabase_")
}

/// `weaker`: the statement without what the rule speaks of, where something is left of it.
fn attributes(role: &str, options: &[Node], (verb, weaker): (&str, Option<NodeEnum>), sink: &mut Sink<'_>) {
    let gained = powers(options);
    if gained.is_empty() {
        return;
    }
    let report = sink.report(format!("{verb} role `{role}` with {}", gained.join(", "))).object(role);
    if let Some(text) = weaker.and_then(|weaker| sql::deparse(&weaker)) {
        let password = match gained.contains(&PASSWORD) {
            true => format!("\n-- and outside of any file, in psql:\n-- \\password {}", sql::ident(role)),
            false => String::new(),
        };
        report.suggest(format!("{text};{password}"));
    }
}

fn powers(options: &[Node]) -> Vec<&'static str> {
    let power = |node: &Node| match &node.node {
        Some(NodeEnum::DefElem(option)) => power(option),
        _ => None,
    };
    options.iter().filter_map(power).collect()
}

/// Said in the message in place of the option, whose text is the secret.
const PASSWORD: &str = "a password that stands in the file";

fn to_postgres(role: Option<&mut RoleSpec>) {
    if let Some(role) = role {
        role.set_roletype(RoleSpecType::RolespecCstring);
        role.rolename = "postgres".into();
    }
}

fn power(option: &DefElem) -> Option<&'static str> {
    let on = match option.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
        Some(NodeEnum::Boolean(value)) => value.boolval,
        Some(NodeEnum::Integer(value)) => value.ival != 0,
        Some(_) => true,
        None => false,
    };
    match option.defname.as_str() {
        "superuser" if on => Some("SUPERUSER"),
        "bypassrls" if on => Some("BYPASSRLS"),
        "createrole" if on => Some("CREATEROLE"),
        "isreplication" if on => Some("REPLICATION"),
        "password" if on => Some(PASSWORD),
        _ => None,
    }
}

/// `ours`: the same for `postgres`.
fn owner(role: Option<&RoleSpec>, ours: &NodeEnum, sink: &mut Sink<'_>) {
    let Some(role) = role.map(name) else { return };
    // `postgres` owns what migrations make; dumps say so of every object.
    if role != "postgres" && POWERFUL.contains(&role.as_str()) {
        let report = sink
            .report(format!(
                "gives an object to `{role}`: what runs with its owner's rights runs as `{role}`"
            ))
            .object(role);
        if let Some(text) = sql::deparse(ours) {
            report.suggest(format!("{text};"));
        }
    }
}
