//! Which objects a statement creates, drops or renames, by the names written.

use crate::{
    schema::Routine,
    sql::{
        self,
        ast::{self, AlterTableType, Name, Node, NodeEnum, ObjectType},
    },
};

/// Types of a routine's input arguments as SQL, for a statement that names this overload.
pub(super) fn arguments_sql(routine: &Routine) -> String {
    // A type that the model knows is quoted where it has to be; one that it does not stands as it is called.
    let quoted = |ty: &String| {
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_ .,()[]".contains(&byte);
        // `"char"` is a type of its own; the other is called `character`.
        if ty.trim_end_matches("[]") == "char" {
            return ty.replacen("char", "\"char\"", 1);
        }
        if ty.contains('"') || ty.bytes().all(plain) {
            return ty.clone();
        }
        let name = ty.trim_end_matches("[]");
        format!("{}{}", sql::ident(name), &ty[name.len()..])
    };
    routine.arguments.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// The objects that a statement creates.
pub(crate) fn created(node: &NodeEnum) -> Vec<(ObjectType, Name)> {
    let dotted = |nodes: &[Node]| Name::from_parts(&ast::strings(nodes));
    let one = |kind: ObjectType, name: Option<Name>| name.map(|name| (kind, name)).into_iter().collect();
    match node {
        NodeEnum::CreateStmt(create) => one(ObjectType::ObjectTable, create.relation.as_ref().map(Name::of)),
        NodeEnum::CreateForeignTableStmt(create) => {
            let base = create.base_stmt.as_ref().and_then(|base| base.relation.as_ref());
            one(ObjectType::ObjectForeignTable, base.map(Name::of))
        }
        NodeEnum::ViewStmt(view) => one(ObjectType::ObjectView, view.view.as_ref().map(Name::of)),
        NodeEnum::CreateTableAsStmt(create) => {
            let name = create.into.as_ref().and_then(|into| into.rel.as_ref()).map(Name::of);
            one(create.objtype(), name)
        }
        NodeEnum::CreateFunctionStmt(create) => {
            let kind =
                if create.is_procedure { ObjectType::ObjectProcedure } else { ObjectType::ObjectFunction };
            one(kind, dotted(&create.funcname))
        }
        NodeEnum::CreateEnumStmt(create) => one(ObjectType::ObjectType, dotted(&create.type_name)),
        NodeEnum::CompositeTypeStmt(create) => {
            one(ObjectType::ObjectType, create.typevar.as_ref().map(Name::of))
        }
        NodeEnum::CreateRangeStmt(create) => one(ObjectType::ObjectType, dotted(&create.type_name)),
        NodeEnum::CreateDomainStmt(create) => one(ObjectType::ObjectDomain, dotted(&create.domainname)),
        NodeEnum::CreateSeqStmt(create) => {
            one(ObjectType::ObjectSequence, create.sequence.as_ref().map(Name::of))
        }
        NodeEnum::DefineStmt(define) => one(define.kind(), dotted(&define.defnames)),
        NodeEnum::CreateExtensionStmt(create) => {
            one(ObjectType::ObjectExtension, Some(Name::bare(&create.extname)))
        }
        NodeEnum::CreateTrigStmt(create) => {
            one(ObjectType::ObjectTrigger, create.relation.as_ref().map(|table| on(table, &create.trigname)))
        }
        NodeEnum::CreatePolicyStmt(create) => {
            one(ObjectType::ObjectPolicy, create.table.as_ref().map(|table| on(table, &create.policy_name)))
        }
        NodeEnum::SelectStmt(select) => {
            let into = select.into_clause.as_ref().and_then(|into| into.rel.as_ref());
            one(ObjectType::ObjectTable, into.map(Name::of))
        }
        NodeEnum::CreateSchemaStmt(create) => {
            let inside = create.schema_elts.iter().filter_map(|element| element.node.as_ref());
            let mut made: Vec<(ObjectType, Name)> = inside.flat_map(created).collect();
            made.iter_mut().for_each(|(_, name)| name.schema = Some(create.schemaname.clone()));
            made
        }
        // So does a table that comes into a schema.
        NodeEnum::AlterObjectSchemaStmt(alter) => {
            let name = match (&alter.relation, &alter.object) {
                (Some(relation), _) => Some(relation.relname.clone()),
                (None, Some(object)) => ast::name(object).map(|name| name.name),
                _ => None,
            };
            one(alter.object_type(), name.map(|name| Name::qualified(alter.newschema.clone(), name)))
        }
        // A rename makes the new name.
        NodeEnum::RenameStmt(rename) => {
            let schema = match (&rename.relation, &rename.object) {
                (Some(relation), _) => Name::of(relation).schema,
                (None, Some(object)) => ast::name(object).and_then(|name| name.schema),
                _ => None,
            };
            one(rename.rename_type(), Some(Name { schema, name: rename.newname.clone() }))
        }
        _ => Vec::new(),
    }
}

/// The objects that a `DROP` names. Triggers and policies are given as `table.name`.
pub(crate) fn dropped(node: &NodeEnum) -> Vec<(ObjectType, Name)> {
    let NodeEnum::DropStmt(drop) = node else { return Vec::new() };
    drop.objects.iter().filter_map(ast::name).map(|name| (drop.remove_type(), name)).collect()
}

/// A trigger's or policy's name beside its table's, as [`ast::name`] reads it off a `DROP`.
fn on(table: &ast::RangeVar, name: &str) -> Name {
    Name::qualified(table.relname.clone(), name)
}

/// Whether two kinds of object live under one name: functions, procedures and aggregates do, and
/// so do tables, views and sequences.
pub(crate) fn same_namespace(a: ObjectType, b: ObjectType) -> bool {
    use ObjectType as T;
    let class = |kind: ObjectType| match kind {
        T::ObjectFunction | T::ObjectProcedure | T::ObjectAggregate | T::ObjectRoutine => 1,
        T::ObjectTable | T::ObjectView | T::ObjectMatview | T::ObjectForeignTable | T::ObjectSequence => 2,
        T::ObjectType | T::ObjectDomain => 3,
        other => 100 + other as i32,
    };
    class(a) == class(b)
}

/// Whether two names as written can mean the same object.
pub(crate) fn same_name(a: &Name, b: &Name) -> bool {
    a.name == b.name && (a.schema == b.schema || a.schema.is_none() || b.schema.is_none())
}

/// What the manual calls a kind of object, in lower case.
pub(crate) fn kind_in_words(kind: ObjectType) -> &'static str {
    use ObjectType as T;
    match kind {
        T::ObjectTable => "table",
        T::ObjectView => "view",
        T::ObjectMatview => "materialized view",
        T::ObjectForeignTable => "foreign table",
        T::ObjectFunction => "function",
        T::ObjectProcedure => "procedure",
        T::ObjectAggregate => "aggregate",
        T::ObjectRoutine => "routine",
        T::ObjectType => "type",
        T::ObjectDomain => "domain",
        T::ObjectSequence => "sequence",
        T::ObjectExtension => "extension",
        T::ObjectTrigger => "trigger",
        T::ObjectPolicy => "policy",
        T::ObjectSchema => "schema",
        T::ObjectColumn => "column",
        T::ObjectRole => "role",
        _ => "object",
    }
}

/// The tables whose column a subcommand of `ALTER TABLE` drops.
pub(crate) fn is(command: &ast::AlterTableCmd, kind: AlterTableType) -> bool {
    command.subtype() == kind
}

/// A name as it is written in SQL.
pub(crate) fn name_sql(name: &Name) -> String {
    match &name.schema {
        Some(schema) => sql::qualified(schema, &name.name),
        None => sql::ident(&name.name),
    }
}

/// Whether a rename, a move or a drop says IF EXISTS.
pub(super) fn spares_absent(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::RenameStmt(rename) => rename.missing_ok,
        NodeEnum::AlterObjectSchemaStmt(alter) => alter.missing_ok,
        NodeEnum::DropStmt(drop) => drop.missing_ok,
        _ => false,
    }
}
