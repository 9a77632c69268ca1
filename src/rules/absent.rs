//! Names of columns that a table is known not to have.
//!
//! Only where it is certain: the model has the whole table, and the statement leaves no doubt whose
//! column it means (no join, no subquery, no WITH).

use crate::{
    rules::{Context, common},
    schema::{QName, Relation},
    sql::{
        ast::{
            self, AlterTableCmd, AlterTableType as T, Name, Node, NodeEnum, NodeRef, ObjectType, SelectStmt,
        },
        walk, walk_all,
    },
};

/// A table, and the first column that the statement names and the table lacks.
pub(super) fn column(context: &Context<'_>) -> Option<(QName, String)> {
    let range = match context.node {
        NodeEnum::AlterTableStmt(alter) => alter.relation.as_ref(),
        NodeEnum::RenameStmt(rename) if rename.rename_type() == ObjectType::ObjectColumn => {
            rename.relation.as_ref()
        }
        NodeEnum::IndexStmt(index) => index.relation.as_ref(),
        NodeEnum::InsertStmt(insert) => insert.relation.as_ref(),
        NodeEnum::UpdateStmt(update) => update.relation.as_ref(),
        NodeEnum::DeleteStmt(delete) => delete.relation.as_ref(),
        NodeEnum::CreatePolicyStmt(policy) => policy.table.as_ref(),
        _ => None,
    };
    let named = range.and_then(|range| {
        let table = context.catalog.whole_table(&context.resolve(range))?;
        let alias = range.alias.as_ref().map_or(&range.relname, |alias| &alias.aliasname);
        let missing = of_table(context, alias).into_iter().find(|name| lacks(table, name))?;
        Some((table.name.clone(), missing))
    });
    named.or_else(|| read(context))
}

fn lacks(table: &Relation, column: &str) -> bool {
    // <https://www.postgresql.org/docs/current/ddl-system-columns.html>
    const SYSTEM: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];
    table.column(column).is_none() && !SYSTEM.contains(&column)
}

/// The columns of its own table that a statement names.
fn of_table(context: &Context<'_>, alias: &str) -> Vec<String> {
    let targets = |list: &[Node]| -> Vec<String> {
        let name = |node: &Node| match &node.node {
            Some(NodeEnum::ResTarget(target)) => Some(target.name.clone()),
            _ => None,
        };
        list.iter().filter_map(name).collect()
    };
    match context.node {
        NodeEnum::AlterTableStmt(alter) if alter.objtype() == ObjectType::ObjectTable => {
            let commands = || {
                alter.cmds.iter().filter_map(|node| match &node.node {
                    Some(NodeEnum::AlterTableCmd(command)) => Some(&**command),
                    _ => None,
                })
            };
            let added: Vec<&str> =
                commands().filter_map(common::added_column).map(|column| column.colname.as_str()).collect();
            let mut named: Vec<String> = commands().flat_map(|command| altered(command, alias)).collect();
            named.retain(|name| !added.contains(&name.as_str()));
            named
        }
        NodeEnum::RenameStmt(rename) => vec![rename.subname.clone()],
        NodeEnum::IndexStmt(index) => {
            let keys = index.index_params.iter().chain(&index.index_including_params);
            let mut named: Vec<String> = keys
                .flat_map(|key| match &key.node {
                    Some(NodeEnum::IndexElem(element)) if !element.name.is_empty() => {
                        vec![element.name.clone()]
                    }
                    _ => own_columns([key], alias),
                })
                .collect();
            named.extend(own_columns(index.where_clause.as_deref(), alias));
            named
        }
        NodeEnum::InsertStmt(insert) => targets(&insert.cols),
        NodeEnum::UpdateStmt(update) => {
            let mut named = targets(&update.target_list);
            if update.from_clause.is_empty() && update.with_clause.is_none() {
                named.extend(own_columns(update.where_clause.as_deref(), alias));
            }
            named
        }
        NodeEnum::DeleteStmt(delete) if delete.using_clause.is_empty() && delete.with_clause.is_none() => {
            own_columns(delete.where_clause.as_deref(), alias)
        }
        NodeEnum::CreatePolicyStmt(policy) => {
            own_columns(policy.qual.as_deref().into_iter().chain(policy.with_check.as_deref()), alias)
        }
        _ => Vec::new(),
    }
}

/// The columns that a subcommand of ALTER TABLE needs to find.
fn altered(command: &AlterTableCmd, alias: &str) -> Vec<String> {
    let ours = match command.subtype() {
        T::AtColumnDefault
        | T::AtSetNotNull
        | T::AtDropNotNull
        | T::AtAlterColumnType
        | T::AtSetExpression
        | T::AtSetStatistics
        | T::AtSetStorage
        | T::AtSetCompression
        | T::AtSetOptions
        | T::AtResetOptions
        | T::AtAddIdentity
        | T::AtSetIdentity => true,
        T::AtDropColumn | T::AtDropIdentity | T::AtDropExpression => !command.missing_ok,
        _ => false,
    };
    if ours {
        return Some(command.name.clone()).filter(|name| !name.is_empty()).into_iter().collect();
    }
    let Some(constraint) = common::constraint(command) else { return Vec::new() };
    let mut named = ast::strings(&constraint.keys);
    named.extend(ast::strings(&constraint.fk_attrs));
    named.extend(own_columns(constraint.raw_expr.as_deref(), alias));
    named
}

/// What a query over a single table reads of it.
fn read(context: &Context<'_>) -> Option<(QName, String)> {
    let query = match context.node {
        NodeEnum::SelectStmt(_) => context.node,
        NodeEnum::CreateTableAsStmt(create) => create.query.as_ref()?.node.as_ref()?,
        NodeEnum::ViewStmt(view) => view.query.as_ref()?.node.as_ref()?,
        NodeEnum::InsertStmt(insert) => insert.select_stmt.as_ref()?.node.as_ref()?,
        _ => return None,
    };
    let NodeEnum::SelectStmt(select) = query else { return None };
    let mut selects = 0;
    walk(query, &mut |node| {
        selects += usize::from(matches!(node, NodeRef::SelectStmt(_)));
        true
    });
    let [from] = select.from_clause.as_slice() else { return None };
    let Some(NodeEnum::RangeVar(range)) = &from.node else { return None };
    if selects != 1 || select.with_clause.is_some() {
        return None;
    }
    let name = Name::of(range);
    let table = context.catalog.whole_table(&context.catalog.resolve(&name, context.session))?;
    let alias = range.alias.as_ref().map_or(&range.relname, |alias| &alias.aliasname);
    // `t (a, b)` gives the columns other names.
    if range.alias.as_ref().is_some_and(|alias| !alias.colnames.is_empty()) {
        return None;
    }
    let outputs = output_names(select);
    let parts = select
        .target_list
        .iter()
        .chain(select.where_clause.as_deref())
        .chain(&select.group_clause)
        .chain(select.having_clause.as_deref())
        .chain(&select.sort_clause)
        .chain(&select.distinct_clause);
    let missing =
        own_columns(parts, alias).into_iter().find(|name| lacks(table, name) && !outputs.contains(name))?;
    Some((table.name.clone(), missing))
}

/// `ORDER BY` may name these.
fn output_names(select: &SelectStmt) -> Vec<String> {
    let name = |node: &Node| match &node.node {
        Some(NodeEnum::ResTarget(target)) => Some(target.name.clone()),
        _ => None,
    };
    select.target_list.iter().filter_map(name).filter(|name| !name.is_empty()).collect()
}

/// The columns named in expressions over one table; none at all where a subquery may mean another.
fn own_columns<'a>(parts: impl IntoIterator<Item = &'a Node>, alias: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut doubtful = false;
    walk_all(parts, &mut |node| {
        match node {
            NodeRef::SubLink(_) | NodeRef::SelectStmt(_) => doubtful = true,
            NodeRef::ColumnRef(reference) => {
                let path = ast::strings(&reference.fields);
                // One part fewer than fields: a star.
                if path.len() == reference.fields.len() {
                    match path.as_slice() {
                        // A table's own name is its whole row.
                        [name] if name != alias => found.push(name.clone()),
                        [table, name] if table == alias => found.push(name.clone()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        true
    });
    if doubtful { Vec::new() } else { found }
}
