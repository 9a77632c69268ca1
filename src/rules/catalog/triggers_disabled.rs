//! Triggers switched off.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{ChangeContext, Check, Rule, Sink, context::subcommands, names},
    schema::{Session, Transaction, Unit},
    sql::{
        self,
        ast::{
            AlterTableCmd, AlterTableType, Name, Node, NodeEnum, NodeRef, ObjectType, VariableSetKind,
            a_const, strings,
        },
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
        "alter table app.orders disable trigger all;\nalter table app.orders enable trigger user;",
        "select set_config('session_replication_role', 'replica', true);\nupdate app.orders set id = 2 where id = 1;\nalter table app.orders disable trigger user;",
    ],
    good: &[
        "alter table app.orders disable trigger user;\nupdate app.orders set id = 2 where id = 1;\nalter table app.orders enable trigger user;",
        "alter table app.orders disable trigger user, enable trigger all;",
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
        for (place, off) in switches(unit).into_iter().enumerate().filter(|(_, switch)| !switch.on) {
            let name = context.before.resolve(&off.table, &session);
            let born_here = context.after.relation(&name).is_some_and(|relation| relation.born.is_some());
            let later = switches(unit)
                .into_iter()
                .skip(place + 1)
                .any(|on| undoes(&on, &off, std::slice::from_ref(&off.table.name)));
            if born_here || later || undone_later(context, index, &off) {
                continue;
            }
            let what = match off.which {
                Which::All => "all triggers".to_owned(),
                Which::User => "all triggers but those of foreign keys".to_owned(),
                Which::One(ref trigger) => format!("trigger `{trigger}`"),
            };
            let (stay, which) = match &off.which {
                Which::All => ("stay", "ALL".to_owned()),
                Which::User => ("stay", "USER".to_owned()),
                Which::One(trigger) => ("stays", sql::ident(trigger)),
            };
            sink.report_at(unit.at, unit.span.clone(), format!("{what} of `{name}` {stay} switched off"))
                .on(&name)
                .suggest(format!("ALTER TABLE {} ENABLE TRIGGER {which};", name.sql()));
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    /// Those of foreign keys too.
    All,
    User,
    One(String),
}

/// One subcommand that switches triggers on or off.
struct Switch {
    table: Name,
    which: Which,
    on: bool,
}

/// Whether the rest of the transaction switches them on again, or takes them or their table away.
fn undone_later(context: &ChangeContext<'_>, index: usize, off: &Switch) -> bool {
    let mut called = vec![off.table.name.clone()];
    context.rest_of_transaction(index).iter().any(|unit| {
        if let NodeEnum::RenameStmt(rename) = &unit.node
            && rename.rename_type() == ObjectType::ObjectTable
            && rename.relation.as_ref().is_some_and(|range| called.contains(&range.relname))
        {
            called.push(rename.newname.clone());
        }
        let gone = names::dropped(&unit.node).iter().any(|(kind, name)| match kind {
            ObjectType::ObjectTable => called.contains(&name.name),
            ObjectType::ObjectTrigger => {
                off.which == Which::One(name.name.clone())
                    && name.schema.as_ref().is_some_and(|table| called.contains(table))
            }
            _ => false,
        });
        gone || switches(unit).iter().any(|on| undoes(on, off, &called))
    })
}

/// `called`: the names that the table has had.
fn undoes(on: &Switch, off: &Switch, called: &[String]) -> bool {
    let covers = match (&on.which, &off.which) {
        (Which::All, _) => true,
        (Which::User, off) => *off != Which::All,
        (one, off) => one == off,
    };
    on.on && covers && called.contains(&on.table.name)
}

fn switches(unit: &Unit) -> Vec<Switch> {
    use AlterTableType as T;
    let NodeEnum::AlterTableStmt(alter) = &unit.node else { return Vec::new() };
    let Some(table) = alter.relation.as_ref().map(Name::of) else { return Vec::new() };
    let switch = |command: &AlterTableCmd| {
        let one = || Which::One(command.name.clone());
        let (which, on) = match command.subtype() {
            T::AtEnableTrig | T::AtEnableAlwaysTrig => (one(), true),
            T::AtEnableTrigAll => (Which::All, true),
            T::AtEnableTrigUser => (Which::User, true),
            T::AtDisableTrig => (one(), false),
            T::AtDisableTrigAll => (Which::All, false),
            T::AtDisableTrigUser => (Which::User, false),
            _ => return None,
        };
        Some(Switch { table: table.clone(), which, on })
    };
    subcommands(alter).into_iter().filter_map(switch).collect()
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
