//! Who reaches what through Supabase's API: its roles, their privileges, and the policies that a
//! change leaves behind.
//!
//! Nothing here reports; nothing here knows a rule.

use super::{ChangeContext, Sink, names, sink::Report, tautology};
use crate::{
    schema::{At, Grant, Grantee, Policy, QName, Relation, RelationKind, Routine, RoutineKind, Unit},
    sql::{
        self,
        ast::{Node, NodeEnum, NodeRef, SubLinkType, strings},
    },
};

/// The roles that a request with a public key, or with a user's token, runs as.
pub(crate) const API_ROLES: [&str; 2] = ["anon", "authenticated"];

/// What reads or writes rows; PostgREST offers nothing else.
const ROWS: [&str; 4] = ["select", "insert", "update", "delete"];

/// Whether a grant or policy for it concerns a caller of the API: PUBLIC includes everybody.
pub(crate) fn is_api(grantee: &Grantee) -> bool {
    match grantee {
        Grantee::Public => true,
        Grantee::Role(role) => API_ROLES.contains(&role.as_str()),
    }
}

/// The role as SQL writes it.
pub(crate) fn role(grantee: &Grantee) -> String {
    match grantee {
        Grantee::Public => "PUBLIC".into(),
        Grantee::Role(role) => sql::ident(role),
    }
}

/// Those of the API that hold one of the privileges.
fn holders(grants: &[Grant], wanted: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = grants
        .iter()
        .filter(|grant| is_api(&grant.grantee))
        .filter(|grant| {
            grant.privileges.iter().any(|held| {
                let held = held.split(" (").next().unwrap_or(held);
                held == "all" || wanted.contains(&held)
            })
        })
        .map(|grant| role(&grant.grantee))
        .collect();
    found.sort();
    found
}

/// Those of the API that may read or write the relation, row level security aside.
pub(crate) fn reach(relation: &Relation) -> Vec<String> {
    holders(&relation.grants, &ROWS)
}

/// Those of the API that may read it.
pub(crate) fn readers(relation: &Relation) -> Vec<String> {
    holders(&relation.grants, &["select"])
}

/// Those of the API that may call it.
pub(crate) fn callers(routine: &Routine) -> Vec<String> {
    holders(&routine.grants, &["execute"])
}

/// "`anon` and `authenticated`".
pub(crate) fn in_words(roles: &[String]) -> String {
    let quoted: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
    match quoted.as_slice() {
        [] => "nobody".into(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Reports at a statement of the change.
pub(crate) fn say<'s>(
    context: &ChangeContext<'_>,
    sink: &'s mut Sink<'_>,
    at: At,
    message: impl Into<String>,
) -> Report<'s> {
    let span = context.unit(at).map_or(0..0, |unit| unit.span.clone());
    sink.report_at(at, span, message)
}

/// Everything that runs in the statement which stands there, what is inside a DO block first.
pub(crate) fn units<'a>(context: &ChangeContext<'a>, at: At) -> impl Iterator<Item = &'a Unit> {
    let units = context.units_at(at).iter().map(|unit| &**unit);
    units.filter(move |unit| unit.at.direction == at.direction)
}

/// Tables of exposed schemas as the change leaves them: what row level security can guard.
pub(crate) fn exposed_tables<'a>(context: &ChangeContext<'a>) -> impl Iterator<Item = &'a Relation> {
    exposed(context)
        .into_iter()
        .filter(|relation| matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable))
}

/// Relations of exposed schemas as the change leaves them.
pub(crate) fn exposed<'a>(context: &ChangeContext<'a>) -> Vec<&'a Relation> {
    let after = context.after;
    after
        .relations
        .values()
        .filter(|relation| !relation.temporary && context.is_exposed(&relation.name.schema))
        .collect()
}

/// Whether the model has seen the table made, or its row level security switched: of others it
/// cannot say that row level security is off.
pub(crate) fn rls_is_known(relation: &Relation) -> bool {
    relation.born.is_some() || relation.columns_known || relation.secured.is_some()
}

/// Where the change brought a relation within reach of the API: created it, moved it into an exposed
/// schema, or granted it to somebody who had nothing before.
pub(crate) fn brought_within_reach(context: &ChangeContext<'_>, relation: &Relation) -> Option<At> {
    if relation.born.is_some() {
        return relation.born;
    }
    match context.before.relation(&relation.name) {
        None => relation.secured.filter(|at| {
            units(context, *at).any(|unit| {
                matches!(&unit.node, NodeEnum::AlterObjectSchemaStmt(_) | NodeEnum::RenameStmt(_))
            })
        }),
        Some(before) => relation.granted.filter(|_| reach(before).is_empty() && !reach(relation).is_empty()),
    }
}

/// The parent that guards its rows although the table itself does not.
pub(crate) fn guarded_parent<'a>(context: &ChangeContext<'a>, relation: &Relation) -> Option<&'a Relation> {
    let after = context.after;
    relation
        .partition_of
        .iter()
        .chain(&relation.inherits)
        .filter_map(|parent| after.relation(parent))
        .find(|parent| parent.rls)
}

/// A policy that the change created or altered, as it stands at the end.
pub(crate) struct Changed<'a> {
    pub(crate) table: &'a Relation,
    pub(crate) policy: &'a Policy,
    /// The statement that touched it last.
    pub(crate) unit: &'a Unit,
}

impl Changed<'_> {
    /// The clauses that the last statement writes.
    pub(crate) fn written(&self) -> Vec<&Node> {
        let (using, check) = match &self.unit.node {
            NodeEnum::CreatePolicyStmt(create) => (&create.qual, &create.with_check),
            NodeEnum::AlterPolicyStmt(alter) => (&alter.qual, &alter.with_check),
            _ => return Vec::new(),
        };
        [using, check].into_iter().flatten().map(|node| &**node).collect()
    }

    /// `schema.table.policy`.
    pub(crate) fn object(&self) -> String {
        format!("{}.{}", self.table.name, self.policy.name)
    }

    /// "policy `p` on `public.t`".
    pub(crate) fn called(&self) -> String {
        format!("policy `{}` on `{}`", self.policy.name, self.table.name)
    }

    /// `ALTER POLICY p ON t`.
    pub(crate) fn alter(&self) -> String {
        format!("ALTER POLICY {} ON {}", sql::ident(&self.policy.name), self.table.name.sql())
    }
}

/// The policies that the change created or altered and did not drop again.
pub(crate) fn policies<'c, 'a>(context: &'c ChangeContext<'a>) -> &'c [Changed<'a>] {
    context.policies.get_or_init(|| changed_policies(context))
}

fn changed_policies<'a>(context: &ChangeContext<'a>) -> Vec<Changed<'a>> {
    let after = context.after;
    let mut found = Vec::new();
    for table in after.relations.values() {
        for policy in &table.policies {
            let Some(at) = policy.changed else { continue };
            let unit = units(context, at).find(|unit| match &unit.node {
                NodeEnum::CreatePolicyStmt(create) => create.policy_name == policy.name,
                NodeEnum::AlterPolicyStmt(alter) => alter.policy_name == policy.name,
                _ => false,
            });
            found.extend(unit.map(|unit| Changed { table, policy, unit }));
        }
    }
    found
}

/// Whether a policy lets somebody of the API through.
pub(crate) fn for_api(policy: &Policy) -> bool {
    policy.roles.iter().any(is_api)
}

/// The roles of a policy that belong to the API.
pub(crate) fn api_roles(policy: &Policy) -> Vec<String> {
    policy.roles.iter().filter(|grantee| is_api(grantee)).map(role).collect()
}

/// Whether a policy lets its roles write any row: the clause that does not hold, as SQL names it.
pub(crate) fn open_for_writes(policy: &Policy) -> Option<&'static str> {
    let holds = |clause: &Option<Box<Node>>| clause.as_deref().is_some_and(tautology::always_true);
    match policy.command.as_str() {
        "select" => None,
        "insert" => holds(&policy.with_check).then_some("WITH CHECK"),
        "delete" => holds(&policy.using).then_some("USING"),
        _ if holds(&policy.using) => Some("USING"),
        _ => holds(&policy.with_check).then_some("WITH CHECK"),
    }
}

/// Calls that are the same for every row of a query and yet are made for each: those of the session's
/// user that stand outside a scalar sub-select, with where they stand.
pub(crate) fn calls_per_row(clause: &Node) -> Vec<(String, i32)> {
    let mut found = Vec::new();
    sql::walk_all([clause], &mut |node| match node {
        // Postgres runs a scalar sub-select that reads no column of the row once, as an "initplan".
        NodeRef::SubLink(link) => {
            // So it does `x IN (SELECT …)` without FROM.
            let alone = matches!(
                link.subselect.as_ref().and_then(|select| select.node.as_ref()),
                Some(NodeEnum::SelectStmt(select)) if select.from_clause.is_empty() && select.larg.is_none()
            );
            if alone && let Some(tested) = link.testexpr.as_deref() {
                found.extend(calls_per_row(tested));
            }
            !alone && !matches!(link.sub_link_type(), SubLinkType::ExprSublink | SubLinkType::ArraySublink)
        }
        NodeRef::FuncCall(call) => {
            let name = strings(&call.funcname);
            let name: Vec<&str> = name.iter().map(String::as_str).collect();
            let steady = matches!(
                name.as_slice(),
                ["auth", "uid" | "jwt" | "role" | "email"]
                    | ["current_setting"]
                    | ["pg_catalog", "current_setting"]
            );
            if steady {
                found.push((name.join("."), call.location));
            }
            true
        }
        _ => true,
    });
    found
}

/// `public.f(integer, text)`.
pub(crate) fn signature(routine: &Routine) -> String {
    format!("{}({})", routine.name.sql(), names::arguments_sql(routine))
}

/// `FUNCTION` or `PROCEDURE`.
pub(crate) fn kind_of(routine: &Routine) -> &'static str {
    match routine.kind {
        RoutineKind::Procedure => "PROCEDURE",
        _ => "FUNCTION",
    }
}

/// The overload that was there before, by name and arguments.
pub(crate) fn routine_before<'a>(context: &ChangeContext<'a>, routine: &Routine) -> Option<&'a Routine> {
    let before = context.before;
    before.routines.get(&routine.name)?.iter().find(|known| known.arguments == routine.arguments)
}

/// Functions and procedures that the change made or altered, as they stand at the end.
pub(crate) fn changed_routines<'a>(context: &ChangeContext<'a>) -> Vec<(&'a Routine, At)> {
    let after = context.after;
    let all = after.routines.values().flatten();
    all.filter(|routine| routine.kind != RoutineKind::Aggregate)
        .filter_map(|routine| Some((routine, routine.changed?)))
        .collect()
}

/// Whether the routine was made or replaced there (and not altered only).
pub(crate) fn made_at(context: &ChangeContext<'_>, at: At) -> bool {
    units(context, at).any(|unit| matches!(unit.node, NodeEnum::CreateFunctionStmt(_)))
}

/// The statement that decided how a routine is: the last that made it, or altered that very property
/// (`set`, `security`), else the one that made it first.
pub(crate) fn decided(context: &ChangeContext<'_>, routine: &Routine, property: &str) -> Option<At> {
    let at = routine.changed?;
    let decides = units(context, at).any(|unit| match &unit.node {
        NodeEnum::CreateFunctionStmt(_) => true,
        NodeEnum::AlterFunctionStmt(alter) => alter.actions.iter().any(
            |action| matches!(&action.node, Some(NodeEnum::DefElem(action)) if action.defname == property),
        ),
        _ => false,
    });
    if decides { Some(at) } else { routine.born.or(Some(at)) }
}

/// Whether a view runs with the rights of whoever queries it.
pub(crate) fn is_invoker(view: &Relation) -> bool {
    view.options.get("security_invoker").is_some_and(|value| value == "true")
}

/// Schemas that the platform owns and changes by itself.
pub(crate) const MANAGED: &[&str] = &[
    "auth",
    "storage",
    "realtime",
    "supabase_functions",
    "supabase_migrations",
    "vault",
    "graphql",
    "graphql_public",
    "pgbouncer",
    "cron",
    "net",
    "pgsodium",
    "pgsodium_masks",
    "_realtime",
    "_analytics",
];

/// Whether a name stands in a schema of the platform or of Postgres itself.
pub(crate) fn is_platform(name: &QName) -> bool {
    let schema = name.schema.as_str();
    MANAGED.contains(&schema)
        || matches!(schema, "information_schema" | "extensions")
        || schema.starts_with("pg_")
}

/// Foreign keys that the change makes and leaves, with the table; those that a partition has from its
/// parent are left out.
pub(crate) fn new_foreign_keys<'a>(
    context: &ChangeContext<'a>,
) -> Vec<(&'a Relation, &'a crate::schema::Constraint, At)> {
    let after = context.after;
    let inherited = |table: &Relation, name: &str| {
        let parent = table.partition_of.as_ref().and_then(|parent| after.relation(parent));
        parent.is_some_and(|parent| parent.constraint(name).is_some())
    };
    let mut found = Vec::new();
    for table in after.relations.values().filter(|table| !table.temporary) {
        for constraint in &table.constraints {
            let foreign = matches!(constraint.kind, crate::schema::ConstraintKind::Foreign { .. });
            if foreign && !inherited(table, &constraint.name) {
                found.extend(constraint.born.map(|at| (table, constraint, at)));
            }
        }
    }
    found
}
