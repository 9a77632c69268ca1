//! Renaming or moving a function, type, domain, sequence or role.

use std::ops::Range;

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, names},
    schema::{Session, Transaction, Unit},
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
    for (index, unit) in context.units.iter().enumerate() {
        let Some((kind, name, to)) = renamed(&unit.node) else { continue };
        let same = |(other, made): &(ObjectType, Name)| {
            names::same_namespace(*other, kind) && names::same_name(made, &name)
        };
        let session = Session::new(Transaction::default());
        let was_there = context.before.relation(&context.before.resolve(&name, &session)).is_some()
            || !context.before.resolve_routine(&name, &session).1.is_empty();
        let makes = |unit: &&Unit| !(was_there && names::takes_what_is_there(&unit.node));
        let made = |among: Range<usize>| {
            let mut makers = context.creators(&name.name, among).filter(makes);
            makers.any(|unit| names::created(&unit.node).iter().any(same))
        };
        let born_here = made(0..index);
        let made_again = made(index + 1..index + 1 + context.rest_of_transaction(index).len());
        if !born_here && !made_again {
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
