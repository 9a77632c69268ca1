//! Dropping a view, function, type, sequence, extension or trigger that is in use.

use std::ops::Range;

use crate::{
    finding::{Category, Severity},
    rules::{
        ChangeContext, Check, Rule, Sink, names,
        origin::{Origin, Renames},
    },
    schema::{Relation, Routine, Session, Transaction, Unit},
    sql::ast::{self, FunctionParameterMode, Name, NodeEnum, ObjectType, ObjectWithArgs, TypeName},
};

pub(super) static RULE: Rule = Rule {
    name: "drop-object",
    category: Category::Compatibility,
    severity: Severity::Warning,
    summary: "drops an object that code may call",
    why: "Callers fail, or a protection that a trigger gave is silently gone.",
    instead: "Replace it in place (`CREATE OR REPLACE`), or remove its callers in a release before.",
    sources: &["https://www.postgresql.org/docs/current/sql-dropview.html"],
    peers: &[
        "sq:ban-drop-view",
        "sq:ban-drop-function",
        "sq:ban-drop-type",
        "sq:ban-drop-domain",
        "sq:ban-drop-sequence",
        "sq:ban-drop-extension",
        "sq:ban-drop-trigger",
        "pgls:ban-drop-trigger",
        "pf:drop-trigger",
        "psd:CORRECTNESS",
    ],
    given: "create view app.names as select 1 as one;
            create function app.two() returns int language sql immutable set search_path = '' as 'select 2';
            create sequence app.numbers;",
    bad: &[
        "create or replace view app.names as select 2 as one;\ndrop view app.names;",
        "create sequence if not exists app.numbers;\ndrop sequence app.numbers;",
        "drop view app.names;",
        "alter view app.names rename to titles;\ndrop view app.titles;",
        "alter function app.two() set schema public;\n-- next file\ndrop function public.two();",
        "drop function app.two();",
        "DROP SEQUENCE IF EXISTS app.numbers;",
    ],
    good: &[
        "create function app.two(more int default 0) returns int language sql immutable set search_path = '' as 'select 2 + more';\ndrop function app.two();",
        "drop function if exists app.two(text);",
        "create schema core;\ncreate view core.v as select 1 as one;\nalter schema core rename to base;\ndrop view base.v;\ndrop view if exists core.v;",
        "drop view app.names;\ncreate view app.names as select 2 as one;",
        "drop function app.two();\ncreate function app.two() returns bigint language sql immutable set search_path = '' as 'select 2::bigint';",
        "create view app.v as select 1 as one;\ndrop view app.v;",
        "drop view if exists app.never_there;",
    ],
    also: &["recreate-resets-acl", "rename-table", "rename-routine-or-type"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    let renames = Renames::of(context);
    for (index, unit) in context.units.iter().enumerate() {
        for (kind, name) in names::dropped(&unit.node) {
            if !covered(kind) {
                continue;
            }
            let made = |among: Range<usize>| {
                context.creators(&name.name, among).any(|other| {
                    names::created(&other.node).iter().any(|(other, made)| {
                        names::same_namespace(*other, kind) && names::same_name(made, &name)
                    })
                })
            };
            let later = index + 1 + context.rest_of_transaction(index).len();
            let known = |old: &Name| was_there(&unit.node, kind, (&name, old), context);
            let Origin::Old(old) = renames.origin(context, index, (kind, &name), &known) else { continue };
            let made_again =
                made(index + 1..later) || (is_routine(kind) && takes_the_place(context, index, &name));
            // Renamed out of the way of its successor, it is replaced and not lost.
            let replaced = old != name
                && context
                    .creators(&old.name, 0..index)
                    .flat_map(|other| names::created(&other.node))
                    .any(|(other, made)| names::same_namespace(other, kind) && names::same_name(&made, &old));
            if made_again
                || replaced
                || guarded_no_op(&unit.node, kind, (&name, &old), context)
                || (names::spares_absent(&unit.node) && renames.is_dropped(context, index, (kind, &name)))
                || goes_with_its_table(unit, kind, &name, context)
                || is_idle_trigger_function(kind, &name, context)
            {
                continue;
            }
            let what = names::kind_in_words(kind);
            let object = match (kind, &name.schema) {
                (ObjectType::ObjectTrigger, Some(table)) => format!("`{}` on `{table}`", name.name),
                _ => format!("`{name}`"),
            };
            let loss = match kind {
                ObjectType::ObjectTrigger => "what it did for each write stops",
                ObjectType::ObjectExtension => "everything that it provides goes with it",
                _ => "code that still uses it fails",
            };
            let report = sink
                .report_at(unit.at, unit.span.clone(), format!("drops {what} {object}; {loss}"))
                .object(&name);
            if kind == ObjectType::ObjectTrigger {
                report.help(
                    "Where another takes its place, use CREATE OR REPLACE TRIGGER; else make sure that nothing relies on \
                     what it did.",
                );
            }
        }
    }
}

fn covered(kind: ObjectType) -> bool {
    use ObjectType as T;
    matches!(
        kind,
        T::ObjectView
            | T::ObjectMatview
            | T::ObjectFunction
            | T::ObjectProcedure
            | T::ObjectAggregate
            | T::ObjectRoutine
            | T::ObjectType
            | T::ObjectDomain
            | T::ObjectSequence
            | T::ObjectExtension
            | T::ObjectTrigger
            | T::ObjectForeignTable
    )
}

/// A trigger on a table that the same file drops.
fn goes_with_its_table(unit: &Unit, kind: ObjectType, name: &Name, context: &ChangeContext<'_>) -> bool {
    kind == ObjectType::ObjectTrigger
        && context
            .units
            .iter()
            .filter(|other| (other.at.file, other.at.direction) == (unit.at.file, unit.at.direction))
            .flat_map(|other| names::dropped(&other.node))
            .any(|(kind, table)| {
                kind == ObjectType::ObjectTable && name.schema.as_deref() == Some(table.name.as_str())
            })
}

/// A trigger function that no surviving table used: nothing but a trigger can call one, and the
/// loss of the trigger is said where the trigger goes.
fn is_idle_trigger_function(kind: ObjectType, name: &Name, context: &ChangeContext<'_>) -> bool {
    use ObjectType as T;
    if !matches!(kind, T::ObjectFunction | T::ObjectRoutine) {
        return false;
    }
    let mut overloads = context
        .before
        .routines
        .iter()
        .filter(|(routine, _)| {
            routine.name == name.name && name.schema.as_deref().is_none_or(|schema| schema == routine.schema)
        })
        .flat_map(|(_, overloads)| overloads)
        .peekable();
    overloads.peek().is_some()
        && overloads.all(Routine::returns_trigger)
        && !context.before.relations.values().any(|relation| {
            let survives = context.after.relation(&relation.name).is_some();
            survives
                && relation.triggers.iter().any(|trigger| {
                    let still =
                        |after: &Relation| after.triggers.iter().any(|other| other.name == trigger.name);
                    trigger.runs(&name.name)
                        // Dropped by name it is a finding of its own.
                        && (context.after.relation(&relation.name).is_some_and(still)
                            || !drops_trigger(context, &relation.name.name, &trigger.name))
                })
        })
}

fn is_routine(kind: ObjectType) -> bool {
    use ObjectType as T;
    matches!(kind, T::ObjectFunction | T::ObjectProcedure | T::ObjectAggregate | T::ObjectRoutine)
}

/// The routines of that name that were there before the change.
fn overloads<'a>(name: &'a Name, context: &'a ChangeContext<'_>) -> impl Iterator<Item = &'a Routine> {
    let named = context.before.routines.iter().filter(|(routine, _)| {
        routine.name == name.name && name.schema.as_deref().is_none_or(|schema| schema == routine.schema)
    });
    named.flat_map(|(_, overloads)| overloads)
}

/// What the DROP names, with its arguments.
fn signature<'a>(node: &'a NodeEnum, name: &Name) -> Option<&'a ObjectWithArgs> {
    let NodeEnum::DropStmt(drop) = node else { return None };
    drop.objects.iter().find_map(|object| match &object.node {
        Some(NodeEnum::ObjectWithArgs(object))
            if ast::strings(&object.objname).last() == Some(&name.name) =>
        {
            Some(object)
        }
        _ => None,
    })
}

/// Types as the model writes them.
fn types<'a>(
    written: impl Iterator<Item = &'a TypeName>,
    context: &ChangeContext<'_>,
    session: &Session,
) -> Vec<String> {
    written.map(|ty| context.after.column_type(ty, session).bare().to_string()).collect()
}

/// The argument types of a routine that a statement names.
pub(super) fn dropped_types(
    object: &ObjectWithArgs,
    context: &ChangeContext<'_>,
    session: &Session,
) -> Vec<String> {
    let written = object.objargs.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::TypeName(ty)) => Some(ty),
        _ => None,
    });
    types(written, context, session)
}

/// Whether the same transaction has made an overload with other arguments: the old one goes last.
fn takes_the_place(context: &ChangeContext<'_>, index: usize, name: &Name) -> bool {
    let unit = &context.units[index];
    let Some(dropped) = signature(&unit.node, name).filter(|it| !it.args_unspecified) else { return false };
    let session = Session::new(Transaction::default());
    let dropped = dropped_types(dropped, context, &session);
    let first = context.units[..index].partition_point(|it| it.at.transaction < unit.at.transaction);
    context.creators(&name.name, first..index).any(|other| match &other.node {
        NodeEnum::CreateFunctionStmt(create) => {
            let made = Name::from_parts(&ast::strings(&create.funcname));
            let inputs = create.parameters.iter().filter_map(|node| match &node.node {
                Some(NodeEnum::FunctionParameter(parameter)) => Some(parameter),
                _ => None,
            });
            let inputs = inputs.filter(|it| {
                !matches!(
                    it.mode(),
                    FunctionParameterMode::FuncParamOut | FunctionParameterMode::FuncParamTable
                )
            });
            let inputs = types(inputs.filter_map(|it| it.arg_type.as_ref()), context, &session);
            made.is_some_and(|made| names::same_name(&made, name)) && inputs != dropped
        }
        _ => false,
    })
}

fn drops_trigger(context: &ChangeContext<'_>, table: &str, trigger: &str) -> bool {
    context.units.iter().flat_map(|unit| names::dropped(&unit.node)).any(|(kind, name)| {
        kind == ObjectType::ObjectTrigger && name.name == trigger && name.schema.as_deref() == Some(table)
    })
}

/// `IF EXISTS` of something that the whole history never made: a habit, not a drop.
fn guarded_no_op(
    node: &NodeEnum,
    kind: ObjectType,
    names: (&Name, &Name),
    context: &ChangeContext<'_>,
) -> bool {
    let NodeEnum::DropStmt(drop) = node else { return false };
    if !drop.missing_ok || !context.before.has_history {
        return false;
    }
    !was_there(node, kind, names, context)
}

/// Whether the change found what is dropped, as far as the history tells: the name in the DROP, and the one
/// before the change.
fn was_there(
    node: &NodeEnum,
    kind: ObjectType,
    (written, name): (&Name, &Name),
    context: &ChangeContext<'_>,
) -> bool {
    use ObjectType as T;
    let before = context.before;
    let schema_fits = |schema: &str| name.schema.as_deref().is_none_or(|wanted| wanted == schema);
    match kind {
        T::ObjectFunction | T::ObjectProcedure | T::ObjectAggregate | T::ObjectRoutine => {
            let session = Session::new(Transaction::default());
            let wanted = signature(node, written).filter(|it| !it.args_unspecified);
            let wanted = wanted.map(|it| dropped_types(it, context, &session));
            overloads(name, context).any(|it| wanted.as_ref().is_none_or(|wanted| it.arguments == *wanted))
        }
        T::ObjectType | T::ObjectDomain => {
            before.types.keys().any(|ty| ty.name == name.name && schema_fits(&ty.schema))
        }
        T::ObjectExtension => before.extensions.contains_key(&name.name),
        T::ObjectTrigger => before.relations.values().any(|relation| {
            name.schema.as_deref() == Some(relation.name.name.as_str())
                && relation.triggers.iter().any(|trigger| trigger.name == name.name)
        }),
        _ => {
            let session = Session::new(Transaction::default());
            before.relation(&before.resolve(name, &session)).is_some()
        }
    }
}
