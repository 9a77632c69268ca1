//! An UP whose rows no DOWN can bring back.

use crate::{
    finding::{Category, Direction, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::ast::{self, AlterTableType, NodeEnum, ObjectType},
};

pub(super) static RULE: Rule = Rule {
    name: "irreversible-up",
    category: Category::Reversibility,
    severity: Severity::Info,
    summary: "destroys what its DOWN cannot bring back",
    why: "A rollback returns the shape of the database, never the rows.",
    instead: "Keep a copy (rename the table, move the rows aside) until the rollback window is over, or say \
              `-- lockkeeper: irreversible <reason>`.",
    peers: &["sfm:irreversible-migration"],
    given: "create table public.orders (id bigint primary key, note text);
            alter table public.orders enable row level security;",
    bad: &["-- UP MIGRATION\n-- lockkeeper: ignore drop-column nobody reads it\n\
         alter table public.orders drop column note;\n\
         -- DOWN MIGRATION (ROLLBACK)\n/*\nalter table public.orders add column note text;\n*/"],
    good: &[
        "-- UP MIGRATION\ncreate table app.scratch (id bigint primary key);\n\
         -- DOWN MIGRATION (ROLLBACK)\n/*\ndrop table app.scratch;\n*/",
        "-- lockkeeper: ignore drop-column nobody reads it\n\
         -- lockkeeper: irreversible the notes were empty\nalter table public.orders drop column note;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let migration = context.migration;
    if context.direction == Direction::Down || !migration.has_down() || migration.irreversible.is_some() {
        return;
    }
    let mut lost: Vec<String> = Vec::new();
    let live = |range: &ast::RangeVar| Some(context.resolve(range)).filter(|table| context.is_live(table));
    match context.node {
        NodeEnum::DropStmt(drop) if drop.remove_type() == ObjectType::ObjectTable => {
            for name in drop.objects.iter().filter_map(ast::name) {
                let table = context.catalog.resolve(&name, context.session);
                if context.is_live(&table) {
                    lost.push(format!("the rows of `{table}`"));
                }
            }
        }
        NodeEnum::AlterTableStmt(_) => {
            let Some((table, commands)) = context.alter_table() else { return };
            for command in commands.iter().filter(|it| it.subtype() == AlterTableType::AtDropColumn) {
                let born = context.relation(table).and_then(|it| it.column(&command.name)?.born);
                if context.is_live(table) && born.is_none() {
                    lost.push(format!("the values of `{table}.{}`", command.name));
                }
            }
        }
        NodeEnum::TruncateStmt(truncate) => {
            for node in &truncate.relations {
                if let Some(NodeEnum::RangeVar(range)) = &node.node
                    && let Some(table) = live(range)
                {
                    lost.push(format!("the rows of `{table}`"));
                }
            }
        }
        NodeEnum::DeleteStmt(delete) => {
            if let Some(table) = delete.relation.as_ref().and_then(live) {
                lost.push(format!("the rows deleted from `{table}`"));
            }
        }
        _ => {}
    }
    for what in lost {
        sink.report(format!("DOWN cannot bring back {what}"));
    }
}
