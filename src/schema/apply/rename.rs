//! RENAME, SET SCHEMA, OWNER TO: the same object under another name.

use super::Change;
use crate::schema::{ConstraintKind, IndexColumn, QName, Relation};
use crate::sql::ast::{
    self, AlterObjectSchemaStmt, AlterOwnerStmt, Name, Node, NodeEnum, ObjectType as O, RenameStmt,
};

impl Change<'_> {
    pub(super) fn rename(&mut self, rename: &RenameStmt) {
        let new = rename.newname.clone();
        let table = rename.relation.as_ref().map(|range| self.resolve(range));
        match (rename.rename_type(), table) {
            (O::ObjectColumn | O::ObjectAttribute, Some(table)) => {
                self.rename_column(&table, &rename.subname, &new);
            }
            (O::ObjectTabconstraint, Some(table)) => self.rename_constraint(&table, &rename.subname, &new),
            (O::ObjectPolicy, Some(table)) => {
                if let Some(relation) = self.catalog.relations.get_mut(&table) {
                    relation
                        .policies
                        .iter_mut()
                        .filter(|policy| policy.name == rename.subname)
                        .for_each(|policy| policy.name.clone_from(&new));
                }
            }
            (O::ObjectTrigger, Some(table)) => {
                if let Some(relation) = self.catalog.relations.get_mut(&table) {
                    relation
                        .triggers
                        .iter_mut()
                        .filter(|trigger| trigger.name == rename.subname)
                        .for_each(|trigger| trigger.name.clone_from(&new));
                }
            }
            (O::ObjectIndex, Some(table)) if self.catalog.relations.contains_key(&table) => {
                self.move_relation(&table, QName::new(table.schema.clone(), new));
            }
            (O::ObjectIndex, _) => {
                let Some(range) = &rename.relation else { return };
                let index = self.catalog.resolve_index(&Name::of(range), self.session);
                self.rename_index(&index, &new);
            }
            (
                O::ObjectTable | O::ObjectView | O::ObjectMatview | O::ObjectSequence | O::ObjectForeignTable,
                Some(table),
            ) => {
                let range = rename.relation.as_ref().map(Name::of);
                let index = range.map(|name| self.catalog.resolve_index(&name, self.session));
                if let Some(index) = index.filter(|index| self.catalog.index(index).is_some()) {
                    // ALTER TABLE … RENAME takes an index too.
                    self.rename_index(&index, &new);
                } else {
                    let to = QName::new(table.schema.clone(), new);
                    self.move_relation(&table, to);
                }
            }
            (O::ObjectType | O::ObjectDomain, _) => {
                if let Some(name) = rename.object.as_deref().and_then(ast::name) {
                    let from = self.catalog.resolve_type(&name, self.session);
                    let to = QName::new(from.schema.clone(), new);
                    self.move_type(&from, to);
                }
            }
            (O::ObjectFunction | O::ObjectProcedure | O::ObjectRoutine | O::ObjectAggregate, _) => {
                self.move_routine(rename.object.as_deref(), |from| QName::new(from.schema.clone(), new));
            }
            (O::ObjectSchema, _) => self.rename_schema(&rename.subname, &new),
            (O::ObjectPublication, _) => {
                if let Some(name) = rename.object.as_deref().and_then(ast::string)
                    && let Some(tables) = self.catalog.publications.remove(name)
                {
                    self.catalog.publications.insert(new, tables);
                }
            }
            _ => {}
        }
    }

    pub(super) fn set_schema(&mut self, alter: &AlterObjectSchemaStmt) {
        let schema = alter.newschema.clone();
        if let Some(range) = &alter.relation {
            let from = self.resolve(range);
            let to = QName::new(schema, from.name.clone());
            self.move_relation(&from, to);
            return;
        }
        match alter.object_type() {
            O::ObjectType | O::ObjectDomain => {
                if let Some(name) = alter.object.as_deref().and_then(ast::name) {
                    let from = self.catalog.resolve_type(&name, self.session);
                    let to = QName::new(schema, from.name.clone());
                    self.move_type(&from, to);
                }
            }
            O::ObjectFunction | O::ObjectProcedure | O::ObjectRoutine | O::ObjectAggregate => {
                self.move_routine(alter.object.as_deref(), |from| QName::new(schema, from.name.clone()));
            }
            O::ObjectExtension => {
                if let Some(name) = alter.object.as_deref().and_then(ast::string)
                    && let Some(extension) = self.catalog.extensions.get_mut(name)
                {
                    extension.schema = Some(schema);
                }
            }
            _ => {}
        }
    }

    pub(super) fn owner(&mut self, alter: &AlterOwnerStmt) {
        let owner = alter.newowner.as_ref().and_then(|role| super::role_name(role, self.session));
        if let Some(NodeEnum::ObjectWithArgs(object)) =
            alter.object.as_ref().and_then(|object| object.node.as_ref())
        {
            for routine in self.overloads(object) {
                routine.owner.clone_from(&owner);
            }
        }
    }

    fn rename_index(&mut self, index: &QName, new: &str) {
        let owner = self
            .catalog
            .index(index)
            .map(|(relation, index)| (relation.name.clone(), index.constraint.clone()));
        self.with_index(index, |index| new.clone_into(&mut index.name.name));
        // The constraint goes by the name of its index.
        if let Some((table, Some(constraint))) = owner
            && let Some(relation) = self.catalog.relations.get_mut(&table)
        {
            rename_in(relation, &constraint, new);
        }
    }

    fn rename_constraint(&mut self, table: &QName, old: &str, new: &str) {
        let Some(relation) = self.catalog.relations.get_mut(table) else { return };
        rename_in(relation, old, new);
        self.catalog.note_index(new, table);
    }

    fn rename_column(&mut self, table: &QName, old: &str, new: &str) {
        let swap = |names: &mut Vec<String>| {
            names.iter_mut().filter(|name| *name == old).for_each(|name| new.clone_into(name));
        };
        let mut speakers = self.catalog.relations.names_speaking_of(table);
        speakers.push(table.clone());
        for name in speakers {
            let Some(relation) = self.catalog.relations.get_mut(&name) else { continue };
            let same = relation.name == *table
                || relation.partition_of.as_ref() == Some(table)
                || relation.inherits.contains(table);
            for constraint in &mut relation.constraints {
                match &mut constraint.kind {
                    ConstraintKind::Foreign { columns, target, target_columns, .. } => {
                        if same {
                            swap(columns);
                        }
                        if target == table {
                            swap(target_columns);
                        }
                    }
                    ConstraintKind::Unique { columns } | ConstraintKind::Primary { columns } if same => {
                        swap(columns)
                    }
                    ConstraintKind::Check { expression } if same => rename_reference(expression, old, new),
                    ConstraintKind::NotNull { column } if same && column == old => new.clone_into(column),
                    _ => {}
                }
            }
            if !same {
                continue;
            }
            for column in relation.columns.iter_mut().filter(|column| column.name == old) {
                new.clone_into(&mut column.name);
            }
            for index in &mut relation.indexes {
                for column in &mut index.columns {
                    if matches!(column, IndexColumn::Column(name) if name == old) {
                        *column = IndexColumn::Column(new.to_owned());
                    }
                }
                for column in index.included.iter_mut().filter(|column| *column == old) {
                    new.clone_into(column);
                }
                if let Some(predicate) = &mut index.predicate {
                    rename_reference(predicate, old, new);
                }
            }
            for policy in &mut relation.policies {
                for expression in [&mut policy.using, &mut policy.with_check].into_iter().flatten() {
                    rename_reference(expression, old, new);
                }
            }
            if let Some(partitioning) = &mut relation.partitioning {
                swap(&mut partitioning.columns);
            }
        }
    }

    fn move_relation(&mut self, from: &QName, to: QName) {
        if self.relation(from).is_none() {
            return;
        }
        let Some(mut relation) = self.catalog.relations.remove(from) else { return };
        relation.name = to.clone();
        if from.schema != to.schema {
            relation.secured = Some(self.at);
        }
        for index in &mut relation.indexes {
            index.name.schema.clone_from(&to.schema);
            self.catalog.note_index(&index.name.name, &to);
        }
        self.catalog.dropped.insert(from.clone());
        self.catalog.dropped.remove(&to);
        self.catalog.relations.insert(to.clone(), relation);
        if let Some(mut ty) = self.catalog.types.remove(from) {
            ty.name = to.clone();
            self.catalog.types.insert(to.clone(), ty);
        }
        self.repoint(from, &to);
        if from.schema != to.schema {
            let owned: Vec<QName> = self
                .catalog
                .relations
                .speaking_of(&to)
                .filter(|other| other.owned_by.as_ref().is_some_and(|(table, _)| *table == to))
                .map(|sequence| sequence.name.clone())
                .collect();
            for sequence in owned {
                let moved = QName::new(to.schema.clone(), sequence.name.clone());
                self.move_relation(&sequence, moved);
            }
        }
    }

    /// Everything that spoke of the old name speaks of the new one.
    fn repoint(&mut self, from: &QName, to: &QName) {
        let turn = |name: &mut QName| {
            if name == from {
                name.clone_from(to);
            }
        };
        for name in self.catalog.relations.names_speaking_of(from) {
            let Some(mut other) = self.catalog.relations.remove(&name) else { continue };
            other.partition_of.iter_mut().for_each(turn);
            other.inherits.iter_mut().for_each(turn);
            other.owned_by.iter_mut().for_each(|(table, _)| turn(table));
            if other.reads.remove(from) {
                other.reads.insert(to.clone());
            }
            for constraint in &mut other.constraints {
                if let ConstraintKind::Foreign { target, .. } = &mut constraint.kind {
                    turn(target);
                }
            }
            self.catalog.relations.insert(name, other);
        }
        self.catalog.publications.values_mut().flatten().for_each(turn);
    }

    fn move_type(&mut self, from: &QName, to: QName) {
        if let Some(mut known) = self.catalog.types.remove(from) {
            known.name = to.clone();
            self.catalog.types.insert(to.clone(), known);
            if let Some((_, added)) = self.catalog.labels_added.as_mut().filter(|(_, it)| it.contains(from)) {
                added.insert(to.clone());
            }
        }
        if self.catalog.relations.contains_key(from) {
            self.move_relation(from, to.clone());
        }
        self.catalog.dropped.insert(from.clone());
        self.catalog.dropped.remove(&to);
        for column in self.catalog.relations.values_mut().flat_map(|relation| &mut relation.columns) {
            if column.ty.qname().as_ref() == Some(from) {
                column.ty.schema = Some(to.schema.clone());
                column.ty.name.clone_from(&to.name);
            }
        }
    }

    fn move_routine(&mut self, object: Option<&Node>, new: impl FnOnce(&QName) -> QName) {
        let Some(NodeEnum::ObjectWithArgs(object)) = object.and_then(|object| object.node.as_ref()) else {
            return;
        };
        let Some((from, arguments)) = self.signature(object) else { return };
        let Some(overloads) = self.catalog.routines.get_mut(&from) else { return };
        let moved = |known: &crate::schema::Routine| {
            arguments.as_ref().is_none_or(|arguments| known.arguments == *arguments)
        };
        let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(overloads).into_iter().partition(moved);
        *overloads = left;
        if overloads.is_empty() {
            self.catalog.routines.remove(&from);
        }
        let to = new(&from);
        let at = self.at;
        let target = self.catalog.routines.entry(to.clone()).or_default();
        target.extend(taken.into_iter().map(|routine| crate::schema::Routine {
            name: to.clone(),
            changed: Some(at),
            ..routine
        }));
        let (old, new) = (from.to_string(), to.to_string());
        for trigger in self.catalog.relations.values_mut().flat_map(|relation| &mut relation.triggers) {
            if trigger.function == old {
                trigger.function.clone_from(&new);
            }
        }
    }

    fn rename_schema(&mut self, old: &str, new: &str) {
        if let Some(born) = self.catalog.schemas.remove(old) {
            self.catalog.schemas.insert(new.to_owned(), born);
        }
        if let Some(grants) = self.catalog.schema_grants.remove(old) {
            self.catalog.schema_grants.insert(new.to_owned(), grants);
        }
        let moved = |name: &QName| QName::new(new, name.name.clone());
        let of = |names: Vec<QName>| names.into_iter().filter(|name| name.schema == old).collect::<Vec<_>>();
        for name in of(self.catalog.relations.keys().cloned().collect()) {
            self.move_relation(&name, moved(&name));
        }
        for name in of(self.catalog.types.keys().cloned().collect()) {
            self.move_type(&name, moved(&name));
        }
        for name in of(self.catalog.routines.keys().cloned().collect()) {
            let Some(mut overloads) = self.catalog.routines.remove(&name) else { continue };
            overloads.iter_mut().for_each(|routine| routine.name = moved(&name));
            self.catalog.routines.insert(moved(&name), overloads);
        }
    }
}

/// Renames a constraint and the index behind it.
fn rename_in(relation: &mut Relation, old: &str, new: &str) {
    for constraint in relation.constraints.iter_mut().filter(|constraint| constraint.name == old) {
        new.clone_into(&mut constraint.name);
    }
    for index in relation.indexes.iter_mut().filter(|index| index.constraint.as_deref() == Some(old)) {
        new.clone_into(&mut index.name.name);
        index.constraint = Some(new.to_owned());
    }
}

/// Renames a column in an expression over its table, in the shapes that CHECKs and policies have.
fn rename_reference(node: &mut Node, old: &str, new: &str) {
    let all = |nodes: &mut Vec<Node>| nodes.iter_mut().for_each(|node| rename_reference(node, old, new));
    let one = |node: &mut Option<Box<Node>>| {
        if let Some(node) = node {
            rename_reference(node, old, new);
        }
    };
    match &mut node.node {
        Some(NodeEnum::ColumnRef(reference)) => {
            if let Some(NodeEnum::String(last)) =
                reference.fields.last_mut().and_then(|field| field.node.as_mut())
                && last.sval == old
            {
                new.clone_into(&mut last.sval);
            }
        }
        Some(NodeEnum::AExpr(expression)) => {
            one(&mut expression.lexpr);
            one(&mut expression.rexpr);
        }
        Some(NodeEnum::BoolExpr(expression)) => all(&mut expression.args),
        Some(NodeEnum::NullTest(test)) => one(&mut test.arg),
        Some(NodeEnum::BooleanTest(test)) => one(&mut test.arg),
        Some(NodeEnum::TypeCast(cast)) => one(&mut cast.arg),
        Some(NodeEnum::FuncCall(call)) => all(&mut call.args),
        Some(NodeEnum::CoalesceExpr(expression)) => all(&mut expression.args),
        Some(NodeEnum::List(list)) => all(&mut list.items),
        _ => {}
    }
}
