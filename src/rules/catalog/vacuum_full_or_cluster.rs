//! `VACUUM FULL` and `CLUSTER`.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink},
    sql::ast::{Node, NodeEnum, a_const},
};

pub(super) static RULE: Rule = Rule {
    name: "vacuum-full-or-cluster",
    category: Category::Rewrite,
    severity: Severity::Error,
    summary: "writes a table anew to shrink or sort it",
    why: "The whole table is copied while every read and write waits.",
    instead: "Use pg_repack or pg_squeeze, which need the lock only for a moment.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-vacuum.html",
        "https://www.postgresql.org/docs/current/sql-cluster.html",
    ],
    peers: &[
        "sq:prefer-repack",
        "pgls:ban-vacuum-full",
        "pf:vacuum-full",
        "ps:vacuum-full-cluster",
        "sfm:vacuum-full",
        "pgm:PGM018",
        "pgm:PGM021",
        "pgr:unsafe/vacuum-full",
        "pgr:unsafe/cluster",
    ],
    takes: Some(LockMode::AccessExclusive),
    rewrites: true,
    given: "create table app.orders (id bigint primary key);",
    bad: &[
        "-- lockkeeper: transaction off\nvacuum full app.orders;",
        "-- lockkeeper: transaction off\nvacuum (full, analyze) app.orders;",
        "cluster app.orders using orders_pkey;",
    ],
    good: &[
        "-- lockkeeper: transaction off\nvacuum app.orders;",
        "-- lockkeeper: transaction off\nvacuum (full false) app.orders;",
        "alter table app.orders cluster on orders_pkey;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let (what, table) = match context.node {
        NodeEnum::VacuumStmt(vacuum) if vacuum.is_vacuumcmd => {
            let full = vacuum.options.iter().any(|option| match &option.node {
                Some(NodeEnum::DefElem(option)) => option.defname == "full" && is_on(option.arg.as_deref()),
                _ => false,
            });
            if !full {
                return;
            }
            let tables = || {
                vacuum.rels.iter().filter_map(|relation| match &relation.node {
                    Some(NodeEnum::VacuumRelation(relation)) => relation.relation.as_ref(),
                    _ => None,
                })
            };
            let live = tables().find(|range| context.is_live(&context.resolve(range)));
            ("VACUUM FULL", live.or_else(|| tables().next()))
        }
        NodeEnum::ClusterStmt(cluster) => ("CLUSTER", cluster.relation.as_ref()),
        _ => return,
    };
    match table.map(|range| context.resolve(range)) {
        Some(table) if context.is_live(&table) => {
            sink.report(format!(
                "{what} rewrites `{table}` under ACCESS EXCLUSIVE; every read and write of it waits"
            ))
            .on(&table);
        }
        Some(_) => {}
        None => {
            sink.report(format!("{what} rewrites every table, one after the other, under ACCESS EXCLUSIVE"));
        }
    }
}

/// Whether an option without a value, or with a true one, is given.
fn is_on(value: Option<&Node>) -> bool {
    match value.and_then(|value| value.node.as_ref()) {
        None => true,
        Some(NodeEnum::Boolean(value)) => value.boolval,
        Some(NodeEnum::Integer(value)) => value.ival != 0,
        Some(NodeEnum::String(text)) => {
            !matches!(text.sval.to_lowercase().as_str(), "false" | "off" | "no" | "0")
        }
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(a_const::Val::Boolval(value)) => value.boolval,
            Some(a_const::Val::Ival(value)) => value.ival != 0,
            _ => true,
        },
        Some(_) => true,
    }
}
