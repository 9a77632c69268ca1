//! Indexes.

use super::Change;
use super::constraint::{joined, object_name};
use super::table::index_name_columns;
use crate::schema::{Index, IndexColumn, QName, RelationKind};
use crate::sql::ast::{self, IndexElem, IndexStmt, Node, NodeEnum};

impl Change<'_> {
    pub(super) fn create_index(&mut self, create: &IndexStmt) {
        let Some(range) = &create.relation else { return };
        let table = self.resolve(range);
        let name = QName::new(table.schema.clone(), create.idxname.clone());
        let known = !create.idxname.is_empty() && self.catalog.index(&name).is_some();
        if known && (create.if_not_exists || self.guarded) {
            return;
        }
        let Some(relation) = self.relation(&table) else { return };
        let partitioned = relation.kind == RelationKind::PartitionedTable;
        let Some(mut relation) = self.catalog.relations.remove(&table) else { return };
        let columns: Vec<IndexColumn> = create.index_params.iter().filter_map(index_column).collect();
        let name = match create.idxname.is_empty() {
            false => create.idxname.clone(),
            true => {
                let parts = joined(&index_name_columns(&columns));
                self.free_index_name(&relation, &object_name(&table.name, Some(&parts), "idx"))
            }
        };
        let index = Index {
            name: QName::new(table.schema.clone(), name),
            unique: create.unique,
            columns,
            sorted: ast::sort_orders(create),
            included: ast::included(create),
            predicate: create.where_clause.clone(),
            method: create.access_method.clone(),
            born: Some(self.at),
            constraint: None,
            on_partitioned: partitioned,
            // ON ONLY a partitioned table: valid once every partition's index is attached.
            valid: !partitioned || range.inh,
        };
        if known {
            relation.indexes.retain(|other| other.name != index.name);
        }
        relation.indexes.push(index.clone());
        self.catalog.note_index(&index.name.name, &table);
        let parent = (partitioned && range.inh).then(|| relation.clone());
        self.catalog.relations.insert(table.clone(), relation);
        if let Some(parent) = parent {
            let partitions: Vec<QName> =
                self.catalog.partitions(&table).into_iter().map(|partition| partition.name.clone()).collect();
            for partition in partitions {
                if let Some(mut known) = self.catalog.relations.remove(&partition) {
                    self.copy_index_to_partition(&parent, &index, &mut known);
                    self.catalog.relations.insert(partition, known);
                }
            }
        }
    }

    /// Renames or alters an index in place.
    pub(super) fn with_index(&mut self, name: &QName, work: impl FnOnce(&mut Index)) {
        let Some(table) = self.catalog.index(name).map(|(table, _)| table.name.clone()) else { return };
        let Some(relation) = self.catalog.relations.get_mut(&table) else { return };
        if let Some(index) = relation.indexes.iter_mut().find(|index| index.name == *name) {
            work(index);
            let name = index.name.name.clone();
            self.catalog.note_index(&name, &table);
        }
    }

    /// Removes an index, and the constraint that it backs.
    pub(super) fn drop_index(&mut self, name: &QName) {
        let Some(table) = self.catalog.index(name).map(|(table, _)| table.name.clone()) else { return };
        let Some(relation) = self.catalog.relations.get_mut(&table) else { return };
        let Some(at) = relation.indexes.iter().position(|index| index.name == *name) else { return };
        let index = relation.indexes.remove(at);
        if let Some(constraint) = index.constraint {
            relation.constraints.retain(|known| known.name != constraint);
        }
    }
}

/// A key of an index as the model keeps it.
pub(crate) fn index_column(node: &Node) -> Option<IndexColumn> {
    let NodeEnum::IndexElem(element) = node.node.as_ref()? else { return None };
    let IndexElem { name, expr, .. } = &**element;
    match name.is_empty() {
        false => Some(IndexColumn::Column(name.clone())),
        true => Some(IndexColumn::Expression(crate::sql::expression_text(expr.as_deref()?)?)),
    }
}
