//! A new rule for rows that code still running does not know.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, common},
    schema::QName,
    sql::ast::{self, AlterTableType, ConstrType, NodeEnum, NodeRef, NullTestType},
};

pub(super) static RULE: Rule = Rule {
    name: "new-write-restriction",
    category: Category::Compatibility,
    severity: Severity::Info,
    summary: "restricts what may be written to a table that is in use",
    why: "NOT VALID spares the old rows, not the new ones: writes of code that is still running may fail \
          with 23502, 23503, 23505 or 23514 from the moment it commits.",
    instead: "Release code that complies first. A column that the change itself adds needs a default, \
              because no released code can know it.",
    sources: &["https://www.postgresql.org/docs/current/ddl-constraints.html"],
    peers: &["sq:ban-new-write-restriction"],
    given: "create table public.orders (id bigint primary key, note text);
            alter table public.orders enable row level security;",
    bad: &[
        "alter table public.orders add constraint note_short check (length(note) < 100) not valid;",
        "alter table public.orders add column kind text;\nalter table public.orders add constraint kind_set check (kind is not null) not valid;",
    ],
    good: &[
        "create table app.t (id bigint primary key, a int);\nalter table app.t add constraint a_positive check (a > 0);",
        "alter table public.orders alter column note set default '';",
    ],
    also: &["new-write-restriction"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    if let NodeEnum::IndexStmt(index) = context.node {
        let Some(range) = index.relation.as_ref().filter(|_| index.unique) else { return };
        let table = context.resolve(range);
        if context.precedes(&table) {
            say(&table, "that repeat a value of the unique index", false, sink);
        }
        return;
    }
    let Some((table, commands)) = context.alter_table() else { return };
    if !context.precedes(table) {
        return;
    }
    for command in commands {
        match command.subtype() {
            AlterTableType::AtSetNotNull => {
                say(
                    table,
                    &format!("without `{}`", command.name),
                    unknown_to_writers(&command.name, table, context),
                    sink,
                );
            }
            AlterTableType::AtAddConstraint => {
                let Some(NodeEnum::Constraint(constraint)) =
                    command.def.as_ref().and_then(|def| def.node.as_ref())
                else {
                    continue;
                };
                let binds_new = required_columns(constraint)
                    .iter()
                    .any(|column| unknown_to_writers(column, table, context));
                let what = match constraint.contype() {
                    ConstrType::ConstrCheck => "that break the check",
                    ConstrType::ConstrForeign => "whose foreign key points nowhere",
                    ConstrType::ConstrUnique | ConstrType::ConstrPrimary => "that repeat a key",
                    ConstrType::ConstrExclusion => "that the exclusion forbids",
                    ConstrType::ConstrNotnull => "without the column",
                    _ => continue,
                };
                say(table, what, binds_new, sink);
            }
            _ => {}
        }
    }
}

fn say(table: &QName, what: &str, binds_new: bool, sink: &mut Sink<'_>) {
    if binds_new {
        sink.report(format!(
            "writes to `{table}` {what} fail, and no released code can know a column that this change adds"
        ))
        .on(table)
        .severity(Severity::Warning);
    } else {
        sink.report(format!("writes to `{table}` {what} fail from now on")).on(table);
    }
}

/// Columns that a constraint requires to be not null.
fn required_columns(constraint: &ast::Constraint) -> Vec<String> {
    if constraint.contype() == ConstrType::ConstrNotnull {
        return ast::strings(&constraint.keys);
    }
    let Some(expression) = constraint.raw_expr.as_ref().and_then(|expression| expression.node.as_ref())
    else {
        return Vec::new();
    };
    expression
        .nodes()
        .into_iter()
        .filter_map(|(node, ..)| match node {
            NodeRef::NullTest(test) if test.nulltesttype() == NullTestType::IsNotNull => {
                match test.arg.as_ref()?.node.as_ref()? {
                    NodeEnum::ColumnRef(column) => ast::strings(&column.fields).pop(),
                    _ => None,
                }
            }
            _ => None,
        })
        .collect()
}

/// Whether the change itself added the column, without a default that fills it.
fn unknown_to_writers(column: &str, table: &QName, context: &Context<'_>) -> bool {
    context.relation(table).and_then(|relation| relation.column(column)).is_some_and(|column| {
        column.born.is_some()
            && column.default.as_deref().is_none_or(common::is_null)
            && column.identity.is_none()
            && !column.serial
            && column.generated.is_none()
    })
}
