//! Conditions that are true of every row.

use crate::sql::ast::{AExprKind, BoolExprType, Node, NodeEnum, SubLinkType, a_const};

/// Whether a condition holds for every row whatever the data: `true`, `1=1`, `NOT false`, and
/// combinations of these.
pub(crate) fn always_true(condition: &Node) -> bool {
    value(condition) == Some(true)
}

fn value(node: &Node) -> Option<bool> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Boolval(value) => Some(value.boolval),
            _ => None,
        },
        NodeEnum::TypeCast(cast) => match cast.arg.as_ref()?.node.as_ref()? {
            NodeEnum::AConst(constant) => match constant.val.as_ref()? {
                a_const::Val::Boolval(value) => Some(value.boolval),
                a_const::Val::Sval(text) => match text.sval.as_str() {
                    "t" | "true" | "yes" | "on" | "1" => Some(true),
                    "f" | "false" | "no" | "off" | "0" => Some(false),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        },
        // `(SELECT true)`
        NodeEnum::SubLink(link) if link.sub_link_type() == SubLinkType::ExprSublink => {
            match link.subselect.as_ref()?.node.as_ref()? {
                NodeEnum::SelectStmt(select)
                    if select.from_clause.is_empty() && select.where_clause.is_none() =>
                {
                    match select.target_list.first()?.node.as_ref()? {
                        NodeEnum::ResTarget(target) => value(target.val.as_ref()?),
                        _ => None,
                    }
                }
                _ => None,
            }
        }
        NodeEnum::BoolExpr(expression) => {
            let mut values = expression.args.iter().map(value);
            match expression.boolop() {
                BoolExprType::NotExpr => values.next().flatten().map(|value| !value),
                BoolExprType::AndExpr => values.try_fold(true, |all, value| value.map(|value| all && value)),
                BoolExprType::OrExpr => values.any(|value| value == Some(true)).then_some(true),
                BoolExprType::Undefined => None,
            }
        }
        NodeEnum::AExpr(expression) if expression.kind() == AExprKind::AexprOp => {
            let operator = crate::sql::ast::strings(&expression.name);
            let left = constant(expression.lexpr.as_ref()?)?;
            let right = constant(expression.rexpr.as_ref()?)?;
            match operator.last().map(String::as_str) {
                Some("=") => Some(left == right),
                Some("<>" | "!=") => Some(left != right),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A constant, in a form that compares.
fn constant(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) if !constant.isnull => {
            constant.val.as_ref().map(|value| format!("{value:?}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql;

    fn check(condition: &str, expected: bool) {
        let nodes = sql::parse(&format!("select where {condition}")).unwrap();
        let Some(NodeEnum::SelectStmt(select)) = &nodes[0].node else { panic!() };
        assert_eq!(always_true(select.where_clause.as_ref().unwrap()), expected, "{condition}");
    }

    #[test]
    fn tells_tautologies() {
        for condition in
            ["true", "1=1", "1 = 1", "not false", "'a' = 'a'", "true and 1=1", "x or true", "'t'::bool"]
        {
            check(condition, true);
        }
        for condition in ["false", "1=2", "id = id", "id = 1", "true and id = 1", "not true", "null = null"] {
            check(condition, false);
        }
    }
}
