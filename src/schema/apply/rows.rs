//! Rows that come into a table born here: it is no longer free to lock once that is committed.

use super::Change;
use crate::schema::{Touch, touched};
use crate::sql::ast::{self, AExprKind, InsertStmt, Node, NodeEnum, TruncateStmt, UpdateStmt};

impl Change<'_> {
    pub(super) fn rows(&mut self, node: &NodeEnum) {
        if let NodeEnum::InsertStmt(insert) = node {
            self.buckets(insert);
        }
        if let NodeEnum::UpdateStmt(update) = node {
            self.changed_buckets(update);
        }
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

impl Change<'_> {
    /// A table born here is as good as new again.
    pub(super) fn truncate(&mut self, truncate: &TruncateStmt) {
        for node in &truncate.relations {
            let Some(NodeEnum::RangeVar(range)) = &node.node else { continue };
            let name = self.resolve(range);
            if let Some(relation) = self.catalog.relations.get_mut(&name) {
                relation.filled &= relation.born.is_none();
            }
        }
    }

    /// `INSERT INTO storage.buckets (id, name, public) VALUES …`: which buckets are public.
    fn buckets(&mut self, insert: &InsertStmt) {
        let Some(table) = insert.relation.as_ref().map(|range| self.resolve(range)) else { return };
        if (table.schema.as_str(), table.name.as_str()) != ("storage", "buckets") {
            return;
        }
        let written = insert.cols.iter().filter_map(|node| match node.node.as_ref()? {
            NodeEnum::ResTarget(target) => Some(target.name.clone()),
            _ => None,
        });
        let mut columns: Vec<String> = written.collect();
        if columns.is_empty()
            && let Some(relation) = self.catalog.relation(&table)
        {
            columns = relation.columns.iter().map(|column| column.name.clone()).collect();
        }
        let Some(NodeEnum::SelectStmt(select)) =
            insert.select_stmt.as_ref().and_then(|select| select.node.as_ref())
        else {
            return;
        };
        let place = |name: &str| columns.iter().position(|column| column == name);
        for row in &select.values_lists {
            let Some(NodeEnum::List(row)) = &row.node else { continue };
            let value = |name: &str| super::text_of(row.items.get(place(name)?)?);
            if let Some(id) = value("id") {
                let public = value("public").is_some_and(|it| matches!(it.as_str(), "true" | "t" | "1"));
                self.catalog.buckets.insert(id, public);
            }
        }
    }
}

impl Change<'_> {
    /// `UPDATE storage.buckets SET public = … WHERE id = …`.
    fn changed_buckets(&mut self, update: &UpdateStmt) {
        let Some(table) = update.relation.as_ref().map(|range| self.resolve(range)) else { return };
        if (table.schema.as_str(), table.name.as_str()) != ("storage", "buckets") {
            return;
        }
        let public = update.target_list.iter().find_map(|target| match target.node.as_ref()? {
            NodeEnum::ResTarget(target) if target.name == "public" => super::text_of(target.val.as_deref()?),
            _ => None,
        });
        let Some(public) = public.map(|text| matches!(text.as_str(), "true" | "t" | "1")) else { return };
        match update.where_clause.as_deref().map(named_bucket) {
            None => self.catalog.buckets.values_mut().for_each(|known| *known = public),
            Some(Some(bucket)) => _ = self.catalog.buckets.insert(bucket, public),
            // Which ones cannot be told: any may be public now.
            Some(None) if public => self.catalog.buckets.clear(),
            Some(None) => {}
        }
    }
}

/// The bucket of `id = '…'`.
fn named_bucket(condition: &Node) -> Option<String> {
    let NodeEnum::AExpr(expression) = condition.node.as_ref()? else { return None };
    let NodeEnum::ColumnRef(column) = expression.lexpr.as_ref()?.node.as_ref()? else { return None };
    let is_key =
        ast::strings(&column.fields).last().is_some_and(|name| matches!(name.as_str(), "id" | "name"));
    let equals = expression.kind() == AExprKind::AexprOp && ast::strings(&expression.name) == ["="];
    if is_key && equals { super::text_of(expression.rexpr.as_deref()?) } else { None }
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
