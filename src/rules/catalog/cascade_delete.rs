//! A foreign key whose deletes spread.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, access},
    schema::ConstraintKind,
};

pub(super) static RULE: Rule = Rule {
    name: "cascade-delete",
    category: Category::Style,
    severity: Severity::Info,
    off_by_default: true,
    summary: "lets a delete or a change of key spread to other tables",
    why: "One DELETE can take rows of many tables along, and locks all of them while it does.",
    instead: "Delete the dependent rows in so many words, or use NO ACTION.",
    sources: &["https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK"],
    peers: &[
        "bb:statement_disallow_on_del_cascade",
        "pgr:constraint/cascade-delete",
        "pgr:constraint/cascade-update",
    ],
    given: "create table app.p (id bigint primary key);",
    bad: &[
        "create table app.c (id bigint primary key references app.p (id) on delete cascade);",
        "create table app.c (id bigint primary key references app.p (id) on update cascade);",
    ],
    good: &[
        "create table app.c (id bigint primary key references app.p (id));",
        "create table app.c (id bigint primary key references app.p (id) on delete restrict);",
        "create table app.c (id bigint primary key references app.p (id) on delete cascade);\ndrop table app.c;",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for (table, constraint, at) in access::new_foreign_keys(context) {
        let ConstraintKind::Foreign { target, on_delete, on_update, .. } = &constraint.kind else { continue };
        let verb = match (on_delete, on_update) {
            ('c', _) => "deleting",
            (_, 'c') => "changing the key of",
            _ => continue,
        };
        let what = if *on_delete == 'c' { "deletes its" } else { "changes its" };
        let message = format!("{verb} a row of `{target}` also {what} rows in `{}`", table.name);
        access::say(context, sink, at, message).object(format!("{}.{}", table.name, constraint.name));
    }
}
