//! Sequences.

use super::{Change, option};
use crate::schema::{QName, Relation, RelationKind};
use crate::sql::ast::{self, AlterSeqStmt, CreateSeqStmt, Name, Node, NodeEnum};

impl Change<'_> {
    pub(super) fn create_sequence(&mut self, create: &CreateSeqStmt) {
        let Some(range) = &create.sequence else { return };
        let name = self.catalog.place_range(range, self.session);
        if (create.if_not_exists || self.guarded) && self.catalog.relations.contains_key(&name) {
            return;
        }
        let mut sequence = Relation::new(name, RelationKind::Sequence, Some(self.at));
        sequence.temporary = sequence.name.is_temporary();
        sequence.owned_by = self.owner_of(&create.options);
        self.put(sequence);
    }

    pub(super) fn alter_sequence(&mut self, alter: &AlterSeqStmt) {
        let Some(name) = alter.sequence.as_ref().map(|range| self.resolve(range)) else { return };
        if option(&alter.options, "owned_by").is_none() {
            return;
        }
        let owner = self.owner_of(&alter.options);
        if let Some(mut sequence) = self.catalog.relations.remove(&name) {
            sequence.owned_by = owner;
            self.catalog.relations.insert(name, sequence);
        }
    }

    /// `OWNED BY table.column`, or `OWNED BY NONE`.
    fn owner_of(&self, options: &[Node]) -> Option<(QName, String)> {
        let NodeEnum::List(list) = option(options, "owned_by")?.arg.as_ref()?.node.as_ref()? else {
            return None;
        };
        let mut path = ast::strings(&list.items);
        let column = path.pop()?;
        Some((self.catalog.resolve(&Name::from_parts(&path)?, self.session), column))
    }
}
