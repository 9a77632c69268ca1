//! The SQL of a grant that reaches less far.

use crate::{
    rules::Context,
    schema::{QName, RelationKind},
    sql::{
        self,
        ast::{self, GrantStmt, GrantTargetType, Node, NodeEnum, ObjectType, RoleSpec, RoleSpecType},
    },
};

/// Longer lists help nobody.
const MOST_TABLES: usize = 30;

/// What else would do, for a grant that `broad-grant` speaks of.
pub(super) fn grant(context: &Context<'_>, grant: &GrantStmt) -> Option<String> {
    let mut narrow = grant.clone();
    let to_all = to_authenticated(context, &mut narrow.grantees)?;
    narrow.grant_option = false;
    if grant.targtype() == GrantTargetType::AclTargetAllInSchema {
        return one_by_one(context, &narrow);
    }
    let all = grant.privileges.is_empty();
    match grant.objtype() {
        ObjectType::ObjectTable => per_role(context, &narrow),
        ObjectType::ObjectSequence => {
            let sequences = grant.objects.iter().filter_map(|object| match &object.node {
                Some(NodeEnum::RangeVar(range)) => Some(context.resolve(range).sql()),
                _ => None,
            });
            let sequences = sequences.collect::<Vec<_>>().join(", ");
            Some(format!("GRANT USAGE ON SEQUENCE {sequences} TO {};", roles(&narrow.grantees)))
        }
        ObjectType::ObjectSchema => {
            Some(format!("GRANT USAGE ON SCHEMA {} TO {};", names(&grant.objects), roles(&narrow.grantees)))
        }
        _ if (to_all || grant.grant_option) && !all => {
            sql::deparse(&NodeEnum::GrantStmt(narrow)).map(|sql| sql + ";")
        }
        ObjectType::ObjectFunction | ObjectType::ObjectProcedure | ObjectType::ObjectRoutine => {
            sql::deparse(&NodeEnum::GrantStmt(narrow)).map(|sql| sql + ";")
        }
        _ => None,
    }
}

/// Puts those who sign in in the place of PUBLIC, and says whether there was one to replace; `None` where
/// nobody knows who that would be.
fn to_authenticated(context: &Context<'_>, grantees: &mut [Node]) -> Option<bool> {
    let mut replaced = false;
    for grantee in grantees {
        if let Some(NodeEnum::RoleSpec(role)) = &mut grantee.node
            && role.roletype() == RoleSpecType::RolespecPublic
        {
            if !context.on_supabase() {
                return None;
            }
            role.set_roletype(RoleSpecType::RolespecCstring);
            role.rolename = "authenticated".into();
            replaced = true;
        }
    }
    Some(replaced)
}

/// Reading for `anon`, rows for the others.
fn per_role(context: &Context<'_>, grant: &GrantStmt) -> Option<String> {
    let verbs: Vec<String> = verbs(&grant.privileges)?;
    let tables = tables_of(context, grant)?;
    let (anon, others): (Vec<&RoleSpec>, Vec<&RoleSpec>) =
        role_specs(&grant.grantees).partition(|role| role.rolename == "anon");
    let rows = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    let wanted: Vec<&str> = match verbs.is_empty() {
        true => rows.to_vec(),
        false => rows.into_iter().filter(|row| verbs.iter().any(|verb| verb == row)).collect(),
    };
    let mut lines = Vec::new();
    if !anon.is_empty() && wanted.contains(&"SELECT") {
        lines.push(format!("GRANT SELECT ON {tables} TO anon;"));
    }
    // Who writes has signed in.
    let signed_in = match others.is_empty() {
        true => "authenticated".to_owned(),
        false => others.iter().map(|role| sql::ident(&role.rolename)).collect::<Vec<_>>().join(", "),
    };
    if !wanted.is_empty() && (!others.is_empty() || wanted != ["SELECT"]) {
        lines.push(format!("GRANT {} ON {tables} TO {signed_in};", wanted.join(", ")));
    }
    Some(lines.join("\n")).filter(|text| !text.is_empty())
}

/// The tables that the schema has now, by name.
fn one_by_one(context: &Context<'_>, grant: &GrantStmt) -> Option<String> {
    if grant.objtype() != ObjectType::ObjectTable {
        return None;
    }
    let schemas: Vec<&str> = grant.objects.iter().filter_map(ast::string).collect();
    let tables: Vec<Node> = (context.catalog.relations.values())
        .filter(|relation| schemas.contains(&relation.name.schema.as_str()))
        .filter(|relation| {
            matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable | RelationKind::View)
                && relation.partition_of.is_none()
        })
        .map(|relation| range(&relation.name))
        .take(MOST_TABLES + 1)
        .collect();
    if tables.is_empty() || tables.len() > MOST_TABLES {
        return None;
    }
    let mut named = grant.clone();
    named.set_targtype(GrantTargetType::AclTargetObject);
    named.objects = tables;
    per_role(context, &named)
}

fn range(name: &QName) -> Node {
    let range = ast::RangeVar {
        schemaname: name.schema.clone(),
        relname: name.name.clone(),
        inh: true,
        relpersistence: "p".into(),
        ..ast::RangeVar::default()
    };
    Node { node: Some(NodeEnum::RangeVar(range)) }
}

/// Capitals; empty for ALL, `None` where columns are named.
fn verbs(privileges: &[Node]) -> Option<Vec<String>> {
    let verb = |node: &Node| match node.node.as_ref()? {
        NodeEnum::AccessPriv(privilege) if privilege.cols.is_empty() => {
            Some(privilege.priv_name.to_uppercase())
        }
        _ => None,
    };
    privileges.iter().map(verb).collect::<Option<Vec<_>>>().map(|mut verbs| {
        verbs.retain(|verb| !verb.is_empty());
        verbs
    })
}

fn tables_of(context: &Context<'_>, grant: &GrantStmt) -> Option<String> {
    let name = |node: &Node| match node.node.as_ref()? {
        NodeEnum::RangeVar(range) => Some(context.resolve(range).sql()),
        _ => None,
    };
    grant.objects.iter().map(name).collect::<Option<Vec<_>>>().map(|names| names.join(", "))
}

fn names(objects: &[Node]) -> String {
    let names = objects.iter().filter_map(ast::string).map(sql::ident);
    names.collect::<Vec<_>>().join(", ")
}

fn role_specs(grantees: &[Node]) -> impl Iterator<Item = &RoleSpec> {
    grantees.iter().filter_map(|grantee| match &grantee.node {
        Some(NodeEnum::RoleSpec(role)) => Some(role),
        _ => None,
    })
}

fn roles(grantees: &[Node]) -> String {
    role_specs(grantees).map(|role| sql::ident(&role.rolename)).collect::<Vec<_>>().join(", ")
}
