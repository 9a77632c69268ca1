//! Renaming or moving a function, type, domain, sequence or role.

use super::drop_object::dropped_types;
use crate::{
    finding::{Category, Severity},
    rules::{
        ChangeContext, Check, Rule, Sink, names,
        origin::{Origin, Renames},
    },
    schema::{Routine, Session, Transaction},
    sql::ast::{self, Name, NodeEnum, ObjectType},
};

pub(super) static RULE: Rule = Rule {
    name: "rename-routine-or-type",
    category: Category::Compatibility,
    severity: Severity::Warning,
    summary: "renames or moves a routine, type, sequence or role that is in use",
    why: "Callers (RPC, defaults, casts, grants in other scripts) name the old one and fail.",
    instead: "Create it under the new name, and leave a wrapper with the old name until nothing calls it.",
    sources: &["https://www.postgresql.org/docs/current/sql-alterfunction.html"],
    peers: &["sq:renaming-object", "sq:ban-set-schema", "ps:rename"],
    given: "create function app.two() returns int language sql immutable set search_path = '' as 'select 2';
            create sequence app.numbers;
            create type app.mood as enum ('ok');",
    bad: &[
        "alter function app.two() rename to deux;",
        "create or replace function app.two() returns int language sql immutable set search_path = '' as 'select 1 + 1';\nalter function app.two() rename to deux;",
        "alter function app.two() rename to deux;\nalter function app.deux() rename to zwei;",
        "alter sequence app.numbers rename to ids;",
        "alter type app.mood set schema public;",
    ],
    good: &[
        "create type app.k as enum ('a');\nalter type app.k rename to kind;",
        "create table app.t (id bigint primary key, a int);\ncreate index t_a on app.t (a);\nalter index app.t_a rename to t_b;",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    let renames = Renames::of(context);
    for (index, unit) in context.units.iter().enumerate() {
        let Some((kind, name, to)) = renamed(&unit.node) else { continue };
        let same = |(other, made): &(ObjectType, Name)| {
            names::same_namespace(*other, kind) && names::same_name(made, &name)
        };
        let session = Session::new(Transaction::default());
        let object = match &unit.node {
            NodeEnum::RenameStmt(rename) => rename.object.as_deref(),
            NodeEnum::AlterObjectSchemaStmt(alter) => alter.object.as_deref(),
            _ => None,
        };
        // Overloads are told apart by their arguments.
        let arguments = match object.and_then(|object| object.node.as_ref()) {
            Some(NodeEnum::ObjectWithArgs(object)) if !object.args_unspecified => {
                Some(dropped_types(object, context, &session))
            }
            _ => None,
        };
        let is_overload = |routine: &Routine| arguments.as_ref().is_none_or(|it| routine.arguments == *it);
        let was_there = |name: &Name| {
            let overloads = context.before.resolve_routine(name, &session).1;
            context.before.relation(&context.before.resolve(name, &session)).is_some()
                || overloads.iter().any(is_overload)
        };
        let made_again = {
            let rest = index + 1..index + 1 + context.rest_of_transaction(index).len();
            let routine = names::same_namespace(kind, ObjectType::ObjectFunction);
            let stands = || context.after.resolve_routine(&name, &session).1.iter().any(is_overload);
            let mut makers = context.creators(&name.name, rest);
            makers.any(|unit| names::created(&unit.node).iter().any(same)) && (!routine || stands())
        };
        let old = renames.origin(context, index, (kind, &name), &was_there);
        let known = matches!(&old, Origin::Old(name) if was_there(name));
        if names::spares_absent(&unit.node) && renames.is_absent(context, index, (kind, &name), (&old, known))
        {
            continue;
        }
        if matches!(old, Origin::Old(_)) && !made_again {
            let what = names::kind_in_words(kind);
            sink.report_at(
                unit.at,
                unit.span.clone(),
                format!("{what} `{name}` becomes `{to}`; callers of `{name}` fail at once"),
            )
            .object(&name);
        }
    }
}

fn renamed(node: &NodeEnum) -> Option<(ObjectType, Name, String)> {
    use ObjectType as T;
    let covered = |kind: ObjectType| {
        matches!(
            kind,
            T::ObjectFunction
                | T::ObjectProcedure
                | T::ObjectAggregate
                | T::ObjectRoutine
                | T::ObjectType
                | T::ObjectDomain
                | T::ObjectSequence
                | T::ObjectRole
        )
    };
    match node {
        NodeEnum::RenameStmt(rename) if covered(rename.rename_type()) => {
            let name = match (&rename.relation, &rename.object) {
                (Some(range), _) => Name::of(range),
                (None, Some(object)) => ast::name(object)?,
                (None, None) => Name::bare(rename.subname.clone()),
            };
            Some((rename.rename_type(), name, rename.newname.clone()))
        }
        NodeEnum::AlterObjectSchemaStmt(alter) if covered(alter.object_type()) => {
            let name = match (&alter.relation, &alter.object) {
                (Some(range), _) => Name::of(range),
                (None, Some(object)) => ast::name(object)?,
                (None, None) => return None,
            };
            let to = format!("{}.{}", alter.newschema, name.name);
            Some((alter.object_type(), name, to))
        }
        _ => None,
    }
}
