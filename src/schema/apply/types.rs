//! Enums, domains, composite and other types.

use std::collections::BTreeSet;

use super::{Change, constraint::object_name};
use crate::schema::{QName, Relation, RelationKind, TypeDef, TypeKind};
use crate::sql::ast::{
    self, AlterDomainStmt, AlterEnumStmt, CompositeTypeStmt, ConstrType, Constraint, CreateDomainStmt,
    CreateEnumStmt, DefineStmt, Name, Node, NodeEnum, ObjectType,
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
        let of = |wanted: ConstrType| {
            create.constraints.iter().filter_map(move |node| match &node.node {
                Some(NodeEnum::Constraint(constraint)) if constraint.contype() == wanted => Some(constraint),
                _ => None,
            })
        };
        let mut checks = Vec::new();
        of(ConstrType::ConstrCheck).for_each(|check| add_check(&mut checks, &name, check));
        let kind = TypeKind::Domain {
            base,
            checks,
            not_null: of(ConstrType::ConstrNotnull).next().is_some(),
            default: of(ConstrType::ConstrDefault).next().and_then(|default| default.raw_expr.clone()),
        };
        self.put_type(name, kind);
    }

    pub(super) fn alter_domain(&mut self, alter: &AlterDomainStmt) {
        let Some(name) = Name::from_parts(&ast::strings(&alter.type_name)) else { return };
        let name = self.catalog.resolve_type(&name, self.session);
        let Some(TypeKind::Domain { checks, not_null, default, .. }) =
            self.catalog.types.get_mut(&name).map(|known| &mut known.kind)
        else {
            return;
        };
        match alter.subtype.as_str() {
            "T" => default.clone_from(&alter.def),
            "O" => *not_null = true,
            "N" => *not_null = false,
            "C" => {
                let Some(NodeEnum::Constraint(constraint)) =
                    alter.def.as_ref().and_then(|def| def.node.as_ref())
                else {
                    return;
                };
                match constraint.contype() {
                    ConstrType::ConstrNotnull => *not_null = true,
                    _ => add_check(checks, &name, constraint),
                }
            }
            "X" => checks.retain(|check| *check != alter.name),
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

/// Notes a CHECK of a domain, under the name that Postgres gives to one without
/// (`ChooseConstraintName` in `src/backend/commands/typecmds.c`).
fn add_check(checks: &mut Vec<String>, domain: &QName, check: &Constraint) {
    let name = match check.conname.as_str() {
        "" => object_name(&domain.name, None, "check"),
        written => written.to_owned(),
    };
    let free = |name: &String| !checks.contains(name);
    let numbered = (1..).map(|number| format!("{name}{number}"));
    checks.extend(std::iter::once(name.clone()).chain(numbered).find(free));
}
