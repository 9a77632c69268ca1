//! Locks of statements that read and write rows.

use super::{Claims, Work};
use crate::lock::LockMode;
use crate::schema::{ConstraintKind, QName, RelationKind, Touch, touched};
use crate::sql::ast::NodeEnum;

impl Claims<'_> {
    pub(super) fn rows(&mut self, node: &NodeEnum) {
        let limited = is_limited(node);
        let work = if limited { Work::Rows } else { Work::Scan };
        for (range, touch) in touched(node) {
            let name = self.resolve(range);
            match touch {
                Touch::Read => self.read(&name, LockMode::AccessShare, work, 0),
                Touch::LockRows => self.read(&name, LockMode::RowShare, work, 0),
                Touch::Write => {
                    let writes_all =
                        matches!(node, NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_)) && !limited;
                    self.claim(
                        &name,
                        LockMode::RowExclusive,
                        if writes_all { Work::Scan } else { Work::Rows },
                    );
                    if matches!(node, NodeEnum::InsertStmt(_) | NodeEnum::CopyStmt(_)) {
                        self.checked_parents(&name);
                    }
                }
            }
        }
    }

    /// Reading a view reads what is below it.
    fn read(&mut self, name: &QName, mode: LockMode, work: Work, depth: usize) {
        self.claim(name, mode, work);
        let Some(view) = self.catalog.relation(name).filter(|known| known.kind == RelationKind::View) else {
            return;
        };
        // Views cannot form a ring, but a model that is read from broken SQL can.
        if depth < 16 {
            for below in view.reads.clone() {
                self.read(&below, mode, work, depth + 1);
            }
        }
    }

    /// Each new row looks for its parents, which must not go meanwhile: `SELECT … FOR KEY SHARE`.
    fn checked_parents(&mut self, table: &QName) {
        let Some(relation) = self.catalog.relation(table) else { return };
        for constraint in &relation.constraints {
            if let ConstraintKind::Foreign { target, .. } = &constraint.kind {
                self.claim(target, LockMode::RowShare, Work::Rows);
            }
        }
    }
}

/// Whether the statement has a predicate of its own.
fn is_limited(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::UpdateStmt(update) => update.where_clause.is_some(),
        NodeEnum::DeleteStmt(delete) => delete.where_clause.is_some(),
        NodeEnum::SelectStmt(select) => {
            select.where_clause.is_some() || select.limit_count.is_some() || select.from_clause.is_empty()
        }
        NodeEnum::InsertStmt(insert) => {
            insert.select_stmt.as_ref().and_then(|select| select.node.as_ref()).is_none_or(is_limited)
        }
        NodeEnum::ExplainStmt(_) | NodeEnum::CallStmt(_) | NodeEnum::DeclareCursorStmt(_) => true,
        _ => false,
    }
}
