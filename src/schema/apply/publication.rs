//! Publications, as far as Supabase's Realtime reads them.

use super::Change;
use crate::schema::QName;
use crate::sql::ast::{AlterPublicationAction, AlterPublicationStmt, CreatePublicationStmt, Node, NodeEnum};

impl Change<'_> {
    fn published(&self, objects: &[Node]) -> Vec<QName> {
        objects
            .iter()
            .filter_map(|node| match node.node.as_ref()? {
                NodeEnum::PublicationObjSpec(object) => object.pubtable.as_ref()?.relation.as_ref(),
                _ => None,
            })
            .map(|range| self.resolve(range))
            .collect()
    }

    pub(super) fn create_publication(&mut self, create: &CreatePublicationStmt) {
        if self.guarded && self.catalog.publications.contains_key(&create.pubname) {
            return;
        }
        let tables = self.published(&create.pubobjects);
        self.catalog.publications.insert(create.pubname.clone(), tables);
    }

    pub(super) fn alter_publication(&mut self, alter: &AlterPublicationStmt) {
        let tables = self.published(&alter.pubobjects);
        let listed = self.catalog.publications.entry(alter.pubname.clone()).or_default();
        match alter.action() {
            AlterPublicationAction::ApDropObjects => listed.retain(|table| !tables.contains(table)),
            AlterPublicationAction::ApSetObjects => *listed = tables,
            _ => {
                listed.extend(tables);
                listed.sort();
                listed.dedup();
            }
        }
    }
}
