//! A type change that does not rewrite the table, yet reads all of it.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    schema::{ConstraintKind, TypeChange},
    sql::ast::{AlterTableType, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "column-type-rescan",
    category: Category::Rewrite,
    severity: Severity::Warning,
    summary: "changes a type in place, but checks or indexes are done again",
    why: "A CHECK on the column is verified against every row, even where the type stays what it is; an \
          expression or partial index that uses the column, and one that sorts it by another collation or \
          operator class now, is built anew: all while every read and write waits.",
    instead: "Drop the CHECK, change the type, add the CHECK again NOT VALID and validate it later; rebuild \
              the index concurrently around the change.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES"],
    peers: &["sm:change_column_constraint"],
    takes: Some(LockMode::AccessExclusive),
    given: "create table app.people (id bigint primary key, mail varchar(100) check (length(mail) > 3), nick varchar(20), town text, seen timestamp);
            create index nick_lower on app.people (lower(nick));
            create index people_town on app.people (town);
            create index people_seen on app.people (seen);",
    bad: &[
        "alter table app.people alter column mail type varchar(200);",
        "alter table app.people alter column mail type text;",
        "alter table app.people alter column mail type varchar(100);",
        "alter table app.people alter column nick type varchar(30);",
        "alter table app.people alter column town type text collate \"C\";",
        "alter table app.people alter column seen type timestamptz;",
    ],
    good: &[
        "alter table app.people drop constraint people_mail_check, alter column mail type text, add constraint people_mail_check check (length(mail) > 3) not valid;",
        "alter table app.people alter column town type varchar;",
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
    let Some(relation) = context.relation(table) else { return };
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
        if !matches!(change, TypeChange::NoRewrite | TypeChange::None) {
            continue;
        }
        let base = [&column.ty, &to].map(|ty| context.catalog.base_type(ty));
        let again = relation.done_again(&command.name, (&base[0], &base[1]), def.coll_clause.is_some());
        let checked = again.checked.iter().filter(|constraint| !dropped.contains(&constraint.name.as_str()));
        let checked = checked.map(|constraint| match constraint.kind {
            ConstraintKind::Foreign { .. } => {
                format!("foreign key `{}` looks up every row again", constraint.name)
            }
            _ => format!("check `{}` reads it all again", constraint.name),
        });
        let built = again.built.iter().map(|index| format!("index `{}` is built anew", index.name));
        let again: Vec<String> = checked.chain(built).collect();
        if !again.is_empty() {
            sink.report(format!(
                "`{table}` is not rewritten, but {} under ACCESS EXCLUSIVE; every read and write of it waits",
                again.join(", and ")
            ))
            .object(format!("{table}.{}", command.name));
        }
    }
}
