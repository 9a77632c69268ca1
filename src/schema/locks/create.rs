//! Locks of CREATE: on what the new thing hangs on.

use super::{Claims, Work};
use crate::lock::LockMode;
use crate::schema::{ConstraintKind, QName, RelationKind, Touch, touched};
use crate::sql::ast::{
    self, ColumnDef, ConstrType, Constraint, CreateFunctionStmt, CreateStmt, IndexStmt, Node, NodeEnum,
    RangeVar, ViewStmt,
};

impl Claims<'_> {
    pub(super) fn create_table(&mut self, create: &CreateStmt) {
        let Some(range) = &create.relation else { return };
        let name = self.catalog.place_range(range, self.session);
        if create.if_not_exists && self.catalog.relation(&name).is_some() {
            return;
        }
        for element in
            create.table_elts.iter().chain(&create.constraints).filter_map(|node| node.node.as_ref())
        {
            match element {
                NodeEnum::Constraint(constraint) => self.references(constraint, &name, Work::Brief),
                NodeEnum::ColumnDef(column) => {
                    constraints(column)
                        .for_each(|constraint| self.references(constraint, &name, Work::Brief));
                }
                NodeEnum::TableLikeClause(like) => {
                    self.range(like.relation.as_ref(), LockMode::AccessShare, Work::Brief);
                }
                _ => {}
            }
        }
        match &create.partbound {
            // Stronger than ATTACH PARTITION: nobody can read the partitioned table meanwhile.
            Some(_) => {
                let parents: Vec<QName> =
                    create.inh_relations.iter().filter_map(|node| self.resolve_name(node)).collect();
                for parent in parents {
                    self.claim(&parent, LockMode::AccessExclusive, Work::Brief);
                    self.scan_default_partition(&parent);
                    self.parents_of(&parent, LockMode::ShareRowExclusive);
                }
            }
            None => self.ranges(&create.inh_relations, LockMode::ShareUpdateExclusive, Work::Brief),
        }
    }

    /// A new partition's rows could stand in the DEFAULT partition: it is read to prove the contrary,
    /// unless a CHECK over the key does.
    pub(super) fn scan_default_partition(&mut self, parent: &QName) {
        if let Some(default) = self.catalog.default_partition(parent) {
            let work = if self.is_proven_by_checks(parent, &default.name) { Work::Brief } else { Work::Scan };
            self.claim(&default.name.clone(), LockMode::AccessExclusive, work);
        }
    }

    /// Whether a validated CHECK speaks of the partition key: then it is thought to prove the bound.
    pub(super) fn is_proven_by_checks(&self, parent: &QName, child: &QName) -> bool {
        let (Some(parent), Some(child)) = (self.catalog.relation(parent), self.catalog.relation(child))
        else {
            return false;
        };
        let Some(partitioning) = &parent.partitioning else { return false };
        child.constraints.iter().any(|constraint| {
            constraint.validated
                && matches!(&constraint.kind, ConstraintKind::Check { expression }
                    if partitioning.columns.iter().all(|key| crate::schema::columns_in(expression).contains(key)))
        })
    }

    /// Locks on the tables that foreign keys of a table point at.
    pub(super) fn parents_of(&mut self, table: &QName, mode: LockMode) {
        let Some(relation) = self.catalog.relation(table) else { return };
        for constraint in &relation.constraints {
            if let ConstraintKind::Foreign { target, .. } = &constraint.kind {
                self.claim_tree(target, mode, Work::Brief);
            }
        }
    }

    /// A foreign key puts triggers on the table that it points at.
    pub(super) fn references(&mut self, constraint: &Constraint, own: &QName, work: Work) {
        if constraint.contype() != ConstrType::ConstrForeign {
            return;
        }
        let Some(target) = constraint.pktable.as_ref().map(|range| self.resolve(range)) else { return };
        if target != *own {
            self.claim_tree(&target, LockMode::ShareRowExclusive, work);
        }
    }

    pub(super) fn create_from_query(
        &mut self,
        target: Option<&RangeVar>,
        if_not_exists: bool,
        query: Option<&Node>,
    ) {
        let known = target
            .map(|range| self.catalog.place_range(range, self.session))
            .is_some_and(|name| self.catalog.relation(&name).is_some());
        if known && if_not_exists {
            return;
        }
        if let Some(query) = query.and_then(|query| query.node.as_ref()) {
            self.rows(query);
        }
    }

    pub(super) fn create_index(&mut self, create: &IndexStmt) {
        let Some(range) = &create.relation else { return };
        let table = self.resolve(range);
        let known = !create.idxname.is_empty()
            && self.catalog.index(&QName::new(table.schema.clone(), create.idxname.clone())).is_some();
        let mode = if create.concurrent { LockMode::ShareUpdateExclusive } else { LockMode::Share };
        let partitioned =
            self.catalog.relation(&table).is_some_and(|known| known.kind == RelationKind::PartitionedTable);
        // Of a partitioned table itself, with ON ONLY, there is nothing to build.
        if (create.if_not_exists && known) || (partitioned && !range.inh) {
            self.claim(&table, mode, Work::Brief);
        } else {
            self.claim_tree(&table, mode, Work::IndexBuild);
        }
    }

    pub(super) fn create_view(&mut self, create: &ViewStmt) {
        let Some(range) = &create.view else { return };
        let name = self.catalog.place_range(range, self.session);
        if create.replace && self.catalog.relation(&name).is_some() {
            self.claim(&name, LockMode::AccessExclusive, Work::Brief);
        }
        self.expressions([&create.query]);
    }

    /// A body in SQL is analyzed when the function is created, which opens its tables.
    pub(super) fn create_routine(&mut self, create: &CreateFunctionStmt) {
        let option = |name: &str| {
            create.options.iter().find_map(|node| match &node.node {
                Some(NodeEnum::DefElem(option)) if option.defname == name => option.arg.as_deref(),
                _ => None,
            })
        };
        let in_sql = option("language").and_then(ast::string).is_none_or(|language| language == "sql");
        let text = match option("as").and_then(|body| body.node.as_ref()) {
            Some(NodeEnum::List(list)) if in_sql => list.items.first().and_then(ast::string),
            _ => None,
        };
        for node in text.and_then(|text| crate::sql::parse(text).ok()).unwrap_or_default() {
            let Some(node) = node.node else { continue };
            for (range, touch) in touched(&node) {
                let name = self.resolve(range);
                let mode = match touch {
                    Touch::Read => LockMode::AccessShare,
                    Touch::LockRows => LockMode::RowShare,
                    Touch::Write => LockMode::RowExclusive,
                };
                self.claim(&name, mode, Work::Brief);
            }
        }
    }

    pub(super) fn published(&mut self, objects: &[Node]) {
        for object in objects {
            if let Some(NodeEnum::PublicationObjSpec(object)) = &object.node
                && let Some(table) = &object.pubtable
            {
                self.range(table.relation.as_ref(), LockMode::ShareUpdateExclusive, Work::Brief);
            }
        }
    }
}

/// The constraints that stand at a column.
pub(super) fn constraints(column: &ColumnDef) -> impl Iterator<Item = &Constraint> {
    column.constraints.iter().filter_map(|node| match node.node.as_ref()? {
        NodeEnum::Constraint(constraint) => Some(&**constraint),
        _ => None,
    })
}
