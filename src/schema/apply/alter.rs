//! ALTER TABLE, and ALTER INDEX / VIEW / SEQUENCE / FOREIGN TABLE, which share its tree.

use super::Change;
use crate::schema::{ConstraintKind, QName, Relation, RelationKind};
use crate::sql::ast::{
    self, AlterTableCmd, AlterTableStmt, AlterTableType as T, ColumnDef, ConstrType, DropBehavior, Name,
    NodeEnum, ObjectType, PartitionCmd,
};

impl Change<'_> {
    pub(super) fn alter_table(&mut self, alter: &AlterTableStmt) {
        let Some(range) = &alter.relation else { return };
        let commands = alter.cmds.iter().filter_map(|node| match node.node.as_ref()? {
            NodeEnum::AlterTableCmd(command) => Some(&**command),
            _ => None,
        });
        if alter.objtype() == ObjectType::ObjectIndex {
            let index = self.catalog.resolve_index(&Name::of(range), self.session);
            commands.for_each(|command| self.alter_index(&index, command));
            return;
        }
        let table = match alter.objtype() {
            ObjectType::ObjectType => self.catalog.resolve_type(&Name::of(range), self.session),
            _ => self.resolve(range),
        };
        let absent = !self.catalog.relations.contains_key(&table);
        if alter.missing_ok && absent && (self.guarded || self.catalog.never_made(&table)) {
            return;
        }
        if self.relation(&table).is_none() {
            return;
        }
        for command in commands {
            let Some(mut relation) = self.catalog.relations.remove(&table) else { return };
            self.alter(&mut relation, command);
            self.catalog.relations.insert(table.clone(), relation);
            self.hand_down(&table, command, range.inh);
        }
    }

    fn alter_index(&mut self, index: &QName, command: &AlterTableCmd) {
        // ATTACH PARTITION: the parent's index turns valid with the last partition's.
        if command.subtype() == T::AtAttachPartition {
            let Some((parent, parent_index)) = self.catalog.index(index) else { return };
            let leaves = self.catalog.partitions(&parent.name);
            let all = leaves
                .iter()
                .all(|partition| partition.indexes.iter().any(|own| own.columns == parent_index.columns));
            if all {
                self.with_index(index, |index| index.valid = true);
            }
        }
    }

    /// What ALTER TABLE does to a partitioned table it does to the partitions (and to children).
    fn hand_down(&mut self, table: &QName, command: &AlterTableCmd, recurse: bool) {
        let handed = matches!(
            command.subtype(),
            T::AtAddColumn
                | T::AtDropColumn
                | T::AtAlterColumnType
                | T::AtAddConstraint
                | T::AtDropConstraint
                | T::AtValidateConstraint
                | T::AtSetNotNull
        );
        if !handed || !recurse {
            return;
        }
        let children: Vec<QName> = self
            .catalog
            .relations
            .speaking_of(table)
            .filter(|other| other.partition_of.as_ref() == Some(table) || other.inherits.contains(table))
            .map(|child| child.name.clone())
            .collect();
        for child in children {
            if let Some(mut relation) = self.catalog.relations.remove(&child) {
                match for_child(&relation, command) {
                    Some(command) => self.alter(&mut relation, &command),
                    None => {
                        self.catalog.relations.insert(child, relation);
                        continue;
                    }
                }
                self.catalog.relations.insert(child.clone(), relation);
                self.hand_down(&child, command, true);
            }
        }
    }

    fn alter(&mut self, relation: &mut Relation, command: &AlterTableCmd) {
        let name = command.name.as_str();
        match command.subtype() {
            T::AtAddColumn | T::AtAddColumnToView => {
                if let Some(column) = column_def(command)
                    && !((command.missing_ok || self.guarded) && relation.column(&column.colname).is_some())
                {
                    self.add_column(relation, column);
                }
            }
            T::AtDropColumn => {
                self.remove_column(relation, name);
                if command.behavior() == DropBehavior::DropCascade {
                    self.drop_readers_of(&relation.name, Some(name));
                }
            }
            T::AtAlterColumnType => {
                let ty = column_def(command).and_then(|column| column.type_name.as_ref());
                if let Some(ty) = ty.map(|written| self.catalog.column_type(written, self.session)) {
                    with_column(relation, name, |column| column.ty = ty);
                }
            }
            T::AtColumnDefault | T::AtCookedColumnDefault => {
                with_column(relation, name, |column| {
                    column.default.clone_from(&command.def);
                    column.serial &= command.def.is_some();
                });
            }
            T::AtSetNotNull => with_column(relation, name, |column| column.not_null = true),
            T::AtDropNotNull => {
                with_column(relation, name, |column| column.not_null = false);
                relation.constraints.retain(|constraint| {
                    !matches!(&constraint.kind, ConstraintKind::NotNull { column } if column == name)
                });
            }
            T::AtSetExpression => {
                with_column(relation, name, |column| column.default.clone_from(&command.def));
            }
            T::AtDropExpression => with_column(relation, name, |column| {
                column.generated = None;
                column.default = None;
            }),
            T::AtAddIdentity => self.add_identity(relation, command),
            T::AtSetIdentity => {
                if let Some(kind) = identity_kind(command) {
                    with_column(relation, name, |column| column.identity = Some(kind));
                }
            }
            T::AtDropIdentity => {
                with_column(relation, name, |column| column.identity = None);
                self.forget_sequences(&relation.name, name);
            }
            T::AtAddConstraint => {
                if let Some(NodeEnum::Constraint(written)) =
                    command.def.as_ref().and_then(|def| def.node.as_ref())
                    && !(self.guarded && relation.constraint(&written.conname).is_some())
                {
                    self.add_constraint(relation, written, None);
                }
            }
            T::AtValidateConstraint => self.validate(relation, name),
            T::AtDropConstraint => self.drop_constraint(relation, command),
            T::AtAlterConstraint => {
                if let Some(NodeEnum::AtalterConstraint(written)) =
                    command.def.as_ref().and_then(|def| def.node.as_ref())
                    && written.alter_enforceability
                    && let Some(constraint) =
                        relation.constraints.iter_mut().find(|constraint| constraint.name == written.conname)
                {
                    constraint.enforced = written.is_enforced;
                    constraint.validated = written.is_enforced;
                }
            }
            _ => self.alter_property(relation, command),
        }
    }

    /// Subcommands about the table as a whole.
    fn alter_property(&mut self, relation: &mut Relation, command: &AlterTableCmd) {
        let name = command.name.as_str();
        if matches!(
            command.subtype(),
            T::AtEnableRowSecurity
                | T::AtDisableRowSecurity
                | T::AtForceRowSecurity
                | T::AtNoForceRowSecurity
        ) {
            relation.secured = Some(self.at);
        }
        let invoker = |node: &ast::Node| matches!(&node.node, Some(ast::NodeEnum::DefElem(option)) if option.defname == "security_invoker");
        if matches!(command.subtype(), T::AtSetRelOptions | T::AtReplaceRelOptions | T::AtResetRelOptions)
            && list_of(command).iter().any(invoker)
        {
            relation.secured = Some(self.at);
        }
        match command.subtype() {
            T::AtEnableRowSecurity => relation.rls = true,
            T::AtDisableRowSecurity => relation.rls = false,
            T::AtForceRowSecurity => relation.force_rls = true,
            T::AtNoForceRowSecurity => relation.force_rls = false,
            T::AtEnableTrig | T::AtEnableAlwaysTrig => switch_triggers(relation, Some(name), true),
            T::AtEnableTrigAll | T::AtEnableTrigUser => switch_triggers(relation, None, true),
            // Enabled for replicas only: off for everybody else.
            T::AtDisableTrig | T::AtEnableReplicaTrig => switch_triggers(relation, Some(name), false),
            T::AtDisableTrigAll | T::AtDisableTrigUser => switch_triggers(relation, None, false),
            T::AtChangeOwner => {
                relation.owner =
                    command.newowner.as_ref().and_then(|role| super::role_name(role, self.session));
            }
            T::AtSetLogged => relation.unlogged = false,
            T::AtSetUnLogged => relation.unlogged = true,
            T::AtSetAccessMethod => relation.access_method = Some(name.to_owned()),
            T::AtSetTableSpace => relation.tablespace = Some(name.to_owned()),
            T::AtSetRelOptions | T::AtReplaceRelOptions => {
                relation.options.extend(super::options(list_of(command)));
            }
            T::AtResetRelOptions => {
                for option in super::options(list_of(command)).keys() {
                    relation.options.remove(option);
                }
            }
            T::AtReplicaIdentity => {
                if let Some(NodeEnum::ReplicaIdentityStmt(identity)) =
                    command.def.as_ref().and_then(|def| def.node.as_ref())
                {
                    relation.replica_identity = Some(match identity.identity_type.as_str() {
                        "f" => "full".into(),
                        "n" => "nothing".into(),
                        "i" => format!("index {}", identity.name),
                        _ => "default".into(),
                    });
                }
            }
            T::AtAddInherit | T::AtDropInherit => {
                if let Some(NodeEnum::RangeVar(parent)) =
                    command.def.as_ref().and_then(|def| def.node.as_ref())
                {
                    let parent = self.resolve(parent);
                    relation.inherits.retain(|known| *known != parent);
                    if command.subtype() == T::AtAddInherit {
                        relation.inherits.push(parent);
                    }
                }
            }
            T::AtAttachPartition => self.attach_partition(relation, command),
            T::AtDetachPartition | T::AtDetachPartitionFinalize => self.detach_partition(command),
            _ => {}
        }
    }

    fn add_identity(&mut self, relation: &mut Relation, command: &AlterTableCmd) {
        let Some(NodeEnum::Constraint(written)) = command.def.as_ref().and_then(|def| def.node.as_ref())
        else {
            return;
        };
        let kind = written.generated_when.chars().next();
        with_column(relation, &command.name, |column| column.identity = kind);
        self.own_sequence(relation, &command.name);
    }

    fn validate(&mut self, relation: &mut Relation, name: &str) {
        let at = self.at;
        let Some(constraint) = relation.constraints.iter_mut().find(|constraint| constraint.name == name)
        else {
            return;
        };
        constraint.validated = true;
        constraint.validated_at = Some(at);
        if let ConstraintKind::NotNull { column } = constraint.kind.clone() {
            with_column(relation, &column, |column| column.not_null = true);
        }
    }

    fn drop_constraint(&mut self, relation: &mut Relation, command: &AlterTableCmd) {
        let Some(at) = relation.constraints.iter().position(|known| known.name == command.name) else {
            return;
        };
        let gone = relation.constraints.remove(at);
        relation.indexes.retain(|index| index.constraint.as_deref() != Some(gone.name.as_str()));
        if let ConstraintKind::NotNull { column } = &gone.kind {
            with_column(relation, column, |column| column.not_null = false);
        }
        // A key that foreign keys point at goes only together with them.
        if command.behavior() == DropBehavior::DropCascade
            && matches!(gone.kind, ConstraintKind::Primary { .. } | ConstraintKind::Unique { .. })
        {
            self.drop_foreign_keys_to(&relation.name);
        }
    }

    fn attach_partition(&mut self, relation: &mut Relation, command: &AlterTableCmd) {
        let Some(PartitionCmd { name: Some(child), bound, .. }) = partition_cmd(command) else { return };
        let child = self.resolve(child);
        relation.kind = RelationKind::PartitionedTable;
        if self.relation(&child).is_none() {
            return;
        }
        let Some(mut partition) = self.catalog.relations.remove(&child) else { return };
        partition.partition_of = Some(relation.name.clone());
        partition.is_default_partition = bound.as_ref().is_some_and(|bound| bound.is_default);
        partition.partition_bound = bound
            .as_ref()
            .map(|bound| Box::new(ast::Node { node: Some(NodeEnum::PartitionBoundSpec(bound.clone())) }));
        for index in &relation.indexes {
            // An index that fits is taken over, else one is built.
            if !partition.indexes.iter().any(|own| own.columns == index.columns && own.unique == index.unique)
            {
                self.copy_index_to_partition(relation, index, &mut partition);
            }
        }
        self.catalog.relations.insert(child, partition);
    }

    fn detach_partition(&mut self, command: &AlterTableCmd) {
        let Some(child) = partition_cmd(command).and_then(|command| command.name.as_ref()) else { return };
        let child = self.resolve(child);
        if let Some(partition) = self.relation(&child) {
            partition.partition_of = None;
            partition.partition_bound = None;
            partition.is_default_partition = false;
        }
    }
}

/// The same command for a partition or child: its keys have names of their own, and children by
/// INHERITS get no keys at all.
fn for_child(child: &Relation, command: &AlterTableCmd) -> Option<AlterTableCmd> {
    let mut command = command.clone();
    if let Some(NodeEnum::Constraint(written)) = command.def.as_mut().and_then(|def| def.node.as_mut()) {
        let inherited = matches!(written.contype(), ConstrType::ConstrCheck | ConstrType::ConstrNotnull);
        if !inherited && child.partition_of.is_none() {
            return None;
        }
        if !inherited && written.contype() != ConstrType::ConstrForeign {
            written.conname.clear();
            written.indexname.clear();
        }
    }
    Some(command)
}

/// Works on a column; one nobody knows is added first, with its type unknown.
fn with_column(relation: &mut Relation, name: &str, work: impl FnOnce(&mut crate::schema::Column)) {
    if relation.column(name).is_none() && !relation.columns_known {
        let unknown = crate::schema::Column::plain(name, crate::schema::ColumnType::unknown());
        relation.columns.push(unknown);
    }
    if let Some(column) = relation.columns.iter_mut().find(|column| column.name == name) {
        work(column);
    }
}

fn switch_triggers(relation: &mut Relation, name: Option<&str>, enabled: bool) {
    for trigger in &mut relation.triggers {
        if name.is_none_or(|name| trigger.name == name) {
            trigger.enabled = enabled;
        }
    }
}

fn column_def(command: &AlterTableCmd) -> Option<&ColumnDef> {
    match command.def.as_ref()?.node.as_ref()? {
        NodeEnum::ColumnDef(column) => Some(column),
        _ => None,
    }
}

fn partition_cmd(command: &AlterTableCmd) -> Option<&PartitionCmd> {
    match command.def.as_ref()?.node.as_ref()? {
        NodeEnum::PartitionCmd(command) => Some(command),
        _ => None,
    }
}

fn list_of(command: &AlterTableCmd) -> &[ast::Node] {
    match command.def.as_ref().and_then(|def| def.node.as_ref()) {
        Some(NodeEnum::List(list)) => &list.items,
        _ => &[],
    }
}

/// `SET GENERATED ALWAYS | BY DEFAULT` among the options of an identity.
fn identity_kind(command: &AlterTableCmd) -> Option<char> {
    let option = super::option(list_of(command), "generated")?;
    match option.arg.as_ref()?.node.as_ref()? {
        NodeEnum::Integer(code) => u32::try_from(code.ival).ok().and_then(char::from_u32),
        NodeEnum::String(text) => text.sval.chars().next(),
        _ => None,
    }
}
