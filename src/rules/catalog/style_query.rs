//! A matter of taste: queries.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::{
        self,
        ast::{AExprKind, NodeEnum, NodeRef, a_const},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "style-query",
    category: Category::Style,
    severity: Severity::Info,
    off_by_default: true,
    summary: "writes a query in a way that many house styles avoid",
    why: "`SELECT *` and INSERT without columns break when a column is added, `= NULL` is never true, and a \
          LIKE that begins with % cannot use a plain index.",
    instead: "Name the columns, write IS NULL, and index with pg_trgm for such searches.",
    sources: &["https://www.postgresql.org/docs/current/functions-comparison.html"],
    peers: &[
        "bb:statement_no_select_all",
        "bb:statement_no_leading_wildcard_like",
        "bb:insert_must_specify_column",
        "pgr:query/*",
        "sqlfluff:AM,CV,RF",
    ],
    given: "create table app.t (id bigint primary key, a text);",
    bad: &[
        "select * from app.t where id = 1;",
        "insert into app.t values (1, 'a');",
        "select a from app.t where a like '%x';",
    ],
    good: &["select a from app.t where id = 1;", "insert into app.t (id, a) values (1, 'a');"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let is_query = matches!(
        context.node,
        NodeEnum::SelectStmt(_)
            | NodeEnum::InsertStmt(_)
            | NodeEnum::UpdateStmt(_)
            | NodeEnum::DeleteStmt(_)
            | NodeEnum::ViewStmt(_)
    );
    if !is_query {
        return;
    }
    let mut found: Vec<&'static str> = Vec::new();
    sql::walk(context.node, &mut |node| {
        match node {
            NodeRef::ColumnRef(column)
                if column.fields.iter().any(|field| matches!(field.node, Some(NodeEnum::AStar(_)))) =>
            {
                found.push("selects every column there happens to be");
            }
            NodeRef::InsertStmt(insert) if insert.cols.is_empty() && insert.select_stmt.is_some() => {
                found.push("inserts without naming the columns");
            }
            NodeRef::AExpr(expression) => {
                let right = expression.rexpr.as_ref().and_then(|right| right.node.as_ref());
                let Some(NodeEnum::AConst(constant)) = right else { return true };
                let operator = sql::ast::strings(&expression.name).pop().unwrap_or_default();
                if constant.isnull && (operator == "=" || operator == "<>") {
                    found.push("compares with NULL, which is never true");
                }
                let like = matches!(expression.kind(), AExprKind::AexprLike | AExprKind::AexprIlike);
                if like
                    && matches!(&constant.val, Some(a_const::Val::Sval(text)) if text.sval.starts_with('%'))
                {
                    found.push("searches with a leading %, which no plain index serves");
                }
            }
            _ => {}
        }
        true
    });
    found.sort_unstable();
    found.dedup();
    for what in found {
        sink.report(what);
    }
}
