//! A new enum label used in the transaction that adds it.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    schema::{At, QName, TypeKind},
    sql::{
        self,
        ast::{self, ConstrType, Name, Node, NodeEnum, NodeRef, a_const},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "enum-value-used-same-transaction",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "uses an enum label in the transaction that adds it",
    why: "Postgres refuses it (55P04): a new label may be used only once it is committed.",
    instead: "Put the ADD VALUE in a file of its own before this one.",
    sources: &["https://www.postgresql.org/docs/current/sql-altertype.html#id-1.9.3.42.7"],
    peers: &[
        "ps:enum-value-used-in-transaction",
        "sfm:alter-type-add-value-txn",
        "pgls:avoid-alter-enum-add-value",
    ],
    given: "create type app.mood as enum ('ok');
            create table app.people (id bigint primary key, mood app.mood);",
    bad: &[
        "alter type app.mood add value 'sad';\nupdate app.people set mood = 'sad' where id = 1;",
        "alter type app.mood add value 'sad';\nalter table app.people alter column mood set default 'sad';",
        "alter type app.mood add value 'sad';\ninsert into app.people (id, mood) values (1, 'sad');",
        "alter type app.mood add value 'sad';\ninsert into app.people (id, mood) values (1, 'ok'), (2, 'ok'), (3, 'sad');",
        "alter type app.mood add value 'sad';\nselect 'sad'::app.mood;",
        "alter type app.mood add value 'sad';\nalter table app.people add constraint m check (mood <> 'sad') not valid;",
        "alter table app.people enable row level security;\nalter type app.mood add value 'sad';\ncreate policy sad_ones on app.people for select to authenticated using (mood = 'sad');",
        "alter type app.mood add value 'sad';\ninsert into app.people (id) values (1) on conflict (id) do update set mood = 'sad';",
        "alter type app.mood add value 'sad';\nselect '{ok,sad}'::app.mood[];",
        "create function app.f(m app.mood) returns text language plpgsql set search_path = '' as 'begin return m::text; end';\nalter type app.mood add value 'sad';\nselect app.f(m => 'sad');",
        "alter type app.mood add value 'sad';\ncreate table app.t (id bigint primary key, mood app.mood check (mood in ('ok', 'sad')));",
    ],
    good: &[
        "--: postgres.version = 17\ncreate type app.size as enum ('s');\nalter type app.size add value 'm';\nselect 'm'::app.size;",
        "alter type app.mood add value 'sad';\n-- next file\nupdate app.people set mood = 'sad' where id = 1;",
        "alter type app.mood add value 'sad';\nselect count(*) from app.people where mood::text = 'sad';",
        "alter type app.mood add value if not exists 'ok';\nupdate app.people set mood = 'ok' where id = 1;",
        "alter type app.mood add value 'sad';\ncomment on type app.mood is 'sad';",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

/// A label added in the open transaction.
struct New {
    ty: QName,
    label: String,
}

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let at = context.at().transaction;
    let none = context.catalog.labels_added.as_ref().is_none_or(|added| added.0 != at);
    if none || !context.in_transaction() || matches!(context.node, NodeEnum::AlterEnumStmt(_)) {
        return;
    }
    if let Some(used) = used(context.node, context) {
        let report = sink
            .report(format!(
                "uses the label '{}' of enum `{}` in the transaction that adds it (55P04)",
                used.label, used.ty
            ))
            .on(&used.ty);
        // Our own runner commits the label first; other runners, and the file's own BEGIN, do not.
        if !context.session.transaction.explicit {
            report.severity(Severity::Warning);
        }
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

fn used(node: &NodeEnum, context: &Context<'_>) -> Option<New> {
    let of_column = |table: &QName, column: &str| -> Option<QName> {
        let relation = context.relation(table)?;
        let ty = &relation.column(column)?.ty;
        context.catalog.type_def(ty).map(|known| known.name.clone())
    };
    let find = |ty: &QName, value: &Node| new_among(ty, &constants(value), context);
    let assigned = |table: &QName, targets: &[Node]| {
        targets.iter().find_map(|target| match &target.node {
            Some(NodeEnum::ResTarget(target)) => find(&of_column(table, &target.name)?, target.val.as_ref()?),
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
        // The body of a plpgsql function is read when it runs; an SQL one when it is created.
        NodeEnum::CreateFunctionStmt(create) => return routine_body(create, context),
        _ => {}
    }
    in_expressions(node, context)
}

fn column_default(def: &ast::ColumnDef, context: &Context<'_>) -> Option<New> {
    let ty = context.catalog.column_type(def.type_name.as_ref()?, context.session);
    let ty = context.catalog.type_def(&ty)?.name.clone();
    def.constraints.iter().find_map(|constraint| match &constraint.node {
        Some(NodeEnum::Constraint(constraint)) if constraint.contype() == ConstrType::ConstrDefault => {
            let values = constants(constraint.raw_expr.as_ref()?);
            new_among(&ty, &values, context)
        }
        _ => None,
    })
}

fn routine_body(create: &ast::CreateFunctionStmt, context: &Context<'_>) -> Option<New> {
    let option = |name: &str| {
        create.options.iter().find_map(|option| match &option.node {
            Some(NodeEnum::DefElem(option)) if option.defname == name => option.arg.as_ref()?.node.as_ref(),
            _ => None,
        })
    };
    if let Some(body) = &create.sql_body {
        return in_expressions(body.node.as_ref()?, context);
    }
    let is_sql = matches!(option("language"), Some(NodeEnum::String(language)) if language.sval.eq_ignore_ascii_case("sql"));
    let Some(NodeEnum::List(body)) = option("as").filter(|_| is_sql) else { return None };
    let nodes = sql::parse(ast::string(body.items.first()?)?).ok()?;
    nodes.iter().filter_map(|node| node.node.as_ref()).find_map(|node| used(node, context))
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
    let known = columns
        .iter()
        .filter_map(|column| Some((column.name.clone(), context.catalog.type_def(&column.ty)?.name.clone())));
    known.collect()
}

/// The same of a table that the statement creates.
fn new_columns(create: &ast::CreateStmt, context: &Context<'_>) -> Vec<(String, QName)> {
    let column = |node: &Node| {
        let Some(NodeEnum::ColumnDef(def)) = &node.node else { return None };
        let ty = context.catalog.column_type(def.type_name.as_ref()?, context.session);
        Some((def.colname.clone(), context.catalog.type_def(&ty)?.name.clone()))
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
                let known = ty.and_then(|ty| context.catalog.type_def(&ty).map(|known| known.name.clone()));
                if let (Some(known), Some(value)) = (known, &cast.arg) {
                    let values = constants(value);
                    found = found.take().or_else(|| new_among(&known, &values, context));
                }
                // A cast to another type: what is inside is no use of the enum's label.
                return false;
            }
            NodeRef::FuncCall(call) => found = found.take().or_else(|| argument(call, context)),
            NodeRef::AExpr(expression) => {
                for (one, other) in
                    [(&expression.lexpr, &expression.rexpr), (&expression.rexpr, &expression.lexpr)]
                {
                    let (Some(one), Some(other)) = (one, other) else { continue };
                    let Some(NodeEnum::ColumnRef(column)) = &one.node else { continue };
                    let Some(name) = ast::strings(&column.fields).pop() else { continue };
                    let values = constants(other);
                    found = found.take().or_else(|| {
                        let types = columns_of_type.iter().filter(|(column, _)| *column == name);
                        types.map(|(_, ty)| ty).find_map(|ty| new_among(ty, &values, context))
                    });
                }
            }
            _ => {}
        }
        true
    });
    found
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
