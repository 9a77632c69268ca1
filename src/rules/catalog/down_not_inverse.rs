//! A DOWN that does not undo its UP.
//!
//! The shadow database tells for certain, and its word replaces what stands here. Without it, it is told
//! from the text alone: an enum label that no statement can take back, a default that comes back another,
//! and what the model holds after DOWN that it did not hold before UP (`schema::undone`).

use crate::{
    finding::{Category, Direction, Severity},
    migration::Migration,
    rules::{ChangeContext, Check, Rule, Sink},
    schema::{At, Catalog, QName, Session, Transaction, TypeKind, Unit},
    sql::{
        self,
        ast::{self, AlterTableCmd, AlterTableType, NodeEnum, ObjectType},
    },
};

pub(in crate::rules) static RULE: Rule = Rule {
    name: "down-not-inverse",
    category: Category::Reversibility,
    severity: Severity::Error,
    summary: "has a DOWN that does not undo its UP",
    why: "After a rollback the database is neither what it was nor what the migration made of it, and the next \
          UP fails or doubles what was left behind.",
    instead: "Let DOWN undo each statement of UP, last first.",
    given: "create type public.state as enum ('new', 'done');
            create table public.orders (id bigint primary key, plan text default 'free');
            alter table public.orders enable row level security;",
    bad: &[
        "-- UP MIGRATION\nalter type public.state add value 'paused';\n\
         -- DOWN MIGRATION (ROLLBACK)\n/*\nselect 1;\n*/",
        "-- UP MIGRATION\nalter table public.orders alter column plan set default 'pro';\n\
         -- DOWN MIGRATION (ROLLBACK)\n/*\nalter table public.orders alter column plan set default 'basic';\n*/",
        "-- UP MIGRATION\nalter table public.orders add column note text;\n\
         -- DOWN MIGRATION (ROLLBACK)\n/*\nselect 1;\n*/",
    ],
    good: &["-- UP MIGRATION\nalter table public.orders alter column plan set default 'pro';\n\
         -- DOWN MIGRATION (ROLLBACK)\n/*\nalter table public.orders alter column plan set default 'free';\n*/"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for (index, migration) in context.change.iter().enumerate() {
        if migration.irreversible.is_some() || !migration.has_down() {
            continue;
        }
        let Some(down) = read(index, migration) else { continue };
        let ups = || context.units_of(index).iter().map(|unit| &**unit);
        for unit in ups() {
            labels(context, unit, &down, sink);
        }
        defaults(context, ups(), &down, sink);
    }
}

/// The statements of DOWN; `None` where one does not parse or is not all text.
fn read(index: usize, migration: &Migration) -> Option<Vec<Unit>> {
    let section = migration.down.as_ref()?;
    let mut units = Vec::new();
    for (number, piece) in section.cut.statements().enumerate() {
        let text = &section.sql[piece.body.clone()];
        let at = At { file: index, direction: Direction::Down, statement: number + 1, transaction: 0 };
        for node in sql::parse(text).ok()?.into_iter().filter_map(|node| node.node) {
            if matches!(node, NodeEnum::DoStmt(_) | NodeEnum::CallStmt(_)) {
                return None;
            }
            let (span, text) = (piece.body.clone(), String::new());
            units.push(Unit { at, nesting: crate::schema::Nesting::Top, span, text, origin: 0, node });
        }
    }
    Some(units)
}

/// `ALTER TYPE … ADD VALUE` has no opposite: DOWN would have to build the type anew.
fn labels(context: &ChangeContext<'_>, unit: &Unit, down: &[Unit], sink: &mut Sink<'_>) {
    let NodeEnum::AlterEnumStmt(alter) = &unit.node else { return };
    let Some(name) = ast::Name::from_parts(&ast::strings(&alter.type_name)) else { return };
    if !alter.old_val.is_empty() || alter.new_val.is_empty() {
        return;
    }
    let known = |it: &crate::schema::TypeDef| match &it.kind {
        TypeKind::Enum { labels } => labels.iter().any(|(label, _)| *label == alter.new_val),
        _ => false,
    };
    let ty = QName::new(name.schema.clone().unwrap_or_else(|| "public".into()), name.name.clone());
    let there = context.before.types.get(&ty).is_some_and(known);
    let new_type = context.after.types.get(&ty).is_some_and(|it| it.born.is_some());
    let rebuilt = down.iter().any(|unit| match &unit.node {
        NodeEnum::RenameStmt(rename) => rename.rename_type() == ObjectType::ObjectType,
        NodeEnum::DropStmt(drop) => drop.remove_type() == ObjectType::ObjectType,
        NodeEnum::CreateEnumStmt(_) => true,
        _ => false,
    });
    let Some(first) = down.first() else { return };
    if !there && !new_type && !rebuilt {
        let label = &alter.new_val;
        let message = format!(
            "UP adds label `{label}` to `{ty}`, and DOWN leaves it there: Postgres cannot drop a label"
        );
        sink.report_at(first.at, first.span.clone(), message).on(&ty).help(
            "Build the type anew in DOWN (rename the old one, create it without the label, change the columns, drop the \
             old one). An unused label does no harm: `-- lockkeeper: ignore-file down-not-inverse <reason>` leaves it.",
        );
    }
}

/// A default that was known before must come back as it was.
fn defaults<'a>(
    context: &ChangeContext<'_>,
    ups: impl Iterator<Item = &'a Unit>,
    down: &[Unit],
    sink: &mut Sink<'_>,
) {
    for unit in ups {
        for (table, command) in set_defaults(unit, context.before) {
            let Some(relation) = context.before.relation(&table) else { continue };
            let Some(column) = relation.column(&command.name) else { continue };
            let last = down.iter().rev().find_map(|unit| {
                let mut found = set_defaults(unit, context.before).into_iter();
                found
                    .find(|(other, it)| *other == table && it.name == command.name)
                    .map(|(_, it)| (unit, it.def.as_ref().and_then(|node| sql::expression_text(node))))
            });
            let Some((place, after)) = last else { continue };
            let before = column.default.as_ref().and_then(|node| sql::expression_text(node));
            let plain =
                |value: &Option<String>| value.as_deref().map(|text| uncast(text, &column.ty.to_string()));
            if plain(&before) != plain(&after) {
                let say = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
                let object = format!("{table}.{}", command.name);
                let message = format!(
                    "DOWN leaves the default of `{object}` as {}; before UP it was {}",
                    say(&after),
                    say(&before)
                );
                sink.report_at(place.at, place.span.clone(), message).object(object);
            }
        }
    }
}

/// A literal without the cast to its column's type: `'0'` is stored as `'0'::xid8`.
fn uncast(text: &str, ty: &str) -> String {
    let literal = text.strip_suffix(ty).and_then(|rest| rest.strip_suffix("::"));
    literal.filter(|rest| rest.starts_with('\'')).unwrap_or(text).to_owned()
}

fn set_defaults<'a>(unit: &'a Unit, catalog: &Catalog) -> Vec<(QName, &'a AlterTableCmd)> {
    let NodeEnum::AlterTableStmt(alter) = &unit.node else { return Vec::new() };
    let Some(range) = &alter.relation else { return Vec::new() };
    let table = catalog.resolve_range(range, &Session::new(Transaction::default()));
    let commands = alter.cmds.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::AlterTableCmd(command)) if command.subtype() == AlterTableType::AtColumnDefault => {
            Some((table.clone(), &**command))
        }
        _ => None,
    });
    commands.collect()
}
