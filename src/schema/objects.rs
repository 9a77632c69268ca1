//! What a database is made of, as far as rules ask.

use std::collections::{BTreeMap, BTreeSet};

use super::{At, ColumnType, QName};
use crate::sql::ast::Node;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RelationKind {
    Table,
    PartitionedTable,
    View,
    MaterializedView,
    ForeignTable,
    Sequence,
    CompositeType,
}

impl RelationKind {
    /// Whether it is a table: something with rows that sessions read and write.
    pub(crate) fn holds_rows(self) -> bool {
        matches!(self, Self::Table | Self::PartitionedTable | Self::MaterializedView | Self::ForeignTable)
    }
}

/// A table, view, materialized view, foreign table, sequence or composite type.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    pub(crate) name: QName,
    pub(crate) kind: RelationKind,
    /// Where the change created it; `None`: it was there before.
    pub(crate) born: Option<At>,
    /// Rows came in since it was born here: INSERT … SELECT, CREATE TABLE AS, COPY, SELECT INTO.
    pub(crate) filled: bool,
    pub(crate) temporary: bool,
    pub(crate) unlogged: bool,
    pub(crate) columns: Vec<Column>,
    /// Whether `columns` is the whole list (false for tables seen only through ALTER, `LIKE` of
    /// an unknown table, CREATE TABLE AS of something not understood).
    pub(crate) columns_known: bool,
    pub(crate) constraints: Vec<Constraint>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) partitioning: Option<Partitioning>,
    pub(crate) partition_of: Option<QName>,
    /// Text of the bound (`FOR VALUES …` deparsed), for a partition.
    pub(crate) partition_bound: Option<Box<Node>>,
    pub(crate) is_default_partition: bool,
    pub(crate) inherits: Vec<QName>,
    /// Where the change last decided how its rows are guarded: switched row level security, made or
    /// replaced the view, set an option, moved it to another schema.
    pub(crate) secured: Option<At>,
    /// Where the change last granted something on it.
    pub(crate) granted: Option<At>,
    pub(crate) rls: bool,
    pub(crate) force_rls: bool,
    pub(crate) policies: Vec<Policy>,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) owner: Option<String>,
    pub(crate) grants: Vec<Grant>,
    /// Storage and view options, lower case: `security_invoker` → `true`.
    pub(crate) options: BTreeMap<String, String>,
    /// Relations that a view or materialized view reads (resolved).
    pub(crate) reads: BTreeSet<QName>,
    /// The query of a view or materialized view.
    pub(crate) query: Option<Box<Node>>,
    pub(crate) populated: bool,
    pub(crate) access_method: Option<String>,
    pub(crate) tablespace: Option<String>,
    pub(crate) replica_identity: Option<String>,
    /// Of a sequence: the table and column that it goes with.
    pub(crate) owned_by: Option<(QName, String)>,
}

impl Relation {
    pub(crate) fn new(name: QName, kind: RelationKind, born: Option<At>) -> Self {
        Self {
            name,
            kind,
            born,
            filled: false,
            temporary: false,
            unlogged: false,
            columns: Vec::new(),
            columns_known: false,
            constraints: Vec::new(),
            indexes: Vec::new(),
            partitioning: None,
            partition_of: None,
            partition_bound: None,
            is_default_partition: false,
            inherits: Vec::new(),
            secured: None,
            granted: None,
            rls: false,
            force_rls: false,
            policies: Vec::new(),
            triggers: Vec::new(),
            owner: None,
            grants: Vec::new(),
            options: BTreeMap::new(),
            reads: BTreeSet::new(),
            query: None,
            populated: true,
            access_method: None,
            tablespace: None,
            replica_identity: None,
            owned_by: None,
        }
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub(crate) fn constraint(&self, name: &str) -> Option<&Constraint> {
        self.constraints.iter().find(|constraint| constraint.name == name)
    }

    pub(crate) fn policy(&self, name: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.name == name)
    }

    /// Columns of the primary key.
    pub(crate) fn primary_key(&self) -> Option<&[String]> {
        self.constraints.iter().find_map(|constraint| match &constraint.kind {
            ConstraintKind::Primary { columns } => Some(columns.as_slice()),
            _ => None,
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) ty: ColumnType,
    pub(crate) not_null: bool,
    pub(crate) default: Option<Box<Node>>,
    /// `a` (always) or `d` (by default).
    pub(crate) identity: Option<char>,
    pub(crate) generated: Option<Generated>,
    /// `serial` and its relatives: an integer with a sequence of its own.
    pub(crate) serial: bool,
    pub(crate) born: Option<At>,
}

impl Column {
    /// A nullable column without default.
    pub(crate) fn plain(name: impl Into<String>, ty: ColumnType) -> Self {
        Self {
            name: name.into(),
            ty,
            not_null: false,
            default: None,
            identity: None,
            generated: None,
            serial: false,
            born: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generated {
    Stored,
    Virtual,
}

#[derive(Debug, Clone)]
pub(crate) struct Constraint {
    /// As written, else the name that Postgres would choose.
    pub(crate) name: String,
    pub(crate) kind: ConstraintKind,
    pub(crate) validated: bool,
    /// `NOT ENFORCED` (Postgres 18) is false.
    pub(crate) enforced: bool,
    pub(crate) born: Option<At>,
    /// Where the change validated it.
    pub(crate) validated_at: Option<At>,
}

#[derive(Debug, Clone)]
pub(crate) enum ConstraintKind {
    Check {
        expression: Box<Node>,
    },
    NotNull {
        column: String,
    },
    Foreign {
        columns: Vec<String>,
        target: QName,
        /// Empty: the primary key.
        target_columns: Vec<String>,
        /// `a` no action, `r` restrict, `c` cascade, `n` set null, `d` set default.
        on_delete: char,
        on_update: char,
    },
    Unique {
        columns: Vec<String>,
    },
    Primary {
        columns: Vec<String>,
    },
    Exclusion,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IndexColumn {
    Column(String),
    /// Deparsed.
    Expression(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) name: QName,
    pub(crate) unique: bool,
    pub(crate) columns: Vec<IndexColumn>,
    /// How the columns are sorted, such as `text_pattern_ops DESC`; empty when all are by default.
    pub(crate) sorted: Vec<String>,
    /// Columns that it only carries along (`INCLUDE`).
    pub(crate) included: Vec<String>,
    pub(crate) predicate: Option<Box<Node>>,
    /// `btree`, `gin`, …
    pub(crate) method: String,
    pub(crate) born: Option<At>,
    /// The constraint that it backs.
    pub(crate) constraint: Option<String>,
    /// An index of a partitioned table itself (its partitions have their own).
    pub(crate) on_partitioned: bool,
    pub(crate) valid: bool,
}

impl Index {
    /// Names of the key columns, expressions left out.
    pub(crate) fn plain_columns(&self) -> Vec<String> {
        let plain = |column: &IndexColumn| match column {
            IndexColumn::Column(name) => Some(name.clone()),
            IndexColumn::Expression(_) => None,
        };
        self.columns.iter().filter_map(plain).collect()
    }

    /// Whether a column stands in the key, in an expression of it, in the predicate, or beside the key.
    pub(crate) fn uses(&self, column: &str) -> bool {
        self.columns.iter().any(|key| match key {
            IndexColumn::Column(name) => name == column,
            IndexColumn::Expression(text) => expression_uses(text, column),
        }) || self.included.iter().any(|name| name == column)
            || self.predicate.as_deref().is_some_and(|node| super::columns_in(node).contains(column))
    }
}

fn expression_uses(text: &str, column: &str) -> bool {
    crate::sql::parse(&format!("select {text}"))
        .is_ok_and(|nodes| nodes.iter().any(|node| super::columns_in(node).contains(column)))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partitioning {
    /// `range`, `list`, `hash`.
    pub(crate) strategy: String,
    /// Columns of the key; an expression stands as its text.
    pub(crate) columns: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) permissive: bool,
    /// `all`, `select`, `insert`, `update`, `delete`.
    pub(crate) command: String,
    pub(crate) roles: Vec<Grantee>,
    pub(crate) using: Option<Box<Node>>,
    pub(crate) with_check: Option<Box<Node>>,
    pub(crate) born: Option<At>,
    /// Where the change last created or altered it.
    pub(crate) changed: Option<At>,
}

#[derive(Debug, Clone)]
pub(crate) struct Trigger {
    pub(crate) name: String,
    /// As written; resolved where the function is known.
    pub(crate) function: String,
    pub(crate) enabled: bool,
    pub(crate) born: Option<At>,
}

impl Trigger {
    /// Whether it calls a function of that name, in whichever schema.
    pub(crate) fn runs(&self, function: &str) -> bool {
        self.function.rsplit('.').next().is_some_and(|name| name.trim_matches('"') == function)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Grantee {
    Public,
    Role(String),
}

/// Privileges that somebody holds on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) grantee: Grantee,
    /// Lower case: `select`, `insert`, `execute`, …; `all` is kept as such.
    pub(crate) privileges: BTreeSet<String>,
    pub(crate) grantable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoutineKind {
    Function,
    Procedure,
    Aggregate,
}

/// One function, procedure or aggregate.
#[derive(Debug, Clone)]
pub(crate) struct Routine {
    pub(crate) name: QName,
    pub(crate) kind: RoutineKind,
    /// Types of the input arguments, canonical text.
    pub(crate) arguments: Vec<String>,
    /// Names of the input arguments ("" where there is none).
    pub(crate) argument_names: Vec<String>,
    /// How many of them have defaults.
    pub(crate) defaults: usize,
    /// Whether the last of them takes whatever is left of a call's arguments.
    pub(crate) variadic: bool,
    /// `OUT` parameters, as `name type`.
    pub(crate) outputs: Vec<String>,
    pub(crate) returns: Option<String>,
    pub(crate) language: String,
    pub(crate) security_definer: bool,
    /// `v` volatile, `s` stable, `i` immutable.
    pub(crate) volatility: char,
    /// `SET name = value` options, lower-case name → value text.
    pub(crate) settings: BTreeMap<String, String>,
    /// STRICT, PARALLEL, COST, ROWS and LEAKPROOF, where they are written: lower-case name → value text.
    pub(crate) options: BTreeMap<String, String>,
    /// Source text of a string body.
    pub(crate) body: Option<String>,
    /// The statements of `BEGIN ATOMIC` or `RETURN`, bound when created.
    pub(crate) bound: Option<String>,
    pub(crate) grants: Vec<Grant>,
    /// Where the change last granted something on it.
    pub(crate) granted: Option<At>,
    pub(crate) owner: Option<String>,
    pub(crate) born: Option<At>,
    /// Where the change last created or replaced it.
    pub(crate) changed: Option<At>,
}

impl Routine {
    pub(crate) fn returns_trigger(&self) -> bool {
        self.returns.as_deref().is_some_and(|ty| ty == "trigger" || ty == "event_trigger")
    }
}

#[derive(Debug, Clone)]
pub(crate) struct TypeDef {
    pub(crate) name: QName,
    pub(crate) kind: TypeKind,
    pub(crate) born: Option<At>,
}

#[derive(Debug, Clone)]
pub(crate) enum TypeKind {
    /// Labels in order, and where the change added each.
    Enum {
        labels: Vec<(String, Option<At>)>,
    },
    Domain {
        base: ColumnType,
        /// Names of its CHECK constraints.
        checks: Vec<String>,
        not_null: bool,
        default: Option<Box<Node>>,
    },
    Composite,
    Other,
}

#[derive(Debug, Clone)]
pub(crate) struct Extension {
    pub(crate) schema: Option<String>,
    pub(crate) born: Option<At>,
}
