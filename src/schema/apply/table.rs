//! CREATE TABLE in all its forms.

use super::Change;
use super::constraint::{joined, object_name};
use crate::schema::{
    Column, Constraint, ConstraintKind, Index, IndexColumn, Partitioning, QName, Relation, RelationKind,
};
use crate::sql::ast::{
    self, CreateForeignTableStmt, CreateStmt, CreateTableAsStmt, IntoClause, Node, NodeEnum, ObjectType,
    PartitionBoundSpec, PartitionSpec, PartitionStrategy, RangeVar, SelectStmt, TableLikeClause,
};

/// `INCLUDING …` of a LIKE clause: `TableLikeOption`, `src/include/nodes/parsenodes.h`.
const LIKE_CONSTRAINTS: u32 = 1 << 2;
const LIKE_DEFAULTS: u32 = 1 << 3;
const LIKE_GENERATED: u32 = 1 << 4;
const LIKE_IDENTITY: u32 = 1 << 5;
const LIKE_INDEXES: u32 = 1 << 6;

impl Change<'_> {
    pub(super) fn create_table(&mut self, create: &CreateStmt) {
        self.table(create, None);
    }

    pub(super) fn create_foreign_table(&mut self, create: &CreateForeignTableStmt) {
        if let Some(base) = &create.base_stmt {
            self.table(base, Some(RelationKind::ForeignTable));
        }
    }

    /// Whether the statement leaves an object of that name as it is.
    fn stays(&self, name: &QName, if_not_exists: bool) -> bool {
        (if_not_exists || self.guarded) && self.catalog.relations.contains_key(name)
    }

    fn table(&mut self, create: &CreateStmt, kind: Option<RelationKind>) {
        let Some(range) = &create.relation else { return };
        let name = self.catalog.place_range(range, self.session);
        if self.stays(&name, create.if_not_exists) {
            return;
        }
        let kind = kind.unwrap_or(match create.partspec {
            Some(_) => RelationKind::PartitionedTable,
            None => RelationKind::Table,
        });
        let mut relation = Relation::new(name, kind, Some(self.at));
        relation.columns_known = create.of_typename.is_none();
        relation.temporary = relation.name.is_temporary();
        relation.unlogged = range.relpersistence == "u";
        relation.partitioning = create.partspec.as_ref().map(partitioning);
        relation.options = super::options(&create.options);
        relation.access_method = some(&create.access_method);
        relation.tablespace = some(&create.tablespacename);
        match &create.partbound {
            Some(bound) => self.become_partition(&mut relation, &create.inh_relations, bound),
            None => self.inherit(&mut relation, &create.inh_relations),
        }
        for element in create.table_elts.iter().filter_map(|node| node.node.as_ref()) {
            match element {
                NodeEnum::ColumnDef(column) if create.partbound.is_some() => {
                    self.refine_column(&mut relation, column);
                }
                NodeEnum::ColumnDef(column) => self.add_column(&mut relation, column),
                NodeEnum::TableLikeClause(like) => self.copy_like(&mut relation, like),
                _ => {}
            }
        }
        // Keys may name columns that stand after them.
        for element in create.table_elts.iter().chain(&create.constraints) {
            if let Some(NodeEnum::Constraint(constraint)) = &element.node {
                self.add_constraint(&mut relation, constraint, None);
            }
        }
        self.put(relation);
    }

    fn inherit(&mut self, relation: &mut Relation, parents: &[Node]) {
        for parent in ranges(parents) {
            let parent = self.resolve(parent);
            match self.catalog.relation(&parent) {
                Some(known) => {
                    let copies =
                        known.columns.iter().map(|column| Column { born: Some(self.at), ..column.clone() });
                    relation.columns.extend(copies);
                    relation.columns_known &= known.columns_known;
                }
                None => relation.columns_known = false,
            }
            relation.inherits.push(parent);
        }
    }

    fn become_partition(&mut self, relation: &mut Relation, parents: &[Node], bound: &PartitionBoundSpec) {
        let Some(parent) = ranges(parents).next().map(|range| self.resolve(range)) else { return };
        self.attach(relation, &parent, Some(bound));
        let Some(known) = self.catalog.relation(&parent).cloned() else {
            relation.columns_known = false;
            return;
        };
        relation.columns = known.columns.clone();
        relation.columns.iter_mut().for_each(|column| column.born = Some(self.at));
        relation.columns_known = known.columns_known;
        for constraint in &known.constraints {
            let mut copy = Constraint { born: Some(self.at), ..constraint.clone() };
            copy.name = self.partition_name(&known, relation, &constraint.name);
            relation.constraints.push(copy);
        }
        for index in &known.indexes {
            self.copy_index_to_partition(&known, index, relation);
        }
    }

    /// Remembers whose partition a relation is.
    pub(super) fn attach(
        &mut self,
        relation: &mut Relation,
        parent: &QName,
        bound: Option<&PartitionBoundSpec>,
    ) {
        relation.partition_of = Some(parent.clone());
        relation.is_default_partition = bound.is_some_and(|bound| bound.is_default);
        relation.partition_bound =
            bound.map(|bound| Box::new(Node { node: Some(NodeEnum::PartitionBoundSpec(bound.clone())) }));
        if let Some(known) = self.relation(parent)
            && known.kind == RelationKind::Table
        {
            known.kind = RelationKind::PartitionedTable;
        }
    }

    /// The name of a key or index of a partition: the parent's default name with the partition's in it,
    /// or the constraint's own.
    fn partition_name(&self, parent: &Relation, partition: &Relation, name: &str) -> String {
        let owns_index = parent.indexes.iter().any(|index| index.constraint.as_deref() == Some(name));
        match name.strip_prefix(&parent.name.name).filter(|_| owns_index) {
            Some(rest) => format!("{}{rest}", partition.name.name),
            None => name.to_owned(),
        }
    }

    /// An index of a partitioned table has one of its own on each partition.
    pub(super) fn copy_index_to_partition(
        &mut self,
        parent: &Relation,
        index: &Index,
        partition: &mut Relation,
    ) {
        let name = match &index.constraint {
            Some(constraint) => self.partition_name(parent, partition, constraint),
            None => {
                let columns = index_name_columns(&index.columns);
                let name = object_name(&partition.name.name, Some(&joined(&columns)), "idx");
                self.free_index_name(partition, &name)
            }
        };
        self.catalog.note_index(&name, &partition.name);
        partition.indexes.push(Index {
            name: QName::new(partition.name.schema.clone(), name.clone()),
            constraint: index.constraint.as_ref().map(|_| name),
            on_partitioned: partition.kind == RelationKind::PartitionedTable,
            born: Some(self.at),
            valid: true,
            ..index.clone()
        });
    }

    /// `PARTITION OF p (column WITH OPTIONS …)`.
    fn refine_column(&mut self, relation: &mut Relation, written: &ast::ColumnDef) {
        for constraint in super::column::column_constraints(written) {
            if constraint.contype() == ast::ConstrType::ConstrDefault {
                let column = relation.columns.iter_mut().find(|column| column.name == written.colname);
                if let Some(column) = column {
                    column.default.clone_from(&constraint.raw_expr);
                }
            }
            self.add_constraint(relation, constraint, Some(&written.colname));
        }
    }

    fn copy_like(&mut self, relation: &mut Relation, like: &TableLikeClause) {
        let Some(source) = like.relation.as_ref().map(|range| self.resolve(range)) else { return };
        let Some(source) = self.catalog.relation(&source).cloned() else {
            relation.columns_known = false;
            return;
        };
        let with = |option: u32| like.options & option != 0;
        relation.columns_known &= source.columns_known;
        for column in &source.columns {
            let generated = column.generated.filter(|_| with(LIKE_GENERATED));
            let keeps = if column.generated.is_some() { generated.is_some() } else { with(LIKE_DEFAULTS) };
            let copy = Column {
                default: column.default.clone().filter(|_| keeps),
                generated,
                identity: column.identity.filter(|_| with(LIKE_IDENTITY)),
                serial: false,
                born: Some(self.at),
                ..column.clone()
            };
            if copy.identity.is_some() {
                self.own_sequence(relation, &copy.name);
            }
            relation.columns.push(copy);
        }
        for constraint in &source.constraints {
            let is_key = !matches!(
                constraint.kind,
                ConstraintKind::Check { .. }
                    | ConstraintKind::NotNull { .. }
                    | ConstraintKind::Foreign { .. }
            );
            let copied = match constraint.kind {
                ConstraintKind::Check { .. } => with(LIKE_CONSTRAINTS),
                ConstraintKind::Foreign { .. } => false,
                _ => with(LIKE_INDEXES) && is_key,
            };
            if copied {
                let mut copy = Constraint { born: Some(self.at), ..constraint.clone() };
                copy.name = self.partition_name(&source, relation, &constraint.name);
                relation.constraints.push(copy);
            }
        }
        if with(LIKE_INDEXES) {
            for index in &source.indexes {
                self.copy_index_to_partition(&source, index, relation);
            }
        }
    }

    pub(super) fn create_table_as(&mut self, create: &CreateTableAsStmt) {
        let (Some(into), Some(query)) = (&create.into, &create.query) else { return };
        let kind = match create.objtype() {
            ObjectType::ObjectMatview => RelationKind::MaterializedView,
            _ => RelationKind::Table,
        };
        self.table_from_query(into, query, kind, create.if_not_exists);
    }

    /// `SELECT … INTO table`.
    pub(super) fn select_into(&mut self, select: &SelectStmt, node: &NodeEnum) {
        let mut leaf = select;
        while let Some(left) = &leaf.larg {
            leaf = left;
        }
        if let Some(into) = &leaf.into_clause {
            self.table_from_query(into, &Node { node: Some(node.clone()) }, RelationKind::Table, false);
        }
    }

    fn table_from_query(&mut self, into: &IntoClause, query: &Node, kind: RelationKind, if_not_exists: bool) {
        let Some(range) = &into.rel else { return };
        let name = self.catalog.place_range(range, self.session);
        if self.stays(&name, if_not_exists) {
            return;
        }
        let mut relation = Relation::new(name, kind, Some(self.at));
        relation.temporary = relation.name.is_temporary();
        relation.unlogged = range.relpersistence == "u";
        relation.filled = !into.skip_data && kind == RelationKind::Table;
        relation.populated = !into.skip_data;
        relation.options = super::options(&into.options);
        relation.access_method = some(&into.access_method);
        relation.tablespace = some(&into.table_space_name);
        if let Some(node) = &query.node {
            (relation.columns, relation.columns_known) = self.catalog.columns_of(node, self.session);
            if kind == RelationKind::MaterializedView {
                relation.reads = self.catalog.reads(node, self.session);
                relation.query = Some(Box::new(query.clone()));
            }
        }
        for (column, name) in relation.columns.iter_mut().zip(ast::strings(&into.col_names)) {
            column.name = name;
        }
        relation.columns.iter_mut().for_each(|column| column.born = Some(self.at));
        self.put(relation);
    }
}

fn partitioning(spec: &PartitionSpec) -> Partitioning {
    let strategy = match spec.strategy() {
        PartitionStrategy::List => "list",
        PartitionStrategy::Hash => "hash",
        _ => "range",
    };
    let column = |node: &Node| match node.node.as_ref()? {
        NodeEnum::PartitionElem(element) if !element.name.is_empty() => Some(element.name.clone()),
        NodeEnum::PartitionElem(element) => crate::sql::expression_text(element.expr.as_deref()?),
        _ => None,
    };
    Partitioning { strategy: strategy.into(), columns: spec.part_params.iter().filter_map(column).collect() }
}

/// Parts of an index's default name.
pub(super) fn index_name_columns(columns: &[IndexColumn]) -> Vec<String> {
    let part = |column: &IndexColumn| match column {
        IndexColumn::Column(name) => name.clone(),
        // A function call gives its name, anything else `expr`.
        IndexColumn::Expression(text) => match text.split_once('(') {
            Some((name, _))
                if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.') =>
            {
                name.rsplit('.').next().unwrap_or(name).to_owned()
            }
            _ => "expr".into(),
        },
    };
    columns.iter().map(part).collect()
}

pub(super) fn ranges(nodes: &[Node]) -> impl Iterator<Item = &RangeVar> {
    nodes.iter().filter_map(|node| match node.node.as_ref()? {
        NodeEnum::RangeVar(range) => Some(range),
        _ => None,
    })
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
