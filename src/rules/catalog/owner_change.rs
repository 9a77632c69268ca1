//! A live object changes hands.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, names},
    schema::{QName, RelationKind},
    sql::ast::{self, AlterTableType, NodeEnum, ObjectType, RoleSpec},
};

pub(super) static RULE: Rule = Rule {
    name: "owner-change",
    category: Category::Security,
    severity: Severity::Info,
    summary: "gives a live object another owner",
    why: "Row level security does not bind an owner, and views and SECURITY DEFINER routines run with \
          their owner's rights.",
    instead: "Say in the pull request who gains what.",
    sources: &["https://www.postgresql.org/docs/current/ddl-rowsecurity.html"],
    peers: &["sq:ban-revoke"],
    given: "create table app.orders (id bigint primary key);
            create function app.admin() returns int language sql security definer set search_path = '' as 'select 1';",
    bad: &[
        "alter table app.orders owner to postgres;",
        "reassign owned by authenticated to postgres;",
        "create role app_ops nologin bypassrls;\nalter table app.orders owner to app_ops;",
    ],
    also: &["role-attribute-change"],
    good: &["create table app.t (id bigint primary key);\nalter table app.t owner to postgres;"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    match context.node {
        NodeEnum::AlterTableStmt(_) => {
            let Some((table, commands)) = context.alter_table() else { return };
            for command in commands.iter().filter(|command| names::is(command, AlterTableType::AtChangeOwner))
            {
                if context.is_live(table) {
                    let view_runs_as_owner = context.relation(table).is_some_and(|relation| {
                        relation.kind == RelationKind::View
                            && !relation.options.contains_key("security_invoker")
                    });
                    say(
                        table,
                        command.newowner.as_ref(),
                        view_runs_as_owner && !is_the_migrator(context, command.newowner.as_ref()),
                        Some(LockMode::AccessExclusive),
                        sink,
                        context,
                    );
                }
            }
        }
        NodeEnum::AlterOwnerStmt(alter) => {
            let Some(name) = alter.object.as_deref().and_then(ast::name) else { return };
            let place = context.catalog.place(&name, context.session);
            let routines = context.catalog.routines.get(&place);
            let is_routine = matches!(
                alter.object_type(),
                ObjectType::ObjectFunction | ObjectType::ObjectProcedure | ObjectType::ObjectRoutine
            );
            let born_here =
                routines.is_some_and(|routines| routines.iter().all(|routine| routine.born.is_some()));
            let definer =
                routines.is_some_and(|routines| routines.iter().any(|routine| routine.security_definer));
            if is_routine && !born_here {
                let widens = definer && !is_the_migrator(context, alter.newowner.as_ref());
                say(&place, alter.newowner.as_ref(), widens, None, sink, context);
            }
        }
        NodeEnum::ReassignOwnedStmt(reassign) => {
            let report = sink.report("gives everything that a role owns to another");
            if is_unbound(context, reassign.newrole.as_ref()) {
                report.severity(Severity::Warning).help(UNBOUND);
            }
        }
        _ => {}
    }
}

/// On Supabase `postgres` runs the migrations, so it owns what they made: a line that `pg_dump`
/// writes and that changes nothing.
fn is_the_migrator(context: &Context<'_>, owner: Option<&RoleSpec>) -> bool {
    context.on_supabase() && owner.is_some_and(|owner| owner.rolename == "postgres")
}

const UNBOUND: &str = "No policy binds that role: whoever can become it reads and writes every row.";

fn is_unbound(context: &Context<'_>, owner: Option<&RoleSpec>) -> bool {
    owner.is_some_and(|owner| context.catalog.unbound_roles.contains(&owner.rolename))
}

fn say(
    object: &QName,
    owner: Option<&RoleSpec>,
    runs_as_owner: bool,
    lock: Option<LockMode>,
    sink: &mut Sink<'_>,
    context: &Context<'_>,
) {
    let unbound = is_unbound(context, owner);
    let owner =
        owner.map(|owner| owner.rolename.as_str()).filter(|name| !name.is_empty()).unwrap_or("another role");
    let report = sink.report(format!("`{object}` belongs to `{owner}` from now on")).on(object).lock(lock);
    if runs_as_owner {
        report.severity(Severity::Warning).help("It runs with its owner's rights: make sure that the new owner may do no more than its callers should.");
    } else if unbound {
        report.severity(Severity::Warning).help(UNBOUND);
    }
}
