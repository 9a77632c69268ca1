//! Shapes of statements that real projects have, and that were once judged wrong.

use super::example::Example;
use crate::rules::ALL;

/// What is told of a change, one line a finding: severity, rule, statement.
fn told(given: &str, change: &str) -> Vec<String> {
    let mut example = Example::read(ALL[0], change);
    example.history = vec![("20250101000000_given.sql".into(), given.into())];
    let findings = example.judge().findings;
    findings
        .iter()
        .filter(|finding| finding.rule != "multi-table-lock-window")
        .map(|finding| format!("{} {}@{}", finding.severity, finding.rule, finding.statement))
        .collect()
}

const TABLES: &str = "
    create table app.orders (id bigint primary key, note text, code text constraint orders_code_key unique);
    create index orders_note_idx on app.orders (note);
    create table app.lines (id bigint primary key, order_id bigint references app.orders (id));
    create index on app.lines (order_id);
    create table app.alone (id bigint primary key);
    create function app.touch() returns trigger language plpgsql set search_path = '' as 'begin return new; end';
    create trigger touch before update on app.orders for each row execute function app.touch();";

#[test]
fn a_table_is_dropped_with_all_that_is_its_own() {
    let change = "drop trigger touch on app.orders;
        alter table app.orders drop constraint orders_code_key;
        drop index app.orders_note_idx;
        drop table app.lines;
        drop table app.orders;
        drop function app.touch();";
    assert_eq!(told(TABLES, change), ["error drop-table@4", "error drop-table@5"]);
}

#[test]
fn cascade_alarms_only_where_something_goes_along() {
    let alone = ["error drop-table@1", "info drop-cascade@1"];
    let sorted = |mut told: Vec<String>| {
        told.sort();
        told
    };
    assert_eq!(sorted(told(TABLES, "drop table app.alone cascade;")), alone);
    assert_eq!(
        sorted(told(TABLES, "drop table app.orders cascade;")),
        ["error drop-cascade@1", "error drop-table@1"]
    );
    let both = told(TABLES, "drop table app.orders cascade;\ndrop table app.lines;");
    assert!(both.contains(&"info drop-cascade@1".to_owned()), "{both:?}");
    let trigger = told(TABLES, "drop function app.touch() cascade;");
    assert!(trigger.contains(&"error drop-cascade@1".to_owned()), "{trigger:?}");
}

#[test]
fn several_indexes_under_one_lock_are_one_piece_of_slow_work() {
    let change = "alter table app.orders add column a int;
        create index on app.orders (a);
        create index on app.orders (a, note);";
    let slow: Vec<String> =
        told(TABLES, change).into_iter().filter(|line| line.contains("slow-work")).collect();
    assert_eq!(slow, ["warning slow-work-after-strong-lock@2"]);
}
