//! Slow work while a strong lock is held.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, common, dml},
    schema::{At, Nesting, QName, RelationKind, Unit, Work},
    sql::ast::{NodeEnum, NodeRef, strings},
};

pub(in crate::rules) static RULE: Rule = Rule {
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
        "alter table app.orders add column a int;\ninsert into app.items (id) select id + 1000 from app.orders where a = 1;",
        "do $$ begin alter table app.orders add column a int; update app.items set note = '' where note is null; end $$;",
    ],
    good: &[
        "alter table app.orders add column a int;\ncomment on column app.orders.a is 'x';\ncreate function app.f() returns int language sql immutable set search_path = '' as 'select 1';",
        "alter table app.orders add column a int;\n-- next file\nselect count(*) from app.items;",
        "alter table app.orders add column a int;\nupdate app.items set note = '' where id = 1;",
        "alter table app.orders add column a int;\ninsert into app.items (id) select id + 1000 from app.orders where id = 1;",
        "alter table app.orders add column a int;\ncreate table app.lines (id bigint primary key, order_id bigint);\ncreate index on app.lines (order_id);\nalter table app.lines add foreign key (order_id) references app.orders (id);",
    ],
    also: &["bulk-dml"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let at = context.at();
    // What a DO block did before this is earlier, though the number is the same.
    let nested = context.unit.nesting != Nesting::Top;
    let earlier = |taken: &At| taken.statement < at.statement || (nested && taken.statement == at.statement);
    let Some((what, worked_on)) = slow(context) else { return };
    // Of equal locks the one on the table that is worked on says most.
    let held = &context.session.transaction.held;
    let own = worked_on.as_ref().and_then(|table| Some((table, held.get(table)?)));
    let worst = held.strong().rev().find_map(|(mode, _)| {
        let own = own.filter(|(_, (own, taken))| *own == mode && earlier(taken));
        let own = own.map(|(table, (_, taken))| (table, taken));
        // A concurrent refresh shuts out nobody but another refresh.
        let refreshed = |table: &QName| {
            mode == LockMode::Exclusive && common::is_kind(context, table, RelationKind::MaterializedView)
        };
        let mut others = held.of(mode).rev().filter(|(table, taken)| earlier(taken) && !refreshed(table));
        let (table, taken) = own.or_else(|| others.next())?;
        Some((table, mode, *taken))
    });
    let Some((table, mode, taken)) = worst else { return };
    if said_of_an_index_before(context, table, taken) {
        return;
    }
    let since = if taken.statement == at.statement {
        "taken earlier in the same block".to_owned()
    } else {
        format!("held since statement {}", taken.statement)
    };
    sink.report(format!(
        "{what} while {mode} on `{table}` is {since}; {} until this is done",
        mode.who_waits()
    ))
    .on(table)
    .lock(mode);
}

/// Whether this is one more index under the same lock: the first one's finding is for all of them,
/// as moving them out of the transaction is.
fn said_of_an_index_before(context: &Context<'_>, table: &QName, taken: At) -> bool {
    let at = context.at();
    let builds = |unit: &Unit| match &unit.node {
        NodeEnum::IndexStmt(index) => index.relation.as_ref().is_some_and(|range| {
            let on = context.resolve(range);
            context.is_live(&on)
                && context
                    .session
                    .transaction
                    .held
                    .get(&on)
                    .is_some_and(|(_, first)| first.statement < at.statement)
        }),
        _ => false,
    };
    matches!(context.node, NodeEnum::IndexStmt(_))
        && context.session.transaction.held.get(table).is_some()
        && context
            .before
            .iter()
            .rev()
            .take_while(|unit| unit.at.transaction == at.transaction && unit.at.statement > taken.statement)
            .any(|unit| unit.at.statement < at.statement && builds(unit))
}

/// What takes long, if anything does, and the table that it works on.
fn slow(context: &Context<'_>) -> Option<(String, Option<QName>)> {
    if sleeps(context.node) {
        return Some(("sleeps".into(), None));
    }
    if let Some(source) = copied(context) {
        return Some((format!("copies rows of `{source}`"), Some(source)));
    }
    // A foreign key looks up its own table's rows in the other one: the rows are named.
    let own = context.alter_table().map(|(table, _)| table);
    let worst = context
        .claims
        .iter()
        .filter(|claim| claim.existed)
        .max_by_key(|claim| (claim.work, Some(&claim.relation) == own))?;
    let name = &worst.relation;
    match worst.work {
        Work::Rewrite => Some((format!("rewrites `{name}`"), Some(name.clone()))),
        Work::IndexBuild => Some((format!("builds an index on `{name}`"), Some(name.clone()))),
        Work::Scan => Some((format!("reads all of `{name}`"), Some(name.clone()))),
        Work::Rows => {
            let bulk = dml::changes(context.node).into_iter().find(|change| {
                let target = context.resolve(change.target);
                context.is_live(&target)
                    && change.verb != "inserts into"
                    && !dml::picks_by_key(change.condition, &target, context)
            })?;
            let target = context.resolve(bulk.target);
            Some((format!("{} rows of `{target}`", bulk.verb), Some(target)))
        }
        Work::Brief => None,
    }
}

/// The live table whose rows an `INSERT … SELECT` or `CREATE TABLE AS` looks for by a condition that is no key.
fn copied(context: &Context<'_>) -> Option<QName> {
    let select = match context.node {
        NodeEnum::InsertStmt(insert) => insert.select_stmt.as_deref(),
        NodeEnum::CreateTableAsStmt(create) if !create.into.as_ref().is_some_and(|into| into.skip_data) => {
            create.query.as_deref()
        }
        _ => None,
    };
    let Some(NodeEnum::SelectStmt(select)) = select.and_then(|node| node.node.as_ref()) else { return None };
    if select.limit_count.is_some() || select.where_clause.is_none() {
        return None;
    }
    let names = select.from_clause.iter().flat_map(dml::reads).flat_map(|name| dml::sources(name, context));
    let sources: Vec<QName> = names.map(|name| context.catalog.resolve(&name, context.session)).collect();
    let source = sources.iter().find(|source| context.is_live(source))?;
    let by_key = sources.len() == 1 && dml::picks_by_key(select.where_clause.as_deref(), source, context);
    (!by_key).then(|| source.clone())
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
