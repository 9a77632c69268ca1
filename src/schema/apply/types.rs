//! Enums, domains, composite and other types.

use std::collections::BTreeSet;

use super::Change;
use crate::schema::{QName, Relation, RelationKind, TypeDef, TypeKind};
use crate::sql::ast::{
    self, AlterDomainStmt, AlterEnumStmt, CompositeTypeStmt, ConstrType, CreateDomainStmt, CreateEnumStmt,
    DefineStmt, Name, Node, NodeEnum, ObjectType,
};

impl Change<'_> {
    /// The place of a new type; `None` where it stays as it is.
    fn new_type(&self, parts: &[Node]) -> Option<QName> {
        let name = self.catalog.place(&Name::from_parts(&ast::strings(parts))?, self.session);
        (!(self.guarded && self.catalog.types.contains_key(&name))).then_some(name)
    }

    fn put_type(&mut self, name: QName, kind: TypeKind) {
        self.catalog.dropped.remove(&name);
        self.catalog.types.insert(name.clone(), TypeDef { name, kind, born: Some(self.at) });
    }

    pub(super) fn create_enum(&mut self, create: &CreateEnumStmt) {
        let Some(name) = self.new_type(&create.type_name) else { return };
        // Labels that come with the type are as old as the type.
        let labels = ast::strings(&create.vals).into_iter().map(|label| (label, None)).collect();
        self.put_type(name, TypeKind::Enum { labels });
    }

    pub(super) fn alter_enum(&mut self, alter: &AlterEnumStmt) {
        let Some(name) = Name::from_parts(&ast::strings(&alter.type_name)) else { return };
        let name = self.catalog.resolve_type(&name, self.session);
        if !self.catalog.types.contains_key(&name) {
            if self.catalog.dropped.contains(&name) {
                return;
            }
            // Nobody knows its labels; the new one is known from here on.
            let unknown =
                TypeDef { name: name.clone(), kind: TypeKind::Enum { labels: Vec::new() }, born: None };
            self.catalog.types.insert(name.clone(), unknown);
        }
        let at = self.at;
        let Some(TypeKind::Enum { labels }) = self.catalog.types.get_mut(&name).map(|known| &mut known.kind)
        else {
            return;
        };
        if !alter.old_val.is_empty() {
            for label in labels.iter_mut().filter(|(label, _)| *label == alter.old_val) {
                label.0.clone_from(&alter.new_val);
            }
            return;
        }
        if labels.iter().any(|(label, _)| *label == alter.new_val) {
            return;
        }
        let neighbor = labels.iter().position(|(label, _)| *label == alter.new_val_neighbor);
        let place = neighbor.map_or(labels.len(), |at| at + usize::from(alter.new_val_is_after));
        labels.insert(place, (alter.new_val.clone(), Some(at)));
        let added = &mut self.catalog.labels_added;
        let (_, types) = match added.take_if(|(transaction, _)| *transaction == at.transaction) {
            Some(same) => added.insert(same),
            None => added.insert((at.transaction, BTreeSet::new())),
        };
        types.insert(name);
    }

    pub(super) fn create_domain(&mut self, create: &CreateDomainStmt) {
        let Some(name) = self.new_type(&create.domainname) else { return };
        let Some(written) = &create.type_name else { return };
        let base = self.catalog.column_type(written, self.session);
        let has = |wanted: ConstrType| {
            create.constraints.iter().any(|node| {
                matches!(&node.node, Some(NodeEnum::Constraint(constraint)) if constraint.contype() == wanted)
            })
        };
        let kind = TypeKind::Domain {
            base,
            constrained: has(ConstrType::ConstrCheck),
            not_null: has(ConstrType::ConstrNotnull),
            has_default: has(ConstrType::ConstrDefault),
        };
        self.put_type(name, kind);
    }

    pub(super) fn alter_domain(&mut self, alter: &AlterDomainStmt) {
        let Some(name) = Name::from_parts(&ast::strings(&alter.type_name)) else { return };
        let name = self.catalog.resolve_type(&name, self.session);
        let Some(TypeKind::Domain { constrained, not_null, has_default, .. }) =
            self.catalog.types.get_mut(&name).map(|known| &mut known.kind)
        else {
            return;
        };
        match alter.subtype.as_str() {
            "T" => *has_default = alter.def.is_some(),
            "O" => *not_null = true,
            "N" => *not_null = false,
            "C" => {
                let is_not_null = matches!(
                    alter.def.as_ref().and_then(|def| def.node.as_ref()),
                    Some(NodeEnum::Constraint(constraint)) if constraint.contype() == ConstrType::ConstrNotnull
                );
                if is_not_null { *not_null = true } else { *constrained = true }
            }
            // DROP CONSTRAINT: others may be left, so the domain counts as constrained.
            _ => {}
        }
    }

    pub(super) fn create_composite(&mut self, create: &CompositeTypeStmt) {
        let Some(range) = &create.typevar else { return };
        let name = self.catalog.place(&Name::of(range), self.session);
        if self.guarded && self.catalog.relations.contains_key(&name) {
            return;
        }
        let mut composite = Relation::new(name.clone(), RelationKind::CompositeType, Some(self.at));
        composite.columns_known = true;
        for node in &create.coldeflist {
            if let Some(NodeEnum::ColumnDef(column)) = &node.node {
                self.add_column(&mut composite, column);
            }
        }
        self.put(composite);
        self.put_type(name, TypeKind::Composite);
    }

    pub(super) fn create_other_type(&mut self, parts: &[Node]) {
        if let Some(name) = self.new_type(parts) {
            self.put_type(name, TypeKind::Other);
        }
    }

    /// `CREATE TYPE name (input = …)`, `CREATE AGGREGATE`.
    pub(super) fn define(&mut self, define: &DefineStmt) {
        match define.kind() {
            ObjectType::ObjectType => self.create_other_type(&define.defnames),
            ObjectType::ObjectAggregate => self.create_aggregate(define),
            _ => {}
        }
    }
}
