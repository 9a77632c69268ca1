//! A lock_timeout that does not do what its author thinks.

use std::time::Duration;

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    schema::Nesting,
    sql::ast::{NodeEnum, VariableSetKind},
};

pub(super) static RULE: Rule = Rule {
    name: "ineffective-lock-timeout",
    category: Category::Transaction,
    severity: Severity::Warning,
    summary: "sets a lock_timeout that has no effect",
    why: "SET LOCAL outside a transaction is only a warning of the server; a timeout of 0 switches the \
          limit off; one that is set after the lock was taken, or is longer than statement_timeout, \
          limits nothing.",
    instead: "Set it first, in the right scope: `SET LOCAL` inside a transaction, `SET` outside one.",
    sources: &["https://www.postgresql.org/docs/current/sql-set.html"],
    peers: &[
        "pf:lock-timeout-after-dangerous-statement",
        "pf:lock-timeout-too-long",
        "pf:lock-timeout-zero",
        "pf:statement-timeout-too-long",
    ],
    given: "create table app.orders (id bigint primary key, note text);",
    bad: &[
        "-- lockkeeper: transaction off\nset local lock_timeout = '2s';\nalter table app.orders add column a int;",
        "set local lock_timeout = 0;\nalter table app.orders add column a int;",
        "alter table app.orders add column a int;\nset local lock_timeout = '2s';",
        "set lock_timeout = '20min';\nalter table app.orders add column a int;",
    ],
    good: &[
        "set local lock_timeout = '2s';\nalter table app.orders add column a int;",
        "-- lockkeeper: transaction off\nset lock_timeout = 0;\nset statement_timeout = 0;\ndrop index concurrently if exists app.i;\ncreate index concurrently i on app.orders (note);",
    ],
    also: &["missing-lock-timeout", "session-state-leak"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

/// Longer than anybody wants to have every reader of a table wait.
const CEILING: Duration = Duration::from_secs(60);

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    if let NodeEnum::VariableSetStmt(set) = context.node
        && set.name == "lock_timeout"
        && set.kind() == VariableSetKind::VarSetValue
    {
        if set.is_local && !context.in_transaction() {
            let report = sink.report(
                "SET LOCAL outside a transaction has no effect: the next statement waits without this limit",
            );
            if let Some(value) = set.args.first().and_then(crate::sql::expression_text) {
                report.replace(format!("SET lock_timeout = {value}"));
            }
            return;
        }
        let held = &context.session.transaction.held;
        let first = |(mode, _)| held.of(mode).next().map(|(table, _)| (table, mode));
        let first = held.strong().filter_map(first).min();
        if let Some((table, mode)) = first.filter(|_| context.session.lock_timeout.is_none()) {
            sink.report(format!("set after {mode} on `{table}` was taken: it limits nothing before it"))
                .on(table);
        }
        return;
    }
    let Some(setting) = &context.session.lock_timeout else { return };
    let strong = |mode: LockMode| mode.blocks(LockMode::RowExclusive);
    let Some(claim) = context.claims.iter().find(|claim| claim.existed && strong(claim.mode)) else {
        return;
    };
    // The first statement that waits under it says it for all.
    let taken = context.session.transaction.held.strong();
    let set_at = setting.set_at;
    let said = taken.map(|(_, at)| at).any(|at| at.file == set_at.file && at.statement > set_at.statement);
    if said {
        return;
    }
    let statement_timeout = context.session.statement_timeout.as_ref().map(|timeout| timeout.value);
    let why = if setting.value == Duration::ZERO {
        // Where the runner sets none either, `missing-lock-timeout` says it.
        if context.config.deploy.lock_timeout == Duration::ZERO {
            return;
        }
        "a lock_timeout of 0 switches the limit off".to_owned()
    } else if setting.value > CEILING {
        format!(
            "a lock_timeout of {} lets everybody wait that long",
            crate::config::duration::text(setting.value)
        )
    } else if statement_timeout.is_some_and(|limit| limit > Duration::ZERO && limit <= setting.value) {
        "statement_timeout ends the statement before lock_timeout can".to_owned()
    } else {
        return;
    };
    let message = format!(
        "{why}: statement {} waits for {} on `{}` without a useful limit",
        context.at().statement,
        claim.mode,
        claim.relation
    );
    // Where the setting is made, for that is what to change.
    let set = context.before.iter().rev().find(|unit| unit.at == setting.set_at);
    let (at, span) =
        set.map_or_else(|| (context.at(), context.unit.span.clone()), |unit| (unit.at, unit.span.clone()));
    let local = if context.in_transaction() { "LOCAL " } else { "" };
    let set_here = set.is_some_and(|unit| {
        unit.nesting == Nesting::Top && matches!(unit.node, NodeEnum::VariableSetStmt(_))
    });
    let report = sink.report_at(at, span, message).on(&claim.relation).lock(None);
    let text = format!("SET {local}lock_timeout = '3s'");
    match set_here {
        true => report.replace(text),
        false => report.suggest(format!("{text};")),
    };
}
