//! Schema changes without a statement_timeout.

use std::time::Duration;

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
};

pub(super) static RULE: Rule = Rule {
    name: "missing-statement-timeout",
    category: Category::Transaction,
    severity: Severity::Info,
    off_by_default: true,
    summary: "holds a strong lock without a limit on the work",
    why: "A scan that takes longer than expected holds its lock as long as it takes.",
    instead: "Set `deploy.statement_timeout`, or `SET LOCAL statement_timeout` in the file.",
    sources: &["https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-STATEMENT-TIMEOUT"],
    peers: &[
        "sq:require-statement-timeout",
        "sq:require-timeout-settings",
        "pgls:require-statement-timeout",
        "pf:missing-statement-timeout",
        "sfm:require-statement-timeout",
    ],
    given: "create table app.orders (id bigint primary key, note text);",
    bad: &["alter table app.orders add column a int;", "alter table app.orders drop column note;"],
    good: &["set local statement_timeout = '30s';\nalter table app.orders add column a int;"],
    also: &["drop-column"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let effective = match &context.session.statement_timeout {
        Some(setting) => setting.value,
        None => context.config.deploy.statement_timeout,
    };
    let claim =
        context.claims.iter().find(|claim| claim.existed && claim.mode.blocks(LockMode::RowExclusive));
    if let Some(claim) = claim.filter(|_| effective == Duration::ZERO) {
        sink.report(format!("holds {} on `{}` for as long as the work takes", claim.mode, claim.relation))
            .on(&claim.relation)
            .lock(claim.mode);
    }
}
