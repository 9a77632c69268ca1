//! Reads a script into the model and prints what is known, for tests.

use super::{
    At, Body, Catalog, ConstraintKind, Grantee, IndexColumn, Nesting, QName, Relation, Session, Transaction,
    Unit, bodies,
};
use crate::{finding::Direction, sql};

/// The model after a script, run in one transaction of the runner.
pub(crate) fn model(script: &str) -> (Catalog, Session) {
    let catalog = Catalog { timezone: "UTC".into(), ..Catalog::default() };
    let session = Session::new(Transaction { number: 1, runner: true, ..Transaction::default() });
    run(catalog, session, script)
}

/// The model after a script that the runner does not wrap.
pub(crate) fn unwrapped(script: &str) -> (Catalog, Session) {
    let catalog = Catalog { timezone: "UTC".into(), ..Catalog::default() };
    run(catalog, Session::new(Transaction::default()), script)
}

/// Goes on from a model.
pub(crate) fn run(mut catalog: Catalog, mut session: Session, script: &str) -> (Catalog, Session) {
    let cut = sql::cut(script);
    for (number, piece) in cut.statements().enumerate() {
        let text = &script[piece.body.clone()];
        for node in sql::parse(text).unwrap().into_iter().filter_map(|node| node.node) {
            if !session.transaction.is_open() {
                session.transaction.number += 1;
                session.transaction.held.clear();
            }
            let at = At {
                file: 0,
                direction: Direction::Up,
                statement: number + 1,
                transaction: session.transaction.number,
            };
            let span = piece.body.clone();
            for body in bodies(&node, text, &catalog, &session) {
                if let Body::Statement { node, nesting, text, .. } = body {
                    let inner = Unit { at, nesting, span: span.clone(), text, origin: 0, node: *node };
                    catalog.apply(&inner, &mut session);
                }
            }
            catalog.apply(
                &Unit { at, nesting: Nesting::Top, span, text: text.to_owned(), origin: 0, node },
                &mut session,
            );
        }
    }
    (catalog, session)
}

/// Columns, then constraints, then indexes, in one line each.
pub(crate) fn show(catalog: &Catalog, name: &str) -> String {
    let (schema, name) = name.split_once('.').unwrap_or(("public", name));
    match catalog.relation(&QName::new(schema, name)) {
        Some(relation) => show_relation(relation),
        None => "absent".into(),
    }
}

fn show_relation(relation: &Relation) -> String {
    let mut lines = Vec::new();
    for column in &relation.columns {
        let mut line = format!("{} {}", column.name, column.ty);
        if column.not_null {
            line += " not null";
        }
        if column.default.is_some() {
            line += " default";
        }
        if let Some(identity) = column.identity {
            line += &format!(" identity {identity}");
        }
        if let Some(generated) = column.generated {
            line += &format!(" {generated:?}").to_lowercase();
        }
        lines.push(line);
    }
    for constraint in &relation.constraints {
        let kind = match &constraint.kind {
            ConstraintKind::Check { .. } => "check".into(),
            ConstraintKind::NotNull { column } => format!("not null {column}"),
            ConstraintKind::Foreign { columns, target, target_columns, .. } => {
                format!("foreign ({}) to {target} ({})", columns.join(","), target_columns.join(","))
            }
            ConstraintKind::Unique { columns } => format!("unique ({})", columns.join(",")),
            ConstraintKind::Primary { columns } => format!("primary ({})", columns.join(",")),
            ConstraintKind::Exclusion => "exclusion".into(),
        };
        let valid = if constraint.validated { "" } else { " not valid" };
        lines.push(format!("{}: {kind}{valid}", constraint.name));
    }
    for index in &relation.indexes {
        let columns: Vec<&str> = index
            .columns
            .iter()
            .map(|column| match column {
                IndexColumn::Column(text) | IndexColumn::Expression(text) => text.as_str(),
            })
            .collect();
        let unique = if index.unique { "unique " } else { "" };
        let valid = if index.valid { "" } else { " invalid" };
        lines.push(format!("{unique}index {} ({}){valid}", index.name.name, columns.join(",")));
    }
    lines.join("\n")
}

/// `grantee=privileges`, sorted by grantee.
pub(crate) fn show_grants(grants: &[super::Grant]) -> String {
    let mut shown: Vec<String> = grants
        .iter()
        .map(|grant| {
            let grantee = match &grant.grantee {
                Grantee::Public => "PUBLIC",
                Grantee::Role(role) => role,
            };
            let privileges: Vec<&str> = grant.privileges.iter().map(String::as_str).collect();
            format!("{grantee}={}", privileges.join("+"))
        })
        .collect();
    shown.sort();
    shown.join(" ")
}
