//! Several tables locked at once.

use std::collections::BTreeSet;

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, names},
    schema::QName,
    sql::ast::{NodeEnum, ObjectType},
};

pub(super) static RULE: Rule = Rule {
    name: "multi-table-lock-window",
    category: Category::Transaction,
    severity: Severity::Info,
    summary: "holds strong locks on several tables at once",
    why: "Traffic that locks the same tables in another order deadlocks with the migration, and every \
          table stays locked until the last statement is done.",
    instead: "Change one table in one transaction: a file each.",
    sources: &["https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-DEADLOCKS"],
    peers: &["pgls:avoid-wide-lock-window", "pf:wide-lock-window", "om:multiple_foreign_keys"],
    given: "create table app.a (id bigint primary key);
            create table app.b (id bigint primary key);
            create table app.c (id bigint primary key);",
    bad: &[
        "alter table app.a add column x int;\nalter table app.b add column x int;",
        "alter table app.a add column x int;\nalter table app.b add column x int;\nalter table app.c add column x int;",
    ],
    good: &[
        "drop trigger if exists none on app.a;\ndrop trigger if exists none on app.b;\ndrop trigger if exists none on app.c;",
        "alter table app.a add column x int;\nalter table app.a add column y int;",
        "alter table app.a add column x int;\n-- next file\nalter table app.b add column x int;",
        "alter table app.a add column x int;\ncreate table app.n (id bigint primary key);\nalter table app.n add column x int;",
    ],
    also: &["multi-table-lock-window"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

/// Tables that a message names.
const NAMED: usize = 8;
/// Exclusive locks in one transaction, from which on nothing is added.
const ENOUGH: usize = 50;

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    if !context.in_transaction() {
        return;
    }
    // By now it has been said, and more so than anybody reads; looking on would take the square of them.
    let held = &context.session.transaction.held;
    if held.count(LockMode::AccessExclusive) > ENOUGH {
        return;
    }
    // Most statements lock nothing that is not locked already.
    let locked = |name: &QName, at_least: LockMode| held.get(name).is_some_and(|(mode, _)| *mode >= at_least);
    let exclusive = context.claims.iter().filter(|it| it.existed && it.mode == LockMode::AccessExclusive);
    let mut news = exclusive.filter(|claim| !locked(&claim.relation, LockMode::AccessExclusive));
    let trigger = triggered(context.node, context).filter(|it| !locked(it, LockMode::ShareRowExclusive));
    if news.next().is_none() && trigger.is_none() {
        return;
    }
    let top = |name: &QName| {
        // A partitioned table and its partitions are one table to a reader.
        let mut name = name.clone();
        while let Some(parent) = context.relation(&name).and_then(|relation| relation.partition_of.clone()) {
            name = parent;
        }
        name
    };
    // Of what was dropped before, the model no longer knows the kind.
    let was_other = |name: &QName| {
        let here =
            context.before.iter().rev().take_while(|unit| unit.at.transaction == context.at().transaction);
        here.filter_map(|unit| match &unit.node {
            NodeEnum::DropStmt(drop) if drop.remove_type() != ObjectType::ObjectTable => Some(&unit.node),
            _ => None,
        })
        .flat_map(names::dropped)
        .any(|(_, dropped)| {
            dropped.name == name.name && dropped.schema.is_none_or(|schema| schema == name.schema)
        })
    };
    let is_table = |name: &QName| match context.relation(name) {
        Some(relation) => relation.kind.holds_rows(),
        None => !was_other(name),
    };
    let before = held.of(LockMode::AccessExclusive).map(|(name, _)| name).filter(|name| is_table(name));
    let mut before: BTreeSet<QName> = before.map(top).collect();
    // A trigger's SHARE ROW EXCLUSIVE keeps writes out as well; that of a foreign key is `fk-locks-parent`'s.
    before.extend(
        context
            .before
            .iter()
            .rev()
            .take_while(|unit| unit.at.transaction == context.at().transaction)
            .filter_map(|unit| triggered(&unit.node, context).map(|name| top(&name))),
    );
    let mut after = before.clone();
    after.extend(triggered(context.node, context).map(|name| top(&name)));
    after.extend(
        context
            .claims
            .iter()
            .filter(|claim| {
                claim.existed && claim.mode == LockMode::AccessExclusive && is_table(&claim.relation)
            })
            .map(|claim| top(&claim.relation)),
    );
    if after.len() < 2 || after.len() == before.len() {
        return;
    }
    let mut list: Vec<String> = after.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    if after.len() > NAMED {
        list.push(format!("{} more", after.len() - NAMED));
    }
    let weaker =
        after.iter().any(|name| held.get(name).is_some_and(|(mode, _)| *mode < LockMode::AccessExclusive))
            || triggered(context.node, context).is_some();
    let modes = if weaker { "ACCESS EXCLUSIVE or SHARE ROW EXCLUSIVE" } else { "ACCESS EXCLUSIVE" };
    let report = sink
        .report(format!("{modes} is held on {} at once until the transaction ends", list.join(", ")))
        .lock(LockMode::AccessExclusive);
    // One statement that needs them all cannot be spread over transactions.
    if after.len() >= 3 && (1..3).contains(&before.len()) {
        report.severity(Severity::Warning);
    }
}

/// The live table on which the statement makes a trigger.
fn triggered(node: &NodeEnum, context: &Context<'_>) -> Option<QName> {
    let NodeEnum::CreateTrigStmt(create) = node else { return None };
    let table = context.resolve(create.relation.as_ref()?);
    context.is_live(&table).then_some(table)
}
