//! `CREATE TRIGGER` on a table that existed before.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "create-trigger-lock",
    category: Category::Lock,
    severity: Severity::Info,
    summary: "adds a trigger to a table that is in use",
    why: "Writers queue briefly behind the lock, and from then on every write runs the new code.",
    instead: "Keep the transaction short; the lock_timeout of the runner covers the wait.",
    sources: &["https://www.postgresql.org/docs/current/sql-createtrigger.html"],
    peers: &["pgls:avoid-create-trigger", "pf:create-trigger", "ps:add-trigger"],
    takes: Some(LockMode::ShareRowExclusive),
    given: "create table app.orders (id bigint primary key);
            create function app.touch() returns trigger language plpgsql set search_path = '' as $$ begin return new; end $$;",
    bad: &["create trigger t before update on app.orders for each row execute function app.touch();"],
    good: &["create table app.t (id bigint primary key);\ncreate trigger t before update on app.t for each row execute function app.touch();"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::CreateTrigStmt(create) = context.node else { return };
    let Some(range) = &create.relation else { return };
    let table = context.resolve(range);
    if context.is_live(&table) {
        sink.report(format!("trigger `{}` takes SHARE ROW EXCLUSIVE on `{table}`: writes wait briefly, and run it from then on", create.trigname))
            .on(&table);
    }
}
