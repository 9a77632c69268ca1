//! A statement that cannot be run again, in a file without a transaction.

use crate::{
    finding::{Category, Direction, Severity},
    migration::Section,
    rules::{Check, Context, Rule, Sink},
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "not-rerunnable",
    category: Category::Reversibility,
    severity: Severity::Info,
    summary: "cannot be run again after a failure part-way",
    why: "In a file without a transaction the statements before a failure stay done. Lockkeeper records each \
          step and resumes; other tools start over and fail on what is there.",
    instead: "Write IF [NOT] EXISTS or OR REPLACE; before CREATE INDEX CONCURRENTLY, DROP INDEX CONCURRENTLY IF EXISTS.",
    sources: &["https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY"],
    peers: &[
        "sq:prefer-robust-stmts",
        "pgls:prefer-robust-stmts",
        "pf:prefer-robust-create-index",
        "ps:require-if-exists",
        "sfm:missing-idempotency",
        "pgm:PGM401",
        "pgm:PGM402",
    ],
    given: "create table app.orders (id bigint primary key, note text);",
    bad: &[
        "-- lockkeeper: transaction off\nalter table app.orders add column a int;\nalter table app.orders add column b int;",
    ],
    good: &[
        "alter table app.orders add column a int;\nalter table app.orders add column b int;",
        "-- lockkeeper: transaction off\nalter table app.orders add column if not exists a int;\nalter table app.orders add column if not exists b int;",
        "-- lockkeeper: transaction off\nalter table app.orders add column a int;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    if context.wrapped || context.direction == Direction::Down {
        return;
    }
    let alone = |section: &Section| section.cut.statements().nth(1).is_none();
    if context.migration.section(context.direction).is_none_or(alone) {
        return;
    }
    let guarded = match context.node {
        NodeEnum::CreateStmt(create) => create.if_not_exists,
        NodeEnum::IndexStmt(create) => create.if_not_exists && !create.concurrent,
        NodeEnum::DropStmt(drop) => drop.missing_ok,
        NodeEnum::CreateFunctionStmt(create) => create.replace,
        NodeEnum::ViewStmt(view) => view.replace,
        NodeEnum::CreateSchemaStmt(create) => create.if_not_exists,
        NodeEnum::CreateExtensionStmt(create) => create.if_not_exists,
        NodeEnum::CreateEnumStmt(_) | NodeEnum::CreateDomainStmt(_) | NodeEnum::RenameStmt(_) => false,
        NodeEnum::AlterTableStmt(_) => {
            use crate::sql::ast::AlterTableType as T;
            let Some((_, commands)) = context.alter_table() else { return };
            !commands.iter().any(|command| {
                let makes = matches!(
                    command.subtype(),
                    T::AtAddColumn | T::AtDropColumn | T::AtAddConstraint | T::AtDropConstraint
                );
                makes && !command.missing_ok
            })
        }
        _ => true,
    };
    if !guarded {
        sink.report("fails when the file is run again after a failure part-way");
    }
}
