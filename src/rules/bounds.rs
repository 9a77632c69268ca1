//! Partition bounds: what a CHECK proves about them, and whether two overlap.
//!
//! Judged by their text: '2026-01-01' against '2026-01-01'. What cannot be told that way counts as
//! not proven, and as not overlapping.

use crate::{
    schema::{ConstraintKind, Relation},
    sql::{
        self,
        ast::{
            AExprKind, BoolExprType, Node, NodeEnum, PartitionBoundSpec, PartitionRangeDatumKind, a_const,
            strings,
        },
    },
};

/// A limit of a range bound.
#[derive(Debug, Clone, PartialEq)]
enum Limit {
    Min,
    Value(Scalar),
    Max,
}

/// A constant that orders as Postgres orders it: numbers as numbers, ISO dates as their text.
#[derive(Debug, Clone, PartialEq)]
enum Scalar {
    Number(f64),
    Text(String),
}

impl Scalar {
    fn less(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Some(a < b),
            (Self::Text(a), Self::Text(b)) => Some(a < b),
            _ => None,
        }
    }
}

/// The bound of a partition that the model knows.
pub(crate) fn of(partition: &Relation) -> Option<&PartitionBoundSpec> {
    match partition.partition_bound.as_ref()?.node.as_ref()? {
        NodeEnum::PartitionBoundSpec(bound) => Some(bound),
        _ => None,
    }
}

/// Whether two bounds of one strategy have values in common, as far as their text tells.
pub(crate) fn overlap(a: &PartitionBoundSpec, b: &PartitionBoundSpec) -> bool {
    if a.is_default || b.is_default || a.strategy != b.strategy {
        return false;
    }
    match a.strategy.as_str() {
        "r" if a.lowerdatums.len() == 1 && b.lowerdatums.len() == 1 => {
            let limits = |bound: &PartitionBoundSpec| {
                Some((limit(bound.lowerdatums.first()?)?, limit(bound.upperdatums.first()?)?))
            };
            let (Some((a_low, a_high)), Some((b_low, b_high))) = (limits(a), limits(b)) else { return false };
            below(&a_low, &b_high) == Some(true) && below(&b_low, &a_high) == Some(true)
        }
        "l" => a
            .listdatums
            .iter()
            .filter_map(scalar)
            .any(|value| b.listdatums.iter().filter_map(scalar).any(|other| other == value)),
        "h" => a.modulus == b.modulus && a.remainder == b.remainder,
        _ => false,
    }
}

fn below(a: &Limit, b: &Limit) -> Option<bool> {
    match (a, b) {
        (Limit::Max, _) | (_, Limit::Min) => Some(false),
        (Limit::Min, _) | (_, Limit::Max) => Some(true),
        (Limit::Value(a), Limit::Value(b)) => a.less(b),
    }
}

/// Whether a validated CHECK of the table (and NOT NULL) says that all its rows are inside the bound.
pub(crate) fn proven_inside(table: &Relation, key: &[String], bound: &PartitionBoundSpec) -> bool {
    let [column] = key else { return false };
    let facts = facts(table);
    // A NULL passes every CHECK but fits no bound.
    let not_null = table.column(column).is_some_and(|column| column.not_null)
        || facts.iter().any(|fact| fact.column == *column && fact.operator == "not null");
    let has = |operator: &[&str], value: &Scalar| {
        facts.iter().any(|fact| {
            fact.column == *column
                && operator.contains(&fact.operator.as_str())
                && fact.values.as_slice() == [value.clone()]
        })
    };
    match bound.strategy.as_str() {
        "r" => {
            let (Some(low), Some(high)) =
                (bound.lowerdatums.first().and_then(limit), bound.upperdatums.first().and_then(limit))
            else {
                return false;
            };
            let low_holds = match &low {
                Limit::Value(value) => has(&[">=", "="], value) || has(&[">"], value),
                _ => true,
            };
            let high_holds = match &high {
                Limit::Value(value) => has(&["<"], value),
                _ => true,
            };
            not_null && low_holds && high_holds
        }
        "l" => {
            let wanted: Vec<Scalar> = bound.listdatums.iter().filter_map(scalar).collect();
            let takes_null = wanted.len() < bound.listdatums.len();
            (not_null || takes_null)
                && facts.iter().any(|fact| {
                    fact.column == *column
                        && matches!(fact.operator.as_str(), "=" | "in")
                        && fact.values.iter().all(|value| wanted.contains(value))
                })
        }
        _ => false,
    }
}

/// Whether a validated CHECK of the DEFAULT partition says that none of its rows are inside the bound.
pub(crate) fn proven_outside(default: &Relation, key: &[String], bound: &PartitionBoundSpec) -> bool {
    let [column] = key else { return false };
    let (Some(low), Some(high)) =
        (bound.lowerdatums.first().and_then(limit), bound.upperdatums.first().and_then(limit))
    else {
        return false;
    };
    checks(default).any(|check| {
        let parts: Vec<&Node> = match &check.node {
            Some(NodeEnum::BoolExpr(expression)) if expression.boolop() == BoolExprType::OrExpr => {
                expression.args.iter().collect()
            }
            // NOT (col >= low AND col < high)
            Some(NodeEnum::BoolExpr(expression)) if expression.boolop() == BoolExprType::NotExpr => {
                let mut inside = Vec::new();
                expression.args.iter().for_each(|part| conjuncts(part, &mut inside));
                let facts: Vec<Fact> = inside.into_iter().filter_map(fact).collect();
                return facts.iter().all(|fact| fact.column == *column)
                    && matches_limit(&facts, ">=", &low)
                    && matches_limit(&facts, "<", &high);
            }
            _ => vec![check],
        };
        let facts: Vec<Fact> = parts.into_iter().filter_map(fact).collect();
        let is_outside = |fact: &Fact| {
            fact.column == *column
                && (matches_limit(std::slice::from_ref(fact), "<", &low)
                    || matches_limit(std::slice::from_ref(fact), ">=", &high))
        };
        !facts.is_empty() && facts.iter().all(is_outside)
    })
}

fn matches_limit(facts: &[Fact], operator: &str, limit: &Limit) -> bool {
    match limit {
        Limit::Value(value) => {
            facts.iter().any(|fact| fact.operator == operator && fact.values.as_slice() == [value.clone()])
        }
        _ => true,
    }
}

/// The CHECK that proves a bound, as SQL.
pub(crate) fn check_sql(key: &[String], bound: &PartitionBoundSpec) -> Option<String> {
    let [column] = key else { return None };
    let column = sql::ident(column);
    let text = |scalar: &Scalar| match scalar {
        Scalar::Number(number) => number.to_string(),
        Scalar::Text(text) => sql::literal(text),
    };
    match bound.strategy.as_str() {
        "r" => {
            let mut parts = vec![format!("{column} IS NOT NULL")];
            if let Limit::Value(value) = limit(bound.lowerdatums.first()?)? {
                parts.push(format!("{column} >= {}", text(&value)));
            }
            if let Limit::Value(value) = limit(bound.upperdatums.first()?)? {
                parts.push(format!("{column} < {}", text(&value)));
            }
            Some(parts.join(" AND "))
        }
        "l" => {
            let values: Vec<String> =
                bound.listdatums.iter().filter_map(scalar).map(|value| text(&value)).collect();
            Some(format!("{column} IS NOT NULL AND {column} IN ({})", values.join(", ")))
        }
        _ => None,
    }
}

/// One comparison of a column with constants.
struct Fact {
    column: String,
    /// `=`, `<`, `<=`, `>`, `>=`, `in`, `not null`.
    operator: String,
    values: Vec<Scalar>,
}

fn checks(table: &Relation) -> impl Iterator<Item = &Node> {
    table.constraints.iter().filter(|constraint| constraint.validated && constraint.enforced).filter_map(
        |constraint| match &constraint.kind {
            ConstraintKind::Check { expression } => Some(&**expression),
            _ => None,
        },
    )
}

fn facts(table: &Relation) -> Vec<Fact> {
    let mut parts = Vec::new();
    checks(table).for_each(|check| conjuncts(check, &mut parts));
    parts.into_iter().filter_map(fact).collect()
}

fn conjuncts<'a>(node: &'a Node, parts: &mut Vec<&'a Node>) {
    match &node.node {
        Some(NodeEnum::BoolExpr(expression)) if expression.boolop() == BoolExprType::AndExpr => {
            expression.args.iter().for_each(|part| conjuncts(part, parts));
        }
        _ => parts.push(node),
    }
}

fn fact(node: &Node) -> Option<Fact> {
    match node.node.as_ref()? {
        NodeEnum::NullTest(test) if test.nulltesttype() == sql::ast::NullTestType::IsNotNull => Some(Fact {
            column: column(test.arg.as_ref()?)?,
            operator: "not null".into(),
            values: Vec::new(),
        }),
        NodeEnum::AExpr(expression) => {
            let operator = strings(&expression.name).pop()?;
            let (left, right) = (expression.lexpr.as_ref()?, expression.rexpr.as_ref()?);
            match expression.kind() {
                AExprKind::AexprOp => match (column(left), scalar(right), scalar(left), column(right)) {
                    (Some(column), Some(value), ..) => Some(Fact { column, operator, values: vec![value] }),
                    (_, _, Some(value), Some(column)) => {
                        Some(Fact { column, operator: turned(&operator).into(), values: vec![value] })
                    }
                    _ => None,
                },
                AExprKind::AexprIn if operator == "=" => {
                    let NodeEnum::List(list) = right.node.as_ref()? else { return None };
                    let values: Option<Vec<Scalar>> = list.items.iter().map(scalar).collect();
                    Some(Fact { column: column(left)?, operator: "in".into(), values: values? })
                }
                _ => None,
            }
        }
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

fn column(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(column) => strings(&column.fields).pop(),
        _ => None,
    }
}

fn limit(node: &Node) -> Option<Limit> {
    match node.node.as_ref()? {
        NodeEnum::PartitionRangeDatum(datum) => match datum.kind() {
            PartitionRangeDatumKind::PartitionRangeDatumMinvalue => Some(Limit::Min),
            PartitionRangeDatumKind::PartitionRangeDatumMaxvalue => Some(Limit::Max),
            _ => datum.value.as_deref().and_then(scalar).map(Limit::Value),
        },
        // Before analysis MINVALUE and MAXVALUE are names like any other (gram.y, PartitionBoundSpec).
        NodeEnum::ColumnRef(name) => match strings(&name.fields).first().map(String::as_str) {
            Some("minvalue") => Some(Limit::Min),
            Some("maxvalue") => Some(Limit::Max),
            _ => None,
        },
        _ => scalar(node).map(Limit::Value),
    }
}

fn scalar(node: &Node) -> Option<Scalar> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Ival(value) => Some(Scalar::Number(f64::from(value.ival))),
            a_const::Val::Fval(value) => value.fval.parse().ok().map(Scalar::Number),
            a_const::Val::Sval(text) => Some(Scalar::Text(text.sval.clone())),
            _ => None,
        },
        NodeEnum::TypeCast(cast) => scalar(cast.arg.as_ref()?),
        _ => None,
    }
}
