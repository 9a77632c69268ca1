//! Privileges, and those that objects are born with.

use std::collections::BTreeSet;

use super::{Change, def_elem, grantee};
use crate::schema::{
    At, Catalog, Grant, Grantee, QName, RelationKind, RelationKindForGrants as Kind, Routine, RoutineKind,
};
use crate::sql::ast::{
    self, AlterDefaultPrivilegesStmt, GrantStmt, GrantTargetType, Node, NodeEnum, ObjectType,
};

/// What ALL means for each kind.
/// <https://www.postgresql.org/docs/current/ddl-priv.html#PRIVILEGE-ABBREVS-TABLE>
fn every(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Tables => {
            &["select", "insert", "update", "delete", "truncate", "references", "trigger", "maintain"]
        }
        Kind::Sequences => &["usage", "select", "update"],
        Kind::Functions => &["execute"],
        Kind::Types => &["usage"],
        Kind::Schemas => &["usage", "create"],
    }
}

/// A GRANT or REVOKE, read.
struct Order {
    give: bool,
    /// Empty: all.
    privileges: BTreeSet<String>,
    grantees: Vec<Grantee>,
    /// WITH GRANT OPTION, or REVOKE GRANT OPTION FOR.
    option: bool,
    kind: Kind,
}

impl Order {
    fn carry_out(&self, grants: &mut Vec<Grant>) {
        for grantee in &self.grantees {
            let known = grants.iter_mut().find(|grant| grant.grantee == *grantee);
            match (self.give, known) {
                (true, Some(grant)) => {
                    grant.privileges.extend(self.named());
                    grant.grantable |= self.option;
                }
                (true, None) => grants.push(Grant {
                    grantee: grantee.clone(),
                    privileges: self.named(),
                    grantable: self.option,
                }),
                (false, Some(grant)) if self.option => grant.grantable = false,
                (false, Some(grant)) => self.take(&mut grant.privileges),
                (false, None) => {}
            }
        }
        grants.retain(|grant| !grant.privileges.is_empty());
    }

    fn mark(&self, granted: &mut Option<At>, at: At) {
        if self.give {
            *granted = Some(at);
        }
    }

    fn named(&self) -> BTreeSet<String> {
        match self.privileges.is_empty() {
            true => BTreeSet::from(["all".to_owned()]),
            false => self.privileges.clone(),
        }
    }

    fn take(&self, held: &mut BTreeSet<String>) {
        if self.privileges.is_empty() {
            held.clear();
            return;
        }
        if held.remove("all") {
            held.extend(every(self.kind).iter().map(|name| (*name).to_owned()));
        }
        // Revoking on the table takes the columns along.
        held.retain(|name| {
            let whole = name.split(" (").next().unwrap_or(name);
            !self.privileges.contains(name) && !self.privileges.contains(whole)
        });
        // Kept short: everything is `all` to those who read it, but for what was taken.
        if held.len() == 1 && held.contains("maintain") && !self.privileges.contains("maintain") {
            held.clear();
        }
    }
}

impl Catalog {
    /// Privileges that a new relation is born with.
    pub(super) fn birth_grants(&self, name: &QName, kind: RelationKind) -> Vec<Grant> {
        match kind {
            _ if name.is_temporary() => Vec::new(),
            RelationKind::Sequence => self.defaults(&name.schema, Kind::Sequences),
            RelationKind::CompositeType => Vec::new(),
            _ => self.defaults(&name.schema, Kind::Tables),
        }
    }

    pub(super) fn birth_grants_of_routine(&self, name: &QName) -> Vec<Grant> {
        self.defaults(&name.schema, Kind::Functions)
    }

    fn defaults(&self, schema: &str, kind: Kind) -> Vec<Grant> {
        let global = self.default_privileges.get(&(String::new(), kind));
        let mut grants = global.cloned().unwrap_or_else(|| built_in_default(kind));
        // What a schema adds; it can never take away what holds everywhere.
        for added in self.default_privileges.get(&(schema.to_owned(), kind)).into_iter().flatten() {
            match grants.iter_mut().find(|grant| grant.grantee == added.grantee) {
                Some(grant) => grant.privileges.extend(added.privileges.iter().cloned()),
                None => grants.push(added.clone()),
            }
        }
        grants
    }
}

/// Anybody may call a function and use a type until somebody revokes that.
fn built_in_default(kind: Kind) -> Vec<Grant> {
    let to_public = |privilege: &str| {
        vec![Grant {
            grantee: Grantee::Public,
            privileges: BTreeSet::from([privilege.to_owned()]),
            grantable: false,
        }]
    };
    match kind {
        Kind::Functions => to_public("execute"),
        Kind::Types => to_public("usage"),
        _ => Vec::new(),
    }
}

impl Change<'_> {
    fn order(&self, grant: &GrantStmt) -> Option<Order> {
        let kind = match grant.objtype() {
            ObjectType::ObjectTable => Kind::Tables,
            ObjectType::ObjectSequence => Kind::Sequences,
            ObjectType::ObjectFunction | ObjectType::ObjectProcedure | ObjectType::ObjectRoutine => {
                Kind::Functions
            }
            ObjectType::ObjectType | ObjectType::ObjectDomain => Kind::Types,
            ObjectType::ObjectSchema => Kind::Schemas,
            _ => return None,
        };
        let privilege = |node: &Node| match node.node.as_ref()? {
            NodeEnum::AccessPriv(privilege) => {
                let name = match privilege.priv_name.as_str() {
                    "" => "all",
                    name => name,
                };
                match ast::strings(&privilege.cols) {
                    columns if columns.is_empty() => Some(name.to_lowercase()),
                    columns => Some(format!("{} ({})", name.to_lowercase(), columns.join(", "))),
                }
            }
            _ => None,
        };
        Some(Order {
            give: grant.is_grant,
            privileges: grant.privileges.iter().filter_map(privilege).collect(),
            grantees: grant.grantees.iter().filter_map(|node| grantee(node, self.session)).collect(),
            option: grant.grant_option,
            kind,
        })
    }

    pub(super) fn grant(&mut self, grant: &GrantStmt) {
        let Some(order) = self.order(grant) else { return };
        if grant.targtype() == GrantTargetType::AclTargetAllInSchema {
            for schema in ast::strings(&grant.objects) {
                self.grant_in_schema(&order, grant.objtype(), &schema);
            }
            return;
        }
        for object in grant.objects.iter().filter_map(|node| node.node.as_ref()) {
            match object {
                NodeEnum::RangeVar(range) => {
                    let name = self.resolve(range);
                    let at = self.at;
                    if let Some(relation) = self.relation(&name) {
                        order.carry_out(&mut relation.grants);
                        order.mark(&mut relation.granted, at);
                    }
                }
                NodeEnum::ObjectWithArgs(object) => {
                    let at = self.at;
                    for routine in self.overloads(object) {
                        order.carry_out(&mut routine.grants);
                        order.mark(&mut routine.granted, at);
                    }
                }
                NodeEnum::String(schema) if order.kind == Kind::Schemas => {
                    order.carry_out(self.catalog.schema_grants.entry(schema.sval.clone()).or_default());
                }
                _ => {}
            }
        }
    }

    fn grant_in_schema(&mut self, order: &Order, objects: ObjectType, schema: &str) {
        let at = self.at;
        match order.kind {
            Kind::Functions => {
                let routines = self.catalog.routines.iter_mut().filter(|(name, _)| name.schema == schema);
                // ALL FUNCTIONS leaves procedures out; ALL ROUTINES is both.
                let meant = |routine: &&mut Routine| match objects {
                    ObjectType::ObjectFunction => routine.kind != RoutineKind::Procedure,
                    ObjectType::ObjectProcedure => routine.kind == RoutineKind::Procedure,
                    _ => true,
                };
                for routine in routines.flat_map(|(_, overloads)| overloads).filter(meant) {
                    order.carry_out(&mut routine.grants);
                    order.mark(&mut routine.granted, at);
                }
            }
            Kind::Tables | Kind::Sequences => {
                for relation in self.catalog.relations.values_mut() {
                    let is_sequence = relation.kind == RelationKind::Sequence;
                    let meant = relation.kind != RelationKind::CompositeType
                        && is_sequence == (order.kind == Kind::Sequences);
                    if relation.name.schema == schema && meant {
                        order.carry_out(&mut relation.grants);
                        order.mark(&mut relation.granted, at);
                    }
                }
            }
            _ => {}
        }
    }

    /// Only what concerns objects that the migrating role makes: on Supabase that is `postgres`.
    pub(super) fn default_privileges(&mut self, alter: &AlterDefaultPrivilegesStmt) {
        let Some(action) = &alter.action else { return };
        let Some(order) = self.order(action) else { return };
        let (mut schemas, mut roles) = (Vec::new(), Vec::new());
        for option in alter.options.iter().filter_map(def_elem) {
            let Some(NodeEnum::List(list)) = option.arg.as_ref().and_then(|arg| arg.node.as_ref()) else {
                continue;
            };
            match option.defname.as_str() {
                "schemas" => schemas.extend(ast::strings(&list.items)),
                "roles" => roles.extend(list.items.iter().filter_map(|node| grantee(node, self.session))),
                _ => {}
            }
        }
        let me = self.session.role.as_ref().map_or("postgres", |role| role.value.as_str());
        if !roles.is_empty() && !roles.contains(&Grantee::Role(me.to_owned())) {
            return;
        }
        if schemas.is_empty() {
            schemas.push(String::new());
        }
        for schema in schemas {
            let fresh = if schema.is_empty() { built_in_default(order.kind) } else { Vec::new() };
            let grants = self.catalog.default_privileges.entry((schema, order.kind)).or_insert(fresh);
            order.carry_out(grants);
        }
    }
}
