//! Partition bounds: what a CHECK proves about them, and whether two overlap.
//!
//! Judged by their text, of which numbers and ISO dates are understood. What cannot be told that way
//! counts as not proven, and as not overlapping.

use std::cmp::Ordering;

use crate::{
    schema::{ConstraintKind, Relation},
    sql::{
        self,
        ast::{
            AExpr, AExprKind, BoolExprType, Node, NodeEnum, PartitionBoundSpec, PartitionRangeDatumKind,
            a_const, strings,
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
    /// How they sort; `None`: their text does not tell.
    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) if a == b => Some(Ordering::Equal),
            (Self::Text(a), Self::Text(b)) => {
                let (a, b) = (iso(a)?, iso(b)?);
                match a.0.cmp(b.0) {
                    Ordering::Equal if a.1 == b.1 => Some(Ordering::Equal),
                    // A time zone may move the one past the other.
                    Ordering::Equal => None,
                    order => Some(order),
                }
            }
            _ => None,
        }
    }

    fn is_any_of(&self, others: &[Self]) -> bool {
        others.iter().any(|other| self.order(other) == Some(Ordering::Equal))
    }
}

/// The day and the rest of an ISO date or time; midnight, in UTC as on Supabase, is no rest.
fn iso(text: &str) -> Option<(&str, &str)> {
    let day = text.get(..10)?;
    let digits = |range: std::ops::Range<usize>| day[range].bytes().all(|byte| byte.is_ascii_digit());
    let is_day = digits(0..4) && digits(5..7) && digits(8..10);
    if !is_day || day.as_bytes()[4] != b'-' || day.as_bytes()[7] != b'-' {
        return None;
    }
    let rest = text[10..].trim_start_matches(['T', ' ']);
    let utc = rest.trim_end_matches('Z').trim_end_matches("+00:00").trim_end_matches("+00");
    let midnight = matches!(utc, "" | "00:00" | "00:00:00" | "00:00:00.000");
    Some((day, if midnight { "" } else { rest }))
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
            .any(|value| b.listdatums.iter().filter_map(scalar).any(|other| value.is_any_of(&[other]))),
        "h" => a.modulus == b.modulus && a.remainder == b.remainder,
        _ => false,
    }
}

/// Whether a range bound has no value in it: its start is not below its end.
pub(crate) fn is_empty(bound: &PartitionBoundSpec) -> bool {
    let ([low], [high]) = (bound.lowerdatums.as_slice(), bound.upperdatums.as_slice()) else { return false };
    let (Some(low), Some(high)) = (limit(low), limit(high)) else { return false };
    below(&low, &high) == Some(false)
}

fn below(a: &Limit, b: &Limit) -> Option<bool> {
    match (a, b) {
        (Limit::Max, _) | (_, Limit::Min) => Some(false),
        (Limit::Min, _) | (_, Limit::Max) => Some(true),
        (Limit::Value(a), Limit::Value(b)) => a.order(b).map(Ordering::is_lt),
    }
}

/// Whether validated CHECKs of the table (and NOT NULL) say that all its rows are inside the bound.
///
/// As Postgres' prover does (`ConstraintImpliedByRelConstraint`; run on 15): a narrower limit proves a
/// wider one, however it is written.
pub(crate) fn proven_inside(table: &Relation, key: &[String], bound: &PartitionBoundSpec) -> bool {
    let [column] = key else { return false };
    let facts = facts(table);
    let mut of_column = facts.iter().filter(|fact| fact.column == *column);
    // A NULL passes every CHECK but fits no bound.
    let not_null = table.column(column).is_some_and(|column| column.not_null)
        || of_column.clone().any(|fact| fact.operator == "not null");
    match bound.strategy.as_str() {
        "r" => {
            let (Some(low), Some(high)) =
                (bound.lowerdatums.first().and_then(limit), bound.upperdatums.first().and_then(limit))
            else {
                return false;
            };
            not_null
                && (low == Limit::Min || of_column.clone().any(|fact| fact.is_from(&low)))
                && (high == Limit::Max || of_column.any(|fact| fact.is_below(&high)))
        }
        "l" => {
            let wanted: Vec<Scalar> = bound.listdatums.iter().filter_map(scalar).collect();
            let takes_null = wanted.len() < bound.listdatums.len();
            let inside = |fact: &Fact| {
                matches!(fact.operator.as_str(), "=" | "in")
                    && fact.values.iter().all(|value| value.is_any_of(&wanted))
            };
            (not_null || takes_null) && of_column.any(inside)
        }
        _ => false,
    }
}

/// Whether a validated CHECK of the DEFAULT partition says that none of its rows are inside the bound.
pub(crate) fn proven_outside(default: &Relation, key: &[String], bound: &PartitionBoundSpec) -> bool {
    let [column] = key else { return false };
    let outside: Box<dyn Fn(&Fact) -> bool> = match bound.strategy.as_str() {
        "r" => {
            let (Some(low), Some(high)) =
                (bound.lowerdatums.first().and_then(limit), bound.upperdatums.first().and_then(limit))
            else {
                return false;
            };
            Box::new(move |fact| fact.is_below(&low) || fact.is_from(&high))
        }
        "l" => {
            let wanted: Vec<Scalar> = bound.listdatums.iter().filter_map(scalar).collect();
            if wanted.len() < bound.listdatums.len() {
                return false;
            }
            Box::new(move |fact| match fact.operator.as_str() {
                "=" | "in" => !fact.values.iter().any(|value| value.is_any_of(&wanted)),
                "not in" => wanted.iter().all(|value| value.is_any_of(&fact.values)),
                _ => false,
            })
        }
        _ => return false,
    };
    let mut parts = Vec::new();
    checks(default).for_each(|check| conjuncts(check, &mut parts));
    parts.into_iter().any(|part| is_outside(part, column, &outside))
        // `<> a AND <> b` says it only together.
        || bound.strategy == "l" && {
            let facts = facts(default);
            let refused: Vec<Scalar> = facts
                .iter()
                .filter(|fact| fact.column == *column && fact.operator == "not in")
                .flat_map(|fact| fact.values.clone())
                .collect();
            bound.listdatums.iter().all(|value| scalar(value).is_some_and(|it| it.is_any_of(&refused)))
        }
}

/// Whether a condition holds for no value of the column inside the bound.
fn is_outside(condition: &Node, column: &str, outside: &dyn Fn(&Fact) -> bool) -> bool {
    match &condition.node {
        Some(NodeEnum::BoolExpr(expression)) => match expression.boolop() {
            BoolExprType::OrExpr => expression.args.iter().all(|part| is_outside(part, column, outside)),
            BoolExprType::AndExpr => expression.args.iter().any(|part| is_outside(part, column, outside)),
            // NOT (col >= low AND col < high): each part turned round.
            BoolExprType::NotExpr => {
                let mut inside = Vec::new();
                expression.args.iter().for_each(|part| conjuncts(part, &mut inside));
                let turned = inside.into_iter().map(|part| fact(part).and_then(Fact::negated));
                let facts: Option<Vec<Fact>> = turned.collect();
                facts.is_some_and(|facts| {
                    let right =
                        |fact: &Fact| fact.operator == "never" || (fact.column == column && outside(fact));
                    facts.iter().any(|fact| fact.operator != "never") && facts.iter().all(right)
                })
            }
            BoolExprType::Undefined => false,
        },
        // NULL is inside no range, and the list that takes it is left out before.
        Some(NodeEnum::NullTest(test)) if test.nulltesttype() == sql::ast::NullTestType::IsNull => {
            test.arg.as_deref().and_then(self::column).is_some_and(|tested| tested == column)
        }
        Some(NodeEnum::AExpr(between)) if between.kind() == AExprKind::AexprNotBetween => {
            let ends = ends(between, ["<", ">"]);
            ends.len() == 2 && ends.iter().all(|fact| fact.column == column && outside(fact))
        }
        _ => fact(condition).is_some_and(|fact| fact.column == column && outside(&fact)),
    }
}

/// The two comparisons of a `BETWEEN`.
fn ends(between: &AExpr, operators: [&str; 2]) -> Vec<Fact> {
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
    /// `=`, `<`, `<=`, `>`, `>=`, `in`, `not in`, `not null`, `never`.
    operator: String,
    values: Vec<Scalar>,
    /// Type that a constant is cast to.
    cast: Option<String>,
}

impl Fact {
    /// Whether it keeps the column at or above the limit.
    fn is_from(&self, low: &Limit) -> bool {
        let (Limit::Value(low), [value]) = (low, self.values.as_slice()) else { return false };
        matches!(self.operator.as_str(), ">=" | ">" | "=") && value.order(low).is_some_and(Ordering::is_ge)
    }

    /// Whether it keeps the column below the limit.
    fn is_below(&self, high: &Limit) -> bool {
        let (Limit::Value(high), [value]) = (high, self.values.as_slice()) else { return false };
        match self.operator.as_str() {
            "<" => value.order(high).is_some_and(Ordering::is_le),
            "<=" | "=" => value.order(high).is_some_and(Ordering::is_lt),
            _ => false,
        }
    }

    /// What is true where it is not.
    fn negated(self) -> Option<Self> {
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
