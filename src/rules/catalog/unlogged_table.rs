//! A table that a crash empties.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::At,
};

pub(super) static RULE: Rule = Rule {
    name: "unlogged-table",
    category: Category::DataLoss,
    severity: Severity::Warning,
    summary: "creates a table that is emptied after a crash",
    why: "An unlogged table is not in the write-ahead log: Postgres truncates it after a crash, replicas do not have \
          it, and neither does a point-in-time recovery.",
    instead: "Create it as an ordinary table, unless its rows can be computed again.",
    sources: &["https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-UNLOGGED"],
    peers: &["pgm:PGM506", "pgr:general/unlogged-table"],
    bad: &[
        "create unlogged table app.cache (id bigint primary key);",
        "create unlogged table app.copy as select 1 as one;",
    ],
    good: &[
        "create table app.cache (id bigint primary key);",
        "create unlogged table app.cache (id bigint primary key);\nalter table app.cache set logged;",
        "create unlogged table app.cache (id bigint primary key);\ndrop table app.cache;",
        "create temp table cache (id bigint primary key);",
    ],
    also: &["table-without-primary-key"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for table in context.after.relations.values().filter(|table| table.unlogged && !table.temporary) {
        let Some(at) = table.born.filter(|at| made_unlogged(context, *at)) else { continue };
        let message =
            format!("`{}` is unlogged: it is empty after a crash and absent on replicas", table.name);
        access::say(context, sink, at, message)
            .on(&table.name)
            .suggest(format!("ALTER TABLE {} SET LOGGED;", table.name.sql()));
    }
}

/// Whether it is created so, and not switched later: that is another rule's.
fn made_unlogged(context: &ChangeContext<'_>, at: At) -> bool {
    let mut units = access::units(context, at);
    units.any(|unit| unit.text.to_ascii_lowercase().contains("unlogged"))
}
