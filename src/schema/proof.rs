//! What a CHECK proves of its rows.

use super::{ConstraintKind, Relation};
use crate::sql::ast::{self, AExprKind, BoolExprType, Node, NodeEnum, NullTestType, a_const};

/// Whether a validated CHECK (or NOT NULL constraint) of the table proves that the column holds no
/// NULL, so that `SET NOT NULL` need not scan.
pub(crate) fn not_null_proven(relation: &Relation, column: &str) -> bool {
    relation.column(column).is_some_and(|column| column.not_null)
        || relation.constraints.iter().any(|constraint| {
            constraint.validated
                && constraint.enforced
                && match &constraint.kind {
                    ConstraintKind::Check { expression } => proves_not_null(expression, column),
                    ConstraintKind::NotNull { column: known } => known == column,
                    ConstraintKind::Primary { columns } => columns.iter().any(|key| key == column),
                    _ => false,
                }
        })
}

/// Whether an expression that is true (or NULL, as a CHECK may be) means that the column is not NULL,
/// as Postgres' own prover sees it.
///
/// The forms are those that `ConstraintImpliedByRelConstraint` accepts once `eval_const_expressions`
/// and `canonicalize_qual` have put the CHECK into their normal form; each form of the test below was run
/// on Postgres 15. (`(c IS NOT NULL) IS TRUE`, CASE and `coalesce` it does not see through.)
/// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/optimizer/util/predtest.c>
pub(crate) fn proves_not_null(expression: &Node, column: &str) -> bool {
    proves(expression, column, true)
}

/// Whether the expression cannot come out as `outcome` where the column is NULL.
fn proves(expression: &Node, column: &str, outcome: bool) -> bool {
    if boolean(expression).is_some_and(|constant| constant != outcome) {
        return true;
    }
    let is_column = |node: &Node| match node.node.as_ref() {
        Some(NodeEnum::ColumnRef(reference)) => {
            ast::strings(&reference.fields).last().is_some_and(|name| name == column)
        }
        _ => false,
    };
    match expression.node.as_ref() {
        Some(NodeEnum::NullTest(test)) => {
            let Some(arg) = test.arg.as_deref() else { return false };
            match test.nulltesttype() {
                NullTestType::IsNotNull => outcome && (is_column(arg) || row(arg).iter().any(is_column)),
                NullTestType::IsNull => !outcome && is_column(arg),
                NullTestType::Undefined => false,
            }
        }
        Some(NodeEnum::BoolExpr(logic)) => {
            let mut parts = logic.args.iter();
            match (logic.boolop(), outcome) {
                (BoolExprType::NotExpr, _) => parts.any(|part| proves(part, column, !outcome)),
                (BoolExprType::AndExpr, true) | (BoolExprType::OrExpr, false) => {
                    parts.any(|part| proves(part, column, outcome))
                }
                (BoolExprType::AndExpr, false) | (BoolExprType::OrExpr, true) => {
                    parts.all(|part| proves(part, column, outcome))
                }
                (BoolExprType::Undefined, _) => false,
            }
        }
        Some(NodeEnum::AExpr(test)) => {
            let (Some(left), Some(right)) = (test.lexpr.as_deref(), test.rexpr.as_deref()) else {
                return false;
            };
            let of_null = (is_column(left) && is_null(right)) || (is_null(left) && is_column(right));
            match test.kind() {
                AExprKind::AexprDistinct => outcome && of_null,
                AExprKind::AexprNotDistinct => !outcome && of_null,
                AExprKind::AexprOp => {
                    let negates = match ast::strings(&test.name).last().map(String::as_str) {
                        Some("=") => false,
                        Some("<>" | "!=") => true,
                        _ => return false,
                    };
                    let compared = boolean(right).map(|value| (left, value));
                    compared.or_else(|| boolean(left).map(|value| (right, value))).is_some_and(
                        |(expression, value)| {
                            // `x = false` is true where x is false.
                            proves(expression, column, outcome == (value != negates))
                        },
                    )
                }
                _ => false,
            }
        }
        // `(c IS NOT NULL)::boolean` is what it was.
        Some(NodeEnum::TypeCast(cast)) => {
            is_boolean(cast) && cast.arg.as_deref().is_some_and(|arg| proves(arg, column, outcome))
        }
        _ => false,
    }
}

/// The parts of `ROW(a, b)`: `IS NOT NULL` is true where all of them are not NULL.
fn row(node: &Node) -> &[Node] {
    match node.node.as_ref() {
        Some(NodeEnum::RowExpr(row)) => &row.args,
        _ => &[],
    }
}

fn is_null(node: &Node) -> bool {
    matches!(node.node.as_ref(), Some(NodeEnum::AConst(constant)) if constant.isnull)
}

/// `true` or `false`, written out.
fn boolean(node: &Node) -> Option<bool> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            a_const::Val::Boolval(value) => Some(value.boolval),
            _ => None,
        },
        NodeEnum::TypeCast(cast) if is_boolean(cast) => boolean(cast.arg.as_deref()?),
        _ => None,
    }
}

fn is_boolean(cast: &ast::TypeCast) -> bool {
    let name = cast.type_name.as_ref().map(|name| ast::strings(&name.names)).unwrap_or_default();
    name.last().is_some_and(|name| name == "bool")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::expression::expression;

    /// Each was run on Postgres 15: "existing constraints … are sufficient to prove that it does not
    /// contain nulls" at DEBUG1, or "verifying table".
    #[test]
    fn knows_proofs_of_not_null() {
        for (text, proves) in [
            ("c is not null", true),
            ("t.c is not null", true),
            ("not (c is null)", true),
            ("not not (c is not null)", true),
            ("c is distinct from null", true),
            ("null is distinct from c", true),
            ("not (c is not distinct from null)", true),
            ("c is not null and length(c) > 3", true),
            ("(c is not null) and true", true),
            ("(c is not null) or false", true),
            ("c is not null and d > 0 or c is not null and e > 0", true),
            ("not (c is null or d is null)", true),
            ("(c is not null) = true", true),
            ("true = (c is not null)", true),
            ("(c is null) = false", true),
            ("(c is not null) <> false", true),
            ("not ((c is null) = true)", true),
            ("not (c is null) = true", true),
            ("(c is not null)::boolean", true),
            ("row(c, d) is not null", true),
            ("(c is not null) is true", false),
            ("(c is null) is false", false),
            ("c is distinct from null::int", false),
            ("case when c is null then false else true end", false),
            ("coalesce(c is not null, false)", false),
            ("c::text is not null", false),
            ("(c is not null) = false", false),
            ("(c is not null) <> true", false),
            ("not (c is not null)", false),
            ("not (c is null and d is null)", false),
            ("(c is not null) or true", false),
            ("length(c) > 0", false),
            ("c is not null or d > 1", false),
            ("d is not null", false),
            ("row(d) is not null", false),
        ] {
            assert_eq!(proves_not_null(&expression(text), "c"), proves, "{text}");
        }
    }
}
