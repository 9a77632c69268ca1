//! Slow work while a strong lock is held.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, dml},
    schema::Work,
    sql::ast::{NodeEnum, NodeRef, strings},
};

pub(super) static RULE: Rule = Rule {
    name: "slow-work-after-strong-lock",
    category: Category::Transaction,
    severity: Severity::Warning,
    summary: "does slow work while an earlier statement's strong lock is held",
    why: "Locks are held to the end of the transaction: an ALTER that takes a millisecond becomes an \
          outage as long as the scan, build or update after it.",
    instead: "Move the slow statement to a file of its own (its own transaction), or before the lock.",
    sources: &["https://www.postgresql.org/docs/current/explicit-locking.html"],
    peers: &[
        "eu:E4",
        "pgls:running-statement-while-holding-access-exclusive",
        "pf:statement-after-access-exclusive",
        "dml:CREATE_INDEX_EXCLUSIVE",
    ],
    given: "create table app.orders (id bigint primary key, note text, kind int);
            create table app.items (id bigint primary key, note text);",
    bad: &[
        "alter table app.orders add column a int;\nupdate app.items set note = '' where note is null;",
        "alter table app.orders add column a int;\nselect pg_sleep(60);",
    ],
    good: &[
        "alter table app.orders add column a int;\ncomment on column app.orders.a is 'x';\ncreate function app.f() returns int language sql immutable set search_path = '' as 'select 1';",
        "alter table app.orders add column a int;\n-- next file\nselect count(*) from app.items;",
        "alter table app.orders add column a int;\nupdate app.items set note = '' where id = 1;",
    ],
    also: &["bulk-dml"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let strong = |mode: LockMode| mode.blocks(LockMode::RowExclusive);
    let at = context.at();
    let held = context
        .session
        .transaction
        .held
        .iter()
        .filter(|(_, (mode, taken))| strong(*mode) && taken.statement < at.statement)
        .max_by_key(|(_, (mode, _))| *mode);
    let Some((table, (mode, taken))) = held else { return };
    let Some(what) = slow(context) else { return };
    sink.report(format!(
        "{what} while {mode} on `{table}` is held since statement {}; {} until this is done",
        taken.statement,
        mode.who_waits()
    ))
    .on(table)
    .lock(*mode);
}

/// What takes long, if anything does.
fn slow(context: &Context<'_>) -> Option<String> {
    if sleeps(context.node) {
        return Some("sleeps".into());
    }
    let worst = context.claims.iter().filter(|claim| claim.existed).max_by_key(|claim| claim.work)?;
    let name = &worst.relation;
    match worst.work {
        Work::Rewrite => Some(format!("rewrites `{name}`")),
        Work::IndexBuild => Some(format!("builds an index on `{name}`")),
        Work::Scan => Some(format!("reads all of `{name}`")),
        Work::Rows => {
            let bulk = dml::changes(context.node).into_iter().find(|change| {
                let target = context.resolve(change.target);
                context.is_live(&target)
                    && change.verb != "inserts into"
                    && !dml::picks_by_key(change.condition, &target, context)
            })?;
            Some(format!("{} rows of `{}`", bulk.verb, context.resolve(bulk.target)))
        }
        Work::Brief => None,
    }
}

fn sleeps(node: &NodeEnum) -> bool {
    matches!(node, NodeEnum::SelectStmt(_))
        && node.nodes().into_iter().any(|(node, ..)| match node {
            NodeRef::FuncCall(call) => {
                strings(&call.funcname).last().is_some_and(|name| name.starts_with("pg_sleep"))
            }
            _ => false,
        })
}
