//! Rows that come into a table born here: it is no longer free to lock once that is committed.

use super::Change;
use crate::schema::{Touch, touched};
use crate::sql::ast::{InsertStmt, NodeEnum};

impl Change<'_> {
    pub(super) fn rows(&mut self, node: &NodeEnum) {
        let few = matches!(node, NodeEnum::InsertStmt(insert) if is_short(insert));
        let target = match node {
            NodeEnum::InsertStmt(insert) if few => insert.relation.as_ref(),
            _ => None,
        };
        for (range, touch) in touched(node) {
            let spared = target.is_some_and(|target| std::ptr::eq(target, range));
            if touch != Touch::Write || spared {
                continue;
            }
            let name = self.resolve(range);
            if let Some(relation) = self.catalog.relations.get_mut(&name) {
                relation.filled = true;
            }
        }
    }
}

/// `VALUES (…)`, `DEFAULT VALUES` and a SELECT that reads nothing: a handful of rows.
fn is_short(insert: &InsertStmt) -> bool {
    match insert.select_stmt.as_ref().and_then(|select| select.node.as_ref()) {
        Some(NodeEnum::SelectStmt(select)) => {
            select.from_clause.is_empty() && select.larg.is_none() && insert.with_clause.is_none()
        }
        _ => true,
    }
}
