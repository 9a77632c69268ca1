//! `CASCADE` on a drop.

use crate::{
    finding::{Category, Direction, Severity},
    rules::{Check, Context, Rule, Sink, common, names},
    schema::{At, QName, Routine},
    sql::{
        self,
        ast::{AlterTableType, DropBehavior, Name, Node, NodeEnum, ObjectType},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "drop-cascade",
    category: Category::DataLoss,
    severity: Severity::Error,
    summary: "drops whatever depends on the object, unseen",
    why: "Views, foreign keys, policies, triggers, columns and functions that use it disappear without \
          being named in the migration or in its review.",
    instead: "Drop the dependents by name first, then the object without CASCADE.",
    sources: &["https://www.postgresql.org/docs/current/ddl-depend.html"],
    peers: &[
        "sfm:destructive-cascade",
        "sfm:destructive-general-cascade",
        "pgm:PGM202",
        "bb:statement_disallow_rm_tbl_cascade",
        "pgr:general/drop-cascade",
    ],
    given: "create table public.orders (id bigint primary key, note text);
            alter table public.orders enable row level security;
            create type public.mood as enum ('ok');",
    bad: &[
        "alter table public.orders drop column note cascade;",
        "drop type public.mood cascade;",
        "drop table public.orders cascade;",
    ],
    good: &[
        "create table app.t (id bigint primary key);\ndrop table app.t cascade;",
        "create type app.k as enum ('a');\ndrop type app.k cascade;",
        "drop view if exists public.never_made cascade;",
    ],
    also: &["drop-column", "drop-object", "drop-table"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    match context.node {
        NodeEnum::DropStmt(drop) if drop.behavior() == DropBehavior::DropCascade => {
            for (kind, name) in names::dropped(context.node) {
                let meaningless = matches!(
                    kind,
                    ObjectType::ObjectTrigger | ObjectType::ObjectPolicy | ObjectType::ObjectRule
                );
                if !meaningless && existed(kind, &name, drop.missing_ok, context) {
                    let what = format!("{} `{name}`", names::kind_in_words(kind));
                    let found = match kind {
                        ObjectType::ObjectFunction | ObjectType::ObjectRoutine => triggers(&name, context),
                        ObjectType::ObjectTable => relatives(&name, context),
                        _ => None,
                    };
                    match found.as_deref() {
                        Some([]) => harmless(&what, &name.to_string(), sink),
                        some => say(
                            what,
                            &name.to_string(),
                            some.unwrap_or(&dependents(&name, context)),
                            context,
                            sink,
                        ),
                    }
                }
            }
        }
        NodeEnum::AlterTableStmt(_) => {
            let Some((table, commands)) = context.alter_table() else { return };
            let relation = context.relation(table);
            for command in commands {
                if command.behavior() != DropBehavior::DropCascade || !context.is_live(table) {
                    continue;
                }
                let (what, born): (_, Option<At>) = match command.subtype() {
                    AlterTableType::AtDropColumn => (
                        "column",
                        relation
                            .and_then(|relation| relation.column(&command.name))
                            .and_then(|column| column.born),
                    ),
                    AlterTableType::AtDropConstraint => (
                        "constraint",
                        relation
                            .and_then(|relation| relation.constraint(&command.name))
                            .and_then(|constraint| constraint.born),
                    ),
                    _ => continue,
                };
                if born.is_none() {
                    say(
                        format!("{what} `{}` of `{table}`", command.name),
                        &format!("{table}.{}", command.name),
                        &[],
                        context,
                        sink,
                    );
                }
            }
        }
        NodeEnum::DropOwnedStmt(drop) if drop.behavior() == DropBehavior::DropCascade => {
            say("everything that a role owns".into(), "DROP OWNED", &[], context, sink);
        }
        _ => {}
    }
}

fn say(what: String, object: &str, dependents: &[String], context: &Context<'_>, sink: &mut Sink<'_>) {
    let reach = match dependents {
        [] => "everything that depends on it".to_owned(),
        some => some.join(", "),
    };
    let report = sink.report(format!("drops {what} and, by CASCADE, {reach}")).object(object);
    if context.direction == Direction::Down {
        report.severity(Severity::Warning);
    }
}

/// The history is known and has nothing that goes along.
fn harmless(what: &str, object: &str, sink: &mut Sink<'_>) {
    sink.report(format!(
        "drops {what} with CASCADE; the history makes nothing that depends on it, or this file drops that too"
    ))
    .object(object)
    .severity(Severity::Info)
    .help("Leave CASCADE out: then the drop fails if something made elsewhere depends on it.");
}

/// The triggers that run a trigger function; `None` where it cannot be known.
fn triggers(name: &Name, context: &Context<'_>) -> Option<Vec<String>> {
    let mut overloads = context
        .catalog
        .routines
        .iter()
        .filter(|(routine, _)| {
            routine.name == name.name && name.schema.as_deref().is_none_or(|schema| schema == routine.schema)
        })
        .flat_map(|(_, overloads)| overloads)
        .peekable();
    overloads.peek()?;
    if !context.catalog.has_history || !overloads.all(Routine::returns_trigger) {
        return None;
    }
    let found = context.catalog.relations.values().flat_map(|relation| {
        let run = relation.triggers.iter().filter(|trigger| trigger.runs(&name.name));
        run.map(|trigger| format!("trigger `{}` of `{}`", trigger.name, relation.name))
    });
    Some(found.collect())
}

/// What goes with a table, less what this file drops anyhow; `None` where it cannot be known.
fn relatives(name: &Name, context: &Context<'_>) -> Option<Vec<String>> {
    let target = context.catalog.resolve(name, context.session);
    let relation = context.relation(&target)?;
    if !context.catalog.has_history || !relation.columns_known || context.direction == Direction::Down {
        return None;
    }
    let others = || context.catalog.relations.values().filter(|other| other.name != target);
    // A policy that reads the table, a child, a routine that returns its rows: not listed, so not denied.
    let is_read = |node: &Option<Box<Node>>| {
        node.as_deref().and_then(sql::expression_text).is_some_and(|text| text.contains(&target.name))
    };
    let unseen = others().any(|other| {
        other.partition_of.as_ref() == Some(&target)
            || other.inherits.contains(&target)
            || other.policies.iter().any(|policy| is_read(&policy.using) || is_read(&policy.with_check))
            || other.columns.iter().any(|column| column.ty.to_string().contains(&target.name))
    }) || context.catalog.routines.values().flatten().any(|routine| {
        routine.bound.is_some()
            || routine.returns.as_ref().is_some_and(|ty| ty.contains(&target.name))
            || routine.arguments.iter().any(|ty| ty.contains(&target.name))
    });
    if unseen {
        return None;
    }
    let keys = context.catalog.referencing(&target).into_iter().filter(|(other, _)| other.name != target);
    let views = others().filter(|other| other.reads.contains(&target));
    if keys.clone().next().is_none() && views.clone().next().is_none() {
        return Some(Vec::new());
    }
    let doomed: Vec<QName> = common::rest_of_transaction(context, None)
        .iter()
        .flat_map(|node| names::dropped(node))
        .map(|(_, name)| context.catalog.resolve(&name, context.session))
        .collect();
    let keys = keys
        .filter(|(other, _)| !doomed.contains(&other.name))
        .map(|(other, constraint)| format!("foreign key `{}` of `{}`", constraint.name, other.name));
    let views = views.filter(|view| !doomed.contains(&view.name)).map(|view| format!("view `{}`", view.name));
    Some(keys.chain(views).collect())
}

/// Whether the object may have been there before the change: with `IF EXISTS`, only what some migration
/// makes.
fn existed(kind: ObjectType, name: &Name, guarded: bool, context: &Context<'_>) -> bool {
    use ObjectType as T;
    let matches = |schema: &str, other: &str| {
        other == name.name && name.schema.as_deref().is_none_or(|wanted| wanted == schema)
    };
    let catalog = context.catalog;
    // The birth of what is found.
    let found: Option<Option<At>> = match kind {
        T::ObjectSchema => catalog.schemas.get(&name.name).copied().or(Some(None)),
        T::ObjectExtension => catalog.extensions.get(&name.name).map(|extension| extension.born),
        T::ObjectType | T::ObjectDomain => {
            catalog.types.values().find(|ty| matches(&ty.name.schema, &ty.name.name)).map(|ty| ty.born)
        }
        T::ObjectFunction | T::ObjectProcedure | T::ObjectAggregate | T::ObjectRoutine => catalog
            .routines
            .iter()
            .find(|(routine, _)| matches(&routine.schema, &routine.name))
            .and_then(|(_, overloads)| overloads.first())
            .map(|routine| routine.born),
        T::ObjectIndex => {
            let index = catalog.resolve_index(name, context.session);
            catalog.index(&index).map(|(_, index)| index.born)
        }
        _ => {
            let relation = catalog.resolve(name, context.session);
            if !context.is_live(&relation) {
                return false;
            }
            context.relation(&relation).map(|relation| relation.born)
        }
    };
    found.map_or(!(guarded && catalog.has_history), |born| born.is_none())
}

/// Foreign keys and views known to depend on a relation.
fn dependents(name: &Name, context: &Context<'_>) -> Vec<String> {
    let target = context.catalog.resolve(name, context.session);
    let keys =
        context.catalog.referencing(&target).into_iter().map(|(relation, constraint)| {
            format!("foreign key `{}` of `{}`", constraint.name, relation.name)
        });
    let views = context
        .catalog
        .relations
        .speaking_of(&target)
        .filter(|relation| relation.reads.contains(&target))
        .map(|view| format!("view `{}`", view.name));
    keys.chain(views).collect()
}
