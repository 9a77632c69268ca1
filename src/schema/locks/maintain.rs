//! Locks of DROP, TRUNCATE, LOCK, COMMENT and of maintenance commands.

use super::{Claims, Work, is_on};
use crate::lock::LockMode;
use crate::schema::{QName, RelationKind, Trigger};
use crate::sql::ast::{
    self, CommentStmt, DropBehavior, DropStmt, LockStmt, Name, Node, NodeEnum, ObjectType as O,
    RefreshMatViewStmt, ReindexObjectType, ReindexStmt, TruncateStmt, VacuumStmt,
};

impl Claims<'_> {
    pub(super) fn drop(&mut self, drop: &DropStmt) {
        let cascade = drop.behavior() == DropBehavior::DropCascade;
        for object in &drop.objects {
            match drop.remove_type() {
                O::ObjectTable
                | O::ObjectForeignTable
                | O::ObjectView
                | O::ObjectMatview
                | O::ObjectSequence => {
                    let name = self.resolve_name(object);
                    if let Some(name) = name.filter(|it| !(drop.missing_ok && self.catalog.never_made(it))) {
                        self.drop_relation(&name, cascade);
                    }
                }
                O::ObjectIndex => {
                    let Some(name) = ast::name(object) else { continue };
                    let index = self.catalog.resolve_index(&name, self.session);
                    let mode = match drop.concurrent {
                        true => LockMode::ShareUpdateExclusive,
                        false => LockMode::AccessExclusive,
                    };
                    if let Some(table) = self.catalog.index(&index).map(|(table, _)| table.name.clone()) {
                        self.claim(&table, mode, Work::Brief);
                    }
                }
                O::ObjectTrigger | O::ObjectPolicy | O::ObjectRule
                    if !(drop.missing_ok && self.lacks(object, drop.remove_type())) =>
                {
                    self.part(object, LockMode::AccessExclusive);
                }
                O::ObjectSchema if cascade => {
                    let Some(schema) = ast::string(object) else { continue };
                    let inside: Vec<QName> =
                        self.catalog.relations.keys().filter(|name| name.schema == schema).cloned().collect();
                    inside.iter().for_each(|name| self.drop_relation(name, true));
                }
                O::ObjectType | O::ObjectDomain if cascade => {
                    let Some(name) = ast::name(object) else { continue };
                    let ty = self.catalog.resolve_type(&name, self.session);
                    self.claim_where(|relation| {
                        relation.columns.iter().any(|column| column.ty.qname().as_ref() == Some(&ty))
                    });
                }
                O::ObjectFunction | O::ObjectProcedure | O::ObjectRoutine if cascade => {
                    let Some(name) = ast::name(object) else { continue };
                    let function = self.catalog.resolve_routine(&name, self.session).0.to_string();
                    let uses = |trigger: &Trigger| trigger.function == function;
                    self.claim_where(|relation| relation.triggers.iter().any(uses));
                }
                _ => {}
            }
        }
    }

    fn claim_where(&mut self, wanted: impl Fn(&crate::schema::Relation) -> bool) {
        let names: Vec<QName> = self
            .catalog
            .relations
            .values()
            .filter(|relation| wanted(relation))
            .map(|relation| relation.name.clone())
            .collect();
        names.iter().for_each(|name| self.claim(name, LockMode::AccessExclusive, Work::Brief));
    }

    fn drop_relation(&mut self, name: &QName, cascade: bool) {
        self.claim_tree(name, LockMode::AccessExclusive, Work::Brief);
        // Triggers of a foreign key stand on both tables.
        self.parents_of(name, LockMode::AccessExclusive);
        if let Some(parent) = self.catalog.relation(name).and_then(|known| known.partition_of.clone()) {
            self.claim(&parent, LockMode::AccessExclusive, Work::Brief);
            if let Some(default) = self.catalog.default_partition(&parent) {
                self.claim(&default.name.clone(), LockMode::AccessExclusive, Work::Brief);
            }
        }
        if !cascade {
            return;
        }
        let referencing: Vec<QName> =
            self.catalog.referencing(name).into_iter().map(|(table, _)| table.name.clone()).collect();
        referencing.iter().for_each(|table| self.claim(table, LockMode::AccessExclusive, Work::Brief));
        let readers: Vec<QName> = self
            .catalog
            .relations
            .speaking_of(name)
            .filter(|view| view.reads.contains(name) && !self.found.contains_key(&view.name))
            .map(|view| view.name.clone())
            .collect();
        readers.iter().for_each(|view| self.drop_relation(view, true));
    }

    /// Whether the table, all of which is known, has no such policy or trigger: then IF EXISTS leaves it alone.
    fn lacks(&self, object: &Node, kind: O) -> bool {
        let Some(NodeEnum::List(list)) = &object.node else { return false };
        let mut path = ast::strings(&list.items);
        let (Some(name), Some(table)) = (path.pop(), Name::from_parts(&path)) else { return false };
        let table = self.catalog.resolve(&table, self.session);
        self.catalog.relation(&table).filter(|table| table.columns_known).is_some_and(|table| match kind {
            O::ObjectTrigger => !table.triggers.iter().any(|trigger| trigger.name == name),
            O::ObjectPolicy => table.policy(&name).is_none(),
            _ => false,
        })
    }

    /// The table of a policy, trigger or constraint: all but the last part of the name.
    fn part(&mut self, object: &Node, mode: LockMode) {
        let Some(NodeEnum::List(list)) = &object.node else { return };
        let mut path = ast::strings(&list.items);
        path.pop();
        if let Some(name) = Name::from_parts(&path) {
            let table = self.catalog.resolve(&name, self.session);
            self.claim(&table, mode, Work::Brief);
        }
    }

    pub(super) fn truncate(&mut self, truncate: &TruncateStmt) {
        let mut tables: Vec<QName> =
            truncate.relations.iter().filter_map(|node| self.resolve_name(node)).collect();
        while let Some(table) = tables.pop() {
            self.claim_tree(&table, LockMode::AccessExclusive, Work::Brief);
            if truncate.behavior() == DropBehavior::DropCascade {
                let referencing = self.catalog.referencing(&table).into_iter().map(|(other, _)| &other.name);
                tables.extend(referencing.filter(|name| !self.found.contains_key(name)).cloned());
            }
        }
    }

    pub(super) fn comment(&mut self, comment: &CommentStmt) {
        let Some(object) = comment.object.as_deref() else { return };
        match comment.objtype() {
            O::ObjectTable | O::ObjectView | O::ObjectMatview | O::ObjectForeignTable | O::ObjectSequence => {
                if let Some(name) = self.resolve_name(object) {
                    self.claim(&name, LockMode::ShareUpdateExclusive, Work::Brief);
                }
            }
            O::ObjectColumn => self.part(object, LockMode::ShareUpdateExclusive),
            // These are only looked up.
            O::ObjectTrigger | O::ObjectPolicy | O::ObjectTabconstraint | O::ObjectRule => {
                self.part(object, LockMode::AccessShare);
            }
            _ => {}
        }
    }

    pub(super) fn lock(&mut self, lock: &LockStmt) {
        // Modes are numbered from 1, weakest first (`src/include/storage/lockdefs.h`).
        let mode =
            usize::try_from(lock.mode).ok().and_then(|number| LockMode::ALL.get(number.checked_sub(1)?));
        let mode = mode.copied().unwrap_or(LockMode::AccessExclusive);
        let tables: Vec<QName> = lock.relations.iter().filter_map(|node| self.resolve_name(node)).collect();
        for table in tables {
            self.claim_tree(&table, mode, Work::Brief);
        }
    }

    pub(super) fn vacuum(&mut self, vacuum: &VacuumStmt) {
        let (mode, work) = match (vacuum.is_vacuumcmd, is_on(&vacuum.options, "full")) {
            (true, true) => (LockMode::AccessExclusive, Work::Rewrite),
            (true, false) => (LockMode::ShareUpdateExclusive, Work::Scan),
            (false, _) => (LockMode::ShareUpdateExclusive, Work::Rows),
        };
        for node in &vacuum.rels {
            if let Some(NodeEnum::VacuumRelation(relation)) = &node.node
                && let Some(range) = &relation.relation
            {
                let table = self.resolve(range);
                self.claim_tree(&table, mode, work);
            }
        }
    }

    /// Reads stall too where it is not concurrent: planning a query opens every index of the table.
    pub(super) fn reindex(&mut self, reindex: &ReindexStmt) {
        let mode = match is_on(&reindex.params, "concurrently") {
            true => LockMode::ShareUpdateExclusive,
            false => LockMode::Share,
        };
        let tables: Vec<QName> = match (reindex.kind(), &reindex.relation) {
            (ReindexObjectType::ReindexObjectIndex, Some(range)) => {
                let index = self.catalog.resolve_index(&Name::of(range), self.session);
                self.catalog.index(&index).map(|(table, _)| table.name.clone()).into_iter().collect()
            }
            (ReindexObjectType::ReindexObjectTable, Some(range)) => vec![self.resolve(range)],
            (ReindexObjectType::ReindexObjectSchema, _) => self
                .catalog
                .relations
                .values()
                .filter(|table| table.name.schema == reindex.name && !table.indexes.is_empty())
                .map(|table| table.name.clone())
                .collect(),
            _ => Vec::new(),
        };
        tables.iter().for_each(|table| self.claim_tree(table, mode, Work::IndexBuild));
    }

    pub(super) fn refresh(&mut self, refresh: &RefreshMatViewStmt) {
        let Some(name) = refresh.relation.as_ref().map(|range| self.resolve(range)) else { return };
        let (mode, work) = match (refresh.concurrent, refresh.skip_data) {
            (true, _) => (LockMode::Exclusive, Work::Scan),
            (false, true) => (LockMode::AccessExclusive, Work::Brief),
            (false, false) => (LockMode::AccessExclusive, Work::Rewrite),
        };
        self.claim(&name, mode, work);
        if refresh.skip_data {
            return;
        }
        let view = self.catalog.relation(&name).filter(|view| view.kind == RelationKind::MaterializedView);
        if let Some(query) = view.and_then(|view| view.query.as_deref()).and_then(|query| query.node.as_ref())
        {
            self.rows(query);
        }
    }
}
