//! What the partitions of a table hold by themselves already, so that the same on the parent has nothing left
//! to look at.
//!
//! Each was run on Postgres 15 with DEBUG1 messages: a NOT NULL that each partition has or can prove is not
//! scanned for, a validated foreign key and a CHECK of the same name are taken over, and so is the index of a
//! constraint.

use super::{Catalog, ConstraintKind, QName, Relation, RelationKind, not_null_proven};
use crate::sql;

impl Catalog {
    /// Whether something is true of every partition that has rows; false where there is none to ask.
    fn every_leaf(&self, table: &QName, holds: impl Fn(&Relation) -> bool) -> bool {
        let partitioned = |known: &&Relation| known.kind == RelationKind::PartitionedTable;
        if !self.relation(table).filter(partitioned).is_some_and(|known| known.columns_known) {
            return false;
        }
        let all = self.partitions(table);
        let mut leaves = all.iter().filter(|leaf| !partitioned(leaf)).peekable();
        let empty = |leaf: &Relation| leaf.born.is_some() && !leaf.filled;
        leaves.peek().is_some() && leaves.all(|leaf| empty(leaf) || holds(leaf))
    }

    /// Whether no partition's column can be NULL.
    pub(crate) fn leaves_are_not_null(&self, table: &QName, column: &str) -> bool {
        self.every_leaf(table, |leaf| not_null_proven(leaf, column))
    }

    /// Whether each partition has that foreign key, validated and with the same actions.
    pub(crate) fn leaves_reference(&self, table: &QName, to: &QName, written: &sql::ast::Constraint) -> bool {
        let columns = sql::ast::strings(&written.fk_attrs);
        let action = |text: &str| text.chars().next().unwrap_or('a');
        let actions = (action(&written.fk_del_action), action(&written.fk_upd_action));
        self.every_leaf(table, |leaf| {
            leaf.constraints.iter().any(|constraint| {
                constraint.validated
                    && matches!(&constraint.kind,
                        ConstraintKind::Foreign { columns: own, target, on_delete, on_update, .. }
                        if *own == columns && target == to && (*on_delete, *on_update) == actions)
            })
        })
    }

    /// Whether each partition has that CHECK under that name, validated.
    pub(crate) fn leaves_check(&self, table: &QName, name: &str, expression: &sql::ast::Node) -> bool {
        let wanted = sql::expression_text(expression);
        self.every_leaf(table, |leaf| {
            leaf.constraint(name).filter(|known| known.validated).is_some_and(|known| match &known.kind {
                ConstraintKind::Check { expression } => sql::expression_text(expression) == wanted,
                _ => false,
            })
        })
    }

    /// Whether each partition has a key constraint over these columns.
    pub(crate) fn leaves_have_key(&self, table: &QName, columns: &[String]) -> bool {
        self.every_leaf(table, |leaf| {
            leaf.indexes.iter().any(|index| {
                index.unique && index.valid && index.constraint.is_some() && index.plain_columns() == columns
            })
        })
    }
}
