//! The data changes inside a statement, those in its WITH queries included.

use super::tautology::never_true;
use crate::{
    rules::Context,
    schema::{Nesting, QName, Relation, RelationKind},
    sql::{
        self,
        ast::{
            AExprKind, BoolExprType, Name, Node, NodeEnum, NodeRef, RangeVar, SelectStmt, SubLinkType,
            WithClause, option_on, strings,
        },
    },
};

/// One `INSERT`, `UPDATE`, `DELETE` or `MERGE`.
pub(crate) struct Dml<'a> {
    /// `inserts into`, `changes`, `deletes`.
    pub(crate) verb: &'static str,
    pub(crate) target: &'a RangeVar,
    pub(crate) condition: Option<&'a Node>,
    /// Other tables joined (`FROM`, `USING`).
    pub(crate) joins: &'a [Node],
    /// A `MERGE`, whose condition is that of its join.
    pub(crate) merges: bool,
    /// Where an `INSERT` gets its rows.
    pub(crate) select: Option<&'a SelectStmt>,
}

/// Every data change in a statement, outermost first.
pub(crate) fn changes(node: &NodeEnum) -> Vec<Dml<'_>> {
    let mut found = Vec::new();
    collect(node, &mut found);
    found
}

fn collect<'a>(node: &'a NodeEnum, found: &mut Vec<Dml<'a>>) {
    let with: Option<&WithClause> = match node {
        NodeEnum::DeleteStmt(delete) => {
            found.extend(delete.relation.as_ref().map(|target| Dml {
                verb: "deletes",
                target,
                condition: delete.where_clause.as_deref(),
                joins: &delete.using_clause,
                merges: false,
                select: None,
            }));
            delete.with_clause.as_ref()
        }
        NodeEnum::UpdateStmt(update) => {
            found.extend(update.relation.as_ref().map(|target| Dml {
                verb: "changes",
                target,
                condition: update.where_clause.as_deref(),
                joins: &update.from_clause,
                merges: false,
                select: None,
            }));
            update.with_clause.as_ref()
        }
        // Which of its rows a MERGE touches depends on the rows that it is given.
        NodeEnum::MergeStmt(merge) => {
            let source = merge.source_relation.as_deref().filter(|node| !reads(node).is_empty());
            if let (Some(target), Some(source)) = (&merge.relation, source) {
                found.push(Dml {
                    verb: "changes",
                    target,
                    condition: None,
                    joins: std::slice::from_ref(source),
                    merges: true,
                    select: None,
                });
            }
            merge.with_clause.as_ref()
        }
        NodeEnum::InsertStmt(insert) => {
            let select = insert.select_stmt.as_ref().and_then(|node| match &node.node {
                Some(NodeEnum::SelectStmt(select)) => Some(&**select),
                _ => None,
            });
            found.extend(insert.relation.as_ref().map(|target| Dml {
                verb: "inserts into",
                target,
                condition: select.and_then(|select| select.where_clause.as_deref()),
                joins: &[],
                merges: false,
                select,
            }));
            insert.with_clause.as_ref()
        }
        NodeEnum::SelectStmt(select) => select.with_clause.as_ref(),
        _ => {
            // What another statement runs. A prepared one is there to be executed.
            let inner = match node {
                NodeEnum::ExplainStmt(explain) if option_on(&explain.options, "analyze") == Some(true) => {
                    explain.query.as_deref()
                }
                NodeEnum::CopyStmt(copy) => copy.query.as_deref(),
                NodeEnum::CreateTableAsStmt(create) => create.query.as_deref(),
                NodeEnum::PrepareStmt(prepare) => prepare.query.as_deref(),
                _ => None,
            };
            if let Some(inner) = inner.and_then(|inner| inner.node.as_ref()) {
                collect(inner, found);
            }
            None
        }
    };
    for node in with.map(|with| with.ctes.as_slice()).unwrap_or_default() {
        if let Some(NodeEnum::CommonTableExpr(cte)) = &node.node
            && let Some(inner) = cte.ctequery.as_ref().and_then(|query| query.node.as_ref())
        {
            collect(inner, found);
        }
    }
}

/// The table whose rows a change of a view changes; a table itself.
pub(crate) fn base(mut name: QName, context: &Context<'_>) -> QName {
    for _ in 0..8 {
        let view = context.relation(&name).filter(|view| view.kind == RelationKind::View);
        let below = view.map(|view| view.reads.iter().collect::<Vec<_>>());
        match below.as_deref() {
            Some([only]) => name = (*only).clone(),
            _ => break,
        }
    }
    name
}

/// The tables and views that a query reads, WITH queries and subqueries included, its own WITH
/// names left out.
pub(crate) fn reads(node: &Node) -> Vec<Name> {
    let Some(node) = &node.node else { return Vec::new() };
    let mut ranges = Vec::new();
    let mut ctes = Vec::new();
    for (node, ..) in node.nodes() {
        match node {
            NodeRef::RangeVar(range) => ranges.push(Name::of(range)),
            NodeRef::CommonTableExpr(cte) => ctes.push(cte.ctename.clone()),
            _ => {}
        }
    }
    ranges.retain(|name| match &name.schema {
        // The catalogs are small, and nobody's.
        Some(schema) => !matches!(schema.as_str(), "pg_catalog" | "information_schema"),
        None => !ctes.contains(&name.name) && !name.name.starts_with("pg_"),
    });
    ranges
}

/// What a name in FROM reads: itself, or what a query of WITH reads. Rows that are written out there, that another
/// change of the statement returns, or that are picked by a key, are no table's.
pub(crate) fn sources(name: Name, context: &Context<'_>) -> Vec<Name> {
    sources_within(name, context, 0)
}

fn sources_within(name: Name, context: &Context<'_>, depth: usize) -> Vec<Name> {
    let mut query = None;
    sql::walk(context.node, &mut |node| {
        if let NodeRef::CommonTableExpr(cte) = node
            && name.schema.is_none()
            && cte.ctename == name.name
        {
            query = Some(cte.ctequery.as_deref());
        }
        true
    });
    let Some(query) = query.filter(|_| depth < 8) else { return vec![name] };
    match query.and_then(|query| Some((query.node.as_ref()?, query))) {
        Some((NodeEnum::SelectStmt(select), query)) => {
            let read = reads(query).into_iter().filter(|read| read.name != name.name);
            let read: Vec<Name> = read.flat_map(|read| sources_within(read, context, depth + 1)).collect();
            let by_key = matches!(read.as_slice(), [table]
                if picks_by_key(select.where_clause.as_deref(), &context.catalog.resolve(table, context.session), context));
            if by_key { Vec::new() } else { read }
        }
        _ => Vec::new(),
    }
}

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
    let target = Some(alias.unwrap_or(target).as_str());
    let (body, own) = (body_over(relation, context), target.unwrap_or_default());
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
    use crate::schema::{ConstraintKind, IndexColumn};
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
