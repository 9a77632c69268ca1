//! DROP, and what goes along.

use super::Change;
use crate::schema::{ConstraintKind, QName, RelationKind, calls};
use crate::sql::ast::{self, DropBehavior, DropStmt, Name, Node, NodeEnum, ObjectType as O};

impl Change<'_> {
    pub(super) fn drop(&mut self, drop: &DropStmt) {
        let cascade = drop.behavior() == DropBehavior::DropCascade;
        for object in &drop.objects {
            match drop.remove_type() {
                O::ObjectTable
                | O::ObjectView
                | O::ObjectMatview
                | O::ObjectForeignTable
                | O::ObjectSequence => {
                    if let Some(name) = ast::name(object) {
                        let name = self.catalog.resolve(&name, self.session);
                        self.drop_relation(&name, cascade);
                    }
                }
                O::ObjectIndex => {
                    if let Some(name) = ast::name(object) {
                        let name = self.catalog.resolve_index(&name, self.session);
                        self.drop_index(&name);
                    }
                }
                O::ObjectType | O::ObjectDomain => {
                    if let Some(name) = ast::name(object) {
                        let name = self.catalog.resolve_type(&name, self.session);
                        self.drop_type(&name, cascade);
                    }
                }
                O::ObjectFunction | O::ObjectProcedure | O::ObjectRoutine | O::ObjectAggregate => {
                    self.drop_routine(object, cascade);
                }
                O::ObjectSchema => {
                    if let Some(name) = ast::string(object) {
                        self.drop_schema(name, cascade);
                    }
                }
                O::ObjectExtension => {
                    if let Some(name) = ast::string(object) {
                        self.catalog.extensions.remove(name);
                    }
                }
                O::ObjectPublication => {
                    if let Some(name) = ast::string(object) {
                        self.catalog.publications.remove(name);
                    }
                }
                O::ObjectPolicy | O::ObjectTrigger => self.drop_part(object, drop.remove_type()),
                _ => {}
            }
        }
    }

    /// A policy or trigger: the last part of the name is its own, the others are the table's.
    fn drop_part(&mut self, object: &Node, kind: O) {
        let Some(NodeEnum::List(list)) = &object.node else { return };
        let mut path = ast::strings(&list.items);
        let Some(part) = path.pop() else { return };
        let Some(table) = Name::from_parts(&path) else { return };
        let table = self.catalog.resolve(&table, self.session);
        let Some(relation) = self.catalog.relations.get_mut(&table) else { return };
        match kind {
            O::ObjectPolicy => relation.policies.retain(|policy| policy.name != part),
            _ => relation.triggers.retain(|trigger| trigger.name != part),
        }
    }

    pub(super) fn drop_relation(&mut self, name: &QName, cascade: bool) {
        if super::super::is_system(name) {
            return;
        }
        let partitions: Vec<QName> =
            self.catalog.partitions(name).into_iter().map(|partition| partition.name.clone()).collect();
        self.forget(name);
        for partition in &partitions {
            self.forget(partition);
        }
        if cascade {
            for gone in partitions.iter().chain([name]) {
                self.drop_foreign_keys_to(gone);
                self.drop_readers_of(gone, None);
            }
            let children: Vec<QName> = self
                .catalog
                .relations
                .speaking_of(name)
                .filter(|other| other.inherits.contains(name))
                .map(|child| child.name.clone())
                .collect();
            children.iter().for_each(|child| self.drop_relation(child, true));
        }
    }

    /// Takes one relation out of the model, with the sequences that go with it.
    fn forget(&mut self, name: &QName) {
        self.catalog.relations.remove(name);
        self.catalog.types.remove(name);
        self.catalog.dropped.insert(name.clone());
        let owned = |other: &QName, owner: &Option<(QName, String)>| {
            owner.as_ref().is_some_and(|(table, _)| table == name) && other != name
        };
        let sequences: Vec<QName> = self
            .catalog
            .relations
            .speaking_of(name)
            .filter(|other| owned(&other.name, &other.owned_by))
            .map(|sequence| sequence.name.clone())
            .collect();
        for sequence in sequences {
            self.catalog.relations.remove(&sequence);
            self.catalog.dropped.insert(sequence);
        }
        for tables in self.catalog.publications.values_mut() {
            tables.retain(|table| table != name);
        }
    }

    /// Takes the sequences of one column out of the model.
    pub(super) fn forget_sequences(&mut self, table: &QName, column: &str) {
        for name in self.catalog.relations.names_speaking_of(table) {
            let owner = self.catalog.relation(&name).and_then(|sequence| sequence.owned_by.as_ref());
            if owner.is_some_and(|(owner, owned)| owner == table && owned == column) {
                self.catalog.relations.remove(&name);
            }
        }
    }

    pub(super) fn drop_foreign_keys_to(&mut self, name: &QName) {
        for other in self.catalog.relations.names_speaking_of(name) {
            let Some(relation) = self.catalog.relations.get_mut(&other) else { continue };
            relation.constraints.retain(
                |constraint| !matches!(&constraint.kind, ConstraintKind::Foreign { target, .. } if target == name),
            );
        }
    }

    /// Views that read a relation (or, as far as can be seen, a column of it), and their readers.
    pub(super) fn drop_readers_of(&mut self, name: &QName, column: Option<&str>) {
        let readers: Vec<QName> = self
            .catalog
            .relations
            .speaking_of(name)
            .filter(|view| matches!(view.kind, RelationKind::View | RelationKind::MaterializedView))
            .filter(|view| view.reads.contains(name))
            .filter(|view| column.is_none_or(|column| mentions(view.query.as_deref(), column)))
            .map(|view| view.name.clone())
            .collect();
        for reader in readers {
            self.forget(&reader);
            self.drop_readers_of(&reader, None);
        }
    }

    fn drop_type(&mut self, name: &QName, cascade: bool) {
        self.catalog.types.remove(name);
        self.catalog.relations.remove(name);
        self.catalog.dropped.insert(name.clone());
        if !cascade {
            return;
        }
        let users: Vec<(QName, String)> = self
            .catalog
            .relations
            .values()
            .flat_map(|relation| relation.columns.iter().map(move |column| (&relation.name, column)))
            .filter(|(_, column)| column.ty.qname().as_ref() == Some(name))
            .map(|(table, column)| (table.clone(), column.name.clone()))
            .collect();
        for (table, column) in users {
            if let Some(mut relation) = self.catalog.relations.remove(&table) {
                self.remove_column(&mut relation, &column);
                self.catalog.relations.insert(table, relation);
            }
        }
    }

    fn drop_routine(&mut self, object: &Node, cascade: bool) {
        let Some(NodeEnum::ObjectWithArgs(object)) = &object.node else { return };
        let Some((name, arguments)) = self.signature(object) else { return };
        if let Some(overloads) = self.catalog.routines.get_mut(&name) {
            overloads
                .retain(|known| arguments.as_ref().is_some_and(|arguments| known.arguments != *arguments));
            if overloads.is_empty() {
                self.catalog.routines.remove(&name);
            }
        }
        if !cascade {
            return;
        }
        let written = name.to_string();
        let calls_it = |node: &Option<Box<Node>>| {
            node.as_deref().and_then(|node| node.node.as_ref()).is_some_and(|node| {
                calls(node).iter().any(|called| {
                    called.name == name.name
                        && called.schema.as_ref().is_none_or(|schema| *schema == name.schema)
                })
            })
        };
        for relation in self.catalog.relations.values_mut() {
            relation.triggers.retain(|trigger| trigger.function != written);
            relation.policies.retain(|policy| !calls_it(&policy.using) && !calls_it(&policy.with_check));
        }
    }

    fn drop_schema(&mut self, schema: &str, cascade: bool) {
        self.catalog.schemas.remove(schema);
        self.catalog.schema_grants.remove(schema);
        if !cascade {
            return;
        }
        let inside: Vec<QName> =
            self.catalog.relations.keys().filter(|name| name.schema == schema).cloned().collect();
        inside.iter().for_each(|name| self.drop_relation(name, true));
        let types: Vec<QName> =
            self.catalog.types.keys().filter(|name| name.schema == schema).cloned().collect();
        types.iter().for_each(|name| self.drop_type(name, true));
        self.catalog.routines.retain(|name, _| name.schema != schema);
        self.catalog.extensions.retain(|_, extension| extension.schema.as_deref() != Some(schema));
    }
}

fn mentions(query: Option<&Node>, column: &str) -> bool {
    query.is_some_and(|query| crate::schema::columns_in(query).contains(column))
}
