//! One column named twice where Postgres allows it once.

use std::collections::BTreeSet;

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink},
    sql::ast::{self, AlterTableType, ConstrType, Node, NodeEnum},
};

pub(super) static RULE: Rule = Rule {
    name: "duplicate-column",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "names a column twice",
    why: "Postgres refuses the statement (SQLSTATE 42701 or 42601).",
    instead: "Name each column once.",
    peers: &["sq:ban-duplicate-column-assignments", "pgr:general/duplicate-column"],
    refused: true,
    given: "create table public.orders (id bigint primary key, note text);
            alter table public.orders enable row level security;",
    bad: &[
        "create table app.twice (id bigint primary key, note text, note text);",
        "insert into public.orders (id, note, note) values (1, 'a', 'b');",
        "update public.orders set note = 'a', note = 'b' where id = 1;",
        "alter table public.orders add column a int, add column a text;",
        "create view app.twice as select id, note, id from public.orders;",
        "create table app.twice as select a.id, b.id from public.orders a cross join public.orders b;",
        "insert into public.orders (id) values (1) on conflict (id) do update set note = 'a', note = 'b';",
        "create table app.twice (id bigint, primary key (id, id));",
        "create view app.totals as select count(*), count(note) from public.orders;",
        "create view app.wide as select o.*, o.id from public.orders o;",
        "create table app.copied (like public.orders, note text);",
        "create type app.pair_type as (a int, a int);",
    ],
    good: &[
        "create table app.once (id bigint primary key, note text, \"Note\" text);",
        "update public.orders set note = 'a' where id = 1;",
        "create view app.pair (one, other) as select id, id from public.orders;",
        "create view app.pair as select id, id as other from public.orders;",
        "create view app.both as select * from public.orders a join public.orders b using (id, note);",
        "insert into public.orders (id, note) values (1, 'b') on conflict (id) do update set note = 'b';",
    ],
    also: &["table-without-primary-key"],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    for list in lists(context) {
        let mut seen = BTreeSet::new();
        let mut told = BTreeSet::new();
        for name in list.iter().filter(|name| !name.is_empty()) {
            if !seen.insert(name) && told.insert(name) {
                sink.report(format!("column `{name}` is named twice"));
            }
        }
    }
}

/// The lists of names of a statement; each may hold a name once.
fn lists(context: &Context<'_>) -> Vec<Vec<String>> {
    match context.node {
        NodeEnum::CreateStmt(create) => {
            let copied = |node: &Node| match &node.node {
                Some(NodeEnum::TableLikeClause(like)) => {
                    let source = like.relation.as_ref().map(|range| context.resolve(range));
                    let columns = source.and_then(|source| Some(&context.relation(&source)?.columns));
                    columns.into_iter().flatten().map(|column| column.name.clone()).collect()
                }
                _ => column(node).into_iter().collect::<Vec<_>>(),
            };
            let mut lists = vec![create.table_elts.iter().flat_map(copied).collect()];
            lists.extend(create.table_elts.iter().filter_map(key));
            lists
        }
        NodeEnum::CompositeTypeStmt(create) => {
            vec![create.coldeflist.iter().filter_map(column).collect()]
        }
        NodeEnum::InsertStmt(insert) => {
            let updated = insert.on_conflict_clause.iter().map(|it| assigned(&it.target_list).collect());
            std::iter::once(assigned(&insert.cols).collect()).chain(updated).collect()
        }
        NodeEnum::UpdateStmt(update) => vec![assigned(&update.target_list).collect()],
        NodeEnum::MergeStmt(merge) => {
            let clause = |node: &Node| match &node.node {
                Some(NodeEnum::MergeWhenClause(clause)) => Some(assigned(&clause.target_list).collect()),
                _ => None,
            };
            merge.merge_when_clauses.iter().filter_map(clause).collect()
        }
        NodeEnum::CopyStmt(copy) => vec![ast::strings(&copy.attlist)],
        NodeEnum::AlterTableStmt(alter) => {
            let commands = || {
                alter.cmds.iter().filter_map(|node| match &node.node {
                    Some(NodeEnum::AlterTableCmd(command)) => {
                        Some((command.subtype(), command.def.as_deref()?))
                    }
                    _ => None,
                })
            };
            let of = |kind| move |(subtype, def): (_, _)| if subtype == kind { Some(def) } else { None };
            let added = commands().filter_map(of(AlterTableType::AtAddColumn)).filter_map(column).collect();
            let keys = commands().filter_map(of(AlterTableType::AtAddConstraint)).filter_map(key);
            std::iter::once(added).chain(keys).collect()
        }
        NodeEnum::ViewStmt(view) => vec![output(context, &view.aliases, inner(view.query.as_deref()))],
        NodeEnum::CreateTableAsStmt(create) => {
            let names = create.into.as_ref().map_or(&[][..], |into| &into.col_names);
            vec![output(context, names, inner(create.query.as_deref()))]
        }
        NodeEnum::SelectStmt(select) if select.into_clause.is_some() => {
            vec![output(context, &[], Some(context.node))]
        }
        _ => Vec::new(),
    }
}

fn inner(node: Option<&Node>) -> Option<&NodeEnum> {
    node?.node.as_ref()
}

/// The columns of a primary key or unique constraint of the table (42701 when one comes twice).
fn key(node: &Node) -> Option<Vec<String>> {
    match &node.node {
        Some(NodeEnum::Constraint(constraint))
            if matches!(constraint.contype(), ConstrType::ConstrPrimary | ConstrType::ConstrUnique) =>
        {
            Some(ast::strings(&constraint.keys))
        }
        _ => None,
    }
}

/// The names that a view, or a table made from a query, gets: those written for it, then the query's
/// own as far as they can be told.
fn output(context: &Context<'_>, written: &[Node], query: Option<&NodeEnum>) -> Vec<String> {
    let written = ast::strings(written);
    let Some(query) = query else { return written };
    let (own, whole) = context.catalog.columns_of(query, context.session);
    let own = own.into_iter().skip(written.len()).filter(|_| whole || written.is_empty());
    let own: Vec<String> = own.map(|column| column.name).collect();
    written.into_iter().chain(own).collect()
}

fn column(node: &Node) -> Option<String> {
    match &node.node {
        Some(NodeEnum::ColumnDef(column)) => Some(column.colname.clone()),
        _ => None,
    }
}

/// Plain targets only: `set a[1] = …, a[2] = …` is allowed.
fn assigned(nodes: &[Node]) -> impl Iterator<Item = String> {
    nodes.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::ResTarget(target)) if target.indirection.is_empty() => Some(target.name.clone()),
        _ => None,
    })
}
