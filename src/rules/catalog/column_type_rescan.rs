//! A type change that does not rewrite the table, yet reads all of it.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    schema::{ConstraintKind, IndexColumn, Relation, TypeChange, columns_in},
    sql::ast::{AlterTableType, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "column-type-rescan",
    category: Category::Rewrite,
    severity: Severity::Warning,
    summary: "changes a type in place, but checks or indexes are done again",
    why: "A CHECK on the column is verified against every row, and an expression or partial index that uses \
          it is built anew, while every read and write waits.",
    instead: "Drop the CHECK, change the type, add the CHECK again NOT VALID and validate it later; rebuild \
              the index concurrently around the change.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES"],
    peers: &["sm:change_column_constraint"],
    takes: Some(LockMode::AccessExclusive),
    given: "create table app.people (id bigint primary key, mail varchar(100) check (length(mail) > 3), nick varchar(20));
            create index nick_lower on app.people (lower(nick));",
    bad: &[
        "alter table app.people alter column mail type varchar(200);",
        "alter table app.people alter column mail type text;",
    ],
    good: &[
        "alter table app.people drop constraint people_mail_check, alter column mail type text, add constraint people_mail_check check (length(mail) > 3) not valid;",
        "create table app.t (id bigint primary key, a varchar(10) check (length(a) > 3));\nalter table app.t alter column a type text;",
    ],
    also: &["drop-constraint"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, commands)) = context.alter_table().filter(|(table, _)| context.is_live(table)) else {
        return;
    };
    let Some(relation) = context.relation(&table) else { return };
    let dropped: Vec<&str> = commands
        .iter()
        .filter(|command| command.subtype() == AlterTableType::AtDropConstraint)
        .map(|command| command.name.as_str())
        .collect();
    for command in commands.iter().filter(|command| command.subtype() == AlterTableType::AtAlterColumnType) {
        let Some(NodeEnum::ColumnDef(def)) = command.def.as_ref().and_then(|def| def.node.as_ref()) else {
            continue;
        };
        let (Some(written), Some(column)) = (&def.type_name, relation.column(&command.name)) else {
            continue;
        };
        let to = context.catalog.column_type(written, context.session);
        let using = def.raw_default.as_deref();
        let change = context.catalog.type_change(&column.ty, &to, &command.name, using, context.session);
        if change != TypeChange::NoRewrite {
            continue;
        }
        let again = done_again(relation, &command.name, &dropped);
        if !again.is_empty() {
            sink.report(format!(
                "`{table}` is not rewritten, but {} under ACCESS EXCLUSIVE; every read and write of it waits",
                again.join(", and ")
            ))
            .object(format!("{table}.{}", command.name));
        }
    }
}

fn done_again(relation: &Relation, column: &str, dropped: &[&str]) -> Vec<String> {
    let checks =
        relation.constraints.iter().filter(|constraint| !dropped.contains(&constraint.name.as_str()));
    let mut again: Vec<String> = checks
        .filter(|constraint| match &constraint.kind {
            ConstraintKind::Check { expression } => columns_in(expression).contains(column),
            _ => false,
        })
        .map(|constraint| format!("check `{}` reads it all again", constraint.name))
        .collect();
    again.extend(
        relation
            .indexes
            .iter()
            .filter(|index| {
                let expression = index.columns.iter().any(|part| match part {
                    IndexColumn::Expression(text) => mentions(text, column),
                    IndexColumn::Column(_) => false,
                });
                expression
                    || index
                        .predicate
                        .as_ref()
                        .is_some_and(|predicate| columns_in(predicate).contains(column))
            })
            .map(|index| format!("index `{}` is built anew", index.name)),
    );
    again
}

/// Whether a deparsed expression names the column.
fn mentions(expression: &str, column: &str) -> bool {
    expression.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == column)
}
