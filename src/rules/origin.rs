//! What an object was called before the change, through the renames and moves of the change.

use std::{collections::HashMap, ops::Range};

use super::{ChangeContext, names};
use crate::{
    schema::{At, QName, Relation},
    sql::ast::{self, Name, NodeEnum, ObjectType, RangeVar},
};

/// Where an object comes from that a statement names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The change made it.
    Born,
    /// What had this name goes by another one by now.
    Gone,
    /// It was there, under this name.
    Old(Name),
}

/// The statements of a change that rename, move or drop something, with their numbers.
pub(crate) struct Renames<'a> {
    renames: Vec<(usize, &'a NodeEnum)>,
    /// By the name that is dropped, ascending.
    drops: HashMap<String, Vec<usize>>,
}

impl<'a> Renames<'a> {
    pub(crate) fn of(context: &ChangeContext<'a>) -> Self {
        let units = || context.units.iter().enumerate().map(|(index, unit)| (index, &unit.node));
        let mut drops: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, node) in units() {
            for (_, name) in names::dropped(node) {
                drops.entry(name.name).or_default().push(index);
            }
        }
        Self { renames: units().filter(|(_, node)| is_rename(node)).collect(), drops }
    }

    /// The origin of what the statement of that number names. Triggers are given as `table.name`, as
    /// [`names::dropped`] gives them. `was_there`: whether the database had it before the change.
    pub(crate) fn origin(
        &self,
        context: &ChangeContext<'a>,
        index: usize,
        (kind, name): (ObjectType, &Name),
        was_there: &dyn Fn(&Name) -> bool,
    ) -> Origin {
        let made = |name: &Name, among: Range<usize>| {
            context.creators(&name.name, among).filter(|unit| !is_rename(&unit.node)).any(|unit| {
                names::created(&unit.node)
                    .iter()
                    .any(|(other, made)| names::same_namespace(*other, kind) && names::same_name(made, name))
            })
        };
        let (mut current, mut upper) = (name.clone(), index);
        for (at, node) in self.renames.iter().rev().filter(|(at, _)| *at < index) {
            let Some((from, to)) = renamed(node, kind, &current) else { continue };
            if names::same_name(&to, &current) {
                (current, upper) = (from, *at);
            } else if names::same_name(&from, &current) {
                return if made(&current, *at..upper) { Origin::Born } else { Origin::Gone };
            }
        }
        // OR REPLACE and IF NOT EXISTS make nothing new of what was there.
        if made(&current, 0..upper) && !was_there(&current) { Origin::Born } else { Origin::Old(current) }
    }

    /// Whether a statement with IF EXISTS finds nothing: a history that is whole never made it, or it is gone.
    pub(crate) fn is_absent(
        &self,
        context: &ChangeContext<'a>,
        index: usize,
        object: (ObjectType, &Name),
        (origin, was_there): (&Origin, bool),
    ) -> bool {
        let before = context.before;
        let never_made = *origin != Origin::Born && before.has_history && !before.blind && !was_there;
        *origin == Origin::Gone || never_made || self.is_dropped(context, index, object)
    }

    /// Whether the last that an earlier statement did with the name was to drop it.
    pub(crate) fn is_dropped(
        &self,
        context: &ChangeContext<'a>,
        index: usize,
        (kind, name): (ObjectType, &Name),
    ) -> bool {
        let same = |(other, found): &(ObjectType, Name)| {
            names::same_namespace(*other, kind) && names::same_name(found, name)
        };
        let drops = self.drops.get(&name.name).into_iter().flatten().rev().filter(|at| **at < index);
        let last = drops.copied().find(|at| names::dropped(&context.units[*at].node).iter().any(same));
        last.is_some_and(|at| {
            !context.creators(&name.name, at..index).any(|unit| names::created(&unit.node).iter().any(same))
        })
    }
}

fn is_rename(node: &NodeEnum) -> bool {
    matches!(node, NodeEnum::RenameStmt(_) | NodeEnum::AlterObjectSchemaStmt(_))
}

/// The name before and after, where the statement concerns objects of that kind.
fn renamed(node: &NodeEnum, kind: ObjectType, current: &Name) -> Option<(Name, Name)> {
    let under = |schema: &str| Name::qualified(schema, current.name.clone());
    match node {
        NodeEnum::RenameStmt(rename) => {
            let (what, new) = (rename.rename_type(), &rename.newname);
            let trigger = kind == ObjectType::ObjectTrigger;
            match &rename.relation {
                Some(table) if trigger && what == ObjectType::ObjectTrigger => Some((
                    Name::qualified(table.relname.clone(), rename.subname.clone()),
                    Name::qualified(table.relname.clone(), new.clone()),
                )),
                Some(table) if trigger && names::same_namespace(what, ObjectType::ObjectTable) => {
                    Some((under(&table.relname), under(new)))
                }
                None if what == ObjectType::ObjectSchema && !trigger => {
                    current.schema.as_ref().map(|_| (under(&rename.subname), under(new)))
                }
                relation if names::same_namespace(what, kind) && !trigger => {
                    let from = match relation {
                        Some(relation) => Name::of(relation),
                        None => ast::name(rename.object.as_deref()?)?,
                    };
                    let to = Name { name: new.clone(), ..from.clone() };
                    Some((from, to))
                }
                _ => None,
            }
        }
        NodeEnum::AlterObjectSchemaStmt(alter) if names::same_namespace(alter.object_type(), kind) => {
            let from = match &alter.relation {
                Some(relation) => Name::of(relation),
                None => ast::name(alter.object.as_deref()?)?,
            };
            let to = Name::qualified(alter.newschema.clone(), from.name.clone());
            Some((from, to))
        }
        _ => None,
    }
}

/// Where the change dropped a policy of the table (of that name, or any), if it had one at all.
pub(crate) fn last_drop_of_policy(
    context: &ChangeContext<'_>,
    table: &Relation,
    policy: Option<&str>,
    had: bool,
) -> Option<At> {
    if !had {
        return None;
    }
    // Table and policy may have been renamed first, and the policy made again.
    let mut tables = vec![table.name.name.as_str()];
    let mut current = policy;
    let mut last = None;
    for unit in context.units {
        match &unit.node {
            NodeEnum::RenameStmt(rename) => {
                let on_table =
                    rename.relation.as_ref().is_some_and(|range| tables.contains(&range.relname.as_str()));
                match rename.rename_type() {
                    ObjectType::ObjectPolicy if on_table && current == Some(rename.subname.as_str()) => {
                        current = Some(&rename.newname);
                    }
                    ObjectType::ObjectTable if on_table => tables.push(&rename.newname),
                    _ => {}
                }
            }
            NodeEnum::CreatePolicyStmt(create) if policy == Some(create.policy_name.as_str()) => {
                current = policy;
            }
            NodeEnum::DropStmt(_) => {
                let drops = |(kind, name): (ObjectType, Name)| {
                    kind == ObjectType::ObjectPolicy
                        && name.schema.is_some_and(|table| tables.contains(&table.as_str()))
                        && (policy.is_none() || current == Some(name.name.as_str()))
                };
                if names::dropped(&unit.node).into_iter().any(drops) {
                    (last, current) = (Some(unit.at), None);
                }
            }
            _ => {}
        }
    }
    last
}

/// What a relation that was there before the change is called after it.
pub(crate) fn called_after(context: &ChangeContext<'_>, name: &QName) -> QName {
    let mut name = name.clone();
    for unit in context.units {
        let is = |range: &RangeVar| {
            range.relname == name.name && (range.schemaname.is_empty() || range.schemaname == name.schema)
        };
        match &unit.node {
            NodeEnum::RenameStmt(rename)
                if rename.rename_type() == ObjectType::ObjectTable
                    && rename.relation.as_ref().is_some_and(is) =>
            {
                name.name.clone_from(&rename.newname);
            }
            NodeEnum::AlterObjectSchemaStmt(alter) if alter.relation.as_ref().is_some_and(is) => {
                name.schema.clone_from(&alter.newschema);
            }
            _ => {}
        }
    }
    name
}
