//! What a rule may ask.

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeSet, HashMap},
    ops::Range,
    ptr,
    rc::Rc,
    sync::{Arc, OnceLock},
};

use super::{access, lookup};
use crate::{
    config::Config,
    finding::Direction,
    migration::Migration,
    schema::{At, Catalog, Claim, Lookup, QName, Relation, Session, Unit},
    sql::{
        self,
        ast::{AlterTableCmd, AlterTableStmt, NodeEnum, RangeVar},
    },
};

/// What is known of the branch that the change will be merged into.
#[derive(Debug, Clone, Default)]
pub(crate) struct Base {
    /// Versions already there.
    pub(crate) versions: BTreeSet<i64>,
    /// Paths of the migration files there.
    pub(crate) paths: BTreeSet<String>,
    /// Paths that exist there and that the change modifies, renames or deletes, with the verb.
    pub(crate) edited: Vec<(String, &'static str)>,
}

/// One thing that runs, and the state before it.
pub(crate) struct Context<'a> {
    pub(crate) unit: &'a Unit,
    /// `unit.node`.
    pub(crate) node: &'a NodeEnum,
    /// The database before the statement.
    pub(crate) catalog: &'a Catalog,
    /// Settings, transaction and locks held before the statement.
    pub(crate) session: &'a Session,
    /// The locks that this statement takes.
    pub(crate) claims: &'a [Claim],
    /// Everything that ran before in this change (same direction), in order. The rows of an
    /// `INSERT` and the columns of a `CREATE TABLE` are not kept.
    pub(crate) before: &'a [Arc<Unit>],
    pub(crate) migration: &'a Migration,
    pub(crate) direction: Direction,
    pub(crate) config: &'a Config,
    /// Major version of the target.
    pub(crate) pg: u32,
    /// Whether the runner has a transaction open around this statement.
    pub(crate) wrapped: bool,
    /// What stands further below in the section.
    pub(crate) later: &'a Later,
    /// The relation of an `ALTER TABLE`: half of the rules ask for it.
    pub(crate) altered: Option<QName>,
    /// Its subcommands.
    pub(super) commands: Vec<&'a AlterTableCmd>,
    /// What is known of it.
    pub(super) altered_relation: OnceCell<Option<&'a Relation>>,
    /// See [`Context::is_live`]; of that relation.
    pub(super) altered_is_live: OnceCell<bool>,
}

/// Statements that a rule looked ahead at: the next that does finds them parsed.
#[derive(Debug, Default)]
pub(crate) struct Later {
    parsed: RefCell<HashMap<usize, Rc<[Rc<NodeEnum>]>>>,
}

impl Later {
    /// The trees of the section's statement of that number; none where it does not parse.
    pub(crate) fn parsed(&self, number: usize, text: &str) -> Rc<[Rc<NodeEnum>]> {
        let parse = || {
            let nodes = sql::parse(text).unwrap_or_default().into_iter();
            nodes.filter_map(|node| node.node).map(Rc::new).collect()
        };
        Rc::clone(self.parsed.borrow_mut().entry(number).or_insert_with(parse))
    }
}

impl<'a> Context<'a> {
    pub(crate) fn at(&self) -> At {
        self.unit.at
    }

    pub(crate) fn resolve(&self, range: &RangeVar) -> QName {
        self.catalog.resolve_range(range, self.session)
    }

    pub(crate) fn relation(&self, name: &QName) -> Option<&Relation> {
        match self.altered.as_ref().is_some_and(|altered| ptr::eq(altered, name)) {
            true => *self.altered_relation.get_or_init(|| self.catalog.relation(name)),
            false => self.catalog.relation(name),
        }
    }

    /// Whether a relation is there in production when the statement runs, so that locking it,
    /// losing its rows or changing its shape is somebody's concern: it is not temporary, not
    /// dropped, and not created by the change (unless it was filled and committed since).
    ///
    /// In DOWN everything that UP created is live, and what DOWN itself creates is not.
    pub(crate) fn is_live(&self, name: &QName) -> bool {
        let same = |altered: &QName| ptr::eq(altered, name) || altered == name;
        match self.altered.as_ref().is_some_and(same) {
            true => *self.altered_is_live.get_or_init(|| self.is_there(name)),
            false => self.is_there(name),
        }
    }

    /// As [`Self::is_live`], but what the change makes stays its own, filled or not: no released code knows
    /// its rows.
    pub(crate) fn precedes(&self, name: &QName) -> bool {
        self.is_live(name)
            && self.catalog.relation(name).is_none_or(|relation| self.was_there(relation.born, false))
    }

    fn is_there(&self, name: &QName) -> bool {
        if name.is_temporary() {
            return false;
        }
        match self.catalog.lookup(name) {
            Lookup::Known(relation) => !relation.temporary && self.was_there(relation.born, relation.filled),
            Lookup::Dropped => false,
            Lookup::Unknown => !(self.says_if_exists() && self.catalog.never_made(name)),
        }
    }

    fn says_if_exists(&self) -> bool {
        match self.node {
            NodeEnum::AlterTableStmt(alter) => alter.missing_ok,
            NodeEnum::RenameStmt(rename) => rename.missing_ok,
            NodeEnum::AlterObjectSchemaStmt(alter) => alter.missing_ok,
            NodeEnum::DropStmt(drop) => drop.missing_ok,
            _ => false,
        }
    }

    /// As [`Self::is_live`], for anything with a birth: columns, constraints, indexes, routines.
    pub(crate) fn was_there(&self, born: Option<At>, filled: bool) -> bool {
        match born {
            None => true,
            Some(born) if self.direction == Direction::Down && born.direction == Direction::Up => true,
            Some(born) => filled && born.transaction != self.unit.at.transaction,
        }
    }

    /// The subcommands of an `ALTER TABLE` (also `ALTER INDEX`, `ALTER VIEW`, …: see `objtype`),
    /// with the relation that they concern.
    pub(crate) fn alter_table(&self) -> Option<(&QName, &[&'a AlterTableCmd])> {
        Some((self.altered.as_ref()?, &self.commands))
    }

    /// Whether the schema is reachable through the API (PostgREST).
    pub(crate) fn is_exposed(&self, schema: &str) -> bool {
        self.on_supabase() && self.config.supabase.exposed_schemas.iter().any(|exposed| exposed == schema)
    }

    /// Whether the profile is Supabase.
    pub(crate) fn on_supabase(&self) -> bool {
        self.config.profile == crate::config::Profile::Supabase
    }

    /// Whether the statement runs inside a transaction block, the runner's or the file's own.
    pub(crate) fn in_transaction(&self) -> bool {
        self.session.transaction.is_open()
    }
}

/// The subcommands of an `ALTER TABLE`.
pub(super) fn subcommands(alter: &AlterTableStmt) -> Vec<&AlterTableCmd> {
    let commands = alter.cmds.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::AlterTableCmd(command)) => Some(&**command),
        _ => None,
    });
    commands.collect()
}

/// One file of the change.
pub(crate) struct FileContext<'a> {
    pub(crate) migration: &'a Migration,
    /// Index within the change.
    pub(crate) index: usize,
    /// All files of the change, in version order.
    pub(crate) change: &'a [&'a Migration],
    pub(crate) history: &'a [&'a Migration],
    pub(crate) base: &'a Base,
    pub(crate) config: &'a Config,
    /// Major version of the target.
    pub(crate) pg: u32,
}

/// The whole change, after its last UP.
pub(crate) struct ChangeContext<'a> {
    /// Everything that ran, UP only, in order.
    pub(crate) units: &'a [Arc<Unit>],
    /// The number of each file's first unit, and of all units.
    pub(super) files: &'a [usize],
    /// Name → numbers of the units that create an object of it, ascending.
    pub(crate) created: &'a HashMap<String, Vec<usize>>,
    /// The database before the change.
    pub(crate) before: &'a Catalog,
    /// The database after it.
    pub(crate) after: &'a Catalog,
    pub(crate) change: &'a [&'a Migration],
    pub(crate) base: &'a Base,
    pub(crate) config: &'a Config,
    pub(crate) pg: u32,
    /// See [`access::policies`].
    pub(super) policies: OnceLock<Vec<access::Changed<'a>>>,
    /// See [`lookup::pinned_path`].
    pub(super) schemas: OnceLock<lookup::Schemas<'a>>,
}

impl<'a> ChangeContext<'a> {
    /// The top-level statement that stands there (or the first thing inside it).
    pub(crate) fn unit(&self, at: At) -> Option<&'a Unit> {
        self.units_at(at).first().map(|unit| &**unit).filter(|unit| unit.at.direction == at.direction)
    }

    /// Everything that runs in the statement which stands there, what is inside a DO block first.
    pub(crate) fn units_at(&self, at: At) -> &'a [Arc<Unit>] {
        // They stand in the order in which they run.
        let units = self.units_of(at.file);
        let from = units.partition_point(|unit| unit.at.statement < at.statement);
        let to = from + units[from..].partition_point(|unit| unit.at.statement <= at.statement);
        &units[from..to]
    }

    /// What ran in one file.
    pub(crate) fn units_of(&self, file: usize) -> &'a [Arc<Unit>] {
        match self.files.get(file..) {
            Some([from, to, ..]) => &self.units[*from..*to],
            _ => &[],
        }
    }

    /// What ran in the same transaction as the unit of that number, and after it.
    pub(crate) fn rest_of_transaction(&self, index: usize) -> &'a [Arc<Unit>] {
        let Some(unit) = self.units.get(index) else { return &[] };
        let to = self.units.partition_point(|other| other.at.transaction <= unit.at.transaction);
        &self.units[index + 1..to.max(index + 1)]
    }

    /// The units among those numbered that create (or rename something to) an object of that name, in
    /// whatever schema: see [`super::names::created`].
    pub(crate) fn creators(&self, name: &str, among: Range<usize>) -> impl Iterator<Item = &'a Unit> {
        let numbers = self.created.get(name).map(Vec::as_slice).unwrap_or_default();
        let from = numbers.partition_point(|number| *number < among.start);
        let units = self.units;
        numbers[from..].iter().take_while(move |number| **number < among.end).map(move |at| &*units[*at])
    }

    pub(crate) fn is_exposed(&self, schema: &str) -> bool {
        self.on_supabase() && self.config.supabase.exposed_schemas.iter().any(|exposed| exposed == schema)
    }

    pub(crate) fn on_supabase(&self) -> bool {
        self.config.profile == crate::config::Profile::Supabase
    }
}
