//! `LOCK TABLE`.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    schema::Nesting,
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "explicit-lock-table",
    category: Category::Lock,
    severity: Severity::Warning,
    summary: "locks a table for the rest of the transaction",
    why: "Whoever the mode conflicts with waits until the transaction ends; the default mode stops even reads.",
    instead: "Take the weakest mode that does, with NOWAIT, and keep the transaction short.",
    sources: &["https://www.postgresql.org/docs/current/sql-lock.html"],
    peers: &["sfm:table-lock"],
    takes: Some(LockMode::Share),
    given: "create table app.orders (id bigint primary key);",
    bad: &["lock table app.orders;", "lock table app.orders in share mode;"],
    good: &[
        "lock table app.orders in row exclusive mode;",
        "create table app.t (id bigint primary key);\nlock table app.t;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::LockStmt(lock) = context.node else { return };
    // The numbers of src/include/storage/lockdefs.h, 1 for ACCESS SHARE to 8.
    let Some(mode) =
        usize::try_from(lock.mode).ok().and_then(|mode| LockMode::ALL.get(mode.wrapping_sub(1))).copied()
    else {
        return;
    };
    for node in &lock.relations {
        let Some(NodeEnum::RangeVar(range)) = &node.node else { continue };
        let table = context.resolve(range);
        // A block is a transaction of its own.
        if !context.in_transaction() && context.unit.nesting == Nesting::Top {
            sink.report(format!("LOCK TABLE `{table}` fails outside a transaction (25P01)"))
                .on(&table)
                .lock(mode)
                .severity(Severity::Error);
        } else if mode >= LockMode::Share && context.is_live(&table) {
            sink.report(format!(
                "locks `{table}` in {mode} mode until the transaction ends; {}",
                mode.who_waits()
            ))
            .on(&table)
            .lock(mode);
        }
    }
}
