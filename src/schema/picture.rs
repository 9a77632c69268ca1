//! The tables that a change makes or alters, as plain values for a diagram.

use super::{Catalog, Column, ConstraintKind, QName, Relation, RelationKind};

/// One table as it is after the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TablePicture {
    pub(crate) name: QName,
    pub(crate) new: bool,
    pub(crate) columns: Vec<ColumnPicture>,
    /// Tables that its foreign keys point to, each once, and whether the change adds the first of them.
    pub(crate) targets: Vec<(QName, bool)>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnPicture {
    pub(crate) name: String,
    pub(crate) ty: String,
    pub(crate) primary: bool,
    pub(crate) foreign: bool,
    pub(crate) unique: bool,
    pub(crate) fate: Fate,
}

/// What the change does to a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    Added,
    Changed,
    Dropped,
}

/// The tables whose columns or foreign keys differ between two moments, by name.
pub(crate) fn changed_tables(before: &Catalog, after: &Catalog) -> Vec<TablePicture> {
    let tables = after.relations.values().filter(|relation| drawn(relation));
    tables
        .filter_map(|table| {
            let old = before.relations.get(&table.name).filter(|old| drawn(old));
            if old.is_some_and(|old| same(old, table)) {
                return None;
            }
            let picture = picture(old, table);
            let columns = picture.columns.iter().any(|column| column.fate != Fate::Kept);
            let keys = picture.targets.iter().any(|(_, added)| *added);
            (picture.new || columns || keys).then_some(picture)
        })
        .collect()
}

fn drawn(relation: &Relation) -> bool {
    matches!(relation.kind, RelationKind::Table) && !relation.temporary && relation.partition_of.is_none()
}

/// Most tables of a large schema, told without a picture.
fn same(old: &Relation, table: &Relation) -> bool {
    let columns = || old.columns.iter().zip(&table.columns);
    table.born.is_none()
        && table.constraints.iter().all(|constraint| constraint.born.is_none())
        && old.columns.len() == table.columns.len()
        && columns().all(|(a, b)| a.name == b.name && a.ty == b.ty && a.not_null == b.not_null)
}

fn picture(old: Option<&Relation>, table: &Relation) -> TablePicture {
    // A table that no migration made is first seen where something is done to it.
    let new = table.born.is_some();
    let mut columns: Vec<ColumnPicture> = table
        .columns
        .iter()
        .map(|column| {
            let was = old.and_then(|old| old.columns.iter().find(|it| it.name == column.name));
            let fate = match was {
                _ if new => Fate::Kept,
                None if column.born.is_some() => Fate::Added,
                Some(was) if was.ty != column.ty || was.not_null != column.not_null => Fate::Changed,
                _ => Fate::Kept,
            };
            shown(table, column, fate)
        })
        .collect();
    if let Some(old) = old.filter(|_| !new) {
        let gone = old.columns.iter().filter(|was| table.columns.iter().all(|it| it.name != was.name));
        columns.extend(gone.map(|was| shown(old, was, Fate::Dropped)));
    }
    let mut targets: Vec<(QName, bool)> = Vec::new();
    for constraint in &table.constraints {
        if let ConstraintKind::Foreign { target, .. } = &constraint.kind
            && !targets.iter().any(|(known, _)| known == target)
        {
            targets.push((target.clone(), constraint.born.is_some()));
        }
    }
    TablePicture { name: table.name.clone(), new, columns, targets }
}

fn shown(table: &Relation, column: &Column, fate: Fate) -> ColumnPicture {
    let within = |wanted: fn(&ConstraintKind) -> Option<&Vec<String>>| {
        let lists = table.constraints.iter().filter_map(|constraint| wanted(&constraint.kind));
        lists.into_iter().any(|columns| columns.contains(&column.name))
    };
    ColumnPicture {
        name: column.name.clone(),
        ty: column.ty.to_string(),
        primary: within(|kind| match kind {
            ConstraintKind::Primary { columns } => Some(columns),
            _ => None,
        }),
        foreign: within(|kind| match kind {
            ConstraintKind::Foreign { columns, .. } => Some(columns),
            _ => None,
        }),
        // Of a key over several columns none is unique by itself.
        unique: within(|kind| match kind {
            ConstraintKind::Unique { columns } if columns.len() == 1 => Some(columns),
            _ => None,
        }),
        fate,
    }
}
