//! What a statement locks, and how long that takes: read off its tree.

use super::{Catalog, QName, Session};
use crate::{lock::LockMode, sql::ast::NodeEnum};

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
pub(crate) fn claims(_node: &NodeEnum, _catalog: &Catalog, _session: &Session) -> Vec<Claim> {
    Vec::new()
}
