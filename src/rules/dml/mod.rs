//! The data changes inside a statement, those in its WITH queries included.

mod keys;

pub(crate) use keys::{changes_by_key, changes_by_range, changes_by_record, picks_by_key};

use crate::{
    rules::Context,
    schema::{QName, RelationKind},
    sql::{
        self,
        ast::{Name, Node, NodeEnum, NodeRef, RangeVar, SelectStmt, WithClause, option_on},
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
