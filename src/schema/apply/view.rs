//! Views and materialized views.

use super::Change;
use crate::schema::{Column, Relation, RelationKind};
use crate::sql::ast::{self, RefreshMatViewStmt, ViewStmt};

impl Change<'_> {
    /// CREATE OR REPLACE keeps grants and owner and resets every option that is not written again.
    pub(super) fn create_view(&mut self, create: &ViewStmt) {
        let (Some(range), Some(query)) = (&create.view, &create.query) else { return };
        let name = self.catalog.place_range(range, self.session);
        let mut view = match self.catalog.relations.get(&name) {
            Some(known) if create.replace && known.kind == RelationKind::View => known.clone(),
            _ => Relation::new(name.clone(), RelationKind::View, Some(self.at)),
        };
        view.temporary = name.is_temporary();
        view.secured = Some(self.at);
        view.options = super::options(&create.options);
        view.query = Some(query.clone());
        if let Some(node) = &query.node {
            view.reads = self.catalog.reads(node, self.session);
            (view.columns, view.columns_known) = self.catalog.columns_of(node, self.session);
        }
        for (column, alias) in view.columns.iter_mut().zip(ast::strings(&create.aliases)) {
            column.name = alias;
        }
        view.columns.iter_mut().for_each(|column: &mut Column| column.born = view.born);
        if create.replace && self.catalog.relations.contains_key(&name) {
            self.catalog.relations.insert(name, view);
        } else {
            self.put(view);
        }
    }

    pub(super) fn refresh(&mut self, refresh: &RefreshMatViewStmt) {
        let Some(name) = refresh.relation.as_ref().map(|range| self.resolve(range)) else { return };
        if let Some(view) = self.catalog.relations.get_mut(&name) {
            view.populated = !refresh.skip_data;
        }
    }
}
