//! What many rules read off a parse tree or write into a suggestion.
//!
//! Nothing here reports; nothing here knows a rule.

use std::{borrow::Cow, rc::Rc};

pub(crate) use crate::sql::ast::is_null;
use crate::{
    lock::LockMode,
    migration::Section,
    rules::Context,
    schema::{Body, Catalog, Index, IndexColumn, Nesting, QName, Relation, RelationKind, bodies},
    sql::{
        self,
        ast::{
            self, AlterTableCmd, AlterTableType, ColumnDef, ConstrType, Constraint, IndexStmt, Name, Node,
            NodeEnum,
        },
    },
};

/// "ACCESS EXCLUSIVE on `public.orders`, so every read and write of it waits".
pub(crate) fn blocks(mode: LockMode, table: &QName) -> String {
    format!("{mode} on `{table}`, so {}", mode.who_waits())
}

/// `a, b`, each quoted where needed.
pub(crate) fn list<S: AsRef<str>>(names: &[S]) -> String {
    names.iter().map(|name| sql::ident(name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The name that Postgres gives to something unnamed: `table_column_column_suffix`, at most 63 bytes.
///
/// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/commands/indexcmds.c>
/// (`makeObjectName` shortens the longer part first; which one matters little here).
pub(crate) fn chosen_name(table: &QName, columns: &[String], suffix: &str) -> String {
    let mut stem = std::iter::once(table.name.as_str())
        .chain(columns.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join("_");
    let room = 63 - suffix.len() - 1;
    if stem.len() > room {
        let cut = (0..=room).rev().find(|at| stem.is_char_boundary(*at)).unwrap_or(0);
        stem.truncate(cut);
    }
    format!("{stem}_{suffix}")
}

/// The constraint that a subcommand adds.
pub(crate) fn constraint(command: &AlterTableCmd) -> Option<&Constraint> {
    match command.def.as_ref()?.node.as_ref()? {
        NodeEnum::Constraint(constraint) if command.subtype() == AlterTableType::AtAddConstraint => {
            Some(constraint)
        }
        _ => None,
    }
}

/// The column that a subcommand adds.
pub(crate) fn added_column(command: &AlterTableCmd) -> Option<&ColumnDef> {
    match command.def.as_ref()?.node.as_ref()? {
        NodeEnum::ColumnDef(column) if command.subtype() == AlterTableType::AtAddColumn => Some(column),
        _ => None,
    }
}

/// The constraints that `ALTER TABLE` adds to a live table, with the table: those of `ADD
/// CONSTRAINT`, not those inline in `ADD COLUMN`.
pub(crate) fn constraints_added_to_live<'a>(
    context: &'a Context<'_>,
    kind: ConstrType,
) -> Vec<(QName, &'a Constraint)> {
    let Some((table, commands)) = context.alter_table() else { return Vec::new() };
    if !context.is_live(table) || is_kind(context, table, RelationKind::ForeignTable) {
        return Vec::new();
    }
    commands
        .iter()
        .copied()
        .filter_map(constraint)
        .filter(|constraint| constraint.contype() == kind)
        .map(|constraint| (table.clone(), constraint))
        .collect()
}

/// Whether the statement is `ALTER TABLE ONLY` of a partitioned table: of a key it makes an index that is
/// invalid until one of each partition is attached, and builds nothing.
pub(crate) fn is_only(context: &Context<'_>) -> bool {
    let NodeEnum::AlterTableStmt(alter) = context.node else { return false };
    alter.relation.as_ref().is_some_and(|range| {
        !range.inh && is_kind(context, &context.resolve(range), RelationKind::PartitionedTable)
    })
}

/// The columns that `ALTER TABLE` adds to a live table; without those that `IF NOT EXISTS` skips.
pub(crate) fn columns_added_to_live<'a>(context: &'a Context<'_>) -> Vec<(QName, &'a ColumnDef)> {
    let Some((table, commands)) = context.alter_table() else { return Vec::new() };
    if !context.is_live(table) || is_kind(context, table, RelationKind::ForeignTable) {
        return Vec::new();
    }
    commands
        .iter()
        .copied()
        .filter_map(|command| Some((command, added_column(command)?)))
        .filter(|(command, column)| !(command.missing_ok && has_column(context, table, &column.colname)))
        .map(|(_, column)| (table.clone(), column))
        .collect()
}

fn has_column(context: &Context<'_>, table: &QName, column: &str) -> bool {
    context.relation(table).is_some_and(|relation| relation.column(column).is_some())
}

/// The relation as the other subcommands of an `ALTER TABLE` find it: constraints are dropped first, wherever
/// in the statement that stands.
///
/// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/commands/tablecmds.c> (`AT_PASS_DROP`)
pub(crate) fn after_drops<'a>(relation: &'a Relation, commands: &[&AlterTableCmd]) -> Cow<'a, Relation> {
    let mut dropped =
        commands.iter().filter(|command| command.subtype() == AlterTableType::AtDropConstraint).peekable();
    if dropped.peek().is_none() {
        return Cow::Borrowed(relation);
    }
    let mut left = relation.clone();
    for command in dropped {
        left.constraints.retain(|constraint| constraint.name != command.name);
    }
    Cow::Owned(left)
}

/// Whether a relation is known to be of that kind.
pub(crate) fn is_kind(context: &Context<'_>, table: &QName, kind: RelationKind) -> bool {
    context.relation(table).is_some_and(|relation| relation.kind == kind)
}

/// The constraints that stand inline in a column's definition.
pub(crate) fn inline(column: &ColumnDef) -> impl Iterator<Item = &Constraint> {
    column.constraints.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::Constraint(constraint)) => Some(&**constraint),
        _ => None,
    })
}

/// The inline constraint of that kind.
pub(crate) fn inline_of(column: &ColumnDef, kind: ConstrType) -> Option<&Constraint> {
    inline(column).find(|constraint| constraint.contype() == kind)
}

/// The expression of the column's `DEFAULT`, also where it is `NULL`.
pub(crate) fn default(column: &ColumnDef) -> Option<&Node> {
    inline_of(column, ConstrType::ConstrDefault)?.raw_expr.as_deref()
}

/// `smallserial`, `serial`, `bigserial` and their aliases.
pub(crate) fn is_serial(column: &ColumnDef) -> bool {
    let Some(name) = &column.type_name else { return false };
    let parts = ast::strings(&name.names);
    let serial = ["smallserial", "serial2", "serial", "serial4", "bigserial", "serial8"];
    matches!(parts.as_slice(), [name] if serial.contains(&name.as_str()))
}

/// The default that the column's type brings, where that is a domain and the column has none of its own.
pub(crate) fn domain_default<'a>(context: &'a Context<'_>, column: &ColumnDef) -> Option<&'a Node> {
    if default(column).is_some() {
        return None;
    }
    context.catalog.domain_default(column.type_name.as_ref()?, context.session)
}

/// Whether an inline constraint is followed by `NOT ENFORCED`, or says so itself.
pub(crate) fn not_enforced(column: &ColumnDef) -> bool {
    inline(column).any(|constraint| constraint.contype() == ConstrType::ConstrAttrNotEnforced)
}

/// The index that a `DROP INDEX` or `REINDEX INDEX` names, and the relation that it is on.
pub(crate) fn find_index<'a>(context: &Context<'a>, name: &Name) -> Option<(&'a Relation, &'a Index)> {
    let schemas: Vec<&str> = match &name.schema {
        Some(schema) => vec![schema],
        None => context.session.search_path.iter().map(String::as_str).collect(),
    };
    schemas.into_iter().find_map(|schema| context.catalog.index(&QName::new(schema, name.name.clone())))
}

/// The plain columns of an index, unless it has an expression.
pub(crate) fn plain_columns(index: &Index) -> Option<Vec<String>> {
    index
        .columns
        .iter()
        .map(|column| match column {
            IndexColumn::Column(name) => Some(name.clone()),
            IndexColumn::Expression(_) => None,
        })
        .collect()
}

/// The key columns of a `CREATE INDEX`; `None` in the place of an expression.
pub(crate) fn key_columns(index: &IndexStmt) -> Vec<Option<String>> {
    index
        .index_params
        .iter()
        .map(|node| match &node.node {
            Some(NodeEnum::IndexElem(element)) if !element.name.is_empty() => Some(element.name.clone()),
            _ => None,
        })
        .collect()
}

/// Name of the index that the statement makes, as Postgres would choose where it is not given.
pub(crate) fn index_name(catalog: &Catalog, index: &IndexStmt, table: &QName) -> QName {
    if !index.idxname.is_empty() {
        return QName::new(table.schema.clone(), index.idxname.clone());
    }
    let columns: Vec<String> =
        key_columns(index).into_iter().map(|column| column.unwrap_or_else(|| "expr".into())).collect();
    let name = catalog.free_name(&table.schema, &chosen_name(table, &columns, "idx"));
    QName::new(table.schema.clone(), name)
}

/// Whether `IF NOT EXISTS` makes the `CREATE INDEX` do nothing.
pub(crate) fn index_is_there(context: &Context<'_>, index: &IndexStmt, table: &QName) -> bool {
    index.if_not_exists && context.catalog.index(&index_name(context.catalog, index, table)).is_some()
}

/// The earlier statement whose ACCESS EXCLUSIVE on the table this transaction still holds.
pub(crate) fn shut_since(context: &Context<'_>, table: &QName) -> Option<usize> {
    let (mode, taken) = context.session.transaction.held.get(table)?;
    let earlier = taken.statement < context.at().statement && context.in_transaction();
    (earlier && mode.blocks(LockMode::AccessShare)).then_some(taken.statement)
}

/// What runs after the statement in the same transaction and speaks of the table, if one is given, as
/// far as the text tells: in the rest of a wrapped file, or up to the file's own `COMMIT`. In a file of
/// thousands of statements only so far: looking through all of it at each of them would take minutes.
pub(crate) fn rest_of_transaction(context: &Context<'_>, table: Option<&QName>) -> Vec<Rc<NodeEnum>> {
    const FARTHEST: usize = 2000;
    if !context.in_transaction() {
        return Vec::new();
    }
    let Some(section) = context.migration.section(context.direction) else { return Vec::new() };
    let mut rest = rest_of_block(context, section);
    let pieces = section.cut.statements().enumerate().skip(context.at().statement).take(FARTHEST);
    for (number, piece) in pieces {
        let text = &section.sql[piece.body.clone()];
        let control = !context.session.transaction.runner && text.len() < 200;
        if !control && table.is_some_and(|table| !mentions(text, &table.name)) {
            continue;
        }
        for node in context.later.parsed(number, text).iter() {
            if !context.session.transaction.runner && matches!(**node, NodeEnum::TransactionStmt(_)) {
                return rest;
            }
            rest.push(Rc::clone(node));
            if matches!(**node, NodeEnum::DoStmt(_)) {
                rest.extend(inside(context, node, text));
            }
        }
    }
    rest
}

/// What follows in the DO block or routine that the statement stands in.
fn rest_of_block(context: &Context<'_>, section: &Section) -> Vec<Rc<NodeEnum>> {
    if context.unit.nesting == Nesting::Top {
        return Vec::new();
    }
    let number = context.at().statement.saturating_sub(1);
    let Some(piece) = section.cut.statements().nth(number) else { return Vec::new() };
    let text = &section.sql[piece.body.clone()];
    let around = context.later.parsed(number, text);
    let all = around.iter().flat_map(|node| inside(context, node, text));
    all.skip_while(|node| **node != *context.node).skip(1).collect()
}

fn inside(context: &Context<'_>, node: &NodeEnum, text: &str) -> Vec<Rc<NodeEnum>> {
    let found = bodies(node, text, context.catalog, context.session).into_iter();
    let nodes = found.filter_map(|body| match body {
        Body::Statement { node, .. } => Some(Rc::new(*node)),
        Body::Opaque(_) => None,
    });
    nodes.collect()
}

/// Whether a name may stand in a text, in whatever case; escaped as `U&"…"` it may be anything.
fn mentions(text: &str, name: &str) -> bool {
    let quoted = name.replace('"', "\"\"").to_ascii_lowercase();
    sql::contains_ignoring_case(text, &quoted) || text.contains("U&\"") || text.contains("u&\"")
}

/// The subcommands of an `ALTER TABLE` node that concern the table.
pub(crate) fn alters<'a>(context: &Context<'_>, node: &'a NodeEnum, table: &QName) -> Vec<&'a AlterTableCmd> {
    let NodeEnum::AlterTableStmt(statement) = node else { return Vec::new() };
    if statement.relation.as_ref().is_none_or(|range| context.resolve(range) != *table) {
        return Vec::new();
    }
    statement
        .cmds
        .iter()
        .filter_map(|node| match &node.node {
            Some(NodeEnum::AlterTableCmd(command)) => Some(&**command),
            _ => None,
        })
        .collect()
}

/// `ALTER TABLE t ADD CONSTRAINT name …`, deparsed from a constraint, with changes.
pub(crate) fn add_constraint(
    table: &QName,
    constraint: &Constraint,
    change: impl FnOnce(&mut Constraint),
) -> Option<String> {
    let mut constraint = constraint.clone();
    change(&mut constraint);
    let command = AlterTableCmd {
        subtype: AlterTableType::AtAddConstraint as i32,
        def: Some(Box::new(Node { node: Some(NodeEnum::Constraint(Box::new(constraint))) })),
        behavior: ast::DropBehavior::DropRestrict as i32,
        ..Default::default()
    };
    sql::deparse(&NodeEnum::AlterTableStmt(ast::AlterTableStmt {
        relation: Some(ast::RangeVar {
            schemaname: table.schema.clone(),
            relname: table.name.clone(),
            inh: true,
            relpersistence: "p".into(),
            ..Default::default()
        }),
        cmds: vec![Node { node: Some(NodeEnum::AlterTableCmd(Box::new(command))) }],
        objtype: ast::ObjectType::ObjectTable as i32,
        missing_ok: false,
    }))
}

/// A type as SQL.
pub(crate) fn type_sql(name: &ast::TypeName) -> Option<String> {
    let null = ast::AConst { isnull: true, ..Default::default() };
    let cast = ast::TypeCast {
        arg: Some(Box::new(Node { node: Some(NodeEnum::AConst(null)) })),
        type_name: Some(name.clone()),
        location: -1,
    };
    let text = sql::expression_text(&Node { node: Some(NodeEnum::TypeCast(Box::new(cast))) })?;
    text.strip_prefix("NULL::").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_constraint_back() {
        let nodes = sql::parse("alter table t add check (a > 0)").unwrap();
        let Some(NodeEnum::AlterTableStmt(alter)) = &nodes[0].node else { panic!() };
        let Some(NodeEnum::AlterTableCmd(command)) = &alter.cmds[0].node else { panic!() };
        let text = add_constraint(&QName::new("public", "t"), constraint(command).unwrap(), |it| {
            it.conname = "t_a_check".into();
            it.skip_validation = true;
            it.initially_valid = false;
        });
        assert_eq!(
            text.as_deref(),
            Some("ALTER TABLE public.t ADD CONSTRAINT t_a_check CHECK (a > 0) NOT VALID")
        );
        assert_eq!(
            chosen_name(&QName::new("public", "orders"), &["a".into(), "b".into()], "key"),
            "orders_a_b_key"
        );
    }

    #[test]
    fn writes_expressions_and_types() {
        let nodes =
            sql::parse("alter table t add column a numeric(10,2)[] default lower('x') || 'y'").unwrap();
        let Some(NodeEnum::AlterTableStmt(alter)) = &nodes[0].node else { panic!() };
        let Some(NodeEnum::AlterTableCmd(command)) = &alter.cmds[0].node else { panic!() };
        let column = added_column(command).unwrap();
        assert_eq!(sql::expression_text(default(column).unwrap()).as_deref(), Some("lower('x') || 'y'"));
        assert_eq!(type_sql(column.type_name.as_ref().unwrap()).as_deref(), Some("numeric(10, 2)[]"));
    }
}
