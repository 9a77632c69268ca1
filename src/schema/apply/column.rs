//! Columns as they are written in CREATE TABLE and ADD COLUMN.

use super::Change;
use crate::schema::{Column, ConstraintKind, Generated, QName, Relation, RelationKind, serial_type};
use crate::sql::ast::{ColumnDef, ConstrType, Constraint, NodeEnum};

/// The constraints of a column, with the reader's list of trailing attributes left out.
pub(in crate::schema) fn column_constraints(column: &ColumnDef) -> impl Iterator<Item = &Constraint> {
    column.constraints.iter().filter_map(|node| match node.node.as_ref()? {
        NodeEnum::Constraint(constraint) => Some(&**constraint),
        _ => None,
    })
}

impl Change<'_> {
    /// Adds a column with all that it brings: constraints, their indexes, a sequence.
    pub(super) fn add_column(&mut self, relation: &mut Relation, written: &ColumnDef) {
        let mut column = Column::plain(&written.colname, self.written_type(written));
        column.born = Some(self.at);
        column.serial = written.type_name.as_ref().is_some_and(|ty| serial_type(ty).is_some());
        column.not_null = written.is_not_null || column.serial;
        column.default = written.raw_default.clone();
        for constraint in column_constraints(written) {
            match constraint.contype() {
                ConstrType::ConstrNotnull if !constraint.skip_validation => column.not_null = true,
                ConstrType::ConstrNull => column.not_null = false,
                ConstrType::ConstrDefault => column.default = constraint.raw_expr.clone(),
                ConstrType::ConstrIdentity => {
                    column.identity = constraint.generated_when.chars().next();
                    column.not_null = true;
                }
                ConstrType::ConstrGenerated => {
                    // Postgres 18 has two kinds; before it there was no other than STORED.
                    column.generated = Some(match constraint.generated_kind.as_str() {
                        "v" => Generated::Virtual,
                        _ => Generated::Stored,
                    });
                    column.default = constraint.raw_expr.clone();
                }
                ConstrType::ConstrPrimary => column.not_null = true,
                _ => {}
            }
        }
        if column.serial || column.identity.is_some() {
            self.own_sequence(relation, &column.name);
        }
        relation.columns.retain(|known| known.name != column.name);
        relation.columns.push(column);
        for constraint in column_constraints(written) {
            self.add_constraint(relation, constraint, Some(&written.colname));
        }
    }

    fn written_type(&self, written: &ColumnDef) -> crate::schema::ColumnType {
        match &written.type_name {
            Some(name) => self.catalog.column_type(name, self.session),
            None => crate::schema::ColumnType::unknown(),
        }
    }

    /// The sequence behind `serial` or an identity.
    pub(super) fn own_sequence(&mut self, relation: &Relation, column: &str) {
        let name = super::constraint::object_name(&relation.name.name, Some(column), "seq");
        let schema = &relation.name.schema;
        let name = self.catalog.free_name(schema, &name);
        let mut sequence =
            Relation::new(QName::new(schema.clone(), name), RelationKind::Sequence, Some(self.at));
        sequence.temporary = relation.temporary;
        sequence.owned_by = Some((relation.name.clone(), column.to_owned()));
        self.put(sequence);
    }

    /// Removes a column and, as Postgres does without asking, every constraint and index that uses it.
    pub(super) fn remove_column(&mut self, relation: &mut Relation, column: &str) {
        relation.columns.retain(|known| known.name != column);
        let uses = |kind: &ConstraintKind| match kind {
            ConstraintKind::Check { expression } => crate::schema::columns_in(expression).contains(column),
            ConstraintKind::NotNull { column: known } => known == column,
            ConstraintKind::Foreign { columns, .. }
            | ConstraintKind::Unique { columns }
            | ConstraintKind::Primary { columns } => columns.iter().any(|known| known == column),
            ConstraintKind::Exclusion => false,
        };
        relation.constraints.retain(|constraint| !uses(&constraint.kind));
        let gone: Vec<String> = relation
            .indexes
            .iter()
            .filter(|index| index.uses(column))
            .filter_map(|index| index.constraint.clone())
            .collect();
        relation.constraints.retain(|constraint| !gone.contains(&constraint.name));
        relation.indexes.retain(|index| {
            !index.uses(column)
                && index.constraint.as_ref().is_none_or(|owner| {
                    relation.constraints.iter().any(|constraint| constraint.name == *owner)
                })
        });
        self.forget_sequences(&relation.name, column);
    }
}
