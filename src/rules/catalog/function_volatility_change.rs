//! A replaced function that promises something else.

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink},
    schema::Routine,
    sql::ast::NodeEnum,
};

pub(super) static RULE: Rule = Rule {
    name: "function-volatility-change",
    category: Category::Compatibility,
    severity: Severity::Info,
    summary: "changes the volatility, or another option, of a function that is in use",
    why: "Plans change, and an index or generated column that relied on IMMUTABLE may give wrong results.",
    instead: "Give the changed function a new name, and move its callers.",
    sources: &["https://www.postgresql.org/docs/current/xfunc-volatility.html"],
    peers: &["sfm:function-volatility-change", "sq:ban-alter-function-options"],
    given: "create function app.slug(a text) returns text language sql immutable set search_path = '' as 'select lower(a)';
            create function app.both(a int, b int) returns int language sql immutable strict parallel safe set search_path = '' as 'select a + b';",
    bad: &[
        "create or replace function app.slug(a text) returns text language sql volatile set search_path = '' as 'select lower(a)';",
        "alter function app.slug(text) stable;",
        "create or replace function app.both(a int, b int) returns int language sql immutable set search_path = '' as 'select a + b';",
        "alter function app.slug(text) cost 1000;",
    ],
    good: &[
        "create or replace function app.slug(a text) returns text language sql immutable set search_path = '' as 'select upper(a)';",
        "create or replace function app.both(a int, b int) returns int language sql immutable strict parallel safe set search_path = '' as 'select b + a';",
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
            let Some(new) = new else { continue };
            let Some(unit) = new.changed.and_then(|at| context.unit(at)) else { continue };
            let mut told: Vec<(String, Option<String>)> = Vec::new();
            if new.volatility != old.volatility {
                let (before, after) = (word(old.volatility), word(new.volatility));
                let help = if new.volatility == 'v' && created(&unit.node) {
                    Some(format!(
                        "CREATE OR REPLACE takes VOLATILE where nothing is said: write {before} again if it still is. \
                         Where an index or a generated column needs that, give the changed function a new name."
                    ))
                } else {
                    (rank(new.volatility) > rank(old.volatility)).then(|| {
                        format!(
                            "Make sure that the body keeps that promise: a function that is {after} writes nothing, and \
                             Postgres may call it once for many rows."
                        )
                    })
                };
                told.push((format!("was {before} and becomes {after}"), help));
            }
            told.extend(others(old, new).into_iter().map(|(what, lost)| {
                let help = lost.filter(|_| created(&unit.node)).map(|option| {
                    format!(
                        "CREATE OR REPLACE takes the default where nothing is said: write {option} again if it still \
                         holds."
                    )
                });
                (what, help)
            }));
            for (what, help) in told {
                let report = sink.report_at(unit.at, unit.span.clone(), format!("`{name}` {what}")).on(name);
                if let Some(help) = help {
                    report.help(help);
                }
            }
        }
    }
}

/// What else changes, with the option to write again where one was lost.
fn others(old: &Routine, new: &Routine) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for name in ["strict", "leakproof", "parallel", "cost", "rows"] {
        let written = |value: &str| match name {
            "strict" | "leakproof" => name.to_uppercase(),
            _ => format!("{} {}", name.to_uppercase(), value.to_uppercase()),
        };
        match (old.options.get(name), new.options.get(name)) {
            (before, after) if before == after => {}
            (Some(before), None) => {
                found.push((format!("was {} and is no more", written(before)), Some(written(before))));
            }
            (_, Some(after)) => found.push((format!("becomes {}", written(after)), None)),
            (None, None) => {}
        }
    }
    if new.security_definer && !old.security_definer {
        found.push(("becomes SECURITY DEFINER and runs with its owner's rights from now on".into(), None));
    }
    if old.security_definer && !new.security_definer {
        let what = "was SECURITY DEFINER and runs with its caller's rights from now on".to_owned();
        found.push((what, Some("SECURITY DEFINER".into())));
    }
    found
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
