//! A foreign key whose columns no index leads with, at the end of the change.

use crate::{
    finding::{Category, Severity},
    lock::LockMode,
    rules::{ChangeContext, Check, Rule, Sink, common},
    schema::{ConstraintKind, Index, Relation, RelationKind, columns_in},
    sql::ast::{Node, NodeEnum, NullTestType},
};

pub(super) static RULE: Rule = Rule {
    name: "fk-without-index",
    category: Category::Lock,
    severity: Severity::Warning,
    summary: "leaves a foreign key without an index on its columns",
    why: "Each DELETE or key UPDATE in the referenced table looks for the rows that point at it. \
          Without an index that is a read of the whole referencing table, with row locks held \
          meanwhile: slow deletes, queues, timeouts.",
    instead: "Create an index that leads with the foreign key's columns (partial only by `… IS NOT \
              NULL`), in the same change.",
    sources: &[
        "https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK",
        "https://supabase.com/docs/guides/database/database-advisors?lint=0001_unindexed_foreign_keys",
    ],
    peers: &[
        "eu:E15",
        "pgm:PGM501",
        "sp:0001",
        "ps:fk-without-covering-index",
        "pf:fk-missing-index",
        "pgli:B003",
        "pih:5",
    ],
    given: "create table public.orders (id bigint primary key, note text, customer_id bigint);
            alter table public.orders enable row level security;
            create table app.customers (id bigint primary key);",
    bad: &[
        "alter table public.orders add constraint orders_customer_fkey foreign key (customer_id) references app.customers (id) not valid;",
        "create table app.items (id bigint primary key, order_id bigint references public.orders (id), live boolean);\ncreate index on app.items (order_id) where live;",
        "create table app.items (id bigint primary key, a int, order_id bigint references public.orders (id));\ncreate index on app.items (a, order_id);",
    ],
    good: &[
        "create table app.items (id bigint primary key, order_id bigint references public.orders (id));\ncreate index on app.items (order_id, id);",
        "create table app.items (id bigint primary key, order_id bigint references public.orders (id));\ncreate index on app.items (order_id) where order_id is not null;",
        "create table app.details (id bigint primary key references public.orders (id), a int);",
    ],
    checks: &[Check::Change(check)],
    ..Rule::BLANK
};

fn check(context: &ChangeContext<'_>, sink: &mut Sink<'_>) {
    for relation in context.after.relations.values() {
        let table = matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable);
        if relation.temporary || !table {
            continue;
        }
        for constraint in &relation.constraints {
            let ConstraintKind::Foreign { columns, target, .. } = &constraint.kind else { continue };
            let Some(born) = constraint.born else { continue };
            // Refused before Postgres 18 (`not-valid-unsupported`), so it never comes to be.
            let refused =
                relation.kind == RelationKind::PartitionedTable && !constraint.validated && context.pg < 18;
            // A partition has its parent's key, and its parent's index.
            let inherited =
                relation.partition_of.as_ref().and_then(|parent| context.after.relation(parent)).is_some_and(
                    |parent| {
                        parent
                            .constraints
                            .iter()
                            .any(|other| other.born == constraint.born && other.name == constraint.name)
                    },
                );
            if refused || inherited || is_covered(relation, columns) {
                continue;
            }
            let Some(unit) = context.unit(born) else { continue };
            let name = &relation.name;
            let message = format!(
                "leaves foreign key `{}` of `{name}` without an index on ({}): a DELETE in `{target}` reads all of \
                 `{name}` while it holds its row locks",
                constraint.name,
                common::list(columns),
            );
            let index = common::chosen_name(name, columns, "idx");
            let (table, columns) = (name.sql(), common::list(columns));
            let index = crate::sql::ident(&index);
            let create = if relation.born.is_some() {
                format!("CREATE INDEX {index} ON {table} ({columns});")
            } else if relation.kind == RelationKind::PartitionedTable {
                format!(
                    "CREATE INDEX {index} ON ONLY {table} ({columns});\n-- then concurrently on each partition, and ALTER INDEX … ATTACH PARTITION"
                )
            } else {
                format!("{}\nCREATE INDEX CONCURRENTLY {index} ON {table} ({columns});", common::OFF)
            };
            sink.report_at(born, unit.span.clone(), message).on(name).lock(None::<LockMode>).suggest(create);
        }
    }
}

/// Whether some index finds the rows of one referenced row.
fn is_covered(relation: &Relation, columns: &[String]) -> bool {
    let by_index = relation.indexes.iter().any(|index| {
        let serves = index.valid && matches!(index.method.as_str(), "btree" | "hash");
        serves
            && leads(index, columns)
            && index.predicate.as_deref().is_none_or(|only| is_harmless(only, columns))
    });
    let by_key = relation.constraints.iter().any(|constraint| match &constraint.kind {
        ConstraintKind::Primary { columns: key } | ConstraintKind::Unique { columns: key } => {
            starts_with_all(key, columns)
        }
        _ => false,
    });
    by_index || by_key
}

fn leads(index: &Index, columns: &[String]) -> bool {
    let leading: Vec<String> = index
        .columns
        .iter()
        .map_while(|column| match column {
            crate::schema::IndexColumn::Column(name) => Some(name.clone()),
            crate::schema::IndexColumn::Expression(_) => None,
        })
        .collect();
    starts_with_all(&leading, columns)
}

/// Whether the first columns are the wanted ones, in any order.
fn starts_with_all(key: &[String], columns: &[String]) -> bool {
    key.get(..columns.len()).is_some_and(|first| columns.iter().all(|column| first.contains(column)))
}

/// `fk_col IS NOT NULL` (and only such): an equality on the column implies it.
fn is_harmless(predicate: &Node, columns: &[String]) -> bool {
    match &predicate.node {
        Some(NodeEnum::NullTest(test)) => {
            test.nulltesttype() == NullTestType::IsNotNull
                && columns_in(predicate).iter().all(|column| columns.contains(column))
        }
        Some(NodeEnum::BoolExpr(expression)) => {
            expression.boolop() == crate::sql::ast::BoolExprType::AndExpr
                && expression.args.iter().all(|arg| is_harmless(arg, columns))
        }
        _ => false,
    }
}
