//! What a type change without rewrite still does again.

use super::{ColumnType, Constraint, ConstraintKind, Index, IndexColumn, Relation, columns_in};

/// What is read or built again although the table is not rewritten.
#[derive(Debug, Default)]
pub(crate) struct Again<'a> {
    /// CHECK and foreign key constraints, tested on every row.
    pub(crate) checked: Vec<&'a Constraint>,
    pub(crate) built: Vec<&'a Index>,
}

impl Relation {
    /// What `ALTER COLUMN … TYPE` does again, were the type only to be set to what it is: a CHECK on the
    /// column is tested on every row, an index with an expression or predicate over it is built anew, as
    /// is one that sorts it by another operator class or collation, and a foreign key whose equality
    /// is another one now is looked up for every row.
    ///
    /// Run on Postgres 15 with DEBUG1 messages. Source: `ATPostAlterTypeCleanup` and `CheckIndexCompatible`.
    /// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/commands/tablecmds.c>
    pub(crate) fn done_again(
        &self,
        column: &str,
        (from, to): (&ColumnType, &ColumnType),
        recollated: bool,
    ) -> Again<'_> {
        let other_class = operator_class(from) != operator_class(to);
        let checked = self.constraints.iter().filter(|constraint| match &constraint.kind {
            // One that was never validated is not validated now.
            ConstraintKind::Check { expression } => {
                constraint.validated && columns_in(expression).contains(column)
            }
            ConstraintKind::Foreign { columns, .. } => other_class && columns.iter().any(|it| it == column),
            _ => false,
        });
        let sorts = |index: &Index| index.columns.contains(&IndexColumn::Column(column.to_owned()));
        // An index with an expression or a predicate, whatever over, is not compared: it is built anew.
        let computes = |index: &Index| {
            index.predicate.is_some()
                || index.columns.iter().any(|key| matches!(key, IndexColumn::Expression(_)))
        };
        let built = self.indexes.iter().filter(|index| {
            (computes(index) && index.uses(column)) || ((other_class || recollated) && sorts(index))
        });
        Again { checked: checked.collect(), built: built.collect() }
    }
}

/// Types that one default operator class serves share a name here; an array has that of its elements.
fn operator_class(ty: &ColumnType) -> (&str, bool) {
    let class = match ty.name.as_str() {
        "varchar" => "text",
        "cidr" => "inet",
        name if ty.schema.is_none() && name.starts_with("reg") => "oid",
        name => name,
    };
    (class, ty.array > 0)
}
