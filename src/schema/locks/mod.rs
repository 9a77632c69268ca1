//! What a statement locks, and how long that takes: read off its tree.
//!
//! Modes as measured on Postgres 15 to 18 (`pg_locks` after each statement); they agree with
//! `AlterTableGetLockLevel` and with <https://www.postgresql.org/docs/current/explicit-locking.html>.

mod alter;
mod create;
mod maintain;
mod rows;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::{Catalog, Lookup, QName, Session, is_system};
use crate::{
    lock::LockMode,
    sql::ast::{AlterPublicationAction, Name, Node, NodeEnum, RangeVar},
};

/// How much work the statement does while it holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Work {
    /// Catalogue work only: milliseconds once the lock is granted.
    Brief,
    /// Changes or reads a number of rows that the statement's own predicate limits.
    Rows,
    /// Reads the whole relation.
    Scan,
    /// Builds an index: reads the whole relation and sorts.
    IndexBuild,
    /// Writes the whole relation anew, with all its indexes.
    Rewrite,
}

/// A lock that a statement takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) relation: QName,
    pub(crate) mode: LockMode,
    pub(crate) work: Work,
    /// Whether the relation was there before the change (unknown ones are assumed to be).
    pub(crate) existed: bool,
}

/// The locks of one statement, strongest per relation, in order of names.
pub(crate) fn claims(node: &NodeEnum, catalog: &Catalog, session: &Session) -> Vec<Claim> {
    let mut claims = Claims { catalog, session, found: BTreeMap::new() };
    claims.statement(node);
    // `DROP … IF EXISTS` of what no migration makes most likely finds nothing.
    let guarded = catalog.has_history && matches!(node, NodeEnum::DropStmt(drop) if drop.missing_ok);
    claims
        .found
        .into_iter()
        .map(|(relation, (mode, work))| {
            let existed = match catalog.lookup(&relation) {
                Lookup::Known(known) => known.born.is_none() && !known.temporary,
                Lookup::Dropped => false,
                Lookup::Unknown => !relation.is_temporary() && !guarded,
            };
            Claim { relation, mode, work, existed }
        })
        .collect()
}

/// The locks of one statement as they are found.
struct Claims<'a> {
    catalog: &'a Catalog,
    session: &'a Session,
    found: BTreeMap<QName, (LockMode, Work)>,
}

impl Claims<'_> {
    fn statement(&mut self, node: &NodeEnum) {
        match node {
            NodeEnum::CreateStmt(create) => self.create_table(create),
            NodeEnum::CreateTableAsStmt(create) => {
                let (into, query) = (create.into.as_deref(), create.query.as_deref());
                match into.is_some_and(|into| into.skip_data) {
                    true => self.expressions([&create.query]),
                    false => {
                        let target = into.and_then(|into| into.rel.as_ref());
                        self.create_from_query(target, create.if_not_exists, query);
                    }
                }
            }
            NodeEnum::IndexStmt(create) => self.create_index(create),
            NodeEnum::ViewStmt(create) => self.create_view(create),
            NodeEnum::CreateTrigStmt(create) => {
                self.range(create.relation.as_ref(), LockMode::ShareRowExclusive, Work::Brief);
            }
            NodeEnum::CreatePolicyStmt(create) => {
                self.range(create.table.as_ref(), LockMode::AccessExclusive, Work::Brief);
                self.expressions([&create.qual, &create.with_check]);
            }
            NodeEnum::AlterPolicyStmt(alter) => {
                self.range(alter.table.as_ref(), LockMode::AccessExclusive, Work::Brief);
                self.expressions([&alter.qual, &alter.with_check]);
            }
            NodeEnum::RuleStmt(rule) => {
                self.range(rule.relation.as_ref(), LockMode::AccessExclusive, Work::Brief);
            }
            NodeEnum::CreateStatsStmt(create) => {
                self.ranges(&create.relations, LockMode::ShareUpdateExclusive, Work::Brief);
            }
            NodeEnum::CreatePublicationStmt(create) => self.published(&create.pubobjects),
            NodeEnum::CreateFunctionStmt(create) => self.create_routine(create),
            NodeEnum::AlterPublicationStmt(alter) => {
                self.published(&alter.pubobjects);
                // SET takes every other table out.
                if alter.action() == AlterPublicationAction::ApSetObjects {
                    for table in self.catalog.publications.get(&alter.pubname).into_iter().flatten() {
                        self.claim(table, LockMode::ShareUpdateExclusive, Work::Brief);
                    }
                }
            }
            NodeEnum::CreateSchemaStmt(create) => {
                create
                    .schema_elts
                    .iter()
                    .filter_map(|element| element.node.as_ref())
                    .for_each(|node| self.statement(node));
            }
            NodeEnum::AlterTableStmt(alter) => self.alter_table(alter),
            NodeEnum::AlterSeqStmt(alter) => {
                self.range(alter.sequence.as_ref(), LockMode::ShareRowExclusive, Work::Brief);
            }
            NodeEnum::AlterDomainStmt(alter) => self.alter_domain(alter),
            NodeEnum::RenameStmt(rename) => self.rename(rename),
            NodeEnum::AlterObjectSchemaStmt(alter) => {
                self.range(alter.relation.as_ref(), LockMode::AccessExclusive, Work::Brief);
            }
            NodeEnum::DropStmt(drop) => self.drop(drop),
            NodeEnum::TruncateStmt(truncate) => self.truncate(truncate),
            NodeEnum::CommentStmt(comment) => self.comment(comment),
            NodeEnum::LockStmt(lock) => self.lock(lock),
            NodeEnum::ClusterStmt(cluster) => {
                self.range(cluster.relation.as_ref(), LockMode::AccessExclusive, Work::Rewrite);
            }
            NodeEnum::VacuumStmt(vacuum) => self.vacuum(vacuum),
            NodeEnum::ReindexStmt(reindex) => self.reindex(reindex),
            NodeEnum::RefreshMatViewStmt(refresh) => self.refresh(refresh),
            NodeEnum::SelectStmt(_)
            | NodeEnum::InsertStmt(_)
            | NodeEnum::UpdateStmt(_)
            | NodeEnum::DeleteStmt(_)
            | NodeEnum::MergeStmt(_)
            | NodeEnum::CopyStmt(_)
            | NodeEnum::CallStmt(_)
            | NodeEnum::DeclareCursorStmt(_)
            | NodeEnum::ExplainStmt(_) => self.rows(node),
            _ => {}
        }
    }

    /// Adds a lock: the stronger mode and the longer work win, each for itself.
    fn claim(&mut self, relation: &QName, mode: LockMode, work: Work) {
        if is_system(relation) {
            return;
        }
        let found = self.found.entry(relation.clone()).or_insert((mode, work));
        *found = (found.0.max(mode), found.1.max(work));
    }

    /// Adds a lock on a relation and on all its partitions.
    fn claim_tree(&mut self, relation: &QName, mode: LockMode, work: Work) {
        self.claim(relation, mode, work);
        for partition in self.catalog.partitions(relation) {
            self.claim(&partition.name, mode, work);
        }
    }

    fn range(&mut self, range: Option<&RangeVar>, mode: LockMode, work: Work) {
        if let Some(range) = range {
            let name = self.resolve(range);
            self.claim(&name, mode, work);
        }
    }

    fn ranges(&mut self, nodes: &[Node], mode: LockMode, work: Work) {
        for node in nodes {
            if let Some(NodeEnum::RangeVar(range)) = &node.node {
                self.range(Some(range), mode, work);
            }
        }
    }

    /// Tables that expressions read while they are stored: nobody waits for that.
    fn expressions<const N: usize>(&mut self, nodes: [&Option<Box<Node>>; N]) {
        for node in nodes.into_iter().flatten().filter_map(|node| node.node.as_ref()) {
            for read in self.catalog.reads(node, self.session) {
                self.claim(&read, LockMode::AccessShare, Work::Brief);
            }
        }
    }

    fn resolve(&self, range: &RangeVar) -> QName {
        self.catalog.resolve_range(range, self.session)
    }

    fn resolve_name(&self, node: &Node) -> Option<QName> {
        crate::sql::ast::name(node).map(|name: Name| self.catalog.resolve(&name, self.session))
    }
}

/// Whether an option such as `CONCURRENTLY` or `FULL` stands in the list and is not switched off.
fn is_on(options: &[Node], name: &str) -> bool {
    options.iter().any(|node| match &node.node {
        Some(NodeEnum::DefElem(option)) if option.defname.eq_ignore_ascii_case(name) => {
            match option.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
                None => true,
                Some(NodeEnum::String(text)) => {
                    !matches!(text.sval.to_lowercase().as_str(), "false" | "off" | "no" | "0")
                }
                Some(NodeEnum::Integer(value)) => value.ival != 0,
                Some(NodeEnum::Boolean(value)) => value.boolval,
                Some(_) => true,
            }
        }
        _ => false,
    })
}
