//! Partition bounds: what a CHECK proves about them, and whether two overlap.
//!
//! Judged by their text, of which numbers and ISO dates are understood. What cannot be told that way
//! counts as not proven, and as not overlapping.

mod facts;

use std::cmp::Ordering;

use self::facts::{Fact, checks, column, conjuncts, ends, fact, facts};
use crate::{
    rules::common,
    schema::Relation,
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
    /// How they sort; `None`: their text does not tell.
    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.partial_cmp(b),
            // `pg_dump` puts the numbers of a bound in quotes.
            (Self::Number(a), Self::Text(b)) => a.partial_cmp(&b.trim().parse().ok()?),
            (Self::Text(a), Self::Number(b)) => a.trim().parse::<f64>().ok()?.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) if a == b => Some(Ordering::Equal),
            // Digits of one length sort alike as text and as numbers.
            (Self::Text(a), Self::Text(b))
                if a.len() == b.len() && a.bytes().chain(b.bytes()).all(|byte| byte.is_ascii_digit()) =>
            {
                Some(a.cmp(b))
            }
            (Self::Text(a), Self::Text(b)) => {
                let (a, b) = (iso(a)?, iso(b)?);
                match a.0.cmp(b.0) {
                    Ordering::Equal if a.1 == b.1 => Some(Ordering::Equal),
                    // A time zone may move the one past the other.
                    Ordering::Equal => None,
                    order => Some(order),
                }
            }
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
        "r" if a.lowerdatums.len() == b.lowerdatums.len() => {
            let limits = |list: &[Node]| -> Option<Vec<Limit>> { list.iter().map(limit).collect() };
            let all =
                [&a.lowerdatums, &a.upperdatums, &b.lowerdatums, &b.upperdatums].map(|list| limits(list));
            let [Some(a_low), Some(a_high), Some(b_low), Some(b_high)] = all else { return false };
            comes_before(&a_low, &b_high) == Some(true) && comes_before(&b_low, &a_high) == Some(true)
        }
        "l" => {
            a.listdatums
                .iter()
                .filter_map(scalar)
                .any(|value| b.listdatums.iter().filter_map(scalar).any(|other| value.is_any_of(&[other])))
                || [a, b].into_iter().all(|bound| bound.listdatums.iter().any(common::is_null))
        }
        // The same values have both remainders when these agree by what the moduli share.
        "h" => {
            let shared = greatest_common_divisor(a.modulus, b.modulus);
            shared > 0 && a.remainder % shared == b.remainder % shared
        }
        _ => false,
    }
}

/// Column by column, as a row is compared.
fn comes_before(a: &[Limit], b: &[Limit]) -> Option<bool> {
    for (one, other) in a.iter().zip(b) {
        let same = match (one, other) {
            (Limit::Value(one), Limit::Value(other)) => one.order(other)?.is_eq(),
            (one, other) => one == other,
        };
        if !same {
            return below(one, other);
        }
        // Behind MINVALUE and MAXVALUE nothing counts.
        if !matches!(one, Limit::Value(_)) {
            return Some(false);
        }
    }
    Some(false)
}

fn greatest_common_divisor(a: i32, b: i32) -> i32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
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

/// The CHECK that proves a bound, as SQL.
pub(crate) fn check_sql(key: &[String], bound: &PartitionBoundSpec) -> Option<String> {
    let [column] = key else { return None };
    // An expression; and rows with NULL, which a CHECK of this form would refuse.
    let nulls = bound.listdatums.iter().any(|value| scalar(value).is_none());
    if column.contains('(') || nulls {
        return None;
    }
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
