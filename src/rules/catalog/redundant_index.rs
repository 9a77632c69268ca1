//! An index that another one already serves.

use crate::{
    finding::{Category, Direction, Severity},
    rules::{Check, Context, Rule, Sink, common, edits},
    schema::{Index, IndexColumn},
    sql::ast::{IndexStmt, NodeEnum, SortByDir, SortByNulls},
};

pub(super) static RULE: Rule = Rule {
    name: "redundant-index",
    category: Category::Style,
    severity: Severity::Info,
    summary: "builds an index that duplicates, or is the start of, another one",
    why: "A B-tree index on (a, b) serves searches by a as well: the shorter one costs every write and \
          its storage, and no read is faster for it.",
    instead: "Keep the longer index, and drop the shorter one concurrently.",
    sources: &["https://www.postgresql.org/docs/current/indexes-multicolumn.html"],
    peers: &[
        "pgm:PGM508",
        "sp:0009",
        "pgli:B002",
        "pih:2,3",
        "pgr:general/duplicate-index",
        "pgr:general/duplicate-index-column",
        "bb:index_no_duplicate_column",
    ],
    given: "create table public.orders (id bigint primary key, note text, code text);
            alter table public.orders enable row level security;
            create index orders_note_idx on public.orders (note);",
    bad: &[
        "-- lockkeeper: transaction off\ncreate index concurrently orders_note_again on public.orders (note);",
        "create table app.t (id bigint primary key, a int, b int);\ncreate index t_a_b on app.t (a, b);\ncreate index t_a on app.t (a);",
    ],
    good: &[
        "create table app.t (id bigint primary key, a int, b int);\ncreate index t_a_b on app.t (a, b);\ncreate index t_b on app.t (b);",
        "create table app.t (id bigint primary key, a int);\ncreate index t_id_a on app.t (id, a);",
        "create table app.t (id bigint primary key, a text);\ncreate index t_a_like on app.t (a text_pattern_ops);\ncreate index t_a on app.t (a);",
        "create table app.t (id bigint primary key, a int);\ncreate index t_a on app.t (a);\ncreate unique index t_a_one on app.t (a) where id > 0;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    let NodeEnum::IndexStmt(create) = context.node else { return };
    let Some(range) = &create.relation else { return };
    if context.direction == Direction::Down {
        return;
    }
    let table = context.resolve(range);
    let Some(relation) = context.relation(&table) else { return };
    let Some(new) = plain_btree(create) else { return };
    let name = common::index_name(context.catalog, create, &table);
    let first = new.first();
    for other in relation.indexes.iter().filter(|other| begins_with(other, first) && other.name != name) {
        let Some(old) = common::plain_columns(other).filter(|_| is_plain_btree(other)) else { continue };
        let (shorter, longer, unique) = if old.starts_with(&new) {
            (&name, &other.name, create.unique)
        } else if new.starts_with(&old) {
            (&other.name, &name, other.unique)
        } else {
            continue;
        };
        // A unique index is there for the rule it enforces.
        if unique {
            continue;
        }
        sink.report(format!(
            "leaves `{table}` with index `{shorter}`, which `{longer}` serves as well: nobody waits, but every write \
             pays for both"
        ))
        .on(&table)
        .suggest(format!("{}\nDROP INDEX CONCURRENTLY IF EXISTS {};", edits::OFF, shorter.sql()));
        return;
    }
}

/// The columns of a whole B-tree index in default order.
fn plain_btree(index: &IndexStmt) -> Option<Vec<String>> {
    let ordinary = index.index_params.iter().all(|node| match &node.node {
        Some(NodeEnum::IndexElem(element)) => {
            element.opclass.is_empty()
                && element.collation.is_empty()
                && matches!(element.ordering(), SortByDir::SortbyDefault | SortByDir::SortbyAsc)
                && element.nulls_ordering() == SortByNulls::SortbyNullsDefault
        }
        _ => false,
    });
    let whole = index.where_clause.is_none() && index.index_including_params.is_empty();
    let btree = index.access_method.is_empty() || index.access_method == "btree";
    (ordinary && whole && btree).then(|| common::key_columns(index).into_iter().collect()).flatten()
}

/// Whether the first key is that column: all else is no rival, and there may be many.
fn begins_with(index: &Index, column: Option<&String>) -> bool {
    matches!(index.columns.first(), Some(IndexColumn::Column(first)) if Some(first) == column)
}

fn is_plain_btree(index: &Index) -> bool {
    index.predicate.is_none() && index.sorted.is_empty() && index.method == "btree" && index.valid
}
