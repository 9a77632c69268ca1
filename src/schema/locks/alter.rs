//! Locks of ALTER.

use super::create::constraints;
use super::{Claims, Work};
use crate::lock::LockMode;
use crate::schema::{
    ConstraintKind, QName, RelationKind, TypeChange, Volatility, not_null_proven, serial_type,
};
use crate::sql::ast::{
    self, AlterDomainStmt, AlterTableCmd, AlterTableStmt, AlterTableType as T, ColumnDef, ConstrType,
    Constraint, Name, Node, NodeEnum, ObjectType as O, PartitionCmd, RenameStmt, TypeName,
};

impl Claims<'_> {
    pub(super) fn alter_table(&mut self, alter: &AlterTableStmt) {
        let Some(range) = &alter.relation else { return };
        // Locks on an index alone stop nobody from planning a query but for the index's own work.
        if matches!(alter.objtype(), O::ObjectIndex | O::ObjectType) {
            return;
        }
        let table = self.resolve(range);
        if alter.missing_ok && self.catalog.never_made(&table) {
            return;
        }
        for command in alter.cmds.iter().filter_map(|node| match node.node.as_ref()? {
            NodeEnum::AlterTableCmd(command) => Some(&**command),
            _ => None,
        }) {
            self.alter(&table, command);
            if range.inh && goes_down(command) {
                self.alter_children(&table, command);
            }
        }
    }

    fn alter_children(&mut self, table: &QName, command: &AlterTableCmd) {
        let children: Vec<QName> = self
            .catalog
            .relations
            .speaking_of(table)
            .filter(|other| other.partition_of.as_ref() == Some(table) || other.inherits.contains(table))
            .map(|child| child.name.clone())
            .collect();
        for child in children {
            self.alter(&child, command);
            self.alter_children(&child, command);
        }
    }

    fn alter(&mut self, table: &QName, command: &AlterTableCmd) {
        use LockMode as L;
        let relation = self.catalog.relation(table);
        let (mode, work) = match command.subtype() {
            T::AtAddColumn => (L::AccessExclusive, self.add_column(table, command)),
            T::AtAlterColumnType => (L::AccessExclusive, self.retype(table, command)),
            T::AtSetNotNull => {
                let proven = relation.is_some_and(|known| not_null_proven(known, &command.name))
                    || self.catalog.leaves_are_not_null(table, &command.name);
                (L::AccessExclusive, if proven { Work::Brief } else { Work::Scan })
            }
            T::AtSetExpression => {
                let is_virtual = relation
                    .and_then(|known| known.column(&command.name))
                    .is_some_and(|column| column.generated == Some(crate::schema::Generated::Virtual));
                (L::AccessExclusive, if is_virtual { Work::Brief } else { Work::Rewrite })
            }
            T::AtAddConstraint => self.add_constraint(table, command),
            T::AtValidateConstraint => self.validate(table, &command.name),
            T::AtDropConstraint => {
                self.drop_constraint(table, &command.name);
                (L::AccessExclusive, Work::Brief)
            }
            T::AtDropColumn => {
                self.foreign_keys_with(table, &command.name, L::AccessExclusive);
                (L::AccessExclusive, Work::Brief)
            }
            T::AtSetLogged => {
                let done = relation.is_some_and(|known| !known.unlogged && known.born.is_some());
                (L::AccessExclusive, if done { Work::Brief } else { Work::Rewrite })
            }
            T::AtSetUnLogged => {
                let done = relation.is_some_and(|known| known.unlogged);
                (L::AccessExclusive, if done { Work::Brief } else { Work::Rewrite })
            }
            T::AtSetAccessMethod => {
                let current = relation.and_then(|known| known.access_method.as_deref()).unwrap_or("heap");
                (L::AccessExclusive, if current == command.name { Work::Brief } else { Work::Rewrite })
            }
            T::AtSetTableSpace => {
                let current = relation.and_then(|known| known.tablespace.as_deref()).unwrap_or("pg_default");
                (L::AccessExclusive, if current == command.name { Work::Brief } else { Work::Rewrite })
            }
            T::AtSetStatistics | T::AtSetOptions | T::AtResetOptions | T::AtClusterOn | T::AtDropCluster => {
                (L::ShareUpdateExclusive, Work::Brief)
            }
            T::AtSetRelOptions | T::AtResetRelOptions | T::AtReplaceRelOptions => {
                let is_view = relation.is_some_and(|known| known.kind == RelationKind::View);
                (if is_view { L::AccessExclusive } else { L::ShareUpdateExclusive }, Work::Brief)
            }
            T::AtEnableTrig
            | T::AtEnableAlwaysTrig
            | T::AtEnableReplicaTrig
            | T::AtDisableTrig
            | T::AtEnableTrigAll
            | T::AtDisableTrigAll
            | T::AtEnableTrigUser
            | T::AtDisableTrigUser => (L::ShareRowExclusive, Work::Brief),
            T::AtAddInherit => {
                if let Some(NodeEnum::RangeVar(parent)) = def(command) {
                    self.range(Some(parent), L::ShareUpdateExclusive, Work::Brief);
                }
                (L::AccessExclusive, Work::Brief)
            }
            T::AtAttachPartition => {
                self.attach(table, command);
                (L::ShareUpdateExclusive, Work::Brief)
            }
            T::AtDetachPartition | T::AtDetachPartitionFinalize => (self.detach(table, command), Work::Brief),
            _ => (L::AccessExclusive, Work::Brief),
        };
        self.claim(table, mode, work);
    }

    fn add_column(&mut self, table: &QName, command: &AlterTableCmd) -> Work {
        let Some(NodeEnum::ColumnDef(column)) = def(command) else { return Work::Brief };
        let known = self.catalog.relation(table).is_some_and(|known| known.column(&column.colname).is_some());
        if command.missing_ok && known {
            return Work::Brief;
        }
        let has_value = default_of(column).is_some_and(|default| !ast::is_null(default));
        for constraint in constraints(column) {
            // Without a default every new value is NULL, and no row has to be checked.
            self.references(constraint, table, if has_value { Work::Scan } else { Work::Brief });
        }
        self.add_column_work(column)
    }

    /// What ADD COLUMN does to the rows that are there.
    fn add_column_work(&self, column: &ColumnDef) -> Work {
        let has = |wanted: ConstrType| constraints(column).any(|constraint| constraint.contype() == wanted);
        let generated =
            constraints(column).find(|constraint| constraint.contype() == ConstrType::ConstrGenerated);
        let is_virtual = generated.is_some_and(|generated| generated.generated_kind == "v");
        let ty = column.type_name.as_ref();
        let of_domain = || self.catalog.domain_default(ty?, self.session);
        let default = default_of(column).or_else(of_domain);
        let volatile = default
            .is_some_and(|default| self.catalog.volatility(default, self.session) == Volatility::Volatile);
        let domain = ty
            .map(|written: &TypeName| self.catalog.column_type(written, self.session))
            .is_some_and(|ty| ty.array == 0 && self.catalog.is_constrained_domain(&ty) == Some(true));
        let rewrites = ty.is_some_and(|ty| serial_type(ty).is_some())
            || has(ConstrType::ConstrIdentity)
            || (generated.is_some() && !is_virtual)
            || volatile
            || (domain && !is_virtual);
        let references_with_value =
            has(ConstrType::ConstrForeign) && default.is_some_and(|default| !ast::is_null(default));
        if rewrites {
            Work::Rewrite
        } else if has(ConstrType::ConstrPrimary) || has(ConstrType::ConstrUnique) {
            Work::IndexBuild
        } else if has(ConstrType::ConstrCheck)
            || (is_virtual && has(ConstrType::ConstrNotnull))
            || references_with_value
        {
            Work::Scan
        } else {
            Work::Brief
        }
    }

    fn retype(&mut self, table: &QName, command: &AlterTableCmd) -> Work {
        let Some(NodeEnum::ColumnDef(column)) = def(command) else { return Work::Brief };
        let Some(to) = column.type_name.as_ref().map(|ty| self.catalog.column_type(ty, self.session)) else {
            return Work::Brief;
        };
        let relation = self.catalog.relation(table);
        let from = relation.and_then(|known| known.column(&command.name)).map(|column| column.ty.clone());
        let from = from.unwrap_or_else(crate::schema::ColumnType::unknown);
        let using = column.raw_default.as_deref();
        let change = self.catalog.type_change(&from, &to, &command.name, using, self.session);
        if change != TypeChange::None {
            self.foreign_keys_with(table, &command.name, LockMode::AccessExclusive);
        }
        match change {
            TypeChange::Rewrite | TypeChange::Unknown => Work::Rewrite,
            TypeChange::None | TypeChange::NoRewrite => relation.map_or(Work::Brief, |known| {
                let base = [&from, &to].map(|ty| self.catalog.base_type(ty));
                let again =
                    known.done_again(&command.name, (&base[0], &base[1]), column.coll_clause.is_some());
                match (again.built.is_empty(), again.checked.is_empty()) {
                    (false, _) => Work::IndexBuild,
                    (true, false) => Work::Scan,
                    (true, true) => Work::Brief,
                }
            }),
        }
    }

    fn add_constraint(&mut self, table: &QName, command: &AlterTableCmd) -> (LockMode, Work) {
        use LockMode as L;
        let Some(NodeEnum::Constraint(constraint)) = def(command) else {
            return (L::AccessExclusive, Work::Brief);
        };
        let scanned = if constraint.skip_validation { Work::Brief } else { Work::Scan };
        match constraint.contype() {
            ConstrType::ConstrForeign => {
                let scanned = if constraint.is_enforced { scanned } else { Work::Brief };
                // Without rows there is nothing to look up in the other table.
                let target = constraint.pktable.as_ref().map(|range| self.resolve(range));
                let done = target.is_some_and(|to| self.catalog.leaves_reference(table, &to, constraint));
                let scanned = if done { Work::Brief } else { scanned };
                let empty = self.catalog.relation(table).is_some_and(|own| own.born.is_some() && !own.filled);
                self.references(constraint, table, if empty { Work::Brief } else { scanned });
                (L::ShareRowExclusive, scanned)
            }
            ConstrType::ConstrCheck => {
                let done = constraint.raw_expr.as_deref().is_some_and(|expression| {
                    self.catalog.leaves_check(table, &constraint.conname, expression)
                });
                let scans = constraint.is_enforced && !done;
                (L::AccessExclusive, if scans { scanned } else { Work::Brief })
            }
            ConstrType::ConstrNotnull => {
                let column = ast::strings(&constraint.keys).pop().unwrap_or_default();
                let proven =
                    self.catalog.relation(table).is_some_and(|known| not_null_proven(known, &column));
                (L::AccessExclusive, if proven { Work::Brief } else { scanned })
            }
            _ if constraint.indexname.is_empty() => {
                let done = self.catalog.leaves_have_key(table, &ast::strings(&constraint.keys));
                (L::AccessExclusive, if done { Work::Brief } else { Work::IndexBuild })
            }
            ConstrType::ConstrPrimary => (L::AccessExclusive, self.primary_using_index(table, constraint)),
            _ => (L::AccessExclusive, Work::Brief),
        }
    }

    /// A nullable column of the key is scanned, unless a CHECK proves it.
    fn primary_using_index(&self, table: &QName, constraint: &Constraint) -> Work {
        let Some(relation) = self.catalog.relation(table) else { return Work::Brief };
        let index = relation.indexes.iter().find(|index| index.name.name == constraint.indexname);
        let nullable = index.is_some_and(|index| {
            index.plain_columns().iter().any(|column| !not_null_proven(relation, column))
        });
        if nullable { Work::Scan } else { Work::Brief }
    }

    fn validate(&mut self, table: &QName, name: &str) -> (LockMode, Work) {
        let constraint = self.catalog.relation(table).and_then(|known| known.constraint(name));
        let done = constraint.is_some_and(|known| known.validated);
        if let Some(ConstraintKind::Foreign { target, .. }) = constraint.map(|known| &known.kind)
            && !done
        {
            self.claim_tree(&target.clone(), LockMode::RowShare, Work::Brief);
        }
        (LockMode::ShareUpdateExclusive, if done { Work::Brief } else { Work::Scan })
    }

    fn drop_constraint(&mut self, table: &QName, name: &str) {
        let known = self.catalog.relation(table).and_then(|known| known.constraint(name));
        if let Some(ConstraintKind::Foreign { target, .. }) = known.map(|known| &known.kind) {
            self.claim_tree(&target.clone(), LockMode::AccessExclusive, Work::Brief);
        }
    }

    /// Locks on the other side of every foreign key that a column is part of.
    fn foreign_keys_with(&mut self, table: &QName, column: &str, mode: LockMode) {
        let Some(relation) = self.catalog.relation(table) else { return };
        for constraint in &relation.constraints {
            if let ConstraintKind::Foreign { columns, target, .. } = &constraint.kind
                && columns.iter().any(|name| name == column)
            {
                self.claim_tree(target, mode, Work::Brief);
            }
        }
    }

    fn attach(&mut self, parent: &QName, command: &AlterTableCmd) {
        let Some(NodeEnum::PartitionCmd(PartitionCmd { name: Some(child), .. })) = def(command) else {
            return;
        };
        let child = self.resolve(child);
        let work = if self.is_proven_by_checks(parent, &child) { Work::Brief } else { Work::Scan };
        self.claim_tree(&child, LockMode::AccessExclusive, work);
        self.scan_default_partition(parent);
        self.parents_of(parent, LockMode::ShareRowExclusive);
    }

    fn detach(&mut self, parent: &QName, command: &AlterTableCmd) -> LockMode {
        let Some(NodeEnum::PartitionCmd(detach)) = def(command) else { return LockMode::AccessExclusive };
        self.range(detach.name.as_ref(), LockMode::AccessExclusive, Work::Brief);
        if detach.concurrent || command.subtype() == T::AtDetachPartitionFinalize {
            return LockMode::ShareUpdateExclusive;
        }
        if let Some(default) = self.catalog.default_partition(parent) {
            self.claim(&default.name.clone(), LockMode::AccessExclusive, Work::Brief);
        }
        self.parents_of(parent, LockMode::ShareRowExclusive);
        LockMode::AccessExclusive
    }

    /// A new rule of a domain is checked in every table that uses it.
    pub(super) fn alter_domain(&mut self, alter: &AlterDomainStmt) {
        let not_valid = matches!(
            alter.def.as_ref().and_then(|def| def.node.as_ref()),
            Some(NodeEnum::Constraint(constraint)) if constraint.skip_validation
        );
        let checks = match alter.subtype.as_str() {
            "O" | "V" => true,
            "C" => !not_valid,
            _ => false,
        };
        let Some(name) = Name::from_parts(&ast::strings(&alter.type_name)).filter(|_| checks) else { return };
        let domain = self.catalog.resolve_type(&name, self.session);
        let users: Vec<QName> = self
            .catalog
            .relations
            .values()
            .filter(|table| table.columns.iter().any(|column| column.ty.qname().as_ref() == Some(&domain)))
            .map(|table| table.name.clone())
            .collect();
        users.iter().for_each(|table| self.claim(table, LockMode::Share, Work::Scan));
    }

    pub(super) fn rename(&mut self, rename: &RenameStmt) {
        // An index is renamed under a lock of its own that lets everybody work.
        if rename.rename_type() != O::ObjectIndex {
            self.range(rename.relation.as_ref(), LockMode::AccessExclusive, Work::Brief);
        }
        if matches!(rename.rename_type(), O::ObjectColumn)
            && let Some(range) = &rename.relation
        {
            let table = self.resolve(range);
            self.claim_tree(&table, LockMode::AccessExclusive, Work::Brief);
        }
    }
}

/// Subcommands that go down to partitions and children.
fn goes_down(command: &AlterTableCmd) -> bool {
    matches!(
        command.subtype(),
        T::AtAddColumn
            | T::AtDropColumn
            | T::AtAlterColumnType
            | T::AtColumnDefault
            | T::AtAddConstraint
            | T::AtDropConstraint
            | T::AtValidateConstraint
            | T::AtSetNotNull
            | T::AtDropNotNull
    )
}

fn def(command: &AlterTableCmd) -> Option<&NodeEnum> {
    command.def.as_ref()?.node.as_ref()
}

/// The DEFAULT of a column as written.
fn default_of(column: &ColumnDef) -> Option<&Node> {
    column.raw_default.as_deref().or_else(|| {
        constraints(column)
            .find(|constraint| constraint.contype() == ConstrType::ConstrDefault)
            .and_then(|constraint| constraint.raw_expr.as_deref())
    })
}
