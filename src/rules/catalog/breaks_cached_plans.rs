//! A change of the row shape of a live relation.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::ast::{AlterTableCmd, AlterTableType, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "breaks-cached-plans",
    category: Category::Compatibility,
    severity: Severity::Info,
    off_by_default: true,
    summary: "changes the row shape of a live relation",
    why: "Prepared `SELECT *` statements fail with \"cached plan must not change result type\" until their \
          sessions reconnect, and positional INSERTs no longer fit.",
    instead: "Recycle connection pools after the deploy, and name columns in code.",
    sources: &["https://www.postgresql.org/docs/current/sql-prepare.html"],
    peers: &["sq:ban-add-column", "sq:ban-add-composite-attribute", "ps:alter-column-type"],
    given: "create table app.orders (id bigint primary key, n int);",
    bad: &["alter table app.orders add column a int;", "alter table app.orders drop column n;"],
    good: &["create table app.t (id bigint primary key);\nalter table app.t add column a int;"],
    also: &["drop-column"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    use AlterTableType as T;
    let Some((table, commands)) = context.alter_table() else { return };
    let is_there = |command: &AlterTableCmd| {
        let name = match command.def.as_ref().and_then(|def| def.node.as_ref()) {
            Some(NodeEnum::ColumnDef(def)) => &def.colname,
            _ => return false,
        };
        context.relation(table).is_some_and(|relation| relation.column(name).is_some())
    };
    let shape = commands
        .iter()
        .filter(|command| !(command.missing_ok && command.subtype() == T::AtAddColumn && is_there(command)))
        .any(|command| matches!(command.subtype(), T::AtAddColumn | T::AtDropColumn | T::AtAlterColumnType));
    if shape && context.is_live(table) {
        sink.report(format!("prepared `SELECT *` from `{table}` fails until its session reconnects"))
            .on(table);
    }
}
