//! What the CHECKs of a table say of its columns, comparison by comparison.

use std::cmp::Ordering;

use super::{Limit, Scalar, scalar};
use crate::{
    schema::{ConstraintKind, Relation},
    sql::{
        self,
        ast::{AExpr, AExprKind, BoolExprType, Node, NodeEnum, strings},
    },
};

/// One comparison of a column with constants.
pub(super) struct Fact {
    pub(super) column: String,
    /// `=`, `<`, `<=`, `>`, `>=`, `in`, `not in`, `not null`, `never`.
    pub(super) operator: String,
    pub(super) values: Vec<Scalar>,
    /// Type that a constant is cast to.
    cast: Option<String>,
}

impl Fact {
    /// Whether it keeps the column at or above the limit.
    pub(super) fn is_from(&self, low: &Limit) -> bool {
        let (Limit::Value(low), [value]) = (low, self.values.as_slice()) else { return false };
        matches!(self.operator.as_str(), ">=" | ">" | "=") && value.order(low).is_some_and(Ordering::is_ge)
    }

    /// Whether it keeps the column below the limit.
    pub(super) fn is_below(&self, high: &Limit) -> bool {
        let (Limit::Value(high), [value]) = (high, self.values.as_slice()) else { return false };
        match self.operator.as_str() {
            "<" => value.order(high).is_some_and(Ordering::is_le),
            "<=" | "=" => value.order(high).is_some_and(Ordering::is_lt),
            _ => false,
        }
    }

    /// What is true where it is not.
    pub(super) fn negated(self) -> Option<Self> {
        let operator = match self.operator.as_str() {
            "<" => ">=",
            ">=" => "<",
            ">" => "<=",
            "<=" => ">",
            "=" | "in" => "not in",
            "not in" => "in",
            // No row of the bound is NULL there.
            "not null" => "never",
            _ => return None,
        };
        Some(Self { operator: operator.into(), ..self })
    }
}

pub(super) fn checks(table: &Relation) -> impl Iterator<Item = &Node> {
    table.constraints.iter().filter(|constraint| constraint.validated && constraint.enforced).filter_map(
        |constraint| match &constraint.kind {
            ConstraintKind::Check { expression } => Some(&**expression),
            _ => None,
        },
    )
}

pub(super) fn facts(table: &Relation) -> Vec<Fact> {
    let mut parts = Vec::new();
    checks(table).for_each(|check| conjuncts(check, &mut parts));
    // Compared with a constant of another type, it is another operator, which proves nothing.
    let same_type = |fact: &Fact| {
        let ty = table.column(&fact.column).map(|column| column.ty.name.clone());
        ty.is_none() || fact.cast.is_none() || fact.cast == ty
    };
    parts.into_iter().flat_map(all_facts).filter(same_type).collect()
}

/// `BETWEEN` is two of them, `c = 'a' OR c = 'b'` is one.
fn all_facts(node: &Node) -> Vec<Fact> {
    match &node.node {
        Some(NodeEnum::AExpr(between)) if between.kind() == AExprKind::AexprBetween => {
            ends(between, [">=", "<="])
        }
        // NOT (a OR b): each of them turned round.
        Some(NodeEnum::BoolExpr(not)) if not.boolop() == BoolExprType::NotExpr => {
            let either = |node: &Node| match &node.node {
                Some(NodeEnum::BoolExpr(either)) if either.boolop() == BoolExprType::OrExpr => {
                    either.args.iter().filter_map(|part| fact(part)?.negated()).collect()
                }
                _ => Vec::from_iter(fact(node).and_then(Fact::negated)),
            };
            not.args.iter().flat_map(either).collect()
        }
        Some(NodeEnum::BoolExpr(either)) if either.boolop() == BoolExprType::OrExpr => {
            let facts: Option<Vec<Fact>> = either.args.iter().map(fact).collect();
            let Some(mut facts) = facts else { return Vec::new() };
            let Some(first) = facts.pop() else { return Vec::new() };
            let alike =
                |fact: &Fact| fact.column == first.column && matches!(fact.operator.as_str(), "=" | "in");
            if !alike(&first) || !facts.iter().all(alike) {
                return Vec::new();
            }
            let values = facts.into_iter().flat_map(|fact| fact.values).chain(first.values).collect();
            vec![Fact { column: first.column, operator: "in".into(), values, cast: first.cast }]
        }
        _ => fact(node).into_iter().collect(),
    }
}

pub(super) fn conjuncts<'a>(node: &'a Node, parts: &mut Vec<&'a Node>) {
    match &node.node {
        Some(NodeEnum::BoolExpr(expression)) if expression.boolop() == BoolExprType::AndExpr => {
            expression.args.iter().for_each(|part| conjuncts(part, parts));
        }
        _ => parts.push(node),
    }
}

pub(super) fn fact(node: &Node) -> Option<Fact> {
    match node.node.as_ref()? {
        NodeEnum::NullTest(test) if test.nulltesttype() == sql::ast::NullTestType::IsNotNull => {
            let column = column(test.arg.as_ref()?)?;
            Some(Fact { column, operator: "not null".into(), values: Vec::new(), cast: None })
        }
        NodeEnum::AExpr(expression) => {
            let operator = strings(&expression.name).pop()?;
            let (left, right) = (expression.lexpr.as_ref()?, expression.rexpr.as_ref()?);
            let list = |operator: &str| {
                let NodeEnum::List(list) = right.node.as_ref()? else { return None };
                let values: Option<Vec<Scalar>> = list.items.iter().map(scalar).collect();
                let cast = list.items.iter().find_map(cast);
                Some(Fact { column: column(left)?, operator: operator.into(), values: values?, cast })
            };
            let array = |operator: &str| {
                let mut value = &**right;
                while let Some(NodeEnum::TypeCast(cast)) = &value.node {
                    value = cast.arg.as_deref()?;
                }
                let NodeEnum::AArrayExpr(array) = value.node.as_ref()? else { return None };
                let values: Option<Vec<Scalar>> = array.elements.iter().map(scalar).collect();
                let cast = array.elements.iter().find_map(cast);
                Some(Fact { column: column(left)?, operator: operator.into(), values: values?, cast })
            };
            match expression.kind() {
                AExprKind::AexprOp => {
                    let (column, operator, value) = match (column(left), column(right)) {
                        (Some(column), _) => (column, operator.as_str(), right),
                        (_, Some(column)) => (column, turned(&operator), left),
                        _ => return None,
                    };
                    let operator = if operator == "<>" { "not in" } else { operator };
                    let values = vec![scalar(value)?];
                    Some(Fact { column, operator: operator.into(), values, cast: cast(value) })
                }
                AExprKind::AexprIn if operator == "=" => list("in"),
                AExprKind::AexprIn if operator == "<>" => list("not in"),
                // As `pg_dump` writes them.
                AExprKind::AexprOpAny if operator == "=" => array("in"),
                AExprKind::AexprOpAll if operator == "<>" => array("not in"),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The type that a constant is cast to.
fn cast(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::TypeCast(cast) => strings(&cast.type_name.as_ref()?.names).pop(),
        _ => None,
    }
}

fn turned(operator: &str) -> &str {
    match operator {
        "<" => ">",
        ">" => "<",
        "<=" => ">=",
        ">=" => "<=",
        other => other,
    }
}

pub(super) fn column(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(column) => strings(&column.fields).pop(),
        _ => None,
    }
}

/// The two comparisons of a `BETWEEN`.
pub(super) fn ends(between: &AExpr, operators: [&str; 2]) -> Vec<Fact> {
    let (Some(column), Some(NodeEnum::List(limits))) = (
        between.lexpr.as_deref().and_then(column),
        between.rexpr.as_deref().and_then(|node| node.node.as_ref()),
    ) else {
        return Vec::new();
    };
    let ends = operators.into_iter().zip(&limits.items);
    ends.filter_map(|(operator, limit)| {
        let values = vec![scalar(limit)?];
        Some(Fact { column: column.clone(), operator: operator.into(), values, cast: cast(limit) })
    })
    .collect()
}
