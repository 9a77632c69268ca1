//! Session settings left behind for the next file.

use std::collections::BTreeMap;

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink},
    schema::Unit,
    sql::ast::{Node, NodeEnum, TransactionStmtKind, VariableSetKind, a_const, strings},
};

pub(super) static RULE: Rule = Rule {
    name: "session-state-leak",
    category: Category::Transaction,
    severity: Severity::Warning,
    summary: "leaves a session setting behind",
    why: "With other tools the next file runs under another search_path, role or replication role. \
          Lockkeeper resets the session between files, but the rest of this file runs in another world too.",
    instead: "Use SET LOCAL, or RESET it at the end of the file.",
    sources: &["https://www.postgresql.org/docs/current/sql-set.html"],
    peers: &["bb:statement_check_set_role_variable", "pgs:PS018"],
    bad: &[
        "set search_path = app;\ncreate table t (id bigint primary key);",
        "select set_config('search_path', '', false);\ncreate table app.t (id bigint primary key);",
        "set role authenticated;",
    ],
    good: &[
        "set session_replication_role = origin;\ncreate table app.t (id bigint primary key);",
        "savepoint a;\nset search_path = app;\nrollback to savepoint a;\nrelease savepoint a;",
        "-- lockkeeper: transaction off\nbegin;\nset search_path = app;\nrollback;",
        "set local search_path = app;\ncreate table t (id bigint primary key);",
        "set search_path = app;\ncreate table t (id bigint primary key);\nreset search_path;",
        "set role authenticated;\nselect 1;\nset role none;",
        "set check_function_bodies = false;\nset client_min_messages = warning;\ncreate table app.t (id bigint primary key);",
    ],
    also: &["empty-migration"],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

const WATCHED: [&str; 4] = ["search_path", "role", "session_authorization", "session_replication_role"];

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for file in 0..context.change.len() {
        let mut left: BTreeMap<String, &Unit> = BTreeMap::new();
        // What was set at BEGIN and at each savepoint, to go back to.
        let mut marks: Vec<(&str, BTreeMap<String, &Unit>)> = Vec::new();
        for unit in context.units_of(file) {
            match effect(&unit.node) {
                Effect::Begin => marks = vec![("", left.clone())],
                Effect::Savepoint(name) => marks.push((name, left.clone())),
                Effect::RollbackTo(name) => {
                    if let Some(at) = marks.iter().rposition(|(mark, _)| *mark == name) {
                        marks.truncate(at + 1);
                        left.clone_from(&marks[at].1);
                    }
                }
                Effect::Rollback => {
                    if let Some((_, before)) = marks.drain(..).next() {
                        left = before;
                    }
                }
                Effect::Commit => marks.clear(),
                Effect::Set(name) if WATCHED.contains(&name.as_str()) => {
                    left.insert(name, unit);
                }
                Effect::Reset(name) => {
                    left.remove(&name);
                }
                Effect::ResetAll => left.clear(),
                _ => {}
            }
        }
        for (name, unit) in left {
            sink.report_at(unit.at, unit.span.clone(), format!("`{name}` stays set after the file ends"))
                .suggest(match &unit.node {
                    NodeEnum::VariableSetStmt(_) if name != "role" && name != "session_authorization" => {
                        unit.text.replacen(' ', " LOCAL ", 1)
                    }
                    _ => format!("RESET {name};"),
                });
        }
    }
}

enum Effect<'a> {
    Set(String),
    Reset(String),
    ResetAll,
    Begin,
    Savepoint(&'a str),
    RollbackTo(&'a str),
    Rollback,
    Commit,
    None,
}

fn effect(node: &NodeEnum) -> Effect<'_> {
    match node {
        NodeEnum::TransactionStmt(it) => match it.kind() {
            TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart => Effect::Begin,
            TransactionStmtKind::TransStmtSavepoint => Effect::Savepoint(&it.savepoint_name),
            TransactionStmtKind::TransStmtRollbackTo => Effect::RollbackTo(&it.savepoint_name),
            TransactionStmtKind::TransStmtRollback => Effect::Rollback,
            TransactionStmtKind::TransStmtCommit => Effect::Commit,
            _ => Effect::None,
        },
        NodeEnum::VariableSetStmt(set) => match set.kind() {
            // SET ROLE NONE is RESET ROLE.
            VariableSetKind::VarSetValue if set.name == "role" && is_none(&set.args) => {
                Effect::Reset(set.name.clone())
            }
            // So is the default, as dumps and seeds write it.
            VariableSetKind::VarSetValue if is_origin(&set.name, set.args.first()) => {
                Effect::Reset(set.name.clone())
            }
            VariableSetKind::VarSetValue if !set.is_local => Effect::Set(set.name.clone()),
            VariableSetKind::VarReset | VariableSetKind::VarSetDefault => Effect::Reset(set.name.clone()),
            VariableSetKind::VarResetAll => Effect::ResetAll,
            _ => Effect::None,
        },
        NodeEnum::DiscardStmt(_) => Effect::ResetAll,
        NodeEnum::SelectStmt(select) => select
            .target_list
            .iter()
            .find_map(|target| {
                let NodeEnum::ResTarget(target) = target.node.as_ref()? else { return None };
                let NodeEnum::FuncCall(call) = target.val.as_ref()?.node.as_ref()? else { return None };
                let is_set = strings(&call.funcname).last().is_some_and(|name| name == "set_config");
                let local = call.args.get(2).and_then(boolean) != Some(false);
                let name = (is_set && !local).then(|| call.args.first().and_then(text)).flatten()?;
                Some(if is_origin(&name, call.args.get(1)) { Effect::Reset(name) } else { Effect::Set(name) })
            })
            .unwrap_or(Effect::None),
        _ => Effect::None,
    }
}

fn is_origin(name: &str, value: Option<&Node>) -> bool {
    let origin = |value: String| value.eq_ignore_ascii_case("origin");
    name.eq_ignore_ascii_case("session_replication_role") && value.and_then(text).is_some_and(origin)
}

fn is_none(values: &[Node]) -> bool {
    values.first().and_then(text).is_some_and(|value| value.eq_ignore_ascii_case("none"))
}

fn text(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Sval(text) => Some(text.sval.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn boolean(node: &Node) -> Option<bool> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Boolval(value) => Some(value.boolval),
            _ => None,
        },
        _ => None,
    }
}
