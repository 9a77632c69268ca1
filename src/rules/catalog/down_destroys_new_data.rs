//! A DOWN that drops what its UP created, with whatever was written since.

use crate::{
    finding::{Category, Direction, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::ast::{self, AlterTableType, NodeEnum, ObjectType},
};

pub(super) static RULE: Rule = Rule {
    name: "down-destroys-new-data",
    category: Category::Reversibility,
    severity: Severity::Info,
    summary: "has a DOWN that loses what was written since the UP",
    why: "Rolling back drops the table or column that the migration added, and the rows that users have \
          written to it in the meantime.",
    instead: "Nothing, where that is acceptable: `lockkeeper down` shows the counts and asks for \
              `--allow-data-loss`. Otherwise keep the data in DOWN, or use `down --archive`.",
    bad: &["-- UP MIGRATION\ncreate table app.fresh (id bigint primary key);\n\
         -- DOWN MIGRATION (ROLLBACK)\n/*\ndrop table app.fresh;\n*/"],
    good: &["-- UP MIGRATION\nselect 1;\n-- DOWN MIGRATION (ROLLBACK)\n/*\nselect 2;\n*/"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    if context.direction == Direction::Up {
        return;
    }
    match context.node {
        NodeEnum::DropStmt(drop) if drop.remove_type() == ObjectType::ObjectTable => {
            for name in drop.objects.iter().filter_map(ast::name) {
                let table = context.catalog.resolve(&name, context.session);
                let ours = context.relation(&table).is_some_and(|it| it.born.is_some() && !it.temporary);
                if ours {
                    sink.report(format!("rolling back drops `{table}` with the rows written since"))
                        .on(&table);
                }
            }
        }
        NodeEnum::AlterTableStmt(_) => {
            let Some((table, commands)) = context.alter_table() else { return };
            for command in commands.iter().filter(|it| it.subtype() == AlterTableType::AtDropColumn) {
                let column = context.relation(table).and_then(|it| it.column(&command.name));
                if column.is_some_and(|column| column.born.is_some()) {
                    let object = format!("{table}.{}", command.name);
                    let message = format!("rolling back drops `{object}` with the values written since");
                    sink.report(message).object(object);
                }
            }
        }
        _ => {}
    }
}
