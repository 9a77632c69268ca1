//! A model of the database, built by reading migrations in order: what exists, since when, and in
//! which state the session is. Pure: no server is asked.
//!
//! What the model cannot know it treats as unknown, not as absent: a table that no migration
//! creates is assumed to be there (made in the dashboard, say), with columns nobody knows.

mod apply;
mod body;
mod expression;
mod held;
mod leaves;
mod locks;
mod objects;
mod output;
mod picture;
mod platform;
mod proof;
mod qualify;
mod relations;
mod resolve;
mod retype;
mod session;
mod store;
mod type_change;
mod types;
mod undone;
mod unit;

#[cfg(test)]
pub(crate) mod testing;

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(crate) use apply::index_column;
pub(crate) use body::{Body, bodies};
pub(crate) use expression::{Touch, Volatility, calls, columns_in, is_system, touched};
pub(crate) use locks::{Claim, Work, claims};
pub(crate) use objects::{
    Column, Constraint, ConstraintKind, Extension, Generated, Grant, Grantee, Index, IndexColumn,
    Partitioning, Policy, Relation, RelationKind, Routine, RoutineKind, Trigger, TypeDef, TypeKind,
};
pub(crate) use picture::{ColumnPicture, Fate, TablePicture, changed_tables};
pub(crate) use proof::{not_null_proven, proves_not_null};
use relations::Relations;
pub(crate) use session::{Session, Transaction};
pub(crate) use type_change::TypeChange;
pub(crate) use types::{ColumnType, serial_type};
pub(crate) use undone::undone;
pub(crate) use unit::{At, Nesting, Unit};

/// A fully qualified name: case folded as Postgres does, quotes removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct QName {
    pub(crate) schema: String,
    pub(crate) name: String,
}

impl QName {
    pub(crate) fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// As SQL, quoted where needed.
    pub(crate) fn sql(&self) -> String {
        crate::sql::qualified(&self.schema, &self.name)
    }

    /// In the temporary schema of a session.
    pub(crate) fn is_temporary(&self) -> bool {
        self.schema == "pg_temp"
    }
}

/// For messages and reports: `public.users`, unquoted.
impl std::fmt::Display for QName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// Everything known of the database at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    /// Tables, views, materialized views, foreign tables, sequences, composite types.
    pub(crate) relations: Relations,
    /// Enums, domains, ranges, and other types.
    pub(crate) types: BTreeMap<QName, TypeDef>,
    /// Functions, procedures and aggregates; overloads side by side.
    pub(crate) routines: BTreeMap<QName, Vec<Routine>>,
    /// Schema name → where it was created (`None`: before the change, or by the platform).
    pub(crate) schemas: BTreeMap<String, Option<At>>,
    /// Privileges on schemas themselves.
    pub(crate) schema_grants: BTreeMap<String, Vec<Grant>>,
    pub(crate) extensions: BTreeMap<String, Extension>,
    /// Publication name → tables that it lists.
    pub(crate) publications: BTreeMap<String, Vec<QName>>,
    /// Roles that no policy binds (`BYPASSRLS`, `SUPERUSER`), as far as migrations say so.
    pub(crate) unbound_roles: BTreeSet<String>,
    /// Storage buckets that a migration makes, and whether each is public.
    pub(crate) buckets: BTreeMap<String, bool>,
    /// `ALTER DEFAULT PRIVILEGES … GRANT`: (schema or "" for all, kind) → grants.
    pub(crate) default_privileges: BTreeMap<(String, RelationKindForGrants), Vec<Grant>>,
    /// Names that were dropped and not created again: known to be absent.
    pub(crate) dropped: BTreeSet<QName>,
    /// Whether the migrations are thought to hold the whole schema (then an unknown type or table
    /// is still only *unknown*, but messages may say where it was looked for).
    pub(crate) has_history: bool,
    /// Something ran that could not be read, or that may not have run: what is missing here may be there.
    pub(crate) blind: bool,
    /// The database that Postgres' default `TimeZone` is UTC in, as on Supabase.
    pub(crate) timezone: String,
    /// The last transaction that added labels to enums, and to which.
    pub(crate) labels_added: Option<(usize, BTreeSet<QName>)>,
    /// Name of every index there has ever been → the relations that it was seen on. Tables move, so this
    /// only says where to look.
    index_tables: HashMap<QName, BTreeSet<QName>>,
}

/// What `ALTER DEFAULT PRIVILEGES … ON <kind>` speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RelationKindForGrants {
    Tables,
    Sequences,
    Functions,
    Types,
    Schemas,
}

/// What is known of a name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lookup<'a> {
    Known(&'a Relation),
    /// Dropped earlier and not created again.
    Dropped,
    /// No migration speaks of it: assumed to exist, with properties nobody knows.
    Unknown,
}

impl Catalog {
    /// What is known of a relation.
    pub(crate) fn lookup(&self, name: &QName) -> Lookup<'_> {
        match self.relations.get(name) {
            Some(relation) => Lookup::Known(relation),
            None if self.dropped.contains(name) => Lookup::Dropped,
            None => Lookup::Unknown,
        }
    }

    /// Whether there is no such relation as far as a history can tell that was read whole: `IF EXISTS`
    /// finds nothing then.
    pub(crate) fn never_made(&self, name: &QName) -> bool {
        self.has_history && !self.blind && self.relation(name).is_none()
    }

    /// A table of which every column is known, if that is one.
    pub(crate) fn whole_table(&self, name: &QName) -> Option<&Relation> {
        let table = self.relation(name).filter(|_| !self.blind)?;
        // Of the platform's tables a migration that makes them for itself knows a few columns at most.
        if matches!(name.schema.as_str(), "auth" | "storage" | "realtime" | "vault" | "cron" | "net") {
            return None;
        }
        let plain = matches!(table.kind, RelationKind::Table | RelationKind::PartitionedTable);
        // What its parents gain it gains too.
        let own = table.inherits.is_empty() && table.partition_of.is_none();
        (plain && own && table.columns_known).then_some(table)
    }

    pub(crate) fn relation(&self, name: &QName) -> Option<&Relation> {
        self.relations.get(name)
    }

    /// The index of that name and the relation that it is on.
    pub(crate) fn index(&self, name: &QName) -> Option<(&Relation, &Index)> {
        let found = |relation: &'_ Relation| relation.indexes.iter().position(|index| index.name == *name);
        let Some(tables) = self.index_tables.get(name) else {
            #[cfg(test)]
            assert!(!self.relations.values().any(|it| found(it).is_some()), "{name} is not noted");
            return None;
        };
        let noted = tables.iter().filter_map(|table| self.relations.get(table));
        noted.filter_map(|relation| Some((relation, &relation.indexes[found(relation)?]))).next()
    }

    /// Notes on which relation an index of that name stands: whoever gives an index a name calls this.
    fn note_index(&mut self, name: &str, table: &QName) {
        let name = QName::new(table.schema.clone(), name);
        self.index_tables.entry(name).or_default().insert(table.clone());
    }

    /// Partitions of a table, all levels down.
    pub(crate) fn partitions(&self, parent: &QName) -> Vec<&Relation> {
        let mut found = Vec::new();
        for relation in self.relations.partitions_of(parent) {
            found.push(relation);
            found.extend(self.partitions(&relation.name));
        }
        found
    }

    /// The DEFAULT partition of a table.
    pub(crate) fn default_partition(&self, parent: &QName) -> Option<&Relation> {
        self.relations.default_partition_of(parent)
    }

    /// Foreign keys that point at a relation: (the table that has it, the constraint).
    pub(crate) fn referencing(&self, target: &QName) -> Vec<(&Relation, &Constraint)> {
        self.relations
            .speaking_of(target)
            .flat_map(|relation| relation.constraints.iter().map(move |constraint| (relation, constraint)))
            .filter(|(_, constraint)| {
                matches!(&constraint.kind, ConstraintKind::Foreign { target: other, .. } if other == target)
            })
            .collect()
    }
}

impl Catalog {
    /// What a session takes with it when it ends.
    pub(crate) fn forget_temporary(&mut self) {
        let first = QName::new("pg_temp", "");
        let temporary = |name: &&QName| name.is_temporary();
        let made = self.relations.keys_from(&first).take_while(temporary);
        for name in made.cloned().collect::<Vec<_>>() {
            self.relations.remove(&name);
        }
        let dropped = self.dropped.range(&first..).take_while(temporary);
        for name in dropped.cloned().collect::<Vec<_>>() {
            self.dropped.remove(&name);
        }
    }

    /// Makes everything that exists "there before": called once the history has been read.
    pub(crate) fn forget_births(&mut self) {
        self.labels_added = None;
        for relation in self.relations.values_mut() {
            relation.born = None;
            relation.secured = None;
            relation.granted = None;
            relation.columns.iter_mut().for_each(|column| column.born = None);
            relation.indexes.iter_mut().for_each(|index| index.born = None);
            for policy in &mut relation.policies {
                policy.born = None;
                policy.changed = None;
            }
            relation.triggers.iter_mut().for_each(|trigger| trigger.born = None);
            for constraint in &mut relation.constraints {
                constraint.born = None;
                constraint.validated_at = None;
            }
        }
        for ty in self.types.values_mut() {
            ty.born = None;
            if let TypeKind::Enum { labels } = &mut ty.kind {
                labels.iter_mut().for_each(|(_, added)| *added = None);
            }
        }
        for routine in self.routines.values_mut().flatten() {
            routine.born = None;
            routine.changed = None;
            routine.granted = None;
        }
        self.schemas.values_mut().for_each(|born| *born = None);
        self.extensions.values_mut().for_each(|extension| extension.born = None);
    }
}

impl Catalog {
    /// Takes note of what a statement that cannot be read may have done: a loop that switches row
    /// level security on for the tables that it finds has probably found them.
    pub(crate) fn assume(&mut self, text: &str) {
        self.blind = true;
        if text.to_lowercase().contains("enable row level security") {
            let tables = self.relations.values_mut().filter(|relation| relation.kind.holds_rows());
            tables.for_each(|table| table.rls = true);
        }
    }
}
