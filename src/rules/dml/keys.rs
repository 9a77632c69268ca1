//! Whether a change touches single rows: what its condition compares a key with.

use super::{Dml, reads, sources};
use crate::{
    rules::{Context, tautology::never_true},
    schema::{ConstraintKind, IndexColumn, Nesting, QName, Relation},
    sql::{
        self,
        ast::{AExprKind, BoolExprType, Name, Node, NodeEnum, NodeRef, SubLinkType, strings},
    },
};

/// Whether a condition picks single rows: a key of the table equals something that is not a column.
pub(crate) fn picks_by_key(condition: Option<&Node>, table: &QName, context: &Context<'_>) -> bool {
    let Some(condition) = condition else { return false };
    let relation = context.relation(table);
    let body = body_over(relation, context);
    let own = &table.name;
    picks(condition, &keys(relation), &Given { lists: &[], others: &[], own, body, target: None, context })
}

/// As [`picks_by_key`] of a change's own condition, which may also take the key from a list of rows that
/// stands in the statement: `FROM (VALUES …) AS v (id, …) WHERE t.id = v.id`.
pub(crate) fn changes_by_key(change: &Dml<'_>, table: &QName, context: &Context<'_>) -> bool {
    let Some(condition) = change.condition else { return false };
    let (mut lists, mut others) = (Vec::new(), Vec::new());
    let mut note = |alias: String, read: Vec<Name>| {
        let given = read.into_iter().all(|name| sources(name, context).is_empty());
        if given { &mut lists } else { &mut others }.push(alias);
    };
    sql::walk_all(change.joins, &mut |node| match node {
        NodeRef::RangeVar(range) => {
            let alias = range.alias.as_ref().map_or(&range.relname, |it| &it.aliasname);
            note(alias.clone(), vec![Name::of(range)]);
            true
        }
        NodeRef::RangeSubselect(join) => {
            let query = join.subquery.as_deref();
            let alias = join.alias.as_ref().map(|alias| alias.aliasname.clone());
            note(alias.unwrap_or_default(), query.map(reads).unwrap_or_default());
            false
        }
        _ => true,
    });
    let relation = context.relation(table);
    let body = body_over(relation, context).filter(|_| change.joins.is_empty());
    let own = change.target.alias.as_ref().map_or(&change.target.relname, |alias| &alias.aliasname);
    // A row of another table that is picked by its own key is given.
    let pinned: Vec<String> =
        others.iter().filter(|alias| is_pinned(alias, own, &others, change, context)).cloned().collect();
    others.retain(|alias| !pinned.contains(alias));
    lists.extend(pinned);
    let given = Given { lists: &lists, others: &others, own, body, target: None, context };
    picks(condition, &keys(relation), &given)
}

/// Whether the condition picks one row of a joined table.
fn is_pinned(alias: &str, own: &str, others: &[String], change: &Dml<'_>, context: &Context<'_>) -> bool {
    let mut relation = None;
    sql::walk_all(change.joins, &mut |node| {
        if let NodeRef::RangeVar(range) = node
            && range.alias.as_ref().map_or(&range.relname, |it| &it.aliasname) == alias
        {
            relation = context.relation(&context.resolve(range));
        }
        true
    });
    let mut rest: Vec<String> = others.iter().filter(|other| *other != alias).cloned().collect();
    rest.push(own.to_owned());
    let given = Given { lists: &[], others: &rest, own: alias, body: None, target: None, context };
    let condition = change.condition.filter(|_| relation.is_some());
    condition.is_some_and(|condition| picks(condition, &keys(relation), &given))
}

/// As [`changes_by_key`], inside a body, where the key may also be a field of a loop's record: `t.id = r.id`.
pub(crate) fn changes_by_record(change: &Dml<'_>, table: &QName, context: &Context<'_>) -> bool {
    let Some(condition) = change.condition.filter(|_| change.joins.is_empty()) else { return false };
    let relation = context.relation(table);
    let target = &change.target.relname;
    let alias = change.target.alias.as_ref().map(|alias| &alias.aliasname);
    let own = alias.unwrap_or(target).as_str();
    let (body, target) = (body_over(relation, context), Some(own));
    picks(condition, &keys(relation), &Given { lists: &[], others: &[], own, body, target, context })
}

/// Whether a condition takes a range of a key that is bounded at both ends by what a loop counts:
/// `id > n AND id <= n + 1000`.
pub(crate) fn changes_by_range(change: &Dml<'_>, table: &QName, context: &Context<'_>) -> bool {
    let table = match change.select {
        None => table.clone(),
        Some(select) => {
            let read: Vec<Name> = select.from_clause.iter().flat_map(reads).collect();
            let [source] = read.as_slice() else { return false };
            context.catalog.resolve(source, context.session)
        }
    };
    let (mut lower, mut upper) = (Vec::new(), Vec::new());
    if let Some(condition) = change.condition {
        bounds(condition, &mut lower, &mut upper);
    }
    keys(context.relation(&table))
        .iter()
        .any(|key| key.first().is_some_and(|first| lower.contains(first) && upper.contains(first)))
}

/// The columns that a conjunction bounds from below and from above.
fn bounds(condition: &Node, lower: &mut Vec<String>, upper: &mut Vec<String>) {
    let name = |node: &Node| match &node.node {
        Some(NodeEnum::ColumnRef(column)) => strings(&column.fields).pop(),
        _ => None,
    };
    match &condition.node {
        Some(NodeEnum::BoolExpr(expression)) if expression.boolop() == BoolExprType::AndExpr => {
            expression.args.iter().for_each(|part| bounds(part, lower, upper));
        }
        Some(NodeEnum::AExpr(expression)) => {
            let (Some(left), Some(right)) = (&expression.lexpr, &expression.rexpr) else { return };
            let operator = strings(&expression.name).pop().unwrap_or_default();
            match (expression.kind(), operator.as_str()) {
                (AExprKind::AexprBetween, _) => {
                    lower.extend(name(left));
                    upper.extend(name(left));
                }
                (AExprKind::AexprOp, ">" | ">=") => {
                    lower.extend(name(left));
                    upper.extend(name(right));
                }
                (AExprKind::AexprOp, "<" | "<=") => {
                    upper.extend(name(left));
                    lower.extend(name(right));
                }
                _ => {}
            }
        }
        _ => {}
    }
}

/// What a condition may compare a key with.
struct Given<'a, 'c> {
    /// Aliases of rows that are written out.
    lists: &'a [String],
    /// Aliases of other tables.
    others: &'a [String],
    /// What the table is called whose key is asked for.
    own: &'a str,
    /// Inside a body, the table: a bare name that is no column of it is a parameter or a variable.
    body: Option<&'a Relation>,
    /// Inside a body, what the table is called: another name before a dot is a record's.
    target: Option<&'a str>,
    context: &'a Context<'c>,
}

impl Given<'_, '_> {
    fn is_variable(&self, path: &[String]) -> bool {
        matches!((path, self.body), ([name], Some(table)) if table.column(name).is_none())
    }
}

/// The table of a statement that stands in a body, where all its columns are known.
fn body_over<'a>(table: Option<&'a Relation>, context: &Context<'_>) -> Option<&'a Relation> {
    table.filter(|table| context.unit.nesting != Nesting::Top && table.columns_known)
}

fn keys(relation: Option<&Relation>) -> Vec<Vec<String>> {
    let Some(relation) = relation else { return vec![vec!["id".into()]] };
    let mut keys: Vec<Vec<String>> = relation
        .constraints
        .iter()
        .filter_map(|constraint| match &constraint.kind {
            ConstraintKind::Primary { columns } | ConstraintKind::Unique { columns } => Some(columns.clone()),
            _ => None,
        })
        .collect();
    for index in relation.indexes.iter().filter(|index| index.unique && index.predicate.is_none()) {
        let columns: Option<Vec<String>> = index
            .columns
            .iter()
            .map(|column| match column {
                IndexColumn::Column(name) => Some(name.clone()),
                IndexColumn::Expression(_) => None,
            })
            .collect();
        keys.extend(columns);
    }
    if keys.is_empty() && !relation.columns_known {
        keys.push(vec!["id".into()]);
    }
    keys
}

fn picks(condition: &Node, keys: &[Vec<String>], given: &Given<'_, '_>) -> bool {
    if let Some(NodeEnum::BoolExpr(expression)) = &condition.node
        && expression.boolop() == BoolExprType::OrExpr
    {
        return expression.args.iter().all(|branch| picks(branch, keys, given));
    }
    // One row by definition, and none.
    let cursor = matches!(&condition.node, Some(NodeEnum::CurrentOfExpr(_)));
    if cursor || never_true(condition) {
        return true;
    }
    let mut fixed = Vec::new();
    equalities(condition, given, &mut fixed);
    keys.iter().any(|key| !key.is_empty() && key.iter().all(|column| fixed.contains(column)))
}

/// The columns that a conjunction sets equal to something fixed, or given.
fn equalities(condition: &Node, given: &Given<'_, '_>, fixed: &mut Vec<String>) {
    match &condition.node {
        Some(NodeEnum::BoolExpr(expression)) if expression.boolop() == BoolExprType::AndExpr => {
            expression.args.iter().for_each(|part| equalities(part, given, fixed));
        }
        // `id IN (VALUES (1), (2))`, and other rows that no table has.
        Some(NodeEnum::SubLink(link)) if link.sub_link_type() == SubLinkType::AnySublink => {
            let query = link.subselect.as_deref();
            let read = query.into_iter().flat_map(reads).flat_map(|name| sources(name, given.context));
            if read.count() == 0 && link.oper_name.is_empty() {
                fixed.extend(link.testexpr.as_deref().and_then(|tested| column(tested, given)));
            }
        }
        Some(NodeEnum::AExpr(expression)) => {
            let equals = strings(&expression.name).last().is_some_and(|operator| operator == "=");
            let kind = expression.kind();
            let kind_fits = matches!(kind, AExprKind::AexprOp | AExprKind::AexprIn | AExprKind::AexprOpAny);
            let (Some(left), Some(right)) = (&expression.lexpr, &expression.rexpr) else { return };
            if !equals || !kind_fits || [left, right].into_iter().any(|side| is_other(side, given)) {
                return;
            }
            // `(a, b) = (1, 2)` is `a = 1 AND b = 2`.
            if let Some(left) = row(left) {
                let rows = match &right.node {
                    Some(NodeEnum::List(list)) => list.items.iter().map(row).collect(),
                    _ => Some(vec![row(right).unwrap_or_default()]),
                };
                let rows: Vec<&[Node]> = rows.unwrap_or_default();
                for (at, part) in left.iter().enumerate() {
                    let is_given = |row: &&[Node]| row.get(at).is_some_and(|it| column(it, given).is_none());
                    if !rows.is_empty() && rows.iter().all(is_given) {
                        fixed.extend(column(part, given));
                    }
                }
                return;
            }
            match (column(left, given), column(right, given)) {
                (Some(name), None) if is_given(right, given) => fixed.push(name),
                (None, Some(name)) if kind == AExprKind::AexprOp && is_given(left, given) => fixed.push(name),
                _ => {}
            }
        }
        _ => {}
    }
}

/// Whether an expression is the same for every row: it names no column of them, and reads no table for more than
/// one value.
fn is_given(node: &Node, given: &Given<'_, '_>) -> bool {
    let mut same = true;
    sql::walk_all([node], &mut |node| match node {
        NodeRef::SubLink(link) => {
            let query = link.subselect.as_deref();
            let single = link.sub_link_type() == SubLinkType::ExprSublink;
            let read = query.into_iter().flat_map(reads).flat_map(|name| sources(name, given.context));
            same &= single || read.count() == 0;
            sql::walk_all(query, &mut |inner| {
                if let NodeRef::ColumnRef(column) = inner {
                    let path = strings(&column.fields);
                    same &= !(path.len() > 1 && path.iter().any(|part| part == given.own));
                }
                true
            });
            false
        }
        NodeRef::ColumnRef(column) => {
            let path = strings(&column.fields);
            let listed = matches!(path.as_slice(), [list, _] if given.lists.contains(list));
            let record =
                matches!(path.as_slice(), [record, _] if given.target.is_some_and(|own| own != record));
            same &= listed || record || given.is_variable(&path);
            true
        }
        _ => true,
    });
    same
}

/// Whether an expression is a column of a table that is joined.
fn is_other(node: &Node, given: &Given<'_, '_>) -> bool {
    match node.node.as_ref() {
        Some(NodeEnum::ColumnRef(column)) => {
            matches!(strings(&column.fields).as_slice(), [.., table, _] if given.others.contains(table))
        }
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_ref().is_some_and(|arg| is_other(arg, given)),
        _ => false,
    }
}

/// The parts of a row that is written out.
fn row(node: &Node) -> Option<&[Node]> {
    match &node.node {
        Some(NodeEnum::RowExpr(row)) => Some(&row.args),
        _ => None,
    }
}

/// The column that an expression is, casts aside; none that is given.
fn column(node: &Node, given: &Given<'_, '_>) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(column) => match strings(&column.fields).as_slice() {
            [list, _] if given.lists.contains(list) => None,
            [record, _] if given.target.is_some_and(|target| target != record) => None,
            path if given.is_variable(path) => None,
            path => path.last().cloned(),
        },
        NodeEnum::TypeCast(cast) => column(cast.arg.as_ref()?, given),
        _ => None,
    }
}
