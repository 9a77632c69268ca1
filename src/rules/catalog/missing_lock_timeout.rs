//! A strong lock wanted without a limit on the wait.

use std::time::Duration;

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    schema::Nesting,
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "missing-lock-timeout",
    category: Category::Transaction,
    severity: Severity::Warning,
    summary: "waits for a strong lock without a lock_timeout",
    why: "A statement that waits for its lock makes everybody who comes after it wait too: one long read \
          plus one waiting ALTER is an outage. Lockkeeper sets `deploy.lock_timeout` itself, so this rule \
          speaks only where that is 0.",
    instead: "Set `deploy.lock_timeout`, or begin the file with `SET LOCAL lock_timeout = '3s';`.",
    sources: &["https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT"],
    peers: &[
        "sq:require-lock-timeout",
        "sq:require-timeout-settings",
        "eu:E9",
        "pgls:lock-timeout-warning",
        "pf:missing-lock-timeout",
        "ps:require-timeout",
        "sfm:require-lock-timeout",
        "gl:with_lock_retries",
    ],
    given: "create table app.orders (id bigint primary key, note text);",
    bad: &[
        "--: deploy.lock_timeout = \"0\"\nalter table app.orders add column a int;",
        "--: deploy.lock_timeout = \"0\"\nset lock_timeout = 0;\nalter table app.orders add column a int;",
    ],
    good: &[
        "alter table app.orders add column a int;",
        "--: deploy.lock_timeout = \"0\"\nset local lock_timeout = '2s';\nalter table app.orders add column a int;",
        "--: deploy.lock_timeout = \"0\"\n-- lockkeeper: lock-timeout 2s\nalter table app.orders add column a int;",
        "--: deploy.lock_timeout = \"0\"\ncreate table app.t (id bigint primary key);\ncreate index on app.t (id);",
        "--: deploy.lock_timeout = \"0\"\n-- lockkeeper: transaction off\ndrop index concurrently if exists app.i;\ncreate index concurrently i on app.orders (note);",
    ],
    also: &["ineffective-lock-timeout"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    // Where the runner sets one and the file switches it off, `ineffective-lock-timeout` says it.
    let runner_sets = context.config.deploy.lock_timeout > Duration::ZERO;
    let file_sets =
        context.session.lock_timeout.as_ref().is_some_and(|setting| setting.value > Duration::ZERO);
    let asked_for =
        context.migration.lock_timeout(context.direction).is_some_and(|limit| limit > Duration::ZERO);
    if runner_sets || file_sets || asked_for || is_data_change(context.node) {
        return;
    }
    let strong = |mode: LockMode| mode.blocks(LockMode::RowExclusive);
    let Some(claim) = context.claims.iter().find(|claim| claim.existed && strong(claim.mode)) else { return };
    // One line at the top of the file cures them all: say it once for as long as nothing was set.
    let since = context
        .before
        .iter()
        .rev()
        .take_while(|unit| unit.at.file == context.at().file)
        .find(|unit| sets_lock_timeout(&unit.node))
        .map(|unit| unit.at.statement)
        .unwrap_or(0);
    let taken = context.session.transaction.held.strong();
    let said = taken.map(|(_, at)| at).any(|at| at.statement > since && at.file == context.at().file);
    if !said {
        let report = sink
            .report(format!(
                "waits for {} on `{}` without a limit; everybody who comes after it waits too",
                claim.mode, claim.relation
            ))
            .on(&claim.relation)
            .lock(claim.mode);
        let local = if context.in_transaction() { "LOCAL " } else { "" };
        let set = format!("SET {local}lock_timeout = '3s';");
        match context.unit.nesting {
            Nesting::Top => report.replace(format!("{set}\n{}", context.unit.text.trim())),
            Nesting::Body { .. } => report.suggest(set),
        };
    }
}

fn is_data_change(node: &NodeEnum) -> bool {
    matches!(
        node,
        NodeEnum::SelectStmt(_) | NodeEnum::InsertStmt(_) | NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_)
    )
}

fn sets_lock_timeout(node: &NodeEnum) -> bool {
    matches!(node, NodeEnum::VariableSetStmt(set) if set.name == "lock_timeout" || set.name.is_empty())
}
