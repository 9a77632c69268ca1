//! Conditions that are true of every row.

use crate::sql::ast::{AExprKind, BoolExprType, Node, NodeEnum, SubLinkType, a_const};

/// Whether a condition holds for every row whatever the data: `true`, `1=1`, `NOT false`, and
/// combinations of these.
pub(crate) fn always_true(condition: &Node) -> bool {
    value(condition) == Some(true)
}

/// Whether a condition holds for no row whatever the data: `false`, `1 = 0`, `NULL`, and combinations.
pub(crate) fn never_true(condition: &Node) -> bool {
    let null = matches!(&condition.node, Some(NodeEnum::AConst(constant)) if constant.isnull);
    null || value(condition) == Some(false)
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
                BoolExprType::AndExpr => {
                    let values: Vec<Option<bool>> = values.collect();
                    let known = values.iter().try_fold(true, |all, value| value.map(|value| all && value));
                    if values.contains(&Some(false)) { Some(false) } else { known }
                }
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
                Some(order) => {
                    let (left, right) =
                        (number(expression.lexpr.as_ref()?)?, number(expression.rexpr.as_ref()?)?);
                    match order {
                        "<" => Some(left < right),
                        ">" => Some(left > right),
                        "<=" => Some(left <= right),
                        ">=" => Some(left >= right),
                        _ => None,
                    }
                }
                None => None,
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

fn number(node: &Node) -> Option<i32> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Ival(number) => Some(number.ival),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql;

    fn check(condition: &str, always: bool, never: bool) {
        let nodes = sql::parse(&format!("select where {condition}")).unwrap();
        let Some(NodeEnum::SelectStmt(select)) = &nodes[0].node else { panic!() };
        let condition_node = select.where_clause.as_ref().unwrap();
        assert_eq!((always_true(condition_node), never_true(condition_node)), (always, never), "{condition}");
    }

    #[test]
    fn tells_tautologies() {
        for condition in [
            "true",
            "1=1",
            "1 = 1",
            "not false",
            "'a' = 'a'",
            "true and 1=1",
            "x or true",
            "'t'::bool",
            "2 > 1",
        ] {
            check(condition, true, false);
        }
        for condition in ["false", "1=2", "not true", "null", "id = 1 and false", "1 >= 2"] {
            check(condition, false, true);
        }
        for condition in ["id = id", "id = 1", "true and id = 1", "null = null", "id < 1"] {
            check(condition, false, false);
        }
    }
}
