//! What a statement changes: the model after it.
//!
//! One file per kind of object. A statement that the model does not understand is left alone: what
//! is not known stays unknown. A statement that Postgres would refuse need not leave a sensible
//! model behind, but it never panics.

mod alter;
mod column;
mod constraint;
mod drop;
mod grant;
mod index;
mod policy;
mod publication;
mod rename;
mod routine;
mod rows;
mod sequence;
mod set;
mod table;
mod types;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub(crate) use index::index_column;

use super::{At, Catalog, Claim, Extension, Grantee, Nesting, QName, Relation, RelationKind, Session, Unit};
use crate::sql::ast::{
    self, CreateExtensionStmt, CreateSchemaStmt, DefElem, Node, NodeEnum, ObjectType, RangeVar, RoleSpec,
    RoleSpecType, VariableSetStmt, a_const,
};

impl Catalog {
    /// Applies one statement to the model and the session: with it, the locks that it takes.
    pub(crate) fn apply(&mut self, unit: &Unit, session: &mut Session) {
        let claims = super::claims(&unit.node, self, session);
        self.apply_claimed(unit, &claims, session);
    }

    /// As [`Self::apply`], where the locks are known already.
    pub(crate) fn apply_claimed(&mut self, unit: &Unit, claims: &[Claim], session: &mut Session) {
        hold(unit, claims, session);
        let moved = self.moved(&unit.node, session);
        if self.apply_settings(unit, session) {
            return;
        }
        let mut change = Change {
            catalog: self,
            session,
            at: unit.at,
            guarded: matches!(
                unit.nesting,
                Nesting::Body { conditional: true, .. } | Nesting::Body { spared: true, .. }
            ),
        };
        change.statement(&unit.node);
        #[cfg(test)]
        assert!(self.relations.are_noted(), "after {}", unit.text);
        // A lock stays on the table under its new name.
        if let Some((from, to)) = moved {
            session.transaction.held.rename(&from, &to);
        }
    }

    /// The old and the new name of a relation that the statement renames or moves.
    fn moved(&self, node: &NodeEnum, session: &Session) -> Option<(QName, QName)> {
        let (range, schema, name) = match node {
            NodeEnum::RenameStmt(rename) => {
                let whole = matches!(
                    rename.rename_type(),
                    ObjectType::ObjectTable
                        | ObjectType::ObjectView
                        | ObjectType::ObjectMatview
                        | ObjectType::ObjectForeignTable
                        | ObjectType::ObjectSequence
                );
                (rename.relation.as_ref().filter(|_| whole)?, None, Some(&rename.newname))
            }
            NodeEnum::AlterObjectSchemaStmt(alter) => {
                (alter.relation.as_ref()?, Some(&alter.newschema), None)
            }
            _ => return None,
        };
        let from = self.resolve_range(range, session);
        let to = QName::new(schema.unwrap_or(&from.schema).clone(), name.unwrap_or(&from.name).clone());
        Some((from, to))
    }

    /// Transaction control and settings; false where the statement is none of these.
    fn apply_settings(&mut self, unit: &Unit, session: &mut Session) -> bool {
        match &unit.node {
            NodeEnum::TransactionStmt(statement) => self.transaction(statement, session),
            NodeEnum::VariableSetStmt(statement) => set::variable(statement, session, unit.at),
            NodeEnum::DiscardStmt(statement) => self.discard(statement, session, unit.at),
            NodeEnum::SelectStmt(_) => {
                set::set_config(&unit.node, session, unit.at);
                return false;
            }
            _ => return false,
        }
        true
    }
}

/// Remembers the locks that the statement takes, to the end of the transaction.
fn hold(unit: &Unit, claims: &[Claim], session: &mut Session) {
    for claim in claims.iter().filter(|claim| claim.existed) {
        session.transaction.held.take(&claim.relation, claim.mode, unit.at);
    }
}

/// One statement at work on the model.
struct Change<'a> {
    catalog: &'a mut Catalog,
    session: &'a Session,
    at: At,
    /// Under an IF in a DO block: creating what is there already changes nothing.
    guarded: bool,
}

impl Change<'_> {
    fn statement(&mut self, node: &NodeEnum) {
        self.catalog.blind |= self.guarded && takes_away(node);
        match node {
            NodeEnum::CreateStmt(create) => self.create_table(create),
            NodeEnum::CreateForeignTableStmt(create) => self.create_foreign_table(create),
            NodeEnum::CreateTableAsStmt(create) => self.create_table_as(create),
            NodeEnum::SelectStmt(select) => self.select_into(select, node),
            NodeEnum::AlterTableStmt(alter) => self.alter_table(alter),
            NodeEnum::IndexStmt(create) => self.create_index(create),
            NodeEnum::ViewStmt(create) => self.create_view(create),
            NodeEnum::RefreshMatViewStmt(refresh) => self.refresh(refresh),
            NodeEnum::CreateSeqStmt(create) => self.create_sequence(create),
            NodeEnum::AlterSeqStmt(alter) => self.alter_sequence(alter),
            NodeEnum::CreateEnumStmt(create) => self.create_enum(create),
            NodeEnum::AlterEnumStmt(alter) => self.alter_enum(alter),
            NodeEnum::CreateDomainStmt(create) => self.create_domain(create),
            NodeEnum::AlterDomainStmt(alter) => self.alter_domain(alter),
            NodeEnum::CompositeTypeStmt(create) => self.create_composite(create),
            NodeEnum::CreateRangeStmt(create) => self.create_other_type(&create.type_name),
            NodeEnum::DefineStmt(define) => self.define(define),
            NodeEnum::CreateFunctionStmt(create) => self.create_routine(create),
            NodeEnum::AlterFunctionStmt(alter) => self.alter_routine(alter),
            NodeEnum::CreateTrigStmt(create) => self.create_trigger(create),
            NodeEnum::CreatePolicyStmt(create) => self.create_policy(create),
            NodeEnum::AlterPolicyStmt(alter) => self.alter_policy(alter),
            NodeEnum::GrantStmt(grant) => self.grant(grant),
            NodeEnum::AlterDefaultPrivilegesStmt(alter) => self.default_privileges(alter),
            NodeEnum::CreateSchemaStmt(create) => self.create_schema(create),
            NodeEnum::CreateExtensionStmt(create) => self.create_extension(create),
            NodeEnum::CreatePublicationStmt(create) => self.create_publication(create),
            NodeEnum::AlterPublicationStmt(alter) => self.alter_publication(alter),
            NodeEnum::DropStmt(drop) => self.drop(drop),
            NodeEnum::RenameStmt(rename) => self.rename(rename),
            NodeEnum::AlterObjectSchemaStmt(alter) => self.set_schema(alter),
            NodeEnum::AlterOwnerStmt(alter) => self.owner(alter),
            NodeEnum::CreateRoleStmt(create) => self.role(&create.role, &create.options),
            NodeEnum::AlterRoleStmt(alter) => {
                if let Some(role) = alter.role.as_ref().and_then(|role| role_name(role, self.session)) {
                    self.role(&role, &alter.options);
                }
            }
            NodeEnum::TruncateStmt(truncate) => self.truncate(truncate),
            NodeEnum::DropRoleStmt(drop) => {
                for role in &drop.roles {
                    if let Some(NodeEnum::RoleSpec(role)) = &role.node {
                        self.catalog.unbound_roles.remove(&role.rolename);
                    }
                }
            }
            NodeEnum::AlterDatabaseSetStmt(alter) => self.default_setting(alter.setstmt.as_ref()),
            NodeEnum::AlterRoleSetStmt(alter)
                if alter.role.as_ref().is_none_or(|role| role.rolename == "postgres") =>
            {
                self.default_setting(alter.setstmt.as_ref());
            }
            NodeEnum::InsertStmt(_)
            | NodeEnum::UpdateStmt(_)
            | NodeEnum::MergeStmt(_)
            | NodeEnum::CopyStmt(_) => {
                self.rows(node);
            }
            _ => {}
        }
    }

    fn resolve(&self, range: &RangeVar) -> QName {
        self.catalog.resolve_range(range, self.session)
    }

    /// The relation that a statement alters: one nobody knows is made known, as far as that goes.
    ///
    /// `None` when it was dropped: the statement fails, and must not bring the table back.
    fn relation(&mut self, name: &QName) -> Option<&mut Relation> {
        if !self.catalog.relations.contains_key(name) {
            if self.catalog.dropped.contains(name) || super::is_system(name) {
                return None;
            }
            let unknown = Relation::new(name.clone(), RelationKind::Table, None);
            self.catalog.relations.insert(name.clone(), unknown);
        }
        self.catalog.relations.get_mut(name)
    }

    /// Puts a new relation into the model, with the privileges that it is born with.
    fn put(&mut self, mut relation: Relation) {
        relation.owner = self.session.role.as_ref().map(|role| role.value.clone());
        relation.grants = self.catalog.birth_grants(&relation.name, relation.kind);
        self.catalog.dropped.remove(&relation.name);
        self.catalog.relations.insert(relation.name.clone(), relation);
    }

    /// What holds in sessions to come.
    fn default_setting(&mut self, set: Option<&VariableSetStmt>) {
        if let Some(set) = set.filter(|set| set.name.eq_ignore_ascii_case("timezone"))
            && let Some(value) = set.args.first().and_then(text_of)
        {
            self.catalog.timezone = value;
        }
    }

    /// What a role may do in spite of policies.
    fn role(&mut self, role: &str, options: &[Node]) {
        for name in ["bypassrls", "superuser"] {
            match ast::option_on(options, name) {
                Some(true) => {
                    self.catalog.unbound_roles.insert(role.to_owned());
                }
                Some(false) => {
                    self.catalog.unbound_roles.remove(role);
                }
                None => {}
            }
        }
    }

    fn create_schema(&mut self, create: &CreateSchemaStmt) {
        let name = match create.schemaname.is_empty() {
            true => create.authrole.as_ref().and_then(|role| role_name(role, self.session)),
            false => Some(create.schemaname.clone()),
        };
        let Some(name) = name else { return };
        let keep = create.if_not_exists || self.guarded;
        if !(keep && self.catalog.schemas.contains_key(&name)) {
            self.catalog.schemas.insert(name.clone(), Some(self.at));
        }
        // What stands in the statement is created in the new schema.
        let mut session = self.session.clone();
        session.search_path.insert(0, name);
        let mut inner =
            Change { catalog: self.catalog, session: &session, at: self.at, guarded: self.guarded };
        for node in create.schema_elts.iter().filter_map(|element| element.node.as_ref()) {
            inner.statement(node);
        }
    }

    fn create_extension(&mut self, create: &CreateExtensionStmt) {
        let known = self.catalog.extensions.contains_key(&create.extname);
        if known && (create.if_not_exists || self.guarded) {
            return;
        }
        let written = option(&create.options, "schema").and_then(option_text);
        let schema = written.or_else(|| self.session.search_path.first().cloned());
        self.catalog.extensions.insert(create.extname.clone(), Extension { schema, born: Some(self.at) });
    }
}

/// Whether a name is gone after the statement, if it runs.
fn takes_away(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::DropStmt(_) | NodeEnum::RenameStmt(_) | NodeEnum::AlterObjectSchemaStmt(_) => true,
        NodeEnum::AlterTableStmt(alter) => alter.cmds.iter().any(|node| match &node.node {
            Some(NodeEnum::AlterTableCmd(command)) => command.subtype() == ast::AlterTableType::AtDropColumn,
            _ => false,
        }),
        _ => false,
    }
}

/// The role that a statement names, where that can be told.
fn role_name(role: &RoleSpec, session: &Session) -> Option<String> {
    match role.roletype() {
        RoleSpecType::RolespecCstring => Some(role.rolename.clone()),
        RoleSpecType::RolespecPublic => Some("public".into()),
        RoleSpecType::RolespecSessionUser => {
            session.session_authorization.as_ref().map(|set| set.value.clone())
        }
        _ => session.role.as_ref().map(|set| set.value.clone()),
    }
}

/// `public` as [`Grantee::Public`].
fn grantee(node: &Node, session: &Session) -> Option<Grantee> {
    let Some(NodeEnum::RoleSpec(role)) = &node.node else { return None };
    if role.roletype() == RoleSpecType::RolespecPublic {
        return Some(Grantee::Public);
    }
    // `current_user` that nobody set is the one who migrates: postgres.
    Some(Grantee::Role(role_name(role, session).unwrap_or_else(|| "postgres".into())))
}

/// The option of that name in a list of `name = value`.
fn option<'a>(options: &'a [Node], name: &str) -> Option<&'a DefElem> {
    options.iter().filter_map(def_elem).find(|option| option.defname.eq_ignore_ascii_case(name))
}

fn def_elem(node: &Node) -> Option<&DefElem> {
    match node.node.as_ref()? {
        NodeEnum::DefElem(option) => Some(option),
        _ => None,
    }
}

/// An option's value as text; an option without a value is `true`.
fn option_text(option: &DefElem) -> Option<String> {
    match option.arg.as_deref() {
        None => Some("true".into()),
        Some(node) => text_of(node),
    }
}

/// A constant, name or type as text.
fn text_of(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::String(text) => Some(text.sval.clone()),
        NodeEnum::Integer(value) => Some(value.ival.to_string()),
        NodeEnum::Float(value) => Some(value.fval.clone()),
        NodeEnum::Boolean(value) => Some(value.boolval.to_string()),
        NodeEnum::TypeName(name) => Some(ast::strings(&name.names).join(".")),
        NodeEnum::TypeCast(cast) => text_of(cast.arg.as_deref()?),
        NodeEnum::List(list) => Some(list.items.iter().filter_map(text_of).collect::<Vec<_>>().join(", ")),
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Ival(value) => Some(value.ival.to_string()),
            a_const::Val::Fval(value) => Some(value.fval.clone()),
            a_const::Val::Boolval(value) => Some(value.boolval.to_string()),
            a_const::Val::Sval(text) => Some(text.sval.clone()),
            a_const::Val::Bsval(bits) => Some(bits.bsval.clone()),
        },
        _ => None,
    }
}

/// Storage parameters and view options: lower case, `on` and `1` as `true`.
fn options(list: &[Node]) -> BTreeMap<String, String> {
    list.iter()
        .filter_map(def_elem)
        .map(|option| {
            let value = option_text(option).unwrap_or_default().to_lowercase();
            let value = match value.as_str() {
                "on" | "yes" | "1" => "true".into(),
                "off" | "no" | "0" => "false".into(),
                _ => value,
            };
            (option.defname.to_lowercase(), value)
        })
        .collect()
}
