//! Walking a parse tree: every expression, subquery and relation below a node, parents first.
//!
//! The parser's crate has a walker of its own, but it is made for finding table names in queries
//! and leaves out half of the expressions (CASE arms, COALESCE, array elements).

use super::ast::{Node, NodeEnum, NodeRef, SelectStmt, WithClause};

/// Calls `visit` for the node and everything below it. Where `visit` returns false, what is below
/// that node is left out.
pub(crate) fn walk<'a>(node: &'a NodeEnum, visit: &mut dyn FnMut(NodeRef<'a>) -> bool) {
    walk_ref(node.to_ref(), visit);
}

/// As [`walk`], for the list and option shapes that fields of the tree have.
pub(crate) fn walk_all<'a>(
    nodes: impl IntoIterator<Item = &'a Node>,
    visit: &mut dyn FnMut(NodeRef<'a>) -> bool,
) {
    for node in nodes {
        if let Some(node) = &node.node {
            walk(node, visit);
        }
    }
}

fn walk_with<'a>(with: Option<&'a WithClause>, visit: &mut dyn FnMut(NodeRef<'a>) -> bool) {
    if let Some(with) = with {
        walk_all(&with.ctes, visit);
    }
}

/// As [`walk`], for a reference.
pub(crate) fn walk_ref<'a>(node: NodeRef<'a>, visit: &mut dyn FnMut(NodeRef<'a>) -> bool) {
    if !visit(node) {
        return;
    }
    match node {
        NodeRef::SelectStmt(select) => walk_select(select, visit),
        NodeRef::InsertStmt(insert) => {
            walk_with(insert.with_clause.as_ref(), visit);
            insert.relation.iter().for_each(|relation| walk_ref(relation.to_ref(), visit));
            walk_all(insert.select_stmt.as_deref(), visit);
            if let Some(conflict) = &insert.on_conflict_clause {
                walk_all(&conflict.target_list, visit);
                walk_all(conflict.where_clause.as_deref(), visit);
            }
            insert.returning_clause.iter().for_each(|returning| walk_all(&returning.exprs, visit));
        }
        NodeRef::UpdateStmt(update) => {
            walk_with(update.with_clause.as_ref(), visit);
            update.relation.iter().for_each(|relation| walk_ref(relation.to_ref(), visit));
            walk_all(&update.target_list, visit);
            walk_all(&update.from_clause, visit);
            walk_all(update.where_clause.as_deref(), visit);
            update.returning_clause.iter().for_each(|returning| walk_all(&returning.exprs, visit));
        }
        NodeRef::DeleteStmt(delete) => {
            walk_with(delete.with_clause.as_ref(), visit);
            delete.relation.iter().for_each(|relation| walk_ref(relation.to_ref(), visit));
            walk_all(&delete.using_clause, visit);
            walk_all(delete.where_clause.as_deref(), visit);
            delete.returning_clause.iter().for_each(|returning| walk_all(&returning.exprs, visit));
        }
        NodeRef::MergeStmt(merge) => {
            walk_with(merge.with_clause.as_ref(), visit);
            merge.relation.iter().for_each(|relation| walk_ref(relation.to_ref(), visit));
            walk_all(merge.source_relation.as_deref(), visit);
            walk_all(merge.join_condition.as_deref(), visit);
            walk_all(&merge.merge_when_clauses, visit);
            merge.returning_clause.iter().for_each(|returning| walk_all(&returning.exprs, visit));
        }
        NodeRef::MergeWhenClause(when) => {
            walk_all(when.condition.as_deref(), visit);
            walk_all(&when.target_list, visit);
            walk_all(&when.values, visit);
        }
        NodeRef::ExplainStmt(explain) => walk_all(explain.query.as_deref(), visit),
        NodeRef::PrepareStmt(prepare) => walk_all(prepare.query.as_deref(), visit),
        NodeRef::DeclareCursorStmt(cursor) => walk_all(cursor.query.as_deref(), visit),
        NodeRef::CopyStmt(copy) => {
            copy.relation.iter().for_each(|relation| walk_ref(relation.to_ref(), visit));
            walk_all(copy.query.as_deref(), visit);
            walk_all(copy.where_clause.as_deref(), visit);
        }
        NodeRef::CreateTableAsStmt(create) => walk_all(create.query.as_deref(), visit),
        NodeRef::ViewStmt(view) => walk_all(view.query.as_deref(), visit),
        NodeRef::ReturnStmt(returned) => walk_all(returned.returnval.as_deref(), visit),
        NodeRef::CallStmt(call) => {
            if let Some(call) = &call.funccall {
                walk_ref(call.to_ref(), visit);
            }
        }
        NodeRef::RawStmt(raw) => walk_all(raw.stmt.as_deref(), visit),
        NodeRef::CommonTableExpr(table) => walk_all(table.ctequery.as_deref(), visit),
        NodeRef::RangeSubselect(range) => walk_all(range.subquery.as_deref(), visit),
        NodeRef::RangeFunction(range) => walk_all(&range.functions, visit),
        NodeRef::RangeTableSample(sample) => {
            walk_all(sample.relation.as_deref(), visit);
            walk_all(&sample.args, visit);
        }
        NodeRef::RangeTableFunc(range) => {
            walk_all(range.docexpr.as_deref(), visit);
            walk_all(range.rowexpr.as_deref(), visit);
        }
        NodeRef::JoinExpr(join) => {
            walk_all(join.larg.as_deref(), visit);
            walk_all(join.rarg.as_deref(), visit);
            walk_all(join.quals.as_deref(), visit);
        }
        _ => walk_expression(node, visit),
    }
}

fn walk_select<'a>(select: &'a SelectStmt, visit: &mut dyn FnMut(NodeRef<'a>) -> bool) {
    walk_with(select.with_clause.as_ref(), visit);
    for side in [&select.larg, &select.rarg].into_iter().flatten() {
        walk_ref(side.to_ref(), visit);
    }
    walk_all(&select.distinct_clause, visit);
    walk_all(&select.target_list, visit);
    walk_all(&select.from_clause, visit);
    walk_all(select.where_clause.as_deref(), visit);
    walk_all(&select.group_clause, visit);
    walk_all(select.having_clause.as_deref(), visit);
    walk_all(&select.window_clause, visit);
    walk_all(&select.values_lists, visit);
    walk_all(&select.sort_clause, visit);
    walk_all(select.limit_offset.as_deref(), visit);
    walk_all(select.limit_count.as_deref(), visit);
}

fn walk_expression<'a>(node: NodeRef<'a>, visit: &mut dyn FnMut(NodeRef<'a>) -> bool) {
    match node {
        NodeRef::List(list) => walk_all(&list.items, visit),
        NodeRef::ResTarget(target) => {
            walk_all(&target.indirection, visit);
            walk_all(target.val.as_deref(), visit);
        }
        NodeRef::AExpr(expression) => {
            walk_all(expression.lexpr.as_deref(), visit);
            walk_all(expression.rexpr.as_deref(), visit);
        }
        NodeRef::BoolExpr(expression) => walk_all(&expression.args, visit),
        NodeRef::FuncCall(call) => {
            walk_all(&call.args, visit);
            walk_all(&call.agg_order, visit);
            walk_all(call.agg_filter.as_deref(), visit);
            if let Some(window) = &call.over {
                walk_ref(window.to_ref(), visit);
            }
        }
        NodeRef::NamedArgExpr(argument) => walk_all(argument.arg.as_deref(), visit),
        NodeRef::TypeCast(cast) => walk_all(cast.arg.as_deref(), visit),
        NodeRef::CaseExpr(case) => {
            walk_all(case.arg.as_deref(), visit);
            walk_all(&case.args, visit);
            walk_all(case.defresult.as_deref(), visit);
        }
        NodeRef::CaseWhen(when) => {
            walk_all(when.expr.as_deref(), visit);
            walk_all(when.result.as_deref(), visit);
        }
        NodeRef::CoalesceExpr(expression) => walk_all(&expression.args, visit),
        NodeRef::MinMaxExpr(expression) => walk_all(&expression.args, visit),
        NodeRef::NullTest(test) => walk_all(test.arg.as_deref(), visit),
        NodeRef::BooleanTest(test) => walk_all(test.arg.as_deref(), visit),
        NodeRef::SubLink(link) => {
            walk_all(link.testexpr.as_deref(), visit);
            walk_all(link.subselect.as_deref(), visit);
        }
        NodeRef::AArrayExpr(array) => walk_all(&array.elements, visit),
        NodeRef::RowExpr(row) => walk_all(&row.args, visit),
        NodeRef::AIndirection(indirection) => {
            walk_all(indirection.arg.as_deref(), visit);
            walk_all(&indirection.indirection, visit);
        }
        NodeRef::AIndices(indices) => {
            walk_all(indices.lidx.as_deref(), visit);
            walk_all(indices.uidx.as_deref(), visit);
        }
        NodeRef::CollateClause(collate) => walk_all(collate.arg.as_deref(), visit),
        NodeRef::SortBy(sort) => walk_all(sort.node.as_deref(), visit),
        NodeRef::WindowDef(window) => {
            walk_all(&window.partition_clause, visit);
            walk_all(&window.order_clause, visit);
            walk_all(window.start_offset.as_deref(), visit);
            walk_all(window.end_offset.as_deref(), visit);
        }
        NodeRef::GroupingSet(set) => walk_all(&set.content, visit),
        NodeRef::MultiAssignRef(assign) => walk_all(assign.source.as_deref(), visit),
        NodeRef::XmlExpr(xml) => {
            walk_all(&xml.named_args, visit);
            walk_all(&xml.args, visit);
        }
        NodeRef::IndexElem(element) => walk_all(element.expr.as_deref(), visit),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;

    fn seen(sql: &str) -> String {
        let nodes = parse(sql).unwrap();
        let mut seen = Vec::new();
        walk_all(&nodes, &mut |node| {
            match node {
                NodeRef::RangeVar(range) => seen.push(range.relname.clone()),
                NodeRef::FuncCall(call) => {
                    seen.push(format!("{}()", super::super::ast::strings(&call.funcname).join(".")));
                }
                _ => {}
            }
            true
        });
        seen.join(" ")
    }

    #[test]
    fn reaches_every_corner() {
        assert_eq!(
            seen(
                "with c as (delete from d returning f(x)) select case when g(1) then array[h()] end from c join e on i() where exists (select from j)"
            ),
            "d f() g() h() c e i() j"
        );
        assert_eq!(
            seen("insert into a select coalesce(b(), 1) from (select 1 from c union select 2 from d) x"),
            "a b() c d"
        );
        assert_eq!(seen("update a set x = (select max(y) over (order by k()) from b)"), "a max() k() b");
    }
}
