//! Where a statement uses an enum label that its own transaction added.

mod routine;

use super::Context;
use crate::{
    schema::{At, ColumnType, QName, TypeKind},
    sql::{
        self,
        ast::{self, ConstrType, Name, Node, NodeEnum, NodeRef, a_const},
    },
};

/// A label added in the open transaction.
pub(crate) struct New {
    pub(crate) ty: QName,
    pub(crate) label: String,
}

/// The first of them.
pub(crate) fn used(node: &NodeEnum, context: &Context<'_>) -> Option<New> {
    let of_column = |table: &QName, column: &str| -> Option<QName> {
        let relation = context.relation(table)?;
        enum_of(&relation.column(column)?.ty, context)
    };
    let find = |ty: &QName, value: &Node| new_among(ty, &constants(value), context);
    let assigned = |table: &QName, targets: &[Node]| {
        targets.iter().find_map(|target| match &target.node {
            Some(NodeEnum::ResTarget(target)) => {
                find(&of_column(table, &target.name)?, one_of_many(target.val.as_deref()?)?)
            }
            _ => None,
        })
    };
    match node {
        NodeEnum::UpdateStmt(update) => {
            let table = context.resolve(update.relation.as_ref()?);
            let assigned = assigned(&table, &update.target_list);
            if assigned.is_some() {
                return assigned;
            }
        }
        NodeEnum::InsertStmt(insert) => {
            let table = context.resolve(insert.relation.as_ref()?);
            let upsert = insert.on_conflict_clause.as_ref();
            let changed = upsert.and_then(|clause| assigned(&table, &clause.target_list));
            if changed.is_some() {
                return changed;
            }
            let columns: Vec<String> = if insert.cols.is_empty() {
                context.relation(&table)?.columns.iter().map(|column| column.name.clone()).collect()
            } else {
                insert
                    .cols
                    .iter()
                    .filter_map(|column| match &column.node {
                        Some(NodeEnum::ResTarget(column)) => Some(column.name.clone()),
                        _ => None,
                    })
                    .collect()
            };
            if let Some(NodeEnum::SelectStmt(select)) =
                insert.select_stmt.as_ref().and_then(|node| node.node.as_ref())
            {
                for row in &select.values_lists {
                    let Some(NodeEnum::List(row)) = &row.node else { continue };
                    for (column, value) in columns.iter().zip(&row.items) {
                        if let Some(new) = of_column(&table, column).and_then(|ty| find(&ty, value)) {
                            return Some(new);
                        }
                    }
                }
                for (column, target) in columns.iter().zip(&select.target_list) {
                    if let Some(NodeEnum::ResTarget(target)) = &target.node
                        && let Some(value) = &target.val
                        && let Some(new) = of_column(&table, column).and_then(|ty| find(&ty, value))
                    {
                        return Some(new);
                    }
                }
            }
        }
        NodeEnum::MergeStmt(merge) => {
            let table = context.resolve(merge.relation.as_ref()?);
            let found = merge.merge_when_clauses.iter().find_map(|clause| {
                let Some(NodeEnum::MergeWhenClause(clause)) = &clause.node else { return None };
                let named = clause.target_list.iter().filter_map(|target| match &target.node {
                    Some(NodeEnum::ResTarget(target)) => Some(target.name.clone()),
                    _ => None,
                });
                let mut inserted = named.zip(&clause.values);
                assigned(&table, &clause.target_list).or_else(|| {
                    inserted.find_map(|(column, value)| find(&of_column(&table, &column)?, value))
                })
            });
            if found.is_some() {
                return found;
            }
        }
        NodeEnum::AlterTableStmt(_) => {
            let (table, commands) = context.alter_table()?;
            for command in commands {
                let Some(def) = command.def.as_ref() else { continue };
                let found = match def.node.as_ref() {
                    Some(NodeEnum::ColumnDef(def)) => column_default(def, context)
                        .or_else(|| in_checks(&def.constraints, &columns_of(table, context), context)),
                    Some(NodeEnum::Constraint(_)) => {
                        in_checks([&**def], &columns_of(table, context), context)
                    }
                    _ if command.subtype() == ast::AlterTableType::AtColumnDefault => {
                        of_column(table, &command.name).and_then(|ty| find(&ty, def))
                    }
                    _ => None,
                };
                if found.is_some() {
                    return found;
                }
            }
        }
        NodeEnum::CreateStmt(create) => {
            let columns = new_columns(create, context);
            let found = create.table_elts.iter().find_map(|element| match &element.node {
                Some(NodeEnum::ColumnDef(def)) => {
                    column_default(def, context).or_else(|| in_checks(&def.constraints, &columns, context))
                }
                _ => in_checks([element], &columns, context),
            });
            let found = found.or_else(|| in_bounds(create, context));
            if found.is_some() {
                return found;
            }
        }
        NodeEnum::IndexStmt(index) => {
            let columns = columns_of(&context.resolve(index.relation.as_ref()?), context);
            let keys = index.index_params.iter().filter_map(|key| match &key.node {
                Some(NodeEnum::IndexElem(key)) => key.expr.as_deref(),
                _ => None,
            });
            return in_nodes(keys.chain(index.where_clause.as_deref()), &columns, context);
        }
        NodeEnum::CreatePolicyStmt(policy) => {
            let columns = columns_of(&context.resolve(policy.table.as_ref()?), context);
            let parts = policy.qual.as_deref().into_iter().chain(policy.with_check.as_deref());
            return in_nodes(parts, &columns, context);
        }
        NodeEnum::AlterPolicyStmt(policy) => {
            let columns = columns_of(&context.resolve(policy.table.as_ref()?), context);
            let parts = policy.qual.as_deref().into_iter().chain(policy.with_check.as_deref());
            return in_nodes(parts, &columns, context);
        }
        NodeEnum::CreateTrigStmt(trigger) => {
            let columns = columns_of(&context.resolve(trigger.relation.as_ref()?), context);
            return in_nodes(trigger.when_clause.as_deref(), &columns, context);
        }
        NodeEnum::CreateDomainStmt(create) => {
            let ty = context.catalog.column_type(create.type_name.as_ref()?, context.session);
            let columns = [("value".to_owned(), enum_of(&ty, context)?)];
            let default = create.constraints.iter().find_map(|constraint| match &constraint.node {
                Some(NodeEnum::Constraint(it)) if it.contype() == ConstrType::ConstrDefault => {
                    find(&columns[0].1, it.raw_expr.as_deref()?)
                }
                _ => None,
            });
            return default.or_else(|| in_checks(&create.constraints, &columns, context));
        }
        // The body of a plpgsql function is read when it runs; an SQL one when it is created.
        NodeEnum::CreateFunctionStmt(create) => return routine::body(create, context),
        _ => {}
    }
    in_expressions(node, context)
}

fn column_default(def: &ast::ColumnDef, context: &Context<'_>) -> Option<New> {
    let ty = context.catalog.column_type(def.type_name.as_ref()?, context.session);
    let ty = enum_of(&ty, context)?;
    def.constraints.iter().find_map(|constraint| match &constraint.node {
        Some(NodeEnum::Constraint(constraint)) if constraint.contype() == ConstrType::ConstrDefault => {
            let values = constants(constraint.raw_expr.as_ref()?);
            new_among(&ty, &values, context)
        }
        _ => None,
    })
}

/// The labels among the bounds of a new partition.
fn in_bounds(create: &ast::CreateStmt, context: &Context<'_>) -> Option<New> {
    let bounds = create.partbound.as_ref()?;
    let parent = create.inh_relations.iter().find_map(|node| match &node.node {
        Some(NodeEnum::RangeVar(range)) => context.relation(&context.resolve(range)),
        _ => None,
    })?;
    let listed = || [&bounds.listdatums, &bounds.lowerdatums, &bounds.upperdatums].into_iter().flatten();
    let keys = parent.partitioning.iter().flat_map(|key| &key.columns);
    let mut types = keys.filter_map(|key| enum_of(&parent.column(key)?.ty, context));
    types.find_map(|ty| new_among(&ty, &listed().flat_map(constants).collect::<Vec<_>>(), context))
}

/// The enum that a type is, also below domains.
fn enum_of(ty: &ColumnType, context: &Context<'_>) -> Option<QName> {
    let known = context.catalog.type_def(ty)?;
    match &known.kind {
        TypeKind::Domain { .. } => {
            Some(context.catalog.type_def(&context.catalog.base_type(ty))?.name.clone())
        }
        _ => Some(known.name.clone()),
    }
}

/// `(a, b) = (1, 2)`: the value for this column.
fn one_of_many(value: &Node) -> Option<&Node> {
    let Some(NodeEnum::MultiAssignRef(many)) = &value.node else { return Some(value) };
    match &many.source.as_ref()?.node {
        Some(NodeEnum::RowExpr(row)) => row.args.get(usize::try_from(many.colno).ok()?.checked_sub(1)?),
        _ => None,
    }
}

/// The expressions of CHECK constraints.
fn in_checks<'a>(
    constraints: impl IntoIterator<Item = &'a Node>,
    columns: &[(String, QName)],
    context: &Context<'_>,
) -> Option<New> {
    let checks = constraints.into_iter().filter_map(|node| match &node.node {
        Some(NodeEnum::Constraint(constraint)) => constraint.raw_expr.as_deref(),
        _ => None,
    });
    in_nodes(checks, columns, context)
}

/// Names of a table's columns, each with its type, where that is a type of the migrations.
fn columns_of(table: &QName, context: &Context<'_>) -> Vec<(String, QName)> {
    let columns = context.relation(table).map(|table| table.columns.as_slice()).unwrap_or_default();
    let known =
        columns.iter().filter_map(|column| Some((column.name.clone(), enum_of(&column.ty, context)?)));
    known.collect()
}

/// The same of a table that the statement creates.
fn new_columns(create: &ast::CreateStmt, context: &Context<'_>) -> Vec<(String, QName)> {
    let column = |node: &Node| {
        let Some(NodeEnum::ColumnDef(def)) = &node.node else { return None };
        let ty = context.catalog.column_type(def.type_name.as_ref()?, context.session);
        Some((def.colname.clone(), enum_of(&ty, context)?))
    };
    create.table_elts.iter().filter_map(column).collect()
}

/// Casts to the type, and comparisons with a column of it.
fn in_expressions(node: &NodeEnum, context: &Context<'_>) -> Option<New> {
    in_node(node, &[], context)
}

fn in_nodes<'a>(
    nodes: impl IntoIterator<Item = &'a Node>,
    columns: &[(String, QName)],
    context: &Context<'_>,
) -> Option<New> {
    nodes.into_iter().find_map(|node| in_node(node.node.as_ref()?, columns, context))
}

fn in_node(node: &NodeEnum, columns: &[(String, QName)], context: &Context<'_>) -> Option<New> {
    let mut columns_of_type = columns.to_vec();
    sql::walk(node, &mut |part| {
        if let NodeRef::RangeVar(range) = part {
            columns_of_type.extend(columns_of(&context.resolve(range), context));
        }
        true
    });
    let mut found = None;
    sql::walk(node, &mut |part| {
        match part {
            NodeRef::TypeCast(cast) => {
                let ty =
                    cast.type_name.as_ref().map(|name| context.catalog.column_type(name, context.session));
                let known = ty.and_then(|ty| enum_of(&ty, context));
                if let (Some(known), Some(value)) = (known, &cast.arg) {
                    let values = constants(value);
                    found = found.take().or_else(|| new_among(&known, &values, context));
                }
                // A cast to another type: what is inside is no use of the enum's label.
                return false;
            }
            NodeRef::FuncCall(call) => found = found.take().or_else(|| argument(call, context)),
            NodeRef::CoalesceExpr(coalesce) => {
                found = found
                    .take()
                    .or_else(|| beside(&coalesce.args, &coalesce.args, &columns_of_type, context));
            }
            NodeRef::CaseExpr(case) => {
                let tested = case.args.iter().filter_map(|arm| match &arm.node {
                    Some(NodeEnum::CaseWhen(when)) => when.expr.as_deref(),
                    _ => None,
                });
                found =
                    found.take().or_else(|| beside(case.arg.as_deref(), tested, &columns_of_type, context));
            }
            NodeRef::AExpr(expression) => {
                let sides = [expression.lexpr.as_deref(), expression.rexpr.as_deref()];
                let both = || sides.into_iter().flatten();
                found = found.take().or_else(|| beside(both(), both(), &columns_of_type, context));
            }
            _ => {}
        }
        true
    });
    found
}

/// A label that stands beside a column of its type.
fn beside<'a>(
    columns: impl IntoIterator<Item = &'a Node>,
    values: impl IntoIterator<Item = &'a Node>,
    types: &[(String, QName)],
    context: &Context<'_>,
) -> Option<New> {
    let named = |node: &Node| match &node.node {
        Some(NodeEnum::ColumnRef(column)) => ast::strings(&column.fields).pop(),
        _ => None,
    };
    let named: Vec<String> = columns.into_iter().filter_map(named).collect();
    let values: Vec<String> = values.into_iter().flat_map(constants).collect();
    let types = types.iter().filter(|(column, _)| named.contains(column));
    types.map(|(_, ty)| ty).find_map(|ty| new_among(ty, &values, context))
}

/// A constant given to a parameter of the type.
fn argument(call: &ast::FuncCall, context: &Context<'_>) -> Option<New> {
    let name = Name::from_parts(&ast::strings(&call.funcname))?;
    let (_, overloads) = context.catalog.resolve_routine(&name, context.session);
    let [routine] = overloads else { return None };
    let (_, types) = context.catalog.labels_added.as_ref()?;
    let given = |(at, value): (usize, &Node)| {
        let (at, value) = match &value.node {
            Some(NodeEnum::NamedArgExpr(named)) => {
                let at = routine.argument_names.iter().position(|name| *name == named.name)?;
                (at, named.arg.as_deref()?)
            }
            _ => (at, value),
        };
        let wanted = routine.arguments.get(at)?;
        let ty = types.iter().find(|ty| ty.to_string() == *wanted)?;
        new_among(ty, &constants(value), context)
    };
    call.args.iter().enumerate().find_map(given)
}

/// String constants of a value: itself, or the items of a list; not those under a cast.
fn constants(value: &Node) -> Vec<String> {
    match value.node.as_ref() {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(a_const::Val::Sval(text)) => match text.sval.strip_prefix('{') {
                // An array literal.
                Some(items) => {
                    let items = items.trim_end_matches('}').split(',');
                    items.map(|item| item.trim().trim_matches('"').to_owned()).collect()
                }
                None => vec![text.sval.clone()],
            },
            _ => Vec::new(),
        },
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().map(constants).unwrap_or_default(),
        Some(NodeEnum::List(list)) => list.items.iter().flat_map(constants).collect(),
        Some(NodeEnum::AArrayExpr(array)) => array.elements.iter().flat_map(constants).collect(),
        Some(NodeEnum::CaseExpr(case)) => {
            let arms = case.args.iter().filter_map(|arm| match &arm.node {
                Some(NodeEnum::CaseWhen(when)) => when.result.as_deref(),
                _ => None,
            });
            arms.chain(case.defresult.as_deref()).flat_map(constants).collect()
        }
        _ => Vec::new(),
    }
}

/// The first label of a type that the open transaction added and that stands among the values.
fn new_among(ty: &QName, values: &[String], context: &Context<'_>) -> Option<New> {
    let (_, types) = context.catalog.labels_added.as_ref()?;
    let known = types.get(ty).and_then(|ty| context.catalog.types.get(ty))?;
    let TypeKind::Enum { labels } = &known.kind else { return None };
    let here = |at: &Option<At>| at.is_some_and(|at| at.transaction == context.at().transaction);
    // From Postgres 17 on a type made in the same transaction takes new labels at once.
    if values.is_empty() || (here(&known.born) && context.pg >= 17) {
        return None;
    }
    let new = |(label, at): &&(String, Option<At>)| here(at) && *at != known.born && values.contains(label);
    labels.iter().find(new).map(|(label, _)| New { ty: ty.clone(), label: label.clone() })
}
