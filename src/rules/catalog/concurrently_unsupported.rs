//! `CONCURRENTLY` where Postgres does not offer it.

use crate::{
    finding::{Category, Severity},
    rules::{Check, Context, Rule, Sink, catalog::forbidden_in_transaction, common, edits, names},
    schema::{ConstraintKind, QName, Relation, RelationKind},
    sql::ast::{
        self, AlterTableType, DropBehavior, Name, NodeEnum, ObjectType, PartitionCmd, ReindexObjectType,
    },
};

pub(super) static RULE: Rule = Rule {
    name: "concurrently-unsupported",
    category: Category::Transaction,
    severity: Severity::Error,
    summary: "says CONCURRENTLY where Postgres refuses it",
    why: "The statement fails when it is applied: partitioned tables have no concurrent index build, \
          `DROP INDEX CONCURRENTLY` takes one plain index without CASCADE, `DETACH … CONCURRENTLY` no \
          DEFAULT partition, and `REFRESH … CONCURRENTLY` needs a populated view with a unique index on \
          plain columns and no WHERE.",
    instead: "Use the form that the object supports: `ON ONLY` and per-partition builds for a \
              partitioned index, one statement per dropped index, `DROP CONSTRAINT` for the index of a \
              constraint, a unique index before a concurrent refresh.",
    sources: &[
        "https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
        "https://www.postgresql.org/docs/current/sql-dropindex.html",
        "https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DETACH-PARTITION",
        "https://www.postgresql.org/docs/current/sql-refreshmaterializedview.html",
    ],
    peers: &["sfm:blocking-mat-view-refresh"],
    refused: true,
    given: "create table public.orders (id bigint primary key, note text, code text);
            alter table public.orders enable row level security;
            create index orders_note_idx on public.orders (note);
            create index orders_code_idx on public.orders (code);
            create table app.hits (id bigint not null, at date not null) partition by range (at);
            create table app.hits_rest partition of app.hits default;
            create table app.hits_2025 partition of app.hits for values from ('2025-01-01') to ('2026-01-01');
            create materialized view app.totals as select id from public.orders;
            create materialized view app.keyed as select id from public.orders;
            create unique index keyed_id on app.keyed (id);",
    bad: &[
        "-- lockkeeper: transaction off\ncreate index concurrently hits_id_idx on app.hits (id);",
        "-- lockkeeper: transaction off\ndrop index concurrently public.orders_note_idx, public.orders_code_idx;",
        "-- lockkeeper: transaction off\nalter table app.hits detach partition app.hits_2025 concurrently;",
        "refresh materialized view concurrently app.totals;",
        "-- lockkeeper: transaction off\ndrop index concurrently public.orders_pkey;",
    ],
    good: &[
        "-- lockkeeper: transaction off\ndrop index concurrently if exists app.hits_2025_id_idx;\ncreate index concurrently hits_2025_id_idx on app.hits_2025 (id);",
        "-- lockkeeper: transaction off\ndrop index concurrently public.orders_note_idx;\ndrop index concurrently public.orders_code_idx;",
        "refresh materialized view concurrently app.keyed;",
    ],
    checks: &[Check::Statement(check)],
    ..Rule::BLANK
};

fn check(context: &Context<'_>, sink: &mut Sink<'_>) {
    // What fails already because of the transaction is said once.
    if forbidden_in_transaction::fails(context).is_some() {
        return;
    }
    let Some((object, why, instead)) = refused(context) else { return };
    let mut report = sink.report(why);
    if let Some(object) = object {
        report = report.on(&object);
    }
    match instead {
        Instead::None => {}
        Instead::Sql(text) => {
            report.suggest(text);
        }
        Instead::InPlace(text) => match edits::in_place_outside(context, text.clone()) {
            Some(edit) => {
                report.replace(edit);
            }
            None => {
                report.suggest(format!("{}\n{text};", edits::OFF));
            }
        },
    }
}

/// What to write in its place.
enum Instead {
    None,
    Sql(String),
    /// Exact; no semicolon at its end.
    InPlace(String),
}

type Refusal = (Option<QName>, String, Instead);

fn refused(context: &Context<'_>) -> Option<Refusal> {
    match context.node {
        NodeEnum::IndexStmt(index) if index.concurrent => {
            let table = context.resolve(index.relation.as_ref()?);
            common::is_kind(context, &table, RelationKind::PartitionedTable).then(|| {
                let why = format!(
                    "builds an index concurrently on `{table}`, which is partitioned: Postgres refuses that \
                     (0A000), also with ONLY"
                );
                (Some(table), why, Instead::None)
            })
        }
        NodeEnum::DropStmt(drop) if drop.concurrent && drop.remove_type() == ObjectType::ObjectIndex => {
            drop_index(context, drop)
        }
        NodeEnum::AlterTableStmt(_) => {
            let (table, commands) = context.alter_table()?;
            let rest = context.catalog.default_partition(table)?;
            commands.iter().find_map(|command| match command.def.as_ref()?.node.as_ref()? {
                NodeEnum::PartitionCmd(PartitionCmd { concurrent: true, .. })
                    if command.subtype() == AlterTableType::AtDetachPartition =>
                {
                    let why = format!(
                        "detaches a partition of `{table}` concurrently, which Postgres refuses (55000) while \
                         there is the DEFAULT partition `{}`",
                        rest.name
                    );
                    Some((Some(table.clone()), why, Instead::None))
                }
                _ => None,
            })
        }
        NodeEnum::ReindexStmt(reindex)
            if reindex.kind() == ReindexObjectType::ReindexObjectSystem
                && ast::option_on(&reindex.params, "concurrently") == Some(true) =>
        {
            let why = "rebuilds the system catalogs' indexes concurrently, which Postgres refuses (0A000)";
            Some((None, why.into(), Instead::None))
        }
        NodeEnum::ReindexStmt(reindex)
            if reindex.kind() == ReindexObjectType::ReindexObjectIndex
                && ast::option_on(&reindex.params, "concurrently") == Some(true) =>
        {
            let (table, index) = common::find_index(context, &Name::of(reindex.relation.as_ref()?))?;
            let constraint = table.constraint(index.constraint.as_ref()?)?;
            matches!(constraint.kind, ConstraintKind::Exclusion).then(|| {
                let why = format!(
                    "rebuilds index `{}` of an exclusion constraint concurrently, which Postgres refuses (0A000)",
                    index.name
                );
                let plain = format!("REINDEX INDEX {};", index.name.sql());
                (Some(table.name.clone()), why, Instead::Sql(plain))
            })
        }
        NodeEnum::RefreshMatViewStmt(refresh) if refresh.concurrent => {
            let view = context.resolve(refresh.relation.as_ref()?);
            if refresh.skip_data {
                let why = format!(
                    "refreshes `{view}` CONCURRENTLY and WITH NO DATA, which exclude each other (42601)"
                );
                return Some((Some(view), why, Instead::None));
            }
            refresh_view(context, view)
        }
        _ => None,
    }
}

fn drop_index(context: &Context<'_>, drop: &ast::DropStmt) -> Option<Refusal> {
    let names: Vec<Name> = drop.objects.iter().filter_map(ast::name).collect();
    let each = || {
        let guard = if drop.missing_ok { "IF EXISTS " } else { "" };
        let one = |name: &Name| format!("DROP INDEX CONCURRENTLY {guard}{}", names::name_sql(name));
        Instead::InPlace(names.iter().map(one).collect::<Vec<_>>().join(";\n"))
    };
    if names.len() > 1 {
        let why = format!(
            "drops {} indexes in one DROP INDEX CONCURRENTLY, which takes only one (0A000)",
            names.len()
        );
        return Some((None, why, each()));
    }
    let name = names.first()?;
    if drop.behavior() == DropBehavior::DropCascade {
        let why = format!("drops index `{name}` CONCURRENTLY with CASCADE, which Postgres refuses (0A000)");
        return Some((None, why, each()));
    }
    let (table, index) = common::find_index(context, name)?;
    if let Some(constraint) = &index.constraint {
        let why = format!(
            "drops index `{}`, which constraint `{constraint}` of `{}` needs: Postgres refuses (2BP01)",
            index.name, table.name
        );
        let drop =
            format!("ALTER TABLE {} DROP CONSTRAINT {};", table.name.sql(), crate::sql::ident(constraint));
        return Some((Some(table.name.clone()), why, Instead::Sql(drop)));
    }
    index.on_partitioned.then(|| {
        let why = format!(
            "drops index `{}` of the partitioned table `{}` concurrently, which Postgres refuses (0A000)",
            index.name, table.name
        );
        (Some(table.name.clone()), why, Instead::Sql(format!("DROP INDEX {};", index.name.sql())))
    })
}

/// A concurrent refresh compares rows by a unique index that covers every row.
fn refresh_view(context: &Context<'_>, view: QName) -> Option<Refusal> {
    let relation = context.relation(&view)?;
    if relation.kind != RelationKind::MaterializedView {
        return None;
    }
    if !relation.populated {
        let why =
            format!("refreshes `{view}` concurrently, which Postgres refuses (55000) until it is populated");
        let plain = format!("REFRESH MATERIALIZED VIEW {};", view.sql());
        return Some((Some(view), why, Instead::Sql(plain)));
    }
    if is_refreshable(relation) {
        return None;
    }
    let why = format!(
        "refreshes `{view}` concurrently, which Postgres refuses (55000): no unique index on plain columns without \
         WHERE"
    );
    Some((Some(view), why, Instead::Sql(unique_index(relation, context.unit.text.trim()))))
}

/// Whether a concurrent refresh finds the unique index that it needs.
pub(super) fn is_refreshable(view: &Relation) -> bool {
    view.indexes
        .iter()
        .any(|index| index.unique && index.predicate.is_none() && common::plain_columns(index).is_some())
}

/// A unique index that makes a concurrent refresh possible, on the column that is most likely a key.
pub(super) fn unique_index(view: &Relation, refresh: &str) -> String {
    let named_id = view.columns.iter().find(|column| column.name == "id");
    let key = named_id.or_else(|| view.columns.first()).map_or("id", |column| column.name.as_str());
    let columns = [key.to_owned()];
    let index = common::chosen_name(&view.name, &columns, "key");
    format!(
        "-- before, if ({0}) is unique in the view:\nCREATE UNIQUE INDEX {1} ON {2} ({0});\n{3};",
        common::list(&columns),
        crate::sql::ident(&index),
        view.name.sql(),
        refresh
    )
}
