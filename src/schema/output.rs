//! What Postgres calls a column of a query that has no alias.

use crate::sql::ast::{self, Node, NodeEnum};

/// The name that Postgres gives a column without alias (`FigureColname`); `""` where it is not known here.
pub(super) fn name(value: &NodeEnum) -> String {
    use ast::{MinMaxOp, SqlValueFunctionOp as Value, SubLinkType};
    let inner = |node: Option<&Node>| {
        node.and_then(|node| node.node.as_ref())
            .map(name)
            .filter(|name| name != "?column?" && !name.is_empty())
    };
    match value {
        NodeEnum::ColumnRef(reference) => ast::strings(&reference.fields).pop(),
        // A field's name, else that of what is subscripted.
        NodeEnum::AIndirection(part) => {
            ast::strings(&part.indirection).pop().or_else(|| inner(part.arg.as_deref()))
        }
        NodeEnum::AExpr(expression) if expression.kind() == ast::AExprKind::AexprNullif => {
            Some("nullif".into())
        }
        NodeEnum::GroupingFunc(_) => Some("grouping".into()),
        NodeEnum::FuncCall(call) => ast::strings(&call.funcname).pop(),
        NodeEnum::TypeCast(cast) => inner(cast.arg.as_deref())
            .filter(|name| name != "case")
            .or_else(|| cast.type_name.as_ref().and_then(|written| ast::strings(&written.names).pop())),
        NodeEnum::CollateClause(collate) => inner(collate.arg.as_deref()),
        NodeEnum::CoalesceExpr(_) => Some("coalesce".into()),
        NodeEnum::MinMaxExpr(it) if it.op() == MinMaxOp::IsLeast => Some("least".into()),
        NodeEnum::MinMaxExpr(_) => Some("greatest".into()),
        NodeEnum::CaseExpr(case) => inner(case.defresult.as_deref()).or_else(|| Some("case".into())),
        NodeEnum::AArrayExpr(_) => Some("array".into()),
        NodeEnum::RowExpr(_) => Some("row".into()),
        NodeEnum::SubLink(link) => match link.sub_link_type() {
            SubLinkType::ExistsSublink => Some("exists".into()),
            SubLinkType::ArraySublink => Some("array".into()),
            SubLinkType::ExprSublink => match link.subselect.as_ref().and_then(|query| query.node.as_ref()) {
                Some(NodeEnum::SelectStmt(select)) => match select.target_list.first().map(|it| &it.node) {
                    Some(Some(NodeEnum::ResTarget(target))) if !target.name.is_empty() => {
                        Some(target.name.clone())
                    }
                    Some(Some(NodeEnum::ResTarget(target))) => inner(target.val.as_deref()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        },
        NodeEnum::SqlvalueFunction(it) => Some(
            match it.op() {
                Value::SvfopCurrentDate => "current_date",
                Value::SvfopCurrentTime | Value::SvfopCurrentTimeN => "current_time",
                Value::SvfopCurrentTimestamp | Value::SvfopCurrentTimestampN => "current_timestamp",
                Value::SvfopLocaltime | Value::SvfopLocaltimeN => "localtime",
                Value::SvfopLocaltimestamp | Value::SvfopLocaltimestampN => "localtimestamp",
                Value::SvfopCurrentRole => "current_role",
                Value::SvfopCurrentUser => "current_user",
                Value::SvfopUser => "user",
                Value::SvfopSessionUser => "session_user",
                Value::SvfopCurrentCatalog => "current_catalog",
                Value::SvfopCurrentSchema => "current_schema",
                Value::SqlvalueFunctionOpUndefined => "?column?",
            }
            .into(),
        ),
        NodeEnum::AExpr(_)
        | NodeEnum::AConst(_)
        | NodeEnum::BoolExpr(_)
        | NodeEnum::NullTest(_)
        | NodeEnum::BooleanTest(_) => None,
        _ => return String::new(),
    }
    .unwrap_or_else(|| "?column?".into())
}
