//! Triggers switched off.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{ChangeContext, Check, Rule, Sink},
    schema::{Session, Transaction, Unit},
    sql::{
        self,
        ast::{AlterTableType, Name, Node, NodeEnum, NodeRef, VariableSetKind, a_const, strings},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "triggers-disabled",
    category: Category::DataLoss,
    severity: Severity::Warning,
    summary: "switches triggers off and leaves them off",
    why: "What the triggers kept true is silently no longer kept true, for the application's writes too; \
          `session_replication_role = replica` skips foreign keys as well.",
    instead: "Switch them on again in the same transaction.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-DISABLE-ENABLE-TRIGGER",
    ],
    peers: &[
        "sq:ban-disable-trigger",
        "pgls:avoid-enable-disable-trigger",
        "pf:enable-disable-trigger",
        "sfm:disable-trigger",
        "pgm:PGM020",
    ],
    takes: Some(LockMode::ShareRowExclusive),
    given: "create table app.orders (id bigint primary key);",
    bad: &[
        "alter table app.orders disable trigger user;",
        "alter table app.orders disable trigger all;",
        "select set_config('session_replication_role', 'replica', true);\nupdate app.orders set id = 2 where id = 1;\nalter table app.orders disable trigger user;",
    ],
    good: &[
        "alter table app.orders disable trigger user;\nupdate app.orders set id = 2 where id = 1;\nalter table app.orders enable trigger user;",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    let session = Session::new(Transaction::default());
    for (index, unit) in context.units.iter().enumerate() {
        if sets_replica(unit) {
            sink.report_at(
                unit.at,
                unit.span.clone(),
                "switches off every trigger and foreign key check of this session",
            )
            .lock(None)
            .severity(Severity::Error);
            continue;
        }
        for (table, trigger) in switched(unit, false) {
            let name = context.before.resolve(&table, &session);
            let born_here = context.after.relation(&name).is_some_and(|relation| relation.born.is_some());
            let on_again =
                context.rest_of_transaction(index).iter().flat_map(|other| switched(other, true)).any(
                    |(other, other_trigger)| {
                        other.name == table.name && (other_trigger == trigger || other_trigger.is_empty())
                    },
                );
            if !born_here && !on_again {
                let what =
                    if trigger.is_empty() { "all triggers".into() } else { format!("trigger `{trigger}`") };
                let all = match &unit.node {
                    NodeEnum::AlterTableStmt(_)
                        if unit.text.to_ascii_lowercase().contains("trigger user") =>
                    {
                        "USER"
                    }
                    _ => "ALL",
                };
                let which = if trigger.is_empty() { all.into() } else { sql::ident(&trigger) };
                sink.report_at(unit.at, unit.span.clone(), format!("{what} of `{name}` stay switched off"))
                    .on(&name)
                    .suggest(format!("ALTER TABLE {} ENABLE TRIGGER {which};", name.sql()));
            }
        }
    }
}

/// Triggers that a statement switches on or off: (table, name or "" for all).
fn switched(unit: &Unit, on: bool) -> Vec<(Name, String)> {
    use AlterTableType as T;
    let NodeEnum::AlterTableStmt(alter) = &unit.node else { return Vec::new() };
    let Some(table) = alter.relation.as_ref().map(Name::of) else { return Vec::new() };
    alter
        .cmds
        .iter()
        .filter_map(|command| match &command.node {
            Some(NodeEnum::AlterTableCmd(command)) => Some(command),
            _ => None,
        })
        .filter(|command| {
            let kinds: &[T] = if on {
                &[T::AtEnableTrig, T::AtEnableAlwaysTrig, T::AtEnableTrigAll, T::AtEnableTrigUser]
            } else {
                &[T::AtDisableTrig, T::AtDisableTrigAll, T::AtDisableTrigUser]
            };
            kinds.contains(&command.subtype())
        })
        .map(|command| (table.clone(), command.name.clone()))
        .collect()
}

fn sets_replica(unit: &Unit) -> bool {
    let set = match &unit.node {
        NodeEnum::VariableSetStmt(set) => set,
        NodeEnum::SelectStmt(_) => return calls_set_config(&unit.node),
        _ => return false,
    };
    set.name == "session_replication_role"
        && set.kind() == VariableSetKind::VarSetValue
        && set.args.first().is_some_and(|arg| match &arg.node {
            Some(NodeEnum::AConst(constant)) => {
                matches!(&constant.val, Some(a_const::Val::Sval(text)) if text.sval.eq_ignore_ascii_case("replica"))
            }
            _ => false,
        })
}

/// `set_config('session_replication_role', 'replica', …)`.
fn calls_set_config(node: &NodeEnum) -> bool {
    let text = |node: Option<&Node>| match node?.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Sval(text) => Some(text.sval.to_ascii_lowercase()),
            _ => None,
        },
        _ => None,
    };
    let mut found = false;
    sql::walk(node, &mut |part| {
        if let NodeRef::FuncCall(call) = part {
            found |= strings(&call.funcname).last().is_some_and(|name| name == "set_config")
                && text(call.args.first()).as_deref() == Some("session_replication_role")
                && text(call.args.get(1)).as_deref() == Some("replica");
        }
        true
    });
    found
}
