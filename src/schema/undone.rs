//! What DOWN does not bring back: two moments of the model compared.
//!
//! As the shadow's comparison does, this passes over the order of columns and the names that Postgres gives
//! to constraints. What the model does not hold (comments, grants, bodies of views) is left to the shadow.

use std::collections::BTreeMap;

use super::{At, Catalog, Column, Constraint, ConstraintKind, Grantee, Index, IndexColumn, Policy, Relation};
use crate::{finding::Direction, schema::RelationKind, sql};

/// One difference, in words: `DOWN leaves column public.t.a`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remainder {
    pub(crate) object: String,
    pub(crate) told: String,
    /// Where UP made what is left; `None`: something is missing, or changed.
    pub(crate) made: Option<At>,
}

/// What each object is, by what it is called; with where the change made it.
type Facts = BTreeMap<String, (String, Option<At>)>;

/// What differs from `before` after each UP and each DOWN of a change.
pub(crate) fn undone(before: &Catalog, after: &Catalog) -> Vec<Remainder> {
    let mut found = Vec::new();
    for relation in after.relations.values().filter(|relation| counts(relation)) {
        match before.relation(&relation.name) {
            Some(old) if unchanged(old, relation) => {}
            Some(old) => {
                compare(&of_relation(old), &of_relation(relation), &relation.name.to_string(), &mut found)
            }
            None if relation.born.is_some() => {
                let (object, kind) = (relation.name.to_string(), in_words(relation.kind));
                found.push(left(format!("{kind} {object}"), object, relation.born));
            }
            // No migration made it: only what this change puts on it is known.
            None => {
                let mut facts = of_relation(relation);
                facts.retain(|_, (_, born)| born.is_some());
                compare(&Facts::new(), &facts, &relation.name.to_string(), &mut found);
            }
        }
    }
    for relation in before.relations.values().filter(|relation| counts(relation)) {
        if after.relation(&relation.name).is_none() {
            let (object, kind) = (relation.name.to_string(), in_words(relation.kind));
            found.push(missing(format!("{kind} {object}"), object));
        }
    }
    others(before, after, &mut found);
    // Of one object, one sentence.
    found.dedup_by(|a, b| a.object == b.object);
    found
}

/// Types and routines.
fn others(before: &Catalog, after: &Catalog, found: &mut Vec<Remainder>) {
    let types = |catalog: &Catalog| -> Facts {
        let all = catalog.types.values().filter(|ty| !ty.name.is_temporary());
        all.map(|ty| (format!("type {}", ty.name), (String::new(), ty.born))).collect()
    };
    compare(&types(before), &types(after), "", found);
    let routines = |catalog: &Catalog| -> Facts {
        let all = catalog.routines.values().flatten().filter(|routine| !routine.name.is_temporary());
        all.map(|routine| {
            let body: Vec<&str> = routine.body.as_deref().unwrap_or_default().split_whitespace().collect();
            let how =
                (body, routine.security_definer, routine.volatility, &routine.settings, &routine.returns);
            let name = format!("routine {}({})", routine.name, routine.arguments.join(", "));
            (name, (format!("{how:?}"), routine.born))
        })
        .collect()
    };
    compare(&routines(before), &routines(after), "", found);
}

fn left(what: String, object: String, made: Option<At>) -> Remainder {
    Remainder { told: format!("DOWN leaves {what}, which UP made"), object, made }
}

fn missing(what: String, object: String) -> Remainder {
    Remainder { told: format!("DOWN does not bring back {what}"), object, made: None }
}

fn compare(before: &Facts, after: &Facts, object: &str, found: &mut Vec<Remainder>) {
    let of = |what: &str| match object {
        "" => what.split_once(' ').map_or(what, |(_, name)| name).to_owned(),
        object => object.to_owned(),
    };
    for (what, (is, born)) in after {
        match before.get(what) {
            None if born.is_none_or(|born| born.direction == Direction::Up) => {
                found.push(left(what.clone(), of(what), *born));
            }
            // DOWN makes something that was not there.
            None => found.push(Remainder {
                told: format!("DOWN makes {what}, which was not there before UP"),
                object: of(what),
                made: None,
            }),
            Some((was, _)) if was != is => found.push(Remainder {
                told: format!("DOWN leaves {what} other than it was"),
                object: of(what),
                made: None,
            }),
            Some(_) => {}
        }
    }
    for what in before.keys().filter(|what| !after.contains_key(*what)) {
        found.push(missing(what.clone(), of(what)));
    }
}

fn counts(relation: &Relation) -> bool {
    // The sequence of an identity goes with its column.
    !relation.temporary && !relation.name.is_temporary() && relation.owned_by.is_none()
}

fn in_words(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Table | RelationKind::PartitionedTable => "table",
        RelationKind::View => "view",
        RelationKind::MaterializedView => "materialized view",
        RelationKind::ForeignTable => "foreign table",
        RelationKind::Sequence => "sequence",
        RelationKind::CompositeType => "type",
    }
}

/// Most relations of a large schema, told without looking closely.
fn unchanged(old: &Relation, new: &Relation) -> bool {
    let columns = || old.columns.iter().zip(&new.columns);
    new.born.is_none()
        && new.secured.is_none()
        && old.rls == new.rls
        && old.columns.len() == new.columns.len()
        && columns()
            .all(|(a, b)| (&a.name, &a.ty, a.not_null) == (&b.name, &b.ty, b.not_null) && b.born.is_none())
        && old.constraints.len() == new.constraints.len()
        && new.constraints.iter().all(|constraint| constraint.born.is_none())
        && old.indexes.len() == new.indexes.len()
        && new.indexes.iter().all(|index| index.born.is_none())
        && old.policies.len() == new.policies.len()
        && new.policies.iter().all(|policy| policy.changed.is_none())
        && old.triggers.len() == new.triggers.len()
        && new.triggers.iter().all(|trigger| trigger.born.is_none())
}

fn of_relation(relation: &Relation) -> Facts {
    let name = &relation.name;
    let mut facts = Facts::new();
    for column in &relation.columns {
        facts.insert(format!("column {name}.{}", column.name), (of_column(column), column.born));
    }
    for constraint in &relation.constraints {
        if let Some(definition) = of_constraint(constraint) {
            let enforced = format!("{}", constraint.enforced);
            facts.insert(format!("constraint {definition} of {name}"), (enforced, constraint.born));
        }
    }
    for index in relation.indexes.iter().filter(|index| index.constraint.is_none()) {
        facts.insert(format!("index {} of {name}", of_index(index)), (String::new(), index.born));
    }
    for policy in &relation.policies {
        facts.insert(format!("policy {} of {name}", policy.name), (of_policy(policy), policy.born));
    }
    for trigger in &relation.triggers {
        let how = format!("{} {}", trigger.function.rsplit('.').next().unwrap_or_default(), trigger.enabled);
        facts.insert(format!("trigger {} of {name}", trigger.name), (how, trigger.born));
    }
    if matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable) {
        let how = format!("{} {}", relation.rls, relation.force_rls);
        facts.insert(format!("row level security of {name}"), (how, None));
    }
    if matches!(relation.kind, RelationKind::View) {
        let invoker = relation.options.get("security_invoker").cloned().unwrap_or_default();
        facts.insert(format!("security_invoker of {name}"), (invoker, None));
    }
    facts
}

/// The default of a column that was there all along is compared by the rule itself.
fn of_column(column: &Column) -> String {
    let default = column.default.as_deref().filter(|_| column.identity.is_none());
    let default = default.and_then(sql::expression_text).unwrap_or_default();
    let default = default.split("::").next().unwrap_or_default().to_owned();
    format!("{} {} {:?} {:?} {default}", column.ty, column.not_null, column.identity, column.generated)
}

fn of_constraint(constraint: &Constraint) -> Option<String> {
    Some(match &constraint.kind {
        ConstraintKind::Check { expression } => {
            format!("CHECK ({})", sql::expression_text(expression)?)
        }
        ConstraintKind::Foreign { columns, target, on_delete, on_update, .. } => {
            format!("FOREIGN KEY ({}) to {target}, {on_delete}{on_update},", columns.join(", "))
        }
        ConstraintKind::Unique { columns } => format!("UNIQUE ({})", columns.join(", ")),
        ConstraintKind::Primary { columns } => format!("PRIMARY KEY ({})", columns.join(", ")),
        // Part of the column; and of an EXCLUDE nothing is kept to compare.
        ConstraintKind::NotNull { .. } | ConstraintKind::Exclusion => return None,
    })
}

fn of_index(index: &Index) -> String {
    let columns: Vec<&str> = index
        .columns
        .iter()
        .map(|column| match column {
            IndexColumn::Column(text) | IndexColumn::Expression(text) => text.as_str(),
        })
        .collect();
    let predicate = index.predicate.as_deref().and_then(sql::expression_text);
    let unique = if index.unique { "UNIQUE " } else { "" };
    let predicate = predicate.map(|text| format!(" WHERE {text}")).unwrap_or_default();
    let sorted: String = index.sorted.iter().map(|order| format!(" {order}")).collect();
    format!("{}: {unique}{} ({}){sorted}{predicate}", index.name.name, index.method, columns.join(", "))
}

fn of_policy(policy: &Policy) -> String {
    let clause = |node: &Option<Box<crate::sql::ast::Node>>| node.as_deref().and_then(sql::expression_text);
    let mut roles: Vec<&Grantee> = policy.roles.iter().collect();
    roles.sort();
    let (using, check) = (clause(&policy.using), clause(&policy.with_check));
    format!("{} {} {roles:?} {using:?} {check:?}", policy.permissive, policy.command)
}
