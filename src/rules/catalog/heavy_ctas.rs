//! Copying a live table inside the migration's transaction.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{Check, Context, Rule, Sink, dml},
    sql::ast::{Node, NodeEnum, ObjectType},
};

pub(super) static RULE: Rule = Rule {
    name: "heavy-ctas",
    category: Category::Lock,
    severity: Severity::Info,
    summary: "copies rows of a live table while the migration's transaction is open",
    why: "The transaction and its snapshot live as long as the copy takes; a table made by CREATE TABLE \
          AS has no keys, no row level security and no grants.",
    instead: "Create the table empty with all it needs, and fill it in batches.",
    sources: &["https://www.postgresql.org/docs/current/sql-createtableas.html"],
    peers: &["sfm:create-table-as-select", "pgr:general/select-into"],
    takes: Some(LockMode::AccessShare),
    given: "create table app.orders (id bigint primary key, status text);",
    bad: &[
        "create table app.copy as select * from app.orders;",
        "select * into app.copy from app.orders;",
        "create materialized view app.totals as select status, count(*) from app.orders group by status;",
        "create table app.copy (id bigint primary key, status text);\ninsert into app.copy select id, status from app.orders;",
    ],
    good: &[
        "create materialized view app.totals as select status, count(*) from app.orders group by status with no data;",
        "create table app.three (id bigint primary key);\ninsert into app.three select g from generate_series(1, 3) g;",
    ],
    also: &["table-without-primary-key"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let query: Option<Node> = match context.node {
        NodeEnum::CreateTableAsStmt(create) if !create.into.as_ref().is_some_and(|into| into.skip_data) => {
            create.query.as_deref().cloned()
        }
        NodeEnum::SelectStmt(select) if select.into_clause.is_some() => {
            Some(Node { node: Some(NodeEnum::SelectStmt(select.clone())) })
        }
        // Into a table that is nobody's yet: of another one it is `bulk-dml`.
        NodeEnum::InsertStmt(insert)
            if insert.relation.as_ref().is_some_and(|range| !context.is_live(&context.resolve(range))) =>
        {
            insert.select_stmt.as_deref().cloned()
        }
        _ => return,
    };
    let target = match context.node {
        NodeEnum::SelectStmt(select) => select.into_clause.as_ref().and_then(|into| into.rel.as_ref()),
        NodeEnum::CreateTableAsStmt(create) => create.into.as_ref().and_then(|into| into.rel.as_ref()),
        _ => None,
    }
    .map(|range| range.relname.clone());
    let source = query
        .iter()
        .flat_map(dml::reads)
        .filter(|name| Some(&name.name) != target.as_ref())
        .map(|name| context.catalog.resolve(&name, context.session))
        .find(|source| context.is_live(source));
    if let Some(source) = source {
        let report = sink
            .report(format!("copies rows of `{source}` while the migration's transaction is open"))
            .on(&source);
        if matches!(context.node, NodeEnum::CreateTableAsStmt(create) if create.objtype() == ObjectType::ObjectMatview)
        {
            report.help(
                "Create it `WITH NO DATA`, and fill it with REFRESH MATERIALIZED VIEW in a file of its own; until then \
                 it cannot be queried.",
            );
        }
    }
}
