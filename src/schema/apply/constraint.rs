//! Constraints, the names that Postgres gives them, and the indexes behind them.

use std::collections::BTreeSet;

use super::Change;
use crate::schema::{
    Catalog, Constraint, ConstraintKind, Index, IndexColumn, QName, Relation, RelationKind, columns_in,
};
use crate::sql::ast::{self, ConstrType, Constraint as Written, NodeEnum};

/// Names are cut to this many bytes (`NAMEDATALEN` - 1).
const NAME_LENGTH: usize = 63;

/// `table_column_label`, cut as Postgres cuts it: the longer of the two parts first.
///
/// `makeObjectName`, `src/backend/commands/indexcmds.c`.
pub(in crate::schema) fn object_name(table: &str, column: Option<&str>, label: &str) -> String {
    let (mut first, mut second) = (table.len(), column.map_or(0, str::len));
    let overhead = label.len() + 1 + usize::from(column.is_some());
    while first + second > NAME_LENGTH.saturating_sub(overhead) {
        if first > second { first -= 1 } else { second -= 1 }
    }
    let cut = |text: &str, mut length: usize| {
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        text[..length].to_owned()
    };
    match column {
        Some(column) => format!("{}_{}_{label}", cut(table, first), cut(column, second)),
        None => format!("{}_{label}", cut(table, first)),
    }
}

/// The first of `name`, `name1`, `name2`, … that is not taken.
pub(super) fn first_free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut candidate = name.to_owned();
    let mut number = 0;
    while taken(&candidate) {
        number += 1;
        candidate = format!("{name}{number}");
    }
    candidate
}

/// Columns of a key, joined as in a default name.
pub(super) fn joined(columns: &[String]) -> String {
    let mut text = columns.join("_");
    let mut end = text.len().min(NAME_LENGTH);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

impl Catalog {
    /// A name for a new relation or index that nothing in the schema has: `name`, `name1`, …
    pub(crate) fn free_name(&self, schema: &str, name: &str) -> String {
        first_free(name, |candidate| self.is_taken(schema, candidate))
    }

    /// Whether a relation or an index of that name stands in the schema.
    fn is_taken(&self, schema: &str, name: &str) -> bool {
        let name = QName::new(schema, name);
        self.relations.contains_key(&name) || self.index(&name).is_some()
    }
}

impl Change<'_> {
    /// A name for a new index of a relation that is not in the model at the moment.
    pub(super) fn free_index_name(&self, relation: &Relation, name: &str) -> String {
        let schema = &relation.name.schema;
        first_free(name, |candidate| {
            candidate == relation.name.name
                || relation.indexes.iter().any(|index| index.name.name == candidate)
                || self.catalog.is_taken(schema, candidate)
        })
    }

    /// Adds a constraint as written. `column`: it stands at that column.
    pub(super) fn add_constraint(
        &mut self,
        relation: &mut Relation,
        written: &Written,
        column: Option<&str>,
    ) {
        let columns = |list: &[ast::Node]| match column {
            Some(column) if list.is_empty() => vec![column.to_owned()],
            _ => ast::strings(list),
        };
        let table = relation.name.name.clone();
        let (kind, default_name) = match written.contype() {
            ConstrType::ConstrCheck => {
                let Some(expression) = written.raw_expr.clone() else { return };
                let used: BTreeSet<String> = columns_in(&expression);
                let named_after = match column {
                    Some(column) => Some(column),
                    None if used.len() == 1 => used.first().map(String::as_str),
                    None => None,
                };
                let name = object_name(&table, named_after, "check");
                (ConstraintKind::Check { expression }, name)
            }
            ConstrType::ConstrNotnull => {
                let Some(column) = columns(&written.keys).pop() else { return };
                if !written.skip_validation
                    && let Some(known) = relation.columns.iter_mut().find(|known| known.name == column)
                {
                    known.not_null = true;
                }
                if written.conname.is_empty() && !written.skip_validation {
                    return;
                }
                let name = object_name(&table, Some(&column), "not_null");
                (ConstraintKind::NotNull { column }, name)
            }
            ConstrType::ConstrForeign => {
                let Some(target) = &written.pktable else { return };
                let columns = columns(&written.fk_attrs);
                let target = match target.schemaname.is_empty() && target.relname == relation.name.name {
                    // A table may refer to itself before it is there.
                    true if !self.catalog.relations.contains_key(&self.resolve(target)) => {
                        relation.name.clone()
                    }
                    _ => self.resolve(target),
                };
                let name = object_name(&table, Some(&joined(&columns)), "fkey");
                let action = |text: &str| text.chars().next().unwrap_or('a');
                let kind = ConstraintKind::Foreign {
                    columns,
                    target,
                    target_columns: ast::strings(&written.pk_attrs),
                    on_delete: action(&written.fk_del_action),
                    on_update: action(&written.fk_upd_action),
                };
                (kind, name)
            }
            ConstrType::ConstrUnique => {
                let columns = columns(&written.keys);
                let name = object_name(&table, Some(&joined(&columns)), "key");
                (ConstraintKind::Unique { columns }, name)
            }
            ConstrType::ConstrPrimary => {
                let columns = columns(&written.keys);
                (ConstraintKind::Primary { columns }, object_name(&table, None, "pkey"))
            }
            ConstrType::ConstrExclusion => {
                let name = object_name(&table, Some(&joined(&exclusion_columns(written))), "excl");
                (ConstraintKind::Exclusion, name)
            }
            _ => return,
        };
        self.put_constraint(relation, written, kind, default_name);
    }

    fn put_constraint(
        &mut self,
        relation: &mut Relation,
        written: &Written,
        mut kind: ConstraintKind,
        default_name: String,
    ) {
        let builds_index = matches!(
            kind,
            ConstraintKind::Unique { .. } | ConstraintKind::Primary { .. } | ConstraintKind::Exclusion
        );
        let name = match (written.conname.is_empty(), written.indexname.is_empty()) {
            (false, _) => written.conname.clone(),
            // USING INDEX without a name takes the index's.
            (true, false) => written.indexname.clone(),
            (true, true) if builds_index => self.free_index_name(relation, &default_name),
            (true, true) => first_free(&default_name, |candidate| relation.constraint(candidate).is_some()),
        };
        if builds_index {
            if written.indexname.is_empty() {
                relation.indexes.push(self.constraint_index(relation, written, &kind, &name));
                self.catalog.note_index(&name, &relation.name);
            } else if let Some(index) =
                relation.indexes.iter_mut().find(|index| index.name.name == written.indexname)
            {
                // The index takes the constraint's name.
                index.constraint = Some(name.clone());
                index.name.name.clone_from(&name);
                self.catalog.note_index(&name, &relation.name);
                if let ConstraintKind::Unique { columns } | ConstraintKind::Primary { columns } = &mut kind {
                    *columns = index.plain_columns();
                }
            }
        }
        if let ConstraintKind::Primary { columns } = &kind {
            for column in relation.columns.iter_mut().filter(|column| columns.contains(&column.name)) {
                column.not_null = true;
            }
        }
        relation.constraints.push(Constraint {
            name,
            kind,
            validated: !written.skip_validation && is_enforced(written),
            enforced: is_enforced(written),
            born: Some(self.at),
            validated_at: None,
        });
    }

    fn constraint_index(
        &self,
        relation: &Relation,
        written: &Written,
        kind: &ConstraintKind,
        name: &str,
    ) -> Index {
        let (unique, columns) = match kind {
            ConstraintKind::Unique { columns } | ConstraintKind::Primary { columns } => {
                (true, columns.clone())
            }
            _ => (false, exclusion_columns(written)),
        };
        let method = match written.access_method.as_str() {
            "" if unique => "btree",
            "" => "gist",
            other => other,
        };
        Index {
            name: QName::new(relation.name.schema.clone(), name),
            unique,
            sorted: Vec::new(),
            columns: columns.into_iter().map(IndexColumn::Column).collect(),
            included: ast::strings(&written.including),
            predicate: written.where_clause.clone(),
            method: method.to_owned(),
            born: Some(self.at),
            constraint: Some(name.to_owned()),
            on_partitioned: relation.kind == RelationKind::PartitionedTable,
            valid: true,
        }
    }
}

/// Only CHECK and FOREIGN KEY can be written NOT ENFORCED; the others leave the field alone.
fn is_enforced(written: &Written) -> bool {
    written.is_enforced || !matches!(written.contype(), ConstrType::ConstrCheck | ConstrType::ConstrForeign)
}

/// Columns of an EXCLUDE constraint.
fn exclusion_columns(written: &Written) -> Vec<String> {
    let element = |node: &ast::Node| match node.node.as_ref()? {
        NodeEnum::List(list) => match list.items.first()?.node.as_ref()? {
            NodeEnum::IndexElem(element) if !element.name.is_empty() => Some(element.name.clone()),
            _ => None,
        },
        _ => None,
    };
    written.exclusions.iter().filter_map(element).collect()
}
