//! Which statements Postgres refuses to run inside a transaction block.
//!
//! From the calls of `PreventInTransactionBlock` in `src/backend` (tcop/utility.c and the commands it
//! dispatches to). What depends on the catalog (`REINDEX TABLE` of a partitioned table) cannot be
//! seen here; the server's error 25001 says so, and `-- lockkeeper: transaction off` is the answer.

use std::collections::{HashMap, HashSet};

use super::{
    ast::{
        AlterSubscriptionType, AlterTableType, DefElem, DiscardMode, IndexStmt, Name, Node, NodeEnum,
        ObjectType, ReindexObjectType, TransactionStmt, TransactionStmtKind, name as name_of, strings,
    },
    cut::{Cut, Piece},
    parallel::with_large_stack,
    parse::{contains_ignoring_case, parse},
    quote::literal,
};

/// A statement that cannot run in a transaction, with what is needed to see later whether it was
/// carried out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outside {
    CreateIndex(Box<IndexStmt>),
    DropIndex(Vec<Name>),
    /// `REINDEX … CONCURRENTLY` of one index or table; running it again is always right.
    Reindex(Option<Name>),
    AddValue {
        type_name: Name,
        label: String,
    },
    DetachPartition {
        parent: Name,
        partition: Name,
    },
    /// CREATE of a database, tablespace or subscription: catalog, name column, name.
    Create(&'static str, &'static str, String),
    /// DROP of one.
    Drop(&'static str, &'static str, String),
    /// VACUUM, ALTER SYSTEM and others that may be run any number of times.
    Repeatable,
    /// What may commit by itself and leaves no trace that we could read: CALL and DO in a file with
    /// `transaction off`.
    Opaque,
    /// In a file with `transaction off`: in a transaction of its own.
    Alone,
    /// An UPDATE or DELETE that a directive asks to run in batches.
    Batches,
    /// In such a file: a BEGIN or its COMMIT. What stands between them is one step anyway.
    Control,
}

impl Outside {
    /// Whether it is one of the builds that take only weak locks and wait for old transactions to end.
    pub(crate) fn is_concurrent(&self) -> bool {
        matches!(
            self,
            Self::CreateIndex(_) | Self::DropIndex(_) | Self::Reindex(Some(_)) | Self::DetachPartition { .. }
        )
    }
}

/// How each statement of a script has to run: `None` in a transaction, else outside, and why.
///
/// Statements that do not parse count as transactional: the server will say what is wrong.
pub(crate) fn modes(sql: &str, cut: &Cut, transaction_off: bool) -> Vec<Option<Outside>> {
    let pieces: Vec<&Piece> = cut.statements().collect();
    let texts: Vec<&str> = pieces.iter().map(|piece| &sql[piece.body.clone()]).collect();
    let mut texts_that_matter = texts.iter().map(|text| may_matter(text, transaction_off));
    if !texts_that_matter.any(|matters| matters) && !transaction_off {
        return texts.iter().map(|_| None).collect();
    }
    with_large_stack(|| {
        let nodes: Vec<Option<NodeEnum>> = texts
            .iter()
            .map(|text| match may_matter(text, transaction_off) {
                true => parse(text).ok().and_then(|nodes| nodes.into_iter().next()?.node),
                false => None,
            })
            .collect();
        let mut in_block = false;
        let mut labels = Labels::new(&texts, &nodes);
        nodes
            .iter()
            .enumerate()
            .map(|(at, node)| {
                let forced = match node.as_ref() {
                    Some(node) => labels.used_later(node, at).or_else(|| outside(node)),
                    None => None,
                };
                if !transaction_off || forced.is_some() {
                    return forced;
                }
                match node.as_ref() {
                    Some(NodeEnum::TransactionStmt(transaction)) => {
                        in_block = begins(transaction) || (in_block && !ends(transaction));
                        (begins(transaction) || ends(transaction)).then_some(Outside::Control)
                    }
                    _ if in_block => None,
                    Some(NodeEnum::CallStmt(_) | NodeEnum::DoStmt(_)) => Some(Outside::Opaque),
                    _ => Some(Outside::Alone),
                }
            })
            .collect()
    })
}

/// Whether the kind of a statement can decide how it runs: only then it is worth parsing.
fn may_matter(text: &str, transaction_off: bool) -> bool {
    const HARMLESS: &[&str] = &[
        "insert", "update", "delete", "select", "comment", "grant", "revoke", "set", "with", "truncate",
        "values", "refresh",
    ];
    const HARMLESS_OBJECTS: &[&str] = &[
        "table",
        "policy",
        "or",
        "view",
        "function",
        "trigger",
        "extension",
        "sequence",
        "schema",
        "domain",
    ];
    let word =
        |text: &str| text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default().to_lowercase();
    let first = word(text);
    let second = || word(text[first.len()..].trim_start());
    let concurrent = || contains_ignoring_case(text, "concurrently");
    let harmless = match first.as_str() {
        "create" | "drop" => match second().as_str() {
            "index" | "unique" => !concurrent(),
            other => HARMLESS_OBJECTS.contains(&other),
        },
        "alter" => match second().as_str() {
            "table" => !concurrent(),
            other => HARMLESS_OBJECTS.contains(&other),
        },
        "do" | "call" => !transaction_off,
        first => HARMLESS.contains(&first),
    };
    !harmless
}

fn begins(statement: &TransactionStmt) -> bool {
    [TransactionStmtKind::TransStmtBegin, TransactionStmtKind::TransStmtStart]
        .iter()
        .any(|kind| statement.kind == *kind as i32)
}

fn ends(statement: &TransactionStmt) -> bool {
    [TransactionStmtKind::TransStmtCommit, TransactionStmtKind::TransStmtRollback]
        .iter()
        .any(|kind| statement.kind == *kind as i32)
}

/// Why one statement cannot run in a transaction block; `None` if it can.
pub(crate) fn outside(node: &NodeEnum) -> Option<Outside> {
    match node {
        NodeEnum::IndexStmt(index) if index.concurrent => Some(Outside::CreateIndex(index.clone())),
        NodeEnum::DropStmt(drop) if drop.concurrent && drop.remove_type == ObjectType::ObjectIndex as i32 => {
            Some(Outside::DropIndex(drop.objects.iter().filter_map(name_of).collect()))
        }
        NodeEnum::ReindexStmt(reindex) => {
            let whole = [
                ReindexObjectType::ReindexObjectSchema,
                ReindexObjectType::ReindexObjectSystem,
                ReindexObjectType::ReindexObjectDatabase,
            ]
            .iter()
            .any(|kind| reindex.kind == *kind as i32);
            let concurrently = option(&reindex.params, "concurrently").is_some_and(is_on);
            if whole {
                Some(Outside::Reindex(None))
            } else {
                concurrently.then(|| Outside::Reindex(reindex.relation.as_ref().map(Name::of)))
            }
        }
        NodeEnum::AlterTableStmt(alter) => {
            let parent = Name::of(alter.relation.as_ref()?);
            alter.cmds.iter().find_map(|command| match command.node.as_ref()? {
                NodeEnum::AlterTableCmd(command)
                    if command.subtype == AlterTableType::AtDetachPartition as i32 =>
                {
                    match command.def.as_ref()?.node.as_ref()? {
                        NodeEnum::PartitionCmd(detach) if detach.concurrent => {
                            Some(Outside::DetachPartition {
                                parent: parent.clone(),
                                partition: Name::of(detach.name.as_ref()?),
                            })
                        }
                        _ => None,
                    }
                }
                _ => None,
            })
        }
        // ANALYZE shares the node and may run anywhere.
        NodeEnum::VacuumStmt(vacuum) => vacuum.is_vacuumcmd.then_some(Outside::Repeatable),
        NodeEnum::ClusterStmt(cluster) => cluster.relation.is_none().then_some(Outside::Repeatable),
        NodeEnum::AlterSystemStmt(_) => Some(Outside::Repeatable),
        NodeEnum::DiscardStmt(discard) => {
            (discard.target == DiscardMode::DiscardAll as i32).then_some(Outside::Repeatable)
        }
        NodeEnum::AlterDatabaseStmt(alter) => {
            option(&alter.options, "tablespace").map(|_| Outside::Repeatable)
        }
        NodeEnum::CreatedbStmt(create) => {
            Some(Outside::Create("pg_database", "datname", create.dbname.clone()))
        }
        NodeEnum::DropdbStmt(drop) => Some(Outside::Drop("pg_database", "datname", drop.dbname.clone())),
        NodeEnum::CreateTableSpaceStmt(create) => {
            Some(Outside::Create("pg_tablespace", "spcname", create.tablespacename.clone()))
        }
        NodeEnum::DropTableSpaceStmt(drop) => {
            Some(Outside::Drop("pg_tablespace", "spcname", drop.tablespacename.clone()))
        }
        // Only a subscription that makes its slot on the publisher needs it.
        NodeEnum::CreateSubscriptionStmt(create) => {
            let slot =
                ["connect", "create_slot"].iter().all(|name| option(&create.options, name).is_none_or(is_on));
            slot.then(|| Outside::Create("pg_subscription", "subname", create.subname.clone()))
        }
        NodeEnum::DropSubscriptionStmt(drop) => {
            Some(Outside::Drop("pg_subscription", "subname", drop.subname.clone()))
        }
        NodeEnum::AlterSubscriptionStmt(alter) => {
            let kinds = [
                AlterSubscriptionType::AlterSubscriptionRefresh,
                AlterSubscriptionType::AlterSubscriptionSetPublication,
                AlterSubscriptionType::AlterSubscriptionAddPublication,
                AlterSubscriptionType::AlterSubscriptionDropPublication,
            ];
            let refreshes = option(&alter.options, "refresh").is_none_or(is_on);
            (refreshes && kinds.iter().any(|kind| alter.kind == *kind as i32)).then_some(Outside::Repeatable)
        }
        NodeEnum::TransactionStmt(transaction) => {
            let kinds = [
                TransactionStmtKind::TransStmtCommitPrepared,
                TransactionStmtKind::TransStmtRollbackPrepared,
            ];
            kinds.iter().any(|kind| transaction.kind == *kind as i32).then_some(Outside::Opaque)
        }
        _ => None,
    }
}

/// `ALTER TYPE … ADD VALUE` may run in a transaction, but its value may not be used there, unless the
/// type is as new. <https://www.postgresql.org/docs/current/sql-altertype.html>
struct Labels<'a> {
    texts: &'a [&'a str],
    /// Enums that the statements so far made.
    made: HashSet<String>,
    /// Of each literal, the last statement that holds it.
    last: HashMap<&'a str, usize>,
    /// Of each item of an array literal, the same.
    last_item: HashMap<&'a str, usize>,
}

impl<'a> Labels<'a> {
    fn new(texts: &'a [&'a str], nodes: &[Option<NodeEnum>]) -> Self {
        let (mut last, mut last_item) = (HashMap::new(), HashMap::new());
        if nodes.iter().any(|node| matches!(node, Some(NodeEnum::AlterEnumStmt(_)))) {
            for (number, text) in texts.iter().enumerate() {
                for literal in quoted(text) {
                    last.insert(literal, number);
                    let items = literal.strip_prefix("'{").and_then(|items| items.strip_suffix("}'"));
                    let items = items.into_iter().flat_map(|items| items.split(','));
                    last_item.extend(items.map(|item| (item.trim().trim_matches('"'), number)));
                }
            }
        }
        Self { texts, made: HashSet::new(), last, last_item }
    }

    /// Takes the statements in their order.
    fn used_later(&mut self, node: &NodeEnum, at: usize) -> Option<Outside> {
        let alter = match node {
            NodeEnum::AlterEnumStmt(alter) if alter.old_val.is_empty() => alter,
            NodeEnum::CreateEnumStmt(create) => {
                self.made.extend(Name::from_parts(&strings(&create.type_name)).map(|name| name.name));
                return None;
            }
            _ => return None,
        };
        let type_name = Name::from_parts(&strings(&alter.type_name))?;
        let label = literal(&alter.new_val);
        let used = match label.trim_matches('\'').contains(['\'', '\\']) {
            true => self.texts[at + 1..].iter().any(|text| text.contains(&label)),
            false => self.last.get(label.as_str()).is_some_and(|last| *last > at),
        };
        let used = used || self.last_item.get(alter.new_val.as_str()).is_some_and(|last| *last > at);
        (used && !self.made.contains(&type_name.name))
            .then(|| Outside::AddValue { type_name, label: alter.new_val.clone() })
    }
}

/// What stands between each two quotes of a text, with them: every literal of it, and what lies between
/// literals.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let quotes: Vec<usize> = text.match_indices('\'').map(|(at, _)| at).collect();
    (1..quotes.len()).map(move |at| (quotes[at - 1], quotes[at])).map(|(from, to)| &text[from..=to])
}

fn option<'a>(options: &'a [Node], name: &str) -> Option<&'a DefElem> {
    options.iter().find_map(|option| match option.node.as_ref()? {
        NodeEnum::DefElem(element) if element.defname == name => Some(element.as_ref()),
        _ => None,
    })
}

/// A boolean option: on unless it says otherwise.
fn is_on(option: &DefElem) -> bool {
    let Some(value) = option.arg.as_ref().and_then(|arg| arg.node.as_ref()) else { return true };
    match value {
        NodeEnum::String(text) => !matches!(text.sval.to_lowercase().as_str(), "false" | "off" | "0" | "no"),
        NodeEnum::Integer(number) => number.ival != 0,
        NodeEnum::Boolean(boolean) => boolean.boolval,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::cut;

    /// `i` for inside, `o` for outside, a letter a statement.
    fn check(sql: &str, expected: &str) {
        let modes = modes(sql, &cut(sql), false);
        let found: String = modes.iter().map(|mode| if mode.is_some() { 'o' } else { 'i' }).collect();
        assert_eq!(found, expected, "{sql}");
    }

    #[test]
    fn concurrent_builds_run_outside() {
        check("create index concurrently i on t (a)", "o");
        check("create /* x */ unique index concurrently if not exists i on t (a)", "o");
        check("create index i on t (a)", "i");
        check("drop index concurrently i", "o");
        check("drop index i", "i");
        check("reindex index concurrently i; reindex (concurrently) table t; reindex table t", "ooi");
        check("reindex (concurrently false) table t", "i");
        check("reindex schema s; reindex database d", "oo");
        check("alter table p detach partition c concurrently", "o");
        check("alter table p detach partition c; alter table p detach partition c finalize", "ii");
        check("refresh materialized view concurrently m", "i");
    }

    #[test]
    fn maintenance_runs_outside() {
        check("vacuum t; vacuum (analyze) t; analyze t", "ooi");
        check("cluster; cluster t using i", "oi");
        check("alter system set work_mem = '1MB'", "o");
        check("create database d; drop database d; alter database d set tablespace x", "ooo");
        check("alter database d set work_mem = '1MB'", "i");
        check("create tablespace x location '/x'; drop tablespace x", "oo");
        check("create subscription s connection '' publication p", "o");
        check("create subscription s connection '' publication p with (connect = false)", "i");
        check("drop subscription s; alter subscription s refresh publication", "oo");
    }

    #[test]
    fn a_new_enum_value_is_outside_only_when_used() {
        check("alter type mood add value 'ok'; insert into t values ('ok')", "oi");
        check("alter type mood add value 'ok'; insert into t values ('sad')", "ii");
        check("alter type mood add value 'ok'; select '{sad, ok}'::mood[]", "oi");
        check("alter type mood add value 'ok'; select '{sad}'::mood[]", "ii");
        check(
            "create type mood as enum (); alter type mood add value 'ok'; insert into t values ('ok')",
            "iii",
        );
        check("alter type mood rename value 'a' to 'b'; insert into t values ('b')", "ii");
        check("alter type mood add value 'it''s'; insert into t values ('it''s')", "oi");
        check("insert into t values ('ok'); alter type mood add value 'ok'", "ii");
    }

    #[test]
    fn with_transaction_off_each_stands_alone_but_blocks() {
        let sql = "insert into t values (1); call p(); begin; select 1; select 2; commit; vacuum t";
        let found: Vec<bool> = modes(sql, &cut(sql), true).iter().map(Option::is_some).collect();
        assert_eq!(found, [true, true, true, false, false, true, true]);
    }

    #[test]
    fn what_does_not_parse_is_left_to_the_server() {
        check("create tabel t; create index concurrently i on t (a)", "io");
    }
}
