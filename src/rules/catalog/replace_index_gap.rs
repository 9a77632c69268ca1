//! An index dropped before the one that takes its place is built.

use std::sync::Arc;

use crate::{
    finding::{Category, Severity},
    rules::{ChangeContext, Check, Rule, Sink, common},
    schema::{Index, QName, Relation, Session, Transaction, Unit, index_column},
    sql::{
        self,
        ast::{self, NodeEnum, ObjectType},
    },
};

pub(super) static RULE: Rule = Rule {
    name: "replace-index-gap",
    category: Category::Lock,
    severity: Severity::Warning,
    summary: "drops an index before its replacement is built",
    why: "Between the two statements, and for as long as the new index builds, the queries that used \
          the old one read the whole table.",
    instead: "Build the new index first, drop the old one afterwards, and rename the new one if the \
              name must stay.",
    sources: &["https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY"],
    peers: &["om:replace_index"],
    given: "create table public.orders (id bigint primary key, note text, code text);
            alter table public.orders enable row level security;
            create index orders_note_idx on public.orders (note);",
    bad: &[
        "-- lockkeeper: transaction off\ndrop index concurrently public.orders_note_idx;\ncreate index concurrently orders_note_code_idx on public.orders (note, code);",
        "-- lockkeeper: transaction off\ndrop index concurrently if exists orders_note_idx;\ncreate index concurrently orders_note_idx on orders (note) where code is not null;",
        "alter index public.orders_note_idx rename to orders_note_old;\n-- next file\n-- lockkeeper: transaction off\ndrop index concurrently public.orders_note_old;\ncreate index concurrently orders_note_code_idx on public.orders (note, code);",
    ],
    good: &[
        "-- lockkeeper: transaction off\ncreate index concurrently orders_note_code_idx on public.orders (note, code);\ndrop index concurrently public.orders_note_idx;",
        "-- lockkeeper: transaction off\ndrop index concurrently public.orders_note_idx;\ncreate index concurrently orders_code_idx on public.orders (code);",
        "-- lockkeeper: transaction off\ndrop index concurrently if exists public.orders_code_idx;\ncreate index concurrently orders_code_idx on public.orders (code);",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for (at, unit) in context.units.iter().enumerate() {
        let NodeEnum::DropStmt(drop) = &unit.node else { continue };
        if drop.remove_type() != ObjectType::ObjectIndex {
            continue;
        }
        for name in drop.objects.iter().filter_map(ast::name) {
            let (earlier, later) = (&context.units[..at], &context.units[at + 1..]);
            let Some((table, index)) = before(context, &former(name.clone(), earlier)) else { continue };
            let dropped = QName::new(index.name.schema.clone(), name.name);
            let covered = earlier.iter().any(|unit| replaces(context, unit, table, index));
            let Some(built) = later.iter().find(|unit| replaces(context, unit, table, index)) else {
                continue;
            };
            if covered || others_serve(context, table, index) {
                continue;
            }
            // In one transaction nobody sees the gap: the drop's lock keeps everybody out of it.
            let cost = if built.at.transaction == unit.at.transaction {
                "every query on the table waits for the whole build"
            } else {
                "queries have neither meanwhile"
            };
            let file = match context.change.get(built.at.file) {
                Some(other) if built.at.file != unit.at.file => format!(" of `{}`", other.path),
                _ => String::new(),
            };
            let message = format!(
                "drops index `{dropped}` of `{}` before statement {}{} builds the one that replaces it: {cost}",
                table.name, built.at.statement, file
            );
            let (build, drop) = (built.text.trim(), unit.text.trim());
            // Where the name stays, the old index has to make room for it.
            let suggestion = if builds(built, &dropped) {
                let aside = QName::new(dropped.schema.clone(), format!("{}_old", dropped.name));
                let how =
                    if drop.to_ascii_lowercase().contains("concurrently") { "CONCURRENTLY " } else { "" };
                format!(
                    "ALTER INDEX {} RENAME TO {};\n{build};\nDROP INDEX {how}{};",
                    dropped.sql(),
                    sql::ident(&aside.name),
                    aside.sql()
                )
            } else {
                format!("{build};\n{drop};")
            };
            sink.report_at(unit.at, unit.span.clone(), message)
                .on(&table.name)
                .lock(None)
                .suggest(suggestion);
        }
    }
}

fn builds(unit: &Unit, name: &QName) -> bool {
    matches!(&unit.node, NodeEnum::IndexStmt(create) if create.idxname == name.name)
}

/// What an index was called before the change renamed it.
fn former(mut name: ast::Name, earlier: &[Arc<Unit>]) -> ast::Name {
    for unit in earlier.iter().rev() {
        if let NodeEnum::RenameStmt(rename) = &unit.node
            && rename.rename_type() == ObjectType::ObjectIndex
            && rename.newname == name.name
            && let Some(range) = &rename.relation
        {
            name.name.clone_from(&range.relname);
        }
    }
    name
}

/// The index of that name as it was before the change.
fn before<'a>(context: &ChangeContext<'a>, name: &ast::Name) -> Option<(&'a Relation, &'a Index)> {
    let session = Session::new(Transaction::default());
    let schemas = name.schema.clone().map_or_else(|| session.search_path.clone(), |schema| vec![schema]);
    schemas
        .into_iter()
        .find_map(|schema| context.before.index(&QName::new(schema, name.name.clone())))
        .filter(|(_, index)| index.constraint.is_none())
}

/// Whether the table keeps another index that starts with the same column.
fn others_serve(context: &ChangeContext<'_>, table: &Relation, index: &Index) -> bool {
    let leading = |index: &Index| common::plain_columns(index).and_then(|columns| columns.into_iter().next());
    let stays = |other: &&Index| {
        context.after.relation(&table.name).is_some_and(|after| {
            after.indexes.iter().any(|kept| kept.name == other.name && kept.born.is_none())
        })
    };
    table.indexes.iter().filter(|other| other.name != index.name && other.valid).filter(stays).any(|other| {
        other.predicate.is_none() && leading(other).is_some() && leading(other) == leading(index)
    })
}

/// Whether the statement builds an index on that table that starts with the same column.
fn replaces(context: &ChangeContext<'_>, unit: &Unit, table: &Relation, index: &Index) -> bool {
    let NodeEnum::IndexStmt(create) = &unit.node else { return false };
    let Some(range) = &create.relation else { return false };
    let leading = index.columns.first();
    let first = create.index_params.first().and_then(index_column);
    let session = || Session::new(Transaction::default());
    leading.is_some()
        && leading == first.as_ref()
        && context.after.resolve_range(range, &session()) == table.name
}
