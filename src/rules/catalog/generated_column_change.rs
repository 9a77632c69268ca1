//! A generated column that stops being computed.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    sql::ast::AlterTableType,
};

pub(super) static RULE: Rule = Rule {
    name: "generated-column-change",
    category: Category::Compatibility,
    severity: Severity::Warning,
    summary: "changes how a live generated column is computed",
    why: "After DROP EXPRESSION new rows are no longer computed: the column stays NULL unless writers fill \
          it, and no query fails to say so.",
    instead: "Put a trigger or a default in place in the same transaction.",
    sources: &["https://www.postgresql.org/docs/current/ddl-generated-columns.html"],
    peers: &["sq:ban-drop-generated-expression", "sq:ban-alter-generated-expression"],
    takes: Some(LockMode::AccessExclusive),
    given: "create table app.people (id bigint primary key, mail text, lower_mail text generated always as (lower(mail)) stored);",
    bad: &[
        "alter table app.people alter column lower_mail drop expression;",
        "alter table app.people alter lower_mail drop expression if exists;",
    ],
    good: &[
        "create table app.t (id bigint primary key, a int, b int generated always as (a + 1) stored);\nalter table app.t alter column b drop expression;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let Some((table, commands)) = context.alter_table() else { return };
    if !context.is_live(table) {
        return;
    }
    for command in commands {
        let column = context.relation(table).and_then(|relation| relation.column(&command.name));
        if column.is_some_and(|column| column.born.is_some()) {
            continue;
        }
        let object = format!("{table}.{}", command.name);
        match command.subtype() {
            // `DROP EXPRESSION IF EXISTS` of a column that is known to have none.
            AlterTableType::AtDropExpression
                if command.missing_ok && column.is_some_and(|column| column.generated.is_none()) => {}
            AlterTableType::AtDropExpression => {
                sink.report(format!(
                    "`{table}`.`{}` is no longer computed: new rows leave it NULL",
                    command.name
                ))
                .object(object);
            }
            AlterTableType::AtSetExpression => {
                sink.report(format!("`{table}`.`{}` is computed in another way from now on", command.name))
                    .object(object)
                    .severity(Severity::Info);
            }
            _ => {}
        }
    }
}
