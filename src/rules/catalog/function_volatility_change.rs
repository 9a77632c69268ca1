//! A replaced function that promises something else.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink},
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "function-volatility-change",
    category: Category::Compatibility,
    severity: Severity::Info,
    summary: "changes the volatility of a function that is in use",
    why: "Plans change, and an index or generated column that relied on IMMUTABLE may give wrong results.",
    instead: "Give the changed function a new name, and move its callers.",
    sources: &["https://www.postgresql.org/docs/current/xfunc-volatility.html"],
    peers: &["sfm:function-volatility-change", "sq:ban-alter-function-options"],
    given: "create function app.slug(a text) returns text language sql immutable set search_path = '' as 'select lower(a)';",
    bad: &[
        "create or replace function app.slug(a text) returns text language sql volatile set search_path = '' as 'select lower(a)';",
        "alter function app.slug(text) stable;",
    ],
    good: &[
        "create or replace function app.slug(a text) returns text language sql immutable set search_path = '' as 'select upper(a)';",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for (name, routines) in &context.before.routines {
        for old in routines {
            let new = context
                .after
                .routines
                .get(name)
                .and_then(|routines| routines.iter().find(|routine| routine.arguments == old.arguments));
            let Some(new) = new.filter(|new| new.volatility != old.volatility) else { continue };
            let Some(unit) = new.changed.and_then(|at| context.unit(at)) else { continue };
            let (before, after) = (word(old.volatility), word(new.volatility));
            let report = sink
                .report_at(unit.at, unit.span.clone(), format!("`{name}` was {before} and becomes {after}"))
                .on(name);
            if new.volatility == 'v' && created(&unit.node) {
                report.help(format!(
                    "CREATE OR REPLACE takes VOLATILE where nothing is said: write {before} again if it still is. Where an \
                     index or a generated column needs that, give the changed function a new name."
                ));
            } else if rank(new.volatility) > rank(old.volatility) {
                report.help(format!(
                    "Make sure that the body keeps that promise: a function that is {after} writes nothing, and \
                     Postgres may call it once for many rows."
                ));
            }
        }
    }
}

fn created(node: &NodeEnum) -> bool {
    matches!(node, NodeEnum::CreateFunctionStmt(_))
}

/// How much a function promises.
fn rank(volatility: char) -> u8 {
    match volatility {
        'i' => 2,
        's' => 1,
        _ => 0,
    }
}

fn word(volatility: char) -> &'static str {
    match volatility {
        'i' => "IMMUTABLE",
        's' => "STABLE",
        _ => "VOLATILE",
    }
}
